"""`python -m ciload`."""

from ciload.cli import main

if __name__ == "__main__":
    main()
