"""The scoreboard: the same HTTP job for ciload and its peers, in requests done per CPU second.

Run it with `python -m benchmarks.scoreboard`; `benchmarks/README.md` says what is measured and how.
"""
