"""A board that is made of a checkpoint goes on as the first one did, to the last digit."""

import gc
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from bench.flat import Traffic
from board_streams import hello, route_info
from msgspec.structs import replace

from probes.board import Board
from probes.board.checkpoint import Checkpoint
from probes.events import DURABLE_TYPES, AttemptFinished, Event, FirstToken, Hello, ProbeFinished
from probes.kit.clock import NS_PER_S

_COUNTED = (AttemptFinished, FirstToken, ProbeFinished)
MINUTES = 3
MOMENTS = (5_000, 11_003, 16_111)
"""Events before each checkpoint: amid slices, minutes and blocks of what is shared."""


def stream(rate: float, late: float) -> Iterator[Event]:
    """Yield durable events of two routes; a share of what is counted comes up to 90 s late."""
    traffic, chance = Traffic(2, rate), random.Random(2)
    yield traffic.hello()
    for number, told in enumerate(traffic.slots()):
        if number >= MINUTES * 600:
            return
        for event in told:
            if isinstance(event, _COUNTED) and chance.random() < late:
                at_ns = max(1, event.at_ns - chance.randrange(90 * NS_PER_S))
                yield replace(event, at_ns=at_ns)
            elif isinstance(event, DURABLE_TYPES):
                yield event


def shown(board: Board) -> object:
    names = board.routes
    frame = board.snapshot(detail_routes=names, pages=names, anew=True)
    pages = [frame.details[name] for name in names]
    return frame, pages, board.summary()


def folded(events: list[Event]) -> Board:
    board = Board()
    for event in events:
        board.fold(event)
    return board


@pytest.mark.parametrize("late", [0.0, 0.02])
def test_a_copy_goes_on_as_the_board_did(late: float, package: Any) -> None:
    events = list(stream(30.0, late))
    board, taken = Board(), []
    for number, event in enumerate(events):
        if number in MOMENTS:
            taken.append((number, Checkpoint(board)))
        board.fold(event)
    for number, checkpoint in taken:
        copy = checkpoint.board()
        assert shown(copy) == shown(folded(events[:number])), number
        checkpoint.compress()
    # What comes late for one of them must not be seen by another.
    copies = [checkpoint.board() for _, checkpoint in taken]
    for (number, _), copy in zip(taken, copies, strict=True):
        for event in events[number:]:
            copy.fold(event)
    whole = shown(folded(events))
    assert shown(board) == whole
    assert [shown(copy) == whole for copy in copies] == [True] * len(taken)
    # Nor by the checkpoints, which the board and all copies have gone on from.
    again = [shown(checkpoint.board()) for _, checkpoint in taken]
    assert again == [shown(folded(events[:number])) for number, _ in taken]


def test_a_copy_of_a_copy_shares_what_has_closed() -> None:
    events = list(stream(5.0, 0.0))
    board = folded(events)
    first = Checkpoint(board)
    second = Checkpoint(first.board())
    # What two copies have in common is none of the second one's bytes.
    assert second.size_beside(first) < first.size_beside(None) / 3
    assert shown(second.board()) == shown(board)


def test_it_takes_little_beside_the_one_before_it() -> None:
    events = list(stream(5.0, 0.0))
    board, sizes = Board(), []
    before: Checkpoint | None = None
    for number, event in enumerate(events):
        board.fold(event)
        if number and number % 500 == 0 and not isinstance(event, Hello):
            checkpoint = Checkpoint(board)
            checkpoint.compress()
            sizes.append(checkpoint.size_beside(before))
            before = checkpoint
    assert max(sizes) < 200_000


def test_nothing_of_the_taking_and_opening_waits_for_the_collector() -> None:
    board = Board()
    board.fold(hello(route_info("alpha")))
    gc.collect()
    gc.disable()
    try:
        Checkpoint(board).board()
        left = [type(one).__name__ for one in gc.get_objects()]
    finally:
        gc.enable()
    # Each holds a memo of all that it has seen.
    assert not {"_SharingPickler", "_SharingUnpickler"}.intersection(left)


def test_taken_in_parts_it_is_what_it_is_taken_at_once() -> None:
    # Of 20 routes: more than one part has.
    traffic, board = Traffic(20, 1.0), Board()
    board.fold(traffic.hello())
    for events in islice(traffic.slots(), 300):
        for event in events:
            board.fold(event)
    at_once = shown(Checkpoint(board).board())
    assert at_once == shown(board)
    checkpoint, parts = Checkpoint.in_parts(board)
    taken = 0
    for taken, _ in enumerate(parts, start=1):
        # Somebody looks meanwhile, at another route each time.
        board.snapshot("1m", pages=[board.routes[taken]])
    assert taken == 3, "the run, and eight routes in each other part"
    assert shown(checkpoint.board()) == at_once


def test_output_that_nobody_has_looked_at_is_in_it_once() -> None:
    traffic, board = Traffic(20, 5.0), Board()
    board.fold(traffic.hello())
    for events in islice(traffic.slots(), 100):
        for event in events:
            board.fold(event)
    assert board._unseen
    checkpoint, parts = Checkpoint.in_parts(board)
    for _ in parts:
        board.snapshot()
    assert not checkpoint.board()._unseen
    assert shown(checkpoint.board()) == shown(board)
