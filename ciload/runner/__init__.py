"""A run from options to verdict: prepare, execute, judge, publish."""
