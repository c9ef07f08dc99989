"""The path of a connection: what is told of it, and when nothing is."""

import socket
import ssl
import struct
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from far_side import (
    authority_file,
    good,
    handshakes,
    http_proxy,
    listening,
    post,
    server_context,
    socks_proxy,
    transport_of,
)
from wire import Wire, chat_answer, serve

from probes.config import Tls
from probes.config.proxies import read_proxy
from probes.kit.clock import SystemClock
from probes.transport import Connecting, PathReading, StampingTransport
from probes.transport.path import UNTOLD, TcpInfo, TcpPath, read_tcp_info, tcp_info_of

pytestmark = pytest.mark.anyio

MS = 1_000
"""In µs."""
NS = 1_000_000
"""Of a millisecond."""
UNKNOWN = 0xFFFF_FFFF

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")


# What a reading is.


def kernels_answer(size: int = 256, **at: int) -> bytes:
    """`struct tcp_info` of a kernel that tells so many bytes, with numbers at their offsets."""
    told = bytearray(size)
    for offset, number in at.items():
        struct.pack_into("=I", told, int(offset.removeprefix("at_")), number)
    return bytes(told)


def test_the_numbers_are_read_where_linux_puts_them() -> None:
    told = kernels_answer(
        at_24=1, at_68=2, at_100=3, at_140=4, at_148=5, at_152=6, at_156=7, at_224=8
    )
    assert tcp_info_of(told) == TcpInfo(1, 2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("size", "known"),
    [
        (256, 8),
        (228, 8),
        (227, 7),
        (224, 7),  # before Linux 5.4
        (160, 7),
        (152, 5),
        (104, 3),  # before Linux 3.15
        (0, 0),
    ],
)
def test_what_a_kernel_does_not_tell_is_not_zero(size: int, known: int) -> None:
    info = tcp_info_of(kernels_answer(size))
    assert list(info) == [0] * known + [UNKNOWN] * (8 - known)


@on_linux
def test_this_kernel_tells_all_of_it() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        info = read_tcp_info(client)
        assert info is not None
        assert UNKNOWN not in info
        assert 0 < info.rtt_min_us <= info.rtt_us < 1_000 * MS
        assert info.data_segments_out == info.retransmits == 0
        client.sendall(b"x")
        told = read_tcp_info(client)
        assert told is not None
        assert told.data_segments_out == 1
    assert read_tcp_info(client) is None, "a closed socket tells nothing"


def test_a_unix_socket_has_no_path() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert read_tcp_info(ours) is None


# What is made of readings.

ANY_SOCKET = socket.socket.__new__(socket.socket)
HANDSHAKE = TcpInfo(0, 20 * MS, 0, 1, 20 * MS, 0, 0, 0)
"""A connection that has just been made over 20 ms."""
IDLE = TcpInfo(0, 20 * MS, 0, 20, 20 * MS, 10, 1, 0)
"""One after its first exchange."""


def path_over(*readings: TcpInfo | None) -> TcpPath:
    """A path whose kernel tells these, one after the other."""
    left = iter(readings)
    return TcpPath("server", lambda _socket: next(left))


def first_exchange(
    end: TcpInfo, *, handshake: TcpInfo = HANDSHAKE, waited_ms: float = 250
) -> PathReading:
    path = path_over(handshake, end, end)
    path.connected(ANY_SOCKET)
    path.begin()
    path.answered(int(waited_ms * NS))
    path.end()
    return path.take()


def second_exchange(
    before: TcpInfo,
    after: TcpInfo,
    *,
    waited_ms: float = 250,
    first_waited_ms: float = 250,
    end: TcpInfo | None = None,
) -> PathReading:
    """What is told of an exchange on a connection that was kept from one before."""
    path = path_over(HANDSHAKE, IDLE, IDLE, before, after, after if end is None else end)
    path.connected(ANY_SOCKET)
    path.begin()
    path.answered(int(first_waited_ms * NS))
    path.end()
    path.take()
    path.begin()
    path.answered(int(waited_ms * NS))
    path.end()
    return path.take()


def answered(before: TcpInfo, sample_ms: float, *, alone: bool = True) -> TcpInfo:
    """The reading after one segment that was acknowledged after so long: `alone`, or with the
    answer."""
    sample_us = int(sample_ms * MS)
    return before._replace(
        rtt_us=(7 * before.rtt_us + sample_us) // 8,
        rtt_min_us=min(before.rtt_min_us, sample_us),
        segments_in=before.segments_in + 1 + alone,
        data_segments_in=before.data_segments_in + 1,
        data_segments_out=before.data_segments_out + 1,
    )


