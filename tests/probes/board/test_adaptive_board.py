"""A concurrency that finds itself, on the board: its mark, its moves in the log, and why."""

from typing import Any

from board_streams import at, hello, route_info

from probes.board import Board
from probes.events import Knob


def turn(before: float, after: float, at_s: float, reason: str = "", **more: Any) -> Knob:
    values: dict[str, Any] = {"knob": "concurrency", "who": "auto"} | more
    return Knob(at_ns=at(at_s), route="alpha", before=before, after=after, reason=reason, **values)


def board(*events: Knob) -> Board:
    made = Board()
    made.fold(hello(route_info("alpha", adaptive=True)))
    for event in events:
        made.fold(event)
    return made


def told(*events: Knob) -> list[tuple[str, int]]:
    """The lines of the log, newest first, with how often each was."""
    return [(one.text, one.count) for one in board(*events).snapshot("1m", ()).happenings]


def test_each_move_stands_in_the_log_with_its_reason() -> None:
    assert told(turn(8, 6, 1, "429 concurrency at 7")) == [
        ("auto: CONC 8→6, 429 concurrency at 7", 1)
    ]


def test_raises_one_after_the_other_are_one_line() -> None:
    moves = [turn(1, 2, 1, "no queue"), turn(2, 3, 2, "no queue"), turn(3, 5, 3, "below 9")]
    assert told(*moves) == [("auto: CONC 1→5, below 9", 1)]


def test_a_limit_that_was_tried_and_stepped_back_from_is_one_line() -> None:
    moves = [turn(20, 21, 1, "is 21 still too many?"), turn(21, 20, 1.5, "429 at 21")]
    assert told(*moves) == [("auto: CONC 20→21→20, 429 at 21", 1)]


def test_what_somebody_else_turned_is_no_step_of_it() -> None:
    texts = [text for text, _ in told(turn(4, 5, 1, "no queue"), turn(5, 6, 2, who="user"))]
    assert texts == ["you: CONC 5→6", "auto: CONC 4→5, no queue"]


def test_the_row_says_whether_it_finds_itself() -> None:
    (row,) = board().snapshot("1m", ()).routes
    assert row.adaptive
    off = turn(1, 0, 1, "CONC was set by hand", knob="auto", who="user")
    (row,) = board(off).snapshot("1m", ()).routes
    assert not row.adaptive
