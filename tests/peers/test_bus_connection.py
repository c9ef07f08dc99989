"""The connection to the bus against a real nats-server: what it keeps, loses and says.

It takes some seconds of wall time: servers start, are killed and stopped for real.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import anyio
import anyio.abc
import pytest
import trustme
from nats_accounts import with_accounts
from nats_server import NatsServer, nats_server, with_users

from probes.bus.address import bus_address
from probes.bus.connection import (
    BusConnection,
    BusError,
    BusLostError,
    BusState,
    NoAnswerError,
    StreamMessage,
    WrongRevisionError,
)
from probes.bus.names import (
    EVENTS_OF_ALL,
    FIRST_HEADER,
    PLACES_BUCKET,
    WANTED_BUCKET,
    commands_of,
    events_of,
)
from probes.kit.clock import SystemClock

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "bus") as running:
        yield running


def connection(url: str, states: list[BusState] | None = None) -> BusConnection:
    changed = (lambda _state: None) if states is None else states.append
    return BusConnection(bus_address(url), clock=SystemClock(), changed=changed)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - real servers call nobody back
        await anyio.sleep(0.01)


async def test_a_message_stands_in_the_stream_with_its_headers_and_the_servers_time(
    server: NatsServer,
) -> None:
    bus = connection(server.url)
    await bus.connect()
    sequence = await bus.publish(events_of("eu"), b"{}\n", {FIRST_HEADER: "1"}, after=0)
    found = await bus.last(events_of("eu"))
    assert found is not None
    assert (found.data, found.headers[FIRST_HEADER], found.sequence) == (b"{}\n", "1", sequence)
    assert abs(found.at_ns - SystemClock.wall_ns()) < 5e9
    assert await bus.last(events_of("us")) is None
    await bus.close()


async def test_what_is_not_behind_the_last_one_is_refused(server: NatsServer) -> None:
    bus = connection(server.url)
    await bus.connect()
    first = await bus.publish(events_of("eu"), b"1", after=0)
    await bus.publish(events_of("us"), b"between", after=0)
    for wrong in (0, first + 7):
        with pytest.raises(WrongRevisionError):
            await bus.publish(events_of("eu"), b"2", after=wrong)
    assert await bus.publish(events_of("eu"), b"2", after=first) == first + 2
    await bus.close()


async def test_a_key_is_created_once_updated_where_it_stands_and_deleted(
    server: NatsServer,
) -> None:
    bus = connection(server.url)
    await bus.connect()
    bucket = bus.bucket(WANTED_BUCKET)
    assert await bucket.get("eu") is None
    first = await bucket.create("eu", b"a")
    with pytest.raises(WrongRevisionError):
        await bucket.create("eu", b"b")
    second = await bucket.update("eu", b"b", first)
    with pytest.raises(WrongRevisionError):
        await bucket.update("eu", b"c", first)
    entry = await bucket.get("eu")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"b", second)
    await bucket.delete("eu", second)
    assert await bucket.get("eu") is None
    third = await bucket.create("eu", b"c")
    assert third > second
    await bus.close()


async def test_a_bucket_is_watched_from_what_it_holds(server: NatsServer) -> None:
    bus = connection(server.url)
    await bus.connect()
    bucket = bus.bucket(WANTED_BUCKET)
    await bucket.put("eu", b"1")
    await bucket.put("eu", b"2")
    seen: list[tuple[str, bytes]] = []
    with anyio.fail_after(PATIENCE_S):
        async with bucket.watch() as entries:
            async for entry in entries:
                seen.append((entry.key, entry.value))
                if len(seen) == 1:
                    await bucket.put("us", b"3")
                elif len(seen) == 2:
                    await bucket.delete("eu")
                else:
                    break
    assert seen == [("eu", b"2"), ("us", b"3"), ("eu", b"")]
    await bus.close()


async def test_a_reader_gets_what_is_there_from_a_moment_on_and_then_what_comes(
    server: NatsServer,
) -> None:
    bus = connection(server.url)
    await bus.connect()
    await bus.publish(events_of("eu"), b"old")
    await anyio.sleep(0.05)
    since_ns = SystemClock.wall_ns()
    await anyio.sleep(0.05)
    await bus.publish(events_of("us"), b"new")
    got: list[StreamMessage] = []
    with anyio.fail_after(PATIENCE_S):
        async with bus.messages(EVENTS_OF_ALL, since_ns=since_ns) as messages:
            async for message in messages:
                got.append(message)
                if len(got) == 2:
                    break
                await bus.publish(events_of("eu"), b"live")
        async with bus.messages(EVENTS_OF_ALL, after=got[0].sequence) as messages:
            again = await anext(messages)
    assert [message.data for message in got] == [b"new", b"live"]
    assert again.data == b"live"
    await bus.close()


async def test_a_server_that_is_killed_is_lost_and_found_again_with_what_it_kept(
    server: NatsServer,
) -> None:
    states: list[BusState] = []
    bus = connection(server.url, states)
    await bus.connect()
    asked: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        asked.append(request)
        return b"yes"

    await bus.answer(commands_of("eu"), answer)
    first = await bus.publish(events_of("eu"), b"1", after=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)
        with anyio.fail_after(PATIENCE_S):
            async with bus.messages(EVENTS_OF_ALL) as messages:
                server.kill()
                assert [message async for message in messages] == []
            await until(lambda: not bus.state.connected)
            with pytest.raises(BusLostError):
                await bus.publish(events_of("eu"), b"2", after=first)
            server.start()
            await bus.wait_connected()
            await bus.publish(events_of("eu"), b"2", after=first)
            assert await bus.request(commands_of("eu"), b"?") == b"yes"
        tasks.cancel_scope.cancel()
    assert asked == [b"?"]
    # What it says of the tries in between depends on how long the server took.
    assert [states[0].connected, states[1].connected, states[-1].connected] == [True, False, True]
    await bus.close()


async def test_a_client_that_closes_without_a_word_is_found_out(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nats-py does where the connection breaks while something waits to be written."""
    bus = connection(server.url)
    await bus.connect()
    assert bus._link is not None
    monkeypatch.setattr(bus._link.client, "_closed_cb", None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)
        with anyio.fail_after(PATIENCE_S):
            server.kill()
            while bus.state.connected:  # somebody who tries again and again keeps nobody from it
                await bus.wait_connected()
                with suppress(BusError):
                    await bus.publish(events_of("eu"), b"1")
            server.start()
            await bus.wait_connected()
        tasks.cancel_scope.cancel()
    await bus.close()


