"""`llmtop sweep`: one route asked for more and more, until it carries no more.

Rule 1: it says what it may cost before it asks anything, and on a terminal waits for a yes.
Rule 2: progress goes to a terminal alone, on stderr; on stdout stands the result and nothing else.
Rule 3: Ctrl-C ends it with what is known by then; the status says that it was ended.
"""

import csv
import io
import os
import sys
from argparse import Namespace
from math import inf
from pathlib import Path
from typing import Final

import anyio

from probes.config.secrets import resolve_headers
from probes.kit.exit_status import ExitStatus
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import age, counted
from probes.money.ledger import emergency_ledger_path
from probes.run.sweep_run import SweepError, Sweeps
from probes.sweeping.estimates import Estimate
from probes.sweeping.exports import NoSweepError, csv_rows, sweep_fields, sweep_of
from probes.sweeping.goals import GoalError
from probes.sweeping.picture import picture_of
from probes.sweeping.svg import svg_of
from probes.sweeping.views import SweepPoint, SweepState, SweepView
from probes.sweeping.words import goal_words, load_number, load_words
from tui.commands.consent import budget_words, may_begin
from tui.commands.machine_ledger import machine_ledger
from tui.commands.once import as_json
from tui.commands.output import FAILED, UsageError, complain, say
from tui.commands.settings import needed_settings
from tui.commands.told_run import ToldRun, result_columns, wrapped_result
from tui.draw.load_chart import load_chart
from tui.draw.probe_figures import duration
from tui.draw.table import Cell, Column, printed
from tui.draw.text import NO_FIGURE, left, line_text, three_digits

_CHART_LINES: Final = 20
_LONGEST_NAME: Final = 40
_BAR: Final = 20
_LARGEST_FILE: Final = 10_000_000
"""Bytes of a former sweep: a hundred points are a hundred thousand."""
_STATUSES: Final[dict[SweepState, ExitStatus]] = {
    "done": ExitStatus.OK,
    "ill": ExitStatus.UNKNOWN,
    "budget": ExitStatus.UNKNOWN,
    "stopped": ExitStatus.UNKNOWN,
    "failed": ExitStatus.FAILED,
}


def run(arguments: Namespace) -> int:
    """Sweep and print what was found; status 0 where all was, 3 where it ended before.

    Raises:
        UsageError: it cannot be swept so, or nobody can be asked whether to begin.
        ConfigError: the settings have mistakes.
    """
    config = needed_settings(arguments, os.environ)
    headers = resolve_headers(config, os.environ)
    former = None if arguments.compare is None else _former(arguments.compare)
    ledger = machine_ledger("llmtop sweep")
    try:
        sweeps = Sweeps(config, headers, ledger=ledger, apart=emergency_ledger_path())
        try:
            sweep = sweeps.propose(
                arguments.route,
                by=arguments.by,
                most=arguments.max,
                goals=arguments.goal or (),
                step_s=arguments.step,
                most_tokens=arguments.budget_tokens,
                most_usd=arguments.budget_usd,
            )
        except (SweepError, GoalError) as error:
            raise UsageError(str(error)) from None
        if arguments.budget_usd is not None and sweep.view.cost.usd is None:
            name = _shown(sweep.view.route)
            raise UsageError(f"--budget-usd cannot be held: no price is known of {name}")
        if not may_begin(cost_words(sweep.view), agreed=arguments.yes):
            return FAILED
        told = ToldRun(sweep, lambda: progress_words(sweep.view))
        anyio.run(told.run)
    finally:
        ledger.close()
    view = sweep.view
    _tell(view, former, arguments)
    return told.interrupt.status or _STATUSES[view.state]


def _former(path: Path) -> SweepView:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1)
        if len(text) > _LARGEST_FILE:
            raise NoSweepError("it is too large for a sweep")
        return sweep_of(text)
    except OSError as error:
        raise UsageError(f"--compare: {path}: {error.strerror or error}") from None
    except NoSweepError as error:
        raise UsageError(f"--compare: {path}: {neutralise(str(error), 200)}") from None


def _tell(view: SweepView, former: SweepView | None, arguments: Namespace) -> None:
    """Print the result, and write the picture where one was asked for."""
    if arguments.svg is not None:
        try:
            arguments.svg.write_text(svg_of(view, former), encoding="utf-8")
        except OSError as error:
            # What was paid for is printed all the same.
            complain([f"--svg: {arguments.svg}: {error.strerror or error}"])
    if arguments.json:
        say([as_json(sweep_fields(view))])
    elif arguments.csv:
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows(csv_rows(view))
        say([table.getvalue().removesuffix("\n")])
    else:
        say(result_lines(view, former))


def cost_words(view: SweepView) -> str:
    """Return in words what a sweep may cost."""
    cost = view.cost
    money = ", no price is known" if cost.usd is None else f", ${cost.usd:.3g}"
    goals = ", ".join(goal_words(goal) for goal in view.goals) or "no goals"
    parts = [
        f"{_shown(view.route)} from {load_words(view.first, view.by)} up to"
        f" {load_words(view.most, view.by)} ({goals}): at most {counted(cost.steps, 'step')},"
        f" {counted(cost.probes, 'probe')}, {counted(cost.tokens, 'token')}{money},"
        f" some {age(cost.seconds)}"
    ]
    parts += budget_words(view.most_tokens, view.most_usd)
    parts.append("it ends where the route carries no more")
    return "; ".join(parts)


