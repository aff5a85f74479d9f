"""What a CI system is asked and given: which CI, commit and machine this is; artifacts, comments, summaries, outputs,
annotations. Files that belong to the CI are written here, the run's own reports are not."""
