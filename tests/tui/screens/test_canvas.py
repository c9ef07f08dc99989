"""Tables are drawn twice a second, whatever frames there are."""

from types import SimpleNamespace
from typing import Any

import made
from msgspec.structs import replace
from textual.geometry import Offset

from probes.kit.clock import NS_PER_S
from tui.panes.view import DEFAULT_VIEW
from tui.screens.canvas import Canvas


class Shown:
    """A canvas with one table, under a clock of its own."""

    def __init__(self) -> None:
        self.now_ns = NS_PER_S
        self.drawn: list[int] = []
        """Versions that the table was drawn of."""
        table: Any = SimpleNamespace(
            display=True,
            spec=SimpleNamespace(moves=False, number=2),
            show=lambda snapshot, _view, _brush: self.drawn.append(snapshot.version),
        )
        clock: Any = SimpleNamespace(monotonic_ns=lambda: self.now_ns)
        self._canvas = Canvas((table,), None, None, clock)

    def frame(self, version: int) -> None:
        snapshot = replace(made.snapshot(), version=version)
        look: tuple[object, ...] = ("as before",)
        self._canvas.show(snapshot, DEFAULT_VIEW, look, (), Offset(0, 0), moving=True, on_top=True)


def test_tables_are_drawn_twice_a_second_of_ten_frames() -> None:
    shown = Shown()
    for version in range(1, 31):
        shown.frame(version)
        shown.now_ns += NS_PER_S // 10
    assert shown.drawn == [1, 6, 11, 16, 21, 26]


def test_a_frame_that_comes_a_moment_early_draws_them_all_the_same() -> None:
    shown = Shown()
    for version, early_ns in enumerate((0, 2_000_000, 1_000_000, 3_000_000), start=1):
        shown.now_ns = version * NS_PER_S // 2 - early_ns
        shown.frame(version)
    assert shown.drawn == [1, 2, 3, 4]