def progress_words(view: SweepView) -> str:
    """Return how it stands in one line: a bar, what is left of its time, what is asked for."""
    left_s = view.left_s or 0.0
    done = view.seconds / (view.seconds + left_s) if view.seconds + left_s > 0 else 0.0
    filled = round(done * _BAR)
    parts = ["━" * filled + "─" * (_BAR - filled) + f" about {age(left_s)} left"]
    parts.append(view.waits or view.doing)
    if view.running is not None:
        parts.append(f"n {view.running.n}")
    if view.points:
        last = view.points[-1]
        latency = last.ttft_p95 or last.e2e_p95
        figures = f"p95 {_time(latency)}" if latency is not None else ""
        parts.append(f"at {load_number(last.load, view.by)} {figures}, {last.throttled} 429s")
    parts.append(f"{counted(view.spent_tokens, 'token')}, {age(view.seconds)}")
    return " · ".join(filter(None, parts))


_POINTS: Final[tuple[Column[SweepPoint], ...]] = (
    Column("LOAD", 0, lambda one: Cell(f"{one.load:.4g}")),
    Column("N", 0, lambda one: Cell(f"{one.n:,}")),
    Column("FAILED", 0, lambda one: Cell(f"{one.failed + one.hung:,}"), 1),
    Column("429", 0, lambda one: Cell(f"{one.throttled:,}")),
    Column("SKIPPED", 0, lambda one: Cell(f"{one.skipped:,}"), 8),
    Column("TTFT50", 0, lambda one: Cell(_time(one.ttft_p50)), 6),
    Column("TTFT95", 0, lambda one: Cell(_time(one.ttft_p95))),
    Column("INTERVAL", 0, lambda one: Cell(_interval(one.ttft_p95)), 5, flush_left=True),
    Column("E2E95", 0, lambda one: Cell(_time(one.e2e_p95)), 2),
    Column("tok/s", 0, lambda one: Cell(_figure(one.tokens_per_s)), 3),
    Column("REQ/min", 0, lambda one: Cell(_figure(one.requests_per_s, 60)), 4),
    Column("OFF%", 0, lambda one: Cell(_width(one.requests_per_s)), 9),
    Column("ENDED", 0, lambda one: Cell(_ended(one)), 7, flush_left=True),
    Column("GOALS", 0, lambda one: Cell(_goals(one)), flush_left=True),
)


def _points(view: SweepView) -> list[str]:
    """Return every step as a row, in as many columns as a terminal has room for; elsewhere in
    all."""
    columns, most = list(_POINTS), result_columns() if sys.stdout.isatty() else None
    while True:
        table = printed(tuple(columns), view.points)
        lines = [table.head_text(), *map(table.text, view.points)]
        if most is None or max(map(len, lines)) <= most:
            return lines
        least = max(columns, key=lambda column: column.priority)
        if not least.priority:
            return [left(line, most) for line in lines]
        columns.remove(least)


def result_lines(view: SweepView, former: SweepView | None = None) -> list[str]:
    """Return what was found: the sentence, the chart, and every point."""
    lines = wrapped_result(view.sentence)
    if not view.points:
        return lines
    width = result_columns()
    views = [view] if former is None else [view, former]
    picture = picture_of(views)
    if picture is not None:
        before = "" if former is None else f"{_shown(former.route)}, before"
        chart = load_chart(picture, view, width, _CHART_LINES, former_name=before)
        lines += ["", *(line_text(line).rstrip() for line in chart)]
    if former is not None:
        lines += ["", *wrapped_result(f"Before, {_shown(former.route)}: {former.sentence}")]
    return [*lines, "", *_points(view)]


def _time(estimate: Estimate | None) -> str:
    if estimate is None:
        return NO_FIGURE
    return "never" if estimate.value == inf else duration(estimate.value)


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value == inf:
        return NO_FIGURE
    high = "…" if estimate.high == inf else duration(estimate.high)
    return f"{duration(estimate.low)} to {high}"


def _figure(estimate: Estimate | None, factor: float = 1.0) -> str:
    return NO_FIGURE if estimate is None else three_digits(estimate.value * factor)


def _width(estimate: Estimate | None) -> str:
    if estimate is None or estimate.half_width == inf:
        return NO_FIGURE
    return f"{estimate.half_width * 100:.0f}"


def _ended(point: SweepPoint) -> str:
    words = {"tight": "tight", "time": "time over", "probes": "probes used", "stopped": "stopped"}
    again = {"check": ", checked", "confirm": ", again"}.get(point.purpose, "")
    return words[point.end] + again


def _goals(point: SweepPoint) -> str:
    states = {one.state for one in point.goals}
    if "missed" in states:
        return "missed"
    if "beyond" in states:
        return "perhaps missed"
    if not states:
        return NO_FIGURE
    return "kept" if point.surely_within else "perhaps kept"


def _shown(name: str) -> str:
    return neutralise(name, _LONGEST_NAME)
