"""One fault, one id: what belongs together, what does not, and what is told of it when."""

from typing import Any

import pytest
from diagnosis_streams import Yard, probed

from probes.diagnosis.causes import Alarm, RouteCauses
from probes.diagnosis.hosts import provider_of
from probes.diagnosis.incidents import Incidents
from probes.diagnosis.route_watch import RouteWatch
from probes.events import Cause, Diagnosis
from probes.kit.clock import NS_PER_S

S = NS_PER_S
REFUSED: dict[str, Any] = {"outcome": "client_error", "reason": "auth"}
SLOW: dict[str, Any] = {"wait_s": 0.9}


def on(host: str, name: str, **changes: Any) -> Any:
    return probed(name, base_url=f"http://{host}/v1", **changes)


def well(*infos: Any) -> Yard:
    yard = Yard(*infos)
    yard.seconds(100)
    assert yard.told == []
    return yard


# ------------------------------------------------------------------ what is one fault


def test_routes_of_one_host_have_one_id_and_others_are_not_of_it() -> None:
    yard = well(on("a.one.net", "alpha"), on("a.one.net", "bravo"), on("b.two.net", "charlie"))
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED})
    assert list(yard.named.values()) == [("auth_failure", ("alpha", "bravo"))]
    assert {one.id for one in yard.told} == {"e1-1"}


def test_two_hosts_have_two_ids_where_another_route_is_well() -> None:
    yard = well(on("a.one.net", "alpha"), on("b.two.net", "bravo"), on("c.three.net", "charlie"))
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED})
    assert sorted(yard.named.values()) == [
        ("auth_failure", ("alpha",)),
        ("auth_failure", ("bravo",)),
    ]


def test_everything_together_is_one() -> None:
    yard = well(on("a.one.net", "alpha"), on("b.two.net", "bravo"), on("c.three.net", "charlie"))
    yard.seconds(5, dict.fromkeys(("alpha", "bravo", "charlie"), REFUSED))
    assert list(yard.named.values()) == [("auth_failure", ("alpha", "bravo", "charlie"))]


def test_two_hosts_of_one_provider_are_one() -> None:
    yard = well(on("eu.one.net", "alpha"), on("us.one.net", "bravo"), on("c.three.net", "charlie"))
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED})
    assert list(yard.named.values()) == [("auth_failure", ("alpha", "bravo"))]


@pytest.mark.parametrize(("other_is_ill", "ids"), [(True, 1), (False, 2)])
def test_routes_of_a_tag_are_one_where_none_of_it_is_well(other_is_ill: bool, ids: int) -> None:
    yard = well(
        on("a.one.net", "alpha", tags=("eu",)),
        on("b.two.net", "bravo", tags=("eu",)),
        on("c.three.net", "charlie", tags=("eu",) if not other_is_ill else ("us",)),
    )
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED})
    assert len(yard.named) == ids


def test_a_route_that_is_not_probed_is_not_known_to_be_well() -> None:
    yard = well(on("a.one.net", "alpha"), on("b.two.net", "bravo"), on("c.three.net", "charlie"))
    yard.turn("paused", 0, 1, route="charlie")
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED, "charlie": None})
    assert list(yard.named.values()) == [("auth_failure", ("alpha", "bravo"))]


def test_another_cause_of_the_same_host_is_another_fault() -> None:
    yard = well(on("a.one.net", "alpha"), on("a.one.net", "bravo"))
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED | {"reason": "quota"}})
    assert sorted(yard.named.values()) == [
        ("auth_failure", ("alpha",)),
        ("quota_exhausted", ("bravo",)),
    ]


def test_what_begins_much_later_on_the_same_host_is_another_fault() -> None:
    yard = well(on("a.one.net", "alpha"), on("a.one.net", "bravo"), on("b.two.net", "charlie"))
    yard.seconds(50, {"alpha": REFUSED})
    yard.seconds(5, {"alpha": REFUSED, "bravo": REFUSED})
    assert len(yard.named) == 2
    soon = well(on("a.one.net", "alpha"), on("a.one.net", "bravo"), on("b.two.net", "charlie"))
    soon.seconds(30, {"alpha": REFUSED})
    soon.seconds(5, {"alpha": REFUSED, "bravo": REFUSED})
    assert list(soon.named.values()) == [("auth_failure", ("alpha", "bravo"))]


