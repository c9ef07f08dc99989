"""What is not now is not called so: every pane of the past names its moment."""

import re
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

import made
import made_page
import pytest
from fakes import FakeStatus
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probes.kit.clock import NS_PER_S
from tui.draw.chart import SPANS_NS, times_text
from tui.draw.text import line_text, line_width
from tui.panes.arrival import arrival_lines
from tui.panes.header import Strips
from tui.panes.home import home_panes
from tui.panes.moment import NOW, THEN, end_names, moment_words, now_word
from tui.panes.page.figures import figures_subtitle, figures_title
from tui.panes.page.panes import page_panes
from tui.panes.percentiles import Charts, percentiles_lines
from tui.panes.view import PageView, PastView, ViewState

PAST: Final = PastView(
    at_ns=made.NOW_NS, begin_ns=0, end_ns=made.NOW_NS + 300 * NS_PER_S, hurt_now=1
)
RECORDED: Final = replace(PAST, has_present=False)
OF_THE_PRESENT: Final = {"header", "crumbs", "axis", "banner", "footer"}
"""What tells of the present beside the past; each has tests of its own."""
AT: Final = moment_words(made.NOW_NS, PAST, made.WALL_ANCHOR_NS, UTC)


def drawn(where: str, past: PastView | None, width: int, height: int, **page: Any) -> str:
    """Return all that the panes say that tell of the moment that is shown."""
    strips = Strips(FakeStatus())
    specs = home_panes(strips) if where == "home" else page_panes(strips)
    shown, selected = made.snapshot(), "busy-llama"
    if where == "page":
        shown, selected = made_page.snapshot(), made_page.NAME
    view = ViewState(selected=selected, past=past, page=PageView(**page))
    told: list[str] = []
    for spec in specs:
        if spec.name not in OF_THE_PRESENT:
            told += map(line_text, spec.lines(shown, view, width, height))
            told += [spec.title(shown, view), spec.subtitle(shown, view)]
            told += [line_text(spec.brief(shown, view)), spec.count(shown, view, height)]
    return "\n".join(told)


def with_t0() -> dict[str, Any]:
    return {
        "t0": made_page.column("now"),
        "t0_route": made_page.NAME,
        "t0_ns": made.NOW_NS - NS_PER_S,
    }


@pytest.mark.parametrize("past", [PAST, RECORDED])
@pytest.mark.parametrize(
    "size", [(60, 20), (86, 12), (100, 30), (160, 45), (300, 100)], ids=lambda size: f"{size[0]}"
)
@pytest.mark.parametrize("where", ["home", "page"])
@pytest.mark.parametrize("against_t0", [False, True])
def test_of_the_past_no_pane_says_now(
    where: str, size: tuple[int, int], past: PastView, against_t0: bool
) -> None:
    page = with_t0() if where == "page" else {}
    told = drawn(where, past, *size, **page, against_t0=against_t0)
    assert not re.search(r"\bnow\b", told)
    assert re.search(r"\bthen\b", told)
    live = drawn(where, None, *size, **page, against_t0=against_t0)
    assert re.search(r"\bnow\b", live)
    assert not re.search(r"\bthen\b", live.replace("; then", ""))


def test_the_present_that_stands_still_is_now() -> None:
    assert now_word(ViewState()) == NOW
    assert end_names(made.snapshot(), ViewState()) == (NOW,)
    assert now_word(ViewState(past=RECORDED)) == THEN


def test_charts_and_lanes_end_at_the_time_that_the_header_tells() -> None:
    view = ViewState(selected="busy-llama", past=PAST)
    shown = made.snapshot()
    lanes = [line_text(line) for line in arrival_lines(shown, view, 100, 16, UTC)]
    assert any(line.rstrip().endswith(f"─ {AT}") for line in lanes)
    charts = [
        line_text(line) for line in percentiles_lines(shown, view, 160, 16, Charts(), zone=UTC)
    ]
    assert charts[-1].endswith(f" {AT}")
    (strip,) = Strips(FakeStatus()).header(shown, view, 160, 1)
    here = moment_words(PAST.at_ns, PAST, made.WALL_ANCHOR_NS)
    assert f"◀ {here}" in line_text(strip)


def test_a_chart_that_is_kept_is_drawn_anew_at_another_moment() -> None:
    charts, shown = Charts(), made.snapshot()

    def end(past: PastView | None) -> str:
        view = ViewState(selected="busy-llama", past=past)
        lines = percentiles_lines(shown, view, 160, 16, charts, zone=UTC)
        return line_text(lines[-1]).split()[-1]

    later = replace(PAST, at_ns=PAST.at_ns + NS_PER_S)
    at = moment_words(later.at_ns, later, made.WALL_ANCHOR_NS, UTC)
    assert [end(None), end(PAST), end(later), end(None)] == [NOW, AT, at, NOW]


def test_figures_are_compared_with_what_was_then() -> None:
    shown = made_page.snapshot()
    view = ViewState(selected=made_page.NAME, past=PAST)
    assert figures_subtitle(shown, view) == "T takes then as T0"
    against = replace(view, page=PageView(**with_t0(), against_t0=True))
    assert figures_title(shown, against) == "figures · then against T0"


def test_a_moment_that_no_calendar_holds_is_then() -> None:
    far = replace(PAST, at_ns=1 << 70, end_ns=1 << 70)
    assert end_names(made.snapshot(), ViewState(past=far)) == (THEN,)


ENDS: Final[tuple[Sequence[str], ...]] = (
    ("now",),
    ("14:03:20", "then"),
    ("29 Nov 14:03:20", "then"),
)


@given(st.sampled_from(SPANS_NS), st.integers(1, 200), st.sampled_from(ENDS))
def test_times_are_as_wide_as_their_chart_and_never_touch(
    span_ns: int, columns: int, ends: Sequence[str]
) -> None:
    told = times_text(span_ns, columns, ends)
    assert line_width(((told, "head"),)) == columns
    if columns >= len(ends[-1]):
        end = next(name for name in ends if told.endswith(name))
        assert told.removesuffix(end)[-1:] in ("", " ")
        assert end == ends[0] or columns < len("−15m ") + len(ends[0])
    assert len(re.findall("−", told)) <= 3


def test_a_label_that_has_no_room_beside_the_time_is_left_out() -> None:
    span_ns = SPANS_NS[1]
    assert times_text(span_ns, 40, ("now",)).split() == ["−5m", "−3m", "−1m", "now"]
    assert times_text(span_ns, 40, ("14:03:20", "then")).split() == ["−5m", "−3m", "14:03:20"]
    assert times_text(span_ns, 16, ("29 Nov 14:03:20", "then")).split() == ["−5m", "then"]
