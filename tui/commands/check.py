"""`llmtop check`: validates the settings, then sends one probe a route and prints a table.

All routes are asked at once. A row is printed when its probe ends, in columns that were settled
before; Ctrl-C ends those that are open, and their rows tell how far they came.
"""

import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import Any, Final

import anyio
import msgspec

from probes.config import Config, Route
from probes.config.secrets import resolve_headers
from probes.engine.single import ProbeRecord, SingleProbe
from probes.kit.clock import SystemClock
from probes.kit.sanitise import neutralise
from probes.stats.tokens import EXACT_SOURCES
from tui.commands.asked import asked_lines
from tui.commands.once import as_json, json_object
from tui.commands.output import FAILED, OK, complain, say
from tui.commands.settings import check_display, needed_settings
from tui.commands.spend import ProbeReservations
from tui.commands.waiting import Interrupt, WaitingLine, waited_words
from tui.draw.probe_figures import duration, e2e_s, look_again, ttft_s
from tui.draw.table import BLANK, Cell, Column, printed
from tui.draw.text import NO_FIGURE, NOT_STREAMED, cells

_AT_ONCE: Final = 64
"""Probes, so that a file of a thousand routes does not run out of sockets."""
_SERVER_WORDS: Final = 240


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


def _outcome(row: Row) -> Cell:
    if row.waited:
        return Cell("open")
    return Cell("held" if row.record is None else row.record.probe.outcome.replace("_", " "))


def _reason(row: Row) -> Cell:
    if row.waited:
        return Cell(row.waited)
    if row.record is None:
        return Cell("budget")
    if row.ok and row.record.attempts[-1].right:
        return Cell("right answer")
    if row.ok and row.route.expect.is_set:
        return Cell("answer not checked")
    return Cell(neutralise(row.record.probe.reason, 40))


def _of_record(text: Callable[[ProbeRecord], str]) -> Callable[[Row], Cell]:
    """Return what fills a column of figures: an open probe has none yet, a held one none at all."""

    def cell(row: Row) -> Cell:
        if row.waited:
            return BLANK
        return Cell(NO_FIGURE if row.record is None else text(row.record))

    return cell


def _ttft(record: ProbeRecord) -> str:
    ttft = ttft_s(record.probe)
    if ttft is not None:
        return duration(ttft)
    came_whole = bool(record.attempts) and record.attempts[-1].ttft_kind == "not_streamed"
    return NOT_STREAMED if came_whole else NO_FIGURE


def _e2e(record: ProbeRecord) -> str:
    e2e = e2e_s(record.probe)
    return NO_FIGURE if e2e is None else duration(e2e)


def _tokens(record: ProbeRecord) -> str:
    last = record.attempts[-1] if record.attempts else None
    if last is None or last.output_tokens is None:
        return NO_FIGURE
    mark = "" if last.token_source in EXACT_SOURCES else "~"
    given = NO_FIGURE if last.input_tokens is None else f"{mark}{last.input_tokens}"
    return f"{given}/{mark}{last.output_tokens}"


def _cost(record: ProbeRecord) -> str:
    """Return what the probe cost; where that is by a price, and not the provider's word, marked."""
    usd = record.probe.cost_usd
    by_price = any(attempt.cost_source in ("price", "list") for attempt in record.attempts)
    return NO_FIGURE if usd is None else f"{'~' if by_price else ''}${usd:.3g}"


_NAME: Final[Column[Row]] = Column(
    "ROUTE", 0, lambda row: Cell(neutralise(row.route.name)), flush_left=True
)
_COLUMNS: Final[tuple[Column[Row], ...]] = (
    Column("OUTCOME", 12, _outcome, flush_left=True),
    Column("REASON", 20, _reason, flush_left=True),
    Column("TTFT", 8, _of_record(_ttft)),
    Column("E2E", 8, _of_record(_e2e)),
    Column("IN/OUT", 9, _of_record(_tokens)),
    Column("COST", 10, _of_record(_cost)),
)
"""With the widths of rows that come one by one: that of most outcomes, reasons and figures."""


def run(arguments: Namespace) -> int:
    """Probe every route once; status 1 if one is not ok, that of the signal if one ended it.

    Raises:
        UsageError: there are no settings.
        ConfigError: the settings have mistakes.
    """
    config = needed_settings(arguments, os.environ)
    check_display(config)
    headers = resolve_headers(config, os.environ)
    checking = _Checking(config, as_json=arguments.json)
    with ProbeReservations(config, command="llmtop check") as reservations:
        admitted = reservations.admit(config.routes)
        anyio.run(checking.run, admitted, headers)
        records = {row.route.name: row.record for row in checking.rows if row.record is not None}
        reservations.settle(records)
    rows = checking.rows
    complain(line for row in rows for line in _remarks(row))
    if checking.interrupt.status is not None:
        return checking.interrupt.status
    return OK if all(row.ok for row in rows) else FAILED


class _Checking:
    """One probe of each route, and the rows that are printed of them."""

    def __init__(self, config: Config, *, as_json: bool) -> None:
        self.interrupt = Interrupt()
        self._routes = config.routes
        self._as_json = as_json
        self._found: dict[str, Row] = {}
        self._waiting = WaitingLine(self._open_probes)
        self._probes: dict[str, SingleProbe] = {}
        self._cut: dict[str, str] = {}
        # Settled before the first probe ends: only the names are known by then.
        width = max((cells(neutralise(route.name)) for route in config.routes), default=0)
        self._table = printed([replace(_NAME, width=width), *_COLUMNS])

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
            say([self._table.head_text()])
        for row in held:
            self._print(row)
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
                self._print(Row(route, None, "nothing was sent"))
                return
            probe = SingleProbe(route, headers, clock=SystemClock(), random=SystemRandom())
            self._probes[route.name] = probe
            record = await probe.run()
            del self._probes[route.name]
            over = record is not None and record.probe.outcome != "cancelled"
            self._print(Row(route, record, "" if over else self._cut.get(route.name, "")))

    def _open_probes(self) -> list[tuple[str, SingleProbe]]:
        return list(self._probes.items())

    def _cancel(self) -> None:
        for name, probe in self._probes.items():
            self._cut[name] = waited_words(probe)
            probe.cancel()

    def _print(self, row: Row) -> None:
        self._found[row.route.name] = row
        self._waiting.clear()
        say([_json(row) if self._as_json else self._table.text(row)])


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table: one head, one line a route, columns as wide as they need."""
    whole = printed([replace(column, width=0) for column in (_NAME, *_COLUMNS)], rows)
    return [whole.head_text(), *map(whole.text, rows)]


def _json(row: Row) -> str:
    """Return a row as one JSON object: the fields of `once --json`, after the route's name."""
    fields: dict[str, Any] = {"route": row.route.name}
    if row.record is not None:
        fields |= json_object(row.record, include_text=False)
    elif not row.waited:
        fields |= {"outcome": "held", "reason": "budget"}
    if row.waited:
        fields |= {"outcome": "open", "waited": row.waited}
    return as_json(fields)


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
