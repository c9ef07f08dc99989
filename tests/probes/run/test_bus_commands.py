"""Commands over the bus: what is obeyed, what is refused, and in which words."""

import pytest

from probes.bus.messages import LONGEST_COMMAND
from probes.config import Route
from probes.control.commands import (
    AcceptUsual,
    Adapt,
    Allow,
    Burst,
    Command,
    Configure,
    EndCoolDown,
    Go,
    Lift,
    MarkTime,
    Pause,
    ProbeNow,
    SetKnob,
    Stop,
    Thicken,
    WatchText,
    encode_command,
)
from probes.control.wanted import wanted_of
from probes.run.bus_commands import LONGEST_NOTE, MOST_AT_ONCE, MOST_PER_S, CommandRate, obey

CLOSED = Route(name="chat@eu", base_url="http://127.0.0.1:1", model="m")
OPEN = Route(name="open@eu", base_url="http://127.0.0.1:1", model="m", pace="constant", rate=1.0)
OFFSET_NS = 5_000


def asked(data: bytes, *routes: Route) -> tuple[str, list[Command]]:
    """Return why a command was refused, and what was done."""
    done: list[Command] = []
    wanted = wanted_of(routes or (CLOSED, OPEN))
    reply = obey(data, wanted=wanted, command=done.append, offset_ns=OFFSET_NS)
    return reply.refusal, done


@pytest.mark.parametrize(
    "command",
    [
        SetKnob(route="chat@eu", knob="concurrency", value=3.0, who="ann"),
        SetKnob(route="open@eu", knob="rate", value=3.0),
        Adapt(route="chat@eu", on=True),
        Pause(paused=True),
        Pause(route="chat@eu", paused=True, cancel=True),
        Burst(route="chat@eu", count=5),
        ProbeNow(route="chat@eu"),
        EndCoolDown(route="chat@eu"),
        AcceptUsual(route="chat@eu"),
        MarkTime(text="deployed"),
        Lift(),
    ],
)
def test_what_a_user_may_want_is_done(command: Command) -> None:
    assert asked(encode_command(command)) == ("", [command])


def test_what_cannot_be_lifted_is_refused_with_its_reason() -> None:
    done: list[Command] = []
    reply = obey(
        encode_command(Lift()),
        wanted=wanted_of((CLOSED,)),
        command=done.append,
        offset_ns=0,
        unliftable="the bus of the budgets cannot be reached since 14:02:11 UTC",
    )
    assert done == []
    assert reply.refusal == (
        "that cannot be lifted, other places spend of them, too: the bus of the budgets cannot be"
        " reached since 14:02:11 UTC"
    )


@pytest.mark.parametrize("about_ns", [-1, 1 << 62, 10**40])
def test_a_moment_that_no_engine_could_write_down_is_none(about_ns: int) -> None:
    refusal, done = asked(b'{"type":"mark","text":"x","about_ns":%d}' % about_ns)
    assert (refusal, done) == ("about_ns is no moment, expected Unix time in ns", [])


@pytest.mark.parametrize(("asked_for", "given"), [("1e300", 1000.0), ("-5", 1.0)])
def test_a_concurrency_that_is_to_find_itself_begins_within_its_range(
    asked_for: str, given: float
) -> None:
    data = f'{{"type":"adapt","route":"chat@eu","on":true,"concurrency":{asked_for}}}'
    _, (command,) = asked(data.encode())
    assert isinstance(command, Adapt)
    assert command.concurrency == given


def test_the_moment_of_a_note_is_moved_to_the_engines_clock() -> None:
    told = encode_command(MarkTime(text="then", about_ns=12_000))
    assert asked(told) == ("", [MarkTime(text="then", about_ns=7_000)])


@pytest.mark.parametrize(
    ("command", "tag"),
    [
        (Configure(engine="1", routes=(CLOSED,)), "configure"),
        (Allow(allowances=()), "allow"),
        (Go(), "go"),
        (Stop(), "stop"),
        (Thicken(route="chat@eu", for_s=20.0), "thicken"),
        (WatchText(route="chat@eu"), "watch_text"),
    ],
)
def test_what_is_a_hosts_to_say_is_refused(command: Command, tag: str) -> None:
    assert asked(encode_command(command)) == (f"an agent does not take {tag} from the bus", [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "that is no command"),
        (b"{", "that is no command"),
        (b"\xff", "that is no command"),
        (b"[" * 10_000, "that is no command"),
        (b'{"type":"explode"}', "that is no command"),
        (b'{"type":"set_knob","route":"chat@eu","knob":"rate","value":"x"}', "that is no command"),
        (b" " * (LONGEST_COMMAND + 1), "65,537 bytes are no command, it has 65,536 at most"),
        (
            encode_command(Burst(route="chat@us", count=1)),
            "no route is named chat@us here; there are: chat@eu, open@eu",
        ),
        (encode_command(SetKnob(route="chat@eu", knob="x", value=1.0)), "no knob is named x"),
        (
            encode_command(SetKnob(route="chat@eu", knob="rate", value=1.0)),
            "chat@eu has no rate: its pace is closed",
        ),
        (
            encode_command(SetKnob(route="open@eu", knob="interval", value=1.0)),
            "open@eu has no interval: its pace is open",
        ),
        (
            encode_command(SetKnob(route="chat@eu", knob="concurrency", value=1.0, part=True)),
            "a part of a knob is its host's to give",
        ),
        (
            encode_command(EndCoolDown(route="chat@eu", until_s=9.0)),
            "a cool-down is its server's to ask for",
        ),
        (
            encode_command(MarkTime(text="x" * (LONGEST_NOTE + 1))),
            "a note has at most 1,000 characters",
        ),
    ],
)
def test_what_cannot_be_done_is_answered_in_words(data: bytes, words: str) -> None:
    refusal, done = asked(data)
    assert refusal.startswith(words)
    assert done == []


def test_of_many_routes_some_are_named() -> None:
    routes = tuple(
        Route(name=f"r{number:02}@eu", base_url="http://127.0.0.1:1", model="m")
        for number in range(30)
    )
    refusal, _ = asked(encode_command(ProbeNow(route="?")), *routes)
    assert refusal.endswith("r09@eu and 20 more")


def test_more_commands_than_anybody_turns_are_not_read() -> None:
    rate = CommandRate()
    assert [rate.takes(0) for _ in range(MOST_AT_ONCE + 5)].count(True) == MOST_AT_ONCE
    assert not rate.takes(10**7)
    assert [rate.takes(10**9) for _ in range(50)].count(True) == MOST_PER_S
    assert [rate.takes(10**12) for _ in range(500)].count(True) == MOST_AT_ONCE
