"""All places of a real nats-server, read by real sessions: late, twice, through restarts.

It takes some seconds of wall time: servers start and are killed for real.
"""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import board_streams as made
import msgspec
import published
import pytest
from nats_server import NatsServer, nats_server
from published import hello, tick
from recorded import recorded_events

from probes.board import Board
from probes.bus.address import bus_address
from probes.bus.connection import BusConnection, BusError
from probes.bus.messages import CommandReply, KeptHello, Presence, encode
from probes.bus.names import (
    FIRST_HEADER,
    HELLOS_BUCKET,
    OFFSET_HEADER,
    PLACES_BUCKET,
    RUN_HEADER,
    commands_of,
    events_of,
)
from probes.control.commands import Pause, decode_command
from probes.events import (
    AttemptFinished,
    Event,
    Hello,
    Notice,
    PlaceReport,
    ProbeFinished,
    Tick,
    encode_event,
)
from probes.kit.clock import NS_PER_S, SystemClock
from probes.run.places_session import PlacesSession
from probes.sources.bus import BusSource
from probes.store.recording import Recorder

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
PROGRAM = "import sys; from tui.cli import main; sys.exit(main())"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "bus") as running:
        yield running


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[BusConnection]:
    bus = BusConnection(bus_address(server.url), clock=SystemClock())
    await bus.connect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)
        yield bus
        tasks.cancel_scope.cancel()
    await bus.close()


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - real servers call nobody back
            await anyio.sleep(0.01)


@dataclass
class Place:
    """An agent by hand, whose stream began so many seconds ago."""

    bus: BusConnection
    name: str
    ago_s: float = 10.0
    run: str = "1"
    next: int = 1
    offset_ns: int = 0

    def __post_init__(self) -> None:
        self.offset_ns = time.time_ns() - round(self.ago_s * NS_PER_S) - made.START_NS

    async def publish(self, *events: Event, first: int | None = None) -> None:
        number = self.next if first is None else first
        self.next = max(self.next, number + len(events))
        headers = {
            RUN_HEADER: self.run,
            FIRST_HEADER: str(number),
            OFFSET_HEADER: str(self.offset_ns),
        }
        while True:
            with suppress(BusError):  # lost: it is sent again, and may come twice
                await self.bus.publish(events_of(self.name), published.lines(events), headers)
                return
            await anyio.sleep(0.1)

    async def greet(self) -> None:
        await self.publish(hello(self.name))

    async def keep_hello(self) -> None:
        greeting = msgspec.Raw(encode_event(hello(self.name)).rstrip())
        kept = KeptHello(run=self.run, number=1, offset_ns=self.offset_ns, hello=greeting)
        await self.bus.bucket(HELLOS_BUCKET).put(self.name, encode(kept))

    async def probe(self, number: int, start_s: float) -> None:
        script = made.ProbeScript(
            f"{self.name}1-{number}",
            start_s,
            route=f"chat@{self.name}",
            ttft_s=0.1 + 0.01 * number,
            e2e_s=0.5,
        )
        await self.publish(*script.events())


@dataclass
class Watching:
    """A session over a real bus, and what it told."""

    session: PlacesSession
    heard: list[Event] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(report.place, report.state) for report in self.of(PlaceReport)]


@asynccontextmanager
async def watching(
    server: NatsServer, *places: str, recorder: Recorder | None = None
) -> AsyncIterator[Watching]:
    clock = SystemClock()
    bus = BusConnection(bus_address(server.url), clock=clock)
    session = PlacesSession(partial(BusSource, bus, places=places, clock=clock), recorder=recorder)
    watched = Watching(session)
    session.subscribe(lambda events, _lines: watched.heard.extend(events))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        yield watched
        session.stop()


async def test_a_late_cockpit_has_the_past_and_the_present(server: NatsServer) -> None:
    async with connected(server) as bus:
        eu = Place(bus, "eu")
        await eu.greet()
        for number in range(300):
            await eu.probe(number, number / 100)
        async with watching(server) as watched:
            await until(lambda: len(watched.of(ProbeFinished)) == 300)
            await until(lambda: watched.session.status.state == "running")
            await eu.probe(300, 4.0)
            await until(lambda: len(watched.of(ProbeFinished)) == 301)
            assert watched.of(Notice) == []
            assert watched.session.board.summary()["chat@eu"]["n"] == 301


async def test_in_the_middle_of_a_life_the_routes_are_found(server: NatsServer) -> None:
    async with connected(server) as bus:
        eu = Place(bus, "eu", next=1000)
        await eu.keep_hello()
        await eu.probe(1, 1.0)
        async with watching(server) as watched:
            await until(lambda: len(watched.of(ProbeFinished)) == 1)
            assert isinstance(watched.heard[0], Hello)
            assert watched.session.board.routes == ("chat@eu",)


