"""What was turned at a place is taken up by its next agent, unless the file was changed since."""

from typing import Any

import pytest

from probes.config import Route
from probes.control.commands import Adapt, Command, Pause, SetKnob, WatchText
from probes.control.wanted import Wanted, wanted_of
from probes.control.wanted_record import commands_to_take_up, decode_wanted, wanted_record
from probes.events import Held

RUN = "1".zfill(20)


def route(**fields: Any) -> Route:
    given = {"name": "a@eu", "base_url": "http://127.0.0.1:1", "model": "m"}
    return Route(**(given | fields))


def after(wanted: Wanted, *commands: Command) -> Wanted:
    for command in commands:
        wanted = wanted.after_command(command)
    return wanted


def taken_up(turned: Wanted, now: Wanted) -> Wanted:
    """Return what a new agent wants that finds the record of another."""
    record = decode_wanted(wanted_record(turned, RUN))
    assert record.run == RUN
    return after(now, *commands_to_take_up(record, now))


TURNS: dict[str, tuple[Command, ...]] = {
    "nothing": (),
    "concurrency": (SetKnob(route="a@eu", knob="concurrency", value=5),),
    "interval": (SetKnob(route="a@eu", knob="interval", value=20),),
    "max_tokens": (SetKnob(route="a@eu", knob="max_tokens", value=7),),
    "pause": (Pause(route="a@eu", paused=True),),
    "pause of all": (Pause(paused=True),),
    "adaptive": (Adapt(route="a@eu", on=True),),
    "adaptive and found": (
        Adapt(route="a@eu", on=True),
        SetKnob(route="a@eu", knob="concurrency", value=9, who="auto"),
    ),
}


@pytest.mark.parametrize("turns", TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize("adaptive", [False, True])
def test_what_was_turned_stays_turned(turns: tuple[Command, ...], adaptive: bool) -> None:
    begun = wanted_of((route(concurrency=2, adaptive=adaptive),))
    turned = after(begun, *turns)
    assert taken_up(turned, begun).routes == turned.routes


def test_what_was_switched_off_stays_off() -> None:
    begun = wanted_of((route(adaptive=True, paused=True),))
    turned = after(begun, Adapt(route="a@eu", on=False), Pause(route="a@eu", paused=False))
    assert taken_up(turned, begun).routes == turned.routes


def test_an_open_pace_keeps_its_rate() -> None:
    begun = wanted_of((route(pace="constant", rate=2.0),))
    turned = after(begun, SetKnob(route="a@eu", knob="rate", value=7))
    assert taken_up(turned, begun).routes["a@eu"].rate == 7


def test_a_setting_that_was_changed_in_the_file_since_is_the_files_and_the_others_stay() -> None:
    turned = after(
        wanted_of((route(concurrency=2),)),
        SetKnob(route="a@eu", knob="concurrency", value=5),
        SetKnob(route="a@eu", knob="max_tokens", value=7),
    )
    found = taken_up(turned, wanted_of((route(concurrency=3),))).routes["a@eu"]
    assert (found.concurrency, found.max_tokens) == (3, 7)


def test_routes_that_are_new_are_as_configured_and_those_that_are_gone_are_forgotten() -> None:
    turned = after(wanted_of((route(name="old@eu"),)), Pause(paused=True))
    now = wanted_of((route(name="new@eu"),))
    assert taken_up(turned, now) == now


def test_cool_downs_and_previews_are_not_written_down() -> None:
    begun = wanted_of((route(),))
    held = Held(at_ns=1, route="a@eu", reason="cool_down", until_ns=2)
    turned = after(begun.after_event(held), WatchText(route="a@eu"))
    assert taken_up(turned, begun) == begun


def test_a_value_that_is_out_of_range_by_now_is_kept_within_it() -> None:
    begun = wanted_of((route(),))
    data = wanted_record(begun, RUN).replace(b'"max_tokens":64.0', b'"max_tokens":-3.0', 1)
    record = decode_wanted(data)
    (command,) = commands_to_take_up(record, begun)
    assert isinstance(command, SetKnob)
    assert command.value == 1