async def test_of_a_connection_that_breaks_while_something_is_written_nothing_is_left(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py's own end of it fails half way then."""
    bus = connection(server.url)
    await bus.connect()

    async def answer(request: bytes) -> bytes:
        return request

    await bus.answer(commands_of("eu"), answer)
    assert bus._link is not None
    client = bus._link.client
    transport = client._transport
    assert transport is not None
    tasks_of_subs = [sub._wait_for_msgs_task for sub in client._subs.values()]
    assert len(tasks_of_subs) > 1

    async def broken() -> None:
        raise ConnectionResetError

    async def broken_flush(force_flush: bool = False) -> None:
        """Leave what waits where it is."""

    await client.flush()
    monkeypatch.setattr(transport, "drain", broken)
    monkeypatch.setattr(client, "_flush_pending", broken_flush)
    client._pending_data_size = 1
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.run)
            server.kill()
            await until(lambda: not bus.state.connected)
            server.start()
            await bus.wait_connected()
            await until(lambda: all(task is None or task.done() for task in tasks_of_subs))
            assert await bus.request(commands_of("eu"), b"?") == b"?"
            tasks.cancel_scope.cancel()
    assert transport._io_writer.transport.is_closing()
    await bus.close()


async def test_a_server_that_stands_still_is_lost_after_some_pings(server: NatsServer) -> None:
    bus = connection(server.url)
    await bus.connect()

    async def publish_for_ever() -> NoReturn:
        while True:
            await bus.publish(events_of("eu"), b"1")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)
        server.stop()
        try:
            with pytest.raises(BusError):
                await publish_for_ever()  # it may take one or two yet before it stands
            with anyio.fail_after(PATIENCE_S):
                await until(lambda: not bus.state.connected)
        finally:
            server.go_on()
        with anyio.fail_after(PATIENCE_S):
            await bus.wait_connected()
        tasks.cancel_scope.cancel()
    await bus.close()


