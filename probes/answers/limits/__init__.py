"""What servers say of their rate limits, in headers and bodies, and what is known of them now."""

from probes.answers.limits.reading import read_limits
from probes.answers.limits.state import LimitState, share_left, tightest

__all__ = [
    "LimitState",
    "read_limits",
    "share_left",
    "tightest",
]