def test_our_own_machine_is_one_fault_for_all() -> None:
    yard = well(on("a.one.net", "alpha"), on("b.two.net", "bravo"), on("c.three.net", "charlie"))
    slow = dict.fromkeys(("alpha", "bravo", "charlie"), SLOW)
    yard.seconds(40, slow, lag_ns=200_000_000)
    assert list(yard.named.values()) == [("local_observer", ("alpha", "bravo", "charlie"))]
    assert len({one.id for one in yard.told if one.cause == "local_observer"}) == 1


# ------------------------------------------------------------------ what is told, and when


def test_nothing_is_repeated_and_each_word_is_new() -> None:
    yard = well(on("a.one.net", "alpha"))
    yard.seconds(60, {"alpha": SLOW})
    yard.seconds(60)
    assert [one.state for one in yard.told] == ["perhaps", "named", "cleared"]
    assert len({one.id for one in yard.told}) == 1


def test_what_is_cleared_says_again_what_it_was() -> None:
    yard = well(on("a.one.net", "alpha"))
    yard.seconds(60, {"alpha": SLOW})
    named = yard.told[-1]
    yard.seconds(60)
    cleared = yard.told[-1]
    assert cleared.state == "cleared"
    assert (cleared.cause, cleared.routes, cleared.size, cleared.evidence, cleared.text) == (
        *(named.cause, named.routes, named.size, named.evidence, named.text),
    )
    assert cleared.advice is None
    assert cleared.at_ns > named.at_ns


def test_a_route_that_joins_and_one_that_leaves_are_told() -> None:
    yard = well(on("a.one.net", "alpha"), on("a.one.net", "bravo"))
    yard.seconds(4, {"alpha": REFUSED})
    yard.seconds(4, {"alpha": REFUSED, "bravo": REFUSED})
    yard.seconds(8, {"alpha": REFUSED})
    yard.seconds(8)
    assert [(one.state, one.routes) for one in yard.told] == [
        ("named", ("alpha",)),
        ("named", ("alpha", "bravo")),
        ("named", ("alpha",)),
        ("cleared", ("alpha",)),
    ]


def test_what_was_only_perhaps_is_cleared_as_such() -> None:
    yard = well(on("a.one.net", "alpha"))
    yard.seconds(8, {"alpha": SLOW})
    yard.seconds(60)
    assert [one.state for one in yard.told] == ["perhaps", "cleared"]


def test_the_server_is_quoted() -> None:
    yard = well(on("a.one.net", "alpha"))
    yard.seconds(4, {"alpha": REFUSED | {"message": "key was revoked", "status": 401}})
    assert '401 "key was revoked"' in yard.told[-1].text


# ------------------------------------------------------------------ by hand


class Bench:
    """Alarms that a test sets, and the incidents that are made of them."""

    def __init__(self, *infos: Any) -> None:
        self.routes = [RouteCauses(RouteWatch(info)) for info in infos]
        self.incidents = Incidents("e1")
        self.now_s = 1000.0

    def alarm(
        self, place: int, slot: Any, cause: Cause, since_s: float, *, named: bool = True
    ) -> Alarm:
        one = Alarm(slot, cause, round(since_s * S), round(self.now_s * S), is_named=named)
        self.routes[place].alarms[slot] = one
        return one

    def end(self, place: int, slot: Any) -> None:
        one = self.routes[place].alarms.pop(slot)
        one.is_over, one.over_ns = True, round(self.now_s * S)

    def update(self, after_s: float = 1.0) -> list[tuple[str, str, str, tuple[str, ...]]]:
        self.now_s += after_s
        routes = {route.watch.name: route for route in self.routes}
        told = self.incidents.update(round(self.now_s * S), routes, routes)
        return [(one.id, one.state, one.cause, one.routes) for one in told]


def two() -> Bench:
    return Bench(on("a.one.net", "alpha"), on("a.one.net", "bravo"), on("b.two.net", "charlie"))


