"""Where in the run one stands, as one line; and the strip above it."""

from datetime import UTC
from typing import Any

import made
import pytest
from fakes import FakeStatus
from hypothesis import given
from hypothesis import strategies as st
from made_happenings import HAPPENINGS, happening

from probes.board.views import EMPTY_SNAPSHOT, Happening
from probes.kit.clock import NS_PER_S
from tui.draw.text import line_text, line_width
from tui.panes.axis import axis_lines, moment_words
from tui.panes.header import Strips
from tui.panes.view import PastView, ViewState

NOW_NS = made.NOW_NS
BEGIN_NS = NOW_NS - 2400 * NS_PER_S
STOPS = (
    happening(2000, "mark", "deploy of 漢字路線"),
    happening(
        1200, "onset", "is down: 503", "eastus-gpt", state="down", until_ns=NOW_NS - 700 * NS_PER_S
    ),
    happening(700, "recovered", "recovered, was down 8m20s", "eastus-gpt", state="down"),
    happening(100, "knob", "you: CONC 3→6", "busy-llama"),
)


def past(ago_s: float = 1100, **changes: Any) -> PastView:
    return PastView(
        **{
            "at_ns": NOW_NS - round(ago_s * NS_PER_S),
            "begin_ns": BEGIN_NS,
            "end_ns": NOW_NS,
            "stops": STOPS,
            "hurt_now": 2,
            "worst_now": "down",
            **changes,
        }
    )


def axis(width: int = 160, ago_s: float = 1100, **changes: Any) -> str:
    view = ViewState(past=past(ago_s, **changes))
    (line,) = axis_lines(made.snapshot(), view, width, 1, UTC)
    return line_text(line)


def strip(width: int = 160, ago_s: float = 1100, **changes: Any) -> str:
    view = ViewState(past=past(ago_s, **changes))
    (line,) = Strips(FakeStatus()).header(made.snapshot(), view, width, 1)
    assert line_width(line) <= width
    return line_text(line)


happenings = st.builds(
    Happening,
    at_ns=st.integers(BEGIN_NS - 10**12, NOW_NS + 10**12),
    kind=st.sampled_from(["onset", "cause", "recovered", "knob", "mark", "gap", "engine"]),
    routes=st.lists(st.text(max_size=30), max_size=3).map(tuple),
    text=st.text(max_size=60),
    until_ns=st.none() | st.integers(BEGIN_NS, NOW_NS),
)


@given(
    width=st.integers(0, 320),
    at_ns=st.integers(BEGIN_NS - 10, NOW_NS + 10),
    stops=st.lists(happenings, max_size=9).map(
        lambda found: tuple(sorted(found, key=lambda one: one.at_ns))
    ),
    is_cut=st.booleans(),
    has_present=st.booleans(),
    lasts_ns=st.integers(0, 10**16),
    going=st.booleans(),
)
def test_it_fits_any_width_whatever_happened(
    width: int,
    at_ns: int,
    stops: tuple[Happening, ...],
    is_cut: bool,
    has_present: bool,
    lasts_ns: int,
    going: bool,
) -> None:
    shown = past(
        at_ns=at_ns,
        begin_ns=NOW_NS - lasts_ns,
        stops=stops,
        is_cut=is_cut,
        has_present=has_present,
        going_to_ns=at_ns - NS_PER_S if going else None,
    )
    for snapshot in (made.snapshot(), EMPTY_SNAPSHOT):
        (line,) = axis_lines(snapshot, ViewState(past=shown), width, 1, UTC)
        assert line_width(line) <= width
        (line,) = Strips(FakeStatus()).header(snapshot, ViewState(past=shown), width, 1)
        assert line_width(line) <= width


@pytest.mark.parametrize("width", [60, 80, 100, 116, 160, 220, 300])
def test_at_any_width_it_tells_where_one_stands_and_what_there_is(width: int) -> None:
    told = axis(width)
    assert told.count("◆") == 1
    for glyph in "▾✖✓⚙═━─":
        assert glyph in told
    assert "┤ now" in told
    assert strip(width).startswith(" llmtop  ◀ ")
    assert ", 18m20s ago" in strip(width)
    assert "live: ✖ 2 hurt  F now" in strip(width)


def test_live_it_is_empty() -> None:
    assert axis_lines(made.snapshot(), ViewState(), 100, 1) == [()]


def test_one_stands_left_of_what_comes_and_right_of_what_was() -> None:
    for ago_s, order in ((2100, "◆▾✖✓⚙"), (1500, "▾◆✖✓⚙"), (900, "▾✖◆✓⚙"), (10, "▾✖✓⚙◆")):
        drawn = axis(80, ago_s).partition("├")[2].partition("┤")[0]
        assert "".join(each for each in drawn if each in order) == order


def test_its_ends_are_its_ends() -> None:
    assert "├◆" in axis(ago_s=2400)
    assert "◆┤" in axis(ago_s=0)
    assert " 100%" in axis(ago_s=0)
    assert " 0%" in axis(ago_s=2400)


def test_where_retention_cut_the_run_it_says_so_and_narrow_ones_mark_it() -> None:
    assert axis(160, is_cut=True).startswith(" retention cut the rest ")
    assert axis(60, is_cut=True).startswith(" cut before ")
    assert "┊" in axis(34, is_cut=True)
    assert "┊" not in axis(34)


def test_what_happened_last_is_told_with_how_many_there_are() -> None:
    assert "  2/4 ✖ " in axis()
    assert "eastus-gpt is down: 503" in axis()
    assert "  0/4 nothing had happened yet" in axis(ago_s=2300)
    assert "  0/0 nothing happened" in axis(stops=())
    assert "4/4 ⚙ " in axis(ago_s=1)


def test_an_incident_that_goes_on_reaches_to_the_end() -> None:
    (onset,) = [one for one in HAPPENINGS if one.kind == "onset" and one.until_ns is None][:1]
    assert "═┤" in axis(stops=(onset,))


def test_a_long_way_has_its_end_on_the_axis_and_in_the_strip() -> None:
    assert "◇" not in axis()
    assert "◇" in axis(going_to_ns=NOW_NS - 100 * NS_PER_S)
    assert " → " in strip(going_to_ns=NOW_NS - 100 * NS_PER_S)


def test_what_of_a_recording_is_not_read_yet_is_another_line() -> None:
    told = axis(has_present=False, read_ns=NOW_NS - 800 * NS_PER_S)
    assert "┄" in told
    assert "now" not in told


def test_another_day_is_named() -> None:
    day_ns = 86_400 * NS_PER_S
    shown = past(begin_ns=NOW_NS - 3 * day_ns, at_ns=NOW_NS - 2 * day_ns)
    today = moment_words(NOW_NS, shown, made.WALL_ANCHOR_NS, UTC)
    assert len(today) == len("14:31:04")
    other = moment_words(shown.at_ns, shown, made.WALL_ANCHOR_NS, UTC)
    assert other.endswith(today)
    assert other != today
    assert "2d00h ago" in strip(begin_ns=shown.begin_ns, at_ns=shown.at_ns)


def test_when_nobody_hurts_now_that_is_said_quietly() -> None:
    assert "live: none hurt" in strip(hurt_now=0, worst_now=None)


def test_while_it_is_played_the_speed_stands_there() -> None:
    assert " ▶ 10× " in strip(is_playing=True, speed=10.0)
    assert " ▶ max " in strip(is_playing=True, speed=float("inf"))
