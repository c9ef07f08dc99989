"""`llmtop leaderboard`: models and providers side by side, in the figures of public leaderboards.

Rule 1: it reads what is there before it asks anybody: a recording that is named, or that of a run
which is on. Else it says what it may cost, and on a terminal waits for a yes.
Rule 2: progress goes to a terminal alone, on stderr; on stdout stands the table and nothing else.
Rule 3: Ctrl-C ends it with what is known by then; the status says that it was ended.
"""

import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from probes.board import Board
from probes.board.standings import ANSWER_TOKENS, SURE, leader_groups
from probes.board.views import LeaderView, RouteView, Snapshot
from probes.config.goals import band_of, cap_of
from probes.config.secrets import resolve_headers
from probes.config.workloads import WorkloadName
from probes.kit.clock import seconds
from probes.kit.paths import PathError
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted
from probes.money.ledger import emergency_ledger_path
from probes.run.leaderboard_run import LeaderboardCost, LeaderboardRun, asked_routes
from probes.store.recording import default_folder
from probes.store.recording_files import is_being_written
from probes.store.recording_reader import (
    RecordingError,
    newest_recording,
    read_recording,
    recorded_parts,
)
from tui.commands.consent import may_begin
from tui.commands.machine_ledger import machine_ledger
from tui.commands.once import as_json
from tui.commands.output import FAILED, OK, UsageError, complain, say
from tui.commands.settings import needed_settings
from tui.commands.told_run import ToldRun
from tui.draw.text import line_text
from tui.panes.leaderboard import leaderboard_lines

PROBES: Final = 6
"""Of each route beside the first: with fewer there is no interval that holds a median with 95 %."""
DEFAULT_WORKLOAD: Final[WorkloadName] = "aa-1k"
"""The leaderboard's own that most people compare by."""
_WIDTH: Final = 160
"""Where there is no terminal to ask."""
_NARROWEST: Final = 40
_NAME: Final = 60


def run(arguments: Namespace) -> int:
    """Print the leaderboard of a recording, of the run that is on, or of probes that are sent now.

    Raises:
        UsageError: there is no recording at a path, no such route, or nobody can be asked.
        ConfigError: the settings have mistakes.
    """
    wanted = arguments.probes is not None or arguments.workload is not None or arguments.routes
    if arguments.paths:
        if wanted:
            raise UsageError("--from reads a recording: it goes with --json alone")
        return _of_recording(arguments.paths, arguments)
    live = [] if wanted else _being_written()
    if live:
        name = neutralise(live[0].name, _NAME)
        complain([f"a run is on: its recording {name} is read; --probes N sends probes instead"])
        return _of_recording(live, arguments)
    return _measured(arguments)


def _being_written() -> list[Path]:
    """Return the recording of a run that is on; nothing without one."""
    try:
        newest = newest_recording(default_folder())
    except (RecordingError, PathError):
        return []
    return newest if is_being_written(newest[-1]) else []


def _of_recording(paths: list[Path], arguments: Namespace) -> int:
    board = Board()
    missing: list[str] = []
    try:
        for events, _ in read_recording(recorded_parts(paths, missing.append), missing.append):
            for event in events:
                board.fold(event)
    except RecordingError as error:
        raise UsageError(str(error)) from None
    complain(missing)
    _tell(board.snapshot(window="run", standings=True), arguments, source="recording")
    return OK


def _measured(arguments: Namespace) -> int:
    config = needed_settings(arguments, os.environ)
    try:
        config = asked_routes(config, arguments.routes)
    except KeyError as error:
        raise UsageError(f"no route is named {neutralise(str(error.args[0]), _NAME)}") from None
    headers = resolve_headers(config, os.environ)
    # A route that has a workload is asked that; where none has one, all are asked the usual one.
    workload = arguments.workload
    if workload is None and not any(route.workload for route in config.routes):
        workload = DEFAULT_WORKLOAD
    ledger = machine_ledger("llmtop leaderboard")
    try:
        measuring = LeaderboardRun(
            config,
            headers,
            probes=arguments.probes or PROBES,
            workload=workload,
            ledger=ledger,
            apart=emergency_ledger_path(),
        )
        if not may_begin(cost_words(measuring.cost, workload), agreed=arguments.yes):
            return FAILED
        told = ToldRun(measuring, lambda: measuring.progress)
        anyio.run(told.run)
    finally:
        ledger.close()
    complain(measuring.remarks)
    shown = measuring.snapshot()
    _tell(shown, arguments, source="probes")
    if told.interrupt.status is not None:
        return told.interrupt.status
    return OK if any(row.e2e_s.n or row.ttft_s.n for row in shown.standings) else FAILED


def cost_words(cost: LeaderboardCost, workload: WorkloadName | None) -> str:
    """Return in words what it may cost."""
    what = "each what it asks always" if workload is None else f"workload {workload}"
    words = (
        f"{counted(cost.routes, 'route')}, {what}: at most {counted(cost.probes, 'probe')} with the"
        f" warm-up, {counted(cost.tokens, 'token')}"
    )
    if cost.usd is None:
        return f"{words}, no price is known"
    words += f", ${cost.usd:.3g}"
    if cost.unpriced:
        names = ", ".join(neutralise(name, _NAME) for name in cost.unpriced)
        words += f" without {names}, of which no price is known"
    return words


def _tell(shown: Snapshot, arguments: Namespace, *, source: str) -> None:
    if arguments.json:
        say([as_json(leaderboard_fields(shown, source))])
        return
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    lines = leaderboard_lines(shown, max(columns, _NARROWEST), arguments.sort)
    say([line_text(line).rstrip() for line in lines])


def leaderboard_fields(shown: Snapshot, source: str) -> dict[str, Any]:
    """Return the leaderboard as JSON-able values: what is not known is null."""
    routes = {route.name: route for route in shown.routes}
    groups = [
        {
            "cohort": group.cohort,
            "shape": group.shape or None,
            "answer_cap": cap_of(group.cohort),
            "input_band": band_of(group.cohort).partition("/")[0],
            "routes": [_row_fields(row, routes.get(row.route), shown.now_ns) for row in group.rows],
        }
        for group in leader_groups(shown.standings)
    ]
    return {"source": source, "answer_tokens": ANSWER_TOKENS, "interval": SURE, "tables": groups}


def _row_fields(row: LeaderView, route: RouteView | None, now_ns: int) -> dict[str, Any]:
    return {
        "route": row.route,
        "model": None if route is None else route.model,
        "base_url": None if route is None else route.base_url,
        "ttft_s": msgspec.to_builtins(row.ttft_s),
        "output_tokens_per_s": msgspec.to_builtins(row.tokens_per_s),
        "e2e_s": msgspec.to_builtins(row.e2e_s),
        "e2e_from": "first_answer" if row.reasoned else "first_token",
        "price_blended_usd_per_million": row.price,
        "probes": row.probes,
        "failed": row.failed,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cached_tokens": row.cached_tokens,
        "age_s": round(seconds(max(0, now_ns - row.newest_ns)), 3),
    }
