"""One run, whole: an engine, a board, a recording and a ledger that agree."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from os import getpid, getsid, kill, killpg
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from judges import SuspiciousDiagnostician
from recorded import recorded_events

from probes.config import Budget, Config, Route, Tls
from probes.control.commands import Adapt, Command, Lift, MarkTime, Pause, SetKnob, Thicken
from probes.diagnosis import Diagnostician
from probes.events import (
    SCHEMA_VERSION,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Event,
    Hello,
    Knob,
    Mark,
    Notice,
    ProbeFinished,
    Reference,
    SeenBefore,
    Tick,
    encode_event,
)
from probes.money.lease_rules import route_key
from probes.money.ledger import Ledger
from probes.run.funded import FundedEngine
from probes.run.session import Session
from probes.simulator.library import demo_routes
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.store.recording import Recorder

pytestmark = pytest.mark.anyio

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
ROUTE = Route(name="r", base_url="http://127.0.0.1:9", model="m", interval=0.1)
QUICK = HostLimits(backoff_first_s=0.02, stop_grace_s=1.0, terminate_grace_s=0.2)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger of one test."""
    made = Ledger(None)
    yield made
    made.close()


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait for a condition."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - another process brings it about
            await anyio.sleep(0.01)


@asynccontextmanager
async def running(session: Session) -> AsyncIterator[list[Event]]:
    """Run a session; give the list its events are collected in."""
    heard: list[Event] = []
    session.subscribe(lambda events, _lines: heard.extend(events))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        yield heard
        session.stop()


def fake_session(
    mode: str, ledger: Ledger, config: Config | None = None, judge: Diagnostician | None = None
) -> Session:
    """Return a session whose engines all behave as `mode`."""
    return Session(
        config or Config(routes=(ROUTE,)),
        {"r": {"Authorization": "Bearer s3cret-s3cret"}},
        recorder=None,
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, mode]),
        diagnostician=judge,
    )


def told(events: list[Event]) -> list[list[dict[str, Any]]]:
    """Return what each fake engine was told between Configure and Go."""
    marks = [event.text for event in events if isinstance(event, Mark)]
    return [json.loads(text) for text in marks if text.startswith("[")]


async def test_a_restarted_engine_is_told_knobs_pauses_and_money(ledger: Ledger) -> None:
    session = fake_session("good", ledger)
    async with running(session) as heard:
        await until(lambda: session.status.state == "running" and len(told(heard)) == 1)
        session.command(SetKnob(route="r", knob="concurrency", value=5))
        session.command(Pause(route="r", paused=True))
        (hello,) = (event for event in heard if isinstance(event, Hello))
        kill(hello.pid, signal.SIGKILL)
        await until(lambda: len(told(heard)) == 2)
    first, second = told(heard)
    assert [command["type"] for command in first] == ["allow"]
    assert [command["type"] for command in second] == ["allow", "set_knob", "pause"]
    assert second[1]["value"] == 5
    assert second[2]["paused"] is True
    assert session.status.restarts == 1


@pytest.mark.parametrize(
    ("evidence", "concurrency", "hanging", "expected"),
    [
        (True, 1, (), [Thicken(route="r", for_s=20.0)]),
        (True, 1, ("r",), [Thicken(route="r", for_s=20.0, fresh=True)]),
        (True, 2, ("r",), [Thicken(route="r", for_s=20.0)]),
        (False, 1, ("r",), []),
    ],
)
async def test_more_is_asked_of_a_route_that_is_suspected(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    evidence: bool,
    concurrency: int,
    hanging: tuple[str, ...],
    expected: list[Thicken],
) -> None:
    sent: list[Command] = []
    monkeypatch.setattr(FundedEngine, "send", lambda _engine, command: sent.append(command))
    route = msgspec.structs.replace(ROUTE, evidence=evidence)
    judge = SuspiciousDiagnostician("r", hanging=hanging)
    session = fake_session("good", ledger, Config(routes=(route,)), judge)
    session.command(SetKnob(route="r", knob="concurrency", value=concurrency))
    async with running(session) as heard:
        await until(lambda: sum(isinstance(event, Batch) for event in heard) >= 3)
        asked = [one for one in sent if isinstance(one, Thicken)]
        judge.told = judge.hang = frozenset()
        seen = len(heard)
        await until(lambda: len(heard) > seen + 1)
    assert asked == expected
    ends = [Thicken(route="r", for_s=0.0)] if expected else []
    assert [one for one in sent if isinstance(one, Thicken)] == [*expected, *ends]


