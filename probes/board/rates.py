"""Counts over a time as people read them."""

from probes.kit.clock import NS_PER_S
from probes.stats.tally import Tally


def share(part: float, whole: float) -> float | None:
    """Return part / whole; None where the whole is nothing."""
    return part / whole if whole else None


def per_minute(count: float, window_s: float) -> float:
    """Return how many a minute, of so many in `window_s` seconds."""
    return count * 60.0 / window_s


def usd_per_hour(tally: Tally, window_s: float) -> float | None:
    """Return the rate of spending; None where no attempt had a known cost."""
    return tally.cost_usd * 3600.0 / window_s if tally.costs else None


def age_s(stamp_ns: int | None, now_ns: int) -> float | None:
    """Return the seconds since a stamp, never below zero."""
    return None if stamp_ns is None else max(0, now_ns - stamp_ns) / NS_PER_S