def test_a_fresh_connection_tells_its_handshake_whatever_came_later() -> None:
    reading = first_exchange(answered(HANDSHAKE, 60))
    assert reading == PathReading(20 * NS, 20 * NS, 0, 0, "server")


def test_what_was_sent_again_in_the_handshake_counts_as_the_exchanges() -> None:
    handshake = HANDSHAKE._replace(rtt_us=0, retransmits=1, rtt_min_us=UNKNOWN)
    end = answered(IDLE, 20)._replace(retransmits=2, out_of_order=3)
    reading = first_exchange(end, handshake=handshake)
    assert reading == PathReading(None, 20 * NS, 2, 3, "server")


@pytest.mark.parametrize("sample_ms", [19.5, 20, 23, 45, 62, 120, 249])
def test_a_kept_connection_tells_the_sample_and_not_the_average(sample_ms: float) -> None:
    reading = second_exchange(IDLE, answered(IDLE, sample_ms))
    assert reading.rtt_ns == pytest.approx(sample_ms * NS, abs=8_000)
    assert reading.rtt_min_ns == min(20, sample_ms) * NS


def test_only_what_happened_in_the_exchange_counts() -> None:
    before = IDLE._replace(retransmits=4, out_of_order=7)
    after = answered(before, 22)
    end = after._replace(retransmits=6, out_of_order=12)
    reading = second_exchange(before, after, end=end)
    assert (reading.retransmits, reading.reordered) == (2, 5)
    assert reading.rtt_ns == pytest.approx(22 * NS, abs=8_000), "it was sent again later"


def test_counters_go_round() -> None:
    before = IDLE._replace(retransmits=UNKNOWN - 1, out_of_order=UNKNOWN - 2)
    after = answered(before, 22)._replace(retransmits=1, out_of_order=0)
    reading = second_exchange(before, after)
    assert (reading.retransmits, reading.reordered) == (3, 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            {}, {"data_segments_out": 3, "segments_in": 23}, id="two segments, each acknowledged"
        ),
        pytest.param(
            {}, {"data_segments_out": 3, "segments_in": 21}, id="two segments, one with the answer"
        ),
        pytest.param({}, {"data_segments_out": 1}, id="a request that never left"),
        pytest.param({"unacknowledged": 1}, {}, id="something was still on its way"),
        pytest.param({}, {"unacknowledged": 1}, id="nothing was acknowledged"),
        pytest.param({}, {"retransmits": 1}, id="it was sent again"),
        pytest.param({"rtt_us": 900 * MS}, {"rtt_us": 700 * MS}, id="below zero"),
        pytest.param({}, {"rtt_us": 19 * MS}, id="shorter than the shortest"),
        pytest.param({}, {"rtt_us": 52 * MS}, id="longer than the whole wait"),
        pytest.param({}, {"rtt_min_us": UNKNOWN}, id="no shortest one is known"),
        pytest.param({}, {"rtt_min_us": 0}, id="a kernel that fills in nothing"),
        pytest.param(
            {"data_segments_out": UNKNOWN}, {"data_segments_out": UNKNOWN}, id="an old kernel"
        ),
    ],
)
def test_where_it_is_not_one_sample_none_is_told(
    before: dict[str, int], after: dict[str, int]
) -> None:
    begun = IDLE._replace(**before)
    reading = second_exchange(begun, answered(begun, 22)._replace(**after))
    assert reading.rtt_ns is None
    assert reading.rtt_to == "server", "what else is known is told all the same"


def test_several_segments_may_have_one_acknowledgement() -> None:
    after = answered(IDLE, 22)._replace(data_segments_out=IDLE.data_segments_out + 3)
    assert second_exchange(IDLE, after).rtt_ns == pytest.approx(22 * NS, abs=8_000)
    prompt = second_exchange(IDLE, after, waited_ms=40)
    assert prompt.rtt_ns is None, "the answer may have carried another"


def test_the_first_sample_of_all_is_the_average() -> None:
    """The handshake's was lost with the segment that was sent again."""
    before = IDLE._replace(rtt_us=0, rtt_min_us=UNKNOWN)
    after = answered(IDLE, 22)._replace(rtt_us=22 * MS, rtt_min_us=22 * MS)
    assert second_exchange(before, after).rtt_ns == 22 * NS


