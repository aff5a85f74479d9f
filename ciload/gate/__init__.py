"""Comparing a run with earlier runs: is it slower, as fast, or too noisy to say?"""
