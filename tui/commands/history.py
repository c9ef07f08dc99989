"""`llmtop history`: weeks of a route as charts and a table, and recordings brought into it.

Rule 1: it reads the one database that all runs of this machine write, and sends nothing.
Rule 2: days and hours are those of this machine's time zone, which is said.
Rule 3: what takes long shows how far it is, on a terminal alone.
"""

import json
import os
import re
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from probes.history.database import (
    BrokenHistoryError,
    EmptyHistoryError,
    HistoryError,
    HistoryFile,
)
from probes.history.importing import Imported, import_recordings
from probes.history.keeper import default_history_path
from probes.history.reading import UnknownRouteError, empty_history, read_history
from probes.history.views import HistoryView, RouteHistoryView, StretchView
from probes.kit.durations import duration_s
from probes.kit.paths import NOWHERE, PathError, path_of
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted
from tui.commands.output import FAILED, OK, UsageError, complain, say
from tui.commands.progress_bar import ProgressBar, megabytes
from tui.commands.replay import display_settings
from tui.draw.chart import nice_top, sparkline
from tui.draw.history_lines import Days, jump_line, page_lines, seen_line
from tui.draw.table import Cell, Column, printed
from tui.draw.text import NO_FIGURE, Line, clip, count, left, line_text, seconds, share, usd

_IMPORT: Final = "import"
_WIDTH: Final = 120
"""Where there is no terminal to ask."""
_NARROWEST: Final = 60
_NAME: Final = 32
_STRIP: Final = 30
_NAMED: Final = 12


def run(arguments: Namespace) -> int:
    """Print the history, or bring recordings into it; return the exit status.

    Raises:
        UsageError: there is no such route, no such time, or no home folder.
        OutputError: it cannot be written.
    """
    path = default_history_path()
    if path.is_relative_to(NOWHERE):
        raise UsageError("without a home folder no history is kept: set HOME or XDG_STATE_HOME")
    words = arguments.words
    try:
        if words[:1] == [_IMPORT]:
            return _import(path, words[1:], arguments)
        if len(words) > 1:
            raise UsageError(f"history: got {counted(len(words), 'word')}, expected one route")
        return _tell(path, words[0] if words else "", arguments)
    except BrokenHistoryError as error:
        complain([f"{error}; the next run sets it aside, and begins a new one"])
    except HistoryError as error:
        complain([str(error)])
    return FAILED


def _import(path: Path, words: list[str], arguments: Namespace) -> int:
    if not words:
        raise UsageError("history import: names no recording: llmtop history import FILE…")
    try:
        files = [path_of(word) for word in words]
    except PathError as error:
        raise UsageError(str(error)) from None
    if missing := [file for file in files if not file.exists()]:
        raise UsageError(*(f"{file}: there is no such file" for file in missing))
    bar = ProgressBar()

    def progress(done: int, whole: int) -> None:
        bar.draw("importing", done, whole, megabytes(done))

    remarks: list[str] = []
    with HistoryFile(path, writes=True) as history:
        try:
            found = import_recordings(files, history, report=remarks.append, progress=progress)
            # What is too old, or too much, goes at once: the next run may be long in coming.
            settings = display_settings(os.environ)[0].history
            history.retain(max_mb=settings.max_mb, max_days=settings.max_days)
        finally:
            bar.clear()
        remarks += history.news
    complain(remarks)
    if arguments.json:
        say([json.dumps({**found._asdict(), "history": str(path)})])
    else:
        say([_imported_words(found, path)])
    return OK if found.files else FAILED


def _imported_words(found: Imported, path: Path) -> str:
    if not found.slots:
        return "nothing was imported: no probe of a known route is in it"
    span = f"{_moment(found.first_s)} to {_moment(found.last_s)}"
    more = len(found.routes) - _NAMED
    routes = ", ".join(neutralise(name, _NAME) for name in found.routes[:_NAMED])
    routes += f" and {more} more" if more > 0 else ""
    incidents = f", {counted(found.incidents, 'incident')}" if found.incidents else ""
    return (
        f"imported {counted(found.files, 'file')}, {span}: {counted(found.slots, 'slot')} of ten"
        f" minutes{incidents}, of {routes}; in {neutralise(str(path))}"
    )


def _tell(path: Path, route: str, arguments: Namespace) -> int:
    since_s = since(arguments.since, time.time())
    try:
        if path.exists():
            return _tell_kept(path, route, since_s, arguments)
    except EmptyHistoryError:
        pass
    if arguments.json:
        return _say_json(empty_history(since_s))
    say(
        [
            f"there is no history yet: {neutralise(str(path))} is made by the first run, or by"
            " `llmtop history import FILE…` of recordings"
        ]
    )
    return OK


