"""`llmtop check`: validates the settings, then sends one probe a route and prints a table.

All routes are asked at once. A row is printed when its probe ends, in columns that were settled
before; Ctrl-C ends those that are open, and their rows tell how far they came.
"""

import os
from argparse import Namespace
from collections.abc import Sequence
from random import SystemRandom
from typing import Any, Final

import anyio
import msgspec
from rich.cells import cell_len

from probes.config import Config, Route
from probes.config.secrets import resolve_headers
from probes.engine.single import ProbeRecord, SingleProbe
from probes.kit.clock import SystemClock
from probes.kit.sanitise import neutralise
from probes.stats.tokens import EXACT_SOURCES
from tui.commands.asked import asked_lines
from tui.commands.figures import duration, e2e_s, look_again, ttft_s
from tui.commands.once import as_json, json_object
from tui.commands.output import FAILED, OK, complain, say
from tui.commands.settings import needed_settings
from tui.commands.spend import Purse
from tui.commands.waiting import Interrupt, WaitingLine, waited_words
from tui.draw.text import NO_FIGURE, NOT_STREAMED, right

_AT_ONCE: Final = 64
"""Probes, so that a file of a thousand routes does not run out of sockets."""
_HEAD: Final = ("ROUTE", "OUTCOME", "REASON", "TTFT", "E2E", "IN/OUT", "COST")
_LEFT_COLUMNS: Final = 3
_WIDTHS: Final = (5, 12, 20, 8, 8, 9, 10)
"""Of rows that come one by one; the first is as wide as the longest name. What is longer in one of
the left columns takes from the blanks of the next."""
_SERVER_WORDS: Final = 120


class Row(msgspec.Struct, frozen=True):
    """One route and what its probe met; None where the budget forbade the probe."""

    route: Route
    record: ProbeRecord | None
    waited: str = ""
    """Of a probe that was ended before it was over: how long it waited, and for what."""

    @property
    def ok(self) -> bool:
        """Whether the probe went well."""
        return self.record is not None and self.record.probe.outcome == "ok" and not self.waited


def run(arguments: Namespace) -> int:
    """Probe every route once; status 1 if one is not ok, that of the signal if one ended it.

    Raises:
        UsageError: there are no settings.
        ConfigError: the settings have mistakes.
    """
    config = needed_settings(arguments, os.environ)
    headers = resolve_headers(config, os.environ)
    checking = _Checking(config, as_json=arguments.json)
    with Purse(config, command="llmtop check") as purse:
        admitted = purse.admit(config.routes)
        anyio.run(checking.run, admitted, headers)
        records = {row.route.name: row.record for row in checking.rows if row.record is not None}
        purse.settle(records)
    rows = checking.rows
    complain(line for row in rows for line in _remarks(row))
    if checking.interrupt.status is not None:
        return checking.interrupt.status
    return OK if all(row.ok for row in rows) else FAILED


