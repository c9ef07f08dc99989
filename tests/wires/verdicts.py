"""What was said of a run, held to what was true of it. Pure: it reads lines and truths, no clock.

Rule 1. Only `named` incidents count as said; one stands from the line that names it until the line
        that clears or settles it, or says otherwise under the same id, or the run's end.
Rule 2. It is right where its cause is the truth's, or one that the truth allows beside it, and
        every route of it is hit. What is said within `GRACE_S` after a fault's end may still be of
        that fault: nobody can clear at once.
Rule 3. Whatever stands and is right of no truth is wrong, for as long as it stands. `unknown`
        beside a truth is not wrong, and names nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wires.playing import Line

GRACE_S: Final = 60.0
"""How long a fault may be cleared after its end."""
SLOW_GRACE_S: Final = 120.0
"""The same of faults that hit less than a fifth of the requests."""
ROUTES_LATER_S: Final = 10.0
"""How much later than its cause all its routes may be known: each shows it by its own samples."""
SINCE_WITHIN_S: Final = 10.0
WRONG_AT_MOST_S: Final = 10.0
_S: Final = 1e9


@dataclass(frozen=True)
class Truth:
    """One thing that was wrong."""

    cause: str
    routes: frozenset[str]
    """Those that it hit."""
    from_ns: int
    to_ns: int
    within_s: float = 30.0
    """How soon it is to be named."""
    also: frozenset[str] = frozenset()
    """Causes that are no mistake beside it."""
    grace_s: float = GRACE_S

    def allows(self, said: "Standing") -> bool:
        """Tell whether something that stands is right of this."""
        causes = self.also | {self.cause, "unknown"}
        in_time = said.from_ns >= self.from_ns and said.from_ns < self.to_ns + self.grace_s * _S
        return said.cause in causes and said.routes <= self.routes and in_time


@dataclass(frozen=True)
class Standing:
    """One verdict, for as long as it stood unchanged."""

    id: str
    cause: str
    routes: frozenset[str]
    since_ns: int
    from_ns: int
    """When it could be read."""
    to_ns: int
    ended: str
    """`cleared`, `settled`, `changed`, or empty: it stood at the end."""
    text: str = ""


@dataclass
class Verdict:
    """How one truth fared; what never happened is None."""

    truth: Truth
    named_after_s: float | None = None
    """From the onset to the first line that names its cause on one of its routes at least."""
    perhaps_after_s: float | None = None
    routes_after_s: float | None = None
    """The same to the line whose routes are exactly those that were hit."""
    since_off_s: float | None = None
    """What its last line says of the onset, less the onset."""
    cleared_after_s: float | None = None
    """From the end to the line after which none of its incidents stood."""
    ids: list[str] = field(default_factory=list)
    """Of the incidents that named it: one fault is one incident."""
    beside: list[str] = field(default_factory=list)
    """Allowed causes that were said beside it."""
    mistakes: list[str] = field(default_factory=list)
    """In words; none: it is right in everything."""


@dataclass
class Judgement:
    """How a run fared."""

    verdicts: list[Verdict]
    wrong_s: float
    """How long something wrong stood, in sum."""
    wrong: list[str]
    """What that was, in words."""

    @property
    def is_right(self) -> bool:
        """Everything was named, nothing else was."""
        return not self.wrong_s > WRONG_AT_MOST_S and not any(v.mistakes for v in self.verdicts)


def standings(lines: Sequence[Line], end_ns: int) -> list[Standing]:
    """Return the verdicts that stood in a run, in order of their beginning."""
    found: list[Standing] = []
    open_ones: dict[str, Line] = {}

    def close(key: str, to_ns: int, ended: str) -> None:
        line = open_ones.pop(key, None)
        if line is not None:
            found.append(_standing(line, to_ns, ended))

    for line in lines:
        event = line.event
        if event["type"] != "diagnosis":
            continue
        key = event["id"]
        state = event["state"]
        close(key, line.seen_ns, state if state in ("cleared", "settled") else "changed")
        if state == "named":
            open_ones[key] = line
    for key in tuple(open_ones):
        close(key, end_ns, "")
    return sorted(found, key=lambda one: one.from_ns)


def judge(lines: Sequence[Line], truths: Iterable[Truth], end_ns: int) -> Judgement:
    """Hold what a run's lines say to what was true of it, until `end_ns`."""
    stood = standings(lines, end_ns)
    truths = list(truths)
    wrong = [one for one in stood if not any(truth.allows(one) for truth in truths)]
    wrong_s = sum((one.to_ns - one.from_ns) / _S for one in wrong)
    words = [
        f"{one.cause} on {', '.join(sorted(one.routes))} for {(one.to_ns - one.from_ns) / _S:.0f} s"
        for one in wrong
    ]
    return Judgement([_verdict(truth, stood, lines) for truth in truths], wrong_s, words)


def _verdict(truth: Truth, stood: Sequence[Standing], lines: Sequence[Line]) -> Verdict:
    verdict = Verdict(truth)
    of_it = [one for one in stood if truth.allows(one)]
    named = [one for one in of_it if one.cause == truth.cause]
    verdict.beside = sorted({one.cause for one in of_it} - {truth.cause})
    verdict.ids = list(dict.fromkeys(one.id for one in named))
    verdict.perhaps_after_s = _first_perhaps(truth, lines)
    if not named:
        verdict.mistakes.append("not named")
        return verdict
    verdict.named_after_s = (named[0].from_ns - truth.from_ns) / _S
    exact = [one for one in named if one.routes == truth.routes]
    if exact:
        verdict.routes_after_s = (exact[0].from_ns - truth.from_ns) / _S
    # An incident may end under another name: errors that retries came to hide, say.
    last = [one for one in of_it if one.id in verdict.ids][-1]
    verdict.since_off_s = (last.since_ns - truth.from_ns) / _S
    if last.ended in ("cleared", "settled"):
        verdict.cleared_after_s = (last.to_ns - truth.to_ns) / _S
    verdict.mistakes += _mistakes(verdict)
    return verdict


def _mistakes(verdict: Verdict) -> list[str]:
    truth, found = verdict.truth, []
    if verdict.named_after_s is not None and verdict.named_after_s > truth.within_s:
        found.append("late")
    if verdict.routes_after_s is None:
        found.append("other routes")
    elif verdict.routes_after_s > truth.within_s + ROUTES_LATER_S:
        found.append("routes late")
    if verdict.since_off_s is not None and abs(verdict.since_off_s) > SINCE_WITHIN_S:
        found.append("since off")
    if verdict.cleared_after_s is None:
        found.append("not cleared")
    elif verdict.cleared_after_s > truth.grace_s:
        found.append("cleared late")
    elif verdict.cleared_after_s < 0:
        found.append("cleared too soon")
    if len(verdict.ids) > 1:
        found.append(f"{len(verdict.ids)} incidents")
    return found


def _first_perhaps(truth: Truth, lines: Sequence[Line]) -> float | None:
    for line in lines:
        event = line.event
        if event["type"] == "diagnosis" and event["state"] == "perhaps":
            like_it = event["cause"] == truth.cause and truth.routes >= set(event["routes"])
            if like_it and line.seen_ns >= truth.from_ns:
                return (line.seen_ns - truth.from_ns) / _S
    return None


def _standing(line: Line, to_ns: int, ended: str) -> Standing:
    event: dict[str, Any] = line.event
    return Standing(
        id=event["id"],
        cause=event["cause"],
        routes=frozenset(event["routes"]),
        since_ns=event["since_ns"],
        from_ns=line.seen_ns,
        to_ns=to_ns,
        ended=ended,
        text=event.get("text", ""),
    )
