"""What a user wants of an engine, and what one tells of itself: commands, knobs, status."""
