"""`llmtop` and its sub-commands; what a command needs is imported when it is run.

Nothing that a person presses or a shell redirects ends in a traceback: Ctrl-C is quiet from the
first import to the last word, and output that nobody takes is a status.
"""

import argparse
import gc
import math
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar

from probes import __version__
from probes.config.errors import ConfigError
from probes.kit.exit_status import ExitStatus
from probes.kit.paths import PathError, path_of
from probes.kit.words import plainly
from tui.commands.output import OutputError, UsageError, complain, discard, say
from tui.draw.glyphs import make_streams_readable
from tui.terminal.collector import no_passes_at_the_start
from tui.terminal.interrupt import end_on_interrupt, raise_on_interrupt

if TYPE_CHECKING:
    from probes.config.places import GivenPlace

WORKLOADS: Final = ("short", "chat", "long", "aa-100", "aa-1k", "aa-10k")
_BUS_FILES: Final = {
    "bus_credentials": "a .creds file for the bus",
    "bus_ca": "PEM: who may vouch for the bus, in the place of whom the machine trusts",
    "bus_certificate": "PEM: our certificate for the bus, with its key",
}
DEPLOYED: Final = ("unit", "containerfile", "compose", "nats", "prometheus", "rules", "dashboard")
LEADER_ORDERS: Final = ("e2e", "ttft", "speed", "price", "name")
_WINDOWS: Final = ("1m", "5m", "15m", "1h", "run")
_MOST_ENGINES: Final = 32
_SECONDS: Final = "S"
_LIVE: Final = "tui.commands.live"
"""What runs where no sub-command is named."""
_AGENT: Final = "tui.commands.agent"
_BUDGET: Final = "tui.commands.budget"
_OVER_BUS: Final = (_LIVE, _AGENT, _BUDGET)
"""What a bus is for, before the command or after it."""
_FROM_HERE: Final = ("check", "once", "compare", "sweep", "leaderboard")
"""Commands that probe, and from here alone."""
_LONGEST_SPAN_S: Final = 86_400.0
"""As long as the bus keeps anything."""
_Number = TypeVar("_Number", int, float)
_ONCE_OVERRIDES: Final = (
    "route",
    "dialect",
    "max_tokens",
    "retries",
    "connect_timeout",
    "first_token_timeout",
    "stall_timeout",
)


class _Parser(argparse.ArgumentParser):
    """Complains in one line, as all of `llmtop` does."""

    def error(self, message: str) -> NoReturn:
        """Tell the mistake and how to get help, and leave with status 2."""
        raise UsageError(f"{plainly(message)} (see {self.prog} --help)")


class _Command(_Parser):
    """A sub-command: an option it shares with `llmtop` may stand before it or after."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, argument_default=argparse.SUPPRESS)

    def parse_known_args(self, *arguments: Any, **more: Any) -> Any:
        """Say of a command that probes from here alone what to do with `--bus` or `--place`."""
        known, rest = super().parse_known_args(*arguments, **more)
        for option in ("--bus", "--place"):
            is_asked = any(word.partition("=")[0] == option for word in rest)
            if is_asked and self.prog.rpartition(" ")[2] in _FROM_HERE:
                raise UsageError(
                    f"{option}: `{self.prog}` probes from the machine that it runs on: run it at"
                    " the place"
                )
        return known, rest


class _Version(argparse.Action):
    """Tells the version, and which package holds the digests of percentiles."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it and leave; the package is looked up only now, for it takes time to import."""
        backend = import_module("probes.stats.sketch").BACKEND
        say([f"llmtop {__version__} (percentiles: {backend})"])
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run `llmtop` with the arguments of the command line, or of `argv`; return its status.

    Without `argv` this is the whole program: Ctrl-C then ends it at once, without a word, for as
    long as nothing has begun and again once all is done.
    """
    is_program = argv is None
    if is_program:
        end_on_interrupt()
    _replace_closed_streams()
    make_streams_readable(os.environ)
    try:
        status = _run(argv, is_program=is_program)
        say([])  # what was written and not yet flushed
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        discard(sys.stdout)
        return ExitStatus.PIPE_CLOSED
    except OutputError as error:
        discard(sys.stdout)
        complain([str(error)])
        return ExitStatus.FAILED
    finally:
        if is_program:
            end_on_interrupt()
    return status


def _run(argv: Sequence[str] | None, *, is_program: bool) -> int:
    try:
        with no_passes_at_the_start():
            arguments = parser().parse_args(argv)
            if arguments.only is not None and not arguments.headless:
                raise UsageError(f"--only goes with --headless; it takes {_known_types()}")
            if arguments.module != _LIVE and isinstance(arguments.place, list) and arguments.place:
                raise UsageError("--place, before a command, goes with llmtop itself alone")
            if arguments.module not in _OVER_BUS and arguments.bus is not None:
                raise UsageError("--bus, before a command, goes with llmtop itself alone")
            run: Callable[[argparse.Namespace], int] = import_module(arguments.module).run
            if is_program:
                gc.freeze()  # modules stay until the end: no pass need look through them
        raise_on_interrupt()
        return run(arguments)
    except (ConfigError, UsageError) as error:
        complain(error.problems)
        return ExitStatus.USAGE
    except SystemExit as told:
        # argparse leaves so after --help and --version; its errors are UsageErrors here.
        return int(told.code or 0)


def _replace_closed_streams() -> None:
    """Put the null device where a standard stream was closed, lest a file take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, null)


