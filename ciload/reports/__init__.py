"""A RunResult, written down for someone: people, CI systems, dashboards. Pure functions of the document, no I/O."""
