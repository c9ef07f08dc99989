"""`llmtop check`: validates the settings, then sends one probe a route and prints a table."""

import os
from argparse import Namespace
from collections.abc import Sequence
from random import SystemRandom
from typing import Final

import anyio
import msgspec
from rich.cells import cell_len

from probes.clock import SystemClock
from probes.config import Route
from probes.neutral import neutralise
from probes.secrets import resolve_headers
from probes.single import ProbeRecord, probe_once
from probes.tokens import EXACT_SOURCES
from tui.commands.figures import duration, e2e_s, ttft_s
from tui.commands.output import FAILED, OK, complain, say
from tui.commands.settings import needed_settings
from tui.commands.spend import Purse
from tui.text import NO_SAMPLE, NOT_STREAMED, left, right

__all__ = ["Row", "run", "table"]

_AT_ONCE: Final = 8
_HEAD: Final = ("ROUTE", "OUTCOME", "REASON", "TTFT", "E2E", "IN/OUT", "COST")
_LEFT_COLUMNS: Final = 3
_SERVER_WORDS: Final = 120


class Row(msgspec.Struct, frozen=True):
    """One route and what its probe met; None where the budget forbade the probe."""

    route: Route
    record: ProbeRecord | None

    @property
    def ok(self) -> bool:
        """Whether the probe went well."""
        return self.record is not None and self.record.probe.outcome == "ok"


def run(arguments: Namespace) -> int:
    """Probe every route once, a few at a time; status 1 if one is not ok.

    Raises:
        UsageError: there are no settings.
        ConfigError: the settings have mistakes.
    """
    config = needed_settings(arguments, os.environ)
    headers = resolve_headers(config, os.environ)
    with Purse(config, command="llmtop check") as purse:
        records = anyio.run(_probe_all, purse.admit(config.routes), headers)
        purse.settle(records)
    rows = [Row(route, records.get(route.name)) for route in config.routes]
    say(table(rows))
    complain(line for row in rows for line in _remarks(row))
    return OK if all(row.ok for row in rows) else FAILED


async def _probe_all(
    routes: Sequence[Route], headers: dict[str, dict[str, str]]
) -> dict[str, ProbeRecord]:
    records: dict[str, ProbeRecord] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def probe(route: Route) -> None:
        async with limiter:
            records[route.name] = await probe_once(
                route, headers[route.name], clock=SystemClock(), random=SystemRandom()
            )

    async with anyio.create_task_group() as group:
        for route in routes:
            group.start_soon(probe, route)
    return records


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table: one head, one line a route, columns as wide as they need."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return [_line(texts, widths) for texts in cells]


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        left(text, width) if place < _LEFT_COLUMNS else right(text, width)
        for place, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "  ".join(aligned).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    name = neutralise(row.route.name)
    if row.record is None:
        return (name, "held", "budget", *[NO_SAMPLE] * 4)
    probe = row.record.probe
    ttft, e2e = ttft_s(probe), e2e_s(probe)
    return (
        name,
        probe.outcome.replace("_", " "),
        neutralise(probe.reason, 40),
        _ttft(row.record, ttft),
        NO_SAMPLE if e2e is None else duration(e2e),
        _tokens(row.record),
        NO_SAMPLE if probe.cost_usd is None else f"${probe.cost_usd:.3g}",
    )


def _ttft(record: ProbeRecord, ttft: float | None) -> str:
    if ttft is not None:
        return duration(ttft)
    came_whole = bool(record.attempts) and record.attempts[-1].ttft_kind == "not_streamed"
    return NOT_STREAMED if came_whole else NO_SAMPLE


def _tokens(record: ProbeRecord) -> str:
    last = record.attempts[-1] if record.attempts else None
    if last is None or last.output_tokens is None:
        return NO_SAMPLE
    mark = "" if last.token_source in EXACT_SOURCES else "~"
    given = NO_SAMPLE if last.input_tokens is None else f"{mark}{last.input_tokens}"
    return f"{given}/{mark}{last.output_tokens}"


def _remarks(row: Row) -> list[str]:
    """Return what a person should read beside the table: notices, and a failure's words."""
    if row.record is None:
        return [f"{row.route.name}: the hour's budget is spent; nothing was sent"]
    remarks = [f"{row.route.name}: {notice}" for notice in row.record.notices]
    last = row.record.attempts[-1] if row.record.attempts else None
    if not row.ok and last is not None and last.message:
        remarks.append(f"{row.route.name}: {neutralise(last.message, _SERVER_WORDS)}")
    return remarks
