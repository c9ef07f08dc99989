"""The terminal itself: what it can show, and how it is given back whatever happens."""
