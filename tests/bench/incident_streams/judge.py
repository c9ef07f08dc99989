"""What the diagnoses of a run were worth, held against what really happened in it.

Rule 1. A cause counts from `named` on: what is said with `perhaps` is neither right nor wrong.
Rule 2. `unknown` names nothing: it is not right, and wrong only where nothing is.
Rule 3. A fault's name is right from its onset until its time to be cleared is over; what stands
        longer is late, not wrong. Whatever else is named is wrong for as long as it stands.
Rule 4. A right name has the routes that are hit, all and no other, within `SHARING_S` of its limit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from probes.diagnosis import Diagnostician
from probes.events import Cause, Diagnosis, Event
from probes.kit.clock import NS_PER_S

from .stream import START_NS, Stream
from .trouble import Outline, Trouble

MOST_WRONG_S: Final = 10.0
"""So long, in sum, a wrong cause may stand."""
SHARING_S: Final = 20.0
"""Which routes share a fault may be known so much later than the fault."""


@dataclass(slots=True)
class Span:
    """For how long one incident was named, with one cause and the same routes."""

    id: str
    cause: Cause
    routes: frozenset[str]
    begin_s: float
    end_s: float
    since_s: float
    text: str


@dataclass(slots=True)
class Finding:
    """How one trouble was told."""

    trouble: Trouble
    named_s: float | None = None
    """From its onset to its right name; None for never."""
    whole_s: float | None = None
    """From its onset until the right name had all its routes and no other."""
    since_off_s: float | None = None
    cleared_s: float | None = None
    """From its end until nothing said so any more."""
    ids: set[str] = field(default_factory=set)
    twins: int = 0
    """Ids beyond the first of the same cause."""
    flaps: int = 0
    unknown_s: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What is to be held against it, in words."""
        trouble = self.trouble
        if not trouble.causes or trouble.is_passing:
            return []
        if self.named_s is None:
            return ["not named"]
        named_s, whole_s, cleared_s = self.named_s, self.whole_s, self.cleared_s
        off_s, flaps = self.since_off_s or 0.0, bool(trouble.flap_s)
        held = (
            (named_s > trouble.limit_s, f"named after {named_s:.0f} s, not {trouble.limit_s:.0f}"),
            (whole_s is None, "never of its routes alone"),
            (
                (whole_s or 0) > trouble.limit_s + SHARING_S,
                f"of its routes after {whole_s or 0:.0f} s",
            ),
            (cleared_s is None, "not cleared"),
            (
                (cleared_s or 0) > trouble.clear_s,
                f"cleared after {cleared_s or 0:.0f} s, not {trouble.clear_s:.0f}",
            ),
            # Of what comes and goes, each coming may be an incident of its own.
            (not flaps and abs(off_s) > trouble.since_s, f"since off by {off_s:+.0f} s"),
            (not flaps and self.flaps > 0, f"{self.flaps} flaps"),
            (not flaps and self.twins > self.flaps, f"{1 + self.twins} ids"),
        )
        return [text for is_so, text in held if is_so]


