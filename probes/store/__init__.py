"""What stays on disk of a run."""
