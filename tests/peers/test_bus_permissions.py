"""The bus that `llmtop deploy nats` describes: all work with what they are allowed, and what nobody
needs is refused.

It takes some seconds of wall time: a server, agents and a cockpit run for real.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import nats
import pytest
from agents import Agent, assert_all_sent, messages_of, settings, until
from nats.aio.client import Client
from nats_server import NatsServer, nats_server
from peer_processes import simulated

import probes.deploying
from probes.bus.address import bus_address
from probes.bus.connection import BusConnection, BusError
from probes.bus.messages import decode_presence, decode_reply
from probes.bus.names import (
    ALL_PLACES,
    BUDGETS_BUCKET,
    HELLOS_BUCKET,
    MUTED_KEY,
    PAGERS_BUCKET,
    PLACES_BUCKET,
    STREAM,
    WANTED_BUCKET,
    caller_key,
    commands_of,
    events_of,
    inbox_of,
    told_key,
)
from probes.control.commands import Pause, encode_command
from probes.kit.clock import SystemClock

pytestmark = pytest.mark.anyio

CONFIG: Final = Path(probes.deploying.__file__).with_name("nats-server.conf")
BUCKETS: Final = (PLACES_BUCKET, HELLOS_BUCKET, WANTED_BUCKET, BUDGETS_BUCKET, PAGERS_BUCKET)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NatsServer]:
    for user in ("cockpit", "viewer", "eu", "us"):
        monkeypatch.setenv(f"LLMTOP_{user.upper()}", f"{user}-pass")
    shipped = CONFIG.read_text(encoding="utf-8")
    assert '"/var/lib/nats"' in shipped
    config = tmp_path / "nats-server.conf"
    config.write_text(shipped.replace("/var/lib/nats", str(tmp_path / "store")), encoding="utf-8")
    with nats_server(tmp_path / "bus", "-c", str(config), jetstream=False) as running:
        yield running


def url(server: NatsServer, user: str) -> str:
    return server.url.replace("//", f"//{user}:{user}-pass@")


@asynccontextmanager
async def connected(server: NatsServer, user: str) -> AsyncIterator[BusConnection]:
    place = {"inbox": inbox_of(user)} if user in ("eu", "us") else {}
    bus = BusConnection(bus_address(url(server, user)), clock=SystemClock(), **place)
    await bus.connect()
    try:
        yield bus
    finally:
        await bus.close()


def violations(server: NatsServer) -> list[str]:
    return [line for line in server.log.read_text().splitlines() if "Violation" in line]


async def test_agents_and_those_who_watch_need_no_more_than_they_are_allowed(
    server: NatsServer, tmp_path: Path
) -> None:
    with simulated("healthy") as provider:
        config = settings(tmp_path, f"{provider}/v1", model="healthy")
        with config.open("a", encoding="utf-8") as file:
            file.write('[alerts]\non_alert = ["true"]\n')  # so they look who calls
        async with connected(server, "cockpit") as cockpit:
            pager = cockpit.bucket(PAGERS_BUCKET)
            await pager.create(caller_key(ALL_PLACES), b'{"host":"here","pid":1}')
            agents = [Agent(tmp_path, place, url(server, place), config) for place in ("eu", "us")]
            try:
                for agent in agents:
                    agent.start()
                for agent in agents:
                    await until(lambda agent=agent: "probing for" in agent.said, agent.place)
                    await until(lambda agent=agent: "go out from here, pid 1" in agent.said)
                    while len(await messages_of(cockpit, agent.place)) < 2:  # noqa: ASYNC110
                        await anyio.sleep(0.2)
                pause = encode_command(Pause(route="chat@eu", paused=True))
                assert decode_reply(await cockpit.request(commands_of("eu"), pause)).refusal == ""
                async with connected(server, "viewer") as viewer:
                    assert await messages_of(viewer, "us")
                    async with viewer.bucket(PLACES_BUCKET).watch() as entries:
                        async for entry in entries:
                            assert decode_presence(entry.value).host
                            break
                for agent in agents:
                    assert agent.end() == 0, agent.said
                    assert_all_sent(agent, await messages_of(cockpit, agent.place))
                # Started again it takes up what was turned, from its own bucket.
                agents[0].start()
                await until(lambda: "as turned before" in agents[0].said, "it was not turned")
            finally:
                for agent in agents:
                    agent.kill()
    assert violations(server) == []


async def refused(client: Client, errors: list[str], subject: str) -> bool:
    """Whether nothing may be published on a subject."""
    errors.clear()
    await client.publish(subject, b"{}")
    return await complained(client, errors)


async def complained(client: Client, errors: list[str]) -> bool:
    """Whether the server has refused something; the client tells of it in a task of its own."""
    await client.flush()
    for _ in range(20):
        if errors:
            break
        await anyio.sleep(0.02)
    return any("violation" in error for error in errors)


@asynccontextmanager
async def raw(server: NatsServer, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client that keeps to none of our rules."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error).lower())

    client = await nats.connect(url(server, user), error_cb=note, inbox_prefix=inbox_of(user))
    try:
        yield client, errors
    finally:
        await client.close()


OTHERS: Final = (
    events_of("us"),
    *(commands_of(place) for place in ("eu", "us")),
    *(f"$KV.{bucket}.us" for bucket in (PLACES_BUCKET, HELLOS_BUCKET, WANTED_BUCKET)),
    *(
        f"$KV.{PAGERS_BUCKET}.{key}"
        for key in (caller_key(ALL_PLACES), caller_key("eu"), told_key("us"), MUTED_KEY)
    ),
    "_INBOX.cockpit.abc",
    f"{inbox_of('us')}.abc",
    "$JS.API.STREAM.CREATE.spy",
    f"$JS.API.STREAM.CREATE.{STREAM}",
    *(f"$JS.API.STREAM.{what}.{STREAM}" for what in ("UPDATE", "DELETE", "PURGE", "MSG.DELETE")),
    f"$JS.API.CONSUMER.CREATE.{STREAM}",
    f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.spy",
    "$SYS.REQ.SERVER.PING",
)


async def test_an_agent_speaks_for_its_place_alone(server: NatsServer) -> None:
    async with connected(server, "cockpit"):
        pass
    async with raw(server, "eu") as (client, errors):
        for subject in OTHERS:
            assert await refused(client, errors, subject), subject
        for subject in (commands_of("us"), "_INBOX.>", "llmtop.>", "$KV.>", f"{inbox_of('us')}.>"):
            errors.clear()
            await client.subscribe(subject)
            assert await complained(client, errors), subject
        # What it needs it may do.
        for subject in (
            events_of("eu"),
            f"$KV.{PLACES_BUCKET}.eu",
            f"$KV.{BUDGETS_BUCKET}.x",
            f"$KV.{PAGERS_BUCKET}.{told_key('eu')}",
        ):
            assert not await refused(client, errors, subject), subject


async def test_an_agent_with_another_places_password_says_what_it_may_not(
    server: NatsServer, tmp_path: Path
) -> None:
    async with connected(server, "cockpit"):
        pass
    agent = Agent(tmp_path, "us", url(server, "eu"), settings(tmp_path, "http://127.0.0.1:9/v1"))
    agent.start()
    try:
        assert agent.ended() == 1
    finally:
        agent.kill()
    (line,) = [line for line in agent.said.splitlines() if "list processes" not in line]
    assert "refuses: permissions violation for" in line
    assert inbox_of("us").lower() in line.lower()


async def test_who_only_watches_turns_nothing(server: NatsServer) -> None:
    async with connected(server, "cockpit"):
        pass
    async with raw(server, "viewer") as (client, errors):
        for subject in (*OTHERS[:10], f"$KV.{BUDGETS_BUCKET}.x", f"$JS.API.STREAM.PURGE.{STREAM}"):
            assert await refused(client, errors, subject), subject
    async with connected(server, "viewer") as viewer:
        with pytest.raises(BusError, match=r"(?i)refuses: permissions violation for publish"):
            await viewer.request(commands_of("eu"), b"{}", timeout_s=0.5)


async def test_an_agent_that_comes_first_says_what_is_missing_and_waits(
    server: NatsServer, tmp_path: Path
) -> None:
    agent = Agent(tmp_path, "eu", url(server, "eu"), settings(tmp_path, "http://127.0.0.1:9/v1"))
    agent.start()
    try:
        missing = f"no stream {STREAM} yet, and this user may not make it"
        await until(lambda: missing in agent.said, "it says nothing")
        async with connected(server, "cockpit"):
            pass
        await until(lambda: "probing for eu" in agent.said, "it does not begin")
    finally:
        agent.kill()


async def test_no_key_of_a_bucket_deletes_another_and_all_have_a_bound(server: NatsServer) -> None:
    async with connected(server, "cockpit"):
        pass
    async with raw(server, "eu") as (client, _):
        for bucket in BUCKETS:
            stream = await client.jetstream().stream_info(f"KV_{bucket}")
            assert 0 < (stream.config.max_bytes or 0) <= 256 << 20
        us = await raw_put(server, "us", f"$KV.{HELLOS_BUCKET}.us", {})
        assert "error" not in us
        rolled = await raw_put(server, "eu", f"$KV.{HELLOS_BUCKET}.eu", {"Nats-Rollup": "all"})
        assert "rollup" in rolled["error"]["description"]
    async with connected(server, "cockpit") as cockpit:
        kept = await cockpit.bucket(HELLOS_BUCKET).get("us")
        assert kept is not None
        assert kept.value == b"kept"


async def raw_put(
    server: NatsServer, user: str, subject: str, headers: dict[str, str]
) -> dict[str, dict[str, str]]:
    async with raw(server, user) as (client, _):
        reply = await client.request(subject, b"kept", headers=headers or None, timeout=5)
        answer: dict[str, dict[str, str]] = json.loads(reply.data)
        return answer
