"""Routes by the figures of public leaderboards: medians, intervals, and like with like."""

import pytest
from board_streams import at, hello, route_info
from diagnosis_streams import attempt, life, started

from probes.board import Board
from probes.board.standings import KEPT, blended_price, figure_of, leader_groups
from probes.board.views import LeaderFigure, LeaderView
from probes.events import AttemptFinished, PriceInfo, ProbeFinished
from probes.kit.clock import NS_PER_S

SHAPE = "1000/1k/aa-1k"


def board_of(*attempts: AttemptFinished, **info: object) -> Board:
    board = Board()
    board.fold(hello(route_info(**info)))
    for one in attempts:
        for event in life(one):
            board.fold(event)
    return board


def several(count: int, **changes: object) -> list[AttemptFinished]:
    return [
        attempt(5.0 * place, probe=f"p{place}", **({"cohort": SHAPE} | changes))
        for place in range(count)
    ]


def test_figures_are_medians_of_each_probe_s_own() -> None:
    (row,) = board_of(*several(7, wait_s=0.3, token_s=0.01)).standings()
    assert (row.route, row.cohort) == ("alpha", SHAPE)
    assert row.ttft_s.value == pytest.approx(0.3, abs=1e-6)
    assert row.tokens_per_s.value == pytest.approx(100)
    assert row.e2e_s.value == pytest.approx(0.3 + 500 / 100)
    assert (row.probes, row.failed, row.ttft_s.n) == (7, 0, 7)
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (20, 20, None)
    assert row.newest_ns > at(30)


def test_where_reasoning_is_streamed_the_e2e_begins_with_the_answer() -> None:
    board = Board()
    board.fold(hello(route_info()))
    one = attempt(0.0, cohort=SHAPE, wait_s=0.3, token_s=0.01)
    *said, whole = life(one)
    assert isinstance(whole, ProbeFinished)
    told = {name: getattr(whole, name) for name in whole.__struct_fields__}
    told["first_answer_ns"] = at(2.0)
    for event in (*said, ProbeFinished(**told)):
        board.fold(event)
    (row,) = board.standings()
    assert row.reasoned
    assert row.ttft_s.value == pytest.approx(0.3, abs=1e-6)
    assert row.e2e_s.value == pytest.approx(2.0 + 5.0)


def test_what_failed_is_counted_and_in_no_figure() -> None:
    bad = attempt(40.0, probe="bad", cohort=SHAPE, outcome="server_error", takes_s=9.0)
    (row,) = board_of(*several(6), bad).standings()
    assert (row.probes, row.failed, row.ttft_s.n) == (7, 1, 6)


def test_what_we_cancelled_says_nothing() -> None:
    cut = attempt(40.0, probe="cut", cohort=SHAPE, outcome="cancelled", reason="user")
    (row,) = board_of(*several(6), cut).standings()
    assert row.probes == 6


def test_an_open_probe_is_in_no_row() -> None:
    board = board_of()
    board.fold(started(attempt(0.0, cohort=SHAPE)))
    assert board.standings() == ()


def test_two_shapes_of_one_route_are_two_rows_and_two_tables() -> None:
    rows = board_of(*several(3), *several(3, cohort="64/256")).standings()
    groups = leader_groups(rows)
    assert [(group.cohort, group.shape) for group in groups] == [(SHAPE, "aa-1k"), ("64/256", "")]


def test_another_cap_is_another_table_though_the_shape_is_the_same() -> None:
    rows = board_of(*several(3), *several(3, cohort="500/1k/aa-1k")).standings()
    assert len(leader_groups(rows)) == 2


def test_the_last_ones_alone_are_kept() -> None:
    slow = several(KEPT, wait_s=9.0)
    quick = [
        attempt(10_000.0 + place, probe=f"q{place}", cohort=SHAPE, wait_s=0.1)
        for place in range(KEPT)
    ]
    (row,) = board_of(*slow, *quick).standings()
    assert row.ttft_s.value == pytest.approx(0.1, abs=1e-6)
    assert (row.probes, row.ttft_s.n) == (2 * KEPT, KEPT)


def test_an_interval_takes_six_samples() -> None:
    assert figure_of([]) == LeaderFigure()
    assert figure_of([1.0, 2, 3, 4, 5]) == LeaderFigure(3.0, None, None, 5)
    assert figure_of([6.0, 1, 2, 3, 4, 5]) == LeaderFigure(3.5, 1.0, 6.0, 6)


def test_a_price_is_three_of_input_to_one_of_output_and_unknown_stays_unknown() -> None:
    assert blended_price(PriceInfo(input=1.0, output=5.0)) == 2.0
    assert blended_price(None) is None


def view(name: str, **figures: float | None) -> LeaderView:
    made = {
        key: LeaderFigure(value, n=9) for key, value in figures.items() if key != "price" and value
    }
    return LeaderView(route=name, cohort=SHAPE, price=figures.get("price"), **made)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("e2e", "bca"),
        ("ttft", "abc"),
        ("speed", "cab"),
        ("price", "cab"),
        ("name", "abc"),
    ],
)
def test_the_best_stands_first_and_what_is_unknown_last(order: str, names: str) -> None:
    rows = [
        view("a", ttft_s=0.1, tokens_per_s=50, price=2.0),
        view("b", ttft_s=0.2, tokens_per_s=40, e2e_s=3.0),
        view("c", ttft_s=0.3, tokens_per_s=90, e2e_s=4.0, price=1.0),
    ]
    (group,) = leader_groups(rows, order)
    assert "".join(row.route for row in group.rows) == names
    (turned,) = leader_groups(rows, order, reverse=True)
    unknown = {"e2e": "a", "price": "b"}.get(order)
    if unknown is not None:
        assert turned.rows[-1].route == unknown


def test_nothing_is_made_anew_until_another_probe_ends() -> None:
    board = board_of(*several(3))
    (row,), (again,) = board.standings(), board.standings()
    assert row is again
    assert row.newest_ns < at(30) + NS_PER_S
