"""Replicas that come while a model is full and go again when fewer are enough.

As the autoscalers of the field do it (Knative, KEDA, SageMaker): by requests in hand against places
there are, never at once, and more slowly down than up as the scenario says.
"""

from typing import Final

from probes.kit.clock import NS_PER_S
from probes.simulator.scenario import Serving

FULL: Final = 0.8
"""Share of the places taken from which there are too few: an autoscaler that waited for all of them
to be taken would never see a client that keeps away from a full batch. Knative's default is 0.7."""


class Autoscaler:
    """How many replicas serve, by the requests in hand at each moment that it is told of."""

    def __init__(self) -> None:
        """Start with one, and nothing in hand."""
        self._replicas = 1
        self._full_since_ns: int | None = None
        self._roomy_since_ns: int | None = None

    def replicas(self, in_hand: int, serving: Serving, now_ns: int) -> int:
        """Return how many serve now, of whom `in_hand` requests ask something.

        One comes each time that all have been full for `scale_up_s` without a break, and one goes
        each time that one fewer would not have been full for `scale_down_s`.
        """
        if in_hand >= FULL * self._replicas * serving.max_batch:
            self._roomy_since_ns = None
            self._full_since_ns = now_ns if self._full_since_ns is None else self._full_since_ns
        elif in_hand < FULL * (self._replicas - 1) * serving.max_batch:
            self._full_since_ns = None
            self._roomy_since_ns = now_ns if self._roomy_since_ns is None else self._roomy_since_ns
        else:
            self._full_since_ns = self._roomy_since_ns = None
        if _passed(self._full_since_ns, serving.scale_up_s, now_ns):
            self._replicas, self._full_since_ns = self._replicas + 1, None
        elif _passed(self._roomy_since_ns, serving.scale_down_s, now_ns):
            self._replicas, self._roomy_since_ns = self._replicas - 1, None
        # A phase may allow fewer than there are.
        self._replicas = max(1, min(self._replicas, serving.replicas))
        return self._replicas


def _passed(since_ns: int | None, wait_s: float, now_ns: int) -> bool:
    return since_ns is not None and now_ns - since_ns >= wait_s * NS_PER_S
