"""Where what comes with load begins, and what is no edge."""

import msgspec
import pytest
from sweeping.swept import kept, missed, plan, point

from probes.events import Limit
from probes.sweeping.edges import (
    edges_of,
    is_failing,
    is_refused,
    knee_of,
    limit_of,
    load_of_limit,
    queued,
)
from probes.sweeping.estimates import Estimate
from probes.sweeping.views import SweepEdge, SweepPoint

PLAN = plan()
CALM = [point(load) for load in (1.0, 2.0, 4.0, 8.0, 16.0)]


def queueing(load: float, batch: float = 16.0) -> SweepPoint:
    """What a batch makes of a load: those beyond it wait, and each answer takes a second."""
    return point(load, served=batch, ttft=0.1 + (load - batch) / batch)


def at_rate(load: float, **changes: object) -> SweepPoint:
    made = point(
        load, in_flight_slope=Estimate(0.0, -0.1, 0.1), ttft_slope=Estimate(0.0, -0.1, 0.1)
    )
    return msgspec.structs.replace(made, **changes)


def piling(load: float, capacity: float) -> SweepPoint:
    more = load - capacity
    return at_rate(
        load,
        ok=round(30 * capacity),
        n=round(30 * capacity),
        requests_per_s=Estimate(capacity, capacity * 0.95, capacity * 1.05),
        in_flight_slope=Estimate(more, more * 0.8, more * 1.2),
        ttft_slope=Estimate(more / capacity, more / capacity * 0.8, more / capacity * 1.2),
    )


def test_what_is_calm_has_no_edge() -> None:
    assert edges_of(CALM, PLAN) == ()
    assert knee_of(CALM, PLAN) is None
    assert limit_of(CALM, ()) is None


def test_a_missed_goal_begins_between_what_holds_and_what_does_not() -> None:
    points = [*CALM, missed(point(32.0))]
    assert edges_of(points, PLAN) == (SweepEdge("goal", 16.0, 32.0, closed=False),)


@pytest.mark.parametrize(("begins", "closed"), [(17.0, True), (18.0, False)])
def test_an_edge_is_closed_within_a_tenth_or_next_to_each_other(
    begins: float, closed: bool
) -> None:
    (edge,) = edges_of([*CALM, missed(point(begins))], PLAN)
    assert edge.closed == closed
    (few,) = edges_of([point(1.0), point(2.0), missed(point(3.0))], PLAN)
    assert few.closed


def test_an_edge_at_the_first_load_has_nothing_below_it() -> None:
    (edge,) = edges_of([missed(point(1.0))], PLAN)
    assert edge == SweepEdge("goal", None, 1.0, closed=True)


def test_a_load_that_was_asked_for_again_counts_by_its_last_point() -> None:
    assert edges_of([point(1.0), missed(point(4.0)), kept(point(4.0))], PLAN) == ()


def test_a_check_is_no_point_of_an_edge() -> None:
    check = missed(point(1.0, purpose="check"))
    assert edges_of([point(1.0), check], PLAN) == ()


@pytest.mark.parametrize(
    ("throttled", "n", "refused"), [(1, 50, False), (2, 50, True), (2, 300, False), (3, 300, True)]
)
def test_one_429_may_be_somebody_elses(throttled: int, n: int, refused: bool) -> None:
    assert is_refused(point(4.0, n=n, throttled=throttled)) == refused


def test_few_failures_may_be_chance_and_what_hangs_counts_as_one() -> None:
    assert not is_failing(point(4.0, failed=5))
    assert is_failing(point(4.0, failed=15))
    assert is_failing(point(4.0, failed=8, hung=7))


def test_those_that_wait_are_the_rise_of_ttft_times_the_throughput() -> None:
    waits = queued(point(16.0), queueing(32.0))
    assert waits is not None
    assert waits.value == pytest.approx(1.0)


def test_a_queue_is_saturation_and_its_knee_is_what_does_not_wait() -> None:
    points = [*CALM, queueing(32.0)]
    assert edges_of(points, PLAN) == (SweepEdge("saturated", 16.0, 32.0, closed=False),)
    assert knee_of(points, PLAN) == 16.0


def test_a_load_that_queues_a_little_is_no_measure_of_the_knee() -> None:
    # A batch of 13: of those at 16 three wait, of which nobody can be sure.
    points = [*CALM[:4], queueing(16.0, 13.0), queueing(32.0, 13.0)]
    assert knee_of(points, PLAN) == 13.0
    assert edges_of(points, PLAN) == (SweepEdge("saturated", 8.0, 16.0, closed=False),)


