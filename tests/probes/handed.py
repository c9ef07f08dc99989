"""Runs with an incident in them, recorded, to be handed over."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from bench.incident_streams import scenarios
from bench.incident_streams.stream import Stream

from probes.events import Event, durable_lines
from probes.handover.facts import Facts, gather
from probes.handover.recorded_run import ReadRun, read_run
from probes.handover.window import stretch_of_incident

OUTAGE = "outage.503"
LIMITED = "rate_limited_concurrency.60"


@cache
def events_of(name: str) -> tuple[Event, ...]:
    """Return the events of a scenario: five minutes well, then its trouble, then its end."""
    return tuple(Stream(scenarios.run_of(name, 3), seed=3).events())


def recorded(
    path: Path, name: str = OUTAGE, change: Callable[[Event], Event] | None = None
) -> Path:
    """Record a scenario, each event changed as a test wants it."""
    events: Iterable[Event] = events_of(name)
    path.write_bytes(durable_lines(events if change is None else map(change, events)))
    return path


def facts_of(run: ReadRun) -> Facts:
    """Return what there is to tell of the first incident that was named."""
    record = next(one.record for one in run.report.incidents if one.record.named_ns is not None)
    return gather(
        run.timeline,
        stretch_of_incident(record, run.timeline.recorded_span),
        incident=record.word.id,
        known=[one.record for one in run.report.incidents],
    )


def facts_of_recording(path: Path) -> Facts:
    """Return the same of a recording."""
    return facts_of(read_run([path]))
