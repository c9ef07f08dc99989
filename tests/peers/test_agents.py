"""Agents on a real bus: the server is killed, agents are stopped, killed and started again.

Nothing is lost and nothing is doubled: what stands in the stream is held, line by line, against
what each agent recorded. It takes two minutes of wall time: an entry lives for ten seconds.
"""

import json
import platform
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from agents import Agent, assert_all_sent, by_run, messages_of, on_the_bus, settings, until
from nats_server import NatsServer, nats_server, with_users
from peer_processes import simulated

from probes.bus.connection import BusConnection, NoAnswerError
from probes.bus.messages import decode_hello, decode_presence, decode_reply
from probes.bus.names import (
    HELLOS_BUCKET,
    OFFSET_HEADER,
    PLACES_BUCKET,
    WANTED_BUCKET,
    commands_of,
    events_of,
)
from probes.control.commands import Command, MarkTime, Pause, SetKnob, Stop, encode_command
from probes.control.wanted_record import decode_wanted
from probes.events import Hello, Knob, Mark, Tick, decode_event

pytestmark = pytest.mark.anyio


class Yard:
    """A provider, a bus and agents."""

    def __init__(self, folder: Path, server: NatsServer, provider: str) -> None:
        self.folder = folder
        self.server = server
        self.config = settings(folder, provider, model="sim")
        self.agents: list[Agent] = []

    def agent(self, place: str, *options: str, url: str = "") -> Agent:
        agent = Agent(self.folder, place, url or self.server.url, self.config, *options)
        self.agents.append(agent)
        agent.start()
        return agent


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with simulated("healthy") as url:
        yield url


@pytest.fixture
def yard(tmp_path: Path, provider: str) -> Iterator[Yard]:
    with ExitStack() as stack:
        server = stack.enter_context(nats_server(tmp_path / "bus"))
        made = Yard(tmp_path, server, provider)
        try:
            yield made
        finally:
            for agent in made.agents:
                agent.kill()


async def count(bus: BusConnection, place: str) -> int:
    last = await bus.last(events_of(place))
    return 0 if last is None else last.sequence


async def more_of(bus: BusConnection, place: str) -> None:
    """Wait for two messages more of a place."""
    with anyio.fail_after(40):
        for _ in range(2):
            before = await count(bus, place)
            while await count(bus, place) == before:  # noqa: ASYNC110 - another process sends
                await anyio.sleep(0.1)


async def asked(bus: BusConnection, place: str, command: Command) -> str:
    return decode_reply(await bus.request(commands_of(place), encode_command(command))).refusal


async def test_nothing_is_lost_or_doubled_whatever_is_killed_or_stopped(yard: Yard) -> None:
    places = ("eu", "us", "ap")
    eu, us, ap = (yard.agent(place) for place in places)
    async with on_the_bus(yard.server.url) as bus:
        for place in places:
            await more_of(bus, place)

        yard.server.kill()
        await until(lambda: all("probing goes on" in one.said for one in (eu, us, ap)))
        await anyio.sleep(3.0)
        yard.server.start()
        await bus.wait_connected()
        for place in places:
            await more_of(bus, place)
        assert all("bus is back after " in one.said for one in (eu, us, ap))

        # One is stopped for longer than its entry lives, and one is killed meanwhile, twice: the
        # second time before it has sent all that the first life left.
        eu.signal(signal.SIGSTOP)
        us.kill()
        us.start()
        await until(lambda: us.said.count("probing for us") == 2)
        yard.server.kill()
        await anyio.sleep(2.0)
        us.kill()
        yard.server.start()
        await bus.wait_connected()
        us.start()
        await until(lambda: us.said.count("probing for us") == 3)
        while await bus.bucket(PLACES_BUCKET).get("eu") is not None:  # noqa: ASYNC110
            await anyio.sleep(0.2)
        eu.signal(signal.SIGCONT)
        for place in places:
            await more_of(bus, place)

        assert [agent.end() for agent in (eu, us, ap)] == [0, 0, 0]
        for agent in (eu, us, ap):
            assert_all_sent(agent, await messages_of(bus, agent.place))
            assert await bus.bucket(PLACES_BUCKET).get(agent.place) is None
            assert agent.unsent_files == []
        lives = {agent.place: len(agent.recorded()) for agent in (eu, us, ap)}
        assert lives == {"eu": 1, "us": 3, "ap": 1}
        assert "that an earlier agent had recorded" in us.said


