"""One run of llmtop against a provider that things happen to, all in one place and on one clock.

A stage is a process: the embedded provider, the front before it, where wanted the wire, the names,
the certificates and the busy core, and llmtop itself as a child, headless and recorded. What
happens is said in seconds since the stage's start. It is a process of its own because namespaces
are entered once and for good, and so that many can play side by side.

    python -P -m wires.stage STAGE.json FOLDER

It prints one line of its own, `{"type": "stage", "start_ns": …}` with the monotonic time of its
start, then what llmtop prints. The recording is FOLDER/recording.jsonl.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
from attacks.running import LLMTOP, home_of

from probes.kit.clock import NS_PER_S, SystemClock
from probes.simulator.library import parse_scenario
from probes.simulator.server import serve
from wires.bad_wire import FAR, HERE, BadWire, Weather
from wires.busy import BusyCores
from wires.certificates import NAME, Certificate, Certificates
from wires.front import Front, Fronting
from wires.namespaces import Need, enter
from wires.resolver import Names, Resolver, use
from wires.spans import Span, SpanT, at, edges

RECORDING: Final = "recording.jsonl"
ONLY: Final = "hello,diagnosis,summary"
_FAR_NAME: Final = "far.test"
# No run of a few minutes may meet them: a stage is about servers, not about money.
_BUDGET: Final = "[budget]\ntokens_per_hour = 100_000_000\nroute_tokens_per_hour = 100_000_000\n"


class Load(Span, frozen=True, kw_only=True):
    """While loops run beside llmtop, on the one core that it may use."""


class WatchedRoute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of the run."""

    name: str
    model: str
    """As the scenario calls it."""
    is_far: bool = True
    """It goes by the front, and by the wire and the names where there are such; else straight to
    the provider, as to another host."""
    settings: dict[str, Any] = {}
    """Further keys of its table in routes.toml, nested ones dotted: `goals.ttft_s`."""


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is played; a part that is empty is not there at all."""

    duration_s: float
    shipped: str = ""
    """A scenario of the provider's, played by `llmtop demo`, which brings its routes and turns its
    knobs. Its clock starts some tenths of a second after the stage's. Nothing else is played."""
    scenario: str = ""
    """Else the provider's scenario, as TOML; its own clock starts with the stage."""
    routes: tuple[WatchedRoute, ...] = ()
    seed: int = 1
    fronting: tuple[Fronting, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    names: tuple[Names, ...] = ()
    wire: tuple[Weather, ...] = ()
    load: tuple[Load, ...] = ()
    load_loops: int = 1
    load_is_realtime: bool = True
    """The loops have precedence over llmtop; root's."""

    def __post_init__(self) -> None:
        """Refuse what would need the far side to have two names."""
        if sum(map(bool, (self.wire, self.names, self.certificates))) > 1:
            raise ValueError("of wire, names and certificates a stage has one at most")

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the machine must give for it."""
        needs: dict[Need, object] = {
            "tun": self.wire,
            "network": self.names,
            "mounts": self.names,
            "realtime": self.load and self.load_is_realtime,
        }
        return tuple(need for need, wanted in needs.items() if wanted)

    @property
    def far_host(self) -> str:
        """Under what name clients know the front."""
        if self.names:
            return _FAR_NAME
        if self.certificates:
            return NAME
        return FAR if self.wire else "127.0.0.1"


async def play(stage: Stage, folder: Path) -> int:
    """Play a stage to its end; return llmtop's exit status."""
    start_ns = time.monotonic_ns()
    if stage.shipped:
        _print_start(start_ns)
        what = ("demo", "--scenario", stage.shipped, "--seed", str(stage.seed))
        return await _llmtop(stage, what, folder, set())

    def elapsed_s() -> float:
        return (time.monotonic_ns() - start_ns) / NS_PER_S

    scenario = parse_scenario("stage", stage.scenario.encode())
    async with AsyncExitStack() as parts, asyncio.TaskGroup() as group:
        server = await parts.enter_async_context(
            serve(scenario, clock=SystemClock(), random=Random(stage.seed))
        )
        if stage.wire:
            parts.enter_context(BadWire(stage.wire, elapsed_s, Random(stage.seed)))
        if stage.names:
            await parts.enter_async_context(Resolver(stage.names, elapsed_s))
        shown = Certificates(folder) if stage.certificates else None
        host = HERE if stage.wire else "127.0.0.1"
        tls = shown.context() if shown else None
        front = await parts.enter_async_context(Front(server.port, host=host, tls=tls))
        cores = _core_of_llmtop() if stage.load else set()
        busy = BusyCores(cores, loops=stage.load_loops, realtime=stage.load_is_realtime)
        if stage.load:
            parts.enter_context(busy)

        async def behave(span: Fronting | None) -> None:
            await front.behave(span.behaviour if span else "pass")

        async def show(span: Certificate | None) -> None:
            assert shown is not None
            await front.show(shown.context(span.flaw if span else "none"))

        async def load(span: Load | None) -> None:
            (busy.work if span else busy.rest)()

        acting = [
            group.create_task(_act(stage.fronting, behave, elapsed_s)),
            group.create_task(_act(stage.certificates, show, elapsed_s)),
            group.create_task(_act(stage.load, load, elapsed_s)),
        ]
        scheme = "https" if shown else "http"
        urls = {
            True: f"{scheme}://{stage.far_host}:{front.port}/v1",
            False: f"{server.base_url}/v1",
        }
        authority = str(shown.authority) if shown else ""
        config = folder / "routes.toml"
        config.write_text(_settings(stage.routes, urls, authority))
        config.chmod(0o600)
        _print_start(start_ns)
        status = await _llmtop(stage, ("--config", str(config)), folder, cores)
        for task in acting:
            task.cancel()
    return status


async def _act(
    spans: Sequence[SpanT],
    act: Callable[[SpanT | None], Awaitable[None]],
    elapsed_s: Callable[[], float],
) -> None:
    """Tell a part what holds, at each moment at which that changes."""
    for moment in edges(spans):
        await asyncio.sleep(max(0.0, moment - elapsed_s()))
        await act(at(spans, moment))


def _print_start(start_ns: int) -> None:
    sys.stdout.write(json.dumps({"type": "stage", "start_ns": start_ns}) + "\n")
    sys.stdout.flush()


async def _llmtop(stage: Stage, what: Sequence[str], folder: Path, cores: set[int]) -> int:
    argv = [*LLMTOP, *what, "--headless", "--only", ONLY]
    argv += ["--record", str(folder / RECORDING), "--duration", f"{stage.duration_s:g}"]
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=home_of(folder),
        stdin=asyncio.subprocess.DEVNULL,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, process.terminate)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


def _core_of_llmtop() -> set[int]:
    """Return the core that llmtop is to share with loops, and leave it where there is another."""
    *ours, last = sorted(os.sched_getaffinity(0))
    if ours:
        os.sched_setaffinity(0, ours)
    return {last}


def _settings(routes: Sequence[WatchedRoute], urls: Mapping[bool, str], authority: str) -> str:
    tables = [_BUDGET]
    for route in routes:
        settings = {
            "base_url": urls[route.is_far],
            "model": route.model,
            "price_list": False,
            **({"tls.ca_file": authority} if authority and route.is_far else {}),
            **route.settings,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        tables.append("\n".join([f"[routes.{json.dumps(route.name)}]", *lines, ""]))
    return "\n".join(tables)


def main() -> int:
    """Play what a file says; return llmtop's exit status."""
    stage = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Stage)
    if stage.wire or stage.names:
        enter(network=True, mounts=bool(stage.names))
    folder = Path(sys.argv[2])
    if stage.names:
        use(folder)
    return asyncio.run(play(stage, folder))


if __name__ == "__main__":
    sys.exit(main())