def allowed(told: list[dict[str, Any]]) -> int:
    """Return the tokens that the route may spend by an `allow`."""
    (tokens,) = (one["tokens"] for one in told[0]["allowances"] if one["route"] == "r")
    return int(tokens)


async def test_a_run_that_spends_is_allowed_more_before_it_runs_dry(ledger: Ledger) -> None:
    async with running(fake_session("spend", ledger)) as heard:
        await until(lambda: len(told(heard)) >= 4)
        spent = sum(e.charged_tokens for e in heard if isinstance(e, AttemptFinished))
    steps = [allowed(one) for one in told(heard)]
    assert steps == sorted(steps)
    assert steps[-1] > max(spent, steps[0])


async def test_a_run_at_rest_leaves_the_ledger_alone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    exchange = Ledger.exchange
    monkeypatch.setattr(
        Ledger,
        "exchange",
        lambda *args, **named: asked.append(time.monotonic()) or exchange(*args, **named),
    )
    async with running(fake_session("good", ledger)) as heard:
        await until(lambda: len(told(heard)) == 1)
        await anyio.sleep(0.8)  # a second is how long it waits where something is spent
    assert len(asked) <= 3  # at the start, a first look, and at the end


async def test_what_a_dead_engine_had_in_its_hands_counts_as_spent(ledger: Ledger) -> None:
    session = fake_session("die_open", ledger)
    async with running(session) as heard:
        await until(lambda: any(isinstance(event, ProbeFinished) for event in heard))
    tokens, _usd = ledger.used(route_key(ROUTE))
    died = [event for event in heard if isinstance(event, AttemptFinished)]
    (allow, *_) = told(heard)[0]
    (handed,) = (one["tokens"] for one in allow["allowances"] if one["route"] == "r")
    assert tokens >= handed > 80 * len(died) > 0


async def test_a_dollar_budget_without_a_price_is_said_to_be_unenforceable(
    ledger: Ledger,
) -> None:
    config = Config(routes=(ROUTE,), budget=Budget(usd_per_hour=1.0))
    async with running(fake_session("good", ledger, config)) as heard:
        await until(lambda: any(isinstance(event, Notice) for event in heard))
    (notice,) = (event for event in heard if isinstance(event, Notice))
    assert notice.route == "r"
    assert "token budget holds" in notice.text


async def test_a_route_that_believes_any_certificate_is_said_to(ledger: Ledger) -> None:
    trusting = msgspec.structs.replace(ROUTE, base_url="https://h", tls=Tls(verify=False))
    async with running(fake_session("good", ledger, Config(routes=(trusting,)))) as heard:
        await until(lambda: any(isinstance(event, Notice) for event in heard))
    (notice,) = (event for event in heard if isinstance(event, Notice))
    assert (notice.route, "certificates are not verified" in notice.text) == ("r", True)


@pytest.mark.parametrize("lift", [Session.lift, lambda session: session.command(Lift())])
async def test_a_ledger_that_cannot_be_used_is_said_and_the_emergency_part_may_be_spent(
    tmp_path: Path, lift: Callable[[Session], None]
) -> None:
    (tmp_path / "file").write_text("no folder")
    ledger = Ledger(tmp_path / "file" / "ledger.sqlite3")
    session = fake_session("good", ledger)
    async with running(session) as heard:
        await until(lambda: any(isinstance(event, Notice) for event in heard) and told(heard) != [])
        assert session.status.state == "running"
        assert 0 < told(heard)[0][0]["allowances"][1]["tokens"] <= 5_000
        assert told(heard)[0][0]["allowances"][0]["doubt"]
        assert session.unliftable == ""
        lift(session)
        await until(lambda: sum(isinstance(event, Notice) for event in heard) == 2)
    ledger.close()
    assert isinstance(heard[0], Hello)
    (notice, lifted, *_) = (event for event in heard if isinstance(event, Notice))
    assert "until it works again" in notice.text
    assert "count from what is known" in lifted.text


async def test_a_recording_that_fails_is_a_notice_in_the_stream(
    tmp_path: Path, ledger: Ledger
) -> None:
    (tmp_path / "file").write_text("")
    session = Session(
        Config(routes=(ROUTE,)),
        {},
        recorder=Recorder.to_folder(tmp_path / "file", max_mb=1, max_days=1, flush_s=0.01),
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
    )
    async with running(session) as heard:
        await until(lambda: any(isinstance(event, Notice) for event in heard))
    (notice, *_) = (event for event in heard if isinstance(event, Notice))
    assert notice.text.startswith("not recording: ")


