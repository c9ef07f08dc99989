"""What servers say of their rate limits, in headers and bodies, and what is known of them now."""

from probes.limits.bodies import asked_in_body_s
from probes.limits.reading import read_limits
from probes.limits.state import LimitState, as_of, is_in_force, share_left, tightest

__all__ = [
    "LimitState",
    "as_of",
    "asked_in_body_s",
    "is_in_force",
    "read_limits",
    "share_left",
    "tightest",
]
