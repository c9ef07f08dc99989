"""The engine's host against children that behave and misbehave."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import pytest
from clocks import ManualClock
from msgspec.structs import replace

from probes.control.commands import Command, Configure, Go, MarkTime, SetKnob, Stop
from probes.events import (
    SCHEMA_VERSION,
    AttemptFinished,
    Batch,
    Event,
    Held,
    Hello,
    Mark,
    Notice,
    ProbeFinished,
    decode_event,
    encode_event,
)
from probes.kit.clock import Clock, SystemClock
from probes.sources.child_process import (
    PACKAGE_ROOT,
    engine_argv,
    engine_environment,
    launch_process,
)
from probes.sources.in_process import launch_task
from probes.sources.rules import HostLimits
from probes.sources.supervised import READ_BYTES, OpenWork, SupervisedEngine

pytestmark = pytest.mark.anyio

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
QUICK = HostLimits(
    silent_after_s=0.5,
    kill_after_s=1.5,
    check_s=0.05,
    stop_grace_s=0.5,
    terminate_grace_s=0.2,
    backoff_first_s=0.02,
    backoff_max_s=0.1,
    line_bytes=4000,
)
PATIENT = replace(QUICK, silent_after_s=5.0, kill_after_s=10.0)


@dataclass
class Heard:
    """Everything a host delivered."""

    events: list[Event] = field(default_factory=list)
    lines: bytes = b""

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch."""
        self.events += events
        self.lines += lines

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def marks(self) -> list[str]:
        """Texts of all marks."""
        return [event.text for event in self.events if isinstance(event, Mark)]

    @property
    def pids(self) -> list[int]:
        """Process ids of the engines that introduced themselves."""
        return [event.pid for event in self.events if isinstance(event, Hello)]


async def prepare(engine: str) -> list[Command]:
    """Return the least an engine must be told."""
    return [Configure(engine=engine, routes=()), Go()]


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait for a condition."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - another process brings it about
            await anyio.sleep(0.01)


