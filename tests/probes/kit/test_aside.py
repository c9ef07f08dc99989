"""What is done aside never holds up who asks for it, loses nothing in silence, and ends."""

import threading
from collections.abc import Callable

import pytest

from probes.kit.aside import Aside, WorkError

PATIENCE_S = 5.0


class Worker:
    """Works only while it may."""

    def __init__(self, *failures: Exception | None) -> None:
        self.done: list[int] = []
        self.failures = list(failures)
        self.may = threading.Event()
        self.may.set()
        self.begun = threading.Event()

    def __call__(self, piece: int) -> None:
        self.begun.set()
        assert self.may.wait(PATIENCE_S)
        self.done.append(piece)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


def aside(work: Callable[[int], None], said: list[str], most: int = 3) -> Aside[int]:
    return Aside("--x", work, most=most, pieces="events", report=said.append)


def test_pieces_are_worked_off_in_order_and_all_of_them_at_the_end() -> None:
    worker, said = Worker(), list[str]()
    it = aside(worker, said, most=100)
    assert all(it.put(number) for number in range(50))
    it.close(PATIENCE_S)
    assert (worker.done, said, it.dropped) == ([*range(50)], [], 0)


def test_what_finds_no_place_is_counted_and_said_once_at_each_end() -> None:
    worker, said = Worker(), list[str]()
    worker.may.clear()
    it = aside(worker, said)
    assert [it.put(number) for number in range(5)] == [True, True, True, False, False]
    assert said == ["--x is too slow: 3 events wait for it, the next are left out"]
    worker.may.set()
    while not it.put(9):  # until one of those that waited is done
        pass
    it.close(PATIENCE_S)
    assert worker.done == [0, 1, 2, 9]
    assert said[1:] == [f"--x goes on: {it.dropped:,} events were left out"]


def test_what_finds_no_place_takes_none() -> None:
    worker, said = Worker(), list[str]()
    worker.may.clear()
    it = aside(worker, said)
    assert [it.put(number, size=2) for number in range(3)] == [True, False, False]
    assert it.put(3, size=1)
    worker.may.set()
    it.close(PATIENCE_S)
    assert (worker.done, it.dropped) == ([0, 3], 4)


def test_one_that_is_larger_than_the_queue_has_it_for_itself() -> None:
    worker, said = Worker(), list[str]()
    worker.may.clear()
    it = aside(worker, said)
    assert it.put(1, size=10)
    assert not it.put(2)
    worker.may.set()
    it.close(PATIENCE_S)
    assert (worker.done, it.dropped) == ([1], 1)


def test_a_failure_costs_its_own_piece_and_is_said_once() -> None:
    lost = WorkError("cannot be reached")
    worker, said = Worker(lost, lost, None, ZeroDivisionError("a defect"), lost), list[str]()
    it = aside(worker, said, most=100)
    for number in range(6):
        it.put(number)
    it.close(PATIENCE_S)
    assert worker.done == [*range(6)]
    assert said == [
        "--x cannot be reached",
        "--x failed: ZeroDivisionError: a defect",
        "--x cannot be reached",
    ]


def test_who_leaves_does_not_wait_for_work_that_hangs_and_says_what_is_lost() -> None:
    worker, said = Worker(), list[str]()
    worker.may.clear()
    it = aside(worker, said)
    for number in range(4):
        it.put(number)
    assert worker.begun.wait(PATIENCE_S)
    it.close(0.01)
    assert said[-1] == "--x ends: 3 events were left out"
    worker.may.set()


def test_a_rest_ends_with_the_run() -> None:
    said: list[str] = []
    rested: list[bool] = []
    resting = threading.Event()

    def work(_: int) -> None:
        resting.set()
        rested.append(it.rest(60))

    it = aside(work, said)
    it.put(1)
    assert resting.wait(PATIENCE_S)
    it.close(PATIENCE_S)
    assert rested == [False]


def test_without_work_there_is_no_thread() -> None:
    before = threading.active_count()
    it = aside(Worker(), [])
    assert threading.active_count() == before
    it.close(PATIENCE_S)


def test_where_there_is_no_thread_nobody_who_gives_events_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, said = Worker(), list[str]()
    it = aside(worker, said)
    with monkeypatch.context() as patch:

        def refuse(_: object) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        # More than the queue holds: what could not be queued takes no place in it.
        assert [it.put(number) for number in range(9)] == [False] * 9
    assert said == ["--x cannot begin: this machine gives us no more threads"]
    assert it.put(3)
    it.close(PATIENCE_S)
    assert (worker.done, it.dropped) == ([3], 9)


def test_where_nothing_comes_it_does_what_is_due_and_goes_on() -> None:
    worker, said, idle = Worker(), list[str](), threading.Semaphore(0)

    def rest() -> None:
        idle.release()
        raise WorkError("is odd")

    it: Aside[int] = Aside(
        "--x", worker, most=3, pieces="events", report=said.append, idle=(0.01, rest)
    )
    assert it.put(1)
    assert all(idle.acquire(timeout=PATIENCE_S) for _ in range(3))
    assert it.put(2)
    it.close(PATIENCE_S)
    assert worker.done == [1, 2]
    assert said[0] == "--x is odd"
