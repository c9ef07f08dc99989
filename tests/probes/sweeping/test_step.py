"""What a step throws away, when it ends, and what becomes of each probe in its point."""

from math import inf

import msgspec
from sweeping.swept import ROUTE, plan, served

from probes.sweeping.goals import SweepGoal
from probes.sweeping.plan import FEWEST_OF_STEP, ROUNDS_OF_STEP
from probes.sweeping.results import SweepProbe
from probes.sweeping.step import HUNG, LEAST_WARM_S, MOST_EMPTY, SweepStep


def probe(at_s: float, took_s: float = 1.0, **changes: object) -> SweepProbe:
    made = SweepProbe(started_s=at_s, ended_s=at_s + took_s, ttft_s=0.1, e2e_s=took_s)
    return msgspec.structs.replace(made, **changes)


def refusal(at_s: float, kind: str = "concurrency") -> SweepProbe:
    return SweepProbe(
        started_s=at_s, ended_s=at_s + 0.01, ok=False, throttled=True, refused_for=kind,
        failure="throttled",
    )  # fmt: skip


def begun(load: float = 2.0, at_s: float = 100.0) -> SweepStep:
    step = SweepStep(plan(), load, "close_in")
    step.look(at_s)
    return step


def warm(load: float = 2.0) -> SweepStep:
    """A step that measures from 102 s on."""
    step = begun(load)
    for number in range(round(load)):
        step.take(probe(101.0 - 0.001 * number))
    step.look(102.0)
    assert step.is_warm
    return step


def test_its_warm_up_counts_for_nothing_but_its_cost() -> None:
    step = begun()
    step.take(probe(100.0, 0.5, tokens=70, ttft_s=9.0))
    assert not step.is_warm
    step.take(probe(100.6, 0.9, tokens=70, ok=False, failure="timeout"))
    assert step.is_warm
    step.take(probe(101.6, tokens=70))
    step.stop()
    found = step.point()
    assert (found.n, found.ok, found.warm_up, found.warm_up_failed) == (1, 1, 2, 1)
    assert found.tokens == 210
    assert found.ttft_p50 is not None
    assert found.ttft_p50.value == 0.1


def test_it_warms_up_for_a_second_at_least_and_for_half_its_time_at_most() -> None:
    step = begun()
    for number in range(4):
        step.take(probe(100.0 + number / 10, 0.1))
    assert not step.is_warm
    step.look(100.0 + LEAST_WARM_S)
    assert step.is_warm
    slow = begun()
    slow.look(114.9)
    assert not slow.is_warm
    slow.look(115.0)
    assert slow.is_warm


def test_what_began_before_it_is_none_of_its_own() -> None:
    step = warm()
    step.take(probe(99.0, 5.0))
    assert step.n == 0


def test_it_ends_when_its_intervals_are_tight() -> None:
    step = SweepStep(plan(), 1.0, "close_in")
    served(step, 1, took=0.25)
    assert step.end == "tight"
    found = step.point()
    assert found.requests_per_s is not None
    assert found.requests_per_s.half_width <= 0.05
    assert {one.state for one in found.goals if not one.goal.at_least} == {"met"}


def test_it_ends_when_its_time_is_over_and_says_so() -> None:
    step = SweepStep(plan(), 2.0, "close_in")
    served(step, 2)
    assert step.end == "time"
    assert 30.0 <= step.point().seconds < 31.5


def test_one_in_which_nothing_ended_goes_on_for_a_while() -> None:
    step = warm()
    step.look(140.0)
    assert step.end is None
    step.look(103.0 + MOST_EMPTY * 30.0)
    assert step.end == "time"


def test_it_ends_when_its_probes_are_used_up() -> None:
    step = SweepStep(plan(), 20.0, "close_in")
    served(step, 20, throttled=True, ok=False, ttft_s=None, e2e_s=None)
    assert step.end == "probes"
    assert step.n == ROUNDS_OF_STEP * 20
    assert plan().most_measured(2.0) == FEWEST_OF_STEP


def test_it_ends_when_it_has_sent_all_it_may_though_nothing_comes_back() -> None:
    step = warm()
    step.look(103.0, started=plan().most_probes(2.0) - 2)
    assert step.end == "probes"


def test_the_first_load_is_given_more_time_where_answers_take_long() -> None:
    step = begun(1.0)
    step.take(probe(100.0, 10.0))
    step.look(141.0)
    assert step.end is None
    step.look(261.0)
    assert step.end == "time"
    quick = begun(1.0)
    for number in range(9):
        quick.take(probe(100.0 + 2 * number, 1.9))
    quick.look(133.0)
    assert quick.end == "time"


