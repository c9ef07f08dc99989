"""Billed is never above what the ledger knows, whoever is killed, and whenever."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from attacks.counting_server import Behaviour, CountingServer
from attacks.field import Field, Run, gone, until

BUSY = Behaviour(rate=400)


def route(server: CountingServer, name: str = "r", **settings: object) -> dict[str, object]:
    """Return a route that probes back to back."""
    busy = {"concurrency": 4, "interval": 0, "max_tokens": 64, "retries": 0}
    return {"name": name, "base_url": server.base_url, "model": "m", **busy, **settings}


def kill_engine(run: Run) -> None:
    os.kill(run.engine, signal.SIGKILL)


def kill_both(run: Run, *, engine_first: bool, apart_s: float) -> None:
    """Kill a run's host and its engine, in either order."""
    engine = run.engine
    if engine_first:
        os.kill(engine, signal.SIGKILL)
        time.sleep(apart_s)
        run.kill()
    else:
        run.kill()
        time.sleep(apart_s)
        if not gone(engine):
            os.kill(engine, signal.SIGKILL)
    until(lambda: gone(engine))


def series_of_kills(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill a live run under load so often; return what was billed, and what the ledger knows."""
    chance = random.Random(seed)
    with CountingServer(BUSY) as server, Field(folder, [route(server)]) as field:
        for number in range(kills):
            run = field.start()
            before = len(server.requests)
            until(lambda before=before: len(server.requests) > before)
            time.sleep(chance.uniform(0.0, 1.2))
            kill_both(run, engine_first=number % 2 == 1, apart_s=chance.choice((0.0, 0.02, 0.2)))
        return server.settled(), field.known()


def test_a_killed_run_is_known_to_have_spent_what_was_billed(tmp_path: Path) -> None:
    billed, known = series_of_kills(tmp_path, kills=3, seed=1)
    assert 0 < billed <= known


@pytest.mark.long
def test_so_are_five_and_twenty(tmp_path: Path) -> None:
    billed, known = series_of_kills(tmp_path, kills=25, seed=2)
    print(f"25 kill -9: billed {billed:,}, the ledger knows {known:,}")  # noqa: T201
    assert 0 < billed <= known
    assert known <= billed + 25 * 4_000  # and one kill does not eat the budget