async def test_nobody_there_to_answer_is_said_at_once(server: NatsServer) -> None:
    bus = connection(server.url)
    await bus.connect()
    with anyio.fail_after(2.0), pytest.raises(NoAnswerError, match="nobody listens there"):
        await bus.request(commands_of("eu"), b"?")
    await bus.close()


async def test_presence_vanishes_where_it_is_not_renewed(
    server: NatsServer,
) -> None:
    bus = connection(server.url)
    await bus.connect()
    bucket = bus.bucket(PLACES_BUCKET)
    await bucket.create("eu", b"here")
    with anyio.fail_after(PATIENCE_S):
        while await bucket.get("eu") is not None:  # noqa: ASYNC110 - a server tells of no age
            await anyio.sleep(0.2)
        await bucket.create("eu", b"there")
    await bus.close()


async def refused(url: str, **options: object) -> str:
    bus = BusConnection(bus_address(url, **options), clock=SystemClock())  # type: ignore[arg-type]
    with anyio.fail_after(PATIENCE_S), pytest.raises(BusError) as told:
        await bus.connect()
    assert not bus.state.connected
    assert bus.state.why == str(told.value)
    assert "\n" not in bus.state.why
    return bus.state.why


async def test_a_server_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)  # not started
    assert await refused(server.url) == f"{server.url} cannot be reached: Connection refused"


async def test_a_server_with_little_room_keeps_fewer_events(tmp_path: Path) -> None:
    settings = tmp_path / "nats.conf"
    settings.write_text("jetstream { max_file_store: 2GB }", encoding="utf-8")
    with nats_server(tmp_path, "-c", str(settings)) as server:
        bus = connection(server.url)
        await bus.connect()
        assert await bus.publish(events_of("eu"), b"{}") == 1
        await bus.close()


async def test_a_server_with_too_little_room_says_how_much_it_needs(tmp_path: Path) -> None:
    settings = tmp_path / "nats.conf"
    settings.write_text("jetstream { max_file_store: 8MB }", encoding="utf-8")
    with nats_server(tmp_path, "-c", str(settings)) as server:
        assert await refused(server.url) == (
            f"{server.url} has no room for events: its JetStream's max_file_store leaves less than "
            "1 GB"
        )


async def test_a_server_without_jetstream_is_said_in_a_line(tmp_path: Path) -> None:
    with nats_server(tmp_path / "bus", jetstream=False) as server:
        assert await refused(server.url) == (
            f"{server.url} has no JetStream: start it with `nats-server -js`"
        )


async def test_a_wrong_password_is_refused_and_never_repeated(tmp_path: Path) -> None:
    with nats_server(tmp_path, *with_users(tmp_path, ("ann", "right-pass"))) as server:
        told = await refused(f"nats://ann:wrong-pass@127.0.0.1:{server.port}")
        assert told == f"nats://127.0.0.1:{server.port} refuses: Authorization Violation"
        bus = connection(f"nats://ann:right-pass@127.0.0.1:{server.port}")
        await bus.connect()
        assert bus.shown == f"nats://127.0.0.1:{server.port}"
        await bus.close()


async def test_a_server_that_speaks_tls_is_trusted_by_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    certificate.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    options = ["--tls", "--tlscert", str(chain), "--tlskey", str(key)]
    with nats_server(tmp_path / "bus", *options, scheme="tls") as server:
        assert "TLS: nobody this machine trusts" in await refused(server.url)
        trusted = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(trusted)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        bus = connection(server.url)
        await bus.connect()
        await bus.publish(events_of("eu"), b"1")
        await bus.close()


