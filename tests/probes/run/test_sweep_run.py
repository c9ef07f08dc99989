"""Sweeps at work: in virtual time for what takes minutes, and with real engines on real sockets."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from bench.sweep import PROVIDERS, is_right, is_within_cost, swept
from virtual_provider import VirtualSession
from virtual_time import OPTIONS, VirtualClock

from probes.config import Budget, Config, Price, Route
from probes.control.commands import Pause, SetKnob
from probes.events import AttemptFinished, Event, Hello, Knob
from probes.money.ledger import Ledger
from probes.run import sweep_run
from probes.run.sweep_run import SweepError, SweepRun, Sweeps, cost_of, plan_of, typed
from probes.simulator.library import demo_routes, load_scenario
from probes.sources.child_process import launch_process
from probes.sweeping.goals import GoalError, goals_of
from probes.sweeping.views import SweepView

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
BY_NAME = {provider.name: provider for provider in PROVIDERS}

# In virtual time.


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_it_finds_what_a_provider_carries_and_claims_nothing_of_one_that_changes(name: str) -> None:
    view, session = swept(BY_NAME[name], 11)
    assert is_right(BY_NAME[name], view), view.sentence
    assert is_within_cost(view, session)
    assert view.spent_probes == session.started
    assert view.spent_tokens == session.charged
    assert view.is_over
    assert view.running is None


@pytest.mark.parametrize("name", ["batch of 16", "60,000 tokens a minute"])
def test_it_finds_that_by_rate_too(name: str) -> None:
    view, session = swept(BY_NAME[name], 11, by="rate")
    assert is_right(BY_NAME[name], view, "rate"), view.sentence
    assert is_within_cost(view, session)


def virtually(
    act: Callable[[SweepRun, VirtualSession], Any] | None = None,
    scenario: str = "edge-concurrency",
    **changes: Any,
) -> tuple[SweepView, VirtualSession]:
    """Run a sweep in virtual time, while `act` is done to it."""
    (route,) = demo_routes("http://127.0.0.1:9", scenario)
    model = load_scenario(scenario).models[0]
    clock = VirtualClock()

    async def run() -> tuple[SweepView, VirtualSession]:
        plan = msgspec.structs.replace(plan_of(route, "concurrency", None), goals=goals_of(route))
        plan = msgspec.structs.replace(plan, **changes)
        session = VirtualSession(plan.route, model, clock, 1)
        sweep = SweepRun(plan, session, clock=clock)
        async with anyio.create_task_group() as tasks:
            if act is not None:
                tasks.start_soon(act, sweep, session)
            await sweep.run()
            tasks.cancel_scope.cancel()
        return sweep.view, session

    return anyio.run(run, backend_options=dict(OPTIONS))


def test_nothing_is_asked_for_while_the_load_changes() -> None:
    view, session = virtually()
    knobs = [one for one in session.asked if isinstance(one, SetKnob)]
    assert [one.value for one in knobs] == [point.load for point in view.points]
    assert {one.who for one in knobs} == {"sweep"}
    kinds = [type(one) for one in session.asked]
    assert kinds[:3] == [SetKnob, Pause, Pause]
    pauses = [one.paused for one in session.asked if isinstance(one, Pause)]
    assert pauses == [False, True] * len(view.points)


def test_it_ends_before_its_own_budget_is_passed() -> None:
    view, session = virtually(most_tokens=20_000)
    assert view.state == "budget"
    assert session.charged <= 20_000
    assert view.sentence.startswith("Its budget of 20,000 tokens has no room for another step")
    dear = Price(input=1_000.0, output=2_000.0)
    (route,) = demo_routes("http://127.0.0.1:9", "edge-concurrency")
    plan = plan_of(msgspec.structs.replace(route, price=dear), "concurrency", None)
    view, _ = virtually(route=plan.route, most_usd=1.0)
    assert (view.state, view.spent_probes) == ("budget", 0)
    assert view.sentence == "Its budget of $1 has no room for another step."


async def _stop_later(sweep: SweepRun, session: VirtualSession) -> None:
    await session.clock.sleep(50)
    assert sweep.view.doing == "asks for 2 at once"
    assert sweep.view.running is not None
    assert 0 < sweep.view.step_share < 1
    sweep.stop()
    sweep.stop()


def test_it_can_be_stopped_and_tells_what_is_known() -> None:
    view, _ = virtually(_stop_later)
    assert (view.state, view.points[-1].end, len(view.points)) == ("stopped", "stopped", 2)
    assert view.sentence.startswith("Stopped after 2 steps. By then: perhaps within goals")


async def _kill(sweep: SweepRun, session: VirtualSession) -> None:
    await session.clock.sleep(40)
    session.status = msgspec.structs.replace(session.status, state="restarting")


def test_it_ends_with_its_engine() -> None:
    view, _ = virtually(_kill)
    assert view.state == "failed"
    assert view.sentence.startswith("It cannot be swept: its engine died. By then:")


def test_a_wait_that_a_server_asks_for_is_waited_and_told() -> None:
    told = set()

    async def wait(sweep: SweepRun, session: VirtualSession) -> None:
        await session.clock.sleep(25.0)
        sweep._held_back.cool_until_ns = session.clock.monotonic_ns() + 120 * 10**9
        while True:
            await session.clock.sleep(1.0)
            told.add(sweep.view.waits)

    view, _ = virtually(wait)
    assert view.state == "done"
    assert "waits 1m30s: the server asked for that" in told


def test_a_wait_that_is_too_long_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_run, "LONGEST_WAIT_S", 60.0)

    async def wait(sweep: SweepRun, session: VirtualSession) -> None:
        await session.clock.sleep(33.0)
        sweep._held_back.cool_until_ns = session.clock.monotonic_ns() + 120 * 10**9

    view, _ = virtually(wait)
    assert view.state == "stopped"
    assert "the server asked for that" in view.sentence


# What may be asked.


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger(None)
    yield made
    made.close()


def sweeps_of(ledger: Ledger, base_url: str = "http://127.0.0.1:9/v1", **more: Any) -> Sweeps:
    routes = tuple(
        Route(
            name=name, base_url=base_url, model=name, max_tokens=8, price=Price(input=1, output=2)
        )
        for name in ("quick", "refusing")
    )
    budget = more.pop("budget", Budget())
    return Sweeps(Config(routes=routes, budget=budget), {}, ledger=ledger, **more)


def test_a_route_that_is_not_there_is_told(ledger: Ledger) -> None:
    with pytest.raises(SweepError, match="no route is named nobody"):
        sweeps_of(ledger).propose("nobody")
    with pytest.raises(GoalError, match="no route is named nobody"):
        sweeps_of(ledger).propose_typed("nobody", "")


def test_what_is_typed_is_what_is_asked_for(ledger: Ledger) -> None:
    shown = sweeps_of(ledger).propose_typed("quick", "by=rate max=4 ttft_p95=0.5").view
    assert (shown.by, shown.most, len(shown.goals)) == ("rate", 4.0, 1)
    assert typed("") == {"goals": []}


@pytest.mark.parametrize("words", ["by=luck", "max=0", "max=many", "max=nan", "most=4", "max=1e9"])
def test_what_cannot_be_asked_so_is_told(ledger: Ledger, words: str) -> None:
    with pytest.raises(GoalError, match="expected"):
        sweeps_of(ledger).propose_typed("quick", words)


def test_a_load_that_cannot_be_is_refused(ledger: Ledger) -> None:
    with pytest.raises(SweepError, match="max: expected"):
        sweeps_of(ledger).propose("quick", most=2_000)


def test_the_route_is_asked_in_no_other_way_than_the_sweep_does() -> None:
    route = Route(
        name="r", base_url="http://127.0.0.1/v1", model="m", concurrency=7, retries=2,
        pace="constant", rate=3.0,
    )  # fmt: skip
    closed = plan_of(route, "concurrency", None).route
    assert (closed.concurrency, closed.interval, closed.pace, closed.rate) == (
        1,
        0,
        "interval",
        None,
    )
    assert (closed.retries, closed.evidence, closed.paused) == (0, False, True)
    assert not plan_of(
        msgspec.structs.replace(route, adaptive=True), "concurrency", None
    ).route.adaptive
    opened = plan_of(route, "rate", 4.0).route
    assert (opened.pace, opened.rate, opened.concurrency) == ("poisson", 0.125, 32)


def test_the_cost_is_of_all_steps_that_there_can_be() -> None:
    route = Route(name="r", base_url="http://127.0.0.1/v1", model="m", max_tokens=64)
    plan = plan_of(route, "concurrency", 32)
    cost = cost_of(plan)
    assert cost.steps == 6 + 2 + 8 + 2
    assert cost.probes == sum(map(plan.most_probes, plan.step_loads))
    assert cost.tokens == cost.probes * (route.input_tokens + 64)
    assert cost.usd is None
    assert cost_of(plan_of(route, "concurrency", 1)).steps == 1


# Real engines on real sockets.

SCENARIO = """
title = "Swept"
[[models]]
name = "quick"
incident = "healthy"
serving = { gateway_s = 0.02, jitter = 0.1, decode_tokens_per_s = 200, batch_penalty = 0.01 }
limits = { concurrency = 6 }
[[models]]
name = "refusing"
incident = "healthy"
faults = { refuse = "auth", refuse_share = 1.0 }
"""


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the scenario in a process of its own."""
    path = tmp_path_factory.mktemp("scenario") / "swept.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", str(path)]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as provider:
        assert provider.stdout is not None
        assert provider.stdin is not None
        yield json.loads(provider.stdout.readline())["base_url"] + "/v1"
        provider.stdin.close()


