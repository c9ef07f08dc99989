"""What a restarted engine is told, so that it forgets nothing."""

import math

from probes.config import Route
from probes.control.commands import (
    AcceptUsual,
    Burst,
    EndCoolDown,
    MarkTime,
    Pause,
    SetKnob,
    Thicken,
    WatchText,
)
from probes.control.wanted import Wanted, commands_for_restart, knob_changes, wanted_of
from probes.events import Held, Knob

S = 1_000_000_000
ROUTES = (
    Route(name="a", base_url="http://x", model="m"),
    Route(name="b", base_url="http://x", model="m", paused=True, concurrency=4),
)


def told(wanted: Wanted, now_ns: int = 0) -> list[object]:
    """Return what a new engine is told at `now_ns`."""
    return list(commands_for_restart(wanted, now_ns))


def test_nothing_is_told_that_the_configuration_says_already() -> None:
    assert told(wanted_of(ROUTES)) == []


def test_knobs_that_were_turned_are_told_again() -> None:
    wanted = wanted_of(ROUTES).after_command(SetKnob(route="a", knob="concurrency", value=7))
    assert told(wanted) == [SetKnob(route="a", knob="concurrency", value=7, who="restart")]
    assert wanted.routes["a"].concurrency == 7
    back = wanted.after_command(SetKnob(route="a", knob="concurrency", value=1))
    assert told(back) == []


def test_an_engine_s_echo_of_an_older_command_takes_nothing_back() -> None:
    wanted = wanted_of(ROUTES)
    for value in (5, 6):
        wanted = wanted.after_command(SetKnob(route="a", knob="concurrency", value=value))
    wanted = wanted.after_command(Pause(route="a", paused=True))
    wanted = wanted.after_command(Pause(route="a", paused=False))
    for event in (
        Knob(at_ns=1, route="a", knob="concurrency", before=1, after=5),
        Knob(at_ns=2, route="a", knob="paused", before=0, after=1),
    ):
        assert wanted.after_event(event) == wanted
    assert told(wanted) == [SetKnob(route="a", knob="concurrency", value=6, who="restart")]


def test_pauses_are_told_where_they_differ_from_the_configuration() -> None:
    everything = wanted_of(ROUTES).after_command(Pause(paused=True))
    assert told(everything) == [Pause(route="a", paused=True, who="restart")]
    only_b = wanted_of(ROUTES).after_command(Pause(route="b", paused=False))
    assert told(only_b) == [Pause(route="b", paused=False, who="restart")]


def test_a_cool_down_goes_on_for_the_rest_of_its_time() -> None:
    held = Held(at_ns=10 * S, reason="cool_down", route="a", until_ns=40 * S)
    cooling = wanted_of(ROUTES).after_event(held)
    assert told(cooling, 25 * S) == [EndCoolDown(route="a", until_s=15.0, who="restart")]
    assert told(cooling, 41 * S) == []
    released = Held(at_ns=12 * S, reason="cool_down", route="a", released=True)
    assert told(cooling.after_event(released), 25 * S) == []
    assert told(cooling.after_command(EndCoolDown(route="a")), 25 * S) == []


def test_the_preview_is_told_last() -> None:
    wanted = (
        wanted_of(ROUTES)
        .after_command(WatchText(route="b"))
        .after_command(SetKnob(route="a", knob="max_tokens", value=9))
    )
    assert told(wanted)[-1] == WatchText(route="b")
    assert len(told(wanted)) == 2
    assert told(wanted.after_command(WatchText()))[-1] != WatchText(route="b")


def test_what_concerns_the_moment_or_nobody_changes_nothing() -> None:
    wanted = wanted_of(ROUTES)
    for command in (
        Burst(route="a", count=9),
        MarkTime(text="x"),
        Thicken(route="a", for_s=9.0, fresh=True),
        AcceptUsual(route="a"),
        SetKnob(route="gone", knob="concurrency", value=2),
        SetKnob(route="a", knob="no such knob", value=2),
        Pause(route="gone", paused=True),
    ):
        assert wanted.after_command(command) == wanted
    budget = Held(at_ns=1, reason="budget", route="a")
    assert wanted.after_event(budget) == wanted


def test_what_differs_between_two_states_is_given_knob_by_knob() -> None:
    before = wanted_of(ROUTES)
    after = before.after_command(SetKnob(route="a", knob="interval", value=9.0))
    after = after.after_command(Pause(paused=True))
    assert list(knob_changes(before.routes, after.routes)) == [
        ("a", "interval", 5.0, 9.0),
        ("a", "paused", 0.0, 1.0),
    ]
    assert list(knob_changes(after.routes, after.routes)) == []


def test_a_closed_pace_has_no_rate_and_an_open_one_no_interval() -> None:
    closed = wanted_of((Route(name="r", base_url="http://h", model="m"),))
    assert closed.after_command(SetKnob(route="r", knob="rate", value=2.0)) is closed
    route = Route(name="r", base_url="http://h", model="m", pace="poisson", rate=1.0)
    paced = wanted_of((route,))
    assert paced.after_command(SetKnob(route="r", knob="interval", value=2.0)) is paced
    turned = paced.after_command(SetKnob(route="r", knob="rate", value=2.0))
    assert turned.routes["r"].rate == turned.routes["r"].per_s == 2.0
    (told,) = commands_for_restart(turned, 0)
    assert (told.knob, told.value) == ("rate", 2.0)  # type: ignore[union-attr]


def test_how_often_a_closed_pace_probes_at_most() -> None:
    def per_s(**settings: float) -> float:
        route = Route(name="r", base_url="http://h", model="m", **settings)
        return wanted_of((route,)).routes["r"].per_s

    assert per_s(concurrency=4, interval=2.0) == 2.0
    assert per_s(interval=0.0) == math.inf
