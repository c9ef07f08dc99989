"""How many descriptors there may be, and that connections leave some."""

import errno
import os
import sys

import pytest

from probes.kit import descriptors
from probes.kit.descriptors import (
    RESERVED,
    descriptor_limit,
    leave_reserve,
    need_descriptor,
    raise_descriptor_limit,
    room_for_connections,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limits, as it sets them; the last is the one that holds."""
    held = [(256, 4096)]
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _what: held[-1])
    monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _what, pair: held.append(pair))
    return held


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (256, 4096, 4096),
        (1024, 1_048_576, 65_536),
        (64, 64, 64),
        (100_000, 1_048_576, 100_000),
        (256, -1, 65_536),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_it_may(
    limits: list[tuple[int, int]], soft: int, hard: int, raised: int
) -> None:
    limits.append((soft, hard))
    assert raise_descriptor_limit() == raised
    assert limits[-1] == (raised, hard)


def test_a_system_that_allows_less_than_it_says_is_asked_for_less(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits.append((256, -1))

    def refuse_much(_what: int, pair: tuple[int, int]) -> None:
        if pair[0] > 10_240:
            raise ValueError("not allowed to raise maximum limit")
        limits.append(pair)

    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse_much)
    assert raise_descriptor_limit() == 10_240


def test_connections_leave_the_last_numbers_alone(limits: list[tuple[int, int]]) -> None:
    limits.append((64, 64))
    leave_reserve(64 - RESERVED - 1)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is looked at
        leave_reserve(64 - RESERVED)
    assert caught.value.errno == errno.EMFILE
    limits.append((20, 20))
    leave_reserve(14)


def test_the_room_is_what_is_not_open_for_other_ends(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "_open", lambda: 30)
    limits.append((100, 100))
    assert room_for_connections(0) == 100 - RESERVED - 30
    assert room_for_connections(20) == 100 - RESERVED - 10
    limits.append((-1, -1))
    assert room_for_connections(0) is None


def test_none_left_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    need_descriptor()

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        need_descriptor()


def test_this_process_has_a_limit_or_none() -> None:
    limit = descriptor_limit()
    assert limit is None or limit > 0
