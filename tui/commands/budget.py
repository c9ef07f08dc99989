"""`llmtop budget`: who has spent what of the last hour's budgets, and how to put it right.

Reads the ledger that all runs share, or with `--bus` the one that places share. It never sets a
broken one aside: it says what is wrong.
"""

import json
import os
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from probes.config import Budget
from probes.kit.sanitise import neutralise
from probes.money.lease_rules import emergency_part
from probes.money.ledger import (
    Ledger,
    Report,
    RouteSpending,
    RunSpending,
    Struck,
    default_ledger_path,
    emergency_ledger_path,
)
from probes.money.ledger_file import BrokenLedgerError, LedgerError
from tui.commands.output import FAILED, OK, UsageError, complain, say
from tui.commands.progress_bar import waiting_for
from tui.commands.settings import given_settings
from tui.draw.table import Cell, Column, printed
from tui.draw.text import NO_FIGURE, counted

_Record = TypeVar("_Record")

_NAME: Final = 40
_URL: Final = 60
_ALIVE: Final = {True: "alive", False: "gone", None: "unknown"}


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
    if arguments.bus is not None:
        return _on_bus(budget, arguments)
    path = default_ledger_path()
    _say_what_is_apart(arguments)
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


def _on_bus(budget: Budget, arguments: Namespace) -> int:
    """The same of the budgets that places share."""
    # Few ask a bus: nobody else's command is to load what that takes.
    import anyio

    from probes.bus.address import bus_address
    from probes.bus.connection import BusConnection, BusError
    from probes.bus.names import BUDGETS_BUCKET
    from probes.kit.clock import SystemClock
    from probes.money.bus_ledger import Lifted, lift_on_bus, report_of_bus, strike_on_bus

    address = bus_address(
        arguments.bus, arguments.bus_credentials, arguments.bus_ca, arguments.bus_certificate
    )
    clock = SystemClock()

    async def ask() -> Report | Struck | Lifted:
        connection = BusConnection(address, clock=clock, name="llmtop budget")
        try:
            with waiting_for(f"asking {address.shown}"):
                await connection.connect()
            bucket = connection.bucket(BUDGETS_BUCKET)
            if arguments.strike is not None:
                tell = partial(_say_what_is_freed, arguments)
                return await strike_on_bus(bucket, clock, arguments.strike, tell=tell)
            if arguments.lift:
                return await lift_on_bus(bucket, clock)
            return await report_of_bus(bucket, clock)
        finally:
            await connection.close()

    try:
        answer = anyio.run(ask)
    except KeyError:
        raise _unknown_run(arguments) from None
    except BrokenLedgerError as error:
        complain([f"{error}; until --lift begins them anew, places hold back"])
        return FAILED
    except (BusError, LedgerError) as error:
        complain([str(error)])
        return FAILED
    match answer:
        case Struck():
            return _tell_struck(answer, arguments)
        case Lifted():
            return _tell_lifted(answer.doubt, arguments, is_anew=answer.is_anew)
        case _:
            return _tell(answer, budget, arguments)


def _say_what_is_apart(arguments: Namespace) -> None:
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
        more = counted(tokens, "token more is", "tokens more are")
        complain(
            [
                f"{more} counted apart, in {path}, from when the ledger could not be used; the next"
                " run settles them"
            ]
        )


def _tell_empty(arguments: Namespace, budget: Budget) -> int:
    if arguments.strike is not None or arguments.lift:
        raise UsageError("nothing was spent in the last hour: there is no ledger yet")
    return _tell(Report((), (), ""), budget, arguments)


def _tell(report: Report, budget: Budget, arguments: Namespace) -> int:
    if arguments.json:
        say([_json(_fields(report, budget))])
        return OK
    if report.doubt and arguments.bus is not None:
        complain([f"{report.doubt} (--lift ends that)"])
    elif report.doubt:
        part = emergency_part(budget)
        complain(
            [
                f"the ledger is in doubt: {report.doubt} ({counted(part.tokens_per_hour, 'token')},"
                f" {part.route_tokens_per_hour:,} a route; --lift ends that)"
            ]
        )
    if not report.routes:
        whose = "the ledger knows" if arguments.bus is None else "the bus knows"
        say([f"{whose} of nothing spent in the last hour"])
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
        f"last hour, all routes: {report.tokens:,} of {counted(budget.tokens_per_hour, 'token')}"
        f" ({share}), {usd}"
    )


def _route_lines(report: Report, budget: Budget) -> list[str]:
    most = budget.route_tokens_per_hour

    def name(route: RouteSpending) -> str:
        if not route.name:
            return f"({route.key[:8]})"  # of a run that gave no names
        url = f" {neutralise(route.base_url, _URL)}" if route.base_url else ""
        return neutralise(route.name, _NAME) + url

    columns: tuple[Column[RouteSpending], ...] = (
        _words("ROUTE", name),
        _words("MODEL", lambda route: neutralise(route.model, _NAME)),
        _figures("TOKENS", lambda route: f"{route.tokens:,}"),
        _figures("LIMIT", lambda _: f"{most:,}"),
        _figures("SHARE", lambda route: _share(route.tokens, most)),
        _figures("USD", lambda route: f"${route.usd:.4g}"),
        _figures("OPEN", lambda route: f"{route.leased_tokens:,}"),
    )
    table = printed(columns, report.routes)
    return [table.head_text(), *map(table.text, report.routes)]