def events_of(run: SweepRun) -> list[Event]:
    """Return the list that the events of a run will be in."""
    heard: list[Event] = []
    run._session.subscribe(lambda events, _lines: heard.extend(events))
    return heard


async def ended(run: SweepRun, within_s: float = 90.0) -> SweepView:
    with anyio.fail_after(within_s):
        await run.run()
    assert run.view.is_over
    return run.view


@pytest.mark.anyio
async def test_an_engine_of_its_own_finds_a_limit(base_url: str, ledger: Ledger) -> None:
    for _ in range(3):
        run = sweeps_of(ledger, base_url).propose("quick", most=8, step_s=2.0, goals=["ttft_p95=5"])
        assert run.view.state == "waiting"
        events = events_of(run)
        view = await ended(run)
        # On a machine that is busy the provider may seem to have changed: then no limit is claimed,
        # and the points tell it all the same. One that stands still may let none be refused.
        refused = [one for one in view.points if one.refused_at is not None]
        if refused:
            break
    assert refused
    for one in refused:
        assert one.refused_for == "concurrency"
        assert one.refused_at is not None
        # The answers of others may have come by the time that a late loop reads of the refusal.
        assert 1 <= one.refused_at.value <= 7
    assert view.state in ("done", "ill")
    assert view.limit is None or view.state == "done"
    if view.limit is not None:
        assert (view.limit.kind, view.limit.told) == ("concurrency", 6.0)
    charged = sum(one.charged_tokens for one in events if isinstance(one, AttemptFinished))
    assert view.spent_tokens == charged <= view.cost.tokens
    assert view.spent_probes <= view.cost.probes
    # What was asked for was in flight.
    for point in view.points:
        assert point.in_flight <= point.load * 1.05
    assert {one.who for one in events if isinstance(one, Knob)} == {"sweep"}