def parser() -> argparse.ArgumentParser:
    """Return the command line; each command names the module in `tui.commands` that runs it."""
    top = _Parser(
        prog="llmtop",
        description="top for LLM routes: probes them and shows, live, whether users feel pain.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="tell the version and leave")
    top.set_defaults(module=_LIVE, engines=1, only=None, place=[])
    top.set_defaults(bus=None, since=None, **dict.fromkeys(_BUS_FILES))
    _add_settings(top)
    _add_run_options(top)
    _add_places(top)
    _add_bus(top)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Command)
    _add_demo(commands.add_parser("demo", help="watch the embedded provider"))
    _add_simulate(commands.add_parser("simulate", help="serve the embedded provider"))
    _add_init(commands.add_parser("init", help="write a commented routes.toml"))
    _add_check(commands.add_parser("check", help="validate, then send one probe a route"))
    _add_once(commands.add_parser("once", help="send one probe and show its waterfall"))
    _add_compare(
        commands.add_parser("compare", help="probe routes in turns until one knows which is faster")
    )
    _add_sweep(commands.add_parser("sweep", help="ask a route for more until it carries no more"))
    _add_leaderboard(
        commands.add_parser("leaderboard", help="rank routes: TTFT, output speed, E2E, price")
    )
    _add_replay(commands.add_parser("replay", help="print a recording as its run printed it"))
    _add_report(commands.add_parser("report", help="tell the incidents of a recording in words"))
    _add_history(
        commands.add_parser("history", help="weeks of routes: percentiles, tokens, cost, incidents")
    )
    _add_budget(commands.add_parser("budget", help="tell who spent what in the last hour"))
    _add_deploy(commands.add_parser("deploy", help="print files for agents: a unit, containers"))
    _add_manual(commands.add_parser("manual", help="what states, figures and settings mean"))
    _add_agent(commands.add_parser("agent", help="probe for a place, and give its events to a bus"))
    _add_engine(commands.add_parser("engine", help="probe for a cockpit elsewhere"))
    return top


def _add_settings(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument("--base-url", metavar="URL", help="one route without any file")
    command.add_argument("--model", metavar="M", help="its model")
    command.add_argument("--api-key-env", metavar="V", help="variable that holds its key")


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=_path, metavar="FILE", help="instead of routes.toml")


def _add_headless(command: argparse.ArgumentParser) -> None:
    command.add_argument("--headless", action="store_true", help="events as JSON lines on stdout")
    command.add_argument(
        "--only",
        type=_types,
        metavar="TYPES",
        help="lines of these types alone, such as probe_finished,summary",
    )


def _add_fail_on_incident(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fail-on-incident", action="store_true", help="end with status 4 if one was named"
    )