def _run_lines(report: Report, budget: Budget) -> list[str]:
    def started(run: RunSpending) -> str:
        at = run.started_s
        return time.strftime("%H:%M:%S", time.localtime(at)) if at else NO_FIGURE

    columns: tuple[Column[RunSpending], ...] = (
        _words("RUN", lambda run: neutralise(run.id, _NAME)),
        _words("COMMAND", lambda run: neutralise(run.command, _NAME) or NO_FIGURE),
        _words("WHO", _who),
        _words("STARTED", started),
        _words("STATE", lambda run: _ALIVE[run.alive]),
        _figures("TOKENS", lambda run: f"{run.tokens:,}"),
        _figures("SHARE", lambda run: _share(run.tokens, budget.tokens_per_hour)),
        _figures("USD", lambda run: f"${run.usd:.4g}"),
        _figures("OPEN", lambda run: f"{run.leased_tokens:,}"),
    )
    table = printed(columns, report.runs)
    return [table.head_text(), *map(table.text, report.runs)]


def _words(head: str, text: Callable[[_Record], str]) -> Column[_Record]:
    return Column(head, 0, lambda record: Cell(text(record)), flush_left=True)


def _figures(head: str, text: Callable[[_Record], str]) -> Column[_Record]:
    return Column(head, 0, lambda record: Cell(text(record)))


def _who(run: RunSpending) -> str:
    if not run.pid:
        return NO_FIGURE
    return f"{run.pid}@{neutralise(run.host, _NAME)}" if run.host else str(run.pid)


def _share(tokens: int, limit: int) -> str:
    return f"{100 * tokens / limit:.1f}%" if limit else NO_FIGURE


def _fields(report: Report, budget: Budget) -> dict[str, Any]:
    return {
        "tokens": report.tokens,
        "usd": report.usd,
        "limit_tokens": budget.tokens_per_hour,
        "limit_usd": budget.usd_per_hour,
        "route_limit_tokens": budget.route_tokens_per_hour,
        "route_limit_usd": budget.route_usd_per_hour,
        "doubt": report.doubt,
        "routes": msgspec.to_builtins(report.routes),
        "runs": msgspec.to_builtins(report.runs),
    }


def _strike(ledger: Ledger, arguments: Namespace) -> int:
    def confirm(struck: Struck) -> bool:
        _say_what_is_freed(arguments, struck)
        return True

    try:
        struck = ledger.strike(arguments.strike, confirm=confirm)
    except KeyError:
        raise _unknown_run(arguments) from None
    return _tell_struck(struck, arguments)


def _unknown_run(arguments: Namespace) -> UsageError:
    command = "llmtop budget" if arguments.bus is None else "llmtop budget --bus URL"
    return UsageError(
        f"--strike: no run, or more than one, is called {arguments.strike}; `{command}` lists them"
    )


def _say_what_is_freed(arguments: Namespace, struck: Struck) -> None:
    if not arguments.json:
        say([f"will free {_freed(struck)}"])


def _tell_struck(struck: Struck, arguments: Namespace) -> int:
    if arguments.json:
        freed = {"struck": struck.run.id, "tokens": struck.tokens, "usd": struck.usd}
        say([_json({**freed, "keeps_lease": struck.keeps_lease})])
        return OK
    lives = "it lives" if struck.run.alive else "it may live"
    kept = f"; {lives}, and keeps what it has leased" if struck.keeps_lease else ""
    tokens = counted(struck.tokens, "token is", "tokens are")
    say([f"struck {neutralise(struck.run.id, _NAME)}: {tokens} free{kept}"])
    return OK


def _freed(struck: Struck) -> str:
    run = struck.run
    what = f" ({neutralise(run.command, _NAME)}, {_who(run)})" if run.pid else ""
    tokens = counted(struck.tokens, "token")
    return f"{tokens} and ${struck.usd:.4g} of run {neutralise(run.id, _NAME)}{what}"


def _lift(ledger: Ledger, arguments: Namespace) -> int:
    doubt = ledger.report().doubt
    if doubt:
        ledger.lift()
    return _tell_lifted(doubt, arguments)


def _tell_lifted(doubt: str, arguments: Namespace, *, is_anew: bool = False) -> int:
    of = "the ledger knows" if arguments.bus is None else "is known on the bus"
    in_doubt = "the ledger is" if arguments.bus is None else "the budgets on the bus are"
    if arguments.json:
        say([_json({"lifted": doubt})])
    elif is_anew:
        say([f"{doubt}; begun anew, of what the places that live know"])
    else:
        lifted = f"lifted: the budgets count from what {of}"
        say([lifted if doubt else f"{in_doubt} not in doubt"])
    return OK


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=True)
