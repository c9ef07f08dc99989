"""The page of a sweep: its answer, its chart, its steps; at every width."""

from math import inf

import made_sweep
import pytest
from changed import replace
from sweeping.swept import kept, missed, point

from probes.sweeping.estimates import Estimate
from probes.sweeping.picture import picture_of
from probes.sweeping.views import SweepState
from tui.draw.glyphs import stand_in
from tui.draw.load_chart import LEAST_HEIGHT, LEAST_WIDTH, load_chart
from tui.draw.text import Line, line_text, line_width
from tui.panes.sweep import STATE_WORDS, sweep_lines


def text(lines: list[Line]) -> str:
    return "\n".join(line_text(line) for line in lines)


def chart(width: int = 100, height: int = 20, **changes: object) -> str:
    shown = made_sweep.view(**changes)
    picture = picture_of([shown])
    assert picture is not None
    return text(load_chart(picture, shown, width, height))


# The page.


def test_the_answer_comes_first() -> None:
    shown = made_sweep.view(state="done")
    assert line_text(sweep_lines(shown, 160, 48)[0]).strip().startswith("Within goals up to 16")
    assert sweep_lines(shown, 160, 48)[0][1][1] == "title"


def test_it_tells_how_far_it_is_and_what_is_spent() -> None:
    told = text(sweep_lines(made_sweep.view(), 160, 48))
    assert "● running · 2m51s · asks for" in told
    assert "about 1m04s left" in told
    assert "712 of 3.4k probes · 42k of 278k tokens · $0.07 of $0.49" in told.replace(
        "0.50", "0.49"
    )
    assert "goals: TTFT p95 ≤ 1.00 s, E2E p95 ≤ 3.00 s, success ≥ 99 %" in told


def test_what_it_waits_for_stands_there() -> None:
    told = text(sweep_lines(made_sweep.view(waits="waits 30s: the server asked for that"), 160, 48))
    assert "waits 30s: the server asked for that" in told


@pytest.mark.parametrize("state", sorted(STATE_WORDS))
def test_each_state_is_told_in_words_with_a_sign(state: SweepState) -> None:
    assert STATE_WORDS[state] in text(sweep_lines(made_sweep.view(state=state), 160, 48))


def test_every_step_is_a_row_and_the_one_that_runs_is_told_apart() -> None:
    lines = text(sweep_lines(made_sweep.view(), 160, 60)).splitlines()
    (head,) = [at for at, line in enumerate(lines) if " AT " in line and "429" in line]
    rows = lines[head + 1 :]
    assert [row.split()[1] for row in rows] == ["1", "2", "4", "8", "16", "32", "1", "32", "20"]
    assert rows[5].split()[0] == "⊘"
    assert rows[5].split()[2:5] == ["100", "38", "2"]
    assert "checked, time over" in rows[6]
    assert "again, tight" in rows[7]
    assert rows[8].rstrip().endswith("by now")


def test_without_a_step_there_is_neither_chart_nor_table() -> None:
    told = text(sweep_lines(made_sweep.begun(), 160, 48))
    assert "Nothing is asked yet." in told
    assert "┤" not in told
    assert "429" not in told


def test_it_says_where_the_screen_stands_in_the_past() -> None:
    told = text(sweep_lines(made_sweep.view(), 160, 48, is_live=False))
    assert "it sweeps now, not in the past that is shown" in told


@pytest.mark.parametrize("width", [*range(12, 60), 80, 100, 120, 160, 200, 300])
@pytest.mark.parametrize("height", [8, 24, 50])
def test_nothing_is_wider_than_its_page(width: int, height: int) -> None:
    name = "漢字-eu-" * 12
    for shown in (
        made_sweep.view(name),
        made_sweep.view(name, state="ill"),
        made_sweep.begun(name),
        made_sweep.view(name, by="rate", points=(point(0.0123), kept(point(7.25)))),
    ):
        lines = sweep_lines(shown, width, height)
        assert max(map(line_width, lines)) <= width


def test_what_a_server_says_obeys_nobody() -> None:
    shown = made_sweep.view(sentence="\x1b[2Jgone", waits="\x1b[31mred", doing="\x9b2J")
    told = text(sweep_lines(shown, 160, 48))
    assert "\x1b" not in told
    assert "\x9b" not in told


def test_every_sign_has_a_stand_in() -> None:
    told = text(sweep_lines(made_sweep.view(), 160, 48))
    for character in set(told) - set("\n"):
        assert character.isascii() or stand_in(character) not in ("", "?"), character


# The chart.


def test_it_has_goal_knee_and_the_load_of_each_point() -> None:
    told = chart(state="done", knee=16.0)
    assert "goal 1.00" in told
    assert "knee 16" in told
    for sign in ("●1", "●16", "⊘32"):
        assert sign in told, told
    assert "output tokens a second →" in told
    assert "● goals kept" in told
    assert "⊘ 429s" in told


@pytest.mark.parametrize("width", [LEAST_WIDTH, 50, 80, 150])
@pytest.mark.parametrize("height", [LEAST_HEIGHT, 12, 28])
def test_it_has_the_size_that_it_is_given(width: int, height: int) -> None:
    shown = made_sweep.view()
    picture = picture_of([shown])
    assert picture is not None
    lines = load_chart(picture, shown, width, height)
    assert len(lines) == height
    assert max(map(line_width, lines)) <= width


@pytest.mark.parametrize(("width", "height"), [(LEAST_WIDTH - 1, 20), (100, LEAST_HEIGHT - 1)])
def test_without_room_there_is_none(width: int, height: int) -> None:
    assert chart(width, height) == ""


def test_a_former_one_is_drawn_by_the_same_axes_with_a_sign_of_its_own() -> None:
    shown, former = made_sweep.view(), made_sweep.view("beta", points=(point(3.0, ttft=0.9),))
    picture = picture_of([shown, former])
    assert picture is not None
    told = text(load_chart(picture, shown, 120, 24, former_name="beta, before"))
    assert "◌ beta, before" in told
    assert told.count("◌") == 2


def test_what_never_ends_stands_at_the_top() -> None:
    endless = missed(point(4.0, ttft_p95=Estimate(inf, inf, inf)), inf)
    shown = made_sweep.view(points=(kept(point(1.0)), endless))
    picture = picture_of([shown])
    assert picture is not None
    lines = load_chart(picture, shown, 100, 20)
    assert "○4" in line_text(lines[1])


def test_a_goal_that_was_missed_has_another_sign_than_one_that_was_kept() -> None:
    shown = made_sweep.view(points=(kept(point(1.0)), missed(point(2.0, ttft=1.4))))
    assert "○" in chart(points=shown.points)


def test_points_at_one_place_keep_their_loads_apart() -> None:
    same = tuple(replace(kept(point(4.0)), load=float(load)) for load in (44, 77))
    told = chart(points=same)
    assert "44" in told
    assert "77" in told
