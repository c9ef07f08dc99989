"""Of which routes an event speaks, and which there are after a hello."""

from board_streams import hello, route_info, tick

from probes.events import RouteInfo
from probes.events.spoken_of import routes_after, speaks_of


def at_place(name: str, place: str, **changes: object) -> RouteInfo:
    return route_info(f"{name}@{place}", place=place, **changes)


CHAT_EU, CHAT_US = at_place("chat", "eu"), at_place("chat", "us")
CODE_EU = at_place("code", "eu")


def test_an_event_without_a_place_speaks_of_every_route() -> None:
    assert speaks_of(tick(1.0), route_info("alpha"))
    assert speaks_of(tick(1.0), CHAT_EU)


def test_an_event_of_a_place_speaks_of_its_routes_alone() -> None:
    assert speaks_of(tick(1.0, place="eu"), CHAT_EU)
    assert not speaks_of(tick(1.0, place="eu"), CHAT_US)
    assert not speaks_of(tick(1.0, place="eu"), route_info("alpha"))


def test_a_hello_without_a_place_tells_all_routes_in_its_order() -> None:
    one, two = route_info("alpha"), route_info("bravo")
    assert routes_after([one, two], hello(two, one)) == (two, one)
    assert routes_after([one, two], hello(two)) == (two,)


def test_a_hello_of_a_place_adds_its_routes_behind_those_of_others() -> None:
    assert routes_after([CHAT_EU], hello(CHAT_US, place="us")) == (CHAT_EU, CHAT_US)


def test_a_hello_of_a_place_ends_its_own_routes_alone() -> None:
    known = [CHAT_EU, CODE_EU, CHAT_US]
    assert routes_after(known, hello(CODE_EU, place="eu")) == (CODE_EU, CHAT_US)


def test_a_route_keeps_its_place_in_the_order_and_takes_what_is_told_anew() -> None:
    known = [CHAT_EU, CHAT_US]
    changed = at_place("chat", "eu", concurrency=9)
    assert routes_after(known, hello(CODE_EU, changed, place="eu")) == (changed, CHAT_US, CODE_EU)


def test_a_hello_says_nothing_of_a_route_of_another_place() -> None:
    forged = at_place("chat", "us", concurrency=9)
    assert routes_after([CHAT_EU, CHAT_US], hello(CHAT_EU, forged, place="eu")) == (
        CHAT_EU,
        CHAT_US,
    )
    assert routes_after([], hello(forged, CODE_EU, place="eu")) == (CODE_EU,)
