"""Places over a real sshd: their keys, their clocks, and all that can befall the way to them.

Each needs seconds of wall time: processes, logins, and silence that has to last.
"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from msgspec.structs import replace
from peer_processes import served
from ssh_server import HOSTS, SshServer, ssh_server

from probes.config import Config, Route
from probes.config.places import GivenPlace, config_at
from probes.config.secrets import resolve_headers
from probes.control.commands import Pause, SetKnob
from probes.events import (
    AttemptFinished,
    Event,
    Held,
    Hello,
    Knob,
    PlaceReport,
    ProbeFinished,
    decode_event,
)
from probes.money.ledger import Ledger
from probes.run.replay import run_replay
from probes.run.session import Session
from probes.store.recording import Recorder

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

Kind = TypeVar("Kind", bound=Event)
LLMTOP = str(Path(sys.executable).with_name("llmtop"))
EU, US = (GivenPlace(host.partition(".")[0], "ssh", host, LLMTOP) for host in HOSTS)
HERE = GivenPlace("here", "local")
THERE_KEY = "sk-of-the-machine-there-4711"
HERE_KEY = "sk-of-this-machine-0815"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A provider that lets in whoever has the key of the machine there."""
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy"]
    environment = {**os.environ, "SIMULATOR_KEY": THERE_KEY}
    options = ["--api-key-env", "SIMULATOR_KEY", "--until-eof"]
    with served([*command, *options], r'"base_url":"([^"]+)"', environment) as url:
        yield f"{url}/v1"


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    monkeypatch.setenv("CHAT_KEY", HERE_KEY)
    for server in ssh_server(tmp_path / "ssh", {"CHAT_KEY": THERE_KEY}):
        monkeypatch.setenv("PATH", f"{server.path}{os.pathsep}{os.environ['PATH']}")
        yield server


