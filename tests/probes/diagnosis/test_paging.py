"""Somebody is woken for what hurts users, or stands; once, and for nothing else."""

from typing import Any, get_args

import pytest
from board_streams import ProbeScript, at, hello, route_info, tick
from changed import replace

from probes.diagnosis.paging import (
    _FEWEST_BEYOND,
    _FEWEST_FAILED,
    _INCIDENTS_KEPT,
    _MERELY_SLOWER,
    _NOTHING_ANSWERED,
    _PROBES_KEPT,
    LATE_S,
    STANDS_S,
    PagedIncident,
    Pager,
    harm_words,
)
from probes.events import Cause, Diagnosis, Event, Harm, Held, Knob, RouteInfo

ONSET_S = 100.0
NAMED_S = 125.0


def word(at_s: float = NAMED_S, state: Any = "named", **changes: Any) -> Diagnosis:
    given: dict[str, Any] = {
        "id": "e1.1",
        "cause": "provider_queueing",
        "routes": ("alpha",),
        "since_ns": at(ONSET_S),
    }
    return Diagnosis(at_ns=at(at_s), state=state, **(given | changes))


def probes(
    count: int,
    start_s: float = ONSET_S,
    *,
    every_s: float = 1.0,
    ttft_s: float | None = 0.4,
    e2e_s: float = 0.9,
    **changes: Any,
) -> list[Event]:
    """Return so many probes, one after the other."""
    events: list[Event] = []
    for number in range(count):
        name = f"1-{start_s + number * every_s}-{changes.get('route', 'alpha')}"
        script = ProbeScript(
            name, start_s + number * every_s, ttft_s=ttft_s, e2e_s=e2e_s, **changes
        )
        events += script.events()
    return events


def words_of(page: PagedIncident) -> str:
    return harm_words(page.harm, (page.at_ns - page.incident.since_ns) / 1e9)


def ticks(first_s: int, last_s: int) -> list[Event]:
    return [tick(float(second)) for second in range(first_s, last_s + 1)]


def pages(*given: list[Event] | Event, routes: tuple[RouteInfo, ...] = ()) -> list[PagedIncident]:
    """Return whom a stream of all these would have woken, in the order of their stamps."""
    events = [event for one in given for event in (one if isinstance(one, list) else [one])]
    pager = Pager()
    stream = [hello(*routes), *sorted(events, key=lambda event: event.at_ns)]
    return [page for event in stream for page in pager.fold(event)]


LONG = ticks(100, 400)


def test_what_hurts_nobody_and_is_soon_over_wakes_nobody() -> None:
    assert pages(probes(60), word(), ticks(100, 160), word(150, "cleared")) == []


def test_a_goal_that_is_missed_wakes_somebody_when_it_is_named() -> None:
    (page,) = pages(probes(20, 70), probes(60, ttft_s=1.5, e2e_s=2.0), word(), LONG)
    assert page.at_ns == at(NAMED_S)
    assert page.incident == word()
    # Probes of the onset and after it: those before it were of another time.
    assert page.harm == Harm("goal_missed", "alpha", "ttft", 1.0, 24, 24)
    assert words_of(page) == ("24 of 24 probes of alpha waited more than 1 s for the first token")


def test_twice_as_slow_within_the_goals_is_no_alert_however_long_it_stands() -> None:
    assert pages(probes(300, ttft_s=0.8, e2e_s=2.0), word(size=2.0), LONG) == []


def test_a_goal_that_is_missed_later_wakes_somebody_then() -> None:
    (page,) = pages(
        probes(60, ttft_s=0.8), probes(40, 190, ttft_s=1.2, e2e_s=1.5), word(), ticks(100, 250)
    )
    # 3 of some 64: the third ends at 193.5 s, and a twentieth of all since the onset is reached.
    assert page.at_ns == at(195)
    assert page.harm.beyond == 4


def test_two_mishaps_are_no_missed_goal() -> None:
    assert pages(probes(20), probes(2, 101, ttft_s=3.0), word(), ticks(100, 200)) == []
    assert pages(probes(20), probes(3, 101, ttft_s=3.0, e2e_s=4.0), word(), ticks(100, 200)) != []