def test_only_the_routes_that_it_is_named_of_are_named() -> None:
    bench = two()
    bench.alarm(0, "wait", "provider_queueing", 990)
    bench.alarm(1, "wait", "provider_queueing", 990, named=False)
    assert bench.update() == [("e1-1", "named", "provider_queueing", ("alpha",))]
    bench.routes[1].alarms["wait"].is_named = True
    assert bench.update() == [("e1-1", "named", "provider_queueing", ("alpha", "bravo"))]


def test_what_was_never_named_is_not_named_by_what_is_left() -> None:
    bench = two()
    bench.alarm(0, "wait", "provider_queueing", 990)
    bench.alarm(1, "wait", "provider_queueing", 990, named=False)
    bench.update()
    bench.end(0, "wait")
    assert bench.update() == [("e1-1", "cleared", "provider_queueing", ("alpha",))]
    assert bench.update() == [("e1-2", "perhaps", "provider_queueing", ("bravo",))]


def test_an_explanation_goes_on_under_the_same_id() -> None:
    bench = two()
    slow = bench.alarm(0, "wait", "provider_queueing", 990, named=False)
    assert bench.update() == [("e1-1", "perhaps", "provider_queueing", ("alpha",))]
    slow.explained_by = bench.alarm(0, "cache", "cache_loss", 989)
    assert bench.update() == [("e1-1", "named", "cache_loss", ("alpha",))]


def test_what_is_explained_by_what_another_incident_is_of_joins_that_one() -> None:
    bench = two()
    slow = bench.alarm(0, "wait", "provider_queueing", 990, named=False)
    bench.alarm(1, "path", "network_path", 990)
    assert [one[0] for one in bench.update()] == ["e1-1", "e1-2"]
    slow.explained_by = bench.alarm(0, "path", "network_path", 991)
    # Not under the older id, for then what was named would be cleared.
    assert sorted(bench.update()) == [
        ("e1-1", "cleared", "provider_queueing", ("alpha",)),
        ("e1-2", "named", "network_path", ("alpha", "bravo")),
    ]


def test_what_was_named_goes_on_under_its_id_and_takes_the_other_in() -> None:
    bench = two()
    slow = bench.alarm(0, "wait", "provider_queueing", 990)
    bench.alarm(1, "path", "network_path", 990, named=False)
    assert [one[0] for one in bench.update()] == ["e1-1", "e1-2"]
    slow.explained_by = bench.alarm(0, "path", "network_path", 991)
    assert sorted(bench.update()) == [
        ("e1-1", "named", "network_path", ("alpha",)),
        ("e1-2", "cleared", "network_path", ("bravo",)),
    ]


def test_what_is_explained_by_what_is_over_is_told_no_more() -> None:
    bench = two()
    slow = bench.alarm(0, "wait", "provider_queueing", 990, named=False)
    bench.update()
    slow.explained_by = bench.alarm(0, "cache", "cache_loss", 989)
    bench.end(0, "cache")
    assert bench.update() == [("e1-1", "cleared", "provider_queueing", ("alpha",))]
    slow.explained_by = None  # it went on for long
    assert bench.update(200.0) == [("e1-2", "perhaps", "provider_queueing", ("alpha",))]


def test_incidents_that_turn_out_to_be_one_become_the_earlier() -> None:
    bench = two()
    bench.alarm(0, "fails", "provider_errors", 990)
    later = bench.alarm(1, "fails", "unknown", 995)
    assert [one[0] for one in bench.update()] == ["e1-1", "e1-2"]
    later.cause = "provider_errors"
    told = bench.update()
    assert ("e1-1", "named", "provider_errors", ("alpha", "bravo")) in told
    assert ("e1-2", "cleared", "unknown", ("bravo",)) in told
    assert [one.id for one in bench.incidents.open] == ["e1-1"]


def test_two_symptoms_of_one_cause_on_one_route_have_one_id_whenever_they_began() -> None:
    bench = two()
    bench.alarm(0, "path", "network_path", 900)
    bench.update()
    bench.alarm(0, "fails", "network_path", 1000)
    assert bench.update(60.0) == []
    bench.end(0, "path")
    assert bench.update() == []
    bench.end(0, "fails")
    assert bench.update() == [("e1-1", "cleared", "network_path", ("alpha",))]


