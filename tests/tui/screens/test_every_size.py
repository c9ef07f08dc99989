"""On every terminal: nothing wider, nothing cut without a mark, no row hidden without a count."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

import pytest
from staged import Naming, Stage, cut_without_a_mark, name_of, stage, troubled, unfit
from textual.screen import ModalScreen
from textual.strip import Strip

from probes.kit.sanitise import neutralise
from tui.draw.text import Line, cells, line_text, line_width
from tui.panes.pane import Pane

pytestmark = pytest.mark.anyio

Size = tuple[int, int]

SIZES: Final[tuple[Size, ...]] = (
    (60, 20),
    (80, 24),
    (80, 50),
    (100, 30),
    (116, 24),
    (120, 40),
    (140, 36),
    (160, 50),
    (180, 45),
    (200, 60),
    (240, 30),
    (300, 100),
)
FLEETS: Final[tuple[tuple[int, Naming, tuple[Size, ...]], ...]] = (
    (1, "plain", ((60, 20), (160, 50))),
    (1, "wide", ((80, 24), (300, 100))),
    (6, "plain", ((80, 24), (120, 40), (160, 50), (200, 60))),
    (6, "long", ((60, 20), (116, 24), (160, 50), (240, 30))),
    (41, "plain", ((80, 50), (160, 50))),
    (41, "wide", ((100, 30), (140, 36), (300, 100))),
    (200, "long", ((80, 24), (180, 45), (200, 60))),
)
"""So many routes, what they are called, and the terminals: each size once at least."""
WAYS: Final[dict[str, tuple[str, ...]]] = {
    "home": (),
    "the last row": ("G",),
    "the log": ("6",),
    "the route's page": ("g", "enter"),
    "the route's probes": ("4",),
    "a probe": ("enter",),
    "back": ("escape", "escape"),
    "the help": ("question_mark",),
    "at its end": ("escape",),
    "a tag": ("t",),
    "what can be compared": ("C",),
    "what that may cost": ("1",),
    "a comparison": ("y",),
    "its end": ("G",),
    "the tag taken away": ("x", "escape", "escape"),
}
"""What is looked at, one after the other, and the keys that go there."""


def test_each_size_has_its_turn() -> None:
    assert {size for _, _, sizes in FLEETS for size in sizes} == set(SIZES)


def test_what_is_cut_without_a_mark_is_found() -> None:
    assert [*cut_without_a_mark("r001x-of-the-team", "│ r001x-of-the  ok")]
    assert [*cut_without_a_mark("r001x漢字", "│ r001x漢 ok")]
    assert not [*cut_without_a_mark("r001x-of-the-team", "│ r001x-of   │", "│  -the-team")]
    assert [*cut_without_a_mark("r001x-of-the-team", "│ r001x-of   │", "│  and all")]
    for line in ("│ r001x-of-the-team ok", "│ r001x-of-… ok", "│ r001x-of …", "r002x"):
        assert not [*cut_without_a_mark("r001x-of-the-team", line)]
    assert [*unfit("a\x1b[2Jb\u202ec")] == ["U+001B", "U+202E"]
    assert not [*unfit("漢字 ▁█ ⠿ é …")]


@pytest.mark.parametrize(("count", "naming", "sizes"), FLEETS)
async def test_whatever_the_size(count: int, naming: Naming, sizes: tuple[Size, ...]) -> None:
    await _walk(count, naming, sizes)


@pytest.mark.long
@pytest.mark.parametrize("naming", ["plain", "long", "wide"])
@pytest.mark.parametrize("count", [1, 6, 41, 200])
async def test_whatever_the_size_and_the_fleet(count: int, naming: Naming) -> None:
    await _walk(count, naming, SIZES)


async def _walk(count: int, naming: Naming, sizes: Iterable[Size]) -> None:
    async with stage(troubled(count, naming)) as staged:
        for width, height in sizes:
            await staged.resize(width, height)
            for way, keys in WAYS.items():
                numbers = {pane.spec.number for pane in staged.screen.query(Pane).results(Pane)}
                if keys and keys[0].isdigit() and int(keys[0]) not in numbers:
                    continue
                await staged.press(*keys)
                found = [*_faults(staged, width, height)]
                assert not found, (f"{width}x{height}, {way}", found[:5], staged.lines())
            await staged.press("g")


def _faults(staged: Stage, width: int, height: int) -> Iterator[str]:
    """Give what is wrong with the screen as it is now."""
    strips = staged.strips()
    if len(strips) != height:
        yield f"{len(strips)} lines"
    for y, strip in enumerate(strips):
        if strip.cell_length != width or cells(strip.text) != width:
            yield f"line {y} has {strip.cell_length} cells"
        for character in unfit(strip.text):
            yield f"line {y} has {character}"
    yield from _cut_names(staged, strips)
    for pane in staged.screen.query(Pane).results(Pane):
        if pane.display and pane.is_on_screen:
            yield from _of_pane(pane)


def _cut_names(staged: Stage, strips: list[Strip]) -> Iterator[str]:
    """Give the names that are cut without a mark."""
    rows = staged.session.board.whole.routes
    texts = [neutralise(text) for row in rows for text in (row.name, row.model)]
    if isinstance(staged.screen, ModalScreen):  # what it covers is not cut
        box = staged.screen.children[0].region
        strips = [strip.crop(box.x, box.right) for strip in strips[box.y : box.bottom]]
    for line, below in pairwise([*(strip.text for strip in strips), ""]):
        for text in texts:
            if text[:5] in line:
                yield from (f"cut: {part}" for part in cut_without_a_mark(text, line, below))


def _of_pane(pane: Pane) -> Iterator[str]:
    """Give what is wrong with one pane: what it drew, before it is clipped to its place."""
    width, height = pane.size
    lines = pane.spec.lines(pane._snapshot, pane._view, width, height)
    if len(lines) > height:
        yield f"{pane.spec.name}: {len(lines)} lines in {height}"
    for line in lines:
        if line_width(line) > width:
            yield f"{pane.spec.name}: {line_width(line)} cells in {width}: {line_text(line)!r}"
        if pane.spec.name != "footer" and _is_cut(line, width):
            yield f"{pane.spec.name}: cut at the edge: {line_text(line)!r}"
    if pane.spec.name == "routes":
        yield from _uncounted(pane, lines)


def _is_cut(line: Line, width: int) -> bool:
    """Tell whether a server's words end at the edge in the middle of one, without a mark."""
    text = line_text(line)
    begin = text.rfind("The engine is overloaded, try")
    if begin < 0 or cells(text) < width:
        return False
    words = "The engine is overloaded, try again later: "
    told = text[begin:]
    return "…" not in told and '"' not in told and not told.startswith(words)


def _uncounted(pane: Pane, lines: Iterable[Line]) -> Iterator[str]:
    """Give what the table hides and does not count, or counts otherwise than it is."""
    routes = [row.name for row in pane._snapshot.routes]
    told = "\n".join(line_text(line) for line in lines)
    shown = sum(name_of(number, "plain") in told for number in range(len(routes)))
    border = f"{pane.border_title} {pane.border_subtitle}"
    counted = re.search(rf"((?:\d+(?:–\d+)?(?:, )?)+) of {len(routes)}\b", border)
    if counted is None:
        if shown < len(routes):
            yield f"routes: {len(routes) - shown} of {len(routes)} are hidden, nothing says so"
        return
    runs = [run.split("–") for run in counted[1].split(", ")]
    number = sum(int(run[-1]) - int(run[0]) + 1 for run in runs)
    if number != shown:
        yield f"routes: {counted[0]}, but {shown} rows are shown"