def _add_run_options(command: argparse.ArgumentParser) -> None:
    _add_headless(command)
    command.add_argument("--duration", type=_seconds, metavar=_SECONDS, help="end after S seconds")
    recording = command.add_mutually_exclusive_group()
    recording.add_argument("--record", type=_path, metavar="FILE", help="record to this file")
    recording.add_argument("--no-record", action="store_true", help="record nothing")
    _add_no_history(command)
    command.add_argument(
        "--fail-on-goals", action="store_true", help="end with status 1 if a goal was missed"
    )
    _add_fail_on_incident(command)
    command.add_argument(
        "--in-process", action="store_true", help="engine in this process: debugging, Windows"
    )
    command.add_argument(
        "--engines", type=_engines, metavar="N", help="share the work among N processes; default: 1"
    )
    command.add_argument("--window", choices=_WINDOWS, help="window of the figures shown")
    _add_exports(command)


def _add_exports(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--prometheus",
        type=_listen,
        metavar="ADDR:PORT",
        help="serve metrics there; a port alone is on loopback",
    )
    command.add_argument("--otlp", metavar="URL", help="send metrics to an OpenTelemetry receiver")
    command.add_argument("--otlp-traces", action="store_true", help="and a span of each probe")


def _add_places(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--place",
        action="append",
        type=_place,
        metavar="NAME=WHERE",
        help="probe from there, too: NAME=ssh:HOST or NAME=local; may stand several times",
    )


def _add_bus_files(command: argparse.ArgumentParser) -> None:
    for name, about in _BUS_FILES.items():
        option = f"--{name.replace('_', '-')}"
        command.add_argument(option, type=_path, metavar="FILE", help=about)


def _add_bus(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--bus",
        metavar="URL",
        help="watch all places on that bus, or those named by --place: nats://HOST:4222",
    )
    _add_bus_files(command)
    command.add_argument(
        "--since", type=_span, metavar="SPAN", help="of the bus, begin so long ago; default: 1h"
    )


def _add_no_history(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--no-history", action="store_true", help="keep nothing of it for `llmtop history`"
    )


