"""The search for an edge: told limits first, refusals undone, queues, goals, when to try anew."""

from collections.abc import Iterable

import pytest

from probes.adapting import EdgeSearch, HeardAttempt, Move
from probes.adapting.edge_search import AGAIN_S, GROWTH, PAID
from probes.events import Limit


def search(limit: int = 1, *, least: int = 1, most: int = 40) -> EdgeSearch:
    return EdgeSearch(limit, least=least, most=most, now_s=0.0)


def play_round(one: EdgeSearch, at_s: float, wait_s: float = 0.1) -> Move | None:
    """A whole round at the present limit: each waits so long; the move that it ends with."""
    move = None
    for _ in range(max(3, one.limit)):
        move = one.waited(at_s, at_s - wait_s, wait_s) or move
        if move is not None:
            return move
    return move


def grown(to: int, most: int = 40) -> tuple[EdgeSearch, float]:
    """A search that has grown to a limit at least, and the second it is by then."""
    one, at_s = search(most=most), 0.0
    while one.limit < to:
        at_s += 2.0
        assert play_round(one, at_s) is not None
    return one, at_s


def refused(one: EdgeSearch, at_s: float, at_once: int, kind: str = "429") -> Move | None:
    return one.heard(HeardAttempt(at_s, at_s, "refused", at_once, kind))


def answer(one: EdgeSearch, at_s: float, times: int, missed: str = "") -> list[Move]:
    found = (
        one.heard(HeardAttempt(at_s, at_s, "answered", one.limit, "", missed)) for _ in range(times)
    )
    return [move for move in found if move is not None]


def limits(moves: Iterable[Move | None]) -> list[int]:
    return [move.limit for move in moves if move is not None]


def test_it_grows_by_half_while_nothing_is_in_the_way_and_never_above_its_most() -> None:
    one = search(most=10)
    moves = [play_round(one, 2.0 * number) for number in range(1, 10)]
    assert limits(moves) == [2, 3, 4, 6, 9, 10]
    assert GROWTH == 1.5
    assert all(move.reason == "no queue" for move in moves if move is not None)


def test_a_stated_concurrency_is_gone_to_at_once_and_never_passed() -> None:
    one = search()
    told = HeardAttempt(1.0, 0.5, "answered", 1, limits=(Limit(kind="concurrency", limit=20),))
    assert one.heard(told) == Move(20, "told: 20 at a time")
    assert [play_round(one, 2.0 * number) for number in range(2, 60)] == [None] * 58


def test_a_refusal_after_a_raise_goes_back_to_what_was_let_in() -> None:
    one, at_s = grown(21)
    assert one.limit == 21
    assert refused(one, at_s + 0.1, 18) == Move(17, "429 at 18")


def test_refusals_that_come_unasked_take_one_step_and_then_a_good_deal() -> None:
    one, at_s = grown(20)
    play_round(one, at_s + 2, 0.2)
    one.limit = 20
    one.set_to(19, at_s)
    one.set_to(20, at_s)
    moves = [refused(one, at_s + 5 + number, 20 - number) for number in range(3)]
    assert limits(moves) == [19, 13, 12]
    assert moves[1] == Move(13, "429 at 19, again")


def test_what_counts_by_the_minute_is_gone_below_more_gently() -> None:
    one = search(20)
    moves = [refused(one, 5.0 + number, 20, "429 tokens") for number in range(2)]
    assert limits(moves) == [19, 16]


def test_an_edge_is_tried_again_after_a_while_and_only_once_it_is_paid_for() -> None:
    one = search(10)
    refused(one, 5.0, 10)
    assert one.limit == 9
    at_s = 5.0 + AGAIN_S + 1
    assert play_round(one, at_s) is None, "nothing has paid for a refusal yet"
    answer(one, at_s, PAID)
    assert play_round(one, 5.0 + AGAIN_S / 2) is None
    move = play_round(one, at_s + 2)
    assert move == Move(10, "is 10 still too many?")


