"""Which CI this is, which commit, and which machine."""
