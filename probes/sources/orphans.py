"""What an engine left open when it died: its attempts and probes are ended in its place."""

from dataclasses import dataclass, replace

from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    ProbeFinished,
    StampLadder,
)


@dataclass(frozen=True, slots=True)
class _OpenProbe:
    """A probe that has begun, and its attempt where one is open."""

    first: AttemptStarted
    attempts: int
    open: AttemptStarted | None
    first_token_ns: int | None = None


class OpenWork:
    """Folds the stream into the probes that are open; bounded by the engine's concurrency."""

    def __init__(self) -> None:
        """Begin with nothing open."""
        self._probes: dict[str, _OpenProbe] = {}
        self.last_ns = 0
        """Time of the last event: the last thing known of the engine's clock."""

    def fold(self, event: Event) -> None:
        """Take one event of the stream."""
        self.last_ns = max(self.last_ns, event.at_ns)
        if isinstance(event, AttemptStarted):
            self._start(event)
        elif isinstance(event, FirstToken):
            self._mark(event)
        elif isinstance(event, AttemptFinished):
            self._close_attempt(event)
        elif isinstance(event, ProbeFinished):
            self._probes.pop(event.probe, None)

    def _start(self, event: AttemptStarted) -> None:
        known = self._probes.get(event.probe)
        first = known.first if known else event
        self._probes[event.probe] = _OpenProbe(first, event.attempt + 1, event)

    def _mark(self, event: FirstToken) -> None:
        known = self._probes.get(event.probe)
        if known is not None and known.open is not None:
            self._probes[event.probe] = replace(known, first_token_ns=event.at_ns)

    def _close_attempt(self, event: AttemptFinished) -> None:
        known = self._probes.get(event.probe)
        if known is not None:
            self._probes[event.probe] = replace(known, open=None)

    def end_all(self, reason: str) -> list[Event]:
        """Return the endings of everything open, in the order it began; nothing is open then.

        A stream whose usage will never come keeps its whole reservation as spending.
        """
        endings: list[Event] = []
        for name, probe in self._probes.items():
            if probe.open is not None:
                endings.append(_end_attempt(probe.open, probe.first_token_ns, self.last_ns, reason))
            endings.append(_end_probe(name, probe, self.last_ns, reason))
        self._probes.clear()
        return endings


def _end_attempt(
    started: AttemptStarted, first_token_ns: int | None, at_ns: int, reason: str
) -> AttemptFinished:
    return AttemptFinished(
        at_ns=at_ns,
        route=started.route,
        probe=started.probe,
        attempt=started.attempt,
        outcome="cancelled",
        reason=reason,
        stamps_ns=StampLadder(
            scheduled=started.scheduled_ns,
            admitted=started.admitted_ns,
            started=started.at_ns,
            first_token=first_token_ns,
            ended=at_ns,
        ),
        cohort=started.cohort,
        charged_tokens=started.reserved_tokens,
        charged_usd=started.reserved_usd,
        reserved_tokens=started.reserved_tokens,
    )


def _end_probe(name: str, probe: _OpenProbe, at_ns: int, reason: str) -> ProbeFinished:
    return ProbeFinished(
        at_ns=at_ns,
        route=probe.first.route,
        probe=name,
        outcome="cancelled",
        reason=reason,
        attempts=probe.attempts,
        started_ns=probe.first.at_ns,
        scheduled_ns=probe.first.scheduled_ns,
        first_token_ns=probe.first_token_ns,
        cohort=probe.first.cohort,
    )
