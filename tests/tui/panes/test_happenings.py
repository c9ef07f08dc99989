"""What happened: one line each, what it leaves out first, filters, and where a line leads."""

import re
from datetime import UTC
from typing import get_args

import made_places
import pytest
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from made import HOSTILE, NOW_NS, WALL_ANCHOR_NS, route, snapshot
from made_happenings import CAP, HAPPENINGS, WAITING, WORSE, compared, happening, turned

from probes.board.views import (
    Happening,
    HappeningKind,
    KnobComparison,
    KnobEffect,
    Snapshot,
)
from probes.kit.clock import NS_PER_S
from tui.draw.text import line_text, line_width, time_of_day
from tui.panes.happenings import (
    LOG_FILTERS,
    effect_words,
    happening_at,
    happenings_brief,
    happenings_count,
    happenings_cursor,
    happenings_lines,
    happenings_title,
    next_filter,
    route_of,
)
from tui.panes.view import DEFAULT_VIEW, LogFilter, ViewState


def shown(*happenings: Happening) -> Snapshot:
    return replace(snapshot(), happenings=happenings)


def texts(
    *happenings: Happening, width: int = 160, height: int = 20, view: ViewState = DEFAULT_VIEW
) -> list[str]:
    lines = happenings_lines(shown(*happenings), view, width, height, UTC)
    return [line_text(line) for line in lines]


def words(effect: KnobEffect, width: int = 200) -> str:
    return line_text(effect_words(effect, width))


def test_where_nothing_has_happened_that_is_said():
    assert texts() == ["nothing has happened yet"]


def test_a_line_says_when_whose_and_what():
    [line] = texts(happening(50.0, "onset", "provider is down", "kimi", state="down"))
    at = time_of_day(NOW_NS - 50 * NS_PER_S, WALL_ANCHOR_NS, UTC)
    assert re.split(r"  +", line) == [f"{at} ✖ kimi", "provider is down"]


def test_of_a_whole_place_and_of_several_places_a_line_says_whose_it_is():
    def told(one: Happening) -> str:
        snapshot = replace(made_places.snapshot(), happenings=(one,))
        [line] = happenings_lines(snapshot, ViewState(), 150, 4, UTC)
        return line_text(line).split(maxsplit=2)[2]

    gap = replace(happening(9.0, "gap", "us-east: silent, nobody probes there"), place="us-east")
    assert re.split("  +", told(gap)) == ["@us-east", "silent, nobody probes there"]
    down = happening(9.0, "onset", "provider is down", state="down")
    both = replace(down, routes=("chat@eu-west", "chat@us-east", "code-review@eu-west"))
    assert told(both).startswith("chat +1  ")
    one = replace(down, routes=("chat@eu-west", "code-review@eu-west"))
    assert told(one).startswith("chat@eu-west +1  ")


def test_a_turn_of_a_knob_says_what_it_did():
    [line] = texts(turned(20.0, "you: CONC 3→6", WORSE))
    assert line.endswith(
        "you: CONC 3→6       → 429 0→31 %  TTFT p95 0.35→1.31 s  tok/s 37→38  GOOD 100→91 %"
        "  n 112/117  worse"
    )


def test_from_the_right_goes_first_what_is_least_needed_and_the_judgement_last():
    assert words(WORSE, 88) == (
        "429 0→31 %  TTFT p95 0.35→1.31 s  tok/s 37→38  GOOD 100→91 %  n 112/117  worse"
    )
    assert words(WORSE, 70) == "429 0→31 %  TTFT p95 0.35→1.31 s  GOOD 100→91 %  n 112/117  worse"
    assert words(WORSE, 60) == "429 0→31 %  TTFT p95 0.35→1.31 s  GOOD 100→91 %  worse"
    assert words(WORSE, 20) == "429 0→31 %  worse"
    assert words(WORSE, 10) == "worse"
    assert words(WORSE, 4) == ""


