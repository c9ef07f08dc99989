"""`llmtop` and its sub-commands; what a command needs is imported when it is run."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from probes import __version__
from probes.config.errors import ConfigError
from tui.commands.output import FAILED, INTERRUPTED, USAGE, OutputError, UsageError, complain
from tui.glyphs import make_streams_readable

__all__ = ["main", "parser"]

_WINDOWS: Final = ("1m", "5m", "15m", "1h", "run")
_PIPE_CLOSED: Final = 141
"""128 + SIGPIPE, as shells number it."""

_MOST_ENGINES: Final = 32
_SECONDS: Final = "S"
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
        raise UsageError(f"{message} (see {self.prog} --help)")


class _Command(_Parser):
    """A sub-command: an option it shares with `llmtop` may stand before it or after."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, argument_default=argparse.SUPPRESS)


class _Version(argparse.Action):
    """Tells the version, and which package holds the digests of percentiles."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it and leave; the package is looked up only now, for it takes time to import."""
        backend = import_module("probes.sketch").BACKEND
        sys.stdout.write(f"llmtop {__version__} (percentiles: {backend})\n")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run `llmtop` with the arguments of the command line, or of `argv`; return its status.

    0 is success, 1 a failed probe or a missed goal, 2 a wrong command line or settings, 130 Ctrl-C.
    """
    _replace_closed_streams()
    make_streams_readable(os.environ)
    try:
        arguments = parser().parse_args(argv)
        run: Callable[[argparse.Namespace], int] = import_module(arguments.module).run
        return run(arguments)
    except (ConfigError, UsageError) as error:
        complain(error.problems)
        return USAGE
    except SystemExit as told:
        # argparse leaves so after --help and --version; its errors are UsageErrors here.
        return int(told.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return _PIPE_CLOSED
    except OutputError as error:
        _discard_output()
        complain([str(error)])
        return FAILED


def _replace_closed_streams() -> None:
    """Put the null device where a standard stream was closed, lest a file take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, null)


def _discard_output() -> None:
    """Keep the interpreter from flushing, at exit, into an output that takes no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return the command line; each command names the module in `tui.commands` that runs it."""
    top = _Parser(
        prog="llmtop",
        description="top for LLM routes: probes them and shows, live, whether users feel pain.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="tell the version and leave")
    top.set_defaults(module="tui.commands.live", engines=1)
    _add_settings(top)
    _add_run_options(top)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Command)
    _add_demo(commands.add_parser("demo", help="watch the embedded provider"))
    _add_simulate(commands.add_parser("simulate", help="serve the embedded provider"))
    _add_init(commands.add_parser("init", help="write a commented routes.toml"))
    _add_check(commands.add_parser("check", help="validate, then send one probe a route"))
    _add_once(commands.add_parser("once", help="send one probe and show its waterfall"))
    return top


def _add_settings(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument("--base-url", metavar="URL", help="one route without any file")
    command.add_argument("--model", metavar="M", help="its model")
    command.add_argument("--api-key-env", metavar="V", help="variable that holds its key")


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="instead of routes.toml")


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--headless", action="store_true", help="events as JSON lines on stdout")
    command.add_argument("--duration", type=_seconds, metavar=_SECONDS, help="end after S seconds")
    recording = command.add_mutually_exclusive_group()
    recording.add_argument("--record", type=Path, metavar="FILE", help="record to this file")
    recording.add_argument("--no-record", action="store_true", help="record nothing")
    command.add_argument(
        "--fail-on-goals", action="store_true", help="end with status 1 if a goal was missed"
    )
    command.add_argument(
        "--in-process", action="store_true", help="engine in this process: debugging, Windows"
    )
    command.add_argument(
        "--engines", type=_engines, metavar="N", help="share the work among N processes; default: 1"
    )
    command.add_argument("--window", choices=_WINDOWS, help="window of the figures shown")


def _add_demo(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.demo")
    _add_scenario(command)
    _add_run_options(command)


def _add_scenario(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scenario", default="demo", metavar="NAME", help="default: demo")
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
        "--no-scan", action="store_true", help="ask no server on this machine whether it is there"
    )


def _add_check(command: argparse.ArgumentParser) -> None:
    command.set_defaults(module="tui.commands.check")
    _add_settings(command)


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


def _port(text: str) -> int:
    return _read(text, int, "a port from 0 to 65535", lambda value: 0 <= value <= 65_535)


if __name__ == "__main__":
    sys.exit(main())