class KnownHistory:
    """A history that knows what was usual, and notes what it is given."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.asked: list[str] = []
        self.found: list[Any] = []
        """What was seen before and not told yet."""
        self.is_closed = False

    def start(self, report: Callable[[str], None], references: Callable[[], Any]) -> None:
        report("the history says something")
        assert references() == ()

    def warm(self, hello: Hello) -> list[Event]:
        self.asked.append(hello.place)
        return [Reference(at_ns=hello.at_ns, route="r", cohort="64/256", wall_ns=1)]

    def receive(self, events: list[Event], _lines: bytes) -> None:
        self.heard.extend(events)

    def seen(self, at_ns: int) -> list[Event]:
        found, self.found = self.found, []
        return [msgspec.structs.replace(one, at_ns=at_ns) for one in found]

    def close(self) -> None:
        self.is_closed = True


async def test_what_was_seen_before_is_told_as_soon_as_it_is_found_and_is_recorded(
    tmp_path: Path, ledger: Ledger
) -> None:
    history = KnownHistory()
    recorder = Recorder.to_folder(tmp_path, max_mb=1, max_days=1, flush_s=0.01)
    session = Session(
        Config(routes=(ROUTE,)),
        {},
        recorder=recorder,
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
        history=history,  # type: ignore[arg-type]
    )
    seen = SeenBefore(at_ns=0, cause="dns", routes=("r",), times=2, first_wall_ns=1, last_wall_ns=2)
    async with running(session) as heard:
        await until(lambda: bool(told(heard)))
        history.found = [seen]
        await until(lambda: any(isinstance(event, SeenBefore) for event in heard))
    (there,) = (event for event in heard if isinstance(event, SeenBefore))
    assert there == msgspec.structs.replace(seen, at_ns=there.at_ns)
    assert there.at_ns >= next(event.at_ns for event in heard if isinstance(event, Hello))
    assert [e for e in recorded_events(recorder.path) if isinstance(e, SeenBefore)] == [there]


async def test_what_was_usual_before_stands_right_behind_the_first_hello_and_is_recorded(
    tmp_path: Path, ledger: Ledger
) -> None:
    history = KnownHistory()
    recorder = Recorder.to_folder(tmp_path, max_mb=1, max_days=1, flush_s=0.01)
    session = Session(
        Config(routes=(ROUTE,)),
        {},
        recorder=recorder,
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
        history=history,  # type: ignore[arg-type]
    )
    async with running(session) as heard:
        await until(lambda: len(told(heard)) == 1)
        kill(next(event for event in heard if isinstance(event, Hello)).pid, signal.SIGKILL)
        await until(lambda: len(told(heard)) == 2)
    kinds = [type(event) for event in heard]
    assert kinds[:2] == [Hello, Reference]
    assert (kinds.count(Hello), kinds.count(Reference)) == (2, 1)
    assert [type(event) for event in recorded_events(recorder.path)][:2] == [Hello, Reference]
    assert history.asked == [""]
    assert [type(event) for event in history.heard][:2] == [Hello, Reference]
    assert history.is_closed
    assert "the history says something" in {
        event.text for event in heard if isinstance(event, Notice)
    }


@pytest.fixture
def provider() -> Iterator[str]:
    """Base URL of an embedded provider in a process of its own."""
    argv = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy", "--until-eof"]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["base_url"]
        process.stdin.close()


@pytest.mark.parametrize(("in_process", "engines"), [(False, 1), (True, 1), (False, 2)])
async def test_a_real_engine_measures_a_real_server_and_all_accounts_agree(
    provider: str, tmp_path: Path, ledger: Ledger, in_process: bool, engines: int
) -> None:
    route = demo_routes(provider, "healthy")[0]
    config = Config(routes=(route,))
    recorder = Recorder.to_folder(tmp_path, max_mb=1, max_days=1, flush_s=0.01)
    session = Session(
        config, {}, recorder=recorder, ledger=ledger, in_process=in_process, engines=engines
    )
    async with running(session) as heard:
        session.command(SetKnob(route=route.name, knob="interval", value=0.1))
        await until(lambda: _ok(heard) >= 3, seconds=20.0)
        session.command(MarkTime(text="enough"))
        await until(lambda: any(isinstance(event, Mark) for event in heard))
    recorded = recorded_events(recorder.path)
    finished = [event for event in heard if isinstance(event, AttemptFinished)]
    assert [event for event in recorded if isinstance(event, AttemptFinished)] == finished
    assert ledger.used(route_key(route))[0] == sum(event.charged_tokens for event in finished)
    summary = session.board.summary()[route.name]
    assert summary["ok"] == _ok(heard)
    assert session.status.noise == 0
    assert session.status.restarts == 0


def _ok(events: list[Event]) -> int:
    return sum(isinstance(event, ProbeFinished) and event.outcome == "ok" for event in events)


async def test_a_real_engine_heeds_only_the_signal_that_is_meant_for_it(
    provider: str, ledger: Ledger
) -> None:
    config = Config(routes=demo_routes(provider, "healthy"))
    session = Session(config, {}, recorder=None, ledger=ledger, limits=QUICK)
    async with running(session) as heard:
        await until(lambda: session.status.state == "running")
        (hello,) = (event for event in heard if isinstance(event, Hello))
        assert getsid(hello.pid) == hello.pid
        killpg(hello.pid, signal.SIGINT)
        killpg(hello.pid, signal.SIGHUP)
        session.command(MarkTime(text="alive"))
        await until(lambda: any(isinstance(event, Mark) for event in heard))
        kill(hello.pid, signal.SIGTERM)
        await until(lambda: sum(isinstance(event, Hello) for event in heard) == 2)
    assert session.status.restarts == 1


async def test_a_real_engine_that_is_killed_comes_back_with_its_knobs(
    provider: str, ledger: Ledger
) -> None:
    (route, *_) = demo_routes(provider, "healthy")
    session = Session(Config(routes=(route,)), {}, recorder=None, ledger=ledger, limits=QUICK)
    async with running(session) as heard:
        await until(lambda: session.status.state == "running")
        session.command(SetKnob(route=route.name, knob="concurrency", value=7))
        await until(lambda: any(isinstance(event, Knob) for event in heard))
        (hello,) = (event for event in heard if isinstance(event, Hello))
        kill(hello.pid, signal.SIGKILL)
        await until(lambda: _targets(heard)[-1:] == [7] and session.status.restarts == 1)
        await until(lambda: _ok(heard) >= 1)
    started = [event.probe for event in heard if isinstance(event, AttemptStarted)]
    ended = [event.probe for event in heard if isinstance(event, ProbeFinished)]
    assert sorted(set(started)) == sorted(ended)


def _targets(events: list[Event]) -> list[int]:
    """Return the concurrency that each tick after the last hello shows."""
    targets: list[int] = []
    for event in events:
        if isinstance(event, Hello):
            targets.clear()
        elif isinstance(event, Tick):
            targets.append(event.routes[0].target)
    return targets


def test_a_real_engine_dies_with_its_host(provider: str, tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        "import sys, anyio\n"
        "from probes.config import Config\n"
        "from probes.events import Hello\n"
        "from probes.money.ledger import Ledger\n"
        "from probes.run.session import Session\n"
        "from probes.simulator.library import demo_routes\n"
        "def tell(events, lines):\n"
        "    for event in events:\n"
        "        if isinstance(event, Hello):\n"
        "            print(event.pid, flush=True)\n"
        "config = Config(routes=demo_routes(sys.argv[1], 'healthy'))\n"
        "session = Session(config, {}, recorder=None, ledger=Ledger(None))\n"
        "session.subscribe(tell)\n"
        "anyio.run(session.run)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script), provider],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    ) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        host.kill()
    deadline = time.monotonic() + 2.0  # one second by the rules, and one for a busy machine
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _children() -> set[int]:
    """Return the engines that this process has started and that still run."""
    script = Path(f"/proc/{getpid()}/task/{getpid()}/children")
    pids = [int(pid) for pid in script.read_text().split()]
    return {pid for pid in pids if b"-m\0probes\0" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists processes as Linux does")
async def test_two_real_engines_share_one_run_and_leave_nothing_behind(
    provider: str, ledger: Ledger
) -> None:
    route = msgspec.structs.replace(demo_routes(provider, "healthy")[0], interval=0.2)
    session = Session(
        Config(routes=(route,)), {}, recorder=None, ledger=ledger, limits=QUICK, engines=2
    )
    async with running(session) as heard:
        session.command(SetKnob(route=route.name, knob="concurrency", value=4))
        await until(lambda: _lives(heard) == {"1", "2"}, seconds=20.0)
        engines = _children()
        assert len(engines) == 2
        await until(lambda: _targets(heard)[-1:] == [4])
        session.command(SetKnob(route=route.name, knob="concurrency", value=3))
        session.command(MarkTime(text="here"))
        await until(lambda: _targets(heard)[-1:] == [3] and len(_targets(heard)) >= 4)
        kill(min(engines), signal.SIGKILL)
        await until(lambda: _lives(heard) == {"1", "2", "3"}, seconds=20.0)
        assert session.status.restarts == 1
    assert not _children()
    assert sum(isinstance(event, Hello) for event in heard) == 1
    assert sum(isinstance(event, Mark) for event in heard) == 1
    ticks = [event.at_ns for event in heard if isinstance(event, Tick)]
    assert len(ticks) <= (ticks[-1] - ticks[0]) / 1e9 + 2
    knobs = [(event.before, event.after) for event in heard if isinstance(event, Knob)]
    assert knobs == [(float(route.concurrency), 4.0), (4.0, 3.0)]
    started = {event.probe for event in heard if isinstance(event, AttemptStarted)}
    ended = [event.probe for event in heard if isinstance(event, ProbeFinished)]
    assert sorted(started) == sorted(ended)
    charged = sum(e.charged_tokens for e in heard if isinstance(e, AttemptFinished))
    assert ledger.used(route_key(route))[0] >= charged  # the killed one may have spent more


def _lives(events: list[Event]) -> set[str]:
    """Return the ids of the engines whose probes were seen."""
    return {e.probe.partition("-")[0] for e in events if isinstance(e, AttemptStarted)}


def test_its_routes_are_on_the_board_before_any_engine_speaks(ledger: Ledger) -> None:
    heard: list[Event] = []
    session = Session(Config(routes=(ROUTE,)), {}, recorder=None, ledger=ledger)
    session.subscribe(lambda events, _: heard.extend(events))
    (row,) = session.board.snapshot().routes
    assert (row.name, row.target, row.state) == (ROUTE.name, ROUTE.concurrency, "starting")
    assert heard == []  # the stream tells nothing that an engine has not said


def test_the_hello_is_the_first_of_a_stream_whatever_comes_with_it(ledger: Ledger) -> None:
    """Of several engines one may die before another, in the same batch, introduces itself."""
    session = Session(
        Config(routes=(ROUTE,)), {}, recorder=None, ledger=ledger, limits=QUICK, engines=2
    )
    heard: list[Event] = []
    lines: list[bytes] = []

    def subscriber(events: list[Event], printed: bytes) -> None:
        heard.extend(events)
        lines.append(printed)

    session.subscribe(subscriber)
    hello = Hello(
        at_ns=7, wall_ns=7, engine="2", version="1", schema=SCHEMA_VERSION, pid=1, routes=()
    )
    batch: list[Event] = [
        Notice(at_ns=3, route="", text="an engine died"),
        hello,
        Mark(at_ns=8, text="m"),
    ]
    session._stream.receive(batch, b"".join(map(encode_event, batch)))
    assert [type(event) for event in heard] == [Hello, Mark, Notice]
    assert b"".join(lines) == b"".join(map(encode_event, heard))
    assert heard[-1].at_ns == hello.at_ns


def switched(heard: list[Event]) -> list[tuple[float, float, str]]:
    """Return what was told of a concurrency that finds itself."""
    knobs = [one for one in heard if isinstance(one, Knob) and one.knob == "auto"]
    return [(one.before, one.after, one.who) for one in knobs]


async def test_what_was_switched_before_the_engine_spoke_is_told_once_behind_its_hello(
    ledger: Ledger,
) -> None:
    session = fake_session("good", ledger)
    session.command(Adapt(route="r", on=True, who="user"))
    async with running(session) as heard:
        await until(lambda: len(told(heard)) == 1)
    assert isinstance(heard[0], Hello)
    assert switched(heard) == [(0, 1, "restart")]


async def test_what_was_switched_back_before_the_engine_spoke_is_not_told(ledger: Ledger) -> None:
    session = fake_session("good", ledger)
    for on in (True, False):
        session.command(Adapt(route="r", on=on))
    async with running(session) as heard:
        await until(lambda: len(told(heard)) == 1)
    assert switched(heard) == []


@pytest.mark.parametrize("goes_back", [True, False])
def test_only_a_run_that_is_looked_at_keeps_a_way_back(
    goes_back: bool, ledger: Ledger, tmp_path: Path
) -> None:
    recorder = Recorder.to_folder(tmp_path, max_mb=1, max_days=1)
    config = Config(routes=(ROUTE,))
    session = Session(config, {}, recorder=recorder, ledger=ledger, goes_back=goes_back)
    assert (session.timeline is not None) == goes_back