class Run:
    """A session over places, and what it tells."""

    def __init__(
        self, base_url: str, *places: GivenPlace, record: Path | None = None, **settings: object
    ):
        made = {"api_key_env": "CHAT_KEY", "interval": 0.3, "max_tokens": 8, "evidence": False}
        route = Route(name="chat", base_url=base_url, model="healthy", **{**made, **settings})
        self.config = config_at(Config(routes=(route,)), *(place.name for place in places))
        here = [route for route in self.config.routes if route.place == "here"]
        self.heard: list[Event] = []
        self.session = Session(
            self.config,
            resolve_headers(Config(routes=tuple(here)), os.environ),
            recorder=None if record is None else Recorder.to_file(record),
            ledger=Ledger(None),
            places=places,
        )
        self.session.subscribe(lambda events, _lines: self.heard.extend(events))

    def of(self, kind: type[Kind], place: str = "") -> list[Kind]:
        """Return the events of one kind, of one place if it is named."""
        return [
            event
            for event in self.heard
            if isinstance(event, kind) and place in (getattr(event, "place", ""), *_route(event))
        ]

    def good(self, place: str) -> int:
        """Return how many probes of a place were ok."""
        return sum(event.outcome == "ok" for event in self.of(ProbeFinished, place))

    def state(self, place: str) -> str:
        """Return what was last told of a place."""
        reports = self.of(PlaceReport, place)
        return reports[-1].state if reports else ""

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for a condition."""
        with anyio.move_on_after(seconds):
            while not condition():  # noqa: ASYNC110 - other processes bring it about
                await anyio.sleep(0.02)
            return
        pytest.fail(f"{self.session.status}\n" + "\n".join(map(repr, self.of(PlaceReport))))

    async def until_good(self, *places: str, more: int = 2) -> None:
        """Wait until each place has so many more good probes."""
        before = {place: self.good(place) for place in places}
        await self.until(lambda: all(self.good(one) >= before[one] + more for one in places))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.session.run)
            yield
            self.session.stop()
        with anyio.fail_after(5):
            while not all(_gone(hello.pid) for hello in self.of(Hello)):  # noqa: ASYNC110
                await anyio.sleep(0.02)


def _route(event: Event) -> tuple[str, ...]:
    return ("", str(getattr(event, "route", "")).partition("@")[2])


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def test_three_places_probe_each_with_the_key_of_its_machine(
    base_url: str, sshd: SshServer, tmp_path: Path
) -> None:
    record = tmp_path / "run.jsonl"
    sshd.overhear()
    run = Run(base_url, EU, US, HERE, record=record)
    async with run.running():
        await run.until_good("eu", "us", more=4)
        await run.until(lambda: bool(run.of(AttemptFinished, "here")))
        # This machine has another key under that name, which the provider does not know.
        assert {event.reason for event in run.of(AttemptFinished, "here")} == {"auth"}
        assert [run.state(place) for place in ("eu", "us", "here")] == ["heard"] * 3
        run.session.command(SetKnob(route="chat@us", knob="concurrency", value=3))
        await run.until(lambda: bool(run.of(Knob)))
        run.session.command(Pause(paused=True))
        await run.until(lambda: len(run.of(Knob)) == 4)
        first, *others = run.of(Knob)
        assert (first.route, first.knob, first.after) == ("chat@us", "concurrency", 3)
        assert {knob.route for knob in others} == {"chat@eu", "chat@us", "chat@here"}
    for hello in run.of(Hello):
        assert (hello.clock_name, hello.boot_id) == ("CLOCK_REALTIME", "")
    # What goes to another machine holds none of our secrets, and nothing that comes back holds its.
    to, of = (sshd.folder / name for name in ("to_engines", "from_engines"))
    assert HERE_KEY.encode() not in to.read_bytes()
    assert THERE_KEY.encode() not in of.read_bytes() + record.read_bytes()
    # The machine there is this one: where its stamps should lie is known, and they lie no earlier,
    # and later by what the quickest of ten batches was on its way.
    (exact,) = run.of(Hello, "here")
    for raw in map(decode_event, filter(None, of.read_bytes().splitlines())):
        if isinstance(raw, Hello):
            (placed,) = (one for one in run.of(Hello) if one.engine == raw.engine)
            late_ns = placed.at_ns - raw.wall_ns
            assert -1_000_000 <= late_ns < 100_000_000, late_ns
    assert exact.at_ns == pytest.approx(exact.wall_ns)
    out = io.BytesIO()
    assert await run_replay([record], out=out, report=pytest.fail) == 0
    told = json.loads(out.getvalue().splitlines()[-1])["routes"]
    assert told == json.loads(json.dumps(run.session.board.summary()))


async def test_a_connection_that_is_cut_is_made_again_and_the_others_go_on(
    base_url: str, sshd: SshServer
) -> None:
    run = Run(base_url, EU, replace(HERE, name="far", way="ssh", host=HOSTS[1], command=LLMTOP))
    async with run.running():
        await run.until_good("eu", "far")
        sshd.cut()
        await run.until(lambda: run.state("eu") == run.state("far") == "unknown")
        (lost, *_) = (one for one in run.of(PlaceReport, "eu") if one.state == "unknown")
        assert lost.since_ns <= lost.at_ns
        assert "eu.test" in lost.detail
        await run.until(lambda: run.state("eu") == run.state("far") == "heard")
        await run.until_good("eu", "far")
        first, *_, last = run.of(Hello, "eu")
        assert first.engine != last.engine
        assert last.at_ns > first.at_ns
        await run.until(lambda: _gone(first.pid))  # nobody probes on for a cockpit that is gone


async def test_a_way_that_stands_still_is_silent_until_it_goes_on(
    base_url: str, sshd: SshServer
) -> None:
    run = Run(base_url, EU, HERE)
    async with run.running():
        await run.until_good("eu")
        last_ns = max(event.at_ns for event in run.of(ProbeFinished, "eu"))
        sshd.stall()
        await run.until(lambda: run.state("eu") == "silent")
        report = run.of(PlaceReport, "eu")[-1]
        assert 4e9 < report.at_ns - report.since_ns < 8e9
        assert report.since_ns >= last_ns
        assert run.state("here") == "heard"
        sshd.go_on()
        await run.until(lambda: run.state("eu") == "heard")
        await run.until_good("eu", more=4)
        # What waited is dated when it was, not when it came.
        ended = [event.at_ns for event in run.of(ProbeFinished, "eu")]
        assert [at_ns for at_ns in ended if report.since_ns < at_ns < report.at_ns]
        assert len(run.of(Hello, "eu")) == 1


@pytest.fixture
def talkative(tmp_path: Path) -> str:
    """What says something before it is llmtop, as the files of a login do."""
    path = tmp_path / "talkative"
    path.write_text(f'#!/bin/sh\nprintf "welcome\\nto this machine"\nexec {LLMTOP} "$@"\n')
    path.chmod(0o755)
    return str(path)


async def test_an_engine_that_is_killed_there_is_started_again(
    base_url: str, sshd: SshServer, talkative: str
) -> None:
    run = Run(base_url, EU, replace(US, command=talkative))
    async with run.running():
        await run.until_good("eu", "us")
        (hello,) = run.of(Hello, "eu")
        os.kill(hello.pid, signal.SIGKILL)
        await run.until(lambda: len(run.of(Hello, "eu")) == 2)
        await run.until_good("eu", "us")
        (held,) = (event for event in run.of(Held, "eu") if not event.released)
        assert held.reason == "restarting"
        assert held.detail.startswith("the engine at eu.test was killed, or the way to it was cut")
        assert run.state("us") == "heard"
        assert len(run.of(Hello, "us")) == 1


async def test_a_server_that_is_gone_is_tried_until_it_is_back(
    base_url: str, sshd: SshServer
) -> None:
    run = Run(base_url, EU, HERE)
    async with run.running():
        await run.until_good("eu")
        sshd.kill()
        await run.until(lambda: "Connection refused" in run.session.status.detail)
        assert run.session.status.engine == "place eu"
        assert run.session.status.state in ("restarting", "starting")
        assert run.state("eu") == "unknown"
        before = len(run.of(AttemptFinished, "here"))
        await run.until(lambda: len(run.of(AttemptFinished, "here")) > before + 2)
        sshd.start()
        run.session.retry()
        await run.until(lambda: run.state("eu") == "heard")
        await run.until_good("eu")


async def refused(run: Run, sshd: SshServer, words: str, mend: Callable[[], object]) -> None:
    """Have a place refused, see the other one go on, mend it, and ask for another try."""
    async with run.running():
        await run.until(lambda: run.state("eu") == "gone")
        report = run.of(PlaceReport, "eu")[-1]
        assert words in report.detail
        assert run.session.given_up == [("eu", report.detail)]
        assert not run.session.is_over
        assert run.session.status.state == "gave_up"
        await run.until(lambda: len(run.of(AttemptFinished, "here")) > 2)
        mend()
        run.session.retry()
        await run.until(lambda: run.state("eu") == "heard")
        await run.until_good("eu")


async def test_a_key_that_is_not_let_in_is_told_and_can_be_put_right(
    base_url: str, sshd: SshServer
) -> None:
    sshd.let_in("stranger")
    words = "eu.test does not let us in: Permission denied (publickey)"
    await refused(Run(base_url, EU, HERE), sshd, words, lambda: sshd.let_in("user"))


async def test_a_host_that_nobody_knows_is_not_believed(base_url: str, sshd: SshServer) -> None:
    sshd.forget_host()
    words = "the host key of eu.test is not known here: log in once by hand, ssh eu.test"
    await refused(Run(base_url, EU, HERE), sshd, words, sshd.know_host)


async def test_a_host_with_another_key_is_not_believed(base_url: str, sshd: SshServer) -> None:
    sshd.know_host("stranger")
    words = "the host key of eu.test has CHANGED"
    await refused(Run(base_url, EU, HERE), sshd, words, sshd.know_host)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("llmtop-is-not-here", ""),
        ("/nowhere/llmtop", "eu.test: there is no /nowhere/llmtop there"),
        ("/etc/passwd", "eu.test: /etc/passwd cannot be run there"),
        ("/bin/true", "the engine at eu.test ended: exit status 0"),
    ],
)
async def test_a_machine_without_llmtop_is_told(
    base_url: str, sshd: SshServer, command: str, words: str
) -> None:
    run = Run(base_url, replace(EU, command=command), HERE)
    async with run.running():
        await run.until(lambda: run.state("eu") == "gone")
        assert words in run.of(PlaceReport, "eu")[-1].detail
        await run.until(lambda: len(run.of(AttemptFinished, "here")) > 2)
    assert not run.of(Hello, "eu")


async def test_a_variable_that_is_missing_there_is_told_by_place_route_and_name(
    base_url: str, sshd: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSEWHERE_KEY", HERE_KEY)
    run = Run(base_url, EU, HERE, api_key_env="ELSEWHERE_KEY")
    async with run.running():
        await run.until(lambda: run.state("eu") == "gone")
        report = run.of(PlaceReport, "eu")[-1]
        assert report.place == "eu"
        assert report.detail == (
            "eu.test: routes.chat.api_key_env: environment variable ELSEWHERE_KEY is not set"
        )
        status = run.session.status
        assert (status.engine, status.detail) == ("place eu", report.detail)


def test_the_command_line_prints_places_and_tells_why_one_is_missing(
    base_url: str, sshd: SshServer, tmp_path: Path
) -> None:
    settings = tmp_path / "routes.toml"
    settings.write_text(
        f'[routes.chat]\nbase_url = "{base_url}"\nmodel = "healthy"\n'
        'api_key_env = "CHAT_KEY"\ninterval = 0.3\n'
    )
    settings.chmod(0o600)
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    del environment["CHAT_KEY"]  # of no use here: nothing is probed from here
    ways = ["--place", f"eu=ssh:eu.test:{LLMTOP}", "--place", "us=ssh:us.test:/nowhere/llmtop"]
    ended = subprocess.run(
        [LLMTOP, "--config", str(settings), *ways, "--headless", "--duration", "4"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        timeout=60,
        check=False,
    )
    *_, summary = map(json.loads, ended.stdout.splitlines())
    assert summary["routes"]["chat@eu"]["ok"] >= 2
    assert ended.stderr.decode() == "llmtop: place us: us.test: there is no /nowhere/llmtop there\n"
    assert ended.returncode == 1
