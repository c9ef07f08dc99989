"""Agents of several places with one budget, on a real bus, against a provider that counts.

Run by itself it is one such agent: a run without a screen whose ledger is on the bus.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final

TESTS = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import anyio  # noqa: E402

from probes.bus.address import bus_address  # noqa: E402
from probes.bus.connection import BusConnection  # noqa: E402
from probes.bus.names import BUDGETS_BUCKET  # noqa: E402
from probes.config import Budget, Config, Route  # noqa: E402
from probes.config.places import config_at  # noqa: E402
from probes.events import Event, Held, Notice, Tick  # noqa: E402
from probes.kit.clock import SystemClock  # noqa: E402
from probes.money.bus_book import GRACE_S, Book, decoded  # noqa: E402
from probes.money.bus_ledger import BOOK_KEY, BusLedger  # noqa: E402
from probes.run.session import Session  # noqa: E402

PATIENCE_S: Final = 60.0
PROBE_TOKENS: Final = 80
"""About what a probe costs: its prompt and its answer."""


@dataclass(frozen=True)
class Plan:
    """What happens to whom. Seconds count from when all agents have begun to spend."""

    tokens: int
    """The budget of an hour, of all places together."""
    agents: int = 8
    probes_per_s: float = 2.0
    """Of each agent."""
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
    by_the_bus_s: list[tuple[float, int]]
    """What was billed by which second."""
    spent: int
    """What the book knows to be spent."""
    held: int
    """What it knows to be leased, of the killed ones too."""
    conflicts: int
    changes: int
    seconds: float
    words: dict[str, list[str]]
    """What each agent said: notices, and what held its route."""

    def billed_by(self, second: float) -> int:
        """Return what was billed until a second of the run."""
        return max((tokens for at, tokens in self.by_the_bus_s if at <= second), default=0)


@dataclass
class Agent:
    """One agent's processes, and what it has said."""

    place: str
    process: "subprocess.Popen[bytes]"
    said: list[dict[str, Any]] = field(default_factory=list)

    def kill(self) -> None:
        """Kill it and its engine, as the kernel does when memory is short."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def last(self, kind: str) -> dict[str, Any]:
        return next((one for one in reversed(self.said) if one["what"] == kind), {})

    @property
    def is_held(self) -> bool:
        return bool(self.last("held").get("held"))


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


def spent_together(bus: Any, plan: Plan, tell: Any = lambda _line: None) -> Outcome:
    """Let agents spend on a bus as planned; return what became of it. `bus` is a NatsServer."""
    anyio.run(_begin_the_book, bus.url)
    with ExitStack() as stack:
        counting = stack.enter_context(provider())
        agents = [_start(stack, f"p{n}", counting.url, bus.url, plan) for n in range(plan.agents)]
        _until(lambda: all(one.last("tick").get("spent") for one in agents))
        begun = time.monotonic()
        tell("all agents spend")
        billed: list[tuple[float, int]] = []
        todo = [
            (plan.kill_s, f"{plan.killed} agents are killed", _kill(agents[: plan.killed])),
            (plan.away_s, "the bus is killed", bus.kill),
            (plan.back_s, "the bus is started again", bus.start),
        ]
        living = agents[plan.killed :]
        calm_since = 0.0
        while True:
            time.sleep(0.25)
            at = time.monotonic() - begun
            if todo and at >= todo[0][0]:
                _, what, act = todo.pop(0)
                tell(f"{at:5.1f} s, {counting.look():7,} billed: {what}")
                act()
            if not billed or at - billed[-1][0] >= 1.0:
                billed.append((at, counting.look()))
                # It is over when the budget holds all that live, for a while.
                still = not todo and all(one.is_held for one in living)
                calm_since = calm_since or at if still else 0.0
                if (calm_since and at - calm_since > 12.0) or at > plan.longest_s:
                    break
        tell(f"{at:5.1f} s, {counting.look():7,} billed: the budget is used up")
        for agent in living:
            agent.process.send_signal(signal.SIGTERM)
        for agent in living:
            assert agent.process.wait(PATIENCE_S) == 0
        time.sleep(0.5)
        total = counting.look()
        book = anyio.run(_read_the_book, bus.url)
    taken = sum(one.tokens for one in book.taken().values())
    spent = sum(sum(one.tokens for one in minutes.values()) for minutes in book.spent.values())
    return Outcome(
        billed=total,
        by_the_bus_s=billed,
        spent=spent,
        held=taken - spent,
        conflicts=sum(one.last("end").get("conflicts", 0) for one in living),
        changes=sum(one.last("end").get("changes", 0) for one in living),
        seconds=at,
        words={
            one.place: [said["text"] for said in one.said if said.get("text")] for one in agents
        },
    )


def _kill(agents: list[Agent]) -> Any:
    def act() -> None:
        for agent in agents:
            agent.kill()

    return act


def _start(stack: ExitStack, place: str, provider_url: str, bus_url: str, plan: Plan) -> Agent:
    asked = {"provider": provider_url, "bus": bus_url, "place": place}
    asked |= {"tokens": plan.tokens, "per_s": plan.probes_per_s}
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, json.dumps(asked)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    agent = Agent(place, process)
    stack.callback(agent.kill)
    Thread(target=_listen, args=(agent,), daemon=True).start()
    return agent


def _listen(agent: Agent) -> None:
    assert agent.process.stdout is not None
    with agent.process.stdout as lines:
        for line in lines:
            with suppress(ValueError):  # a killed process may leave half a line
                agent.said.append(json.loads(line))


def _until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


async def _begin_the_book(url: str) -> None:
    """Have a book that is not new: nobody need wait for who might have known an older one."""
    async with _connected(url) as bus:
        book = Book("begun", began_s=int(time.time()) - 2 * GRACE_S)
        await bus.bucket(BUDGETS_BUCKET).create(BOOK_KEY, book.encoded())


async def _read_the_book(url: str) -> Book:
    async with _connected(url) as bus:
        entry = await bus.bucket(BUDGETS_BUCKET).get(BOOK_KEY)
        assert entry is not None
        return decoded(entry.value)


class _connected:  # noqa: N801 - a context, as a function is
    def __init__(self, url: str) -> None:
        self.bus = BusConnection(bus_address(url), clock=SystemClock())

    async def __aenter__(self) -> BusConnection:
        await self.bus.connect()
        return self.bus

    async def __aexit__(self, *_: object) -> None:
        await self.bus.close()


async def agent(asked: dict[str, Any]) -> None:
    """Be one agent until SIGTERM; say what a test wants to know as JSON lines."""
    clock = SystemClock()
    route = Route(
        name="chat",
        base_url=f"{asked['provider']}/v1",
        model="healthy",
        concurrency=8,
        pace="constant",
        rate=asked["per_s"],
        retries=0,
    )
    budget = Budget(tokens_per_hour=asked["tokens"], route_tokens_per_hour=asked["tokens"])
    config = config_at(Config(routes=(route,), budget=budget), asked["place"])
    bus = BusConnection(bus_address(asked["bus"]), clock=clock)
    await bus.connect()
    ledger = BusLedger(bus.bucket(BUDGETS_BUCKET), place=asked["place"], clock=clock)
    session = Session(config, {}, recorder=None, ledger=ledger)

    def hear(events: list[Event], _lines: bytes) -> None:
        for event in events:
            match event:
                case Notice():
                    say(what="notice", text=event.text)
                case Held(reason="budget"):
                    say(what="held", held=not event.released, text=event.detail)
                case Tick():
                    spent = sum(one.used_tokens for one in event.budgets)
                    doubt = next((one.doubt for one in event.budgets if one.doubt), "")
                    say(what="tick", spent=spent, doubt=doubt)
                case _:
                    pass

    session.subscribe(hear)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)

        async def end_in_order() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    session.stop()

        tasks.start_soon(end_in_order)
        await session.run()
        tasks.cancel_scope.cancel()
    say(what="end", changes=ledger.changes, conflicts=ledger.conflicts)


def say(**fields: Any) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{json.dumps(fields)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(agent, json.loads(sys.argv[1]))
