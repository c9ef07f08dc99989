"""Who must know is told once, and once more when it is over."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from bench.incident_streams.alerting import alerts_of, run_of
from board_streams import at, hello, route_info, tick
from test_burn import HOUR_S, one_in
from test_burn import probes as paced
from test_paging import LONG, probes, ticks, word

from probes.diagnosis.alerts import _KEPT, QUIET_S, Alerts
from probes.events import Alert, Event, RouteInfo

FAILING = {"outcome": "server_error", "ttft_s": None}


def told(*given: list[Event] | Event, routes: tuple[RouteInfo, ...] = ()) -> list[Alert]:
    """Return the alerts of a stream of all these, in the order of their stamps."""
    events = [event for one in given for event in (one if isinstance(one, list) else [one])]
    stream = [hello(*routes), *sorted(events, key=lambda event: event.at_ns)]
    return list(folded(Alerts(), stream))


def folded(alerts: Alerts, events: Iterable[Event]) -> Iterator[Alert]:
    for event in events:
        yield from alerts.fold(event)


def states(alerts: Iterable[Alert]) -> list[tuple[str, str]]:
    return [(alert.id, alert.state) for alert in alerts]


SLOW = probes(200, ttft_s=1.5, e2e_s=2.0)


def test_an_incident_alerts_once_and_is_over_once() -> None:
    firing, over = told(
        SLOW, word(), word(126), word(150, cause="own_load"), word(200, "cleared"), LONG
    )
    assert (firing.state, firing.kind, firing.incident) == ("firing", "incident", "e1.1")
    assert firing.cause == over.cause == "provider_queueing", "as it was when somebody was told"
    assert firing.at_ns == word().at_ns
    assert firing.since_ns == word().since_ns
    assert firing.harm.goal == "ttft"
    assert firing.text.startswith(
        "alpha: slow to the first token · 24 of 24 probes of alpha waited"
    )
    assert (over.id, over.state, over.ended_ns) == (firing.id, "over", at(200))
    assert over.at_ns == at(200 + QUIET_S)
    assert "over after 1m40s" in over.text


def test_what_wakes_nobody_alerts_nobody() -> None:
    assert told(probes(60), word(), word(150, "cleared"), ticks(100, 300)) == []


def test_what_comes_and_goes_is_one_alert() -> None:
    alerts = told(
        SLOW,
        word(),
        word(150, "cleared"),
        word(180, id="e1.2"),
        word(210, "cleared", id="e1.2"),
        word(240, id="e1.3"),
        word(260, "settled", id="e1.3"),
        LONG,
    )
    assert states(alerts) == [("e1-a1", "firing"), ("e1-a1", "over")]
    assert alerts[1].ended_ns == at(260)


def test_what_comes_back_after_a_minute_alerts_again() -> None:
    later = word(150 + QUIET_S + 5, id="e1.2")
    alerts = told(SLOW, word(), word(150, "cleared"), later, LONG)
    assert states(alerts) == [("e1-a1", "firing"), ("e1-a1", "over"), ("e1-a2", "firing")]


def test_a_route_that_is_told_of_is_told_of_again_only_where_it_is_worse() -> None:
    slower = word(130, id="e1.2", cause="provider_slow_decode")
    down = word(140, id="e1.3", cause="outage")
    alerts = told(SLOW, word(), slower, down, word(160, "cleared"), LONG)
    assert states(alerts) == [("e1-a1", "firing"), ("e1-a2", "firing")]
    assert alerts[1].harm.reason == "nothing_answered"


def test_another_route_is_another_alert() -> None:
    routes = (route_info(), route_info("bravo"))
    other = word(130, id="e1.2", routes=("alpha", "bravo"), cause="outage")
    alerts = told(SLOW, word(cause="outage"), other, LONG, routes=routes)
    assert [alert.routes for alert in alerts] == [("alpha",), ("alpha", "bravo")]


def test_one_that_spread_is_over_of_all_that_it_hit() -> None:
    routes = (route_info(), route_info("bravo"))
    wider = word(130, routes=("alpha", "bravo"))
    *_, over = told(
        SLOW, word(), wider, word(200, "cleared", routes=("bravo",)), LONG, routes=routes
    )
    assert over.routes == ("alpha", "bravo")


def test_a_goal_that_is_missed_without_an_incident_is_one_alert_with_its_end() -> None:
    hours = [*paced(0, HOUR_S, one_in(4)), *paced(HOUR_S, 3 * HOUR_S, lambda _: False)]
    firing, over = told(hours)
    assert (firing.kind, firing.incident, firing.routes) == ("burn", "", ("alpha",))
    assert firing.burn is not None
    assert firing.burn.long_rate >= firing.burn.threshold == pytest.approx(14.4)
    assert firing.text.startswith("alpha: misses its success goal (99 %) · ")
    assert (over.id, over.state) == (firing.id, "over")
    assert "no more" in over.text


def test_while_an_incident_stands_no_goal_alerts_beside_it() -> None:
    named = word(30, cause="provider_errors", since_ns=at(20))
    alerts = told(paced(0, HOUR_S, one_in(4)), named)
    assert [(alert.kind, alert.incident) for alert in alerts] == [("incident", "e1.1")]


def test_an_incident_that_nobody_was_told_of_alerts_by_the_goal_that_burns() -> None:
    # It makes the route slower within its goals; what failed before its onset is none of it.
    named = word(525, since_ns=at(522))
    failing = [*paced(0, 522, one_in(1)), *paced(522, HOUR_S, lambda _: False)]
    (firing,) = told(failing, named)
    assert (firing.kind, firing.incident, firing.harm.reason) == ("incident", "e1.1", "burns")
    assert firing.burn is not None
    assert at(525) < firing.at_ns <= at(560)


def test_what_an_incident_has_alerted_for_is_not_counted_afterwards() -> None:
    failing = paced(0, 1200, one_in(1))
    after = [*paced(1200, 2 * HOUR_S, lambda _: False), *[tick(s) for s in range(0, 8000, 5)]]
    cleared = word(1210, "cleared", cause="outage", since_ns=at(0))
    alerts = told(failing, word(10, cause="outage", since_ns=at(0)), cleared, after)
    assert states(alerts) == [("e1-a1", "firing"), ("e1-a1", "over")]


def test_an_engine_with_another_clock_ends_what_stood() -> None:
    alerts = told(SLOW, word(), hello(at_s=210, boot_id="another", engine="e2"), LONG)
    assert states(alerts) == [("e1-a1", "firing"), ("e1-a1", "over")]
    assert alerts[1].since_ns == alerts[1].at_ns == at(210)
    again = told(SLOW, word(), hello(at_s=210, engine="e2"), word(220, "cleared"), LONG)
    assert again[1].ended_ns == at(220)


def test_memory_is_bounded_whatever_comes() -> None:
    alerts = Alerts()
    alerts.fold(hello())
    for number in range(3 * _KEPT):
        one = word(id=f"x{number}", routes=(f"r{number}",), cause="outage")
        assert len(alerts.fold(one)) == 1
    assert len(alerts._standing) == _KEPT
    assert len(alerts._named) <= _KEPT


@pytest.mark.parametrize(
    "name",
    [
        "outage.503",
        "no_answer.30",
        "no_answer.hang",
        "flapping.errors",
        "flapping.queueing",
        "provider_slow.throughout",
        "pause.within",
        "auth_failure.key",
        "rate_limited_requests.wait",
        "provider_errors.50",
    ],
)
def test_a_scripted_incident_alerts_exactly_once_and_says_when_it_is_over(name: str) -> None:
    outline = run_of(name, 1)
    firing, over = alerts_of(outline, 1)
    (trouble,) = outline.troubles
    assert (firing.state, over.state, over.id) == ("firing", "over", firing.id)
    since_s = (firing.since_ns - 1000 * 10**9) / 1e9
    assert abs(since_s - trouble.onset_s) < 30
    ended_s = ((over.ended_ns or 0) - 1000 * 10**9) / 1e9
    assert -30 < ended_s - trouble.end_s < trouble.clear_s


def test_one_that_merely_slows_within_its_goals_alerts_nobody() -> None:
    assert alerts_of(run_of("network_path.rtt3", 1), 1) == []


def test_what_our_own_machine_does_is_told_of_all_routes() -> None:
    changes: dict[str, Any] = {"routes": (), "cause": "local_observer", "since_ns": at(0)}
    (firing,) = told(word(**changes), LONG[:20])
    assert firing.text.startswith("all routes: ")
