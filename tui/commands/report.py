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
from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any, Final

import msgspec

from probes.diagnosis.paging import harm_words
from probes.events import Diagnosis, SeenBefore
from probes.events.diagnosis_words import (
    cause_words,
    counts_failures,
    past_words,
    scope_words,
    what_words,
)
from probes.handover.folder import HandoverError, hand_over
from probes.handover.recorded_run import ReadRun, read_run
from probes.handover.window import (
    WHOLE_NS,
    Stretch,
    stretch_of_incident,
    stretch_without_incident,
)
from probes.handover.words import advice_in_words, evidence_in_words
from probes.kit.clock import NS_PER_S
from probes.kit.paths import NOWHERE
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted, date_and_time, lasting, local_moment
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
from tui.commands.progress_bar import ProgressBar, bytes_of, megabytes
from tui.terminal.collector import passes_seldom

_WIDTH: Final = 100
"""Where there is no terminal to ask."""
_NARROWEST: Final = 40
_INDENT: Final = "    "
_LABEL: Final = 9
_ROUTES_NAMED: Final = 12


def run(arguments: Namespace) -> int:
    """Print the incidents of a recording, in words or as one JSON object; return the exit status.

    With --out it writes a hand-over.

    Raises:
        UsageError: there is no recording at a path, or without one none at all.
        OutputError: it cannot be written.
    """
    if arguments.out is not None:
        return _write_handover(arguments)
    for option in ("incident", "begins_at", "ends_at"):
        if getattr(arguments, option) is not None:
            name = {"begins_at": "from", "ends_at": "to"}.get(option, option)
            raise UsageError(f"--{name} is of --out DIR: it says which part is written there")
    bar = ProgressBar()
    try:
        paths = arguments.paths or _newest()
        with passes_seldom():
            report = read_report(paths, progress=_progress(paths, bar))
    except RecordingError as error:
        raise UsageError(str(error)) from None
    finally:
        bar.clear()
    if arguments.json:
        # Whatever is no number of JSON becomes null; whatever a terminal obeys is escaped.
        fields = msgspec.json.decode(msgspec.json.encode(report_fields(report)))
        say([json.dumps(fields, ensure_ascii=True).replace("\x7f", "\\u007f")])
        return OK
    complain(report.missing)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    say(report_lines(report, max(columns, _NARROWEST)))
    return OK


def _write_handover(arguments: Namespace) -> int:
    """Write a hand-over of the recording; print where it is, and the paragraph at its head."""
    if arguments.json:
        raise UsageError("--json and --out exclude each other")
    bar = ProgressBar()
    try:
        paths = arguments.paths or _newest()
        with passes_seldom():
            recorded = read_run(paths, progress=_progress(paths, bar))
            stretch, incident = _asked_stretch(arguments, recorded)
            written = hand_over(
                recorded.timeline,
                stretch,
                arguments.out,
                incident=incident,
                known=[one.record for one in recorded.report.incidents],
                missing=recorded.report.missing,
                progress=lambda words, share: bar.draw(words, share or 0.0, share is not None),
            )
    except (RecordingError, HandoverError) as error:
        raise UsageError(str(error)) from None
    finally:
        bar.clear()
    complain(recorded.report.missing)
    say([neutralise(str(written.folder)), "", written.summary])
    return OK


def _asked_stretch(arguments: Namespace, recorded: ReadRun) -> tuple[Stretch, str]:
    """Return the part of the recording that is wanted, and the incident of it.

    Without a word it is the incident of which most probes failed; without one the whole recording,
    or the last of it where that is long.

    Raises:
        UsageError: there is no such incident, or no such time.
    """
    report, span = recorded.report, recorded.timeline.recorded_span
    named = [one for one in report.incidents if one.record.named_ns is not None]
    number, times = arguments.incident, (arguments.begins_at, arguments.ends_at)
    if number is not None and any(times):
        raise UsageError("--incident and --from, --to exclude each other")
    if number is not None:
        if not 1 <= number <= len(named):
            found = f"1 to {len(named)}" if named else "none: no incident was named"
            raise UsageError(f"--incident: got {number}, expected {found}")
        record = named[number - 1].record
        return stretch_of_incident(record, span), record.word.id
    if any(times):
        begin_ns, end_ns = (
            None if text is None else _asked_ns(option, text, report, span.end_ns)
            for option, text in zip(("--from", "--to"), times, strict=True)
        )
        begin_ns = span.begin_ns if begin_ns is None else begin_ns
        stretch = stretch_without_incident(span, begin_ns, end_ns)
        if stretch.begin_ns >= stretch.end_ns:
            begins = date_and_time(report.began_ns)
            raise UsageError(
                f"--from, --to: nothing is recorded there, expected a part of {begins} to "
                f"{date_and_time(report.ended_ns)}"
            )
        return stretch, ""
    if named:
        worst = max(named, key=lambda one: (one.failed, one.probes))
        return stretch_of_incident(worst.record, span), worst.record.word.id
    is_short = span.end_ns - span.begin_ns <= WHOLE_NS
    return stretch_without_incident(span, span.begin_ns if is_short else None), ""