@pytest.mark.parametrize(
    ("sample_ms", "told"),
    [(20.5, True), (25, True), (26, False), (40, False), (69, False), (71, True), (120, True)],
)
@pytest.mark.parametrize("how", ["with the answer", "after a prompt answer"])
def test_an_acknowledgement_that_may_have_waited_for_the_answer_is_not_the_networks(
    sample_ms: float, told: bool, how: str
) -> None:
    """Near the shortest it can have waited no time; beyond what anyone waits it is the network."""
    alone = how == "after a prompt answer"
    after = answered(IDLE, sample_ms, alone=alone)
    waited_ms = 250 if alone else sample_ms
    reading = second_exchange(
        IDLE, after, waited_ms=waited_ms, first_waited_ms=30 if alone else 250
    )
    assert (reading.rtt_ns is not None) is told


def test_on_a_long_way_a_fourth_of_it_is_near() -> None:
    far = IDLE._replace(rtt_us=200 * MS, rtt_min_us=200 * MS)
    assert second_exchange(far, answered(far, 245, alone=False)).rtt_ns is not None
    assert second_exchange(far, answered(far, 252, alone=False), waited_ms=260).rtt_ns is not None


@pytest.mark.parametrize("sent", [1, 3])
def test_a_request_that_nobody_answers_was_acknowledged_all_the_same(sent: int) -> None:
    after = answered(IDLE, 22)._replace(
        segments_in=IDLE.segments_in + 1,
        data_segments_in=IDLE.data_segments_in,
        data_segments_out=IDLE.data_segments_out + sent,
    )
    path = path_over(HANDSHAKE, IDLE, IDLE, IDLE, after)
    path.connected(ANY_SOCKET)
    path.answered(250 * NS)
    path.end()
    path.begin()
    path.end()
    assert path.take().rtt_ns == pytest.approx(22 * NS, abs=8_000)


def test_a_kernel_that_counts_nothing_says_nothing_of_resending() -> None:
    reading = first_exchange(HANDSHAKE._replace(data_segments_out=0))
    assert (reading.rtt_ns, reading.retransmits, reading.reordered) == (20 * NS, None, None)


