"""Runs a plan: virtual users obeying an executor, the lifecycle around them, and a watch on the generator itself.

Pure anyio, so that tests run hours of schedule in milliseconds of virtual time.
"""