def _asked_ns(option: str, text: str, report: IncidentReport, end_ns: int) -> int:
    """Return the stamp of a moment that a user names. Raises UsageError."""
    began, ended_ns = local_moment(report.began_ns or 0), report.ended_ns
    if began is None or report.began_ns is None or ended_ns is None:
        raise UsageError(f"{option}: the recording tells no wall time")
    try:
        if "T" in text or " " in text:
            moment = datetime.fromisoformat(text)
        else:
            clock = time_of_day.fromisoformat(text)
            moment = datetime.combine(began.date(), clock)
            next_day = moment + timedelta(days=1)
            ended = local_moment(ended_ns)
            if (
                moment < began.replace(tzinfo=None)
                and ended
                and next_day <= ended.replace(tzinfo=None)
            ):
                moment = next_day  # it ran past midnight
        wall_ns = round(moment.timestamp() * NS_PER_S)
    except (ValueError, OverflowError, OSError):
        expected = "a time such as 14:03, 14:03:20 or 2026-11-30T14:03:00Z"
        raise UsageError(f"{option}: got {neutralise(text, 40)}, expected {expected}") from None
    return end_ns - (ended_ns - wall_ns)


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


def _progress(paths: Sequence[Path], bar: ProgressBar) -> Progress:
    reading = f"reading {neutralise(paths[0].name, 40)}"
    size = bytes_of(paths)
    return lambda done: bar.draw(reading, done, size, megabytes(done))


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
        _watched(report),
        f"{counted(report.probes, 'probe')}{f', {failed}' if report.probes else ''}",
    )
    return " · ".join(parts)


def _watched(report: IncidentReport) -> str:
    """Return how many routes there were: of several places a route is one at each."""
    routes = counted(len(report.routes), "route")
    return f"{routes} at {counted(len(report.places), 'place')}" if report.places else routes


def _calm(report: IncidentReport) -> str:
    if not report.probes:
        return "Nothing was measured, so nothing can be said."
    watched = f"{_watched(report)}, {counted(report.probes, 'probe')}"
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
        ("seen", [seen] if (seen := scope_words(word)) else []),
        ("earlier", _earlier_causes(record, times)),
        ("before", _before(record)),
        ("users", [_users(incident)]),
        ("for", [evidence_in_words(one) for one in word.evidence]),
        ("against", [evidence_in_words(one) for one in word.against]),
        ("do", [] if word.advice is None else [advice_in_words(word.advice)]),
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


def _before(record: IncidentRecord) -> list[str]:
    """Return how often it was seen before, as that was told while it stood."""
    since_ns = record.wall_ns(record.since_ns)
    if record.seen is None or since_ns is None:
        return []
    told, _ = past_words(record.seen, since_ns)
    return [told]


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


def _pages_of(record: IncidentRecord, report: IncidentReport) -> list[RecordedPage]:
    return [page for page in report.pages if page.alert.incident == record.word.id]


def _paged(page: RecordedPage, times: _Times) -> str:
    return f"{times.of(page.wall_ns)}: {_harm(page)}"


def _harm(page: RecordedPage) -> str:
    alert = page.alert
    return harm_words(alert.harm, (alert.at_ns - alert.since_ns) / 1e9)


def _who(word: Diagnosis, routes: Sequence[str]) -> str:
    if not routes or word.cause == "local_observer":
        return f"all routes at {', '.join(word.places)}" if word.places else "all routes"
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
        "places": list(report.places),
        "incidents": [_incident_fields(incident, report) for incident in report.incidents],
        "pages": [
            {
                "id": page.alert.incident,
                "kind": page.alert.kind,
                "at": _utc(page.wall_ns),
                "at_ns": page.alert.at_ns,
                "cause": page.alert.cause,
                "routes": list(page.alert.routes),
                "scope": page.alert.scope,
                "places": list(page.alert.places),
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
        "scope": word.scope,
        "places": list(word.places),
        "of_places": word.of_places,
        "unheard": list(word.unheard),
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
        "seen_before": None if record.seen is None else _seen_json(record.seen),
        "probes": incident.probes,
        "failed": incident.failed,
        "size": word.size,
        "evidence": [_fields(one) for one in word.evidence],
        "against": [_fields(one) for one in word.against],
        "advice": None if advice is None else {**_fields(advice), "words": advice_in_words(advice)},
        "text": word.text,
        "paged": len(_pages_of(record, report)),
    }


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _seen_json(seen: SeenBefore) -> dict[str, object]:
    return {
        "times": seen.times,
        "first": _utc(seen.first_wall_ns),
        "last": _utc(seen.last_wall_ns),
        "typical_s": seen.typical_s,
    }


def _utc(wall_ns: int | None) -> str | None:
    """Return Unix ns as `2026-11-29T14:17:31.250Z`; None where no calendar holds it."""
    if wall_ns is None:
        return None
    try:
        moment = datetime.fromtimestamp(wall_ns // 1_000_000 / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