def test_an_old_kernel_tells_what_it_knows() -> None:
    end = TcpInfo(0, 20 * MS, 2, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    assert first_exchange(end) == PathReading(20 * NS, None, 2, None, "server")


def test_where_the_kernel_tells_nothing_nothing_is_told() -> None:
    path = path_over(None)
    path.connected(ANY_SOCKET)
    path.begin()
    path.answered(250 * NS)
    path.end()
    assert path.take() == UNTOLD

    path = path_over(HANDSHAKE, IDLE, IDLE, None)
    path.connected(ANY_SOCKET)
    path.answered(250 * NS)
    path.end()
    path.take()
    path.begin()
    path.answered(250 * NS)
    path.end()
    assert path.take() == UNTOLD


def test_an_exchange_is_told_once_however_often_it_ends() -> None:
    path = path_over(HANDSHAKE, IDLE, None)
    path.connected(ANY_SOCKET)
    path.end()
    path.end()
    assert path.take().rtt_ns == 20 * NS
    assert path.take() == UNTOLD


# What this machine's kernel tells, over loopback.


def of(reading: PathReading) -> tuple[object, ...]:
    """What must hold of every reading over loopback; the rest of it."""
    assert reading.rtt_min_ns is not None
    assert 0 < reading.rtt_min_ns < 200 * NS
    assert reading.rtt_ns is None or reading.rtt_min_ns <= reading.rtt_ns + 8_000 < 300 * NS
    return reading.retransmits, reading.reordered, reading.rtt_to


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> Tls:
    return Tls(ca_file=authority_file(authority, tmp_path))


@on_linux
@pytest.mark.parametrize("tls", [False, True])
async def test_fresh_and_kept_connections(tls: bool, authority: trustme.CA, trusted: Tls) -> None:
    context = server_context(authority) if tls else None
    async with (
        serve(good, tls=context) as server,
        transport_of("stamping", tls=trusted) as transport,
    ):
        for number in range(4):
            await post(transport, server.url.replace("127.0.0.1", "localhost"))
            assert of(transport.path) == (0, 0, "server")
            assert number or transport.path.rtt_ns is not None, "the handshake's"
        assert server.connections == 1


@on_linux
async def test_a_servers_time_is_in_no_round_trip() -> None:
    """Not in an acknowledgement that came with the answer, nor in one that waited for it."""
    thinks_s = [*[0.15] * 3, *[0.02] * 6, *[0.15] * 3]

    async def play(wire: Wire) -> bool:
        await anyio.sleep(thinks_s[len(seen)])
        await wire.send(*chat_answer("a"))
        return True

    seen: list[int | None] = []
    async with serve(play) as server, transport_of("stamping") as transport:
        for _ in thinks_s:
            await post(transport, server.url)
            of(transport.path)
            seen.append(transport.path.rtt_ns)
    assert [told for told in seen if told is not None and told > 15 * NS] == []
    assert None not in seen[:3], "who takes long to answer acknowledges at once"
    assert seen[4:9].count(None) >= 4, "20 ms are the server's as well as the network's"
    # On a busy machine one of them may be acknowledged late.
    assert [told for told in seen[-3:] if told is not None]


@on_linux
async def test_a_large_request_has_no_round_trip_of_its_own() -> None:
    async with serve(good) as server, transport_of("stamping") as transport:
        for _ in range(2):
            await post(transport, server.url, b"x" * 300_000)
    assert of(transport.path)[2] == "server"
    assert transport.path.rtt_ns is None


@on_linux
async def test_a_connection_that_breaks_tells_what_it_was() -> None:
    async def leave(wire: Wire) -> bool:
        await anyio.sleep(0.1)
        if answers:
            answers.pop()
            return await good(wire)
        wire.reset()
        return False

    answers = [True]
    async with serve(leave) as server, transport_of("stamping") as transport:
        await post(transport, server.url)
        with pytest.raises(Exception, match="reset"):
            await post(transport, server.url)
        assert of(transport.path) == (0, 0, "server")
        assert transport.path.rtt_ns is not None


@on_linux
async def test_an_answer_that_never_comes_tells_what_it_was() -> None:
    async def hang(wire: Wire) -> bool:
        if not answers:
            await anyio.sleep(30)
        answers.pop()
        await anyio.sleep(0.1)
        return await good(wire)

    answers = [True]
    async with serve(hang) as server, transport_of("stamping") as transport:
        await post(transport, server.url)
        with anyio.move_on_after(0.3) as scope:
            await post(transport, server.url)
        assert scope.cancelled_caught
        assert of(transport.path) == (0, 0, "server")
        assert transport.path.rtt_ns is not None, "the kernel of the other end did answer"


@on_linux
async def test_a_handshake_of_tls_that_fails_tells_what_it_was(trusted: Tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with handshakes(context) as port, transport_of("stamping", tls=trusted) as transport:
        with pytest.raises(Exception, match="certificate"):
            await post(transport, f"https://localhost:{port}")
        assert of(transport.path) == (0, 0, "server")


@on_linux
async def test_what_was_told_of_one_exchange_is_told_of_no_other() -> None:
    async with serve(good) as server, transport_of("stamping") as transport:
        await post(transport, server.url)
        assert transport.path != UNTOLD
        with pytest.raises(Exception, match=r"[Rr]efused|failed"):
            await post(transport, f"http://127.0.0.1:{await _closed_port()}")
        assert transport.path == UNTOLD


async def _closed_port() -> int:
    async def nobody(_stream: Any) -> None: ...

    async with listening(nobody) as port:
        return port


@on_linux
@pytest.mark.parametrize("how", ["handed over", "tunnel", "socks"])
async def test_through_a_proxy_the_path_is_the_one_to_the_proxy(
    how: str, authority: trustme.CA, trusted: Tls
) -> None:
    tls = None if how == "handed over" else server_context(authority)
    proxy_of, scheme = (
        (socks_proxy(), "socks5") if how == "socks" else (http_proxy(delay_s=0.1), "http")
    )
    async with serve(good, tls=tls) as server, proxy_of as proxied:
        proxy = read_proxy(f"{scheme}://127.0.0.1:{proxied.port}")
        async with transport_of("stamping", tls=trusted, proxy=proxy) as transport:
            await post(transport, server.url.replace("127.0.0.1", "localhost"))
            assert of(transport.path) == (0, 0, "proxy")
            assert transport.path.rtt_ns is not None
            assert transport.path.rtt_ns < 20 * NS, "not what the proxy took to lead us through"
            await post(transport, server.url.replace("127.0.0.1", "localhost"))
            assert of(transport.path) == (0, 0, "proxy")


async def test_a_unix_socket_and_httpxs_transport_tell_nothing(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        serve(good, path=path) as server,
        transport_of("stamping", unix_socket=str(path)) as unix,
    ):
        await post(unix, server.url)
        assert unix.path == UNTOLD
    async with serve(good) as server, transport_of("httpx") as pooled:
        await post(pooled, server.url)
        assert pooled.path == UNTOLD


async def test_before_the_first_exchange_nothing_is_told() -> None:
    assert StampingTransport(SystemClock(), Connecting()).path == UNTOLD
