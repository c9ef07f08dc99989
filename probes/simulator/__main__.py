"""`python -P -m probes.simulator`: the embedded provider as a process of its own.

It prints one JSON line, `{"base_url": …, "scenario": …, "started_ns": …}`, and serves until SIGINT
or SIGTERM, or until its standard input ends where `--until-eof` is given. The scenario counts its
seconds from `started_ns`, which is monotonic.
"""

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from random import Random

import anyio
import anyio.from_thread
import anyio.lowlevel
import msgspec

from probes.kit.clock import SystemClock
from probes.simulator.library import ScenarioError, UnknownScenarioError, load_scenario
from probes.simulator.scenario import Scenario
from probes.simulator.server import SimulatorServer, serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="probes.simulator", description=__doc__)
    parser.add_argument(
        "--scenario", default="demo", help="name of a scenario, or a file of one (default: demo)"
    )
    parser.add_argument("--seed", type=int, default=1, help="repeats a run's chances (default: 1)")
    parser.add_argument("--port", type=_port, default=0, help="0 takes a free port (default)")
    parser.add_argument("--api-key-env", metavar="NAME", help="ask for the key in this variable")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; return the exit status: 0 ended, 1 no port, 2 usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        scenario = load_scenario(options.scenario)
    except (UnknownScenarioError, ScenarioError) as error:
        parser.error(str(error))
    api_key = os.environ.get(options.api_key_env) if options.api_key_env else None
    if options.api_key_env and not api_key:
        parser.error(f"--api-key-env: the variable {options.api_key_env} is not set")
    try:
        anyio.run(_serve, scenario, options, api_key)
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    return 0


async def _serve(scenario: Scenario, options: argparse.Namespace, api_key: str | None) -> None:
    random = Random(options.seed)  # noqa: S311 - repeatable chance, not cryptography
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with serve(
            scenario, clock=SystemClock(), random=random, port=options.port, api_key=api_key
        ) as server:
            ended = anyio.Event()
            if options.until_eof:
                _watch_stdin(ended)
            # What lives now lives for ever: the collector need not look at it again.
            gc.freeze()
            _announce(server)
            async with anyio.create_task_group() as group:
                group.start_soon(_set_when_ended, ended, group.cancel_scope)
                async for _ in signals:
                    break
                group.cancel_scope.cancel()


def _announce(server: SimulatorServer) -> None:
    line = msgspec.json.encode(
        {
            "base_url": server.base_url,
            "scenario": server.scenario.name,
            "started_ns": server.started_ns,
        }
    )
    sys.stdout.write(line.decode("ascii") + "\n")
    sys.stdout.flush()


async def _set_when_ended(ended: anyio.Event, scope: anyio.CancelScope) -> None:
    await ended.wait()
    scope.cancel()


def _watch_stdin(ended: anyio.Event) -> None:
    """Set `ended` at the end of standard input, from a thread: not every kind can be polled."""
    token = anyio.lowlevel.current_token()

    def read_to_end() -> None:
        while os.read(0, 4096):
            pass
        with suppress(anyio.RunFinishedError):  # a signal ended us first
            anyio.from_thread.run_sync(ended.set, token=token)

    threading.Thread(target=read_to_end, name="stdin", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
