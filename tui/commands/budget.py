"""`llmtop budget`: who has spent what of the last hour's budgets, and how to put it right.

Reads the ledger that all runs share. It never sets a broken one aside: it says what is wrong.
"""

import json
import os
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from probes.config import Budget
from probes.kit.sanitise import neutralise
from probes.money.ledger import (
    Ledger,
    Report,
    RouteSpending,
    RunSpending,
    Struck,
    default_ledger_path,
    emergency_ledger_path,
    emergency_part,
)
from probes.money.ledger_file import BrokenLedgerError, LedgerError
from tui.commands.output import FAILED, OK, UsageError, complain, say
from tui.commands.settings import given_settings
from tui.draw.text import left, right

_NAME: Final = 40
_URL: Final = 60
_ALIVE: Final = {True: "alive", False: "gone", None: "unknown"}
_ROUTE_HEAD: Final = ("ROUTE", "MODEL", "TOKENS", "LIMIT", "SHARE", "USD", "OPEN")
_RUN_HEAD: Final = ("RUN", "COMMAND", "WHO", "STARTED", "STATE", "TOKENS", "SHARE", "USD", "OPEN")
_LEFT: Final = {"ROUTE", "MODEL", "RUN", "COMMAND", "WHO", "STARTED", "STATE"}


def run(arguments: Namespace) -> int:
    """Tell the last hour, or strike a run's record, or lift a doubt; status 1 where that fails.

    Raises:
        UsageError: the options do not go together, or there is no such run.
        ConfigError: the settings have mistakes.
    """
    if arguments.strike is not None and arguments.lift:
        raise UsageError("--strike and --lift exclude each other")
    config = given_settings(arguments, os.environ)
    budget = Budget() if config is None else config.budget
    path = default_ledger_path()
    _tell_of_apart(arguments)
    if not path.exists() and not path.is_symlink():
        return _tell_empty(arguments, budget)
    ledger = Ledger(path, mends=False)
    try:
        if arguments.strike is not None:
            return _strike(ledger, arguments)
        if arguments.lift:
            return _lift(ledger, arguments)
        return _tell(ledger.report(), budget, arguments)
    except BrokenLedgerError as error:
        complain([str(error)])
        return FAILED
    except LedgerError as error:
        complain([f"{error}; while it cannot, runs spend the emergency part of their budgets"])
        return FAILED
    finally:
        ledger.close()


def _tell_of_apart(arguments: Namespace) -> None:
    """Say what stands in the ledger that is counted in while this one cannot be used."""
    path = emergency_ledger_path()
    if arguments.json or not path.exists():
        return
    apart = Ledger(path, mends=False)
    try:
        tokens = apart.report().tokens
    except LedgerError as error:
        complain([str(error)])
        return
    finally:
        apart.close()
    if tokens:
        complain(
            [
                f"{tokens:,} tokens more are counted apart, in {path}, from when the ledger could"
                " not be used; the next run settles them"
            ]
        )


def _tell_empty(arguments: Namespace, budget: Budget) -> int:
    if arguments.strike is not None or arguments.lift:
        raise UsageError("nothing was spent in the last hour: there is no ledger yet")
    return _tell(Report((), (), ""), budget, arguments)


def _tell(report: Report, budget: Budget, arguments: Namespace) -> int:
    if arguments.json:
        say([_json(_told(report, budget))])
        return OK
    if report.doubt:
        part = emergency_part(budget)
        complain(
            [
                f"the ledger is in doubt: {report.doubt} ({part.tokens_per_hour:,} tokens,"
                f" {part.route_tokens_per_hour:,} a route; --lift ends that)"
            ]
        )
    if not report.routes:
        say(["the ledger knows of nothing spent in the last hour"])
        return OK
    total = _total_line(report, budget)
    say([total, "", *_route_lines(report, budget), "", *_run_lines(report, budget)])
    return OK


def _total_line(report: Report, budget: Budget) -> str:
    usd = f"${report.usd:.4g}"
    if budget.usd_per_hour is not None:
        usd += f" of ${budget.usd_per_hour:.4g}"
    share = _share(report.tokens, budget.tokens_per_hour)
    return (
        f"last hour, all routes: {report.tokens:,} of {budget.tokens_per_hour:,} tokens"
        f" ({share}), {usd}"
    )


