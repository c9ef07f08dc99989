"""What is wanted of routes that are probed elsewhere."""

from types import MappingProxyType
from typing import Any

import pytest
from clocks import ManualClock
from published import hello

from probes.control.commands import Adapt, Command, Pause, SetKnob
from probes.control.wanted import WantedRoute
from probes.control.wanted_elsewhere import WantedElsewhere
from probes.control.wanted_record import WantedRecord
from probes.events import Event, Knob
from probes.events.placing import at_place
from probes.kit.clock import NS_PER_S


def greeting(place: str, *names: str) -> Event:
    return at_place(hello(place, *names), place, 0)


def knob(route: str, name: Any, after: float) -> Knob:
    return Knob(at_ns=2, route=route, knob=name, before=0.0, after=after)


class Elsewhere:
    """Two places, each with a route, as somebody who watches them knows them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.known = WantedElsewhere(self.clock)
        self.hear(greeting("eu"), greeting("us"))

    def hear(self, *events: Event) -> None:
        self.known.receive([*events], b"")

    def of(self, route: str = "chat@eu") -> WantedRoute:
        return self.known.now.routes[route]


def test_what_a_place_reports_is_wanted_of_its_routes() -> None:
    it = Elsewhere()
    assert it.of().concurrency == 4
    it.hear(knob("chat@eu", "concurrency", 7.0), knob("chat@eu", "paused", 1.0))
    assert (it.of().concurrency, it.of().paused) == (7.0, True)
    assert it.of("chat@us").concurrency == 4
    assert it.known.now.configured["chat@eu"] == it.of()


@pytest.mark.parametrize(
    ("command", "reported", "wanted"),
    [
        (SetKnob(route="chat@eu", knob="concurrency", value=9), ("concurrency", 5.0), 9.0),
        (Adapt(route="chat@eu", on=True, concurrency=9), ("concurrency", 5.0), 9.0),
        (Adapt(route="chat@eu", on=True), ("concurrency", 5.0), 5.0),
        (Pause(paused=True), ("concurrency", 5.0), 5.0),
    ],
)
def test_a_key_counts_from_the_key_before_it_until_its_place_must_know(
    command: Command, reported: tuple[str, float], wanted: float
) -> None:
    it = Elsewhere()
    it.known.command(command)
    it.hear(knob("chat@eu", *reported))
    assert it.of().concurrency == wanted
    it.clock.now_ns += 3 * NS_PER_S
    it.hear()
    assert it.of().concurrency == 5.0


def test_what_a_place_has_not_done_is_not_wanted_there_and_is_elsewhere() -> None:
    it = Elsewhere()
    pause = Pause(paused=True)
    it.known.command(pause)
    it.known.not_done(pause, "eu")
    assert (it.of().paused, it.of("chat@us").paused) == (False, True)


def test_what_a_place_keeps_is_newer_than_what_it_reports() -> None:
    it = Elsewhere()
    kept = WantedRoute(2.0, 5.0, 64.0, False)
    configured = WantedRoute(1.0, 5.0, 64.0, False)
    it.known.keep(WantedRecord({"chat@eu": kept}, {"chat@eu": configured}))
    it.hear(knob("chat@eu", "concurrency", 8.0), greeting("eu"))
    assert it.of() == kept
    assert it.known.now.configured["chat@eu"] == configured


def test_routes_that_a_place_no_longer_probes_are_let_go() -> None:
    it = Elsewhere()
    for number in range(5):
        it.hear(greeting("eu", f"r{number}"))
    assert it.known.now.routes.keys() == {"r4@eu", "chat@us"}
    it.known.keep(WantedRecord({"s@eu": WantedRoute(1.0, 1.0, 1.0, False)}, {}))
    assert it.known.now.routes.keys() == {"s@eu", "chat@us"}
    assert isinstance(it.known.now.routes, MappingProxyType)