async def test_a_credentials_file_is_what_an_account_asks_for(tmp_path: Path) -> None:
    options, credentials = with_accounts(tmp_path)
    with nats_server(tmp_path / "bus", *options) as server:
        assert "Authorization Violation" in await refused(server.url)
        bus = BusConnection(bus_address(server.url, credentials), clock=SystemClock())
        await bus.connect()
        assert await bus.publish(events_of("eu"), b"1", after=0) == 1
        await bus.close()


async def test_a_password_for_tls_is_not_given_in_clear(tmp_path: Path) -> None:
    with nats_server(tmp_path, *with_users(tmp_path, ("ann", "right-pass"))) as server:
        told = await refused(f"tls://ann:right-pass@127.0.0.1:{server.port}")
        assert "TLS: the server speaks none there" in told


def certificate(folder: Path, name: str, issued: trustme.LeafCert) -> list[str]:
    """Return the options of a server that shows it."""
    key, chain = folder / f"{name}.key", folder / f"{name}.pem"
    issued.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    return ["--tls", "--tlscert", str(chain), "--tlskey", str(key)]


async def test_what_is_wrong_with_a_certificate_is_said_in_plain_words(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    expired = authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    for name, issued, words in (
        ("named", authority.issue_cert("bus.example"), "the server's certificate is for another"),
        ("old", expired, "the server's certificate has expired"),
    ):
        options = certificate(tmp_path, name, issued)
        with nats_server(tmp_path / name, *options, scheme="tls") as server:
            assert f"{server.url}: TLS: {words}" in await refused(server.url, authority=ca)
    options = certificate(tmp_path, "good", authority.issue_cert("127.0.0.1"))
    with nats_server(tmp_path / "good-bus", *options, scheme="tls") as server:
        told = await refused(server.url)
        assert "nobody this machine trusts vouches for the server's certificate; --bus-ca" in told
        bus = BusConnection(bus_address(server.url, authority=ca), clock=SystemClock())
        await bus.connect()
        await bus.close()


async def test_a_file_of_tls_that_is_gone_is_a_bus_that_is_away(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    bus = BusConnection(bus_address("tls://127.0.0.1:1", authority=ca), clock=SystemClock())
    ca.unlink()
    with pytest.raises(BusLostError, match="files of TLS for the bus cannot be used now: No such"):
        await bus.connect()
    assert not bus.state.connected


async def test_a_server_that_asks_for_a_certificate_is_shown_ours(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(ca)
    mine = authority.issue_cert("me@here")
    own.write_bytes(b"".join(pem.bytes() for pem in (*mine.cert_chain_pems, mine.private_key_pem)))
    options = certificate(tmp_path, "good", authority.issue_cert("127.0.0.1"))
    options += ["--tlsverify", "--tlscacert", str(ca)]
    with nats_server(tmp_path / "bus", *options, scheme="tls") as server:
        assert "certificate of ours, --bus-certificate" in await refused(server.url, authority=ca)
        address = bus_address(server.url, authority=ca, certificate=own)
        bus = BusConnection(address, clock=SystemClock())
        await bus.connect()
        assert await bus.publish(events_of("eu"), b"1", after=0) == 1
        await bus.close()


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x00\xffHTTP/1.1 400 hello\r\n\r\n",
        b'INFO {"server_id": [1,2,\r\n',
        b"INFO " + b"[" * 200_000 + b"\r\n",
        b'INFO {"server_id": 5, "max_payload": "x", "headers": "y", "connect_urls": [1]}\r\n',
        b"INFO 7\r\n",
        b"INFO [1]\r\n",
    ],
)
async def test_what_is_no_nats_server_is_said_to_be_none(
    greeting: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async def greet(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await stream.send(greeting)
                await stream.receive()
                await stream.send(b"PONG\r\n")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, greet)
        told = await refused(f"nats://ann:hunter2-hunter2@127.0.0.1:{port}")
        assert told == f"nats://127.0.0.1:{port} answers, and not as a NATS server does"
        tasks.cancel_scope.cancel()
    await listener.aclose()
    assert capfd.readouterr() == ("", "")
