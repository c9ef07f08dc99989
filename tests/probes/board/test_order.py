"""Rows stand by how many users they hurt, and a healthy screen never moves."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import pytest
from bench.incident_streams import healthy
from bench.incident_streams.stream import Stream
from board_streams import ProbeScript, diagnosis, hello, route_info, tick
from changed import replace

from probes.board import Board
from probes.board.order import HEALS_NS, LASTS_NS
from probes.board.views import HeaderView
from probes.diagnosis import Diagnostician
from probes.events import Event, Held, Knob
from probes.kit.clock import NS_PER_S

NAMES = ("alpha", "bravo", "carol", "delta")
RESTLESS = ("sigma0.3", "sigma0.6", "gusts", "stray", "many_workers", "of_any_length")
"""Within their goals, however they scatter."""


LASTS_S, HEALS_S = (round(time_ns / NS_PER_S) for time_ns in (LASTS_NS, HEALS_NS))


def falls_on(number: int, share: float) -> bool:
    """Tell whether one of so large a share, evenly spread, falls on a number."""
    return int((number + 1) * share) > int(number * share)


class Run:
    """Routes that are probed once a second, and their board."""

    def __init__(self, *names: str) -> None:
        self.board = Board()
        self.names = names or NAMES
        self.now_s = 0
        self.board.fold(hello(*(route_info(name, goal_ttft_s=0.8) for name in self.names)))

    def seconds(self, count: int, *, slow: Mapping[str, float] | None = None, **bad: float) -> None:
        """Let so many seconds pass, in which the probes of some routes fail in so large a share, or
        are too slow for their goal."""
        for _ in range(count):
            events: list[Event] = []
            for name in self.names:
                number = self.now_s
                fails = falls_on(number, bad.get(name, 0.0))
                is_slow = falls_on(number, (slow or {}).get(name, 0.0))
                script = ProbeScript(
                    f"{name}-{number}",
                    float(number),
                    route=name,
                    ttft_s=0.9 if is_slow else 0.4,
                    e2e_s=0.95 if is_slow else 0.5,
                )
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
    def header(self) -> HeaderView:
        """The strip over the rows."""
        return self.board.snapshot("1m").header

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


def test_verdicts_are_told_in_the_order_of_the_rows() -> None:
    run = Run()
    run.seconds(20)
    run.seconds(20, bravo=0.2, delta=1.0, carol=0.6)
    run.fails("bravo", "carol", "delta", since_s=20)
    # What may yet be chance comes after what is named, whatever its row is.
    run.fails("alpha", since_s=20, state="perhaps")
    run.seconds(10, bravo=0.2, delta=1.0, carol=0.6)
    assert run.order == ("delta", "carol", "bravo", "alpha")
    told = [view.diagnosis.id for view in run.board.snapshot("1m").incidents]
    assert told == ["delta", "carol", "bravo", "alpha"]


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


def test_what_misses_its_goal_without_a_verdict_moves_up_once_it_has_lasted() -> None:
    run = Run()
    run.seconds(60, slow={"delta": 0.1})
    assert (run.header.hurt, run.order) == (1, NAMES)
    run.seconds(LASTS_S, slow={"delta": 0.1})
    assert (run.header.hurt, run.order) == (1, ("delta", "alpha", "bravo", "carol"))


def test_it_stays_above_what_is_fine_until_it_has_been_well_for_longer() -> None:
    run = Run()
    run.seconds(60 + LASTS_S, slow={"delta": 0.1})
    run.seconds(150)
    assert run.header.hurt == 0
    run.seconds(HEALS_S - 150)
    assert run.order[0] == "delta"
    run.seconds(150)
    assert run.order == NAMES


def test_what_hurts_now_and_then_for_a_while_moves_no_row() -> None:
    run = Run()
    run.seconds(20)
    seen = set()
    for _ in range(4):
        run.seconds(70, slow={"delta": 0.1})
        seen.add((run.header.hurt, run.order))
        run.seconds(90)
        seen.add((run.header.hurt, run.order))
    assert seen == {(1, NAMES), (0, NAMES)}


def test_what_has_lasted_stands_below_those_with_a_verdict() -> None:
    run = Run()
    run.seconds(60 + LASTS_S, slow={"alpha": 0.1})
    run.fails("delta")
    run.seconds(6, slow={"alpha": 0.1})
    assert run.order == ("delta", "alpha", "bravo", "carol")


def test_what_may_be_chance_moves_its_row_once_it_has_lasted() -> None:
    run = Run()
    run.seconds(20)
    run.fails("delta", state="perhaps")
    run.seconds(LASTS_S - 5)
    assert (run.header.hurt, run.order) == (1, NAMES)
    run.seconds(10)
    assert run.order[0] == "delta"


def test_what_has_lasted_and_is_paused_stands_by_its_name() -> None:
    run = Run()
    run.seconds(60 + LASTS_S, slow={"delta": 0.1})
    assert run.order[0] == "delta"
    at_ns = run.board.snapshot("1m").now_ns
    run.fold(Knob(at_ns=at_ns, route="delta", knob="paused", before=0, after=1))
    run.seconds(6)
    assert run.order == NAMES


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


def test_rows_whose_goal_lies_at_their_p95_turn_often_and_move_once_at_most() -> None:
    outline = healthy.run_of("sigma0.3", 1, 900.0)
    at_goal = tuple(replace(nature, goal_ttft_s=0.479) for nature in outline.natures)
    board, hurt, moves, rows, due_ns = Board(), [], 0, ("alpha", "beta"), 0
    for event in Stream(replace(outline, natures=at_goal), 1).events():
        board.fold(event)
        if event.at_ns >= due_ns:
            due_ns = event.at_ns + NS_PER_S
            snapshot = board.snapshot("1m")
            hurt.append(snapshot.header.hurt)
            now = tuple(row.name for row in snapshot.routes)
            moves, rows = moves + (now != rows), now
    turns = sum(before != after for before, after in pairwise(hurt))
    assert turns > 10
    assert moves <= 1


@pytest.mark.parametrize("kind", RESTLESS)
def test_a_quarter_of_an_hour_of_health_moves_no_row(kind: str) -> None:
    outline = healthy.run_of(kind, 1, 900.0)
    assert len(orders(Stream(outline, 1).events())) == 1