async def test_what_is_sent_again_is_told_once_and_what_is_lost_is_told(
    server: NatsServer,
) -> None:
    async with connected(server) as bus:
        eu = Place(bus, "eu")
        await eu.greet()
        async with watching(server) as watched:
            await until(lambda: bool(watched.heard))
            await eu.publish(tick("eu", 1.0), tick("eu", 2.0))
            await eu.publish(tick("eu", 1.0), tick("eu", 2.0), first=2)
            await eu.publish(tick("eu", 2.0), tick("eu", 3.0), first=3)
            await eu.publish(tick("eu", 5.0), first=9)
            await until(lambda: len(watched.of(Tick)) == 4)
            stamps = [event.at_ns - eu.offset_ns for event in watched.of(Tick)]
            assert stamps == [made.at(second) for second in (1.0, 2.0, 3.0, 5.0)]
            assert [notice.text for notice in watched.of(Notice)] == [
                "4 events lost on the way here"
            ]


async def test_killed_and_started_again_the_server_costs_no_event_and_doubles_none(
    server: NatsServer,
) -> None:
    async with connected(server) as bus:
        eu = Place(bus, "eu")
        await eu.greet()
        async with watching(server) as watched:
            await until(lambda: bool(watched.heard))
            for life in range(3):
                for number in range(20):
                    await eu.probe(20 * life + number, 0.1 * number)
                await until(lambda life=life: len(watched.of(ProbeFinished)) == 20 * (life + 1))
                server.kill()
                await until(lambda: watched.session.status.state == "lost")
                assert "places unknown" in watched.session.status.detail
                server.start()
                await bus.wait_connected()
                # While the cockpit is away the place goes on: that is read, too.
                await eu.publish(tick("eu", float(life)))
                await until(lambda: watched.session.status.state == "running")
                await until(lambda life=life: len(watched.of(Tick)) == life + 1)
            probes = [event.probe for event in watched.of(ProbeFinished)]
            assert probes == [f"eu1-{number}" for number in range(60)]
            assert watched.of(Notice) == []


async def test_a_bus_that_stays_away_leaves_every_place_unknown_until_it_is_heard_again(
    server: NatsServer,
) -> None:
    async with connected(server) as bus:
        eu, us = Place(bus, "eu"), Place(bus, "us")
        async with watching(server) as watched:
            for place in (eu, us):
                await place.greet()
            await until(lambda: len(watched.states) == 2)
            server.kill()
            await until(lambda: len(watched.states) == 4)
            assert sorted(watched.states[2:]) == [("eu", "unknown"), ("us", "unknown")]
            server.start()
            await bus.wait_connected()
            await eu.publish(tick("eu", 9.0))
            await until(lambda: watched.states[-1] == ("eu", "heard"))
            await until(lambda: watched.states[-1][1] in ("silent", "gone"))
            assert watched.states[-1][0] == "us"


async def test_a_store_that_was_lost_is_no_end_of_the_reading(
    server: NatsServer, tmp_path: Path
) -> None:
    async with connected(server) as bus:
        eu = Place(bus, "eu")
        await eu.greet()
        async with watching(server) as watched:
            for number in range(30):
                await eu.probe(number, 0.1 * number)
            await until(lambda: len(watched.of(ProbeFinished)) == 30)
            server.kill()
            (tmp_path / "bus" / "store").rename(tmp_path / "gone")
            server.start()
            await bus.wait_connected()
            await eu.probe(30, 4.0)
            await until(lambda: len(watched.of(ProbeFinished)) == 31)