def gone(pid: int) -> bool:
    """Tell whether a process has ended and been reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@asynccontextmanager
async def hosted(
    *modes: str,
    limits: HostLimits = PATIENT,
    prepare: Callable[[str], Awaitable[list[Command]]] = prepare,
    scrub: Callable[[str], str] = str,
) -> AsyncIterator[tuple[SupervisedEngine, Heard]]:
    """Run a host whose engines behave as `modes`, the last one again and again."""
    heard = Heard()
    left = list(modes)

    async def launch(tasks: anyio.abc.TaskGroup):  # type: ignore[no-untyped-def]
        mode = left.pop(0) if len(left) > 1 else left[0]
        return await launch_process(tasks, argv=[sys.executable, "-P", FAKE, mode])

    host = SupervisedEngine(prepare, heard.receive, launch=launch, limits=limits, scrub=scrub)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)
        try:
            yield host, heard
        finally:
            host.stop()
    assert host.status.state == "stopped"
    assert all(gone(pid) for pid in heard.pids)


async def test_events_arrive_in_order_and_durable_lines_leave_out_the_transient_ones() -> None:
    async with hosted("good") as (host, heard):
        await until(lambda: len(heard.events) > 4)
        assert host.status.state == "running"
    kinds = [type(decode_event(line)).__name__ for line in heard.lines.splitlines()]
    assert kinds == ["Hello", "Mark", "Mark"]
    assert heard.marks[-1] == "stopping"


async def test_commands_reach_the_engine() -> None:
    async with hosted("good") as (host, heard):
        await until(lambda: bool(heard.pids))
        host.send(MarkTime(text="now"))
        await until(lambda: "now" in heard.marks)


async def test_an_interrupt_of_the_terminal_leaves_the_engine_alone() -> None:
    async with hosted("good") as (host, heard):
        await until(lambda: bool(heard.pids))
        assert os.getsid(heard.pids[0]) != os.getsid(0)
        os.kill(heard.pids[0], signal.SIGINT)
        os.kill(heard.pids[0], signal.SIGHUP)
        host.send(MarkTime(text="alive"))
        await until(lambda: "alive" in heard.marks)


async def test_a_killed_engine_is_replaced_and_what_it_left_open_is_ended_for_it() -> None:
    async with hosted("die_open", "good") as (host, heard):
        await until(lambda: len(heard.pids) == 2)
        await until(lambda: host.status.state == "running")
        assert host.status.restarts == 1
    attempt = heard.of(AttemptFinished)[0]
    probe = heard.of(ProbeFinished)[0]
    assert isinstance(attempt, AttemptFinished)
    assert isinstance(probe, ProbeFinished)
    assert (attempt.outcome, attempt.reason) == ("cancelled", "engine_died")
    assert attempt.charged_tokens == 80
    assert (probe.outcome, probe.reason) == ("cancelled", "engine_died")
    order = [type(event).__name__ for event in heard.events]
    died, reborn = order.index("AttemptFinished"), order.index("Hello", 1)
    assert died < order.index("Held") < reborn
    durable = [event for event in heard.events if not isinstance(event, Batch)]
    assert [decode_event(line) for line in heard.lines.splitlines()] == durable
    held = heard.of(Held)
    assert [event.released for event in held if isinstance(event, Held)] == [False, True]


async def test_each_engine_is_told_the_desired_state_before_go() -> None:
    async def with_knob(engine: str) -> list[Command]:
        knob = SetKnob(route="r", knob="concurrency", value=int(engine) * 3)
        return [Configure(engine=engine, routes=()), knob, Go()]

    async with hosted("die_open", "good", prepare=with_knob) as (_, heard):
        await until(lambda: len(heard.marks) == 2)
    assert '"value": 3' in heard.marks[0]
    assert '"value": 6' in heard.marks[1]
    assert [event.engine for event in heard.events if isinstance(event, Hello)] == ["1", "2"]


async def test_a_crash_loop_is_given_up_until_someone_asks_for_another_try() -> None:
    def scrub(text: str) -> str:
        return text.replace("hunter2", "***")

    async with hosted("crash", "crash", "crash", "good", scrub=scrub) as (host, heard):
        await until(lambda: host.status.state == "gave_up")
        assert len(heard.pids) == 3
        assert host.status.last_words == "boom �red ***"
        assert "exit status 3" in host.status.detail
        host.retry()
        await until(lambda: host.status.state == "running")
    assert len(heard.pids) == 4


async def test_a_program_that_cannot_start_is_given_up_with_the_reason() -> None:
    heard = Heard()
    launch = partial(launch_process, argv=["/nonexistent/python"])
    host = SupervisedEngine(prepare, heard.receive, launch=launch, limits=QUICK)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)
        await until(lambda: host.status.state == "gave_up")
        assert "No such file" in host.status.detail
        host.stop()


async def test_a_stopped_engine_is_first_said_to_be_silent_then_killed() -> None:
    async with hosted("good", limits=QUICK) as (host, heard):
        await until(lambda: bool(heard.pids))
        os.kill(heard.pids[0], signal.SIGSTOP)
        await until(lambda: host.status.state == "silent")
        assert host.status.silent_s >= 0.5
        await until(lambda: len(heard.pids) == 2)
        assert gone(heard.pids[0])


async def test_noise_is_counted_and_shown_harmless_and_stderr_never_blocks() -> None:
    async with hosted("noise") as (host, heard):
        await until(lambda: host.status.noise == 2)
        assert host.status.detail == "not an event: not json �"
        host.send(MarkTime(text="still here"))
        await until(lambda: "still here" in heard.marks)


async def test_an_engine_that_will_not_end_is_killed_within_the_grace() -> None:
    async with hosted("deaf", limits=PATIENT) as (_, heard):
        await until(lambda: bool(heard.marks))
        asked = time.monotonic()
    assert time.monotonic() - asked < 2.0
    probe = heard.of(ProbeFinished)[-1]
    assert isinstance(probe, ProbeFinished)
    assert probe.reason == "stopped"


async def test_a_held_host_stops_reading_and_no_silence_is_held_against_the_engine() -> None:
    async with hosted("flood", limits=QUICK) as (host, heard):
        await until(lambda: len(heard.marks) > 10)
        host.hold()
        await anyio.sleep(0.1)
        seen = len(heard.marks)
        await anyio.sleep(1.8)  # longer than silence is tolerated
        assert len(heard.marks) == seen
        assert host.status.state == "running"
        host.release()
        await until(lambda: len(heard.marks) > seen)


async def test_cancelling_the_host_leaves_no_engine_behind() -> None:
    heard = Heard()
    launch = partial(launch_process, argv=[sys.executable, "-P", FAKE, "deaf"])
    host = SupervisedEngine(prepare, heard.receive, launch=launch, limits=PATIENT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)
        await until(lambda: bool(heard.pids))
        await until(lambda: len(heard.events) == 3)
        tasks.cancel_scope.cancel()
    assert gone(heard.pids[0])
    assert [event.reason for event in heard.events if isinstance(event, ProbeFinished)] == [
        "stopped"
    ]


async def echoing_engine(
    receive_commands: AsyncIterator[Command],
    write: Callable[[bytes], Awaitable[None]],
    *,
    clock: Clock,
) -> None:
    """An engine of three lines, in this loop."""
    async for command in receive_commands:
        if isinstance(command, Configure):
            hello = Hello(
                at_ns=1, wall_ns=1, engine=command.engine, version="0", routes=(), schema=1
            )
            await write(encode_event(hello))
        elif isinstance(command, MarkTime) and command.text == "raise":
            raise ValueError("a defect")
        elif isinstance(command, MarkTime):
            await write(encode_event(Mark(at_ns=2, text=command.text)))
        elif isinstance(command, Stop):
            return


async def test_an_engine_in_the_same_loop_is_hosted_by_the_same_rules() -> None:
    heard = Heard()
    launch = partial(launch_task, run_engine=echoing_engine, clock=SystemClock())
    host = SupervisedEngine(prepare, heard.receive, launch=launch, limits=PATIENT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)
        await until(lambda: host.status.state == "running")
        host.send(MarkTime(text="here"))
        await until(lambda: heard.marks == ["here"])
        host.send(MarkTime(text="raise"))
        await until(lambda: len(heard.pids) == 2)
        assert "ValueError: a defect" in host.status.last_words
        host.stop()
    assert host.status.state == "stopped"


@asynccontextmanager
async def gathering(clock: ManualClock) -> AsyncIterator[tuple[SupervisedEngine, Heard]]:
    """Run a host that reads every half a second what an echoing engine says."""
    heard = Heard()
    launch = partial(launch_task, run_engine=echoing_engine, clock=clock)
    limits = replace(PATIENT, line_bytes=2 * READ_BYTES)
    host = SupervisedEngine(prepare, heard.receive, launch=launch, limits=limits, clock=clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)
        await clock.advance(0.1)
        host.gather(0.5)
        host.send(MarkTime(text="first"))
        await clock.advance(0.1)
        try:
            yield host, heard
        finally:
            host.stop()
            await clock.advance(2.0)


async def test_a_gathering_host_takes_all_at_once_half_a_second_later() -> None:
    clock = ManualClock()
    async with gathering(clock) as (host, heard):
        batches: list[list[str]] = [heard.marks]
        for text in "abc":
            host.send(MarkTime(text=text))
            await clock.advance(0.1)
            batches.append(heard.marks)
        await clock.advance(0.2)
        assert batches == [["first"]] * 4
        assert heard.marks == ["first", "a", "b", "c"]
        assert [event.text for event in map(decode_event, heard.lines.splitlines()[1:])] == [
            "first",
            "a",
            "b",
            "c",
        ], "they are written down in their order"


async def test_a_gathering_host_gives_what_waits_as_soon_as_it_gathers_no_longer() -> None:
    clock = ManualClock()
    async with gathering(clock) as (host, heard):
        host.send(MarkTime(text="a"))
        await clock.advance(0.1)
        assert heard.marks == ["first"]
        host.gather(0.0)
        await clock.advance(0)
        assert heard.marks == ["first", "a"]
        host.send(MarkTime(text="b"))
        await clock.advance(0)
        assert heard.marks == ["first", "a", "b"]


async def test_a_gathering_host_reads_on_at_once_where_more_may_wait() -> None:
    clock = ManualClock()
    async with gathering(clock) as (host, heard):
        long = "x" * READ_BYTES
        await clock.advance(0.5)
        host.send(MarkTime(text=long))
        await clock.advance(0)
        host.send(MarkTime(text="next"))
        await clock.advance(0)
        assert heard.marks == ["first", long, "next"], "a full pipe is not left to wait"


async def test_a_gathering_host_ends_at_once() -> None:
    clock = ManualClock()
    async with gathering(clock) as (host, _):
        host.stop()
        await clock.advance(0)
        assert host.status.state == "stopped"


def test_the_engine_is_looked_for_where_this_package_lies() -> None:
    import probes

    assert probes.__file__ is not None
    assert Path(probes.__file__).parent.parent == PACKAGE_ROOT


@contextmanager
def hostile_folder(folder: Path) -> Iterator[Path]:
    """A folder whose `probes` package must never run."""
    package = folder / "probes"
    package.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (package / name).write_text("print('HOSTILE'); raise SystemExit(66)\n")
    yield folder


@pytest.mark.parametrize("python_path", [None, "", ".", ":", "relative:"])
def test_a_folder_named_probes_in_the_current_directory_never_runs(
    tmp_path: Path, python_path: str | None
) -> None:
    environ = {"PATH": os.environ["PATH"]}
    if python_path is not None:
        environ["PYTHONPATH"] = python_path
    argv = [*engine_argv()[:-2], "-c", "import probes; print(probes.__file__)"]
    with hostile_folder(tmp_path) as folder:
        answer = subprocess.run(
            argv, cwd=folder, env=engine_environment(environ), capture_output=True, text=True
        )
    import probes

    assert answer.stdout.strip() == probes.__file__


def test_the_engine_itself_starts_in_a_hostile_folder(tmp_path: Path) -> None:
    environment = engine_environment({"PATH": os.environ["PATH"], "PYTHONPATH": "."})
    with hostile_folder(tmp_path) as folder:
        answer = subprocess.run(
            engine_argv(),
            cwd=folder,
            env=environment,
            input=b"",
            capture_output=True,
        )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")


def test_absolute_entries_of_the_path_are_kept_and_relative_ones_are_not() -> None:
    environment = engine_environment({"PYTHONPATH": "/opt/lib::rel"}, Path("/src/checkout"))
    assert environment["PYTHONPATH"] == "/src/checkout:/opt/lib"


def test_an_engine_is_gone_within_a_second_when_its_host_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-P', {FAKE!r}, 'good'],\n"
        "    stdin=subprocess.PIPE, start_new_session=True, stdout=subprocess.DEVNULL)\n"
        'child.stdin.write(b\'{"type":"configure","engine":"1","routes":[]}\\n\'\n'
        '    b\'{"type":"go"}\\n\')\n'
        "child.stdin.flush(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 3.0
    while not _ended(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _ended(pid)


def _ended(pid: int) -> bool:
    """Tell whether a process that is not our child has ended; a zombie has."""
    if gone(pid):
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_the_loop_stays_free_while_an_engine_floods() -> None:
    async with hosted("flood") as (_, heard):
        await until(lambda: bool(heard.marks))
        longest = 0.0
        for _turn in range(50):
            before = asyncio.get_running_loop().time()
            await asyncio.sleep(0)
            longest = max(longest, asyncio.get_running_loop().time() - before)
    assert longest < 0.5


async def test_an_engine_that_floods_is_read_no_faster_than_it_may_and_that_is_said() -> None:
    rate = 100_000.0
    async with hosted("flood", limits=replace(PATIENT, bytes_per_s=rate)) as (_, heard):
        await until(lambda: len(heard.of(Notice)) > 0)
        before = len(heard.events)
        await anyio.sleep(1.0)  # a rate is one of real time: pipes have no other
        # A line has some 1,050 bytes, and counts for half as much again.
        assert len(heard.events) - before <= 2 * rate / 1_500
        (notice,) = heard.of(Notice)
        assert notice.text == ("the engine says more than 0.1 MB a second: it is read no faster")


async def test_who_talks_and_never_says_hello_is_killed_and_tried_again_with_a_back_off() -> None:
    limits = replace(
        PATIENT, hello_within_s=0.3, check_s=0.05, backoff_first_s=60.0, backoff_max_s=60.0
    )
    async with hosted("babble", limits=limits) as (host, heard):
        await until(lambda: host.status.noise > 0)
        assert host.status.state == "starting"
        assert host.status.detail == "not an event: Welcome!"
        await until(lambda: host.status.state == "restarting")
        assert "killed: no hello within 0.3 s; restart in 60 s" in host.status.detail
        assert [type(event) for event in heard.events] == [Held]


async def test_a_newer_schema_is_refused_before_anything_of_it_is_believed() -> None:
    async with hosted("newer") as (host, heard):
        await until(lambda: host.status.state == "gave_up")
        status = host.status
        assert status.detail == (
            "the engine is of llmtop 99.0, whose events have schema 99; this one reads up to "
            f"{SCHEMA_VERSION}: upgrade it"
        )
        assert not heard.of(Hello)
        assert not heard.of(Mark)
        assert [event.detail for event in heard.of(Held)] == [status.detail]


async def test_an_engine_begins_anew_in_order_and_without_a_wait() -> None:
    async with hosted("good", limits=replace(PATIENT, backoff_first_s=60.0)) as (host, heard):
        await until(lambda: len(heard.events) > 3)
        host.renew("it slept")
        host.renew("it slept")  # it is under way
        await until(lambda: len(heard.pids) == 2)
        assert "stopping" in heard.marks
        assert host.in_order
        (held, released) = heard.of(Held)
        assert (held.detail, released.released) == ("the engine begins anew: it slept", True)
    assert len(heard.pids) == 2


async def test_an_engine_that_is_begun_anew_again_and_again_waits_longer_each_time() -> None:
    limits = replace(PATIENT, backoff_first_s=60.0, backoff_max_s=600.0)
    async with hosted("good", limits=limits) as (host, heard):
        await until(lambda: len(heard.events) > 3)
        host.renew("its stamps run away")
        await until(lambda: len(heard.pids) == 2 and host.status.state == "running")
        host.renew("its stamps run away")
        await until(lambda: host.status.state == "restarting")
        assert host.status.detail == (
            "the engine begins anew: its stamps run away; restart in 120 s"
        )
        host.retry()
        await until(lambda: len(heard.pids) == 3)


def test_what_a_dead_engine_left_is_dated_by_its_own_clock_after_a_boot() -> None:
    work = OpenWork()
    for at_ns in (9_000, 12):
        work.fold(Hello(at_ns=at_ns, wall_ns=0, engine="1", version="1", schema=1, routes=()))
    assert work.last_ns == 12
