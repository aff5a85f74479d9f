"""What this machine can see, before anyone relies on it."""
