"""Do figures that are read side by side agree? `python tests/bench/frames.py [RECORDING]`.

Folds a recording (`llmtop demo --headless --duration 240 > demo.jsonl`), or without one a stream of
`flat.py`, and takes `--hz` frames a second of it as the screen does, on its canvas: lanes and the
header at each frame, tables twice a second. Prints the share of frames on which figures contradict
each other, and CPU ms of a frame and of a second of the stream, folding included. All shares should
be 0.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, quantiles
from types import SimpleNamespace
from typing import Any, NamedTuple

from agreement import CLAIMS, disagreements, header_disagreements
from flat import Traffic
from textual.geometry import Offset

from probes.board import Board
from probes.board.views import Snapshot
from probes.events import Event, Hello, decode_event
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WindowName
from tui.panes.view import DEFAULT_VIEW
from tui.screens.canvas import Canvas


class _Screen:
    """The canvas with two panes that remember what they show: one that moves, one table."""

    def __init__(self) -> None:
        self.now_ns = 0
        clock: Any = SimpleNamespace(monotonic_ns=lambda: self.now_ns)
        self.header, self.table = _pane(moves=True), _pane(moves=False)
        panes: Any = (self.header, self.table)
        self._canvas = Canvas(panes, None, None, clock)

    def show(self, snapshot: Snapshot) -> None:
        self.now_ns = snapshot.now_ns
        moving = snapshot.header.in_flight > 0
        self._canvas.show(
            snapshot, DEFAULT_VIEW, ("look",), (), Offset(0, 0), moving=moving, on_top=True
        )


def _pane(*, moves: bool) -> Any:
    pane = SimpleNamespace(display=True, spec=SimpleNamespace(moves=moves, number=2), shown=None)
    pane.show = lambda snapshot, view, brush: setattr(pane, "shown", snapshot)
    return pane


class _Frame(NamedTuple):
    """A snapshot, what header and table show then, CPU ns of it and of folding up to it."""

    snapshot: Snapshot
    header: Snapshot
    table: Snapshot
    drawn_ns: int
    folded_ns: int
    origin_ns: int


def frames(
    events: Iterator[Event], hz: float, seconds: float, window: WindowName
) -> Iterator[_Frame]:
    """Yield each frame."""
    board, screen = Board(), _Screen()
    origin_ns = due_ns = took = 0
    for event in events:
        if isinstance(event, Hello) and not due_ns:
            origin_ns = due_ns = event.at_ns
        if event.at_ns > origin_ns + seconds * NS_PER_S:
            return
        begin = time.thread_time_ns()
        board.fold(event)
        took += time.thread_time_ns() - begin
        if event.at_ns < due_ns or not board.routes:
            continue
        due_ns = max(due_ns + round(NS_PER_S / hz), event.at_ns)
        begin = time.thread_time_ns()
        snapshot = board.snapshot(window, board.routes[:1])
        drawn = time.thread_time_ns() - begin
        screen.show(snapshot)
        yield _Frame(snapshot, screen.header.shown, screen.table.shown, drawn, took, origin_ns)
        took = 0


def _made(routes: int, rate: float) -> Iterator[Event]:
    traffic = Traffic(routes, rate)
    yield traffic.hello()
    for slot in traffic.slots():
        yield from slot


def _recorded(path: Path) -> Iterator[Event]:
    for line in path.read_bytes().splitlines():
        if b'"type":"summary"' not in line:
            yield decode_event(line)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", nargs="?", type=Path)
    parser.add_argument("--hz", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--routes", type=int, default=6)
    parser.add_argument("--rate", type=float, default=2.0, help="probes a second of a route")
    parser.add_argument("--window", default="5m")
    asked = parser.parse_args()
    events = _recorded(asked.recording) if asked.recording else _made(asked.routes, asked.rate)
    found: Counter[str] = Counter()
    costs: list[float] = []
    folded = 0.0
    for frame in frames(events, asked.hz, asked.seconds, asked.window):
        costs.append(frame.drawn_ns / 1e6)
        folded += frame.folded_ns / 1e6
        claims = {
            *disagreements(frame.snapshot, frame.origin_ns),
            *header_disagreements(frame.header.header, frame.table.routes),
        }
        found.update(claims)
    spread = f"{mean(costs):.3f} mean, {quantiles(costs, n=100)[98]:.3f} p99"
    second = (sum(costs) + folded) / len(costs) * asked.hz
    write = sys.stdout.write
    write(f"{len(costs):,} frames; CPU ms of one: {spread}; of a second with its events: ")
    write(f"{second:.2f}\n\n| on so many frames | % |\n|---|---|\n")
    for claim in CLAIMS:
        write(f"| {claim} | {100 * found[claim] / len(costs):.1f} |\n")


if __name__ == "__main__":
    main()
