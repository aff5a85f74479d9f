"""The target's processes on this machine: finding them, and how much CPU time they have used."""
