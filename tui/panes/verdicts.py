"""The verdicts under the header: what is wrong, since when, why one thinks so, what to do.

Rule 1. A verdict is one line at any width, and there are three at most; the last one counts those
that are not shown, which `n` goes to. When all is well one calm line says since when.
Rule 2. Who, what and since never go. First goes what is as usual and what is beyond the second
figure, and the server's own words are cut to their beginning; then, from the right, the advice,
which the foot of the table has too, the second figure, and the first. A cut ends in a mark.
Rule 3. A route that hurts badly has a line even where no incident is known of it, such as one that
was ill before anybody could tell what is usual: what the table shouts is never missing here.
        So does one whose open pace is not kept: its users wait though it serves them well.
Rule 4. The words are those of `probes.events.diagnosis_words`, which a report has too.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from probes.board.views import IncidentView, RecoveryView, RouteState, RouteView, Snapshot
from probes.events import Diagnosis
from probes.events.diagnosis_words import (
    advice_words,
    as_usual_words,
    evidence_parts,
    hit_names,
    past_words,
    recovery_words,
    scope_words,
    since_words,
    what_words,
    who_words,
)
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.text import (
    MARK,
    Line,
    Role,
    cells,
    clip,
    counted,
    lasting,
    left,
    line_width,
    pad,
    share,
    time_of_day,
)
from tui.keys import Hotkey, advice_keys, first_key
from tui.panes.pace import BEHIND, is_behind, lamp_words, late_words, remedy_words
from tui.panes.routes import OURS, STATE_GLYPHS, STATE_ROLES
from tui.panes.view import ViewState

MOST_VERDICTS: Final = 3
"""More lines than one glance takes in would push away what they are about."""
RECOVERED: Final = "✓"
WELL: Final = "·"

_BAD: Final = frozenset[RouteState](
    ("down", "hanging", "failing", "throttled", "stalling", "sluggish")
)
"""What nobody may overlook; a milder state comes and goes with a few samples."""
NO_CAUSE: Final = "no cause is known yet"
_NAME_LIMIT: Final = 24
"""Characters of a route's name, as in the table."""
_WORDS_LIMIT: Final = 160
_MOST_EVIDENCE: Final = 2
"""Parts of it that come before the advice where there is no room for all."""
_LEAST_WORDS: Final = 24
"""The same of a server's own words: behind their status."""
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
    """From which of several places it is seen; that nobody looks at it, and since when."""
    evidence: tuple[str, ...] = ()
    """The strongest first."""
    said: str = ""
    """The server's own words, which belong to the first of it."""
    unmoved: tuple[str, ...] = ()
    """What is as usual: all of it, and then fewer and fewer."""
    past: tuple[str, ...] = ()
    """How often it was seen before, whole and in fewer words."""
    advice: str = ""
    faint: bool = False
    """It may be chance: nothing of it is loud."""


def verdict_count(snapshot: Snapshot) -> int:
    """Return how many lines there are to be shown, where there is room."""
    open_ones = len(snapshot.incidents) + len(_untold(snapshot))
    told = open_ones + len(snapshot.recoveries) + (well_words(snapshot) != "")
    return min(MOST_VERDICTS, told)


def well_words(snapshot: Snapshot) -> str:
    """Return since when all routes are well; empty where one is not."""
    header = snapshot.header
    is_ill = bool(snapshot.incidents) or any(is_behind(row) for row in snapshot.routes)
    if header.well_since_ns is None or is_ill:
        return ""
    lasted_s = max(0.0, (snapshot.now_ns - header.well_since_ns) / NS_PER_S)
    who = "the route is"
    if header.routes == 2:
        who = "both routes"
    elif header.routes > 2:
        who = f"all {counted(header.routes, 'route', short=True)}"
    told = f"{who} well for {lasting(lasted_s)} · {counted(header.finished, 'probe', short=True)}"
    if header.good_share is not None:
        told += f", {share(header.good_share)} % good"
    return told


def verdicts_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    zone: tzinfo | None = None,
) -> list[Line]:
    """Return a line for each verdict, the worst first, and then for what has recovered.

    Args:
        snapshot: what there is to tell.
        view: of it the key that goes to what is not shown.
        width: cells of a line.
        height: lines at most.
        zone: time zone of the wall time; None is the machine's own.
    """
    open_ones = snapshot.incidents[:height]
    keys = advice_keys(view.keys)
    verdicts = [_of_incident(one, snapshot, keys, zone) for one in open_ones]
    untold = _untold(snapshot)
    verdicts += [_of_route(one, snapshot, view.keys, zone) for one in untold][
        : height - len(verdicts)
    ]
    more = len(snapshot.incidents) + len(untold) - len(verdicts)
    over = snapshot.recoveries[: max(0, height - len(verdicts))]
    verdicts += [_of_recovery(one, snapshot, zone) for one in over]
    past = len(snapshot.recoveries) - len(over)
    if width >= _ALIGNED_FROM:
        widest = max((cells(one.who) for one in verdicts), default=0)
        verdicts = [
            one._replace(who=one.who + " " * max(0, min(widest, _NAME_LIMIT) - cells(one.who)))
            if one.who
            else one
            for one in verdicts
        ]
    lines = [verdict_line(verdict, width) for verdict in verdicts]
    # No key goes to what is over: the log has it. What goes on is counted before it.
    told = (first_key("trouble", view.keys) if more else "") or "more"
    if lines and (more or (past and over)):
        note = f" +{more or past} {told} "
        shorter = verdict_line(verdicts[-1], max(0, width - len(note)))
        lines[-1] = clip((*pad(shorter, max(0, width - len(note))), (note, "title")), width)
    well = well_words(snapshot)
    if well and len(lines) < height:
        lines.append(clip(((f" {WELL} ", "good"), (well, "dim")), width))
    return lines


