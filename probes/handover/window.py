"""Which stretch of a run is handed over.

Rule 1: of an incident all of it, with what was usual before and, where it is over, how it went on.
Rule 2: without an incident what was asked for, else the last quarter of an hour, or the whole of a
run that was no longer.
Rule 3: a stretch never reaches beyond what is recorded.
"""

from typing import Final, NamedTuple, Protocol

from probes.kit.clock import NS_PER_S
from probes.run.incidents import IncidentRecord

BEFORE_NS: Final = 300 * NS_PER_S
"""Enough to see what was usual: 30 slices of a chart."""
AFTER_NS: Final = 120 * NS_PER_S
"""Whoever reads that it is over wants to see that it stayed so."""
UNASKED_NS: Final = 900 * NS_PER_S
WHOLE_NS: Final = 3600 * NS_PER_S
"""A recording up to here is handed over whole where nothing else was asked for."""


class _Span(Protocol):
    @property
    def begin_ns(self) -> int: ...

    @property
    def end_ns(self) -> int: ...


class Stretch(NamedTuple):
    """A part of a run, in ns of its stream; both ends belong to it."""

    begin_ns: int
    end_ns: int


def stretch_of_incident(record: IncidentRecord, span: _Span) -> Stretch:
    """Return an incident's own stretch: from 5 minutes before its onset to 2 after its end."""
    end_ns = span.end_ns if record.end is None else record.end.at_ns + AFTER_NS
    return _within(Stretch(record.since_ns - BEFORE_NS, end_ns), span)


def stretch_without_incident(
    span: _Span, begin_ns: int | None = None, end_ns: int | None = None
) -> Stretch:
    """Return what is handed over where no incident is: what was asked for, else the last 15 min."""
    end_ns = span.end_ns if end_ns is None else min(end_ns, span.end_ns)
    begin_ns = end_ns - UNASKED_NS if begin_ns is None else begin_ns
    return _within(Stretch(begin_ns, end_ns), span)


def _within(stretch: Stretch, span: _Span) -> Stretch:
    begin_ns = min(max(stretch.begin_ns, span.begin_ns), span.end_ns)
    return Stretch(begin_ns, max(begin_ns, min(stretch.end_ns, span.end_ns)))
