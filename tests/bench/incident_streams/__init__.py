"""Event streams with an incident in them, made up on a clock of their own, and their judge."""
