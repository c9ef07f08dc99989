"""The leaderboard's page: like with like, each figure with its interval, at every size."""

import made
import pytest
from msgspec.structs import replace

from probes.board.views import LeaderFigure, LeaderView, Snapshot
from tui.draw.text import line_text, line_width
from tui.panes.leaderboard import NOTHING, leaderboard_lines

SHAPE = "1000/1k/aa-1k"


def leader(name: str, cohort: str = SHAPE, ttft_s: float = 0.4, **changes: object) -> LeaderView:
    figures = {
        "ttft_s": LeaderFigure(ttft_s, ttft_s * 0.9, ttft_s * 1.1, 12),
        "tokens_per_s": LeaderFigure(50.0, 48.0, 52.0, 12),
        "e2e_s": LeaderFigure(10 + ttft_s, 10.0, 11.0, 12),
        "probes": 12,
        "input_tokens": 1_003,
        "output_tokens": 1_000,
    }
    return LeaderView(route=name, cohort=cohort, **(figures | changes))


def shown(*leaders: LeaderView) -> Snapshot:
    return replace(made.snapshot(), standings=leaders)


def text(frame: Snapshot, width: int = 160, **how: object) -> str:
    return "\n".join(line_text(line) for line in leaderboard_lines(frame, width, **how))


def test_without_probes_it_says_so() -> None:
    assert text(shown()) == NOTHING


def test_a_row_has_each_figure_with_its_interval_and_n() -> None:
    told = text(shown(leader("alpha", price=0.55), leader("bravo", ttft_s=0.2)))
    assert "aa-1k, cap 1000, in ≤1k · 2 routes" in told
    first, second = (line for line in told.splitlines() if line[:2] in ("1 ", "2 "))
    assert first.split()[:2] == ["1", "bravo"]
    assert "0.200 0.180 to 0.220" in first
    assert "50.0 48.0 to 52.0" in first
    assert "0.550" in second
    assert " – " in first  # whose price nobody knows


def test_shapes_stand_in_tables_of_their_own() -> None:
    told = text(shown(leader("alpha"), leader("alpha", "64/256"), leader("bravo", "64/256")))
    assert told.index("aa-1k, cap 1000") < told.index("cap 64, in ≤256 · 2 routes")
    assert told.count("each its own prompt: like with like only where these are alike") == 1


def test_too_few_samples_are_said() -> None:
    few = LeaderFigure(0.4, None, None, 2)
    assert "too few" in text(shown(replace(leader("alpha"), ttft_s=few)))


def test_reasoning_is_marked_and_explained() -> None:
    told = text(shown(leader("alpha", reasoned=True)))
    assert "10.4*" in told
    assert "* Reasoning was streamed" in told
    assert "Reasoning" not in text(shown(leader("alpha")))


def test_failed_probes_are_bright() -> None:
    lines = leaderboard_lines(shown(leader("alpha", failed=3)), 160)
    assert ("3", "missed") in [(words.strip(), role) for line in lines for words, role in line]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 300])
@pytest.mark.parametrize("count", [1, 6, 200])
def test_no_line_is_wider_than_its_room(width: int, count: int) -> None:
    names = ["漢字" * 20, "a" * 60, *(f"route-{number}" for number in range(count))]
    frame = shown(*(leader(name) for name in names), *(leader(name, "64/256") for name in names))
    lines = leaderboard_lines(frame, width)
    assert [line_width(line) for line in lines if line_width(line) > width] == []
    told = "\n".join(map(line_text, lines))
    for head in ("ROUTE", "TTFT", "tok/s", "E2E500"):
        assert told.count(head) >= 2
    assert ("…" in told) == (width < 300)  # where all names have room nothing is cut


def test_what_names_a_route_is_neutralised() -> None:
    assert "\x1b" not in text(shown(leader("alpha\x1b[2J")))