def test_while_loads_double_a_latency_far_below_its_goal_is_no_question() -> None:
    step = SweepStep(plan(), 8.0, "grow")
    served(step, 8)
    assert (step.end, step.n < 90) == ("tight", True)


def test_failures_and_429s_are_in_the_point_and_make_nobody_fast() -> None:
    step = warm()
    for number in range(8):
        step.take(probe(102.0 + number, 0.5))
    step.take(probe(103.0, 0.1, ok=False, ttft_s=None, e2e_s=None, failure="server_error"))
    step.take(refusal(104.0))
    step.stop()
    found = step.point()
    assert (found.n, found.ok, found.failed, found.throttled) == (10, 8, 1, 1)
    assert found.failure in ("server_error", "throttled")
    assert found.ttft_p95 is not None
    assert found.ttft_p95.value == inf
    assert found.success is not None
    assert found.success.value == 0.8


def test_what_hangs_is_in_the_point() -> None:
    step = warm()
    for number in range(10):
        step.take(probe(102.0 + number))
    step.look(120.0)
    step.stop()
    found = step.point((102.5, 119.5))
    assert HUNG * 1.0 < 120.0 - 102.5
    assert (found.n, found.ok, found.hung) == (11, 10, 1)
    assert found.e2e_p95 is not None
    assert found.e2e_p95.value == 17.5


def test_a_limit_of_what_is_at_once_is_met_at_itself() -> None:
    step = begun(5.0)
    for number in range(3):
        step.take(probe(100.0 + number / 100, 2.0))
    for number in range(2):
        step.take(refusal(100.1 + number / 10))
    step.stop()
    found = step.point((100.05,))
    assert found.refused_for == "concurrency"
    assert found.refused_at is not None
    # Three that ended, and one that is still open.
    assert (found.refused_at.value, found.refused_at.low, found.refused_at.high) == (4, 4, 4)


def test_what_is_let_in_between_two_429s_is_told_by_the_minute() -> None:
    step = begun()
    step.take(refusal(100.0, "tokens"))
    for number in range(6):
        step.take(probe(100.5 + 2 * number, 0.5, reserved_tokens=100))
    step.take(refusal(112.0, "tokens"))
    step.stop()
    found = step.point()
    assert found.let_in_requests == 30
    assert found.let_in_tokens == 3_000


def test_one_429_tells_no_limit() -> None:
    step = warm()
    step.take(refusal(103.0))
    step.stop()
    assert step.point().refused_at is None


def test_what_is_in_flight_is_an_average_over_time() -> None:
    step = warm(1.0)
    for number in range(10):
        step.take(probe(102.0 + 2 * number))
    step.look(122.0)
    step.stop()
    assert step.point().in_flight == 0.5


def test_tokens_cost_what_they_cost_failures_included() -> None:
    step = warm()
    for number in range(40):
        step.take(probe(102.0 + number / 2, 0.4, usd=0.001, output_tokens=50))
    step.take(probe(110.0, 0.1, usd=0.002, ok=False, failure="truncated"))
    step.stop()
    found = step.point()
    assert found.usd_per_ktok is not None
    assert round(found.usd_per_ktok.value, 4) == round(1_000 * 0.042 / 2_000, 4)


def test_without_a_price_nothing_is_known_to_cost_anything() -> None:
    free = msgspec.structs.replace(ROUTE, price=None)
    step = SweepStep(plan(route=free), 2.0, "grow")
    served(step, 2)
    assert step.point().usd_per_ktok is None


def test_an_open_pace_that_piles_up_rises() -> None:
    step = SweepStep(plan("rate", 20.0), 10.0, "close_in")
    step.look(100.0)
    # Ten begin a second and eight end: each waits longer than the one before.
    for number in range(150):
        start_s = 100.0 + number / 10
        waits_s = 0.025 * number
        step.take(probe(start_s, 1.0 + waits_s, ttft_s=0.1 + waits_s))
    step.stop()
    found = step.point()
    assert found.in_flight_slope is not None
    assert found.in_flight_slope.low > 0
    assert found.ttft_slope is not None
    assert found.ttft_slope.low > 0


def test_whole_answers_have_no_ttft() -> None:
    whole = msgspec.structs.replace(ROUTE, stream=False)
    step = SweepStep(plan(route=whole, goals=(SweepGoal("e2e_p95", 3.0),)), 4.0, "grow")
    served(step, 4, ttft_s=None)
    found = step.point()
    assert found.ttft_p95 is None
    assert found.e2e_p95 is not None
