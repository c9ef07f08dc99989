"""From which places a fault is seen: one incident for one fault, and what that says of it."""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from diagnosis_streams import SeveralPlaces, standing

from probes.events import Diagnosis, Evidence, Knob
from probes.events.diagnosis_words import as_usual_words, scope_words

PLACES = ("ap", "eu", "us")
SLOW: dict[str, Any] = {"wait_s": 0.9}
FAR: dict[str, Any] = {"rtt_ns": 200_000_000}
NEAR: dict[str, Any] = {"rtt_ns": 20_000_000}
ERRORS: dict[str, Any] = {"outcome": "server_error", "reason": "internal", "status": 500}
NO_KEY: dict[str, Any] = {"outcome": "client_error", "reason": "auth", "status": 401}
NO_NAME: dict[str, Any] = {"outcome": "protocol_error", "reason": "connect.dns"}
THROTTLED: dict[str, Any] = {"outcome": "throttled", "reason": "rate_limit", "status": 429}
HANGS: dict[str, Any] = {"outcome": "timeout", "reason": "timeout.total", "takes_s": 1e7}


def well(*names: str, **more: Any) -> SeveralPlaces:
    yards = SeveralPlaces(names or ("chat", "code"), PLACES, **more)
    yards.seconds(100)
    assert yards.told == []
    return yards


def known_way(**more: Any) -> SeveralPlaces:
    """Routes of which the kernel tells the round trips."""
    yards = SeveralPlaces(("chat", "code"), PLACES, **more)
    yards.seconds(100, all_near())
    assert yards.told == []
    return yards


