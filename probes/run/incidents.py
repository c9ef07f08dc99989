"""What became of each incident of a run: a pure fold of its verdicts.

Rule 1: the last word that says what it is counts, for cause, since and figures; that it is over is
kept beside it, so that a cleared incident still tells what it had been. Routes recover one by one:
a word that merely names fewer of them than the one before says how it ends, not what it was.
Rule 2: memory is bounded: of incidents that are over the oldest go first.
Rule 3: wall times are those of the clock by which the stream went when the incident was last spoken
of; where it never told one they are not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from probes.events import Cause, Diagnosis, Event, Hello, SeenBefore, Tick
from probes.events.spoken_of import tells_of
from probes.kit.exit_status import ExitStatus
from probes.kit.short_figures import date_and_time

_KEPT: Final = 1_000
"""More than a person reads of a run; some 2 MB."""
_CAUSES_KEPT: Final = 20
"""What changes its mind more often has no mind."""
_ROUTES_NAMED: Final = 8
"""In a remark; the stream has all."""


@dataclass(slots=True)
class IncidentRecord:
    """One incident, by what is known of it by now."""

    word: Diagnosis
    """The last that said what it is, `perhaps` or `named`; but for rule 1."""
    begun_ns: int
    """When it was first spoken of."""
    named_ns: int | None = None
    """When it was named; None where it never was."""
    routes: tuple[str, ...] = ()
    """All that it ever hit, sorted; once it was named, those that were named."""
    end: Diagnosis | None = None
    """That it is over, or the usual from then on; None while it is open."""
    causes: list[tuple[int, Cause]] = field(default_factory=list)
    """Everything that it was taken for, each with when that began; the newest last."""
    anchor_ns: int | None = None
    """What makes Unix time of its stamps; None where that is not known."""
    seen: SeenBefore | None = None
    """What was told of such incidents before it, by the history of who recorded it."""

    @property
    def since_ns(self) -> int:
        """Its onset, as far as is known by now."""
        end = self.end
        return end.since_ns if end and end.routes == self.word.routes else self.word.since_ns

    def wall_ns(self, at_ns: int) -> int | None:
        """Return a stamp of its as Unix time; None where that is not known."""
        return None if self.anchor_ns is None else at_ns + self.anchor_ns


class RunIncidents:
    """Every incident of a stream, in the order in which they were first spoken of."""

    def __init__(self) -> None:
        self._records: dict[str, IncidentRecord] = {}
        self._anchor_ns: int | None = None

    @property
    def records(self) -> tuple[IncidentRecord, ...]:
        """All that are kept."""
        return tuple(self._records.values())

    @property
    def named(self) -> tuple[IncidentRecord, ...]:
        """Those that were named, whatever became of them."""
        return tuple(record for record in self._records.values() if record.named_ns is not None)

    def fold(self, event: Event) -> None:
        """Take one event, in the order of the stream."""
        if isinstance(event, (Hello, Tick)):
            self._anchor_ns = event.wall_ns - event.at_ns
        elif isinstance(event, Diagnosis):
            self._hear(event)
        elif isinstance(event, SeenBefore):
            for record in self._records.values():
                if record.end is None and tells_of(event, record.word):
                    record.seen = max(filter(None, (event, record.seen)), key=lambda one: one.times)

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Take a batch."""
        for event in events:
            self.fold(event)

    def _hear(self, word: Diagnosis) -> None:
        record = self._records.get(word.id)
        if record is None:
            record = self._records[word.id] = IncidentRecord(word, word.at_ns)
            self._forget()
        record.anchor_ns = self._anchor_ns
        if word.state in ("cleared", "settled"):
            record.end = word
            return
        record.end = None
        if (word.cause, word.places) != (record.word.cause, record.word.places):
            record.seen = None  # that was of something else
        is_naming = word.state == "named" and record.named_ns is None
        hit = word.routes if is_naming else (*record.routes, *word.routes)
        record.routes = tuple(sorted(set(hit)))
        if is_naming or not word.merely_recovers(record.word):
            record.word = word
        if not record.causes or record.causes[-1][1] != word.cause:
            record.causes = [*record.causes[-_CAUSES_KEPT + 1 :], (word.at_ns, word.cause)]
        if is_naming:
            record.named_ns = word.at_ns

    def _forget(self) -> None:
        if len(self._records) <= _KEPT:
            return
        over = (name for name, record in self._records.items() if record.end is not None)
        del self._records[next(over, next(iter(self._records)))]


def incidents_status(log: RunIncidents) -> ExitStatus:
    """Return what `--fail-on-incident` ends a run with."""
    return ExitStatus.INCIDENT if log.named else ExitStatus.OK


def incident_remarks(log: RunIncidents) -> Iterable[str]:
    """Return, a line each, what was named in a run: `alpha: dns since …, until …`."""
    for record in log.named:
        word, end = record.word, record.end
        more = len(record.routes) - _ROUTES_NAMED
        names = ", ".join(record.routes[:_ROUTES_NAMED]) + (f" and {more} more" if more > 0 else "")
        since = date_and_time(record.wall_ns(record.since_ns))
        if end is None:
            ending = "not over"
        elif end.state == "cleared":
            ending = f"until {date_and_time(record.wall_ns(end.at_ns))}"
        else:
            ending = f"the usual since {date_and_time(record.wall_ns(end.at_ns))}"
        yield f"{names or 'all routes'}: {word.cause} since {since}, {ending}"
