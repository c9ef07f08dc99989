"""Rows stand by how many users they hurt, and a healthy screen never moves."""

from collections.abc import Iterable

import pytest
from bench.incident_streams import healthy
from bench.incident_streams.stream import Stream
from board_streams import ProbeScript, diagnosis, hello, route_info, tick
from changed import replace

from probes.board import Board
from probes.diagnosis import Diagnostician
from probes.events import Event, Held, Knob
from probes.kit.clock import NS_PER_S

NAMES = ("alpha", "bravo", "carol", "delta")
RESTLESS = ("sigma0.3", "sigma0.6", "gusts", "stray", "many_workers", "of_any_length")
"""Within their goals, however they scatter."""


class Run:
    """Routes that are probed once a second, and their board."""

    def __init__(self, *names: str) -> None:
        self.board = Board()
        self.names = names or NAMES
        self.now_s = 0
        self.board.fold(hello(*(route_info(name) for name in self.names)))

    def seconds(self, count: int, **bad: float) -> None:
        """Let so many seconds pass, in which the probes of some routes fail in so large a share."""
        for _ in range(count):
            events: list[Event] = []
            for name in self.names:
                share, number = bad.get(name, 0.0), self.now_s
                fails = int((number + 1) * share) > int(number * share)
                script = ProbeScript(f"{name}-{number}", float(number), route=name, e2e_s=0.5)
                outcome = "server_error" if fails else "ok"
                events += replace(script, outcome=outcome).events()
            self.fold(*sorted(events, key=lambda event: event.at_ns))
            self.now_s += 1
            self.fold(tick(float(self.now_s)))

    def fold(self, *events: Event) -> None:
        """Fold events."""
        for event in events:
            self.board.fold(event)

    def fails(self, *routes: str, since_s: float | None = None, state: str = "named") -> None:
        """Let a verdict come that some routes fail, each its own."""
        for name in routes:
            self.fold(
                diagnosis(
                    float(self.now_s),
                    "provider_errors",
                    self.now_s if since_s is None else since_s,
                    id=name,
                    routes=(name,),
                    state=state,
                    size=0.3,
                )
            )

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the rows, from the top."""
        return tuple(row.name for row in self.board.snapshot("1m").routes)


def test_rows_that_hurt_nobody_stand_by_name() -> None:
    run = Run("delta", "alpha", "carol", "bravo")
    assert run.order == NAMES
    run.seconds(30, alpha=0.1)
    assert run.order == NAMES


def test_the_route_that_hurts_most_of_its_users_is_first() -> None:
    run = Run()
    run.seconds(20)
    run.seconds(20, bravo=0.5, delta=1.0)
    run.fails("bravo", "delta", since_s=20)
    run.seconds(10, bravo=0.5, delta=1.0)
    assert run.order == ("delta", "bravo", "alpha", "carol")
    rows = {row.name: row.hurt_share for row in run.board.snapshot("1m").routes}
    assert rows == {
        "alpha": 0.0,
        "carol": 0.0,
        "bravo": pytest.approx(0.5, abs=0.05),
        "delta": 1.0,
    }


def test_of_those_that_hurt_alike_the_worse_state_is_first_then_the_name() -> None:
    run = Run()
    run.seconds(20)
    run.seconds(20, carol=0.5, delta=0.5, bravo=0.5)
    run.fails("carol", "delta", since_s=20)
    run.fold(diagnosis(40.0, "retry_masking", 20.0, id="m", routes=("bravo",), size=0.3))
    run.seconds(6, carol=0.5, delta=0.5, bravo=0.5)
    assert run.order == ("carol", "delta", "bravo", "alpha")


def test_two_that_hurt_nearly_alike_do_not_swap_places() -> None:
    run = Run()
    run.seconds(20)
    run.fails("bravo", "carol")
    run.seconds(30, bravo=0.4, carol=0.4)
    seen = set()
    for share in (0.35, 0.45, 0.5, 0.4, 0.3):
        run.seconds(20, bravo=share, carol=0.8 - share)
        seen.add(run.order)
    assert seen == {("bravo", "carol", "alpha", "delta")}


def test_for_five_seconds_after_the_rows_have_moved_they_stand() -> None:
    run = Run()
    run.seconds(20)
    run.fails("delta")
    assert run.order[0] == "delta"
    run.fails("carol")
    orders = []
    for _ in range(6):
        run.seconds(1, carol=1.0)
        orders.append(run.order[0])
    assert orders == ["delta"] * 4 + ["carol"] * 2


def test_a_request_that_hangs_hurts_as_one_that_failed() -> None:
    run = Run()
    run.seconds(20)
    for number in range(60):
        run.fold(ProbeScript(f"h-{number}", 20.0, route="carol").started())
    for second in range(21, 30):
        run.fold(tick(float(second)))
    carol = next(row for row in run.board.snapshot("1m").routes if row.name == "carol")
    assert (carol.n, carol.overdue_open, carol.hurt_share) == (20, 60, 0.75)
    totals = run.board.snapshot("1m").totals
    assert totals is not None
    assert (totals.overdue_open, totals.hurt_share) == (60, 60 / 140)
    run.fold(diagnosis(30.0, "no_answer", 20.0, routes=("carol",)))
    assert run.order[0] == "carol"


def test_what_may_yet_be_chance_moves_no_row() -> None:
    run = Run()
    run.seconds(20)
    run.fails("delta", state="perhaps")
    run.seconds(3, delta=0.5)
    assert run.board.snapshot("1m").routes[-1].state == "slow"
    assert run.order == NAMES
    run.fails("delta")
    assert run.order[0] == "delta"


def test_what_we_hold_back_ourselves_stays_in_its_place() -> None:
    run = Run()
    run.seconds(20)
    at_ns = run.board.snapshot("1m").now_ns
    run.fold(
        Held(at_ns=at_ns, route="alpha", reason="budget"),
        Knob(at_ns=at_ns, route="bravo", knob="paused", before=0, after=1),
    )
    run.seconds(2)
    assert run.order == NAMES
    assert [row.state for row in run.board.snapshot("1m").routes[:2]] == ["held", "paused"]


def orders(events: Iterable[Event]) -> set[tuple[str, ...]]:
    """Return every order that the rows of a run are seen in, second by second."""
    board, diagnostician, seen, due_ns = Board(), Diagnostician(), set(), 0
    for event in events:
        board.fold(event)
        for derived in diagnostician.fold(event):
            board.fold(derived)
        if event.at_ns >= due_ns:
            due_ns = event.at_ns + NS_PER_S
            seen.add(tuple(row.name for row in board.snapshot("1m").routes))
    return seen


@pytest.mark.parametrize("kind", RESTLESS)
def test_a_quarter_of_an_hour_of_health_moves_no_row(kind: str) -> None:
    outline = healthy.run_of(kind, 1, 900.0)
    assert len(orders(Stream(outline, 1).events())) == 1