def test_beyond_an_edge_that_has_moved_steps_double() -> None:
    one = search(10)
    refused(one, 5.0, 10)
    answer(one, 6.0, PAID)
    moves = [play_round(one, 40.0 + 2 * number) for number in range(4)]
    assert limits(moves) == [10, 12, 16, 24]


def test_a_queue_is_stepped_back_from_and_a_short_one_is_let_be() -> None:
    one = search(10)
    play_round(one, 2.0, 0.1)
    held = one.limit
    # Ten a second wait half a second longer: five stand in the queue.
    for number in range(30):
        move = one.waited(4.0 + number / 10, 3.9 + number / 10, 0.6)
        if move is not None:
            break
    assert move is not None
    assert move.limit < held
    assert "queue, first token 0.1→0.6 s" in move.reason


def test_a_wait_that_does_not_go_away_with_fewer_is_somebody_else_s() -> None:
    one = search(20)
    play_round(one, 2.0, 0.1)
    began_at, at_s, moves = one.limit, 2.0, []
    for _ in range(40):
        at_s += 4.0
        move = play_round(one, at_s, 2.0)
        if move is not None:
            moves.append(move)
            if "with fewer, too" in move.reason:
                break
    assert moves[-1].limit == began_at
    assert min(limits(moves)) <= 0.6 * began_at


def test_what_misses_a_goal_is_above_the_edge() -> None:
    one = search(10)
    (move,) = answer(one, 5.0, 20, "the TTFT goal of 1 s")
    assert move == Move(9, "20 of 20 beyond the TTFT goal of 1 s")
    assert answer(search(10), 5.0, 19, "the TTFT goal of 1 s") == []


def test_a_bucket_that_runs_out_is_gone_below_while_some_is_left() -> None:
    one = search(20)
    for second in range(8):
        left = Limit(kind="tokens", limit=6000, remaining=2000 - 100 * second, window="minute")
        one.heard(HeardAttempt(float(second), float(second), "answered", 20, limits=(left,)))
    move = play_round(one, 8.0)
    assert move is not None
    # It fills by 100 a second and falls by as much: half of the load lasts.
    assert move.limit == 14, "no more than three tenths at once"
    assert move.reason == "tokens run out in 13 s"


def test_a_bucket_that_falls_lets_nothing_grow() -> None:
    one = search(20)
    for second in range(8):
        left = Limit(kind="tokens", limit=60_000, remaining=40_000 - 100 * second, window="minute")
        one.heard(HeardAttempt(float(second), float(second), "answered", 20, limits=(left,)))
    one._fullest = {"tokens/minute/": 60_000.0}
    assert play_round(one, 8.0) is None


def test_nothing_is_raised_while_a_budget_is_about_spent() -> None:
    one = search(4)
    one.may_grow = False
    assert play_round(one, 2.0) is None
    one.may_grow = True
    assert play_round(one, 4.0) == Move(6, "no queue")


def test_what_began_before_a_move_took_effect_is_no_news_of_it() -> None:
    one, at_s = grown(14)
    one.await_effect()
    assert refused(one, at_s + 1, 14) is None
    one.took_effect(at_s + 2)
    assert refused(one, at_s + 1.5, 14) is None
    assert refused(one, at_s + 2.5, 14) is not None


def test_a_goal_that_is_missed_with_fewer_as_well_is_no_edge() -> None:
    one, at_s, moves = search(20), 0.0, []
    for _ in range(12):
        at_s += 5.0
        moves += answer(one, at_s, 20, "the E2E goal of 3 s")
    assert moves[-1] == Move(20, "beyond the E2E goal of 3 s with fewer, too")
    assert min(limits(moves)) == 12, "six tenths were enough to know"
    assert answer(one, at_s + 5, 40, "the E2E goal of 3 s") == []


@pytest.mark.parametrize(("asked", "expected"), [(0, 2), (99, 8), (5, 5)])
def test_it_begins_within_its_bounds(asked: int, expected: int) -> None:
    assert search(asked, least=2, most=8).limit == expected
