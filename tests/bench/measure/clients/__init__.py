"""The clients that are compared."""