def test_few_of_many_are_within_a_p95() -> None:
    few = probes(6, 101, every_s=30, ttft_s=1.5)
    assert pages(probes(150), few, word(), LONG) == []


def test_a_twentieth_is_within_a_p95_and_more_is_not() -> None:
    named = word(170)
    for well, woken in ((57, False), (56, True)):
        given = [*probes(well), *probes(3, 101.5, ttft_s=1.5, e2e_s=2.0)]
        assert bool(pages(given, named, ticks(165, 235))) == woken


def test_a_goal_that_few_probes_miss_wakes_somebody_when_it_stays_named_for_a_minute() -> None:
    well, late = probes(300), probes(30, 101, every_s=4, ttft_s=1.5, e2e_s=2.0)
    assert pages(well, late, word(), LONG, word(NAMED_S + LATE_S - 1, "cleared")) == []
    again = word(150, since_ns=at(ONSET_S + 1)), word(160, cause="network_path")
    (page,) = pages(well, late, word(), *again, LONG)
    assert page.at_ns == at(NAMED_S + LATE_S), "whatever more is known of it meanwhile"
    assert 2 * page.harm.beyond < page.harm.among
    # What fails is no matter of chance.
    failing = probes(3, 110, outcome="server_error", ttft_s=None)
    (page,) = pages(well, failing, word(cause="provider_errors"), LONG)
    assert page.at_ns == at(NAMED_S)


def test_probes_that_fail_wake_somebody() -> None:
    failing = probes(6, 110, outcome="server_error", reason="http_500", ttft_s=None)
    (page,) = pages(probes(25), failing, word(cause="provider_errors"), LONG)
    assert page.harm == Harm("probes_fail", "alpha", "success", 0.99, 6, 31)
    assert words_of(page) == "6 of 31 probes of alpha failed"


def test_one_failure_in_a_slow_hour_is_none_of_the_incident() -> None:
    failed = probes(1, 110, outcome="server_error", ttft_s=None)
    assert pages(probes(25), failed, word(), ticks(100, 160)) == []


def test_as_few_failures_as_chance_does_not_make_wake_somebody() -> None:
    def of(failing: int) -> list[PagedIncident]:
        failed = probes(failing, 110, outcome="server_error", ttft_s=None)
        return pages(probes(5), failed, word(cause="provider_errors"), ticks(100, 160))

    assert of(_FEWEST_FAILED - 1) == []
    (page,) = of(_FEWEST_FAILED)
    assert page.harm.reason == "probes_fail"


def test_what_we_cancelled_is_no_failure() -> None:
    cancelled = probes(20, outcome="cancelled", reason="local_gap", ttft_s=None)
    assert pages(cancelled, probes(10), word(), ticks(100, 160)) == []


def test_a_share_of_failures_that_is_allowed_wakes_nobody() -> None:
    lenient = route_info(goal_success=0.5)
    failing = probes(6, 110, outcome="server_error", ttft_s=None)
    given = (probes(25), failing, word(cause="provider_errors"), ticks(100, 160))
    assert pages(*given, routes=(lenient,)) == []


@pytest.mark.parametrize("cause", sorted(_NOTHING_ANSWERED))
def test_a_hang_wakes_somebody_although_no_probe_has_failed_yet(cause: Cause) -> None:
    (page,) = pages(word(112, cause=cause))
    assert page.harm == Harm("nothing_answered", "alpha")
    assert words_of(page) == "nothing is answered"


@pytest.mark.parametrize("cause", sorted(set(get_args(Cause)) - _NOTHING_ANSWERED - _MERELY_SLOWER))
def test_what_stands_for_two_minutes_wakes_somebody(cause: Cause) -> None:
    (page,) = pages(probes(300), word(cause=cause), LONG)
    assert page.at_ns == at(ONSET_S + STANDS_S)
    assert page.harm == Harm("stands")
    assert words_of(page) == "it has stood for 2m00s"