def test_a_member_that_has_another_cause_is_not_told_of_and_gets_an_id_in_time() -> None:
    bench = Bench(*(on("a.one.net", name) for name in ("alpha", "bravo", "charlie")))
    for place in range(3):
        other = bench.alarm(place, "fails", "provider_errors", 990)
    bench.update()
    other.becomes("auth_failure", round(bench.now_s * S))
    other.cause, other.cause_ns = "auth_failure", round(bench.now_s * S)
    assert bench.update() == [("e1-1", "named", "provider_errors", ("alpha", "bravo"))]
    assert bench.update(18.0) == []
    assert bench.update(2.0) == [("e1-2", "named", "auth_failure", ("charlie",))]


def test_a_cause_that_changes_on_one_route_after_the_other_stays_one_incident() -> None:
    bench = two()
    both = [bench.alarm(place, "fails", "provider_errors", 990) for place in range(2)]
    bench.update()
    told = []
    for one in both:
        one.cause, one.cause_ns = "outage", round(bench.now_s * S)
        told += bench.update(5.0)
    assert told[-1] == ("e1-1", "named", "outage", ("alpha", "bravo"))
    assert {one[0] for one in told} == {"e1-1"}


# ------------------------------------------------------------------ a new level


def slow_for(yard: Yard, hours: float, **does: Any) -> list[Diagnosis]:
    before = len(yard.told)
    yard.seconds(round(3600 * hours), {"alpha": does})
    return yard.told[before:]


@pytest.mark.parametrize(
    ("usual", "does", "cause"),
    [
        ({}, {"wait_s": 0.6}, "provider_queueing"),
        ({"cached_tokens": 10}, {"cached_tokens": 0}, "cache_loss"),
        ({}, {"connect_s": 0.02}, "connection_churn"),
    ],
)
def test_what_stands_for_an_hour_within_the_goals_is_settled_and_then_the_usual(
    usual: dict[str, Any], does: dict[str, Any], cause: Cause
) -> None:
    yard = Yard(on("a.one.net", "alpha", goal_ttft_s=1.0))
    yard.seconds(100, {"alpha": usual})
    told = slow_for(yard, 1.1, **does)
    assert [(one.state, one.cause) for one in told if one.state != "perhaps"] == [
        ("named", cause),
        ("settled", cause),
    ]
    assert slow_for(yard, 0.1, **does) == []


def test_beyond_a_goal_nothing_settles() -> None:
    late = Yard(on("a.one.net", "alpha", goal_ttft_s=0.5))
    late.seconds(100)
    told = slow_for(late, 1.1, wait_s=0.6)
    assert [one.state for one in told if one.state != "perhaps"] == ["named"]


def test_writing_below_its_goal_does_not_settle() -> None:
    yard = Yard(on("a.one.net", "alpha", goal_tokens_per_s=50.0))
    yard.seconds(100)
    told = slow_for(yard, 1.1, token_s=0.03)
    assert [one.state for one in told if one.state != "perhaps"] == ["named"]


def test_a_level_that_is_accepted_settles_at_once() -> None:
    yard = well(on("a.one.net", "alpha"))
    yard.seconds(60, {"alpha": SLOW})
    yard.turn("usual", 0, 1)
    yard.seconds(60, {"alpha": SLOW})
    assert [one.state for one in yard.told] == ["perhaps", "named", "settled"]


def test_what_fails_is_never_the_usual() -> None:
    yard = well(on("a.one.net", "alpha"))
    yard.seconds(10, {"alpha": REFUSED})
    yard.turn("usual", 0, 1)
    yard.seconds(10, {"alpha": REFUSED})
    assert yard.causes == ["auth_failure"]


# ------------------------------------------------------------------ who runs a host


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.one.example", "one.example"),
        ("eu.api.one.example:8443", "one.example"),
        ("user:word@api.one.example", "one.example"),
        ("localhost:8000", "localhost:8000"),
        ("10.0.0.7:8000", "10.0.0.7:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("", ""),
    ],
)
def test_a_provider_is_the_last_two_labels_of_a_name(host: str, provider: str) -> None:
    assert provider_of(host) == provider
