"""Several places in one stream: whose an event is, and what time it is there."""

from typing import Any

from board_streams import at, hello, route_info, tick
from diagnosis_streams import Prober, SeveralPlaces, attempt, probed, started

from probes.diagnosis.places import PlaceTimes
from probes.events import Gap, Held, Knob, PlaceReport
from probes.kit.clock import NS_PER_S

REFUSED: dict[str, Any] = {"outcome": "client_error", "reason": "auth"}
SLOW: dict[str, Any] = {"wait_s": 0.9}


def well(**more: Any) -> SeveralPlaces:
    yards = SeveralPlaces(**more)
    yards.seconds(100)
    assert yards.told == []
    return yards


# ------------------------------------------------------------------ whose an event is


def test_a_hello_of_a_place_forgets_nothing_of_another() -> None:
    yards = well()
    yards.fold(yards.probers["us"].hello(engine="us2"))
    yards.seconds(40, {"chat@eu": SLOW})
    assert [routes for _, routes in yards.named.values()] == [("chat@eu",)]


def test_a_hello_of_a_place_ends_no_request_of_another() -> None:
    yards = well()
    yards.fold(started(attempt(yards.now_s, route="chat@eu", probe="eu-open")))
    for _ in range(12):
        yards.second({"chat@eu": None})
        yards.fold(yards.probers["us"].hello(engine="us2"))
    assert list(yards.named.values()) == [("no_answer", ("chat@eu",))]


def test_a_hello_of_a_place_ends_its_own_requests_and_routes() -> None:
    yards = well()
    yards.fold(started(attempt(yards.now_s, route="chat@eu", probe="eu-open")))
    yards.seconds(2, {"chat@eu": None})
    eu = yards.probers["eu"]
    eu.infos = eu.infos[1:]
    yards.fold(eu.hello(engine="eu2"))
    yards.seconds(30)
    assert yards.told == []
    assert set(yards.judge.diagnostician._watches) == {
        *("chat@ap", "code@ap", "code@eu", "chat@us", "code@us"),
    }


def test_what_is_ill_at_a_route_that_is_gone_is_over() -> None:
    yards = well()
    yards.seconds(10, {"chat@eu": REFUSED})
    eu = yards.probers["eu"]
    eu.infos = eu.infos[1:]
    yards.fold(eu.hello(engine="eu2"))
    yards.seconds(2)
    assert [one.state for one in yards.told][-1] == "cleared"


def test_a_machine_that_is_late_is_that_of_its_place() -> None:
    yards = well()
    late = {name: {"wait_s": 0.75} for name in ("chat@eu", "code@eu")}
    yards.seconds(60, late, lag_ns={"eu": 200_000_000})
    assert list(yards.named.values()) == [("local_observer", ("chat@eu", "code@eu"))]


def test_two_machines_that_are_late_are_two() -> None:
    yards = well()
    late = {name: {"wait_s": 0.75} for name in ("chat@eu", "code@eu", "chat@us", "code@us")}
    yards.seconds(60, late, lag_ns={"eu": 200_000_000, "us": 200_000_000})
    assert sorted(yards.named.values()) == [
        ("local_observer", ("chat@eu", "code@eu")),
        ("local_observer", ("chat@us", "code@us")),
    ]


def test_a_gap_of_one_place_excuses_nothing_at_another() -> None:
    yards = well()
    yards.fold(started(attempt(yards.now_s, route="chat@eu", probe="eu-open")))
    for _ in range(14):
        yards.second({"chat@eu": None})
        now_ns = at(yards.now_s)
        yards.fold(Gap(at_ns=now_ns, started_ns=now_ns - NS_PER_S, place="us"))
    assert list(yards.named.values()) == [("no_answer", ("chat@eu",))]


def test_a_hold_of_a_place_is_of_its_routes() -> None:
    yards = well()
    yards.fold(Held(at_ns=at(yards.now_s), reason="budget", place="eu"))
    watches = yards.judge.diagnostician._watches
    assert {name for name, watch in watches.items() if not watch.is_probed} == {
        *("chat@eu", "code@eu"),
    }
    yards.fold(Held(at_ns=at(yards.now_s), reason="budget", place="eu", released=True))
    assert all(watch.is_probed for watch in watches.values())


def test_a_hold_of_no_place_is_of_all_routes() -> None:
    yards = well()
    yards.fold(Held(at_ns=at(yards.now_s), reason="reader_stalled"))
    assert not any(watch.is_probed for watch in yards.judge.diagnostician._watches.values())


