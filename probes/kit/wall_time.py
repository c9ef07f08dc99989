"""Moments of the wall clock, as people read them."""

from datetime import datetime, tzinfo
from typing import Final

from probes.kit.clock import NS_PER_S

NO_MOMENT: Final = "–"


def local_moment(wall_ns: int, zone: tzinfo | None = None) -> datetime | None:
    """Return Unix ns as a moment of a time zone, whole seconds; None where no calendar holds it.

    Without `zone` it is the machine's own.
    """
    try:
        moment = datetime.fromtimestamp(wall_ns // NS_PER_S, zone)
        return moment if zone else moment.astimezone()
    except (OverflowError, OSError, ValueError):
        return None


def date_and_time(wall_ns: int | None, zone: tzinfo | None = None) -> str:
    """Return `2026-11-29 14:17:31`; `–` where it is not known or no calendar holds it."""
    moment = None if wall_ns is None else local_moment(wall_ns, zone)
    return NO_MOMENT if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")
