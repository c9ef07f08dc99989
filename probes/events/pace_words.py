"""How often a route is probed, and why a probe that was due never began, in words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.events.parts import PaceKind, SkipReason

SKIP_WORDS: Final[Mapping[SkipReason, str]] = MappingProxyType(
    {
        "late": "waited too long for a place",
        "paused": "paused",
        "cool_down": "cooling down",
        "budget": "no budget",
        "reader_stalled": "nobody read our events",
        "gap": "we did not run",
        "local": "our machine lacked something",
        "fault": "a defect of ours",
    }
)
"""As they follow how many: `12 waited too long for a place`."""


def pace_words(pace: PaceKind, interval: float, rate: float) -> str:
    """Return how often a route is probed: `every 5 s`, `back to back`, `poisson 2/s`."""
    if pace != "interval":
        return f"{pace} {rate:g}/s"
    return f"every {interval:g} s" if interval else "back to back"
