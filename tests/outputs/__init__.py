"""Outputs: what is written or sent while a run goes on."""
