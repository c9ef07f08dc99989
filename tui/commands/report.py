"""`llmtop report`: what was wrong in a recorded run, in words for whoever was not there.

Rule 1: whoever reads it learns first whether somebody would have been woken, then of each incident
what it was, since when, how sure that is, and what to do.
Rule 2: times are those of the machine it is read on, with their date where it is another than that
of the line at the head.
Rule 3: whatever a server or a file may have written is made harmless here.
"""

import json
import shutil
import sys
import textwrap
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from probes.diagnosis.paging import harm_words
from probes.events import Advice, Diagnosis, Evidence, KnobKind
from probes.events.diagnosis_words import (
    advice_words,
    cause_words,
    counts_failures,
    evidence_words,
    what_words,
)
from probes.kit.paths import NOWHERE
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted, date_and_time, lasting
from probes.run.incidents import IncidentRecord
from probes.run.report import (
    IncidentReport,
    Progress,
    RecordedIncident,
    RecordedPage,
    read_report,
)
from probes.store.recording import default_folder
from probes.store.recording_reader import RecordingError, newest_recording
from tui.commands.output import OK, UsageError, complain, say
from tui.commands.waiting import OverwrittenLine
from tui.terminal.collector import passes_seldom

_WIDTH: Final = 100
"""Where there is no terminal to ask."""
_NARROWEST: Final = 40
_INDENT: Final = "    "
_LABEL: Final = 9
_ROUTES_NAMED: Final = 12
_KNOBS: Final[dict[KnobKind, str]] = {
    "concurrency": "the concurrency {}to {:g}",
    "interval": "the interval {}to {:g} s",
    "max_tokens": "the answer cap {}to {:g} tokens",
}
_QUIET_S: Final = 2.0
"""Whoever waits so long wants to know for what."""
_REDRAW_S: Final = 0.2


def run(arguments: Namespace) -> int:
    """Print the incidents of a recording, in words or as one JSON object; return the exit status.

    Raises:
        UsageError: there is no recording at a path, or without one none at all.
        OutputError: it cannot be written.
    """
    line = OverwrittenLine()
    try:
        paths = arguments.paths or _newest()
        with passes_seldom():
            report = read_report(paths, progress=_progress(paths, line))
    except RecordingError as error:
        raise UsageError(str(error)) from None
    finally:
        line.draw("")
    if arguments.json:
        # Whatever is no number of JSON becomes null; whatever a terminal obeys is escaped.
        fields = msgspec.json.decode(msgspec.json.encode(report_fields(report)))
        say([json.dumps(fields, ensure_ascii=True).replace("\x7f", "\\u007f")])
        return OK
    complain(report.missing)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    say(report_lines(report, max(columns, _NARROWEST)))
    return OK


def _newest() -> list[Path]:
    """Return the run that was recorded last, and say on stderr which it is.

    Raises:
        RecordingError: none was.
    """
    folder = default_folder()
    if folder.is_relative_to(NOWHERE):
        raise RecordingError("without a home folder nothing is recorded: name a recording")
    parts = newest_recording(folder)
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    complain([f"the newest recording: {parts[0]}{more}"])
    return parts


