"""Figures of many samples: digests, windows, tallies, tokens."""
