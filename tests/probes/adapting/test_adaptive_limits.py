"""Which routes' concurrency finds itself, by the events of a run alone."""

from typing import Any

from board_streams import at, hello, route_info, tick

from probes.adapting import AdaptiveLimits, LimitMove
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    BudgetState,
    Event,
    FirstToken,
    Held,
    Knob,
    Limit,
    RouteCounts,
    StampLadder,
)

AUTO = route_info("alpha", adaptive=True, concurrency=4, concurrency_max=10)


class Stream:
    """A run that is told event by event."""

    def __init__(self, info: Any = AUTO) -> None:
        self.limits = AdaptiveLimits()
        self.moves: list[LimitMove] = []
        self._number = 0
        self.tell(hello(info))

    def tell(self, event: Event) -> LimitMove | None:
        move = self.limits.fold(event)
        if move is not None:
            self.moves.append(move)
        return move

    def start(self, at_s: float) -> str:
        self._number += 1
        name = f"p{self._number}"
        self.tell(
            AttemptStarted(
                at_ns=at(at_s),
                route="alpha",
                probe=name,
                attempt=0,
                scheduled_ns=at(at_s),
                admitted_ns=at(at_s),
                cohort="64/256",
            )
        )
        return name

    def first_token(self, name: str, at_s: float) -> None:
        self.tell(
            FirstToken(
                at_ns=at(at_s), route="alpha", probe=name, attempt=0, felt_ns=0, kind="content"
            )
        )

    def finish(self, name: str, at_s: float, outcome: Any = "ok", **more: Any) -> None:
        self.tell(
            AttemptFinished(
                at_ns=at(at_s),
                route="alpha",
                probe=name,
                attempt=0,
                outcome=outcome,
                stamps_ns=StampLadder(ended=at(at_s)),
                **more,
            )
        )

    def turn(self, knob: Any, before: float, after: float, at_s: float, who: str = "user") -> None:
        self.tell(
            Knob(at_ns=at(at_s), route="alpha", knob=knob, before=before, after=after, who=who)
        )

    def round(self, at_s: float, at_once: int) -> None:
        """So many begin together, and each is answered two seconds later."""
        names = [self.start(at_s) for _ in range(at_once)]
        for name in names:
            self.first_token(name, at_s + 1.5)
        for name in names:
            self.finish(name, at_s + 2)


def test_a_route_that_is_set_by_hand_is_left_alone() -> None:
    stream = Stream(route_info("alpha", concurrency=4))
    for number in range(5):
        stream.round(1 + 3 * number, 4)
    assert stream.moves == []


def test_a_route_that_finds_its_concurrency_grows_and_names_why() -> None:
    stream = Stream()
    stream.round(1, 4)
    assert stream.moves == [LimitMove("alpha", 6, "no queue")]


def test_nothing_more_is_moved_before_an_engine_has_obeyed() -> None:
    stream = Stream()
    stream.round(1, 4)
    stream.round(4, 4)
    assert len(stream.moves) == 1
    stream.turn("concurrency", 4, 6, 7, who="auto")
    stream.round(8, 6)
    assert stream.moves[1:] == [LimitMove("alpha", 9, "no queue")]


def test_a_tick_says_as_well_that_it_was_obeyed() -> None:
    stream = Stream()
    stream.round(1, 4)
    stream.turn("concurrency", 4, 5, 6, who="restart")
    assert stream.limits._routes["alpha"].search.limit == 5
    stream.round(7, 5)
    stream.tell(tick(10, RouteCounts(route="alpha", in_flight=0, target=8)))
    stream.round(11, 5)
    assert [move.concurrency for move in stream.moves] == [6, 8, 10]


def test_a_429_is_named_by_its_limit_and_how_many_were_open() -> None:
    stream = Stream()
    names = [stream.start(1 + number / 10) for number in range(4)]
    stream.finish(names[3], 1.5, "throttled", reason="rate_limit.concurrency", status=429)
    assert stream.moves == [LimitMove("alpha", 3, "429 concurrency at 4")]


def test_a_server_that_is_overloaded_refuses_too() -> None:
    stream = Stream()
    name = stream.start(1)
    stream.finish(name, 1.5, "server_error", reason="overloaded", status=503)
    assert stream.moves == [LimitMove("alpha", 3, "overloaded at 1")]


def test_what_goes_beyond_the_limit_as_a_burst_says_nothing_of_it() -> None:
    stream = Stream()
    names = [stream.start(1) for _ in range(9)]
    stream.finish(names[8], 1.5, "throttled", reason="rate_limit.concurrency", status=429)
    assert stream.moves == []