# ------------------------------------------------------------------ what time it is there


def test_a_clock_that_is_fast_makes_nobody_hang() -> None:
    yards = well(fast_s={"us": 30.0})
    yards.seconds(120, {"chat@eu": None})
    assert yards.told == []


def test_a_place_that_is_cut_off_is_neither_well_nor_hanging() -> None:
    yards = well()
    yards.fold(started(attempt(yards.now_s, route="chat@eu", probe="eu-open")))
    yards.goes_away("eu")
    yards.seconds(10, {"@eu": None})
    yards.report("eu", "silent")
    yards.seconds(110, {"@eu": None})
    assert yards.told == []
    assert yards.judge.diagnostician.suspects == frozenset()


def test_what_is_ill_stays_so_while_its_place_is_not_heard() -> None:
    yards = well()
    yards.seconds(20, {"chat@eu": REFUSED})
    yards.goes_away("eu")
    yards.report("eu", "silent")
    yards.seconds(120)
    assert list(yards.named.values()) == [("auth_failure", ("chat@eu",))]
    assert [one.state for one in yards.alerts] == ["firing"]


def test_a_backlog_is_judged_by_its_own_stamps() -> None:
    live, late = well(), well()
    late.goes_away("eu")
    for yards in (live, late):
        yards.seconds(10)
        yards.seconds(20, {"chat@eu": REFUSED})
        yards.seconds(40)
    late.comes_back("eu")

    def words(yards: SeveralPlaces) -> list[Any]:
        """All but from where it is seen, which is known sooner where others are ahead."""
        told = [(one.at_ns, one.state, one.cause, one.routes) for one in yards.told]
        return [one for at, one in enumerate(told) if not at or one[1:] != told[at - 1][1:]]

    assert [one[1] for one in words(late)] == ["named", "cleared"]
    assert words(late) == words(live)


def test_nobody_is_alerted_late_for_what_is_over() -> None:
    yards = well()
    yards.goes_away("eu")
    yards.seconds(5)
    yards.report("eu", "silent")
    yards.seconds(20, {"chat@eu": REFUSED})
    yards.seconds(40)
    assert [one.state for one in yards.comes_back("eu")] == ["named", "cleared"]
    yards.seconds(150)
    assert yards.alerts == []


def test_what_still_stands_when_its_place_is_back_alerts_then() -> None:
    yards = well()
    yards.goes_away("eu")
    yards.seconds(5)
    yards.report("eu", "silent")
    yards.seconds(40, {"chat@eu": REFUSED})
    yards.comes_back("eu")
    yards.seconds(5, {"chat@eu": REFUSED})
    assert [(one.state, one.routes) for one in yards.alerts] == [("firing", ("chat@eu",))]
    assert yards.alerts[0].at_ns >= at(140)


def test_a_goal_that_was_missed_while_away_burned_by_the_time_of_its_place() -> None:
    """What comes at once did not happen at once: its last five minutes were well."""
    yards = SeveralPlaces(("chat",), ("eu", "us"))
    yards.seconds(300)
    yards.goes_away("eu")
    yards.report("eu", "silent")
    yards.seconds(700, {"chat@eu": {"outcome": "server_error", "reason": "internal"}})
    yards.seconds(400)
    yards.comes_back("eu")
    yards.seconds(60)
    assert yards.alerts == []


def test_what_was_open_when_events_are_lost_does_not_hang() -> None:
    yards = well()
    yards.fold(started(attempt(yards.now_s, route="chat@eu", probe="eu-open")))
    yards.goes_away("eu")
    yards.report("eu", "silent")
    yards.seconds(90)
    yards.comes_back("eu", loses=True)
    yards.seconds(30)
    assert yards.told == []


def test_batches_that_come_late_from_one_place_change_no_verdict() -> None:
    def told(late: int) -> list[Any]:
        yards = SeveralPlaces()
        held: list[list[Any]] = []
        for second in range(150):
            slow = {"chat@eu": SLOW, "chat@us": SLOW} if second >= 100 else {}
            made = {place: one.second(slow) for place, one in yards.probers.items()}
            held.append(made.pop("eu"))
            if len(held) > late:
                made["eu"] = held.pop(0)
            yards.now_s += 1
            yards.fold(*(event for events in made.values() for event in events))
        return [(one.id, one.cause, one.routes) for one in yards.told if one.state == "named"]

    assert told(0)[-1][1:] == ("provider_queueing", ("chat@eu", "chat@us"))
    assert told(2)[-1] == told(0)[-1]
    assert {one[0] for one in told(2)} == {one[0] for one in told(0)}


