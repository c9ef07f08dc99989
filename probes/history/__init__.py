"""Weeks of figures: what a run's events come to by ten minutes, kept in one database."""
