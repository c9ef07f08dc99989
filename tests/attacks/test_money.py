"""Billed is never above what the ledger knows, whoever is killed, and whenever."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from attacks.counting_server import Behaviour, CountingServer
from attacks.field import Field, Run, gone, until

from probes.money.ledger import Ledger

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
    billed, known = series_of_kills(tmp_path, kills=2, seed=1)
    assert 0 < billed <= known


@pytest.mark.long
def test_so_are_five_and_twenty(tmp_path: Path) -> None:
    billed, known = series_of_kills(tmp_path, kills=25, seed=2)
    print(f"25 kill -9: billed {billed:,}, the ledger knows {known:,}")  # noqa: T201
    assert 0 < billed <= known
    assert known <= billed + 25 * 4_000  # and one kill does not eat the budget


def test_a_killed_engine_has_spent_what_it_had_in_its_hands(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)]) as field:
        run = field.start()
        until(lambda: len(server.requests) >= 8)
        kill_engine(run)
        until(lambda: len(run.of_type("hello")) == 2)
        before = len(server.requests)
        until(lambda: len(server.requests) > before + 8)
        assert run.stop() == 0
        assert 0 < server.settled() <= field.known()


@pytest.mark.parametrize("command", ["once", "check"])
def test_a_command_killed_in_mid_stream_has_spent_all_it_had_reserved(
    tmp_path: Path, command: str
) -> None:
    slow = Behaviour(rate=30, notices_after_s=0.3)
    names = ("r",) if command == "once" else ("r", "s", "t")
    with CountingServer(slow) as server:
        routes = [route(server, name, max_tokens=200, retries=2) for name in names]
        with Field(tmp_path, routes) as field:
            process = field.command(command, "--config", str(field.config))
            until(lambda: len(server.requests) == len(names) and server.billed() > 40)
            process.kill()
            process.communicate()
            assert 0 < server.settled() <= field.known()


def test_a_run_that_ends_in_order_is_charged_what_it_was_billed(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)]) as field:
        run = field.start()
        until(lambda: len(server.requests) > 20)
        assert run.stop() == 0
        billed, known = server.settled(), field.known()
    assert billed <= known <= billed + 4 * 100  # what was cut off keeps its reservation


def in_a_namespace() -> tuple[str, ...]:
    """Return what runs a command in a PID namespace of its own, or skip the test."""
    unshare = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no PID namespace can be made here")
    return unshare


def test_containers_that_share_the_folder_neither_free_nor_settle_each_others_leases(
    tmp_path: Path,
) -> None:
    apart = in_a_namespace()
    slow = Behaviour(rate=20, answer_tokens=200)
    with CountingServer(slow) as server:
        routes = [route(server, max_tokens=200)]
        with Field(tmp_path, routes) as field:
            runs = [field.start(before=apart) for _ in range(2)]
            until(lambda: server.open >= 8)
            time.sleep(1.5)  # each has exchanged with the ledger since
            ledger = Ledger(field.ledger)
            leased = {run.id: run for run in ledger.report().runs}
            assert len(leased) == 2
            assert all(run.alive and run.leased_tokens >= 4 * 200 for run in leased.values())
            assert ledger.used() == (0, 0.0)
            for run in runs:
                run.kill()
            until(lambda: all(one.alive is False for one in ledger.report().runs))
            ledger.close()
            assert 0 < server.settled() <= field.known()


def held(run: Run) -> bool:
    """Tell whether the budget holds the run's route back now."""
    told = [event for event in run.of_type("held") if event["reason"] == "budget"]
    return bool(told) and not told[-1].get("released", False)


SMALL = "[budget]\nroute_tokens_per_hour = 3000\n"


def test_engines_of_one_run_use_a_small_budget_up_and_no_more(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)], SMALL) as field:
        run = field.start("--engines", "2")
        until(lambda: server.billed() > 2_600)
        assert run.stop() == 0
        assert 2_600 < server.settled() <= field.known() <= 3_000


def test_a_ledger_broken_after_the_budget_is_spent_gives_no_new_one(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)], SMALL) as field:
        run = field.start()
        until(lambda: held(run))
        run.kill()
        spent = server.settled()
        field.ledger.write_bytes(b"broken" * 999)
        again = field.start()
        until(lambda: held(again))
        until(lambda: again.of_type("notice"))
        (notice,) = [event["text"] for event in again.of_type("notice")]
        assert "was broken" in notice
        assert "kept as" in notice
        assert again.of_type("tick")[-1]["budgets"][0]["doubt"]
        again.stop()
        assert server.settled() - spent <= 30
        assert len(list(field.ledger.parent.glob("*.broken-*"))) == 1


def test_what_a_broken_ledger_knew_is_told_by_recordings(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)], SMALL) as field:
        run = field.start(record=True)
        until(lambda: server.billed() > 1_000)
        assert run.stop() == 0
        field.ledger.write_bytes(b"broken" * 999)
        again = field.start(record=True)
        until(lambda: held(again))
        assert again.stop() == 0
        assert 2_000 < server.settled() <= field.known() <= 3_000


def test_a_ledger_that_is_locked_is_waited_for_and_told_everything_later(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)]) as field:
        run = field.start()
        until(lambda: len(server.requests) > 8)
        other = sqlite3.connect(field.ledger, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        before = server.billed()
        until(lambda: held(run))
        until(lambda: run.of_type("notice"))
        assert run.of_type("hello")[0] is run.events[0]
        (notice,) = [event["text"] for event in run.of_type("notice")]
        assert "is locked; until it works again" in notice
        assert server.settled() - before <= 2 * 4 * 1_600 + 5_000  # its lease, and 1 %
        other.execute("ROLLBACK")
        other.close()
        until(lambda: not held(run))
        until(lambda: len(run.of_type("notice")) == 2)
        assert run.stop() == 0
        assert server.settled() <= field.known()


@pytest.mark.long
def test_five_runs_at_once_are_known_whoever_is_killed(tmp_path: Path) -> None:
    chance = random.Random(5)
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)]) as field:
        for _ in range(3):
            arguments: tuple[str, ...] = ("--engines", "2")
            runs = [field.start(*(arguments if number == 0 else ())) for number in range(5)]
            until(lambda runs=runs: all(run.of_type("first_token") for run in runs), 60.0)
            chance.shuffle(runs)
            kill_engine(runs[0])
            for run in runs[1:]:
                time.sleep(chance.uniform(0.0, 0.5))
                kill_both(run, engine_first=chance.random() < 0.5, apart_s=0.05)
            runs[0].stop()
        billed, known = server.settled(), field.known()
    print(f"5 runs at once: billed {billed:,}, the ledger knows {known:,}")  # noqa: T201
    assert 0 < billed <= known


@pytest.mark.long
def test_engines_of_one_run_are_known_whichever_is_killed(tmp_path: Path) -> None:
    with CountingServer(BUSY) as server, Field(tmp_path, [route(server)]) as field:
        run = field.start("--engines", "2")
        until(lambda: len(server.requests) > 16)
        for _ in range(2):
            before = len(server.requests)
            os.kill(min(children(run.process.pid)), signal.SIGKILL)
            until(lambda before=before: len(server.requests) > before + 16)
        assert run.stop() == 0
        billed, known = server.settled(), field.known()
    print(f"engines of one run: billed {billed:,}, the ledger knows {known:,}")  # noqa: T201
    assert 0 < billed <= known


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
