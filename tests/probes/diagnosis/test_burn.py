"""A goal that is missed for long is known by its burn rate, and not by a mishap."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from bench.incident_streams import healthy
from bench.incident_streams.stream import Stream
from board_streams import ProbeScript, at, hello, route_info, tick

from probes.board import Board
from probes.diagnosis.burn import LEAST_SHORT, PAIRS, Burning, BurnRates
from probes.diagnosis.paging import JudgedProbe, judged_probe
from probes.events import Event, Hello, ProbeFinished

HOUR_S = 3600


def probes(
    from_s: float, until_s: float, bad: Callable[[int], bool], every_s: float = 10.0, **how: Any
) -> list[Event]:
    """Return probes, of which those fail that `bad` says, by their number."""
    events: list[Event] = []
    number, at_s = 0, from_s
    while at_s < until_s:
        script = ProbeScript(f"{at_s}", at_s, e2e_s=1.0)
        if bad(number):
            script = ProbeScript(
                f"{at_s}",
                at_s,
                e2e_s=1.0,
                outcome=how.get("outcome", "server_error"),
                ttft_s=how.get("ttft_s"),
                flagged=how.get("flagged", ""),
            )
        events.append(script.probe_finished())
        number, at_s = number + 1, at_s + every_s
    return events


def one_in(many: int) -> Callable[[int], bool]:
    return lambda number: number % many == 0


def well(_number: int) -> bool:
    return False


def burning(events: Iterable[Event], **info: Any) -> list[tuple[float, Burning]]:
    """Return when the route was first seen to burn, and each time after that."""
    rates, found = BurnRates(), []
    rates.fold(hello(route_info(**info)))
    for event in events:
        if rates.fold(event) and (one := rates.burning("alpha")) is not None:
            found.append(((event.at_ns - at(0)) / 1e9, one))
    return found


def test_a_route_that_keeps_its_goal_never_burns() -> None:
    assert burning(probes(0, 8 * HOUR_S, one_in(101))) == []


def test_five_times_what_a_goal_allows_is_no_page() -> None:
    assert burning(probes(0, 8 * HOUR_S, one_in(20))) == []


def test_a_fifth_that_fails_is_known_within_the_hour_and_seven_in_a_hundred_in_six() -> None:
    quick = burning([*probes(0, 6 * HOUR_S, well), *probes(6 * HOUR_S, 8 * HOUR_S, one_in(4))])
    assert 30 * 60 < quick[0][0] - 6 * HOUR_S < HOUR_S
    assert (quick[0][1].burn.long_s, quick[0][1].burn.short_s) == (HOUR_S, 300)
    # What burnt is told from where the long window begins.
    assert (quick[0][1].since_ns - at(quick[0][0])) / 1e9 == pytest.approx(-HOUR_S, abs=20)
    assert quick[0][1].harm.goal == "success"
    slow = burning([*probes(0, 6 * HOUR_S, well), *probes(6 * HOUR_S, 12 * HOUR_S, one_in(13))])
    assert 4 * HOUR_S < slow[0][0] - 6 * HOUR_S < 6 * HOUR_S
    assert slow[0][1].burn.long_s == 6 * HOUR_S


def test_what_is_over_does_not_burn_though_the_long_window_has_it() -> None:
    for at_s, one in burning(
        [*probes(0, 2 * HOUR_S, one_in(3)), *probes(2 * HOUR_S, 4 * HOUR_S, well)]
    ):
        short_s = one.burn.short_s
        assert at_s <= 2 * HOUR_S + short_s


@pytest.mark.parametrize("share", [1, 2, 4])
def test_a_young_run_must_have_missed_as_much_as_an_old_one(share: int) -> None:
    found = burning(probes(0, HOUR_S, one_in(share)))
    # 14.4 % of an hour's probes, all of them bad, one in two, one in four.
    assert found[0][0] == pytest.approx(0.144 * HOUR_S * share, abs=60 * share)


def test_in_a_young_run_it_burns_since_the_first_probe() -> None:
    (_, one), *_ = burning(probes(50, HOUR_S, one_in(2)))
    assert (one.since_ns - at(50)) / 1e9 == pytest.approx(0, abs=10)


def test_a_probe_that_costs_more_than_its_goal_is_not_good() -> None:
    dear = JudgedProbe(at_ns=at(1), cost_usd=0.02)
    assert dear.is_good(route_info())
    assert dear.is_good(route_info(goal_cost_usd_per_probe=0.02))
    assert not dear.is_good(route_info(goal_cost_usd_per_probe=0.01))
    assert JudgedProbe(at_ns=at(1)).is_good(route_info(goal_cost_usd_per_probe=0.01))


def test_few_probes_say_nothing() -> None:
    # One in ten minutes: three in the short window of the longer pair.
    assert burning(probes(0, 48 * HOUR_S, one_in(1), every_s=600.0)) == []
    assert PAIRS[1].short_s == LEAST_SHORT * 180
    assert burning(probes(0, 24 * HOUR_S, one_in(1), every_s=170.0)) != []


def test_slow_answers_miss_the_goal_of_good_probes() -> None:
    slow = probes(0, 2 * HOUR_S, one_in(1), outcome="ok", ttft_s=0.99)
    assert burning(slow) == []
    slow = probes(0, 2 * HOUR_S, one_in(1), outcome="ok", ttft_s=0.99)
    (first, *_) = burning(slow, goal_ttft_s=0.5)
    assert first[1].harm.goal == "goodput"
    assert first[1].harm.limit == pytest.approx(0.99 * 0.95)
    assert first[1].harm.beyond == first[1].harm.among == first[1].burn.n


def test_a_goal_that_leaves_half_can_still_burn_and_one_that_leaves_nothing_is_not_endless() -> (
    None
):
    assert burning(probes(0, 12 * HOUR_S, one_in(2)), goal_success=0.5) == []
    assert burning(probes(0, 12 * HOUR_S, lambda n: n % 5 > 0), goal_success=0.5) != []
    assert burning(probes(0, 12 * HOUR_S, one_in(500)), goal_success=1.0) == []
    assert burning(probes(0, 12 * HOUR_S, one_in(50)), goal_success=1.0) != []


def test_what_our_own_machine_did_or_we_cancelled_never_counts() -> None:
    assert burning(probes(0, 2 * HOUR_S, one_in(1), flagged="local_gap")) == []
    assert burning(probes(0, 2 * HOUR_S, one_in(1), outcome="cancelled")) == []


def test_what_was_struck_is_not_counted_again() -> None:
    rates = BurnRates()
    rates.fold(hello(route_info()))
    for event in probes(0, HOUR_S, one_in(2)):
        rates.fold(event)
    found = rates.burning("alpha")
    assert found is not None
    assert not rates.has_eased(found)
    rates.strike("alpha", at(0))
    assert rates.burning("alpha") is None
    assert rates.has_eased(found)
    # What comes later counts, in its place.
    for event in probes(HOUR_S, 2 * HOUR_S, one_in(2)):
        rates.fold(event)
    assert rates.burning("alpha") is not None


def test_it_has_eased_when_the_short_window_burns_at_half_of_what_it_took() -> None:
    rates = BurnRates()
    rates.fold(hello(route_info()))
    for event in probes(0, HOUR_S, one_in(2)):
        rates.fold(event)
    found = rates.burning("alpha")
    assert found is not None
    eased = [
        (event.at_ns - at(HOUR_S)) / 1e9
        for event in probes(HOUR_S, 2 * HOUR_S, well)
        if rates.fold(event) and rates.has_eased(found)
    ]
    assert 200 < eased[0] < found.pair.short_s


def test_a_route_that_is_not_probed_any_more_stays_until_nothing_is_left_of_it() -> None:
    rates = BurnRates()
    rates.fold(hello(route_info()))
    for event in probes(0, HOUR_S, one_in(2)):
        rates.fold(event)
    found = rates.burning("alpha")
    assert found is not None
    rates.fold(tick(HOUR_S + found.pair.short_s + 60))
    assert not rates.has_eased(found)
    rates.fold(tick(3 * HOUR_S))
    assert rates.has_eased(found)


def test_another_clock_and_a_route_that_is_gone_are_forgotten() -> None:
    rates = BurnRates()
    rates.fold(hello(route_info(), route_info("bravo")))
    rates.fold(hello(route_info("bravo")))
    assert rates.routes == ("bravo",)
    rates.fold(hello(route_info("bravo"), boot_id="another"))
    assert rates.burning("bravo") is None


def test_a_sum_over_a_window_is_that_of_its_slots() -> None:
    chance = Random(7)
    rates = BurnRates()
    rates.fold(hello(route_info()))
    ended: list[tuple[int, bool]] = []
    at_s = 0.0
    while at_s < 9 * HOUR_S:
        at_s += chance.choice((5.0, 20.0, 400.0))
        failed = chance.random() < 0.3
        (event,) = probes(at_s, at_s + 1, one_in(1) if failed else well)
        rates.fold(event)
        ended.append((event.at_ns // (30 * 10**9), failed))
        slot = ended[-1][0]
        route = rates._routes["alpha"]
        for window, (n, lost, _) in route.sums.items():
            inside = [bad for place, bad in ended if slot - window <= place < slot]
            assert (n, lost) == (len(inside), sum(inside))


@pytest.mark.parametrize(
    "kind", ["stray", "steady_failures", "thinking", "whole_answers", "builds"]
)
def test_a_probe_is_good_where_the_board_says_so(kind: str) -> None:
    board, good, infos = Board(), 0, {}
    for event in Stream(healthy.run_of(kind, 2, 900.0), 2).events():
        board.fold(event)
        if isinstance(event, Hello):
            infos = {info.name: info for info in event.routes}
        if isinstance(event, ProbeFinished):
            probe = judged_probe(event, infos[event.route])
            good += probe is not None and probe.is_good(infos[event.route])
    assert good == sum(row["good"] for row in board.summary().values()) > 20


def test_a_place_may_begin_at_any_time() -> None:
    rates = BurnRates()
    for at_s in (-5_000.0, -90_000.0):  # before the line of time begins, and earlier still
        rates.fold(hello(route_info("chat@eu", place="eu"), at_s=at_s, place="eu"))
    assert rates.routes == ("chat@eu",)
