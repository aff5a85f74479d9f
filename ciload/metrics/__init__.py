"""What a run measures: samples summed up in memory of a known size, mergeable, no I/O.

sample ──► series (one per metric and tag combination) ──► sinks ──► Snapshot
"""
