"""Is a healthy screen calm? `python tests/bench/calm.py [--minutes 15] [--scenario healthy]`.

Runs the real cockpit on the real engine against the embedded provider, in real time, and reads its
screen twice a second: a row that moves, a lamp that is lit and a verdict are told with the time at
which they were seen. Ends with status 1 where there was one. The first minute is not judged.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

import anyio  # noqa: E402

from probes.config import Budget, Config  # noqa: E402
from probes.money.ledger import Ledger  # noqa: E402
from probes.run.session import Session  # noqa: E402
from probes.simulator.library import demo_routes  # noqa: E402
from tui.app import LlmtopApp  # noqa: E402
from tui.commands.provider import embedded_provider  # noqa: E402
from tui.panes.pane import Pane  # noqa: E402
from tui.panes.routes import CALM, STATE_GLYPHS  # noqa: E402
from tui.screens.live import LiveScreen  # noqa: E402

LEARNT_S = 60.0
LOUD = "".join(glyph for state, glyph in STATE_GLYPHS.items() if state not in CALM)
"""What a lamp may be lit with."""
PLENTY = Budget(tokens_per_hour=20_000_000, route_tokens_per_hour=5_000_000)


def rows_of(table: Sequence[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the rows of the table as they are drawn: name and line."""
    found = []
    for line in table:
        words = line.replace("▸", " ").split()
        found += [(name, line) for name in names if name in words[:2]]
    return found


_WELL = re.compile(r"\s*(\S )?((all \d+|both) routes|the route) (is )?well")


def restless(
    rows: Sequence[tuple[str, str]], verdicts: Sequence[str], order: Sequence[str]
) -> Iterator[str]:
    """Give what is not calm: rows in another order than `order`, lamps, verdicts.

    That all is well may be said.
    """
    if [name for name, _ in rows] != list(order):
        yield f"rows moved: {' '.join(name for name, _ in rows)}"
    yield from (f"a lamp: {line.strip()}" for _, line in rows if set(line[:6]) & set(LOUD))
    for line in verdicts:
        if line.strip() and not _WELL.match(line):
            yield f"a verdict: {line.strip()}"


def lines_of(screen: LiveScreen, name: str) -> list[str]:
    """Return the lines of a pane, its borders left out; none where it is not shown."""
    panes = [pane for pane in screen.query(Pane).results(Pane) if pane.spec.name == name]
    if not panes or not panes[0].display:
        return []
    return [panes[0].render_line(y).text for y in range(panes[0].size.height)]


async def watch(scenario: str, minutes: float) -> int:
    """Run the cockpit, and tell what is not calm; return how often that was."""
    found = 0
    with embedded_provider(scenario, seed=1) as provider:
        config = Config(routes=demo_routes(provider.base_url, scenario), budget=PLENTY)
        session = Session(config, {}, recorder=None, ledger=Ledger(None))
        async with anyio.create_task_group() as group:
            group.start_soon(session.run)
            app = LlmtopApp(session, config)
            async with app.run_test(size=(160, 50)) as pilot:
                began_s, order = time.monotonic(), list[str]()
                while (passed_s := time.monotonic() - began_s) < minutes * 60:
                    await pilot.pause(0.5)
                    screen = app.screen
                    assert isinstance(screen, LiveScreen)
                    rows = rows_of(lines_of(screen, "routes"), session.board.routes)
                    if passed_s < LEARNT_S:
                        order = [name for name, _ in rows]
                        continue
                    for fault in restless(rows, lines_of(screen, "verdicts"), order):
                        found += 1
                        say(f"{passed_s:7.1f} s  {fault}")
                snapshot = session.board.snapshot(window="run")
                probes = sum(row.n for row in snapshot.routes)
                say(f"{minutes:g} minutes, {probes} probes, {len(order)} rows: {found} faults")
            session.stop()
    return found


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Watch, and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--scenario", default="healthy")
    asked = parser.parse_args()
    sys.exit(anyio.run(watch, asked.scenario, asked.minutes) > 0)


if __name__ == "__main__":
    main()