@pytest.mark.parametrize("cause", sorted(_MERELY_SLOWER))
def test_what_is_slower_where_no_goal_judges_it_wakes_somebody_when_it_stands(cause: Cause) -> None:
    whole = route_info(streamed=False, goal_e2e_s=None, goal_e2e_set=False, max_tokens=500)
    given = (probes(300, ttft_s=None, cohort="500/256"), word(cause=cause), LONG)
    (page,) = pages(*given, routes=(whole,))
    assert page.harm.reason == "stands"


def test_a_goal_on_the_first_token_does_not_judge_how_fast_a_stream_writes() -> None:
    long = route_info(goal_e2e_s=None, max_tokens=500)
    slow = probes(300, cohort="500/256")
    (page,) = pages(slow, word(cause="provider_slow_decode"), LONG, routes=(long,))
    assert page.harm.reason == "stands"
    assert pages(slow, word(cause="provider_queueing"), LONG, routes=(long,)) == []


def test_a_goal_judges_nothing_where_no_first_token_came() -> None:
    lenient = route_info(goal_e2e_s=None, max_tokens=500, goal_success=0.0)
    silent = probes(300, cohort="500/256", outcome="server_error", ttft_s=None)
    (page,) = pages(silent, word(cause="provider_queueing"), LONG, routes=(lenient,))
    assert page.harm.reason == "stands"


def test_nothing_that_is_measured_while_our_machine_is_busy_is_a_missed_goal() -> None:
    slow = probes(300, ttft_s=2.5, e2e_s=4.0)
    (page,) = pages(slow, word(cause="local_observer"), LONG)
    assert (page.harm.reason, page.at_ns) == ("stands", at(ONSET_S + STANDS_S))


def test_an_e2e_goal_is_that_of_the_probe_s_own_cap() -> None:
    (page,) = pages(probes(10, e2e_s=3.5), word(), ticks(100, 140))
    assert page.harm == Harm("goal_missed", "alpha", "e2e", 3.0, 10, 10)
    assert words_of(page).endswith(" took more than 3 s")
    # A knob took the cap to 400: the goal grew with it.
    assert pages(probes(10, e2e_s=3.5, cohort="400/256"), word(), ticks(100, 140)) == []


def test_a_goal_on_speed_is_one_on_the_median() -> None:
    fast = route_info(goal_tokens_per_s=20.0)
    # 11 tokens, the first at once: 10 tokens in 0.5 s, 1 s.
    slow = probes(10, e2e_s=1.4)
    (page,) = pages(slow, word(cause="provider_slow_decode"), ticks(100, 140), routes=(fast,))
    assert page.harm == Harm("goal_missed", "alpha", "tokens_per_s", 20.0, 10, 10)
    assert words_of(page).endswith(" wrote fewer than 20 tokens/s")
    mixed = [*probes(6, 106), *probes(6, e2e_s=1.4)]
    assert pages(mixed, word(cause="provider_slow_decode"), ticks(100, 140), routes=(fast,)) == []


def test_a_goal_on_cost_is_one_on_the_mean() -> None:
    dear = route_info(goal_cost_usd_per_probe=0.01)
    grown = word(cause="prompt_growth")
    (page,) = pages(probes(10, cost_usd=0.02), grown, ticks(100, 140), routes=(dear,))
    assert page.harm == Harm("goal_missed", "alpha", "cost", 0.01, 10, 10)
    assert words_of(page).endswith(" cost more than $0.01")
    assert pages(probes(10, cost_usd=0.01), grown, ticks(100, 140), routes=(dear,)) == []


def test_samples_that_a_gap_has_spoilt_tell_nothing() -> None:
    spoilt = probes(30, ttft_s=5.0, e2e_s=8.0, flagged="local_gap")
    assert pages(spoilt, word(), ticks(100, 160)) == []


