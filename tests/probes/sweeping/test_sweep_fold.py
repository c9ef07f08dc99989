"""What a sweep asks for next, when it ends, and what it claims of a provider that changed."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sweeping.swept import kept, missed, plan, point

from probes.events import Limit
from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import SweepGoal
from probes.sweeping.plan import MOST_CHECKS, MOST_CLOSING
from probes.sweeping.sweep import Sweep
from probes.sweeping.views import JudgedGoal, SweepCost, SweepPoint, SweepView

COST = SweepCost(16, 3_000, 200_000, 0.5, 480.0)
Provider = Callable[[float], SweepPoint]


def swept(
    provider: Provider, again: Provider | None = None, **changes: Any
) -> tuple[Sweep, list[float]]:
    """Run a sweep of a made provider to its end; `again` is what checks see."""
    sweep = Sweep(plan(**changes), COST)
    sweep.end("running")
    asked = []
    while (step := sweep.next_step()) is not None:
        asked.append(step.load)
        makes = again if again is not None and step.purpose == "check" else provider
        sweep.take(msgspec.structs.replace(makes(step.load), purpose=step.purpose))
        assert len(asked) < 40
    sweep.end("done")
    return sweep, asked


def view(provider: Provider, **changes: Any) -> SweepView:
    return swept(provider, **changes)[0].view()


def slow_from(edge: float) -> Provider:
    return lambda load: missed(point(load)) if load > edge else kept(point(load))


def test_loads_double_up_to_the_most_and_the_first_is_asked_for_again() -> None:
    sweep, asked = swept(lambda load: kept(point(load)))
    assert asked == [1, 2, 4, 8, 16, 32, 1]
    assert sweep.view().best == 32
    assert sweep.view().sentence == (
        "Within goals up to 32 at once: TTFT p95 0.130 s, 1.3k tok/s, 1,920 requests/min; no edge"
        " up to 32 at once."
    )


def test_the_most_is_asked_for_though_it_is_no_doubling() -> None:
    assert swept(lambda load: point(load), most=20.0)[1] == [1, 2, 4, 8, 16, 20, 1]


@pytest.mark.parametrize("edge", [1, 3, 5, 11, 12, 13, 23, 31])
def test_an_edge_is_closed_in_on(edge: float) -> None:
    sweep, asked = swept(slow_from(edge))
    (found,) = sweep.view().edges
    assert found.closed
    assert found.holds is not None
    assert found.holds <= edge < found.begins
    assert found.begins <= max(found.holds * 1.1, found.holds + 1)
    assert sweep.view().best == found.holds
    closing = [one for one in sweep.points if one.purpose == "close_in"]
    assert len(closing) <= MOST_CLOSING
    assert asked[-1] == 1


def test_where_the_first_load_is_too_much_nothing_more_is_asked() -> None:
    sweep, asked = swept(lambda load: missed(point(load)))
    assert asked == [1]
    assert sweep.view().sentence == "Not within goals even at 1 at once: TTFT p95 1.70 s."


def test_a_moments_trouble_is_no_edge() -> None:
    met = []

    def provider(load: float) -> SweepPoint:
        met.append(load)
        troubled = load == 8 and met.count(8) == 1
        return missed(point(load)) if troubled else kept(point(load))

    sweep, asked = swept(provider)
    assert asked == [1, 2, 4, 8, 1, 8, 16, 32, 1]
    assert (sweep.view().best, sweep.view().edges) == (32, ())


def test_a_knee_is_looked_for_where_the_queue_says_it_is() -> None:
    def batch(load: float) -> SweepPoint:
        return point(load, served=min(load, 13.0), ttft=0.1 + max(0.0, load - 13.0) / 13.0)

    sweep, asked = swept(batch)
    # At 16 three of eight more wait, which is no proof; at 32 it is one.
    assert asked == [1, 2, 4, 8, 16, 32, 1, 32, 13, 14, 1]
    assert sweep.view().knee == 13
    assert "knee at 13 at once, beyond it more only queues" in sweep.view().sentence


def refusing(limit: int, kind: str = "concurrency") -> Provider:
    def provider(load: float) -> SweepPoint:
        if load <= limit:
            return kept(point(load))
        at = Estimate(float(limit), float(limit), float(limit))
        return point(load, ok=60, throttled=40, refused_for=kind, refused_at=at)

    return provider


def test_a_limit_is_tried_and_a_tenth_more() -> None:
    sweep, asked = swept(refusing(20))
    assert asked == [1, 2, 4, 8, 16, 32, 1, 32, 20, 22, 1]
    assert sweep.view().sentence.endswith("429 from 22 on (concurrency limit 20).")


def test_a_limit_that_is_told_is_not_run_into_from_far_above() -> None:
    sweep = Sweep(plan(), COST)
    sweep.end("running")
    sweep.hear_limits([Limit(kind="concurrency", limit=20.0)])
    asked = []
    while (step := sweep.next_step()) is not None:
        asked.append(step.load)
        made = refusing(20)(step.load)
        sweep.take(msgspec.structs.replace(made, purpose=step.purpose))
    assert asked == [1, 2, 4, 8, 16, 20, 22, 1, 22, 1]
    assert "(concurrency limit 20, as the server says)" in sweep.view().sentence


def test_a_told_limit_that_does_not_hold_is_passed() -> None:
    sweep = Sweep(plan(), COST)
    sweep.hear_limits([Limit(kind="concurrency", limit=3.0)])
    asked = []
    while (step := sweep.next_step()) is not None:
        asked.append(step.load)
        sweep.take(msgspec.structs.replace(point(step.load), purpose=step.purpose))
    assert asked == [1, 2, 3, 4, 8, 16, 32, 1]


def test_what_a_bucket_lets_in_for_a_while_is_not_carried() -> None:
    def bucket(load: float) -> SweepPoint:
        if load <= 18:
            return kept(point(load))
        at = Estimate(15.0, 11.0, 19.0)
        return point(
            load,
            ok=60,
            throttled=40,
            refused_for="tokens",
            refused_at=at,
            let_in_tokens=76 * 60 * 15.0,
        )

    told = view(bucket)
    assert told.best is not None
    assert told.best <= 15
    assert "429 from about 15 at once on (limit of about 68,400 tokens a minute)" in told.sentence


def test_failures_that_come_with_load_are_an_edge() -> None:
    def failing(load: float) -> SweepPoint:
        if load <= 8:
            return point(load)
        return point(load, ok=60, failed=40, failure="server_error / overloaded")

    told = view(failing)
    assert told.state == "done"
    assert "40 of 100 fail at 9: server_error / overloaded" in told.sentence


# Providers that change.


def slower(factor: float) -> Provider:
    def provider(load: float) -> SweepPoint:
        made = point(load, ttft=0.1 * factor)
        return msgspec.structs.replace(made, e2e_samples=tuple(0.9 for _ in range(100)))

    return provider


@pytest.mark.parametrize("factor", [2.0, 1.4, 0.6])
def test_a_provider_that_changed_is_told_and_nothing_is_claimed(factor: float) -> None:
    told = swept(slow_from(12), slower(factor))[0].view()
    assert told.state == "ill"
    assert (told.knee, told.limit, told.best, told.edges) == (None, None, None, ())
    assert told.sentence.startswith("The provider changed while it was swept: asked again for 1")
    assert told.sentence.endswith("No knee and no limit is claimed.")
    assert told.points


def test_it_may_have_been_this_machine() -> None:
    late = swept(lambda load: msgspec.structs.replace(point(load), lag_s=0.12), slower(2.0))[0]
    assert "perhaps it was this machine, which woke 0.12 s late" in late.view().sentence


def test_what_changed_is_not_closed_in_on() -> None:
    assert swept(slow_from(12), slower(2.0))[1] == [1, 2, 4, 8, 16, 1]


def test_a_provider_that_changes_later_is_found_out_at_the_end() -> None:
    checks = []

    def again(load: float) -> SweepPoint:
        checks.append(load)
        return slower(2.0)(load) if len(checks) == MOST_CHECKS else kept(point(load))

    sweep, _ = swept(slow_from(12), again)
    assert sweep.view().state == "ill"
    assert len(checks) == MOST_CHECKS


def test_one_that_fails_at_the_first_load_is_ill() -> None:
    told = swept(slow_from(12), lambda load: point(load, ok=60, failed=40, failure="timeout"))[0]
    assert "40 of 100 failed there: timeout" in told.view().sentence


def test_one_that_hardly_answers_there_is_ill() -> None:
    told = swept(slow_from(12), lambda load: point(load, n=3, ok=3, samples=(), e2e_samples=()))[0]
    assert "3 came back there in 30 s, and 100 before" in told.view().sentence


def test_one_that_writes_slowly_is_ill_though_its_first_token_is_not() -> None:
    def again(load: float) -> SweepPoint:
        return point(load, e2e_samples=tuple(2.0 + 0.001 * number for number in range(100)))

    assert "the median to the end was 1.00 s there, and then 2.05 s" in (
        swept(slow_from(12), again)[0].view().sentence
    )


def test_a_little_slower_is_no_change() -> None:
    assert swept(slow_from(12), slower(1.2))[0].view().state == "done"


# What else is told.


def test_best_per_usd_is_told_where_tokens_surely_cost_more_elsewhere() -> None:
    def dear(load: float) -> SweepPoint:
        cost = 0.002 if load <= 8 else 0.003
        return kept(point(load, usd_per_ktok=Estimate(cost, cost * 0.99, cost * 1.01)))

    assert view(dear).per_usd == 8
    assert "best per USD at 8" in view(dear).sentence


def test_it_is_not_told_where_they_cost_the_same() -> None:
    same = Estimate(0.002, 0.0019, 0.0021)
    assert view(lambda load: kept(point(load, usd_per_ktok=same))).per_usd is None


def test_without_goals_the_most_is_told_that_it_carries() -> None:
    told = view(lambda load: point(load), goals=())
    assert told.best == 32


def test_what_is_not_sure_is_told_as_perhaps() -> None:
    unsure = SweepGoal("ttft_p95", 0.131)

    def provider(load: float) -> SweepPoint:
        made = point(load)
        judged = msgspec.structs.replace
        return judged(made, goals=(JudgedGoal(unsure, unsure.state(made.ttft_p95)),))

    assert view(provider, goals=(unsure,)).sentence.startswith("Perhaps within goals up to 32")


def test_it_tells_how_long_it_takes() -> None:
    sweep = Sweep(plan(), COST)
    sweep.end("running")
    before = sweep.view().left_s
    sweep.next_step()
    sweep.take(point(1.0))
    sweep.next_step()
    after = sweep.view().left_s
    assert before is not None
    assert after is not None
    assert 0 < after < before
    assert sweep.view().load == 2.0


def test_by_rate_one_queue_alone_does_not_end_the_growth() -> None:
    rising = Estimate(3.0, 2.0, 4.0)

    def provider(load: float) -> SweepPoint:
        odd = load == 4.0
        slopes = {"in_flight_slope": rising, "ttft_slope": rising} if odd else {}
        back = load * (0.9 if odd else 1.0)
        return point(load, served=back, ok=round(30 * back), n=round(30 * back), **slopes)

    by_rate = plan("rate", 16.0)
    sweep = Sweep(by_rate, COST)
    asked = []
    while (step := sweep.next_step()) is not None:
        asked.append(step.load)
        sweep.take(msgspec.structs.replace(provider(step.load), purpose=step.purpose))
    assert 8.0 in asked
    assert 16.0 in asked
