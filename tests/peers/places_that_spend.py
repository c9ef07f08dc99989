"""Agents of several places with one budget, on a real bus, against a provider that counts."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from nats_server import NatsServer

from probes.bus.address import bus_address
from probes.bus.connection import BusConnection
from probes.bus.names import BUDGETS_BUCKET
from probes.kit.clock import SystemClock
from probes.money.bus_book import GRACE_S, Book, decoded, total
from probes.money.bus_ledger import BOOK_KEY

ROOT: Final = Path(__file__).parents[2]
SETTINGS: Final = """
[budget]
tokens_per_hour = {tokens}
route_tokens_per_hour = {tokens}

[routes.chat]
base_url = "{url}/v1"
model = "healthy"
concurrency = 8
pace = "constant"
rate = {rate}
retries = 0
"""
PATIENCE_S: Final = 60.0
CALM_S: Final = 10.0
"""At the end all are held by their budget for so long: each has asked for more meanwhile."""


@dataclass(frozen=True)
class Plan:
    """What happens to whom. Seconds count from when all agents have begun to spend."""

    tokens: int
    """The budget of an hour, of all places together."""
    agents: int = 8
    rate: float = 2.0
    """Probes a second of each agent."""
    killed: int = 2
    kill_s: float = 8.0
    away_s: float = 10.0
    """The bus is killed then..."""
    back_s: float = 40.0
    """... and started again."""
    longest_s: float = 300.0
    """All must be over by then: the budget is used up."""

    @property
    def emergency_part(self) -> int:
        return self.tokens // 100


@dataclass
class Outcome:
    """What became of it."""

    billed: int
    by_second: list[tuple[float, int]]
    """What was billed by which second."""
    spent: int
    """What the book knows to be spent."""
    held: int
    """What it knows to be leased, of the killed ones too."""
    changes: int
    """How often the book was changed."""
    seconds: float
    words: dict[str, list[str]]
    """What each agent that lived to the end said: notices, and what held its route."""

    def billed_by(self, second: float) -> int:
        """Return what was billed until a second of the run."""
        return max((tokens for at, tokens in self.by_second if at <= second), default=0)


@dataclass
class Agent:
    """One agent's processes, and what it records."""

    place: str
    process: "subprocess.Popen[bytes]"
    recordings: Path

    def kill(self) -> None:
        """Kill it and its engine, as the kernel does when memory is short."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        """Return its events of some types."""
        starts = tuple(f'{{"type":"{kind}"' for kind in kinds)
        lines = (
            line
            for path in sorted(self.recordings.glob("*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        )
        # The last line may be half written.
        return [json.loads(one) for one in lines if one.startswith(starts) and one.endswith("\n")]

    @property
    def is_held(self) -> bool:
        """Whether the budget holds its route now."""
        held = [one for one in self.told("held") if one["reason"] == "budget"]
        return bool(held) and not held[-1].get("released", False)


class Provider:
    """The embedded provider in a process of its own, and the sum of its own log."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self.url: str = json.loads(process.stdout.readline())["base_url"]
        self.billed = 0
        self._read = 0

    def look(self) -> int:
        """Return the tokens of all requests that have ended: prompts, and what was sent."""
        with urllib.request.urlopen(f"{self.url}/truth?since={self._read}") as answer:  # noqa: S310
            page = json.load(answer)
        assert page["last"] - self._read == len(page["records"]), "the log forgot some"
        self._read = page["last"]
        self.billed += sum(one["prompt_tokens"] + one["output_tokens"] for one in page["records"])
        return self.billed


@contextmanager
def provider() -> Iterator[Provider]:
    """Run the embedded provider."""
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy"]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        try:
            yield Provider(process)
        finally:
            process.stdin.close()