class _Checking:
    """One probe of each route, and the rows that are told of them."""

    def __init__(self, config: Config, *, as_json: bool) -> None:
        self.interrupt = Interrupt()
        self._routes = config.routes
        self._as_json = as_json
        self._found: dict[str, Row] = {}
        self._waiting = WaitingLine(self._open_probes)
        self._probes: dict[str, SingleProbe] = {}
        self._cut: dict[str, str] = {}
        self._widths = [max([_WIDTHS[0], *(cell_len(_name(route)) for route in config.routes)])]
        self._widths += _WIDTHS[1:]

    @property
    def rows(self) -> list[Row]:
        """Those there are, in the order of the settings."""
        return [self._found[route.name] for route in self._routes if route.name in self._found]

    async def run(self, admitted: Sequence[Route], headers: dict[str, dict[str, str]]) -> None:
        """Probe the routes that the budget allows."""
        allowed = {route.name for route in admitted}
        held = [Row(route, None) for route in self._routes if route.name not in allowed]
        if not admitted and not self._as_json:
            say(table(held))
            self._found = {row.route.name: row for row in held}
            return
        if not self._as_json:
            say([_line(_HEAD, self._widths)])
        for row in held:
            self._tell(row)
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as helpers:
            helpers.start_soon(self._waiting.run)
            helpers.start_soon(self.interrupt.run, self._cancel)
            async with anyio.create_task_group() as probing:
                for route in admitted:
                    probing.start_soon(self._probe, route, headers[route.name], limiter)
            helpers.cancel_scope.cancel()
        self._waiting.clear()

    async def _probe(
        self, route: Route, headers: dict[str, str], limiter: anyio.CapacityLimiter
    ) -> None:
        async with limiter:
            if self.interrupt.status is not None:
                self._tell(Row(route, None, "nothing was sent"))
                return
            probe = SingleProbe(route, headers, clock=SystemClock(), random=SystemRandom())
            self._probes[route.name] = probe
            record = await probe.run()
            del self._probes[route.name]
            over = record is not None and record.probe.outcome != "cancelled"
            self._tell(Row(route, record, "" if over else self._cut.get(route.name, "")))

    def _open_probes(self) -> list[tuple[str, SingleProbe]]:
        return list(self._probes.items())

    def _cancel(self) -> None:
        for name, probe in self._probes.items():
            self._cut[name] = waited_words(probe)
            probe.cancel()

    def _tell(self, row: Row) -> None:
        self._found[row.route.name] = row
        self._waiting.clear()
        say([_json(row) if self._as_json else _line(_cells(row), self._widths)])


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table: one head, one line a route, columns as wide as they need."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    whole = [texts for texts in cells if len(texts) == len(_HEAD)]
    widths = [max(map(cell_len, column)) for column in zip(*whole, strict=True)]
    return [_line(texts, widths) for texts in cells]


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    line, begins = "", 0
    for place, (text, width) in enumerate(zip(texts, widths, strict=False)):
        room = max(0, begins - cell_len(line), 2 if line else 0)
        if place < _LEFT_COLUMNS:
            line += " " * room + text
        else:
            line += " " * max(2, begins - cell_len(line)) + right(text, width)
        begins += width + 2
    return line.rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    name = _name(row.route)
    if row.waited:
        return (name, "open", row.waited)
    if row.record is None:
        return (name, "held", "budget", *[NO_FIGURE] * 4)
    probe = row.record.probe
    ttft, e2e = ttft_s(probe), e2e_s(probe)
    return (
        name,
        probe.outcome.replace("_", " "),
        neutralise(probe.reason, 40),
        _ttft(row.record, ttft),
        NO_FIGURE if e2e is None else duration(e2e),
        _tokens(row.record),
        _cost(row.record),
    )


def _name(route: Route) -> str:
    return neutralise(route.name)


def _json(row: Row) -> str:
    """Return a row as one JSON object: the fields of `once --json`, after the route's name."""
    told: dict[str, Any] = {"route": row.route.name}
    if row.record is not None:
        told |= json_object(row.record, include_text=False)
    elif not row.waited:
        told |= {"outcome": "held", "reason": "budget"}
    if row.waited:
        told |= {"outcome": "open", "waited": row.waited}
    return as_json(told)


def _ttft(record: ProbeRecord, ttft: float | None) -> str:
    if ttft is not None:
        return duration(ttft)
    came_whole = bool(record.attempts) and record.attempts[-1].ttft_kind == "not_streamed"
    return NOT_STREAMED if came_whole else NO_FIGURE


def _cost(record: ProbeRecord) -> str:
    """Return what the probe cost; where that is by a price, and not the provider's word, marked."""
    usd = record.probe.cost_usd
    by_price = any(attempt.cost_source in ("price", "list") for attempt in record.attempts)
    return NO_FIGURE if usd is None else f"{'~' if by_price else ''}${usd:.3g}"


def _tokens(record: ProbeRecord) -> str:
    last = record.attempts[-1] if record.attempts else None
    if last is None or last.output_tokens is None:
        return NO_FIGURE
    mark = "" if last.token_source in EXACT_SOURCES else "~"
    given = NO_FIGURE if last.input_tokens is None else f"{mark}{last.input_tokens}"
    return f"{given}/{mark}{last.output_tokens}"


def _remarks(row: Row) -> list[str]:
    """Return what a person should read beside the table: notices, a failure's words, and what was
    asked."""
    name = row.route.name
    if row.record is None:
        return [] if row.waited else [f"{name}: the hour's budget is spent; nothing was sent"]
    remarks = [f"{name}: {notice}" for notice in row.record.notices]
    last = row.record.attempts[-1] if row.record.attempts else None
    if not row.ok and not row.waited and last is not None and last.message:
        remarks.append(f"{name}: {neutralise(last.message, _SERVER_WORDS)}")
    if not row.ok and last is not None and (again := look_again(last)):
        remarks.append(f"{name}: {again}")
    if not row.ok:
        remarks.extend(f"{name}: {line}" for line in asked_lines(row.route, row.record))
    return remarks
