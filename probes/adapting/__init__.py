"""The limit that finds itself: events → the concurrency of a route, and why; a pure fold."""

from probes.adapting.adaptive_limits import AdaptiveLimits, LimitMove
from probes.adapting.edge_search import EdgeSearch, Heard, Move

__all__ = ["AdaptiveLimits", "EdgeSearch", "Heard", "LimitMove", "Move"]