async def test_the_second_agent_of_a_place_is_refused_by_name(yard: Yard) -> None:
    first = yard.agent("eu")
    async with on_the_bus(yard.server.url) as bus:
        await more_of(bus, "eu")
        second = Agent(yard.folder / "second", "eu", yard.server.url, yard.config)
        yard.agents.append(second)
        second.start()
        assert second.ended() == 2
        (line,) = second.said.splitlines()
        entry = await bus.bucket(PLACES_BUCKET).get("eu")
        assert entry is not None
        holder = decode_presence(entry.value)
        assert holder.pid == first.process.pid
        assert line.startswith(
            f"llmtop: place eu is taken by {holder.host}, pid {holder.pid}, since "
        )
        await more_of(bus, "eu")


async def test_who_was_away_while_another_took_the_place_stops_probing(yard: Yard) -> None:
    late = yard.agent("eu")
    async with on_the_bus(yard.server.url) as bus:
        await more_of(bus, "eu")
        late.signal(signal.SIGSTOP)
        quick = Agent(yard.folder / "second", "eu", yard.server.url, yard.config)
        yard.agents.append(quick)
        quick.start()
        await until(lambda: "probing for eu" in quick.said)
        await more_of(bus, "eu")
        late.signal(signal.SIGCONT)
        assert late.ended() == 1
        (line,) = (line for line in late.said.splitlines() if "stops probing" in line)
        assert f"place eu is taken by {platform.node()}, pid {quick.process.pid}, since " in line
        await more_of(bus, "eu")
        assert quick.end() == 0
        runs = by_run(await messages_of(bus, "eu"))
        assert len(runs) == 2


async def test_commands_are_obeyed_and_what_is_wanted_outlives_the_agent(yard: Yard) -> None:
    agent = yard.agent("eu")
    async with on_the_bus(yard.server.url) as bus:
        await more_of(bus, "eu")
        about_ns = bus_now_ns = (await bus.last(events_of("eu"))).at_ns  # type: ignore[union-attr]
        commands: list[Command] = [
            SetKnob(route="chat@eu", knob="concurrency", value=3.0, who="ann"),
            Pause(route="other@eu", paused=True, who="ann"),
            MarkTime(text="looked at", about_ns=about_ns),
        ]
        assert [await asked(bus, "eu", command) for command in commands] == ["", "", ""]
        refused = await asked(bus, "eu", SetKnob(route="chat@us", knob="rate", value=3.0))
        assert refused == "no route is named chat@us here; there are: chat@eu, other@eu"
        assert await asked(bus, "eu", Stop()) == "an agent does not take stop from the bus"
        with pytest.raises(NoAnswerError):
            await asked(bus, "us", Stop())
        await more_of(bus, "eu")

        agent.kill()
        agent.start()
        await until(lambda: agent.said.count("probing for eu") == 2)
        assert "as turned before: chat@eu concurrency 3, other@eu pause" in agent.said
        await more_of(bus, "eu")
        entry = await bus.bucket(WANTED_BUCKET).get("eu")
        assert entry is not None
        record = decode_wanted(entry.value)
        assert record.routes["chat@eu"].concurrency == 3
        assert record.routes["other@eu"].paused
        assert agent.end() == 0
        messages = await messages_of(bus, "eu")
        first, second = by_run(messages).values()
        knobs = [event for event in map(decode_event, first) if isinstance(event, Knob)]
        assert {(knob.route, knob.after, knob.who) for knob in knobs} == {
            ("chat@eu", 3.0, "ann"),
            ("other@eu", 1.0, "ann"),
        }
        (mark,) = (event for event in map(decode_event, first) if isinstance(event, Mark))
        offset_ns = int(messages[0].headers[OFFSET_HEADER])
        assert mark.about_ns == bus_now_ns - offset_ns
        # Not one probe of the new life was as the file alone would have it.
        attempts = [event for event in map(decode_event, second) if hasattr(event, "probe")]
        assert attempts
        assert {event.route for event in attempts} == {"chat@eu"}