def spent_together(
    bus: NatsServer, folder: Path, plan: Plan, tell: Callable[[str], object] = lambda _line: None
) -> Outcome:
    """Let agents spend as planned, with what they keep in a folder; return what became of it."""
    anyio.run(_begin_the_book, bus.url)
    with ExitStack() as stack:
        counting = stack.enter_context(provider())
        config = folder / "routes.toml"
        config.write_text(SETTINGS.format(tokens=plan.tokens, url=counting.url, rate=plan.rate))
        config.chmod(0o600)
        agents = [_start(stack, f"p{n}", config, bus.url) for n in range(plan.agents)]
        _until(lambda: all(one.told("first_token") for one in agents))
        begun = time.monotonic()
        tell("all agents spend")
        billed: list[tuple[float, int]] = []
        todo: list[tuple[float, str, Callable[[], object]]] = [
            (plan.kill_s, f"{plan.killed} agents are killed", _kill(agents[: plan.killed])),
            (plan.away_s, "the bus is killed", bus.kill),
            (plan.back_s, "the bus is started again", bus.start),
        ]
        living = agents[plan.killed :]
        calm_since_s: float | None = None
        while True:
            time.sleep(0.5)
            at_s = time.monotonic() - begun
            billed.append((at_s, counting.look()))
            if todo and at_s >= todo[0][0]:
                _, what, act = todo.pop(0)
                tell(f"{at_s:5.1f} s, {billed[-1][1]:7,} billed: {what}")
                act()
            if todo or not all(one.is_held for one in living):
                calm_since_s = None
            elif calm_since_s is None:
                calm_since_s = at_s
            elif at_s - calm_since_s > CALM_S:
                break
            assert at_s < plan.longest_s, "the budget was not used up in time"
        tell(f"{at_s:5.1f} s, {billed[-1][1]:7,} billed: the budget holds all")
        for agent in living:
            agent.process.send_signal(signal.SIGTERM)
        for agent in living:
            assert agent.process.wait(PATIENCE_S) == 0
        time.sleep(0.5)
        at_the_end = counting.look()
        book = anyio.run(_read_the_book, bus.url)
    spent = total(total(minutes.values()) for minutes in book.spent.values()).tokens
    return Outcome(
        billed=at_the_end,
        by_second=billed,
        spent=spent,
        held=total(book.taken().values()).tokens - spent,
        changes=sum(one.number for one in book.holders.values()),
        seconds=at_s,
        words={
            one.place: [
                event.get("text") or event["detail"]
                for event in one.told("notice", "held")
                if event.get("text") or event.get("detail")
            ]
            for one in living
        },
    )


def _kill(agents: list[Agent]) -> Callable[[], object]:
    return lambda: [agent.kill() for agent in agents]


def _start(stack: ExitStack, place: str, config: Path, bus_url: str) -> Agent:
    own = config.parent / place
    own.mkdir()
    command = [sys.executable, "-P", "-m", "tui.cli", "agent", "--config", str(config)]
    with (own / "said").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--bus", bus_url, "--place", place],
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "HOME": str(own),
                "XDG_STATE_HOME": str(own / "state"),
                "XDG_RUNTIME_DIR": str(own),
            },
        )
    agent = Agent(place, process, own / "state" / "llmtop" / "recordings")
    stack.callback(agent.kill)
    return agent


def _until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


async def _begin_the_book(url: str) -> None:
    """Have a book that is not new: nobody need wait for who might have known an older one."""
    bus = BusConnection(bus_address(url), clock=SystemClock())
    await bus.connect()
    book = Book("begun", began_s=int(time.time()) - GRACE_S)
    await bus.bucket(BUDGETS_BUCKET).create(BOOK_KEY, book.encoded())
    await bus.close()


async def _read_the_book(url: str) -> Book:
    bus = BusConnection(bus_address(url), clock=SystemClock())
    await bus.connect()
    entry = await bus.bucket(BUDGETS_BUCKET).get(BOOK_KEY)
    await bus.close()
    assert entry is not None
    return decoded(entry.value)