def test_a_place_that_was_expected_and_tells_of_what_was_before_begins_there() -> None:
    """Who comes late is told of a place that is not heard; then that sends what it kept."""
    yards = SeveralPlaces(("chat", "code"), ("eu", "us"))
    yards.fold(yards.probers["eu"].hello(at_s=600.0))
    yards.report("eu", "gone")
    for _ in range(100):
        yards.fold(*yards.probers["us"].second())
        yards.now_s += 1
    yards.fold(yards.probers["eu"].hello())
    for second in range(140):
        yards.fold(*yards.probers["eu"].second({"chat@eu": REFUSED} if second >= 100 else {}))
    first = yards.told[0]
    assert (first.state, first.cause, first.routes) == ("named", "auth_failure", ("chat@eu",))
    assert first.at_ns < at(105)


# ------------------------------------------------------------------ the places themselves


def test_the_time_of_a_place_is_that_of_its_own_events() -> None:
    eu, us = (
        Prober(probed(f"chat@{place}", place=place), place=place, engine=place)
        for place in ("eu", "us")
    )
    us.now_s = 50.0
    places = PlaceTimes()
    for event in (eu.hello(), us.hello(), *eu.second(), *us.second()):
        places.fold(event)
    assert [places.by_name[name].now_ns for name in ("eu", "us")] == [at(1.0), at(51.0)]
    assert places.of("chat@eu") is places.by_name["eu"]


def test_what_its_reader_puts_into_the_stream_is_no_time_of_a_place() -> None:
    eu = Prober(probed("chat@eu", place="eu"), place="eu", engine="eu")
    places = PlaceTimes()
    places.fold(eu.hello())
    knob = Knob(at_ns=at(90), route="chat@eu", knob="usual", before=0, after=1)
    assert places.fold(knob) is places.by_name["eu"]
    places.fold(Held(at_ns=at(90), reason="restarting", place="eu"))
    places.fold(PlaceReport(at_ns=at(90), place="eu", state="silent", since_ns=at(80)))
    assert places.by_name["eu"].now_ns == at(0)


def test_without_places_there_is_one_that_is_always_heard() -> None:
    places = PlaceTimes()
    places.fold(hello(route_info()))
    place = places.fold(tick(7.0))
    assert place is places.by_name[""]
    assert (place.now_ns, place.is_heard, place.is_behind) == (at(7.0), True, False)
    places.fold(tick(90.0))
    assert places.hole is None


def test_events_of_a_place_that_are_lost_are_a_hole_of_it() -> None:
    eu = Prober(probed("chat@eu", place="eu"), place="eu", engine="eu")
    places = PlaceTimes()
    places.fold(eu.hello())
    places.fold(tick(1.0, place="eu"))
    assert places.hole is None
    places.fold(tick(61.0, place="eu"))
    assert places.hole == Gap(at_ns=at(61.0), started_ns=at(1.0), place="eu")
    places.fold(Knob(at_ns=at(90), route="chat@eu", knob="usual", before=0, after=1))
    assert places.hole is None


def test_what_is_told_of_a_place_before_its_hello_holds_from_then_on() -> None:
    eu = Prober(probed("chat@eu", place="eu"), place="eu", engine="eu")
    places = PlaceTimes()
    assert places.fold(PlaceReport(at_ns=at(60), place="eu", state="heard", since_ns=at(0))) is None
    places.fold(eu.hello())
    assert places.by_name["eu"].is_behind
    for _ in range(58):
        for event in eu.second():
            places.fold(event)
    assert not places.by_name["eu"].is_behind


def test_another_clock_begins_anew() -> None:
    places = PlaceTimes()
    places.fold(hello(route_info()))
    places.fold(Prober(probed("chat@eu", place="eu"), place="eu").hello())
    assert list(places.by_name) == ["eu"]
    assert list(places.infos) == ["chat@eu"]


def test_a_hello_with_a_route_of_another_place_is_taken_for_its_own_routes() -> None:
    places = PlaceTimes()
    mine, other = route_info("chat@eu", place="eu"), route_info("chat@us", place="us")
    assert places.fold(hello(mine, other, place="eu")) is places.of("chat@eu")
    assert places.of("chat@us") is None
