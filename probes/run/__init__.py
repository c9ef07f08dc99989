"""One run: a source, and everything that takes its events."""
