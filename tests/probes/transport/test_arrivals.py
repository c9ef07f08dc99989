"""Kernel stamps as monotonic time: true, or not taken for true."""

import socket
from collections.abc import Iterator

import pytest
from clocks import NS, ManualClock

from probes.kit.clock import SystemClock
from probes.transport.arrivals import DatedReads, WallOffset, ask_for_stamps, kernel_stamps

MS = NS // 1000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection; the second asks for stamps and does not block."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            accepted.setblocking(False)
            ask_for_stamps(accepted)
            yield client, accepted


def test_a_stamp_is_told_in_monotonic_time() -> None:
    clock = ManualClock()
    offset = WallOffset(clock)
    now_ns = clock.now_ns + 5 * MS
    stamp_ns = clock.wall_ns() + 3 * MS
    assert offset.arrival(stamp_ns, clock.now_ns, now_ns) == clock.now_ns + 3 * MS


@pytest.mark.parametrize("seconds", [-3600, -1, 1, 3600])
def test_a_stamp_of_a_wall_clock_that_was_set_is_not_believed(seconds: int) -> None:
    clock = ManualClock()
    offset = WallOffset(clock)
    began_ns = clock.now_ns
    clock.set_wall(seconds)
    stamp_ns = clock.wall_ns()
    clock.now_ns += MS
    assert offset.arrival(stamp_ns, began_ns, clock.now_ns) is None
    later_ns = clock.wall_ns()
    clock.now_ns += MS
    assert offset.arrival(later_ns, began_ns, clock.now_ns) == began_ns + MS


def test_a_small_step_of_the_wall_clock_is_found_within_a_moment() -> None:
    clock = ManualClock()
    offset = WallOffset(clock)
    clock.set_wall(0.01)
    clock.now_ns += 100 * MS
    stamp_ns = clock.wall_ns()
    assert offset.arrival(stamp_ns, clock.now_ns - 20 * MS, clock.now_ns) == clock.now_ns


def test_an_arrival_never_lies_before_the_read_before_nor_after_now() -> None:
    clock = ManualClock()
    offset = WallOffset(clock)
    now_ns = clock.now_ns
    assert offset.arrival(clock.wall_ns() + 30_000, now_ns - MS, now_ns) == now_ns
    assert offset.arrival(clock.wall_ns() - 30_000, now_ns - 10_000, now_ns) == now_ns - 10_000


@pytest.mark.skipif(not kernel_stamps(), reason="this kernel does not stamp arrivals")
def test_the_kernel_dates_bytes_by_their_arrival_not_by_their_reading(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = pair
    clock = SystemClock()
    arrivals = DatedReads(clock)
    before_ns = clock.monotonic_ns()
    client.sendall(b"early")
    sent_ns = clock.monotonic_ns()
    while clock.monotonic_ns() < sent_ns + 20 * MS:  # a reader that is busy
        pass
    assert arrivals.read(accepted) == b"early"
    assert before_ns - 50_000 <= arrivals.at_ns <= sent_ns + 50_000
    assert arrivals.by_kernel


def test_a_socket_without_stamps_is_dated_at_the_read_and_says_so() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            arrivals = DatedReads(SystemClock())
            client.sendall(b"x")
            before_ns = SystemClock().monotonic_ns()
            assert arrivals.read(accepted) == b"x"
            assert arrivals.at_ns >= before_ns
            assert not arrivals.by_kernel
            arrivals.begin(before_ns)
            assert arrivals.by_kernel == kernel_stamps()


def test_the_end_of_a_stream_has_no_stamp_and_spoils_none(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = pair
    arrivals = DatedReads(SystemClock())
    client.shutdown(socket.SHUT_WR)
    accepted.setblocking(True)
    assert arrivals.read(accepted) == b""
    assert arrivals.by_kernel == kernel_stamps()
