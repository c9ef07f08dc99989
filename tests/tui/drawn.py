"""What every pane draws at every size, kept in tests/tui/drawings: `python tests/tui/drawn.py`.

A file shows its pane at three sizes in full, for the eye, and holds a digest of each other size,
colours included. Where a pane is meant to change, run this and look at what changed in the files.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE.parent / "probes"), str(HERE)]

import made  # noqa: E402
import made_comparison  # noqa: E402
import made_happenings  # noqa: E402
import made_page  # noqa: E402
import made_places  # noqa: E402
import made_sweep  # noqa: E402
from fakes import FakeStatus  # noqa: E402

from probes.board.views import Snapshot  # noqa: E402
from probes.comparing.views import ComparisonView  # noqa: E402
from probes.sweeping.views import SweepView  # noqa: E402
from tui.draw.text import Line, line_text  # noqa: E402
from tui.panes.comparison import comparison_lines  # noqa: E402
from tui.panes.happenings import happenings_lines  # noqa: E402
from tui.panes.header import Strips  # noqa: E402
from tui.panes.home import home_panes  # noqa: E402
from tui.panes.page.crumbs import crumbs_pane  # noqa: E402
from tui.panes.page.figures import Figures  # noqa: E402
from tui.panes.page.heat import HeatMaps  # noqa: E402
from tui.panes.page.phases import Phases  # noqa: E402
from tui.panes.page.probes import Probes  # noqa: E402
from tui.panes.page.verdict import RouteVerdict  # noqa: E402
from tui.panes.places import grid_lines  # noqa: E402
from tui.panes.routes import routes_lines  # noqa: E402
from tui.panes.sweep import sweep_lines  # noqa: E402
from tui.panes.throttling import throttling_lines  # noqa: E402
from tui.panes.verdicts import verdicts_lines  # noqa: E402
from tui.panes.view import ViewState  # noqa: E402

Draw: TypeAlias = Callable[[Snapshot, int, int], Sequence[Line]]

DRAWINGS: Final = HERE / "drawings"
SHOWN: Final = ((60, 8), (100, 16), (180, 24))
WIDTHS: Final = range(1, 201)
HEIGHTS: Final = range(1, 46)
_AT_HEIGHT: Final = 15
_AT_WIDTHS: Final = (44, 86, 160)
VIEW: Final = ViewState(selected="busy-llama")
SCROLLED: Final = ViewState(selected="busy-llama", offsets={"throttling": 1})


def _throttling(shown: Snapshot, width: int, height: int) -> Sequence[Line]:
    return throttling_lines(shown, SCROLLED, width, height, UTC)


def _verdicts(shown: Snapshot, width: int, height: int) -> Sequence[Line]:
    return verdicts_lines(shown, VIEW, width, height, UTC)


def _happenings(shown: Snapshot, width: int, height: int) -> Sequence[Line]:
    return happenings_lines(shown, VIEW, width, height, UTC)


def _of(name: str) -> Draw:
    """Return what draws a pane on the home screen."""
    spec = next(spec for spec in home_panes(Strips(FakeStatus())) if spec.name == name)
    return lambda shown, width, height: spec.lines(shown, VIEW, width, height)


def _of_page(name: str) -> Draw:
    """Return what draws a pane on the page of a route; of another one than the home screen's."""
    draw = {
        "crumbs": crumbs_pane(Strips(FakeStatus())),
        "verdict": RouteVerdict(UTC).lines,
        "phases": Phases(UTC).lines,
        "heat": HeatMaps(UTC).lines,
        "figures": Figures(UTC).lines,
        "probes": Probes(UTC).lines,
    }[name]
    return lambda shown, width, height: draw(shown, made_page.VIEW, width, height)


def _comparison(shown: ComparisonView) -> Draw:
    """Return what draws the page of a comparison, which no snapshot has: its first lines."""
    return lambda _, width, height: comparison_lines(shown, width, height)[:height]


def _sweep(shown: SweepView) -> Draw:
    """Return what draws the page of a sweep: its first lines."""
    return lambda _, width, height: sweep_lines(shown, width, height)[:height]


OF_PAGE: Final = ("crumbs", "verdict", "phases", "heat", "figures", "probes")
PANES: Final[dict[str, Draw]] = {
    name: _of(name) for name in ("header", "routes", "arrival", "percentiles", "retries")
} | {"throttling": _throttling, "verdicts": _verdicts, "happenings": _happenings}
PANES.update({name: _of_page(name) for name in OF_PAGE})
PANES["comparison"] = _comparison(made_comparison.view("eastus-gpt", "busy-llama", "漢字-eu"))
PANES["sweep"] = _sweep(made_sweep.view("漢字-eu"))
OF_PLACES: Final = ("groups", "places")
PANES["groups"] = lambda shown, width, height: routes_lines(shown, ViewState(), width, height)
PANES["places"] = lambda shown, width, height: grid_lines(shown, ViewState(), width, height)


def drawing(pane: str) -> str:
    """Return what the file of a pane holds."""
    draw = calmly = PANES[pane]
    busy = made.snapshot(happenings=made_happenings.HAPPENINGS)
    calm = made.snapshot(throttles=(), totals=None, incidents=())
    if pane in OF_PAGE:
        busy, calm = made_page.snapshot(), made_page.calm()
    if pane in OF_PLACES:
        names, places = made_places.NAMES[:8], made_places.MANY[:8]
        trouble = {"far": places[2], "down": names[1], "silent": places[5]}
        busy = made_places.snapshot(names, places, **trouble)
        calm = made_places.snapshot()
    if pane == "comparison":
        calmly = _comparison(made_comparison.begun("eastus-gpt", "busy-llama"))
    if pane == "sweep":
        calmly = _sweep(made_sweep.begun("eastus-gpt"))
    parts = []
    for width, height in SHOWN:
        lines = [line_text(line).rstrip() for line in draw(busy, width, height)]
        parts.append("\n".join([f"{width} x {height}", *lines, ""]))
    for name, drawn, shown in (("busy", draw, busy), ("calm", calmly, calm)):
        digests = [f"{w}x{h} {_digest(drawn(shown, w, h))}" for w, h in _sizes()]
        rows = [digests[at : at + 5] for at in range(0, len(digests), 5)]
        parts.append("\n".join([name, *("  ".join(row) for row in rows), ""]))
    return "\n".join(parts)


def _sizes() -> Iterator[tuple[int, int]]:
    yield from ((width, _AT_HEIGHT) for width in WIDTHS)
    for width in _AT_WIDTHS:
        yield from ((width, height) for height in HEIGHTS)


def _digest(lines: Sequence[Line]) -> str:
    """Return a digest of texts and roles; where a text is cut into spans does not count."""
    cells = [[(character, role) for text, role in line for character in text] for line in lines]
    return sha256(repr(cells).encode()).hexdigest()[:8]


def main() -> None:
    """Write all files."""
    for pane in PANES:
        (DRAWINGS / f"{pane}.txt").write_text(drawing(pane), encoding="utf-8")


if __name__ == "__main__":
    main()