def _add_demo(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.demo")
    _add_scenario(command)
    _add_run_options(command)


def _add_scenario(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--scenario", default="demo", metavar="NAME", help="or a file of one; default: demo"
    )
    command.add_argument("--list", action="store_true", help="print all scenarios, and end")
    command.set_defaults(list=False)
    command.add_argument(
        "--seed", type=_whole, default=None, metavar="N", help="repeats a run's chances"
    )


def _add_simulate(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.simulate")
    _add_scenario(command)
    command.add_argument("--port", type=_port, default=0, metavar="N", help="default: a free one")


def _add_init(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.init", stdout=False, no_scan=False)
    _add_config(command)
    command.add_argument("--stdout", action="store_true", help="print it instead")
    command.add_argument(
        "--no-scan",
        action="store_true",
        help="ask no server of this machine and no price list",
    )


def _add_check(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.check", json=False)
    _add_settings(command)
    command.add_argument("--json", action="store_true", help="one JSON object a route")


def _add_once(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.once", json=False, include_text=False)
    command.set_defaults(**dict.fromkeys(_ONCE_OVERRIDES))
    command.add_argument("route", nargs="?", metavar="ROUTE", help="a route of the settings")
    _add_settings(command)
    command.add_argument(
        "--dialect",
        metavar="D",
        help="chat, completions, responses, messages, ollama, azure or auto",
    )
    command.add_argument("--max-tokens", type=_whole, metavar="N", help="answer cap")
    command.add_argument("--retries", type=_whole, metavar="N", help="0 for none")
    for clock in ("connect", "first-token", "stall"):
        command.add_argument(f"--{clock}-timeout", type=_number_of_seconds, metavar=_SECONDS)
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--include-text", action="store_true", help="the answer's text too")


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.compare", change=None, yes=False, json=False)
    command.set_defaults(pairs=None, margin=None, budget_tokens=None, budget_usd=None)
    command.description = (
        "Probe two to four routes in turns, in random order, or one route with one thing changed, "
        "until it is known which is faster. Says what it may cost before it begins."
    )
    command.add_argument(
        "routes", nargs="+", metavar="ROUTE", help="the first is what the others are compared with"
    )
    _add_config(command)
    command.set_defaults(base_url=None, model=None, api_key_env=None)
    command.add_argument(
        "--change",
        metavar="WHAT",
        help="of one route: fresh, stream, prompt=TOKENS or base-url=URL",
    )
    command.add_argument("--pairs", type=_pairs, metavar="N", help="at most; default: 300")
    command.add_argument(
        "--margin",
        type=_margin,
        metavar="PERCENT",
        help="smaller differences are of no use; default: 5",
    )
    command.add_argument(
        "--budget-tokens", type=_tokens, metavar="N", help="end before it spends more"
    )
    command.add_argument("--budget-usd", type=_usd, metavar="USD", help="the same in USD")
    command.add_argument("--yes", action="store_true", help="begin without asking")
    command.add_argument("--json", action="store_true", help="one JSON object")


def _add_sweep(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.sweep", by="concurrency", max=None, goal=None)
    command.set_defaults(step=None, budget_tokens=None, budget_usd=None, yes=False)
    command.set_defaults(json=False, csv=False, svg=None, compare=None)
    command.description = (
        "Ask one route for more and more, until a goal is missed, 429s come, it only queues, or "
        "the budget ends: how much does it carry, and where is the knee? Says what it may cost "
        "before it begins."
    )
    command.add_argument("route", metavar="ROUTE", help="a route of the settings")
    _add_settings(command)
    command.add_argument(
        "--by",
        choices=("concurrency", "rate"),
        help="requests at once, or begun each second whatever the others do; default: concurrency",
    )
    command.add_argument(
        "--max", type=_load, metavar="N", help="ask for no more; default: 32, or 8/s"
    )
    command.add_argument(
        "--goal",
        nargs="+",
        metavar="GOAL",
        help="ttft_p95=S e2e_p95=S success=SHARE tokens_per_s=N; default: the route's",
    )
    command.add_argument(
        "--step", type=_seconds, metavar=_SECONDS, help="measure each load so long; default: 30"
    )
    command.add_argument(
        "--budget-tokens", type=_tokens, metavar="N", help="end before it spends more"
    )
    command.add_argument("--budget-usd", type=_usd, metavar="USD", help="the same in USD")
    command.add_argument("--yes", action="store_true", help="begin without asking")
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object")
    shape.add_argument("--csv", action="store_true", help="a row for each step")
    command.add_argument("--svg", type=_path, metavar="FILE", help="write the chart there, too")
    command.add_argument(
        "--compare", type=_path, metavar="FILE", help="draw a former sweep, its JSON, beside it"
    )


def _add_leaderboard(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.leaderboard", json=False, yes=False)
    command.set_defaults(base_url=None, model=None, api_key_env=None)
    command.set_defaults(workload=None, probes=None, sort="e2e", paths=[], routes=[])
    command.description = (
        "Rank routes that were asked alike in the figures of public leaderboards: TTFT, output "
        "speed, E2E for 500 tokens, blended price. Reads the run that is on, or a recording; else "
        "it sends some probes to each route, and says what that may cost before it begins."
    )
    command.add_argument("routes", nargs="*", metavar="ROUTE", help="those alone; default: all")
    _add_config(command)
    command.add_argument(
        "--workload",
        choices=WORKLOADS,
        help="what all are asked; default: what each route has, or aa-1k where none has one",
    )
    command.add_argument(
        "--probes", type=_probes, metavar="N", help="of each route, beside the first; default: 6"
    )
    command.add_argument(
        "--from",
        dest="paths",
        nargs="+",
        type=_path,
        metavar="PATH",
        help="read a recording instead, and send nothing",
    )
    command.add_argument("--sort", choices=LEADER_ORDERS, help="default: e2e")
    command.add_argument("--yes", action="store_true", help="begin without asking")
    command.add_argument("--json", action="store_true", help="one JSON object")


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.replay")
    command.description = (
        "Print the events of a recording as JSON lines, and last the summary of its run, as "
        "--headless printed them. Nothing but the recording is read."
    )
    _add_paths(command)
    _add_headless(command)
    _add_fail_on_incident(command)


def _add_report(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.report", json=False)
    command.set_defaults(out=None, incident=None, begins_at=None, ends_at=None)
    command.description = (
        "Tell what was wrong in a recorded run: each incident with its cause, since when, the "
        "evidence and what to do, and whether somebody would have been paged. Without a PATH it is "
        "the run that was recorded last. Nothing but the recording is read."
    )
    _add_paths(command, least="*")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument(
        "--out",
        type=_path,
        metavar="DIR",
        help="write a folder there for whoever was not there: pages, charts, tables, recording",
    )
    command.add_argument(
        "--incident", type=_whole, metavar="N", help="of --out: the incident of that number"
    )
    for option, words in (("--from", "begins"), ("--to", "ends")):
        command.add_argument(
            option,
            dest=f"{words}_at",
            metavar="TIME",
            help=f"of --out: where it {words}, such as 14:03 or 2026-11-30T14:03:00Z",
        )


def _add_history(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.history", since="30d", json=False)
    command.usage = (
        "llmtop history [ROUTE] [--since WHEN] [--json]\n       llmtop history import FILE..."
    )
    command.description = (
        "Show what is kept of all runs: TTFT and E2E by day and hour of the day, tokens, cost, "
        "prompts that grew, incidents that came again. `import FILE...` brings recordings, "
        "or another history, into it."
    )
    command.add_argument(
        "words", nargs="*", default=[], metavar="ROUTE", help="one of them, whole; default: all"
    )
    command.add_argument(
        "--since", metavar="WHEN", help="such as 30d, 12h or 2026-10-14; default: 30d"
    )
    command.add_argument("--json", action="store_true", help="one JSON object")


def _add_paths(command: argparse.ArgumentParser, least: Literal["*", "+"] = "+") -> None:
    command.add_argument(
        "paths",
        nargs=least,
        default=[],
        type=_path,
        metavar="PATH",
        help="a recording, its parts in order, or the first of them: the others are found",
    )


def _add_budget(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module=_BUDGET, strike=None, lift=False, json=False)
    command.set_defaults(base_url=None, model=None, api_key_env=None, bus=None)
    command.set_defaults(**dict.fromkeys(_BUS_FILES))
    _add_config(command)
    command.add_argument("--bus", metavar="URL", help="of the budgets that agents share over a bus")
    _add_bus_files(command)
    command.add_argument("--strike", metavar="RUN", help="strike what a run has spent")
    command.add_argument(
        "--lift",
        action="store_true",
        help="count from what is known, after a broken ledger or on a new bus",
    )
    command.add_argument("--json", action="store_true", help="one JSON object")


def _add_deploy(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.deploy", file=None)
    command.description = (
        "Print a file for who runs agents, to be put where it belongs, which its own first lines "
        "say: llmtop deploy compose > compose.yaml. Without a name, say which there are."
    )
    command.add_argument(
        "file", nargs="?", choices=DEPLOYED, metavar="FILE", help=f"one of {', '.join(DEPLOYED)}"
    )


def _add_manual(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.manual", topic=[])
    command.description = (
        "Print a topic of the manual: a room, such as tui or config, or a heading, of which the "
        "beginning is enough. Without one, all topics are listed."
    )
    command.add_argument("topic", nargs="*", default=[], metavar="TOPIC", help="such as states")


def _add_agent(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module=_AGENT, record=None, no_record=False, place=None)
    command.set_defaults(bus=None, **dict.fromkeys(_BUS_FILES))
    command.set_defaults(base_url=None, model=None, api_key_env=None, prometheus=None)
    command.set_defaults(duration=None, engines=1, in_process=False, no_history=False)
    command.description = (
        "Probe the routes of the settings without a screen, as seen from a place: give what is "
        "measured to a bus (nats-server -js), and do what a cockpit over that bus asks for "
        "(llmtop --bus URL). While the bus is away it goes on, and what was not sent is sent later."
    )
    _add_config(command)
    command.add_argument(
        "--bus", metavar="URL", help="such as nats://HOST:4222; default: the variable LLMTOP_BUS"
    )
    _add_bus_files(command)
    _add_no_history(command)
    command.add_argument(
        "--place", required=True, metavar="NAME", help="where this is, such as eu-west"
    )
    command.add_argument("--duration", type=_seconds, metavar=_SECONDS, help="end after S seconds")
    command.add_argument("--no-record", action="store_true", help="record nothing")
    command.add_argument(
        "--in-process", action="store_true", help="engine in this process: debugging, Windows"
    )
    command.add_argument(
        "--engines", type=_engines, metavar="N", help="share the work among N processes; default: 1"
    )
    _add_exports(command)


def _add_engine(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.engine", no_commands=False)
    command.description = (
        "Probe for a cockpit on another machine, which starts this over ssh (llmtop --place "
        "NAME=ssh:HOST) and names the routes. Keys are of this machine's environment."
    )
    command.add_argument(
        "--no-commands", action="store_true", help="refuse routes that name an api_key_cmd"
    )


def _read(
    text: str, kind: Callable[[str], _Number], expected: str, holds: Callable[[_Number], bool]
) -> _Number:
    """Return a number of the command line, or complain in the words of the settings file."""
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not holds(value):
        raise argparse.ArgumentTypeError(f"got {text}, expected {expected}")
    return value


def _pairs(text: str) -> int:
    return _read(text, int, "a number of pairs from 1 to 10,000", lambda n: 1 <= n <= 10_000)


def _tokens(text: str) -> int:
    return _read(text, int, "a whole number of tokens above 0", lambda n: n > 0)


def _probes(text: str) -> int:
    return _read(text, int, "a number of probes from 1 to 200", lambda n: 1 <= n <= 200)


def _usd(text: str) -> float:
    return _read(text, float, "a number of USD above 0", lambda usd: 0 < usd < math.inf)


def _load(text: str) -> float:
    return _read(text, float, "a number above 0, at most 1,000", lambda load: 0 < load <= 1_000)


def _margin(text: str) -> float:
    return _read(text, float, "a number of per cent above 0, at most 100", lambda n: 0 < n <= 100)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("got an empty word, expected the path of a file")
    try:
        return path_of(text)
    except PathError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _place(text: str) -> "GivenPlace":
    from probes.config.places import read_place  # only now, for it takes time to import

    return read_place(text)


def _span(text: str) -> float:
    from probes.kit.durations import wait_until_s

    seconds = None if text[:1] in "+-" else wait_until_s(text, 0)
    if seconds is None or not 0 < seconds <= _LONGEST_SPAN_S or text.strip("0123456789.") == "":
        raise argparse.ArgumentTypeError(f"got {text}, expected a time such as 90s, 10m or 6h")
    return seconds


def _types(text: str) -> frozenset[str]:
    from probes.events import LINE_TYPES  # only now, for it takes time to import

    types = frozenset(name.strip() for name in text.split(","))
    if unknown := types.difference(LINE_TYPES):
        got = ", ".join(sorted(unknown)) or "nothing"
        raise argparse.ArgumentTypeError(f"got {got}, expected some of {_known_types()}")
    return types


def _known_types() -> str:
    from probes.events import LINE_TYPES

    return ", ".join(LINE_TYPES)


def _whole(text: str) -> int:
    return _read(text, int, "a whole number", lambda _: True)


def _number_of_seconds(text: str) -> float:
    # Its range is that of the settings file, checked with the route's other values.
    return _read(text, float, "a number of seconds", lambda _: True)


def _seconds(text: str) -> float:
    return _read(text, float, "seconds above 0", lambda value: math.isfinite(value) and value > 0)


def _engines(text: str) -> int:
    most = min(_cores(), _MOST_ENGINES)
    expected = f"a number of processes from 1 to {most}: an engine fills one core"
    return _read(text, int, expected, lambda value: 1 <= value <= most)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _listen(text: str) -> object:
    from probes.kit.listen import listen_address  # few have a need

    try:
        return listen_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    return _read(text, int, "a port from 0 to 65535", lambda value: 0 <= value <= 65_535)


if __name__ == "__main__":
    sys.exit(main())