@pytest.mark.anyio
async def test_an_open_pace_asks_by_rate(base_url: str, ledger: Ledger) -> None:
    run = sweeps_of(ledger, base_url).propose(
        "quick", by="rate", most=32.0, step_s=2.0, goals=["ttft_p95=5"]
    )
    view = await ended(run)
    assert view.state in ("done", "ill")
    assert max(one.load for one in view.points) >= 8.0
    (four,) = [one for one in view.points if one.load == 4.0]
    assert 1 <= four.n <= 24


@pytest.mark.anyio
async def test_a_key_that_is_refused_ends_it(base_url: str, ledger: Ledger) -> None:
    view = await ended(sweeps_of(ledger, base_url).propose("refusing"))
    assert view.state == "failed"
    assert "client_error / auth" in view.sentence


@pytest.mark.anyio
async def test_the_budget_of_the_hour_holds(base_url: str, ledger: Ledger) -> None:
    budget = Budget(route_tokens_per_hour=300)
    run = sweeps_of(ledger, base_url, budget=budget).propose("quick", step_s=20.0)
    view = await ended(run)
    assert view.state == "budget"
    assert "The budget of the hour is spent" in view.sentence
    assert view.spent_tokens <= 300


@pytest.mark.anyio
async def test_it_ends_with_its_engine_process(base_url: str, ledger: Ledger) -> None:
    run = sweeps_of(ledger, base_url).propose("quick")
    events = events_of(run)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ended, run)
        with anyio.fail_after(20):
            while not any(isinstance(one, AttemptFinished) for one in events):  # noqa: ASYNC110
                await anyio.sleep(0.05)
        (hello,) = [one for one in events if isinstance(one, Hello)]
        os.kill(hello.pid, signal.SIGKILL)
    assert run.view.state == "failed"
    assert "its engine died" in run.view.sentence


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["crash", "mute_crash"])
async def test_an_engine_that_never_speaks_ends_it(ledger: Ledger, mode: str) -> None:
    launch = partial(launch_process, argv=[sys.executable, "-P", FAKE, mode])
    view = await ended(sweeps_of(ledger, launch=launch).propose("quick"), 20)
    assert (view.state, view.sentence) == ("failed", "It cannot be swept: its engine died.")


@pytest.mark.anyio
async def test_it_can_be_stopped_before_its_engine_speaks(ledger: Ledger) -> None:
    launch = partial(launch_process, argv=[sys.executable, "-P", FAKE, "silent"])
    run = sweeps_of(ledger, launch=launch).propose("quick")
    run.stop()
    assert (await ended(run, 20)).sentence == "Stopped after 0 steps."