async def test_two_cockpits_at_once_and_a_replay_show_the_same_figures(
    server: NatsServer, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    async with connected(server) as bus:
        places = [Place(bus, name, ago_s=30.0) for name in ("eu", "us", "ap")]
        for place in places:
            await place.greet()
            for number in range(40):
                await place.probe(number, 0.2 * number)
        async with (
            watching(server, recorder=Recorder.to_file(path)) as one,
            watching(server) as other,
        ):
            await until(lambda: one.session.status.state == "running")
            for place in places:
                for number in range(40, 60):
                    await place.probe(number, 0.2 * number)
            for watched in (one, other):
                await until(lambda watched=watched: len(watched.of(ProbeFinished)) == 180)
            figures = one.session.board.summary()
            assert figures == other.session.board.summary()
            assert {name: route["n"] for name, route in figures.items()} == dict.fromkeys(
                ("chat@eu", "chat@us", "chat@ap"), 60
            )
    replayed = Board()
    for event in recorded_events(path):
        replayed.fold(event)
    assert replayed.summary() == figures


async def test_a_backlog_that_comes_late_is_counted_where_it_happened(server: NatsServer) -> None:
    async with connected(server) as bus:
        eu, us = Place(bus, "eu", ago_s=120.0), Place(bus, "us", ago_s=120.0)
        async with watching(server) as watched:
            for place in (eu, us):
                await place.greet()
            for number in range(100):
                await us.probe(number, float(number))
            await until(lambda: len(watched.of(ProbeFinished)) == 100)
            for number in range(100):
                await eu.probe(number, float(number))
            await until(lambda: len(watched.of(ProbeFinished)) == 200)
            late = [event for event in watched.of(AttemptFinished) if event.route == "chat@eu"]
            assert [event.at_ns - eu.offset_ns for event in late] == [
                made.at(number + 0.5) for number in range(100)
            ]
            summary = watched.session.board.summary()
            same = ("n", "ok", "ttft_p50_s", "ttft_p95_s", "e2e_p95_s", "attempts")
            assert [summary["chat@eu"][key] for key in same] == [
                summary["chat@us"][key] for key in same
            ]


async def test_only_what_is_asked_for_is_shown(server: NatsServer) -> None:
    async with connected(server) as bus, watching(server, "us") as watched:
        for name in ("eu", "us"):
            place = Place(bus, name)
            await place.greet()
            await place.publish(tick(name, 1.0))
        await until(lambda: bool(watched.of(Tick)))
        assert {event.place for event in watched.of(Tick)} == {"us"}


async def test_a_command_is_answered_by_the_agent_of_its_place(server: NatsServer) -> None:
    obeyed: list[tuple[str, Any]] = []

    async def answer(place: str, payload: bytes) -> bytes:
        obeyed.append((place, decode_command(payload)))
        return encode(CommandReply(refusal="" if place == "eu" else "not today"))

    async with connected(server) as bus:
        for name in ("eu", "us"):
            await Place(bus, name).greet()
            await bus.answer(commands_of(name), partial(answer, name))
        async with watching(server) as watched:
            await until(lambda: len(watched.states) == 2)
            watched.session.command(Pause(paused=True, route="chat@eu"))
            watched.session.command(Pause(paused=True, route="chat@us"))
            await until(lambda: bool(watched.of(Notice)))
            assert sorted(obeyed, key=lambda one: one[0]) == [
                ("eu", Pause(paused=True, route="chat@eu")),
                ("us", Pause(paused=True, route="chat@us")),
            ]
            assert watched.session.wanted.routes["chat@eu"].paused
            assert not watched.session.wanted.routes["chat@us"].paused
            (notice,) = watched.of(Notice)
            assert notice.text == "pause not done at us: not today"


async def test_whoever_says_that_he_probes_and_leaves_is_gone(server: NatsServer) -> None:
    async with connected(server) as bus:
        eu = Place(bus, "eu")
        await eu.greet()
        told = Presence(run="1", host="h", pid=1, since_ns=0)
        await bus.bucket(PLACES_BUCKET).put("eu", encode(told))
        async with watching(server) as watched:
            await until(lambda: ("eu", "silent") in watched.states)
            await bus.bucket(PLACES_BUCKET).delete("eu")
            await until(lambda: watched.states[-1] == ("eu", "gone"))


def llmtop(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    environ = {
        "PATH": "/usr/bin:/bin",
        "XDG_STATE_HOME": str(folder / "state"),
        "HOME": str(folder),
    }
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env=environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        timeout=60,
    )


async def test_llmtop_prints_the_events_of_all_places_and_a_replay_prints_the_same(
    server: NatsServer, tmp_path: Path
) -> None:
    async with connected(server) as bus:
        for name in ("eu", "us"):
            place = Place(bus, name)
            await place.greet()
            for number in range(10):
                await place.probe(number, 0.2 * number)
        path = str(tmp_path / "run.jsonl")
        run = partial(llmtop, folder=tmp_path)
        options = ("--bus", server.url, "--headless", "--duration", "1", "--record", path)
        live = await anyio.to_thread.run_sync(partial(run, *options))
    assert live.returncode == 0, live.stderr
    told = [json.loads(line) for line in live.stdout.splitlines()]
    assert sum(one["type"] == "probe_finished" for one in told) == 20
    assert sorted(told[-1]["routes"]) == ["chat@eu", "chat@us"]
    replayed = run("replay", path, "--headless")
    assert replayed.stdout == live.stdout


def test_who_may_not_read_is_told_before_there_is_a_screen(tmp_path: Path) -> None:
    settings = tmp_path / "users.conf"
    allowed = '["$JS.API.STREAM.*.>", "$JS.API.INFO", "_INBOX.>"]'
    settings.write_text(
        "authorization { users: [{ user: eu, password: right-pass, permissions: "
        f'{{ publish: {allowed}, subscribe: ["_INBOX.>"] }} }}] }}',
        encoding="utf-8",
    )
    with nats_server(tmp_path / "bus", "-c", str(settings)) as server:
        url = f"nats://eu:right-pass@127.0.0.1:{server.port}"
        run = llmtop("--bus", url, "--headless", "--no-record", folder=tmp_path)
    assert run.returncode == 1
    refuses = f"nats://127.0.0.1:{server.port} refuses: permissions violation"
    waits, *_, told = run.stderr.splitlines()
    assert waits.startswith(f"llmtop: waiting for nats://127.0.0.1:{server.port} … ")
    assert told.startswith(f"llmtop: {refuses}")
    assert "consumer.create" in told


def test_a_bus_that_cannot_be_reached_is_one_clear_line(tmp_path: Path) -> None:
    told = llmtop("--bus", "nats://127.0.0.1:9", "--headless", "--duration", "1", folder=tmp_path)
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr == "llmtop: nats://127.0.0.1:9 cannot be reached: Connection refused\n"