def test_an_effect_that_has_no_room_leaves_a_mark():
    [line] = texts(turned(20.0, "you: CONC 3→6", WORSE), width=46)
    assert line.endswith("you: CONC 3→6  → …")
    [narrow] = texts(turned(20.0, "you: CONC 3→6", WORSE), width=20)
    assert narrow.endswith("…")
    assert "worse" in texts(turned(20.0, "you: CONC 3→6", WORSE), width=49)[0]


def test_before_there_are_enough_samples_it_waits_and_in_the_end_they_were_too_few():
    assert words(WAITING) == "n 112/0  waits for more"
    assert words(replace(WAITING, until_ns=NOW_NS)) == "n 112/0  too few to compare"


def test_of_a_new_cap_it_says_that_times_are_not_compared():
    assert words(CAP) == (
        "429 25→0 %  GOOD 75→99.9 %  n 112/117  better  times of another cap not compared"
    )
    assert words(CAP, 60) == "429 25→0 %  GOOD 75→99.9 %  n 112/117  better"


def test_a_figure_without_a_sample_on_either_side_is_left_out():
    effect = KnobEffect(
        (compared("ttft_p95", None, 0.4), compared("good_share", 1.0, 1.0)), "unclear"
    )
    assert words(effect) == "GOOD 100→100 %  n 112/117  not to be told apart"


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "0"), (1e-6, "0.1"), (0.0123, "1.2"), (0.314, "31"), (0.9949, "99.5"), (1.0, "100")],
)
def test_only_a_whole_share_is_100_and_none_that_is_one_is_0(share: float, told: str):
    effect = KnobEffect((KnobComparison("good_share", share, share, 30, 30),), "unclear")
    assert f"GOOD {told}→{told} %" in words(effect)


def test_sure_figures_stand_out_and_say_which_way_without_colour():
    roles = {text.strip(): role for text, role in effect_words(WORSE, 200)}
    assert roles["429 0→31 %"] == "slow"
    assert roles["worse"] == "missed"  # louder than what it rests on
    assert roles["tok/s 37→38"] == "dim"
    assert {role for _, role in effect_words(CAP, 200)} == {"good", "dim", "faint"}


def test_what_goes_on_is_bright_and_what_is_over_is_dim():
    goes_on = happening(50.0, "onset", "slow", "kimi", state="slow")
    over = replace(goes_on, until_ns=NOW_NS)
    bright, dim = happenings_lines(shown(goes_on, over), DEFAULT_VIEW, 100, 9, UTC)
    assert bright[-1][1] == "text"
    assert dim[-1][1] == "dim"


def test_several_routes_are_counted_and_none_is_all_of_them():
    lines = texts(
        turned(1.0, "you: paused", None, "alpha", "b", "c"), happening(2.0, "mark", "deploy")
    )
    assert "alpha +2 " in lines[0]
    assert "all routes" in lines[1]


def test_what_came_more_often_than_it_has_routes_is_counted():
    lines = texts(
        happening(1.0, "notice", "a fallback", "a", "b", count=2),
        happening(2.0, "notice", "a fallback", "a", "b", count=9),
        happening(3.0, "throttled", "429 ×4 in 3s", "a", count=4),
    )
    assert [line.split("  ")[-1].strip() for line in lines] == [
        "a fallback",
        "a fallback ×9",
        "429 ×4 in 3s",
    ]


def test_filters_show_the_selected_route_or_only_incidents_and_knobs():
    lines = (
        happening(1.0, "notice", "theirs", "other"),
        happening(2.0, "notice", "mine", "busy-llama"),
        happening(3.0, "onset", "ill", "other", state="slow"),
        turned(4.0, "you: paused", None, "busy-llama"),
        happening(5.0, "gap", "we did not run"),
    )
    view = ViewState(selected="busy-llama")
    found = {
        chosen: [
            line.split("  ")[-1].strip()
            for line in texts(*lines, view=replace(view, log_filter=chosen))
        ]
        for chosen in LOG_FILTERS
    }
    assert found["all"] == ["theirs", "mine", "ill", "you: paused", "we did not run"]
    assert found["route"] == ["mine", "you: paused", "we did not run"]
    assert found["incidents"] == ["ill", "you: paused"]