async def test_stamps_and_the_hello_are_of_the_servers_clock(yard: Yard) -> None:
    agent = yard.agent("eu", "--duration", "3")
    async with on_the_bus(yard.server.url) as bus:
        assert agent.ended() == 0
        entry = await bus.bucket(HELLOS_BUCKET).get("eu")
        assert entry is not None
        kept = decode_hello(entry.value)
        hello = decode_event(bytes(kept.hello))
        assert isinstance(hello, Hello)
        assert [info.name for info in hello.routes] == ["chat@eu", "other@eu"]
        messages = await messages_of(bus, "eu")
        for message in messages:
            assert int(message.headers[OFFSET_HEADER]) == kept.offset_ns
            ticks = map(decode_event, message.data.splitlines())
            stamps = [event.at_ns + kept.offset_ns for event in ticks if isinstance(event, Tick)]
            # Sent within half a second and a little; a second is a busy machine's.
            assert all(0 <= message.at_ns - stamp < 2e9 for stamp in stamps)


@pytest.mark.parametrize(
    ("url", "words", "status"),
    [
        ("nats://127.0.0.1:9", "nats://127.0.0.1:9 cannot be reached: Connection refused", 1),
        ("http://bus", "--bus: http:// is no bus, expected nats://HOST:PORT", 2),
    ],
)
async def test_a_bus_that_cannot_be_had_is_one_line(
    yard: Yard, url: str, words: str, status: int
) -> None:
    agent = yard.agent("eu", "--duration", "5", url=url)
    assert agent.ended() == status
    (line,) = agent.said.splitlines()
    assert line.startswith(f"llmtop: {words}")


async def test_a_bus_that_is_not_there_yet_is_waited_for(yard: Yard) -> None:
    yard.server.kill()
    agent = yard.agent("eu")
    await until(lambda: "it is waited for, and nothing is probed before" in agent.said)
    yard.server.start()
    await until(lambda: "probing for eu" in agent.said)
    async with on_the_bus(yard.server.url) as bus:
        await more_of(bus, "eu")
        assert agent.end() == 0
        assert_all_sent(agent, await messages_of(bus, "eu"))


async def test_what_is_not_sent_at_the_end_is_said_and_sent_by_the_next(yard: Yard) -> None:
    agent = yard.agent("eu")
    async with on_the_bus(yard.server.url) as bus:
        await more_of(bus, "eu")
        yard.server.kill()
        await until(lambda: "probing goes on" in agent.said)
        await anyio.sleep(1.0)
        assert agent.end() == 0
        assert "not sent, but recorded, and the next agent here sends them" in agent.said
        yard.server.start()
        await bus.wait_connected()
        agent.start()
        await until(lambda: "that an earlier agent had recorded" in agent.said)
        assert agent.end() == 0
        assert_all_sent(agent, await messages_of(bus, "eu"))


async def test_no_secret_of_the_bus_is_said_or_recorded(tmp_path: Path, provider: str) -> None:
    options = with_users(tmp_path, ("ann", "s3cret-s3cret"))
    userinfo = "ann:s3cret-s3cret"
    with nats_server(tmp_path / "bus", *options, userinfo=userinfo) as server:
        yard = Yard(tmp_path, server, provider)
        agent = yard.agent("eu", "--duration", "2")
        assert agent.ended() == 0
        assert f"on nats://127.0.0.1:{server.port}, 2 routes" in agent.said
        wrong = yard.agent("us", url=server.url.replace("s3cret-s3cret", "wr0ng-wr0ng"))
        assert wrong.ended() == 1
        assert "refuses: Authorization Violation" in wrong.said
        written = agent.said + wrong.said
        for path in (*agent.state.rglob("*"), *wrong.state.rglob("*")):
            written += path.read_text("utf-8", "replace") if path.is_file() else ""
        assert "s3cret" not in written
        assert "wr0ng" not in written
        async with on_the_bus(server.url) as bus:
            for message in await messages_of(bus, "eu"):
                assert b"s3cret" not in message.data
                assert "s3cret" not in json.dumps(dict(message.headers))
