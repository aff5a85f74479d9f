"""A RunResult, written down for someone: people, CI systems, dashboards. Pure functions from the document to text."""
