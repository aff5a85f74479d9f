"""What the GitHub Action (`action.yml`) decides, with the runner's own Python."""