def _say_json(view: HistoryView) -> int:
    say([json.dumps(msgspec.to_builtins(view), ensure_ascii=True)])
    return OK


def _tell_kept(path: Path, route: str, since_s: float, arguments: Namespace) -> int:
    bar = ProgressBar()

    def progress(done: int, whole: int) -> None:
        bar.draw("reading", done, whole, counted(done, "route"))

    with HistoryFile(path, writes=False) as history:
        try:
            view = read_history(
                history,
                since_s=since_s,
                route=route,
                by_hour=bool(route) or arguments.json,
                progress=progress,
            )
        except UnknownRouteError as error:
            known = ", ".join(neutralise(name, _NAME) for name in error.names[:_NAMED])
            called = neutralise(route, _NAME)
            raise UsageError(
                f"history: no route is called {called}; it knows {known or 'none'}"
            ) from None
        finally:
            bar.clear()
    if arguments.json:
        return _say_json(view)
    if not view.routes:
        say([f"nothing was probed since {_moment(view.begins_s)}"])
        return OK
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    width = max(columns, _NARROWEST)
    lines = page_lines(view, width) if route else _overview(view, width)
    say(line_text(line).rstrip() for line in lines)
    return OK


def since(text: str, now_s: float) -> float:
    """Return the Unix time that `--since` names: a time ago such as `30d`, or a day.

    Raises:
        UsageError: it is neither.
    """
    ago_s = duration_s(text)
    if ago_s is not None and ago_s > 0:
        return max(0.0, now_s - ago_s)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return datetime.fromisoformat(text).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):
            pass
    raise UsageError(
        f"--since: got {neutralise(text, 40)}, expected such as 30d, 12h or 2026-10-14"
    )


def _overview(view: HistoryView, width: int) -> Iterator[Line]:
    """Give a line for each route, then what the weekly check found and what came again."""
    since = f"since {_moment(view.begins_s)} ({view.zone})"
    yield ((f"{counted(len(view.routes), 'route')} {since}", "text"),)
    yield ()
    top = nice_top((day.ttft_s.p95 for one in view.routes for day in one.days), 0.0)
    table = printed(_overview_columns(), view.routes)
    by, step = ("week", 7) if view.by_week else ("day", 1)
    # A day on which nothing was probed keeps its place.
    last = max(date.fromisoformat(one.days[-1].label) for one in view.routes)
    labels = [(last - timedelta(days=step * ago)).isoformat() for ago in reversed(range(_STRIP))]
    yield clip(((f"{table.head_text()}  TTFT95 by {by}, top {top:g} s", "head"),), width)
    for route in view.routes:
        by_day = {day.label: day.ttft_s.p95 for day in route.days}
        strip = sparkline([by_day.get(label) for label in labels], _STRIP, top)
        yield clip(((table.text(route), "text"), ("  ", "text"), *strip), width)
    days = Days(view.ends_s)
    jumps = [
        (route, jump_line(jump, days.say)[1:]) for route in view.routes for jump in route.jumps
    ]
    again = [
        (route, seen_line(one, days.say, days.iso))
        for route in view.routes
        for one in route.seen
        if one.times > 1
    ]
    for found, words in ((jumps, "the weekly check"), (again, "what came again")):
        yield ()
        if not found:
            yield ((f"{words}: nothing", "dim"),)
            continue
        yield ((f"{words}:", "head"),)
        for route, told in found:
            name: Line = ((f"  {left(neutralise(route.route, _NAME), 18)} ", "title"),)
            yield clip((*name, *told), width)


def _overview_columns() -> tuple[Column[RouteHistoryView], ...]:
    def figure(head: str, text: Callable[[StretchView], str]) -> Column[RouteHistoryView]:
        return Column(head, len(head), lambda route: Cell(text(route.whole)))

    def ok(whole: StretchView) -> str:
        return share(whole.ok / whole.probes) if whole.probes else NO_FIGURE

    return (
        Column("ROUTE", 8, lambda route: Cell(neutralise(route.route, _NAME)), flush_left=True),
        figure("PROBES", lambda whole: f"{whole.probes:,}"),
        figure("OK%", ok),
        figure("TTFT50", lambda whole: seconds(whole.ttft_s.p50)),
        figure("95", lambda whole: seconds(whole.ttft_s.p95)),
        figure("E2E50", lambda whole: seconds(whole.e2e_s.p50)),
        figure("95", lambda whole: seconds(whole.e2e_s.p95)),
        figure("429", lambda whole: count(whole.throttled)),
        figure("IN", lambda whole: count(whole.input_tokens)),
        figure("OUT", lambda whole: count(whole.output_tokens)),
        figure("USD", lambda whole: usd(whole.usd)),
    )


def _moment(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s).astimezone():%Y-%m-%d %H:%M}"