def test_all_longer_queues_outvote_the_edge() -> None:
    # At 18 the queue is too short to be sure of; at 20 and 32 it is not.
    unsure = point(18.0, served=16.0, ttft=0.22, ttft_mean=Estimate(0.22, 0.08, 0.36))
    points = [*CALM, unsure, queueing(20.0), queueing(32.0)]
    (edge,) = edges_of(points, PLAN)
    assert (edge.holds, edge.begins) == (16.0, 18.0)
    assert knee_of(points, PLAN) == 16.0


def test_a_slower_first_token_alone_is_no_queue() -> None:
    # Twice as much is served: prompts that are read side by side slow each other.
    assert edges_of([*CALM, point(32.0, ttft=0.4)], PLAN) == ()


def test_throughput_that_rises_is_no_saturation_though_ttft_does() -> None:
    assert edges_of([*CALM, point(32.0, served=28.0, ttft=0.7)], PLAN) == ()


def test_by_rate_it_is_saturated_where_both_rise_and_less_comes_back() -> None:
    by_rate = plan("rate", 20.0)
    points = [at_rate(2.5), at_rate(5.0), at_rate(10.0), piling(20.0, 10.5)]
    (edge,) = edges_of(points, by_rate)
    assert (edge.kind, edge.holds, edge.begins) == ("saturated", 10.0, 20.0)
    assert knee_of(points, by_rate) == pytest.approx(10.5, rel=0.01)


@pytest.mark.parametrize("steady", ["in_flight_slope", "ttft_slope"])
def test_by_rate_one_slope_alone_is_none(steady: str) -> None:
    odd = msgspec.structs.replace(piling(20.0, 10.5), **{steady: Estimate(0.1, -0.1, 0.3)})
    assert edges_of([at_rate(10.0), odd], plan("rate", 20.0)) == ()


def test_by_rate_a_queue_below_what_was_served_elsewhere_was_chance() -> None:
    points = [at_rate(5.0), piling(8.0, 7.2), piling(20.0, 10.5)]
    (edge,) = edges_of(points, plan("rate", 20.0))
    assert edge.begins == 20.0


def refused(load: float, kind: str, at: Estimate, **changes: object) -> SweepPoint:
    made = point(load, throttled=20, ok=80, refused_for=kind, refused_at=at)
    return msgspec.structs.replace(made, **changes)


def test_a_limit_of_what_is_at_once_is_where_it_refuses() -> None:
    points = [*CALM, refused(32.0, "concurrency", Estimate(20.0, 20.0, 20.0))]
    limit = limit_of(points, [Limit(kind="concurrency", limit=20.0)])
    assert limit is not None
    assert (limit.kind, limit.value, limit.told) == ("concurrency", 20.0, 20.0)
    assert load_of_limit(limit, points, PLAN) == 20.0
    assert load_of_limit(limit, points, plan("rate")) == 20.0


def test_429s_that_say_nothing_are_for_what_is_at_once_where_they_come_at_one_number() -> None:
    steady = limit_of([*CALM, refused(32.0, "", Estimate(20.0, 19.0, 21.0))], ())
    assert steady is not None
    assert (steady.kind, steady.told) == ("concurrency", None)
    loose = refused(32.0, "", Estimate(15.0, 9.0, 22.0), let_in_requests=240.0)
    assert msgspec.structs.astuple(limit_of([*CALM, loose], ()) or steady)[:2] == ("unknown", 240.0)


def test_a_limit_of_tokens_is_what_is_let_in_and_carries_what_that_serves() -> None:
    at = Estimate(17.0, 12.0, 20.0)
    points = [*CALM, refused(32.0, "tokens", at, let_in_tokens=60_192.0)]
    limit = limit_of(points, [Limit(kind="tokens", limit=60_000.0, window="minute")])
    assert limit is not None
    assert (limit.kind, limit.value, limit.told) == ("tokens", 60_192.0, 60_000.0)
    # 60,192 a minute are 13.2 of 76 tokens a second, and each takes a second.
    assert load_of_limit(limit, points, PLAN) == pytest.approx(13.2)


def test_a_limit_of_a_day_is_not_that_of_a_minute() -> None:
    at = Estimate(17.0, 12.0, 20.0)
    points = [*CALM, refused(32.0, "requests", at, let_in_requests=600.0)]
    limit = limit_of(points, [Limit(kind="requests", limit=10_000.0, window="day")])
    assert limit is not None
    assert (limit.value, limit.told) == (600.0, None)
