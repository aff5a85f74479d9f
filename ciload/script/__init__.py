"""What a scenario script sees: virtual users, checks, groups, custom metrics; and how a script is loaded."""
