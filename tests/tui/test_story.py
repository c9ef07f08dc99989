"""An incident as somebody on call goes through it, in a real terminal: from the start to the quit.

What is waited for is what the screen shows. Nothing here depends on how fast the machine is: a slow
one only takes longer, up to a patience that is far beyond what it needs.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
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


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[TerminalReader]:
    scenario = tmp_path / "limited.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    environ = terminal_environment(
        XDG_STATE_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path), HOME=str(tmp_path)
    )
    command = [sys.executable, "-m", "tui.cli", "demo", "--scenario", str(scenario), "--no-record"]
    with TerminalReader(command, SIZE, environ) as reader:
        yield reader


def go_to_a_refused_probe(terminal: TerminalReader) -> None:
    """Go down the list to a probe that was refused for good: where the machine is slow, others are
    beyond their goals too, and among those that were not good."""
    terminal.wait_for("bravo ▸ probe #")
    while terminal.row_of("throttled (rate_limit.concurrency) after ") < 0:
        shown = probe_shown(terminal)
        terminal.press("J")
        terminal.wait_for(lambda then, shown=shown: probe_shown(then) not in ("", shown))


def probe_shown(terminal: TerminalReader) -> str:
    """Return which probe's page is on the screen; empty where none is."""
    found = re.search(r"bravo ▸ probe (#\d+)", terminal.lines[0])
    return found[1] if found else ""


def test_from_the_start_over_an_incident_its_proof_and_a_knob_to_the_quit(
    terminal: TerminalReader,
) -> None:
    # All is well, and nobody says otherwise.
    terminal.wait_for("● LIVE")
    terminal.wait_for(ALPHA_OK)
    terminal.wait_for(row("bravo", "ok"))
    assert terminal.row_of(re.compile(r"^ [✖⊘▲▼△] ")) == -1

    # An incident: who, what, since when, and what to do; the cursor goes there.
    terminal.wait_for(re.compile(r"^ ⊘ bravo .*(?:limit|too many).* since \d\d:\d\d:\d\d"))
    terminal.wait_for(row("bravo", "throttled"))
    terminal.wait_for("token arrival · bravo")
    terminal.wait_for(lambda shown: 0 < shown.row_of(row("bravo", r"\w+")) < shown.row_of(ALPHA_OK))
    verdict = terminal.row_of(re.compile(r"^ ⊘ bravo "))
    assert 0 < verdict < terminal.row_of("¹routes")
    assert "attempts throttled" in terminal.lines[verdict]

    # The page of the route proves it: the same verdict, and probes that the server refused.
    terminal.press("enter")
    terminal.wait_for("routes ▸ bravo")
    terminal.wait_for("where the time went")
    terminal.wait_for(re.compile(r"(?:limit|too many).* since \d\d:\d\d:\d\d"))
    terminal.press("4", "x")
    terminal.wait_for(re.compile(r"#\d+ +⊘ *429"))

    # The page of one of them: each attempt, in whose words, and the id to ask about.
    terminal.press("enter")
    go_to_a_refused_probe(terminal)
    terminal.wait_for("#1 HTTP 429 throttled (rate_limit.concurrency)")
    terminal.wait_for("detail: Rate limit reached")
    terminal.wait_for("retry wait")
    terminal.press("y")
    terminal.wait_for(lambda shown: shown.clipboard.startswith("req_"))

    # Back, and a knob: what it did is told in the log, judged by what came since.
    terminal.press("escape")
    terminal.wait_for("where the time went")
    terminal.press("escape")
    terminal.wait_for("¹routes")
    terminal.press("+")
    terminal.wait_for(re.compile(r"bravo .* CONC 3→4"))
    terminal.wait_for(re.compile(r"CONC 3→4 .*429 \d+→\d+ %.* (worse|better|not to)"))
    terminal.wait_for(re.compile(r" bravo .* [0-4]/4 "))
    terminal.press("u")
    terminal.wait_for(re.compile(r"bravo .* CONC 4→3"))
    terminal.wait_for(re.compile(r" bravo .* [0-4]/3 "))

    # The terminal is given back, with a summary on it.
    terminal.press("q")
    assert terminal.ended() == 0
    assert terminal.is_given_back()
    assert terminal.row_of("llmtop ran ") == 0
    assert terminal.row_of(re.compile(r"^bravo ")) > 0
    assert "Traceback" not in terminal.text
