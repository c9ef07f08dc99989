"""Them or us: routes compared by pairs, in a random order, until one knows; pure."""