def all_near(**changed: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    near = {f"{name}@{place}": NEAR for name in ("chat", "code") for place in PLACES}
    return near | {name.replace("_", "@"): does for name, does in changed.items()}


def everywhere(does: Mapping[str, Any], name: str = "chat") -> dict[str, Mapping[str, Any]]:
    return {f"{name}@{place}": does for place in PLACES}


def only(yards: SeveralPlaces) -> Diagnosis:
    """The one incident that is named."""
    (found,) = standing(yards.told).values()
    assert {one.id for one in yards.told if one.state == "named"} == {found.id}
    return found


# ------------------------------------------------------------------ one fault, one id


@pytest.mark.parametrize("does", [SLOW, ERRORS, NO_KEY, THROTTLED, HANGS])
def test_what_is_seen_from_everywhere_is_one_incident(does: dict[str, Any]) -> None:
    yards = well()
    yards.seconds(40, everywhere(does))
    word = only(yards)
    assert word.routes == ("chat@ap", "chat@eu", "chat@us")
    assert (word.scope, word.places, word.of_places) == ("everywhere", PLACES, 3)


@pytest.mark.parametrize("does", [SLOW, ERRORS, NO_KEY, THROTTLED])
def test_what_is_seen_from_one_place_is_of_that_one(does: dict[str, Any]) -> None:
    yards = well()
    yards.seconds(40, {"chat@eu": does})
    word = only(yards)
    assert word.routes == ("chat@eu",)
    assert (word.scope, word.places, word.of_places) == ("only", ("eu",), 3)


@pytest.mark.parametrize("does", [HANGS, NO_NAME])
def test_what_a_way_does_is_of_the_way_where_others_see_nothing(does: dict[str, Any]) -> None:
    yards = well()
    yards.seconds(40, {"chat@eu": does})
    assert (only(yards).scope, only(yards).places) == ("way", ("eu",))


def test_round_trips_of_one_place_are_its_way_there() -> None:
    yards = known_way()
    yards.seconds(40, all_near(chat_eu=FAR))
    word = only(yards)
    assert (word.cause, word.scope, word.places) == ("network_path", "way", ("eu",))


def test_round_trips_from_everywhere_lie_at_the_far_end() -> None:
    yards = known_way()
    yards.seconds(40, all_near(chat_ap=FAR, chat_eu=FAR, chat_us=FAR))
    word = only(yards)
    assert (word.cause, word.scope, word.of_places) == ("network_path", "everywhere", 3)


def test_the_same_that_is_added_to_a_longer_way_is_not_taken_for_well() -> None:
    """80 ms more are five times 20 ms, and half as much again on a way of 160 ms."""
    yards = SeveralPlaces(("chat", "code"), PLACES)
    ways = {"ap": 0.16, "eu": 0.02, "us": 0.16}

    def more(by_s: float) -> dict[str, Any]:
        return {
            f"{name}@{place}": {"rtt_ns": round((way_s + by_s * (name == "chat")) * 1e9)}
            for name in ("chat", "code")
            for place, way_s in ways.items()
        }

    yards.seconds(100, more(0.0))
    yards.seconds(60, more(0.08))
    assert {one.scope for one in yards.told if one.state == "named"} <= {"", "everywhere"}


def test_all_that_a_place_sees_of_several_providers_is_its_own_network() -> None:
    yards = well("chat", "code", "draw")
    yards.seconds(40, {"@eu": NO_NAME})
    word = only(yards)
    assert word.routes == ("chat@eu", "code@eu", "draw@eu")
    assert (word.scope, word.places) == ("network", ("eu",))
    assert word.advice is not None
    assert word.advice.detail == "all that eu sees is hit"


def test_all_of_one_provider_is_no_network_of_a_place() -> None:
    hosts = {"chat": "a.one.com", "code": "b.one.com"}
    yards = well(hosts=hosts)
    yards.seconds(40, {"@eu": NO_NAME})
    assert only(yards).scope == "way"


def test_a_refused_key_is_of_no_network_however_many_providers_refuse() -> None:
    yards = well("chat", "code", "draw")
    yards.seconds(40, {"@eu": NO_KEY})
    assert only(yards).scope == "only"


def test_networks_of_two_places_are_two_faults() -> None:
    yards = well("chat", "code", "draw")
    yards.seconds(40, {"@eu": NO_NAME, "@us": NO_NAME})
    found = standing(yards.told).values()
    assert sorted((one.scope, one.places) for one in found) == [
        ("network", ("eu",)),
        ("network", ("us",)),
    ]


def test_faults_of_two_places_on_two_hosts_are_two() -> None:
    yards = well("chat", "code", "draw")
    yards.seconds(40, {"chat@eu": HANGS, "code@us": HANGS})
    found = standing(yards.told).values()
    assert sorted((one.scope, one.routes) for one in found) == [
        ("way", ("chat@eu",)),
        ("way", ("code@us",)),
    ]


def test_on_one_host_two_routes_of_which_each_is_well_elsewhere_are_two() -> None:
    yards = well("chat", "code", "draw", hosts={"chat": "a.one.com", "code": "a.one.com"})
    yards.seconds(40, {"chat@eu": SLOW, "code@us": SLOW})
    found = standing(yards.told).values()
    assert sorted(one.routes for one in found) == [("chat@eu",), ("code@us",)]


def test_a_host_that_is_ill_is_one_incident_with_all_its_routes_everywhere() -> None:
    yards = well("chat", "code", "draw", hosts={"chat": "a.one.com", "code": "a.one.com"})
    yards.seconds(40, everywhere(SLOW) | everywhere(SLOW, "code"))
    word = only(yards)
    assert len(word.routes) == 6
    assert word.scope == "everywhere"


def test_two_of_three_places_are_said_to_be_two() -> None:
    yards = well()
    yards.seconds(40, {"chat@eu": SLOW, "chat@us": SLOW})
    word = only(yards)
    assert (word.scope, word.places, word.of_places) == ("only", ("eu", "us"), 3)
    assert scope_words(word) == "from eu, us only (2 of 3 places)"


def test_a_fault_that_spreads_grows_and_keeps_its_id() -> None:
    yards = well()
    yards.seconds(25, {"chat@eu": ERRORS})
    assert only(yards).scope == "only"
    yards.seconds(20, {"chat@eu": ERRORS, "chat@us": ERRORS})
    word = only(yards)
    assert (word.scope, word.places) == ("only", ("eu", "us"))


# ------------------------------------------------------------------ what is not known is not said


def test_while_a_place_is_in_doubt_nothing_is_said_of_any() -> None:
    """At `us` it is milder, and known later."""
    yards = well()
    told = []
    for second in range(60):
        mild = {"wait_s": 0.3 if second % 3 else 0.9}
        told += yards.second({"chat@ap": SLOW, "chat@eu": SLOW, "chat@us": mild})
    scopes = [one.scope for one in told if one.state == "named" and len(one.places) > 1]
    assert "everywhere" not in scopes[:1]


def test_a_place_that_is_not_heard_is_counted_nowhere_and_said() -> None:
    yards = well()
    yards.goes_away("us")
    yards.report("us", "silent")
    yards.seconds(40, everywhere(SLOW))
    word = only(yards)
    assert (word.scope, word.places, word.of_places) == ("everywhere", ("ap", "eu"), 2)
    assert word.unheard == ("us",)
    assert scope_words(word) == "from everywhere: the provider (2 of 2 places), us not heard"


def test_a_place_that_is_not_heard_is_not_taken_for_well() -> None:
    yards = SeveralPlaces(("chat", "code"), ("eu", "us"))
    yards.seconds(100)
    yards.goes_away("us")
    yards.report("us", "silent")
    yards.seconds(120, {"chat@eu": SLOW})
    word = only(yards)
    assert (word.scope, word.places, word.unheard) == ("", ("eu",), ("us",))
    assert scope_words(word) == "from eu, elsewhere not known yet, us not heard"


def test_its_backlog_joins_the_incident_that_others_see() -> None:
    yards = well()
    yards.goes_away("us")
    yards.report("us", "silent")
    yards.seconds(40, everywhere(SLOW))
    yards.comes_back("us")
    yards.seconds(5, everywhere(SLOW))
    word = only(yards)
    assert (word.scope, word.places, word.of_places) == ("everywhere", PLACES, 3)
    assert word.unheard == ()


def test_an_incident_says_once_that_its_place_is_not_heard_any_more() -> None:
    yards = well()
    yards.seconds(40, {"chat@eu": SLOW})
    yards.goes_away("eu")
    (told,) = yards.report("eu", "silent")
    assert (told.state, told.unheard, told.scope) == ("named", ("eu",), "only")
    assert yards.report("eu", "gone") == []
    (told,) = yards.comes_back("eu")
    assert told.unheard == ()


def test_a_place_that_does_not_probe_counts_nowhere() -> None:
    yards = well()
    yards.fold(
        Knob(at_ns=yards.events[-1].at_ns, route="chat@us", knob="paused", before=0, after=1)
    )
    yards.seconds(40, {"chat@us": None, "chat@ap": SLOW, "chat@eu": SLOW})
    assert (only(yards).scope, only(yards).of_places) == ("everywhere", 2)


def test_without_a_second_place_nothing_is_said() -> None:
    yards = SeveralPlaces(("chat", "code"), ("eu",))
    yards.seconds(100)
    yards.seconds(40, {"chat@eu": SLOW})
    word = only(yards)
    assert (word.scope, word.places, word.of_places, word.unheard) == ("", (), 0, ())


# ------------------------------------------------------------------ what comes of it


def test_places_that_are_well_speak_against_it_with_their_figures() -> None:
    yards = well()
    yards.seconds(40, {"chat@eu": SLOW})
    elsewhere = [one for one in only(yards).against if one.place]
    assert [(one.figure, one.place) for one in elsewhere] == [("ttft", "ap"), ("ttft", "us")]
    for one in elsewhere:
        assert one.usual is not None
        assert one.now == pytest.approx(one.usual, rel=0.1)
        assert one.n_now >= 5
    assert as_usual_words(elsewhere[:1]).endswith(" from ap")


def test_what_is_said_stays_while_places_recover_one_by_one() -> None:
    yards = well()
    yards.seconds(40, everywhere(SLOW))
    yards.seconds(60, {"chat@eu": SLOW})
    assert {one.scope for one in yards.told if one.state == "named" and one.scope} == {"everywhere"}


def test_it_is_said_once_and_not_with_each_second() -> None:
    yards = well()
    yards.seconds(300, {"chat@eu": SLOW})
    assert len(yards.told) <= 3


def test_an_alert_says_from_where_and_is_one() -> None:
    yards = well()
    yards.seconds(60, everywhere(THROTTLED))
    (alert,) = yards.alerts
    assert (alert.scope, alert.places) == ("everywhere", PLACES)
    assert "chat: we exceed its request limit · from everywhere: one limit for all" in alert.text


def test_a_limit_that_places_share_is_eased_at_each_of_them() -> None:
    yards = well()
    yards.seconds(40, everywhere(THROTTLED))
    assert only(yards).text.endswith("> to 2 s; at each place: they share it")


def test_a_429_of_one_place_is_a_limit_of_its_own() -> None:
    yards = well()
    yards.seconds(60, {"chat@eu": THROTTLED})
    (alert,) = yards.alerts
    assert "from eu only: a limit of its own (1 of 3 places)" in alert.text


def test_an_alert_does_not_wait_for_what_nobody_tells() -> None:
    yards = SeveralPlaces(("chat", "code"), ("eu", "us"))
    yards.seconds(100)
    yards.goes_away("us")
    yards.report("us", "silent")
    yards.seconds(14, {"chat@eu": NO_KEY})
    (alert,) = yards.alerts
    assert "from eu, elsewhere not known yet" in alert.text


def test_users_are_sent_where_it_is_well_from_their_own_place() -> None:
    yards = well("chat", "code", "draw")
    yards.seconds(40, {"chat@eu": SLOW, "code@eu": {"wait_s": 0.75}})
    advice = standing(yards.told)[max(standing(yards.told))].advice
    assert advice is not None
    assert advice.route == "draw@eu"


def test_users_of_all_places_are_sent_where_it_is_well_from_all() -> None:
    yards = well("chat", "code", "draw")
    yards.seconds(40, everywhere(SLOW) | {"code@us": {"wait_s": 0.75}})
    found = [one for one in standing(yards.told).values() if one.scope == "everywhere"]
    assert found[0].advice is not None
    assert found[0].advice.route == "draw"


def test_a_machine_that_is_late_is_named_with_its_place() -> None:
    yards = well()
    late = {name: {"wait_s": 0.75} for name in ("chat@eu", "code@eu")}
    yards.seconds(150, late, lag_ns={"eu": 200_000_000})
    word = only(yards)
    assert (word.cause, word.scope, word.places) == ("local_observer", "machine", ("eu",))
    assert word.text.startswith("the machine at eu is busy")
    (alert,) = yards.alerts
    assert alert.text.startswith("all routes at eu: the machine at eu is busy")


def test_figures_of_places_are_of_those_that_see_nothing() -> None:
    yards = well()
    yards.seconds(40, everywhere(SLOW))
    assert [one for one in only(yards).against if one.place] == []
    assert isinstance(only(yards).evidence[0], Evidence)


# ------------------------------------------------------------------ whatever happens


_SPELLS: tuple[dict[str, Any] | None, ...] = (
    *({}, {}, SLOW, ERRORS, NO_KEY, NO_NAME, THROTTLED, HANGS, None),
    *({"token_s": 0.04}, {"wait_s": 0.9, "token_s": 0.03}, FAR),
)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_places_see_is_told_well_formed_and_never_twice(seed: int) -> None:
    chance = Random(seed)
    hosts = {"chat": "a.one.net", "code": "b.one.net"}
    yards = SeveralPlaces(("chat", "code", "draw"), PLACES, hosts=hosts)
    names = [info.name for prober in yards.probers.values() for info in prober.infos]
    does: dict[str, Any] = dict.fromkeys(names, NEAR)
    yards.seconds(90, does)
    away: set[str] = set()
    while yards.now_s < 900:
        spell = chance.choice(_SPELLS)
        for name in chance.sample(names, chance.choice((1, 2, 3, len(names)))):
            does[name] = spell if spell is None else NEAR | spell
        place = chance.choice(PLACES)
        if place in away:
            yards.comes_back(place, loses=chance.random() < 0.3)
            away.remove(place)
        elif chance.random() < 0.3:
            away.add(place)
            yards.goes_away(place)
            yards.report(place, chance.choice(("silent", "gone", "unknown")))
        if chance.random() < 0.1:
            yards.fold(yards.probers[place].hello(engine=f"{place}{yards.now_s:.0f}"))
        lag_ns = {place: 200_000_000} if chance.random() < 0.2 else {}
        yards.seconds(chance.choice((2, 5, 20)), does, lag_ns=lag_ns)
    assert yards.told
    standing_now: dict[str, Diagnosis] = {}
    over: set[str] = set()
    for word in yards.told:
        assert word.id not in over
        assert list(word.routes) == sorted(set(word.routes)) != []
        assert list(word.places) == sorted(set(word.places)) != []
        assert {name.partition("@")[2] for name in word.routes} <= set(word.places)
        assert not word.of_places or len(word.places) <= word.of_places <= len(PLACES)
        assert bool(word.of_places) == (word.scope not in ("", "machine"))
        assert word.scope != "network" or len(word.places) == 1
        assert (word.scope == "machine") == (word.cause == "local_observer")
        assert set(word.unheard) <= set(PLACES)
        assert word.since_ns <= word.at_ns
        if word.state in ("cleared", "settled"):
            over.add(word.id)
            standing_now.pop(word.id, None)
            continue
        before = standing_now.get(word.id)
        told = (word.state, word.cause, word.routes, word.scope, word.unheard)
        assert before is None or told != (
            *(before.state, before.cause, before.routes, before.scope, before.unheard),
        )
        standing_now[word.id] = word
    ids = [one.id for one in yards.alerts if one.state == "firing"]
    assert len(ids) == len(set(ids))


def test_another_cause_is_looked_at_anew() -> None:
    """What hangs and then fails is no fault of the way any more: it answers."""
    yards = well()
    yards.seconds(30, {"chat@eu": HANGS})
    assert only(yards).scope == "way"
    yards.seconds(40, {"chat@eu": ERRORS})
    word = only(yards)
    assert (word.cause, word.scope, word.places) == ("outage", "only", ("eu",))


# ------------------------------------------------------------------ what a backlog tells


def away_in_it(does: Mapping[str, Mapping[str, Any]]) -> list[Diagnosis]:
    """What is told of a fault that is over elsewhere when `eu` comes back that was away in it."""
    yards = well()
    yards.goes_away("eu")
    yards.report("eu", "silent")
    yards.seconds(10)
    yards.seconds(40, does)
    yards.seconds(150)
    return yards.comes_back("eu")


@pytest.mark.parametrize("does", [SLOW, ERRORS])
def test_a_backlog_counts_who_saw_the_same_then(does: dict[str, Any]) -> None:
    told = away_in_it(everywhere(does))
    (word,) = standing(told[:-1]).values()
    assert told[-1].state == "cleared"
    assert word.routes == ("chat@eu",)
    assert (word.scope, word.places, word.of_places) == ("everywhere", PLACES, 3)


@pytest.mark.parametrize(("does", "scope"), [(SLOW, "only"), (ERRORS, "only"), (NO_NAME, "way")])
def test_a_backlog_counts_who_was_well_then(does: dict[str, Any], scope: str) -> None:
    told = away_in_it({"chat@eu": does})
    (word,) = standing(told[:-1]).values()
    assert (word.scope, word.places, word.of_places) == (scope, ("eu",), 3)


def test_what_others_have_by_now_says_nothing_of_a_backlog() -> None:
    yards = well()
    yards.goes_away("eu")
    yards.report("eu", "silent")
    yards.seconds(30, {"chat@eu": ERRORS})
    yards.seconds(60)
    yards.seconds(90, {"chat@us": ERRORS})
    told = yards.comes_back("eu")
    words = [one for one in told if one.routes == ("chat@eu",) and one.state == "named"]
    assert words[-1].scope == "only"
    assert words[-1].places == ("eu",)
