"""What is held does not grow with how long it has run, nor with how many probes it saw."""

import gc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest
from bench.flat import Traffic
from board_streams import ProbeScript, hello, throttled, tick
from clocks import ManualClock

from probes.board import Board
from probes.config import Budget, Route
from probes.control.wanted import Wanted, wanted_of
from probes.events import Event
from probes.kit.clock import NS_PER_S
from probes.money.budget_lease import BudgetLease
from probes.money.ledger import Ledger
from probes.money.run_ledger import RunLedger
from probes.sources.supervised import OpenWork
from probes.stats.sketch import FastSketch, TreeSketch

ROUTE = Route(name="route0", base_url="http://x", model="m")
NOT_COUNTED = (type, ModuleType, FunctionType, BuiltinFunctionType, TreeSketch, FastSketch)
"""Code, and sketches, which have a bound and a test of their own."""


class Run:
    """Everything in the cockpit's process that folds the stream."""

    def __init__(self, ledger: Ledger) -> None:
        self.board = Board()
        self.open = OpenWork()
        self.wanted: Wanted = wanted_of((ROUTE,))
        clock = ManualClock()
        run = RunLedger(ledger, [ROUTE], Budget(), clock=clock)
        self.lease = BudgetLease(run, [ROUTE], clock=clock)

    def fold(self, event: Event) -> None:
        self.board.fold(event)
        self.open.fold(event)
        self.lease.fold(event)
        self.wanted = self.wanted.after_event(event)

    def held(self) -> int:
        """Return how many objects all of it holds, and what is in them."""
        self.board.snapshot("5m", ("route0",))
        roots = (self.board, self.open, self.lease, self.wanted)
        return sum(1 + len(found) if isinstance(found, dict) else 1 for found in reached(roots))


def reached(roots: Any) -> Iterator[object]:
    """Yield every object that `roots` lead to."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        found = waiting.pop()
        if id(found) not in seen and not isinstance(found, NOT_COUNTED):
            seen.add(id(found))
            waiting.extend(gc.get_referents(found))
            yield found


@pytest.mark.usefixtures("package")
def test_as_much_is_held_after_hours_as_when_the_windows_were_first_full() -> None:
    traffic = Traffic(routes=1, rate=0.5, trouble=10.0, slot_ns=NS_PER_S)
    held: dict[int, list[int]] = {}
    with closing(Ledger(None)) as ledger:
        run = Run(ledger)
        run.fold(traffic.hello())
        for second, events in enumerate(islice(traffic.slots(), 6_400), start=1):
            for event in events:
                run.fold(event)
            if second % 50 == 0:
                # Half of the time since 1h was first full, and the other half.
                held.setdefault((second - 3_800) // 1_300, []).append(run.held())
    # Open slices fill and empty all the time; one object a probe would be 650 more.
    assert min(held[1]) - min(held[0]) < 100
    assert max(held[1]) - max(held[0]) < 100


def test_probes_that_never_end_and_words_that_never_repeat_are_not_kept_for_ever() -> None:
    held = []
    board = Board()
    board.fold(hello())
    for number in range(10_000):
        script = ProbeScript(f"e1-{number}", float(number), cohort=f"{number}/256")
        board.fold(script.started())
        reason = f"reason{number}"
        board.fold(throttled(script, float(number), wait_s=1.0, reason=reason, message=reason))
        board.fold(replace(script, outcome="server_error", reason=reason).probe_finished())
        board.fold(tick(float(number)))
        if number in (5_000, 9_999):
            board.snapshot("run", ("alpha",))
            held.append(sum(1 for _ in reached((board,))))
    first, last = held
    assert last - first < first / 10