@dataclass(slots=True)
class Report:
    """How a whole run was told."""

    findings: list[Finding]
    wrong: list[Span]
    """Names that were wrong, each with for how long."""
    wrong_s: float = 0.0
    well_s: float = 0.0
    """Of that on routes that nothing was wrong with."""
    false: int = 0
    """Incidents that were named while and where nothing was wrong."""
    lines: list[Diagnosis] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What is to be held against it, in words."""
        found = [text for one in self.findings for text in one.faults]
        if self.wrong_s > MOST_WRONG_S:
            names = sorted({f"{one.cause} of {'+'.join(sorted(one.routes))}" for one in self.wrong})
            found.append(f"wrong for {self.wrong_s:.0f} s: {', '.join(names)}")
        elif self.well_s:
            found.append(f"on a well route for {self.well_s:.0f} s")
        return found


class Judge:
    """Takes the diagnoses of a run in their order; `report` tells what they were worth."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._open: dict[str, Span] = {}
        self._spans: list[Span] = []
        self._lines: list[Diagnosis] = []

    def hear(self, line: Diagnosis) -> None:
        """Take one diagnosis."""
        self._lines.append(line)
        at_s = _seconds(line.at_ns)
        before = self._open.pop(line.id, None)
        if before is not None:
            before.end_s = at_s
        if line.state == "named":
            span = Span(
                id=line.id,
                cause=line.cause,
                routes=frozenset(line.routes),
                begin_s=at_s,
                end_s=self._outline.length_s,
                since_s=_seconds(line.since_ns),
                text=line.text,
            )
            self._open[line.id] = span
            self._spans.append(span)

    def report(self) -> Report:
        """Return what it all was worth, at the end of the run."""
        troubles = self._outline.troubles
        report = Report([self._finding(one) for one in troubles], [], lines=self._lines)
        false: set[str] = set()
        for span in self._spans:
            wrong_s = span.end_s - span.begin_s
            well_s = 0.0
            at_all = False
            for low, high in _pieces(span, troubles):
                now = [one for one in troubles if _holds(one, low)]
                hit = {name for one in now for name in one.routes}
                right = [one for one in now if span.cause in one.causes]
                allowed = {name for one in right for name in one.routes}
                unnamed = span.cause == "unknown" and span.routes <= hit
                begun_s = next(one.begin_s for one in self._spans if one.id == span.id)
                late = any(_is_late(one, span, begun_s, low) for one in troubles)
                if unnamed or late or (right and span.routes <= allowed):
                    wrong_s -= high - low
                elif not span.routes <= hit:
                    well_s += high - low
                    at_all = at_all or not span.routes & hit
            if wrong_s > 0.01:
                report.wrong.append(span)
                report.wrong_s += wrong_s
                report.well_s += well_s
                if at_all:
                    false.add(span.id)
        report.false = len(false)
        return report

    def _finding(self, trouble: Trouble) -> Finding:
        finding = Finding(trouble)
        hit = frozenset(trouble.routes)
        late_s = trouble.end_s + trouble.clear_s
        mine = [
            one
            for one in self._spans
            if one.cause in trouble.causes
            and one.routes & hit
            and one.begin_s < trouble.end_s + 5.0
            and one.end_s > trouble.onset_s
        ]
        for span in self._spans:
            if span.cause == "unknown" and span.routes & hit:
                low, high = max(span.begin_s, trouble.onset_s), min(span.end_s, trouble.end_s)
                finding.unknown_s += max(0.0, high - low)
        if not mine:
            return finding
        first = mine[0]
        finding.named_s = max(0.0, first.begin_s - trouble.onset_s)
        whole = [one for one in mine if one.routes == hit]
        if whole:
            finding.whole_s = max(0.0, whole[0].begin_s - trouble.onset_s)
        told = [one for one in mine if one.begin_s <= trouble.end_s] or mine
        finding.since_off_s = told[-1].since_s - trouble.onset_s
        finding.ids = {one.id for one in mine}
        finding.twins = len({(one.cause, one.id) for one in mine}) - len(
            {one.cause for one in mine}
        )
        last_s = max(one.end_s for one in mine)
        # What was named anew after its end with the same id stands on.
        for span in self._spans:
            if span.id in finding.ids:
                last_s = max(last_s, span.end_s)
        if last_s < self._outline.length_s - 0.01:
            finding.cleared_s = max(0.0, last_s - trouble.end_s)
        # A flap: it was over although the fault was not, or came back after it had been cleared.
        cleared = [
            _seconds(line.at_ns)
            for line in self._lines
            if line.id in finding.ids and line.state == "cleared"
        ]
        again = [
            one
            for one in self._spans
            if one.cause in trouble.causes
            and one.routes & hit
            and one.begin_s < late_s + 60.0
            and any(at_s <= one.begin_s for at_s in cleared)
        ]
        finding.flaps = len({one.id for one in again}) if again else 0
        return finding


def _pieces(span: Span, troubles: tuple[Trouble, ...]) -> Iterator[tuple[float, float]]:
    """Cut a span where a trouble begins to hold, or ends."""
    cuts = {span.begin_s, span.end_s}
    for one in troubles:
        for at_s in (one.onset_s, one.end_s + one.clear_s):
            if span.begin_s < at_s < span.end_s:
                cuts.add(at_s)
    yield from pairwise(sorted(cuts))


def _holds(trouble: Trouble, at_s: float) -> bool:
    return trouble.onset_s <= at_s < trouble.end_s + trouble.clear_s


def _is_late(trouble: Trouble, span: Span, begun_s: float, at_s: float) -> bool:
    """Tell whether a right name, whose incident was first named at `begun_s`, stands when it should
    have been cleared."""
    return (
        at_s >= trouble.end_s + trouble.clear_s
        and span.cause in trouble.causes
        and span.routes <= set(trouble.routes)
        and begun_s < trouble.end_s + trouble.clear_s
    )


def _seconds(at_ns: int) -> float:
    return (at_ns - START_NS) / NS_PER_S


def diagnose(
    outline: Outline, seed: int, see: Callable[[Event, Sequence[Diagnosis]], object] | None = None
) -> Report:
    """Give a run to the shipped diagnostician and return how it did.

    What it suspects is probed more often, as an engine would. `see` is shown each event with what
    was said of it.
    """
    stream, judge, diagnostician = Stream(outline, seed), Judge(outline), Diagnostician()
    fold = diagnostician.fold
    for event in stream.events():
        said = [one for one in fold(event) if isinstance(one, Diagnosis)]
        for line in said:
            judge.hear(line)
        if see is not None:
            see(event, said)
        stream.suspects = diagnostician.suspects
    return judge.report()