def _route_lines(report: Report, budget: Budget) -> list[str]:
    rows = [
        (
            _route_name(route),
            neutralise(route.model, _NAME),
            f"{route.tokens:,}",
            f"{budget.route_tokens_per_hour:,}",
            _share(route.tokens, budget.route_tokens_per_hour),
            f"${route.usd:.4g}",
            f"{route.leased_tokens:,}",
        )
        for route in report.routes
    ]
    return _table(_ROUTE_HEAD, rows)


def _route_name(route: RouteSpending) -> str:
    if not route.name:
        return f"({route.key[:8]})"  # of a run that told no names
    url = f" {neutralise(route.base_url, _URL)}" if route.base_url else ""
    return neutralise(route.name, _NAME) + url


def _run_lines(report: Report, budget: Budget) -> list[str]:
    rows = [
        (
            neutralise(run.id, _NAME),
            neutralise(run.command, _NAME) or "–",
            _who(run),
            time.strftime("%H:%M:%S", time.localtime(run.started_s)) if run.started_s else "–",
            _ALIVE[run.alive],
            f"{run.tokens:,}",
            _share(run.tokens, budget.tokens_per_hour),
            f"${run.usd:.4g}",
            f"{run.leased_tokens:,}",
        )
        for run in report.runs
    ]
    return _table(_RUN_HEAD, rows)


def _who(run: RunSpending) -> str:
    if not run.pid:
        return "–"
    return f"{run.pid}@{neutralise(run.host, _NAME)}" if run.host else str(run.pid)


def _share(tokens: int, limit: int) -> str:
    return f"{100 * tokens / limit:.1f}%" if limit else "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides: list[Callable[[str, int], str]] = [left if name in _LEFT else right for name in head]
    return [
        "  ".join(
            side(text, width) for side, text, width in zip(sides, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]


def _told(report: Report, budget: Budget) -> dict[str, Any]:
    def plain(record: RouteSpending | RunSpending) -> dict[str, Any]:
        told: dict[str, Any] = msgspec.to_builtins(record)
        return told

    return {
        "tokens": report.tokens,
        "usd": report.usd,
        "limit_tokens": budget.tokens_per_hour,
        "limit_usd": budget.usd_per_hour,
        "route_limit_tokens": budget.route_tokens_per_hour,
        "route_limit_usd": budget.route_usd_per_hour,
        "doubt": report.doubt,
        "routes": [plain(route) for route in report.routes],
        "runs": [plain(run) for run in report.runs],
    }


def _strike(ledger: Ledger, arguments: Namespace) -> int:
    def confirm(struck: Struck) -> bool:
        if not arguments.json:
            say([f"will free {_freed(struck)}"])
        return True

    try:
        struck = ledger.strike(arguments.strike, confirm=confirm)
    except KeyError:
        raise UsageError(
            f"--strike: no run, or more than one, is called {arguments.strike}; "
            "`llmtop budget` lists them"
        ) from None
    if arguments.json:
        told = {"struck": struck.run.id, "tokens": struck.tokens, "usd": struck.usd}
        say([_json({**told, "keeps_lease": struck.keeps_lease})])
        return OK
    kept = "; it lives, and keeps what it has leased" if struck.keeps_lease else ""
    say([f"struck {neutralise(struck.run.id, _NAME)}: {struck.tokens:,} tokens are free{kept}"])
    return OK


def _freed(struck: Struck) -> str:
    run = struck.run
    what = f" ({neutralise(run.command, _NAME)}, {_who(run)})" if run.pid else ""
    return (
        f"{struck.tokens:,} tokens and ${struck.usd:.4g} of run {neutralise(run.id, _NAME)}{what}"
    )


def _lift(ledger: Ledger, arguments: Namespace) -> int:
    doubt = ledger.report().doubt
    if doubt:
        ledger.lift()
    if arguments.json:
        say([_json({"lifted": doubt})])
    else:
        told = "lifted: the budgets count from what the ledger knows"
        say([told if doubt else "the ledger is not in doubt"])
    return OK


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=True)
