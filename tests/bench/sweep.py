"""Whether a sweep finds what a provider carries, and claims nothing of one that changes.

Sweeps as they run, with their own engine and provider in virtual time: the simulator's models of
known capacity, under noise. `python tests/bench/sweep.py` prints a row for each run and one for
each provider.

    --runs N       of each provider (default: 10)
    --only TEXT    only providers with this in their name
    --by WHAT      concurrency (default) or rate
    --points       every step of every run
    --real         one run of each over loopback sockets, in real time: some five minutes each
    --assert       end with status 1 where a bound does not hold
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from virtual_provider import VirtualSession
from virtual_time import OPTIONS, VirtualClock

from probes.config import Config, Route
from probes.money.ledger import Ledger
from probes.run.sweep_run import SweepRun, Sweeps, plan_of
from probes.simulator.library import demo_routes, load_scenario, parse_scenario
from probes.simulator.scenario import HostedModel
from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import read_goals
from probes.sweeping.plan import SweepBy
from probes.sweeping.views import SweepView

NEAR: Final = 0.1
"""How far from the truth what is found may be, as a share of it."""
WIDEST_S: Final = 7_200.0
"""Virtual seconds after which a sweep hangs."""


def limit_of(view: SweepView) -> float | None:
    """Return the limit that was measured, whatever the server says."""
    return None if view.limit is None else view.limit.value


def knee_of(view: SweepView) -> float | None:
    """Return the knee that was found."""
    return view.knee


class Provider(NamedTuple):
    """A provider of known capacity."""

    name: str
    scenario: str
    truth: float | None
    """None of one that changes: then nothing may be claimed."""
    found: Callable[[SweepView], float | None]
    goals: tuple[str, ...] = ()
    toml: str = ""
    """Instead of a scenario that ships."""
    rate_truth: float | None = None
    """By rate, where that is another figure."""
    rate_most: float = 20.0


_CHANGES: Final = """
title = "{title}"
[serving]
gateway_s = 0.02
batch_penalty = 0.01
chunk_tokens = 2
answer_tokens = 60
answer_spread = 0.25
jitter = 0.15
max_batch = 16
[faults]
error_share = 0.002
stall_share = 0.01
stall_s = 1.5
[route]
max_tokens = 128
[[phases]]
start_s = 0
name = "well"
[[phases]]
start_s = 100
name = "ill"
{how}
"""
PROVIDERS: Final = (
    Provider("limit of 20 at once, told", "edge-concurrency", 20, limit_of),
    Provider("limit of 20 at once, silent", "edge-concurrency-silent", 20, limit_of),
    Provider("60,000 tokens a minute", "edge-tokens", 60_000, limit_of, ("ttft_p95=5",)),
    # 10.5 answers a second come from 32 at once over ten minutes.
    Provider("batch of 16", "edge-batching", 16, knee_of, rate_truth=10.5),
    Provider(
        "gets three times as slow half-way",
        "slower",
        None,
        knee_of,
        toml=_CHANGES.format(title="Slower", how="serving = { decode_tokens_per_s = 17 }"),
    ),
    Provider(
        "begins to queue half-way",
        "queueing",
        None,
        knee_of,
        toml=_CHANGES.format(title="Queueing", how="serving = { queue_s = 0.5 }"),
    ),
    Provider(
        "fails half-way",
        "failing",
        None,
        knee_of,
        toml=_CHANGES.format(title="Failing", how="faults = { error_share = 0.4 }"),
    ),
)


def hosted(provider: Provider) -> tuple[HostedModel, Route]:
    """Return the model of a provider, and the route that asks it."""
    if provider.toml:
        (model,) = parse_scenario(provider.scenario, provider.toml.encode()).models
        route = Route(
            name=model.name,
            base_url="http://127.0.0.1:9/v1",
            model=model.name,
            max_tokens=model.route.max_tokens,
        )
        return model, route
    (route,) = demo_routes("http://127.0.0.1:9", provider.scenario)
    return load_scenario(provider.scenario).models[0], route


def swept(
    provider: Provider, seed: int, *, by: SweepBy = "concurrency"
) -> tuple[SweepView, VirtualSession]:
    """Run one sweep in virtual time; return how it ended, and what its engine saw."""
    model, route = hosted(provider)
    clock = VirtualClock()

    async def run() -> tuple[SweepView, VirtualSession]:
        by_rate = by == "rate"
        plan = plan_of(route, by, provider.rate_most if by_rate else None)
        # By rate a goal is mostly missed before the queue is sure: one that is far off lets it be.
        goals = ("ttft_p95=30",) if by_rate else provider.goals
        plan = msgspec.structs.replace(plan, goals=read_goals(goals, route))
        session = VirtualSession(plan.route, model, clock, seed)
        sweep = SweepRun(plan, session, clock=clock)
        with anyio.fail_after(WIDEST_S):
            await sweep.run()
        return sweep.view, session

    return anyio.run(run, backend_options=dict(OPTIONS))


def is_right(provider: Provider, view: SweepView, by: SweepBy = "concurrency") -> bool:
    """Tell whether what a sweep claims of a provider is so."""
    if provider.truth is None:
        return view.state == "ill" and view.knee is None and view.limit is None and not view.edges
    found = provider.found(view)
    if view.state != "done" or found is None:
        return False
    by_rate = by == "rate" and provider.rate_truth is not None
    truth = provider.rate_truth if by_rate else provider.truth
    assert truth is not None
    return abs(found - truth) <= NEAR * truth


def is_within_cost(view: SweepView, session: VirtualSession) -> bool:
    """Tell whether no more was sent and charged than was told beforehand."""
    sent, charged = session.started, session.charged
    return sent <= view.cost.probes and charged <= view.cost.tokens


def row(provider: Provider, seed: int, view: SweepView, took_s: float) -> str:
    """Return one run in a line."""
    found = provider.found(view)
    told = "–" if found is None else f"{found:,.4g}"
    return (
        f"{provider.name:<34} {seed:>3} {view.state:<5} {told:>7}  {len(view.points):>2} steps"
        f"  {view.spent_probes:>5,} of {view.cost.probes:,} probes"
        f"  {view.spent_tokens:>8,} of {view.cost.tokens:,} tokens  {view.seconds:>4.0f} s"
        f"  ({took_s:.1f} s)"
    )


def point_rows(view: SweepView) -> Iterator[str]:
    """Yield every step of a run."""
    for one in view.points:
        yield (
            f"    {one.purpose:<8} {one.load:>6.4g} {one.end:<6} {one.seconds:>4.0f} s"
            f"  n {one.n:>4}  429 {one.throttled:>3}  failed {one.failed + one.hung:>3}"
            f"  skipped {one.skipped:>3}  open {one.in_flight:>5.1f}"
            f"  TTFT p95 {told(one.ttft_p95)}  mean {told(one.ttft_mean)}"
            f"  req/s {told(one.requests_per_s)}"
        )
    yield f"    {view.sentence}"


def told(found: Estimate | None) -> str:
    """Return a figure with its interval."""
    return "–" if found is None else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def really_swept(provider: Provider) -> SweepView:
    """Run one sweep with an engine of its own against a provider on loopback."""
    scenario = provider.scenario
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", scenario]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as served:
        assert served.stdout is not None
        assert served.stdin is not None
        base_url = json.loads(served.stdout.readline())["base_url"]
        (route,) = demo_routes(base_url, scenario)
        ledger = Ledger(None)
        try:
            sweeps = Sweeps(Config(routes=(route,)), {}, ledger=ledger)
            sweep = sweeps.propose(route.name, goals=provider.goals)
            anyio.run(sweep.run)
        finally:
            ledger.close()
            served.stdin.close()
    return sweep.view


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--by", choices=("concurrency", "rate"), default="concurrency")
    parser.add_argument("--points", action="store_true")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--assert", action="store_true", dest="asserts")
    asked = parser.parse_args(arguments)
    failed = 0
    for provider in (one for one in PROVIDERS if asked.only in one.name):
        if asked.real and provider.toml:
            continue
        right = within = 0
        runs = 1 if asked.real else asked.runs
        for seed in range(1, runs + 1):
            began_s = time.monotonic()
            if asked.real:
                view = really_swept(provider)
                within += view.spent_probes <= view.cost.probes
            else:
                view, session = swept(provider, seed, by=asked.by)
                within += is_within_cost(view, session)
            right += is_right(provider, view, "concurrency" if asked.real else asked.by)
            write(row(provider, seed, view, time.monotonic() - began_s))
            if asked.points:
                for line in point_rows(view):
                    write(line)
        write(f"{provider.name:<34} right {right}/{runs}, within its cost {within}/{runs}")
        failed += (right < runs) + (within < runs)
    return int(asked.asserts and failed > 0)


def write(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
