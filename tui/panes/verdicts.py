"""The verdicts under the header: what is wrong, since when, why one thinks so, what to do.

Rule 1. A verdict is one line at any width, and there are three at most; the last one counts those
that are not shown. When all is well there is none, and no empty line either.
Rule 2. Who, what and since never go. Of the rest goes first what is as usual, then figures beyond
the second, the server's own words (which the table's foot has too), the second figure, how long it
has been (which is a column of the table), the advice, and the first figure last. A mark stands for
the last two, where there is a cell for one. A figure that would be cut leaves its place to advice
that need not be: half a figure says nothing.
Rule 3. The words are those of `probes.events.diagnosis_words`, which a report has too.
"""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from probes.board.views import IncidentView, RecoveryView, RouteState, Snapshot
from probes.events.diagnosis_words import (
    advice_words,
    as_usual_words,
    evidence_parts,
    recovery_words,
    since_words,
    what_words,
    who_words,
)
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.text import MARK, Line, Role, Span, cells, clip, left, line_width, pad, time_of_day
from tui.panes.routes import OURS, STATE_GLYPHS, STATE_ROLES
from tui.panes.view import ViewState

MOST_VERDICTS: Final = 3
"""More lines than one glance takes in would push away what they are about."""
RECOVERED: Final = "✓"

_NAME_LIMIT: Final = 24
"""Characters of a route's name, as in the table."""
_WORDS_LIMIT: Final = 160
_MOST_EVIDENCE: Final = 2
"""Parts of it that come before the advice where there is no room for all."""
_LEAST_PART: Final = 12
"""Cells in which the beginning of a figure still says something."""
_LEAST_WHO: Final = 6
_ALIGNED_FROM: Final = 120
"""Cells from which what is wrong begins in one column: the eye finds it, and there is room."""


class VerdictLine(NamedTuple):
    """One line in its parts."""

    glyph: str
    role: Role
    """Of the glyph, and where it is loud of what is wrong."""
    who: str
    what: str
    since: str
    brief: str = ""
    """The same in fewer cells."""
    idle: str = ""
    """That nobody looks at it, and since when."""
    evidence: tuple[str, ...] = ()
    """The strongest first."""
    said: str = ""
    """The server's own words, which belong to the first of it."""
    unmoved: tuple[str, ...] = ()
    """What is as usual: all of it, and then fewer and fewer."""
    advice: str = ""
    faint: bool = False
    """It may be chance: nothing of it is loud."""


def verdict_count(snapshot: Snapshot) -> int:
    """Return how many lines there are to be shown, where there is room."""
    return min(MOST_VERDICTS, len(snapshot.incidents) + len(snapshot.recoveries))


def verdicts_lines(
    snapshot: Snapshot,
    view: ViewState,  # noqa: ARG001
    width: int,
    height: int,
    zone: tzinfo | None = None,
) -> list[Line]:
    """Return a line for each verdict, the worst first, and then for what has recovered.

    Args:
        snapshot: what there is to tell.
        view: nothing of it matters here.
        width: cells of a line.
        height: lines at most.
        zone: time zone of the wall time; None is the machine's own.
    """
    open_ones = snapshot.incidents[:height]
    verdicts = [_of_incident(one, snapshot, zone) for one in open_ones]
    over = snapshot.recoveries[: max(0, height - len(verdicts))]
    verdicts += [_of_recovery(one, snapshot, zone) for one in over]
    more = len(snapshot.incidents) - len(open_ones)
    if width >= _ALIGNED_FROM:
        widest = max((cells(one.who) for one in verdicts), default=0)
        verdicts = [
            one._replace(who=one.who + " " * max(0, min(widest, _NAME_LIMIT) - cells(one.who)))
            if one.who
            else one
            for one in verdicts
        ]
    lines = [verdict_line(verdict, width) for verdict in verdicts]
    if more > 0 and lines:
        note = f" +{more} more"
        shorter = verdict_line(verdicts[-1], max(0, width - len(note)))
        lines[-1] = clip((*pad(shorter, max(0, width - len(note))), (note, "title")), width)
    return lines


def verdict_line(verdict: VerdictLine, width: int) -> Line:
    """Return one verdict in at most `width` cells."""
    said, fewest = verdict.said, verdict.evidence[:_MOST_EVIDENCE]
    whole, brief = (_head(verdict, since, width) for since in (verdict.since, verdict.brief))
    # Beside the figures and the advice: the words have what is left over, their joint included.
    beside = line_width((*whole, *_parts(_told(verdict, fewest, ""), verdict))) + len(" · ")
    cut = left(said, width - beside).rstrip() if width - beside >= _LEAST_PART else ""
    least = _told(verdict, fewest[:1], "")
    for line, told in (
        *((whole, (*_told(verdict, verdict.evidence, said), few)) for few in verdict.unmoved),
        (whole, _told(verdict, verdict.evidence, said)),
        (whole, _told(verdict, fewest, said)),
        (whole, _told(verdict, fewest, cut)),
        (whole, least),
        (brief, least),
    ):
        parts = _parts(told, verdict)
        if line_width((*line, *parts)) <= width:
            return (*line, *parts)
    told = _told(verdict, fewest, said)
    parts = _parts(told, verdict)
    line = whole if line_width((*whole, *parts[:1])) + 2 <= width else brief
    figure = _parts(least, verdict)[:1]
    if least and verdict.advice and line_width((*brief, *figure)) + 2 > width:
        instead: Line = (*brief, (f" {MARK}", "dim"), (f" → {verdict.advice}", parts[-1][1]))
        if line_width(instead) <= width:
            return instead
    for place, part in enumerate(parts):
        left_over = width - line_width(line)
        # What follows needs room for the mark that says it is missing.
        if line_width((part,)) + (2 if place < len(parts) - 1 else 0) <= left_over:
            line = (*line, part)
        elif left_over >= _LEAST_PART and place < len(told):
            return (*line, *clip((part,), min(left_over, line_width((part,)) - 1)))
        else:
            return (*line, (f" {MARK}", "dim")) if left_over >= 2 else line
    return line