def verdict_line(verdict: VerdictLine, width: int) -> Line:
    """Return one verdict in at most `width` cells."""
    said, few = verdict.said, verdict.evidence[:_MOST_EVIDENCE]
    # Where nothing else has room a mark has, for there is more to tell.
    has_more = bool(said or verdict.evidence or verdict.advice or verdict.idle)
    head = _head(verdict, verdict.since, width - has_more)
    advice: Line = ()
    if verdict.advice:
        advice = ((f"   → {verdict.advice}", "dim" if verdict.faint else "accent"),)
    # Beside the figures and the advice the words have what is left over, their joint included.
    cut, *cuts = (
        _cut(said, width - line_width((*head, *_parts(told), *advice)) - len(" · "))
        for told in (
            _told(verdict, few, ""),
            *((*_told(verdict, few, ""), past) for past in verdict.past),
        )
    )
    whole = _told(verdict, verdict.evidence, said)
    # Who is woken must know that it was so before, and what it came to, rather than what is as
    # usual, a third figure, or the last of a server's own words.
    for told in (
        *((*whole, *verdict.past[:1], usual) for usual in verdict.unmoved if verdict.past),
        *((*whole, past) for past in verdict.past),
        *((*_told(verdict, few, said), past) for past in verdict.past),
        *((*_told(verdict, few, cut), past) for cut, past in zip(cuts, verdict.past, strict=True)),
        *((*whole, usual) for usual in verdict.unmoved),
        whole,
        _told(verdict, few, said),
        _told(verdict, few, cut),
    ):
        line = (*head, *_parts(told), *advice)
        if line_width(line) <= width:
            return line
    gone: Line = ((f" {MARK}", "dim"),)
    for told in (_told(verdict, few, said), _told(verdict, few[:1], said)):
        # Without advice nothing that could be said is left out with both figures whole.
        line = (*head, *_parts(told), *(gone if advice or len(told) < len(few) else ()))
        if line_width(line) <= width:
            return line
    first = _parts(_told(verdict, few[:1], said))
    if first and width - line_width(head) >= _LEAST_PART:
        return clip((*head, *first, *gone), width)
    return clip((*head, *gone), width) if told else clip(head, width)


def _cut(said: str, room: int) -> str:
    """Return so much of a server's words as has room; all where that is too little to say much."""
    return left(said, room).rstrip() if room >= _LEAST_WORDS else said


def _told(verdict: VerdictLine, evidence: Sequence[str], said: str) -> tuple[str, ...]:
    """Return what speaks for it, with so much of the server's own words."""
    if said:
        evidence = (f"{evidence[0]}: {said}", *evidence[1:]) if evidence else (said,)
    return tuple(part for part in (verdict.idle, *evidence) if part)


def _parts(told: Sequence[str]) -> Line:
    """Return what speaks for a verdict behind its head."""
    kept = [part for part in told if part]
    joints = (" · ", *["; "] * len(kept))
    return tuple((joint + part, "dim") for joint, part in zip(joints, kept, strict=False))


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


def _of_incident(
    incident: IncidentView, snapshot: Snapshot, keys: Mapping[str, str], zone: tzinfo | None
) -> VerdictLine:
    diagnosis, is_ours = incident.diagnosis, incident.diagnosis.cause == "local_observer"
    seen, now_ns = incident.seen, snapshot.now_ns
    moment = time_of_day(diagnosis.since_ns, snapshot.wall_anchor_ns, zone)
    lasted_s = (now_ns - diagnosis.since_ns) / NS_PER_S
    is_faint = diagnosis.state == "perhaps"
    glyph, role = _look_of(incident.state or "slow")
    said = neutralise(incident.said, _WORDS_LIMIT)
    advice, idle_ns = diagnosis.advice, incident.idle_since_ns
    idle = ""
    if idle_ns is not None:
        idle = f"not probed since {time_of_day(idle_ns, snapshot.wall_anchor_ns, zone)}"
    # Of several places, from which of them: before all figures, for it says whose fault it is.
    told = "; ".join(part for part in (scope_words(diagnosis), idle) if part)
    return VerdictLine(
        glyph=OURS if is_ours else glyph,
        role="dim" if is_faint else role,
        who="" if is_ours else _hit(diagnosis),
        what=what_words(diagnosis),
        since=since_words(moment, lasted_s),
        brief=f"since {moment}",
        idle=told,
        evidence=evidence_parts(diagnosis),
        said=said,
        unmoved=tuple(
            as_usual_words(diagnosis.against[:number])
            for number in range(len(diagnosis.against), 0, -1)
        ),
        past=() if seen is None else past_words(seen, now_ns + snapshot.wall_anchor_ns, zone),
        advice="" if advice is None else neutralise(advice_words(advice, keys=keys), _WORDS_LIMIT),
        faint=is_faint,
    )


