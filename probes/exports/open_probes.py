"""What the end of a probe needs to know of it, for whoever exports probes whole.

Rule 1: memory is bounded, whatever comes: of more probes than `OPEN_KEPT` the oldest is forgotten.
Rule 2: what a probe took is measured where its stamps hold and its engine ran all the time, as on
the board.
"""

from collections import deque
from typing import Final, TypeAlias

from probes.events import AttemptFinished, AttemptStarted, FirstToken, Gap, ProbeFinished
from probes.kit.clock import seconds

_OfAProbe: TypeAlias = AttemptStarted | FirstToken | AttemptFinished

OPEN_KEPT: Final = 8_192
"""Probes that have begun and not ended: twice what an engine is built for."""
_GAPS_KEPT: Final = 32
"""Of a place: more than lie within the longest probe."""


class OpenProbe:
    """A probe that has begun and not ended."""

    __slots__ = ("_felt_ns", "attempts", "planned", "served")

    def __init__(self) -> None:
        self._felt_ns = -1
        """Below 0 until there is any output, 0 where TTFT is undefined."""
        self.planned = ""
        """Why the retry that it waits for was planned; empty where it waits for none."""
        self.served = ""
        """The model that answered last, by its server's word."""
        self.attempts: list[AttemptFinished] = []
        """Those that have ended, where somebody keeps them."""

    def answered(self, event: FirstToken) -> None:
        """Take the first output of an attempt: that of the probe is the first of all."""
        if self._felt_ns < 0:
            is_streamed = event.kind not in ("not_streamed", "none")
            self._felt_ns = event.felt_ns if is_streamed else 0

    @property
    def felt_s(self) -> float | None:
        """TTFT as its user felt it, in seconds; None where there is none."""
        return seconds(self._felt_ns) if self._felt_ns > 0 else None


class OpenProbes:
    """The probes of a stream that have begun and not ended."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], OpenProbe] = {}
        """By route, too: engines of two places number their probes alike."""
        self._gaps: dict[str, deque[Gap]] = {}
        """By place, the newest times that its engine did not run."""

    def __len__(self) -> int:
        return len(self._open)

    def probe(self, event: _OfAProbe) -> OpenProbe:
        """Return an event's probe, which begins where it is not known."""
        key = event.route, event.probe
        found = self._open.get(key)
        if found is None:
            if len(self._open) >= OPEN_KEPT:
                del self._open[next(iter(self._open))]
            found = self._open[key] = OpenProbe()
        return found

    def ended(self, event: ProbeFinished) -> OpenProbe:
        """Return a probe and forget it; one of which nothing is known where it is not."""
        return self._open.pop((event.route, event.probe), None) or OpenProbe()

    def slept(self, event: Gap) -> None:
        """Take a time that an engine did not run."""
        self._gaps.setdefault(event.place, deque(maxlen=_GAPS_KEPT)).append(event)

    def is_measured(self, event: ProbeFinished, place: str) -> bool:
        """Return whether what a probe at a place took was measured."""
        # What names no place is said of all of them.
        gaps = (*self._gaps.get(place, ()), *(self._gaps.get("", ()) if place else ()))
        return not event.flagged and not any(
            gap.started_ns < event.at_ns and event.started_ns < gap.at_ns for gap in gaps
        )
