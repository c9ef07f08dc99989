"""What the stories of an incident have in common: the provider that gets ill, and how to wait."""

import re
import sys
from pathlib import Path

from terminal_reader import TerminalReader, terminal_environment

SCENARIO = """
title = "Three requests at a time where two are allowed, soon after the start"

[serving]
gateway_s = 0.15
answer_tokens = 24
decode_tokens_per_s = 60

# It is the second by name: the cursor has somewhere to go.
[[models]]
name = "alpha"
incident = "healthy"
route = { concurrency = 1, interval = 0.5 }

[[models]]
name = "bravo"
incident = "healthy"
route = { concurrency = 3, interval = 0.5 }

[[models.phases]]
start_s = 0
name = "well"

[[models.phases]]
start_s = 12
name = "limited"
limits = { concurrency = 2, retry_after_s = 0.2 }
"""
SIZE = (120, 40)


def row(name: str, state: str) -> re.Pattern[str]:
    """Return what finds a route in the table in a state."""
    return re.compile(rf"[^\w]{name} +{state} ")


ALPHA_OK = row("alpha", "ok")
VERDICT = re.compile(r"^ ⊘ bravo .*(?:limit|too many).* since \d\d:\d\d:\d\d")


def demo(folder: Path, *options: str) -> TerminalReader:
    """Return the cockpit over that provider, with nothing but a folder to keep things in."""
    scenario = folder / "limited.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    return llmtop(folder, "demo", "--scenario", str(scenario), *options)


def llmtop(folder: Path, *arguments: str) -> TerminalReader:
    """Return a command of llmtop in a terminal."""
    names = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME")
    environ = terminal_environment(**dict.fromkeys(names, str(folder)))
    return TerminalReader([sys.executable, "-m", "tui.cli", *arguments], SIZE, environ)