def _untold(snapshot: Snapshot) -> list[RouteView]:
    """Return the routes that hurt badly and of which no incident is known, worst first; then those
    whose open pace is not kept."""
    known = [one.diagnosis for one in snapshot.incidents]
    if any(one.cause == "local_observer" for one in known):
        return []  # all of them are slower, and none of them for itself
    named = {name for one in known for name in one.routes}
    others = [row for row in snapshot.routes if row.name not in named]
    bad = [row for row in others if row.state in _BAD]
    return bad + [row for row in others if row.state not in _BAD and is_behind(row)]


def _of_route(
    row: RouteView, snapshot: Snapshot, keys: Sequence[Hotkey], zone: tzinfo | None
) -> VerdictLine:
    if row.state not in _BAD:
        return _of_pace(row, snapshot, keys, zone)
    glyph, role = _look_of(row.state)
    since = brief = ""
    if row.since_ns is not None and row.since_s is not None:
        moment = time_of_day(row.since_ns, snapshot.wall_anchor_ns, zone)
        since, brief = since_words(moment, row.since_s), f"since {moment}"
    return VerdictLine(
        glyph=glyph,
        role=role,
        who=_who((row.name,)),
        what=row.state,
        since=since,
        brief=brief,
        evidence=tuple(filter(None, (neutralise(row.why, _WORDS_LIMIT), NO_CAUSE))),
        said=neutralise(row.said, _WORDS_LIMIT),
    )


def _of_pace(
    row: RouteView, snapshot: Snapshot, keys: Sequence[Hotkey], zone: tzinfo | None
) -> VerdictLine:
    """Return that a rate cannot be kept: its users wait, though every request is served well."""
    since = brief = ""
    if row.pace is not None and row.pace.late_since_ns is not None:
        since_ns = row.pace.late_since_ns
        moment = time_of_day(since_ns, snapshot.wall_anchor_ns, zone)
        since = since_words(moment, (snapshot.now_ns - since_ns) / NS_PER_S)
        brief = f"since {moment}"
    return VerdictLine(
        glyph=BEHIND,
        role="slow",
        who=_who((row.name,)),
        what=lamp_words(row),
        since=since,
        brief=brief,
        evidence=late_words(row),
        advice=remedy_words(row, keys),
    )


def _of_recovery(recovery: RecoveryView, snapshot: Snapshot, zone: tzinfo | None) -> VerdictLine:
    diagnosis = recovery.diagnosis
    moment = time_of_day(diagnosis.at_ns, snapshot.wall_anchor_ns, zone)
    lasted_s = (diagnosis.at_ns - diagnosis.since_ns) / NS_PER_S
    if diagnosis.cause == "local_observer":
        who, was = "our machine", "busy"
    else:
        who, was = _hit(diagnosis), recovery.was or "ill"
    return VerdictLine(
        RECOVERED, "good", who, recovery_words(moment, lasted_s, was), "", faint=True
    )


def _hit(diagnosis: Diagnosis) -> str:
    """Return whom an incident hits: routes, by the name that they share where places do; of one
    place alone that comes first, and is never cut."""
    names = hit_names(diagnosis)
    if len(diagnosis.places) == 1:
        (place,) = diagnosis.places
        return f"{place}: {_who([name.removesuffix(f'@{place}') for name in names])}"
    return _who(names)


def _who(routes: Sequence[str]) -> str:
    return who_words([neutralise(name, _NAME_LIMIT) for name in routes])


def _look_of(state: RouteState) -> tuple[str, Role]:
    role = STATE_ROLES[state]
    # White on red is for a glyph alone: a whole line of it would hide the other lines.
    return STATE_GLYPHS[state], "missed" if role == "alert" else role


def verdict_route(snapshot: Snapshot, height: int, line: int) -> str | None:
    """Return the first route of the verdict in a line; None where it is of none that there is."""
    told = [one.diagnosis.routes for one in snapshot.incidents[:height]]
    told += [(row.name,) for row in _untold(snapshot)][: height - len(told)]
    told += [one.diagnosis.routes for one in snapshot.recoveries]
    if not 0 <= line < len(told):
        return None
    there = {route.name for route in snapshot.routes}
    return next((name for name in told[line] if name in there), None)