def _progress(paths: Sequence[Path], line: OverwrittenLine) -> Progress:
    """Return what tells a terminal how far it has come, where that takes long."""
    if not sys.stderr.isatty():
        return lambda _bytes: None
    begun = drawn = time.monotonic()

    def tell(done: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - begun >= _QUIET_S and now - drawn >= _REDRAW_S:
            drawn = now
            line.draw(f"reading {neutralise(paths[0].name, 40)}: {done / 1e6:.0f} MB")

    return tell


def report_lines(report: IncidentReport, width: int) -> Iterator[str]:
    """Give the report in lines of at most `width` characters, but for names that are longer."""
    yield from _wrapped(_head(report), width)
    yield ""
    times = _Times(report.began_ns)
    yield from _page_lines(report, times, width)
    named = [one for one in report.incidents if one.record.named_ns is not None]
    if not named:
        yield from _wrapped(_calm(report), width)
    for number, incident in enumerate(named, 1):
        yield ""
        yield from _incident_lines(number, incident, report, times, width)
    doubts = [one.record for one in report.incidents if one.record.named_ns is None]
    if doubts:
        yield ""
        yield "Suspected, and never sure enough to be named:"
        for record in doubts:
            since = times.at(record, record.since_ns)
            what = f"{_who(record.word, record.routes)}: {what_words(record.word)}"
            yield from _wrapped(f"{what}, {_ending(record, report, times)}", width, f"  {since}  ")


class _Times:
    """Moments of a report: the time of day, and the date where it is not that of its beginning."""

    def __init__(self, began_ns: int | None) -> None:
        self._date = date_and_time(began_ns).partition(" ")[0]

    def of(self, wall_ns: int | None) -> str:
        date, _, clock = date_and_time(wall_ns).partition(" ")
        return clock if clock and date == self._date else f"{date} {clock}".strip()

    def at(self, record: IncidentRecord, at_ns: int) -> str:
        return self.of(record.wall_ns(at_ns))


def _head(report: IncidentReport) -> str:
    more = len(report.names) - 1
    name = neutralise(report.names[0], 80) + (f" and {more} more" if more else "")
    times = _Times(report.began_ns)
    span = f"{date_and_time(report.began_ns)} to {times.of(report.ended_ns)}"
    slept = f" ({lasting(report.slept_s)} of it asleep)" if report.slept_s >= 1 else ""
    failed = f"{report.failed:,} of them failed" if report.failed else "all of them ok"
    parts = (
        f"{name}: {span}",
        f"{lasting(report.lasted_s)}{slept}",
        counted(len(report.routes), "route"),
        f"{counted(report.probes, 'probe')}{f', {failed}' if report.probes else ''}",
    )
    return " · ".join(parts)


def _calm(report: IncidentReport) -> str:
    if not report.probes:
        return "Nothing was measured, so nothing can be said."
    watched = f"{counted(len(report.routes), 'route')}, {counted(report.probes, 'probe')}"
    scattered = ""
    if report.failed:
        scattered = f" ({report.failed:,} failed, too few or too far apart to be one)"
    return f"No incident in {lasting(report.lasted_s)}: {watched}{scattered}."


def _page_lines(report: IncidentReport, times: _Times, width: int) -> Iterator[str]:
    number = len(report.pages)
    if not number:
        yield "I would not have paged you."
        return
    often = "once" if number == 1 else counted(number, "time")
    yield f"I would have paged you {often}:"
    for page in report.pages:
        told = neutralise(page.alert.text)
        yield from _wrapped(told, width, f"  {times.of(page.wall_ns)}  ")


def _incident_lines(
    number: int, incident: RecordedIncident, report: IncidentReport, times: _Times, width: int
) -> Iterator[str]:
    record, word = incident.record, incident.record.word
    yield from _wrapped(f"{number}. {_who(word, record.routes)}: {what_words(word)}", width)
    named = times.at(record, record.named_ns or 0)
    since = times.at(record, record.since_ns)
    told = f"since {since}, named {named}, {_ending(record, report, times)}{_size(word)}"
    yield from _wrapped(told, width, _INDENT)
    for label, parts in (
        ("earlier", _earlier_causes(record, times)),
        ("users", [_users(incident)]),
        ("for", [_evidence(one) for one in word.evidence]),
        ("against", [_evidence(one) for one in word.against]),
        ("do", [] if word.advice is None else [_advice(word.advice)]),
        ("in short", [word.text] if word.text else []),
        ("paged", [_paged(page, times) for page in _pages_of(record, report)]),
    ):
        for part in parts:
            yield from _wrapped(neutralise(part), width, f"{_INDENT}{label:<{_LABEL}}")
            label = ""


def _earlier_causes(record: IncidentRecord, times: _Times) -> list[str]:
    """Return what else it was taken for, in a line; in none where it was that from the first."""
    earlier = [
        f"{cause_words(cause)} ({times.at(record, at_ns)})" for at_ns, cause in record.causes[:-1]
    ]
    return [", ".join(earlier)] if earlier else []


def _users(incident: RecordedIncident) -> str:
    if not incident.probes:
        return "no probe finished while it stood"
    failed = f"{incident.failed:,}" if incident.failed else "none"
    return f"{failed} of {counted(incident.probes, 'probe')} failed while it stood"


def _ending(record: IncidentRecord, report: IncidentReport, times: _Times) -> str:
    end, since_ns = record.end, record.since_ns
    if end is None:
        # By the clock of the stream it is as old as the recording.
        ended_ns, began_ns = report.ended_ns, record.wall_ns(since_ns)
        known = ended_ns is not None and began_ns is not None
        for_s = (ended_ns - began_ns) / 1e9 if known else 0.0  # type: ignore[operator]
        return f"not over at the end, {lasting(for_s)} later" if known else "not over at the end"
    for_s = (end.at_ns - since_ns) / 1e9
    if end.state == "settled":
        return f"the usual level from {times.at(record, end.at_ns)} on, after {lasting(for_s)}"
    return f"cleared {times.at(record, end.at_ns)} after {lasting(for_s)}"


def _size(word: Diagnosis) -> str:
    if not word.size:
        return ""
    if counts_failures(word.evidence) and word.size <= 1:
        return f"; {word.size * 100:.0f} % fail"
    return f"; ×{word.size:.2g} the usual"


def _advice(advice: Advice) -> str:
    """Return what to do. Who reads a report has no key under the finger: a knob is named."""
    knob = _KNOBS.get(advice.knob) if advice.knob is not None else None
    if knob is None or advice.act not in ("set_knob", "undo_knob"):
        return advice_words(advice)
    back = "back " if advice.act == "undo_knob" else ""
    told = f"set {knob.format(back, advice.value or 0.0)}"
    return f"{told}; {advice.detail}" if advice.detail else told


def _evidence(one: Evidence) -> str:
    told = evidence_words(one)
    if one.low is None or one.high is None:
        return told
    return f"{told}, ×{one.low:.2g} to ×{one.high:.2g}"


def _pages_of(record: IncidentRecord, report: IncidentReport) -> list[RecordedPage]:
    return [page for page in report.pages if page.alert.incident == record.word.id]


def _paged(page: RecordedPage, times: _Times) -> str:
    return f"{times.of(page.wall_ns)}: {_harm(page)}"


def _harm(page: RecordedPage) -> str:
    alert = page.alert
    return harm_words(alert.harm, (alert.at_ns - alert.since_ns) / 1e9)


def _who(word: Diagnosis, routes: Sequence[str]) -> str:
    if not routes or word.cause == "local_observer":
        return "all routes"
    named = [neutralise(name, 40) for name in routes[:_ROUTES_NAMED]]
    more = len(routes) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _wrapped(text: str, width: int, first: str = "") -> list[str]:
    """Return a text in lines; those after the first begin where its words began."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * (len(first) or 2),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


# As data.


def report_fields(report: IncidentReport) -> dict[str, Any]:
    """Return the report as JSON-able values: UTC moments, seconds, null where unknown."""
    return {
        "recordings": list(report.names),
        "version": report.version,
        "began": _utc(report.began_ns),
        "ended": _utc(report.ended_ns),
        "lasted_s": report.lasted_s,
        "asleep_s": report.slept_s,
        "routes": [
            {"route": one.name, "probes": one.probes, "failed": one.failed} for one in report.routes
        ],
        "incidents": [_incident_fields(incident, report) for incident in report.incidents],
        "pages": [
            {
                "id": page.alert.incident,
                "kind": page.alert.kind,
                "at": _utc(page.wall_ns),
                "at_ns": page.alert.at_ns,
                "cause": page.alert.cause,
                "routes": list(page.alert.routes),
                **_fields(page.alert.harm),
                "burn": None if page.alert.burn is None else _fields(page.alert.burn),
                "text": _harm(page),
                "over_ns": None if page.over is None else page.over.at_ns,
            }
            for page in report.pages
        ],
        "missing": list(report.missing),
    }


def _incident_fields(incident: RecordedIncident, report: IncidentReport) -> dict[str, Any]:
    record = incident.record
    word, end = record.word, record.end
    advice = word.advice
    return {
        "id": word.id,
        "state": (end or word).state,
        "cause": word.cause,
        "what": what_words(word),
        "routes": list(record.routes),
        "since": _utc(record.wall_ns(record.since_ns)),
        "since_ns": record.since_ns,
        "named": None if record.named_ns is None else _utc(record.wall_ns(record.named_ns)),
        "named_ns": record.named_ns,
        "until": None if end is None else _utc(record.wall_ns(end.at_ns)),
        "until_ns": None if end is None else end.at_ns,
        "lasted_s": None if end is None else (end.at_ns - record.since_ns) / 1e9,
        "causes": [
            {"cause": cause, "at": _utc(record.wall_ns(at_ns)), "at_ns": at_ns}
            for at_ns, cause in record.causes
        ],
        "probes": incident.probes,
        "failed": incident.failed,
        "size": word.size,
        "evidence": [_fields(one) for one in word.evidence],
        "against": [_fields(one) for one in word.against],
        "advice": None if advice is None else {**_fields(advice), "words": _advice(advice)},
        "text": word.text,
        "paged": len(_pages_of(record, report)),
    }


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _utc(wall_ns: int | None) -> str | None:
    """Return Unix ns as `2026-11-29T14:17:31.250Z`; None where no calendar holds it."""
    if wall_ns is None:
        return None
    try:
        moment = datetime.fromtimestamp(wall_ns // 1_000_000 / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
