"""Every figure of the board once more, from the definitions alone: slow, plain and exact.

It keeps all events and goes through them anew for each figure. It shares no code with the board.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Hello,
    ProbeFinished,
    RouteInfo,
)

SECOND = 1_000_000_000
REACH = {"1m": (10, 6), "5m": (10, 30), "15m": (10, 90), "1h": (60, 60)}


@dataclass
class Oracle:
    """One route over one window that ends with the stream."""

    events: Sequence[Event]
    route: str
    window: str
    onset_ns: int | None = None
    """Of the incident that makes its state: the shortest window begins with the slice of it, or
    with the next one once a probe has ended in that."""

    def __post_init__(self) -> None:
        hello = next(event for event in self.events if isinstance(event, Hello))
        self.info: RouteInfo = next(info for info in hello.routes if info.name == self.route)
        self.now = max(event.at_ns for event in self.events) - hello.at_ns
        self.begin = 0
        if self.window != "run":
            width_s, closed = REACH[self.window]
            self.begin = max(0, (self.now // (width_s * SECOND) - closed) * width_s * SECOND)
        self.origin = hello.at_ns
        if self.window == "1m" and self.onset_ns is not None:
            slice_ns = 10 * SECOND
            onset = self.onset_ns - self.origin
            begin = onset // slice_ns * slice_ns
            if begin >= self.begin:
                self.begin = begin + slice_ns
                if onset == begin or not self.probes():
                    self.begin = begin
        self.seconds = max(1.0, (self.now - self.begin) / SECOND)
        self.first_started: dict[str, int] = {}
        self.cohort = ""
        for event in self.all(AttemptStarted):
            self.first_started.setdefault(event.probe, event.at_ns)
            self.cohort = event.cohort or self.cohort

    def all(self, kind: type[Any]) -> list[Any]:
        """Return the route's events of one kind in the whole stream."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and getattr(event, "route", "") == self.route
        ]

    def inside(self, kind: type[Any]) -> list[Any]:
        """Return those whose stamp lies in the window."""
        return [e for e in self.all(kind) if e.at_ns - self.origin >= self.begin]

    def probes(self) -> list[ProbeFinished]:
        """Return the finished probes that we did not cancel."""
        return [probe for probe in self.inside(ProbeFinished) if probe.outcome != "cancelled"]

    def attempts(self) -> list[AttemptFinished]:
        """Return the finished attempts that we did not cancel."""
        return [one for one in self.inside(AttemptFinished) if one.outcome != "cancelled"]

    def retries(self) -> int:
        """Return how many planned retries have begun: all attempts here but the first ones."""
        return sum(one.attempt > 0 for one in self.inside(AttemptStarted))

    def ttfts(self) -> list[float]:
        """Return what users waited for their first output, in seconds."""
        seen: set[str] = set()
        found = []
        for event in self.all(FirstToken):
            if event.probe in seen:
                continue
            seen.add(event.probe)
            if event.at_ns - self.origin >= self.begin and event.cohort == self.cohort:
                found.append((event.at_ns - self.first_started[event.probe]) / SECOND)
        return sorted(found)

    def e2es(self) -> list[float]:
        """Return how long the probes took that ended ok, in seconds."""
        return sorted(
            (probe.done_ns - self.first_started[probe.probe]) / SECOND
            for probe in self.probes()
            if probe.outcome == "ok" and probe.done_ns and probe.cohort == self.cohort
        )

    def speeds(self) -> list[float]:
        """Return 1/TPOT of every stream with exact counts."""
        found = []
        for one in self.inside(AttemptFinished):
            first, last = one.stamps_ns.first_token, one.stamps_ns.last_token
            exact = one.token_source not in ("estimate", "none") and one.cohort == self.cohort
            if exact and first and last and last > first and one.output_tokens > 1:
                tokens = one.output_tokens - (one.first_chunk_tokens or 1)
                if tokens > 0:
                    found.append(tokens / ((last - first) / SECOND))
        return sorted(found)

    def is_good(self, probe: ProbeFinished) -> bool:
        """Tell whether a probe was ok and within the goals."""
        if probe.outcome != "ok" or probe.done_ns is None:
            return False
        start = self.first_started[probe.probe]
        first = probe.first_token_ns
        fast = first is None or (first - start) / SECOND <= self.info.goal_ttft_s
        whole = self.info.goal_e2e_s is None or (
            (probe.done_ns - start) / SECOND <= self.info.goal_e2e_s
        )
        return fast and whole

    def stalled_share(self) -> float | None:
        """Return the share of the answers that paused."""
        answers = [one for one in self.attempts() if one.chunks]
        return sum(one.stalls > 0 for one in answers) / len(answers) if answers else None

    def counted(self) -> dict[str, float | None]:
        """Return every counter of a row, under the names of `RouteView`."""
        probes, attempts = self.probes(), self.attempts()
        every = self.inside(AttemptFinished)
        ok = sum(probe.outcome == "ok" for probe in probes)
        good = sum(self.is_good(probe) for probe in probes)
        inputs = [one.input_tokens for one in every if one.input_tokens is not None]
        outputs = [one.output_tokens for one in every if one.output_tokens is not None]
        costs = [one.cost_usd for one in every if one.cost_usd is not None]
        minutes = self.seconds / 60
        return {
            "n": len(probes),
            "probes_per_min": len(probes) / minutes,
            "success": ok / len(probes) if probes else None,
            "goodput": good / len(probes) if probes else None,
            "hurt_share": (len(probes) - good) / len(probes) if probes else None,
            "stalled_share": self.stalled_share(),
            "good_per_min": good / minutes,
            "throttled_per_min": sum(one.outcome == "throttled" for one in attempts) / minutes,
            "timeouts_per_min": sum(one.outcome == "timeout" for one in attempts) / minutes,
            "failures_per_min": (len(probes) - ok) / minutes,
            "retries_per_min": self.retries() / minutes,
            "amplification": (
                sum(probe.attempts for probe in probes) / len(probes) if probes else None
            ),
            "input_tokens": sum(inputs) / len(inputs) if inputs else None,
            "output_tokens": sum(outputs) / len(outputs) if outputs else None,
            "usd_per_hour": sum(costs) * 3600 / self.seconds if costs else None,
        }


def rank_distance(ordered: Sequence[float], value: float, probability: float) -> float:
    """Return by how much of all samples `value` misses the rank of `probability`."""
    below = sum(sample < value - 1e-9 for sample in ordered) / len(ordered)
    upto = sum(sample <= value + 1e-9 for sample in ordered) / len(ordered)
    wanted = ceil(probability * len(ordered)) / len(ordered)
    if below <= wanted <= upto:
        return 0.0
    return min(abs(below - wanted), abs(upto - wanted))
