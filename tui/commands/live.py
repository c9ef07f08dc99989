"""`llmtop` itself: routes watched live, on a screen or, with --headless, as JSON lines."""

import os
from argparse import Namespace
from pathlib import Path

from probes.config.file import default_config_path
from probes.config.places import GivenPlace, check_ways
from probes.money.ledger import emergency_ledger_path
from tui.commands.machine_ledger import machine_ledger
from tui.commands.output import OK, UsageError, say
from tui.commands.settings import given_settings
from tui.commands.watch import has_terminal, need_face, watch
from tui.terminal.capabilities import no_screen_because


def run(arguments: Namespace) -> int:
    """Watch the routes of the settings; without settings, show how to begin.

    Raises:
        UsageError: there is no terminal, or nothing to watch.
        ConfigError: the settings have mistakes.
    """
    if arguments.bus is not None:
        from tui.commands import over_bus  # who watches his own routes needs none of it

        return over_bus.run(arguments)
    given = [name for name, value in vars(arguments).items() if value]
    over = [name for name in given if name.startswith("bus_") or name == "since"]
    if over:
        raise UsageError(f"--{over[0].replace('_', '-')} goes with --bus")
    places: list[GivenPlace] = arguments.place
    check_ways(places)
    for option, is_given in (
        ("--engines", arguments.engines > 1),
        ("--in-process", arguments.in_process),
    ):
        if places and is_given:
            raise UsageError(f"{option} and --place exclude each other: a place has one engine")
    probes_here = not places or any(place.way == "local" for place in places)
    config = given_settings(arguments, os.environ if probes_here else None)
    if config is None and places:
        raise UsageError("--place: there are no settings to probe by; `llmtop init` writes some")
    if config is None:
        return _begin(arguments)
    need_face(arguments, "llmtop")
    command = "llmtop --headless" if arguments.headless else "llmtop"
    return watch(config, arguments, machine_ledger(command), apart=emergency_ledger_path())


def _begin(arguments: Namespace) -> int:
    """Show the first-run screen and do what was chosen."""
    path = default_config_path()
    missing = "no terminal for the first-run screen"
    blind = no_screen_because(os.environ) if has_terminal() else missing
    if arguments.headless or blind:
        why = "" if arguments.headless else f"{blind}, and "
        raise UsageError(
            f"{why}nothing to watch: {path} is not there; write it with `llmtop init`, or name a "
            "route: llmtop --headless --duration 60 --base-url URL --model M"
        )
    # What a start with settings never needs: Textual, the provider, its scenarios.
    from tui.commands import demo, init
    from tui.screens.first_run import run_first_run

    found = [provider.variable for provider in init.found_providers(os.environ)]
    choice = run_first_run(path, found)
    if choice == "demo":
        asked = {**vars(arguments), "scenario": "demo", "seed": None, "list": False}
        return demo.run(Namespace(**asked))
    if choice == "write":
        _write(path)
    return OK


def _write(path: Path) -> None:
    from tui.commands import init

    try:
        init.write_config(path, init.config_text(os.environ))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    say([f"wrote {path}", "next: llmtop check, then llmtop"])