def test_the_title_says_what_it_is_filtered_by():
    view = ViewState(selected="busy-llama")
    titles = [happenings_title(shown(), replace(view, log_filter=one)) for one in LOG_FILTERS]
    assert titles == [
        "what happened · all routes · newest first",
        "what happened · busy-llama · newest first",
        "what happened · incidents and knobs · newest first",
    ]


def test_the_filters_follow_one_another():
    chosen: LogFilter = "all"
    seen = []
    for _ in range(3):
        chosen = next_filter(chosen)
        seen.append(chosen)
    assert seen == ["route", "incidents", "all"]


def test_it_says_which_lines_of_how_many_it_shows_and_stops_at_the_last():
    lines = [happening(float(number), "mark", f"mark {number}") for number in range(40)]
    many = shown(*lines)
    assert happenings_count(many, DEFAULT_VIEW, 11) == "1–11 of 40"
    scrolled = ViewState(offsets={"happenings": 5})
    assert happenings_count(many, scrolled, 11) == "6–16 of 40"
    assert "mark 5" in texts(*lines, view=scrolled)[0]
    far = ViewState(offsets={"happenings": 4_000})
    assert happenings_count(many, far, 11) == "40–40 of 40"
    assert happenings_count(shown(), far, 11) == ""


def test_a_line_leads_to_its_route_of_several_to_the_worst():
    view = replace(snapshot(), routes=(route("worst"), route("b"), route("a")))
    assert route_of(happening(1.0, "knob", "x", "a", "b"), view) == "b"
    assert route_of(happening(1.0, "mark", "x"), view) is None
    assert route_of(happening(1.0, "knob", "x", "gone"), view) is None
    assert route_of(None, view) is None


def test_the_line_of_a_row_is_found_where_it_is_scrolled_to():
    lines = [happening(float(number), "mark", f"mark {number}") for number in range(9)]
    view = ViewState(offsets={"happenings": 3})
    assert happening_at(shown(*lines), view, 2) == lines[5]
    assert happening_at(shown(*lines), view, 6) is None
    assert happening_at(shown(), view) is None


def test_in_one_line_it_tells_the_newest():
    brief = line_text(happenings_brief(shown(*HAPPENINGS), DEFAULT_VIEW))
    assert brief == "⚙ busy-llama you: cap 256→64"
    assert line_text(happenings_brief(shown(), DEFAULT_VIEW)) == "nothing"


def test_the_line_that_enter_leads_from_is_marked_while_somebody_reads_the_log():
    lines = shown(*HAPPENINGS)
    read = ViewState(offsets={"happenings": 1})
    assert happenings_cursor(lines, DEFAULT_VIEW, 9) is None
    assert happenings_cursor(lines, read, 9) == 0
    assert happenings_cursor(lines, replace(DEFAULT_VIEW, maximised=6), 9) == 0
    assert happenings_cursor(shown(), read, 9) is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(get_args(HappeningKind)),
            st.sampled_from(["down", HOSTILE, "漢字" * 60, ""]),
            st.lists(st.sampled_from(["alpha", HOSTILE, "漢字漢字漢字漢字漢字"]), max_size=4),
            st.sampled_from([None, WORSE, WAITING, CAP]),
        ),
        max_size=8,
    ),
    st.integers(0, 200),
    st.integers(0, 20),
)
def test_nothing_is_wider_than_the_pane_and_nothing_hostile_gets_through(made, width, height):
    lines = tuple(
        replace(happening(float(n), kind, text, *routes), effect=effect)
        for n, (kind, text, routes, effect) in enumerate(made)
    )
    drawn = happenings_lines(shown(*lines), DEFAULT_VIEW, width, height, UTC)
    assert len(drawn) <= height
    for line in drawn:
        assert line_width(line) <= width
        assert not set(line_text(line)) & {"\x1b", "\x07", "\n", "\u202e", "\u200b"}
