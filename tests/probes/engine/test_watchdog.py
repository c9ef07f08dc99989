"""The deadlines of an attempt with the timeouts that a route has by default."""

import anyio
import pytest

from probes.config import Timeouts
from probes.engine.watchdog import Watchdog

pytestmark = pytest.mark.anyio


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the test say what time it is."""
    told = [1_000.0]
    monkeypatch.setattr(anyio, "current_time", lambda: told[0])
    return told


def due(watchdog: Watchdog) -> tuple[str, float]:
    """Return what the deadline stands for, and when it is."""
    return watchdog.phase, watchdog.scope.deadline - 1_000.0


async def test_each_stage_has_its_own_time_and_none_more_than_the_total(now: list[float]) -> None:
    watchdog = Watchdog(Timeouts())
    watchdog.started()
    assert due(watchdog) == ("connect", 10.0)
    now[0] += 8
    watchdog.connected()
    assert due(watchdog) == ("first_token", 60.0)
    now[0] += 50
    watchdog.output(58 * 10**9)
    assert due(watchdog) == ("stall", 58.0 + 30.5)  # noticed half a second too late at most
    now[0] += 230
    watchdog.output(288 * 10**9)
    assert due(watchdog) == ("total", 300.0)


async def test_a_body_left_open_is_closed_a_second_after_its_end_whatever_the_total(
    now: list[float],
) -> None:
    watchdog = Watchdog(Timeouts())
    now[0] += 299.5
    watchdog.terminal()
    assert due(watchdog) == ("linger", 300.5)
    now[0] += 0.9
    watchdog.terminal()  # said again: no more time for it
    assert due(watchdog) == ("linger", 300.5)


async def test_without_a_stream_only_connect_and_total_count(now: list[float]) -> None:
    watchdog = Watchdog(Timeouts(), streamed=False)
    watchdog.started()
    assert due(watchdog) == ("connect", 10.0)
    watchdog.connected()
    assert due(watchdog) == ("total", 300.0)


@pytest.mark.parametrize(("streamed", "told"), [(True, "first_token"), (False, "total")])
async def test_before_the_first_act_the_clocks_run_from_the_beginning(
    now: list[float], streamed: bool, told: str
) -> None:
    watchdog = Watchdog(Timeouts(), streamed=streamed)
    assert due(watchdog) == ("connect", 10.0)
    now[0] += 5
    watchdog.connected()
    assert due(watchdog) == (told, {"first_token": 60.0, "total": 300.0}[told])


async def test_an_end_of_our_own_is_one_unless_the_answer_was_over_before(now: list[float]) -> None:
    ends = {
        "cancelled": lambda watchdog: watchdog.cancel(),
        "cap_ignored": lambda watchdog: watchdog.cut(),
    }
    for phase, end in ends.items():
        watchdog = Watchdog(Timeouts())
        end(watchdog)
        assert watchdog.phase == phase
        for other in ends.values():
            other(watchdog)
            assert watchdog.phase == phase  # the first word counts
        watchdog.terminal()
        watchdog.output(10**12)
        assert watchdog.phase == phase
        assert watchdog.scope.cancel_called
    over = Watchdog(Timeouts())
    over.terminal()
    over.cancel()
    assert over.phase == "linger"