def test_nobody_is_woken_twice_for_one_incident() -> None:
    slow = probes(200, ttft_s=1.5, e2e_s=2.0)
    again = [
        word(140, cause="unknown"),
        word(150, routes=("alpha", "bravo")),
        word(180, "cleared"),
        word(190),
    ]
    assert len(pages(slow, word(), LONG, again)) == 1
    assert len(pages(slow, word(), LONG, again, word(150, id="e1.2"))) == 2


@pytest.mark.parametrize("state", ["perhaps", "cleared", "settled"])
def test_what_is_not_named_wakes_nobody(state: Any) -> None:
    slow = probes(200, ttft_s=1.5, e2e_s=2.0)
    assert pages(slow, word(state=state), LONG) == []
    assert pages(probes(20), word(cause="dns"), word(130, state, cause="dns"), LONG) == []


@pytest.mark.parametrize(
    ("held", "released"),
    [
        (
            Knob(at_ns=at(130), route="alpha", knob="paused", before=0, after=1),
            Knob(at_ns=at(300), route="alpha", knob="paused", before=1, after=0),
        ),
        (
            Held(at_ns=at(130), route="alpha", reason="budget"),
            Held(at_ns=at(300), route="alpha", reason="budget", released=True),
        ),
        (
            Held(at_ns=at(130), reason="reader_stalled"),
            Held(at_ns=at(300), reason="reader_stalled", released=True),
        ),
    ],
)
def test_an_incident_does_not_stand_while_nobody_looks(held: Event, released: Event) -> None:
    changed = word(cause="model_changed")
    assert pages(changed, held, ticks(100, 299)) == []
    (page,) = pages(changed, held, released, LONG)
    assert page.at_ns == at(300)


def test_one_of_its_routes_that_is_probed_is_enough_for_an_incident_to_stand() -> None:
    both = word(cause="model_changed", routes=("alpha", "bravo"))
    paused = Knob(at_ns=at(130), route="alpha", knob="paused", before=0, after=1)
    assert pages(both, paused, LONG, routes=(route_info(), route_info("bravo"))) != []
    both_paused = [paused, replace(paused, route="bravo")]
    assert pages(both, both_paused, LONG, routes=(route_info(), route_info("bravo"))) == []
    quiet = route_info(paused=True)
    assert pages(word(cause="model_changed"), LONG, routes=(quiet,)) == []


def test_of_several_routes_the_one_that_hurts_is_named() -> None:
    both = word(routes=("alpha", "bravo"))
    slow = probes(20, ttft_s=1.5, route="bravo")
    (page,) = pages(probes(20), slow, both, LONG, routes=(route_info(), route_info("bravo")))
    assert page.harm.route == "bravo"


def test_events_of_routes_that_nobody_announced_are_passed_over() -> None:
    assert pages(probes(50, ttft_s=4.0, route="ghost"), word(), ticks(100, 160)) == []
    (page,) = pages(word(cause="model_changed", routes=("ghost",)), LONG)
    assert page.harm.reason == "stands"
    (page,) = pages(word(routes=("ghost",)), LONG)  # nothing says that it is within a goal
    assert page.harm.reason == "stands"


def test_a_second_hello_of_the_same_clock_keeps_what_was_measured() -> None:
    slow = probes(20, ttft_s=1.5, e2e_s=2.0)
    again = hello(at_s=124, engine="e2")
    assert len(pages(slow, again, word(), ticks(100, 140))) == 1
    other = replace(again, boot_id="another")
    assert pages(slow, other, word(), ticks(100, 140)) == []


def test_memory_is_bounded() -> None:
    pager = Pager()
    pager.fold(hello())
    for event in probes(2 * _PROBES_KEPT, every_s=0.1):
        pager.fold(event)
    for number in range(2 * _INCIDENTS_KEPT):
        pager.fold(word(id=f"open.{number}"))
        pager.fold(word(id=f"paged.{number}", cause="outage"))
    assert len(pager._routes["alpha"]._probes) == _PROBES_KEPT
    assert len(pager._watched) <= _INCIDENTS_KEPT
    assert len(pager._paged) <= _INCIDENTS_KEPT
    assert _FEWEST_BEYOND > 2
