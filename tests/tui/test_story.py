"""An incident as somebody on call goes through it, in a real terminal: from the start to the quit.

What is waited for is what the screen shows. Nothing here depends on how fast the machine is: a slow
one only takes longer, up to a patience that is far beyond what it needs.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from story import ALPHA_OK, VERDICT, demo, row
from terminal_reader import TerminalReader


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[TerminalReader]:
    with demo(tmp_path, "--no-record") as reader:
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
    terminal.wait_for(VERDICT)
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