def _told(verdict: VerdictLine, evidence: Sequence[str], said: str) -> tuple[str, ...]:
    """Return what speaks for it, with so much of the server's own words."""
    if said:
        evidence = (f"{evidence[0]}: {said}", *evidence[1:]) if evidence else (said,)
    return tuple(part for part in (verdict.idle, *evidence) if part)


def _parts(told: Sequence[str], verdict: VerdictLine) -> Line:
    """Return what may go, the most needed first."""
    told = [part for part in told if part]
    joints = (" · ", *["; "] * len(told))
    parts: list[Span] = [(joint + part, "dim") for joint, part in zip(joints, told, strict=False)]
    if verdict.advice:
        parts.append((f"   → {verdict.advice}", "dim" if verdict.faint else "accent"))
    return tuple(parts)


def _head(verdict: VerdictLine, since: str, width: int) -> Line:
    """Return who, what and since, in as few words as the width asks for."""
    loud: Role = "dim" if verdict.faint else verdict.role
    who_role: Role = "dim" if verdict.faint else "title"
    who, what = verdict.who, verdict.what
    fixed = 3 + bool(who) + cells(verdict.what) + bool(since)  # the glyph, and blanks
    if fixed + cells(who) + cells(since) > width and verdict.brief:
        since = verdict.brief
    room = width - fixed - cells(since)
    if cells(who) > room:
        who = left(who, max(_LEAST_WHO, room)).rstrip()
    what_room = width - (3 + bool(who) + cells(who) + bool(since) + cells(since))
    if cells(what) > what_room:
        what = left(what, max(_LEAST_PART, what_room))
    line: Line = (
        (f" {verdict.glyph} ", verdict.role),
        (f"{who} " if who else "", who_role),
        (what, loud),
        (f" {since}" if since else "", "dim" if verdict.faint else "text"),
    )
    return clip(line, width)


def _of_incident(incident: IncidentView, snapshot: Snapshot, zone: tzinfo | None) -> VerdictLine:
    diagnosis, is_ours = incident.diagnosis, incident.diagnosis.cause == "local_observer"
    moment = time_of_day(diagnosis.since_ns, snapshot.wall_anchor_ns, zone)
    lasted_s = (snapshot.now_ns - diagnosis.since_ns) / NS_PER_S
    is_faint = diagnosis.state == "perhaps"
    glyph, role = _look_of(incident.state or "slow")
    said = neutralise(incident.said, _WORDS_LIMIT)
    advice, idle_ns = diagnosis.advice, incident.idle_since_ns
    idle = ""
    if idle_ns is not None:
        idle = f"not probed since {time_of_day(idle_ns, snapshot.wall_anchor_ns, zone)}"
    return VerdictLine(
        glyph=OURS if is_ours else glyph,
        role="dim" if is_faint else role,
        who="" if is_ours else _who(diagnosis.routes),
        what=what_words(diagnosis),
        since=since_words(moment, lasted_s),
        brief=f"since {moment}",
        idle=idle,
        evidence=evidence_parts(diagnosis),
        said=said,
        unmoved=tuple(
            as_usual_words(diagnosis.against[:number])
            for number in range(len(diagnosis.against), 0, -1)
        ),
        advice="" if advice is None else neutralise(advice_words(advice), _WORDS_LIMIT),
        faint=is_faint,
    )


def _of_recovery(recovery: RecoveryView, snapshot: Snapshot, zone: tzinfo | None) -> VerdictLine:
    diagnosis = recovery.diagnosis
    moment = time_of_day(diagnosis.at_ns, snapshot.wall_anchor_ns, zone)
    lasted_s = (diagnosis.at_ns - diagnosis.since_ns) / NS_PER_S
    if diagnosis.cause == "local_observer":
        who, was = "our machine", "busy"
    else:
        who, was = _who(diagnosis.routes), recovery.was or "ill"
    return VerdictLine(
        RECOVERED, "good", who, recovery_words(moment, lasted_s, was), "", faint=True
    )


def _who(routes: Sequence[str]) -> str:
    return who_words([neutralise(name, _NAME_LIMIT) for name in routes])


def _look_of(state: RouteState) -> tuple[str, Role]:
    role = STATE_ROLES[state]
    # White on red is for a glyph alone: a whole line of it would hide the other lines.
    return STATE_GLYPHS[state], "missed" if role == "alert" else role


def verdict_route(snapshot: Snapshot, height: int, line: int) -> str | None:
    """Return the first route of the verdict in a line; None where it is of none that there is."""
    told = [one.diagnosis for one in snapshot.incidents[:height]]
    told += [one.diagnosis for one in snapshot.recoveries]
    if not 0 <= line < len(told):
        return None
    there = {route.name for route in snapshot.routes}
    return next((name for name in told[line].routes if name in there), None)
