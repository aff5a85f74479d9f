"""`python -m ciload`."""

from ciload.cli import main

main()
