"""The first frame of a live cockpit: what it shows, and what has not been imported for it.

Nothing here is timed: a module that is not imported costs nothing on any machine.
"""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from terminal_reader import TerminalReader, terminal_environment

PROGRAM = """
import sys
from pathlib import Path

from probes.sources import child_process
from tui.app import LlmtopApp
from tui.cli import main

imported = Path(sys.argv.pop(1))
child_process.engine_argv = lambda: ["sleep", "60"]  # an engine that never says a word
LlmtopApp._settle_in = lambda _: imported.write_text("\\n".join(sys.modules), encoding="utf-8")
sys.exit(main())
"""
"""llmtop, which tells what it has imported when it has drawn its first frame."""

ROUTES = """
[routes.alpha]
base_url = "http://127.0.0.1:9/v1"
model = "m"
concurrency = 3

[routes.bravo]
base_url = "http://127.0.0.1:9/v1"
model = "m"
"""

LATE = (
    # What only an engine needs, which is another process.
    *("httpx", "httpcore", "h2", "h11", "httptools", "aiohappyeyeballs", "uvloop"),
    *("probes.transport", "probes.engine.engine", "probes.engine.report", "probes.__main__"),
    *("probes.answers.answer", "probes.answers.dialects", "probes.answers.limits.reading"),
    # What other commands need, or other ways to run this one.
    *("probes.simulator", "probes.discovery", "probes.exports", "probes.run.headless"),
    *(
        "probes.engine.single",
        "probes.sources.in_process",
        "probes.sources.places",
        "probes.sources.ssh",
        "tui.commands.once",
        "tui.commands.init",
    ),
    # What places, weeks and other programs need, for who asks for them.
    *("nats", "prometheus_client", "opentelemetry", "requests"),
    *("probes.bus", "probes.sources.bus", "probes.run.places_session", "probes.run.agent"),
    *("tui.commands.agent", "tui.commands.over_bus", "tui.commands.history"),
    *("tui.screens.history", "tui.screens.places"),
    # What a key brings, most of it in the second after the first frame.
    *("tui.screens.route", "tui.screens.request", "tui.screens.first_run", "tui.draw.markdown"),
    *("probes.config.saving", "tomlkit"),
    # Of Textual's and Rich's, what no screen of ours shows.
    *("markdown_it", "pygments", "rich.markdown", "rich.syntax", "textual.widgets._markdown"),
    *("textual.widgets._data_table", "textual.widgets._rich_log", "textual.widgets._text_area"),
    # What is heavy, and what only tests have.
    *("numpy", "email", "importlib.metadata", "unittest", "pyte", "hypothesis"),
)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_the_first_frame_shows_the_routes_and_waits_for_nothing_it_does_not_need(
    tmp_path: Path,
) -> None:
    settings, imported = tmp_path / "routes.toml", tmp_path / "imported"
    settings.write_text(ROUTES, encoding="utf-8")
    environ = terminal_environment(
        XDG_STATE_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path), HOME=str(tmp_path)
    )
    options = ["--config", str(settings), "--no-record"]
    command = [sys.executable, "-c", PROGRAM, str(imported), *options]
    with TerminalReader(command, (120, 40), environ) as terminal:
        terminal.wait_for("most users hurt first")
        # All of it is there, though no engine has told of any route, nor ever will.
        assert "STARTING" in terminal.lines[0]
        assert "2 routes" in terminal.lines[0]
        for name, concurrency in (("alpha", 3), ("bravo", 1)):
            row = terminal.row_of(re.compile(rf"[^\w]{name} +starting "))
            assert row > 0, terminal.text
            assert f" 0/{concurrency} " in terminal.lines[row]
        terminal.wait_for(lambda _: imported.exists() and imported.read_text(encoding="utf-8"))
    modules = imported.read_text(encoding="utf-8").splitlines()
    assert "tui.screens.home" in modules
    assert sorted(set(LATE).intersection(modules)) == []


def test_what_is_not_to_be_imported_is_called_as_it_is_in_the_source() -> None:
    ours = [name for name in LATE if name.partition(".")[0] in ("probes", "tui", "textual", "rich")]
    assert [name for name in ours if find_spec(name) is None] == []
