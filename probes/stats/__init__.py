"""Figures of many samples, and how they stay bounded for ever.

The way of a sample: `samples.py` puts it into the slice of its stamp (`windows.py`), which is a
digest (`digest.py`, with `centroids.py` and a package's digest in `sketch.py` below it). A window's
slices are read together in `quantiles.py`: p50, p95 and p99 are computed there and nowhere else.
Counters go the same way without digests (`tally.py`).
"""