def test_a_failure_that_is_no_refusal_moves_nothing() -> None:
    stream = Stream()
    for number in range(30):
        name = stream.start(1 + number)
        stream.finish(name, 1.5 + number, "server_error", reason="internal", status=500)
    assert stream.moves == []


def test_a_stated_concurrency_is_gone_to_within_the_route_s_own_bounds() -> None:
    stream = Stream()
    name = stream.start(1)
    stream.finish(name, 3, limits=(Limit(kind="concurrency", limit=20),))
    assert stream.moves == [LimitMove("alpha", 10, "told: 20 at a time")]


def test_what_a_budget_holds_back_is_halved_and_nothing_is_raised_while_it_is_about_spent() -> None:
    stream = Stream()
    stream.tell(Held(at_ns=at(1), reason="budget", route="alpha"))
    assert stream.moves == [LimitMove("alpha", 2, "a budget is spent")]
    spent = BudgetState(route="", used_tokens=95, limit_tokens=100)
    stream.turn("concurrency", 4, 2, 2, who="auto")
    counts = RouteCounts(route="alpha", in_flight=0, target=2)
    stream.tell(tick(3, counts, budgets=(spent,)))
    for number in range(5):
        stream.round(4 + 3 * number, 3)
    assert len(stream.moves) == 1


def test_it_is_switched_on_and_off_as_it_runs() -> None:
    stream = Stream(route_info("alpha", concurrency=4, concurrency_max=10))
    stream.turn("auto", 0, 1, 0.5)
    stream.round(1, 4)
    assert len(stream.moves) == 1
    stream.turn("auto", 1, 0, 4)
    stream.round(5, 4)
    stream.round(8, 4)
    assert len(stream.moves) == 1


def test_switched_on_beyond_its_bounds_it_goes_there_first() -> None:
    stream = Stream(route_info("alpha", concurrency=40, concurrency_max=10))
    stream.turn("auto", 0, 1, 0.5)
    assert stream.moves == [LimitMove("alpha", 10, "within 1 to 10")]


def test_another_engine_begins_with_what_was_found() -> None:
    stream = Stream()
    stream.round(1, 4)
    stream.turn("concurrency", 4, 6, 4, who="auto")
    stream.tell(hello(AUTO, at_s=5))
    assert stream.limits._routes["alpha"].search.limit == 6


def test_the_same_events_move_the_same_way_twice() -> None:
    first, second = Stream(), Stream()
    for stream in (first, second):
        for number in range(4):
            stream.round(1 + 5 * number, 4)
            if stream.moves:
                stream.turn(
                    "concurrency", 4, stream.moves[-1].concurrency, 4.5 + 5 * number, "auto"
                )
    assert first.moves == second.moves
    assert first.moves


def test_in_an_open_pace_a_limit_that_is_not_used_up_is_not_raised() -> None:
    stream = Stream(route_info("alpha", adaptive=True, concurrency=6, pace="poisson", rate=2.0))
    for number in range(4):
        stream.round(1 + 3 * number, 4)
    assert stream.moves == []
    stream.round(20, 6)
    assert stream.moves == [LimitMove("alpha", 9, "no queue")]


# ------------------------------------------------------------------ several places


def of_place(place: str) -> Any:
    return route_info(
        f"alpha@{place}", place=place, adaptive=True, concurrency=4, concurrency_max=10
    )


def limits_of_two_places() -> AdaptiveLimits:
    limits = AdaptiveLimits()
    for place in ("eu", "us"):
        limits.fold(hello(of_place(place), place=place, engine=place))
    return limits


def test_a_hello_of_a_place_keeps_what_was_found_at_another() -> None:
    limits = limits_of_two_places()
    moved = limits.fold(Held(at_ns=at(1), reason="budget", route="alpha@eu"))
    assert moved == LimitMove("alpha@eu", 2, "a budget is spent")
    limits.fold(hello(of_place("us"), at_s=2, place="us", engine="us2"))
    again = limits.fold(Held(at_ns=at(3), reason="budget", route="alpha@eu"))
    assert again == LimitMove("alpha@eu", 1, "a budget is spent")


def test_the_budget_of_a_place_that_is_about_spent_holds_back_its_own_routes() -> None:
    limits = limits_of_two_places()
    spent = BudgetState(route="", used_tokens=95, limit_tokens=100)
    for place, budgets in (("eu", (spent,)), ("us", ())):
        counts = RouteCounts(route=f"alpha@{place}", in_flight=0, target=4)
        limits.fold(tick(1, counts, budgets=budgets, place=place))
    assert {name: one._is_spent for name, one in limits._routes.items()} == {
        "alpha@eu": True,
        "alpha@us": False,
    }
