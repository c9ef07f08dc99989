"""The limit that finds itself: events → the concurrency of a route, and why; a pure fold."""

from probes.adapting.adaptive_limits import AdaptiveLimits, LimitMove
from probes.adapting.edge_search import EdgeSearch, HeardAttempt, Move

__all__ = ["AdaptiveLimits", "EdgeSearch", "HeardAttempt", "LimitMove", "Move"]
