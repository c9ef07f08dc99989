"""Comparisons at work: real engines, real sockets, and the embedded provider.

They take seconds of wall time: what is compared is time itself.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import pytest

from probes.comparing.arms import ArmChange, ArmError
from probes.comparing.views import ComparisonView
from probes.config import Budget, Config, Price, Route
from probes.events import AttemptFinished, Event, Hello
from probes.money.ledger import Ledger
from probes.run import comparison_run
from probes.run.comparison_run import ComparisonRun, Comparisons
from probes.sources.child_process import launch_process

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")

pytestmark = pytest.mark.anyio

SCENARIO = """
title = "Arms"
[[models]]
name = "quick"
incident = "healthy"
serving = { gateway_s = 0.08, jitter = 0.1, decode_tokens_per_s = 2000 }
[[models]]
name = "slow"
incident = "healthy"
serving = { gateway_s = 0.12, jitter = 0.1, decode_tokens_per_s = 2000 }
[[models]]
name = "limited"
incident = "healthy"
serving = { gateway_s = 0.02, jitter = 0.1, decode_tokens_per_s = 2000 }
limits = { requests_per_min = 40.0, burst_s = 1.0 }
[[models]]
name = "refusing"
incident = "healthy"
faults = { refuse = "auth", refuse_share = 1.0 }
"""
MODELS = ("quick", "again", "slow", "limited", "refusing")


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the scenario in a process of its own."""
    path = tmp_path_factory.mktemp("scenario") / "arms.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", str(path)]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as provider:
        assert provider.stdout is not None
        assert provider.stdin is not None
        yield json.loads(provider.stdout.readline())["base_url"] + "/v1"
        provider.stdin.close()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger of one test."""
    made = Ledger(None)
    yield made
    made.close()


Make = Callable[..., Comparisons]


@pytest.fixture
def make(base_url: str, ledger: Ledger) -> Make:
    """Return what makes comparisons of the provider's models, each a route of its name."""

    def comparisons(**budget: Any) -> Comparisons:
        routes = tuple(
            Route(
                name=name,
                base_url=base_url,
                model="quick" if name == "again" else name,
                max_tokens=4,
                price=Price(input=1.0, output=2.0),
            )
            for name in MODELS
        )
        config = Config(routes=routes, budget=Budget(**budget))
        return Comparisons(config, {}, ledger=ledger, random=Random(1))

    return comparisons


def events_of(run: ComparisonRun) -> list[Event]:
    """Return the list that the events of a run will be in."""
    heard: list[Event] = []
    run._session.subscribe(lambda events, _lines: heard.extend(events))
    return heard


def attempts_of(events: list[Event], route: str) -> list[AttemptFinished]:
    return [one for one in events if isinstance(one, AttemptFinished) and one.route == route]


async def ended(run: ComparisonRun, within_s: float = 90.0) -> ComparisonView:
    """Run a comparison to its end."""
    with anyio.fail_after(within_s):
        await run.run()
    assert run.view.is_over
    return run.view


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - another process brings it about
            await anyio.sleep(0.01)


async def test_a_route_that_takes_half_as_long_again_is_told_to_be_slower(make: Make) -> None:
    run = make().propose(["quick", "slow"])
    assert run.view.state == "waiting"
    events = events_of(run)
    view = await ended(run)
    assert view.state == "decided"
    assert view.sentence.startswith("slow is slower to the first token than quick, ×1.")
    assert view.pairs < view.cost.pairs
    quick, slow = view.arms
    # The warm-up costs, and does not count.
    assert (quick.probes, slow.probes) == (view.pairs, view.pairs)
    assert len(attempts_of(events, "quick")) == view.pairs + 1
    charged = sum(one.charged_tokens for one in events if isinstance(one, AttemptFinished))
    assert view.spent_tokens == charged <= view.cost.tokens
    assert view.cost.usd is not None
    assert 0 < view.spent_usd <= view.cost.usd


async def test_two_routes_that_are_the_same_are_not_told_apart(make: Make) -> None:
    run = make().propose(["quick", "again"], most_pairs=15)
    view = await ended(run)
    assert (view.state, view.pairs) == ("budget", 15)
    (ttft,) = [one for one in view.arms[1].figures if one.decides]
    assert (ttft.verdict, ttft.pairs) == ("unknown", 15)
    assert view.sentence.startswith("All 15 pairs are asked. It is not known")


async def test_arms_take_turns_in_random_order_one_probe_at_a_time(make: Make) -> None:
    run = make().propose(["quick", "again"], most_pairs=12)
    events = events_of(run)
    await ended(run)
    attempts = [one for one in events if isinstance(one, AttemptFinished)]
    blocks = [attempts[at : at + 2] for at in range(0, len(attempts), 2)]
    assert all({one.route for one in block} == {"quick", "again"} for block in blocks)
    assert {block[0].route for block in blocks} == {"quick", "again"}
    for before, after in pairwise(attempts):
        assert after.stamps_ns.started is not None
        assert after.stamps_ns.started > before.at_ns


async def test_one_arm_keeps_its_connection_and_the_other_does_not(make: Make) -> None:
    run = make().propose(["quick"], ArmChange("fresh"), most_pairs=4)
    events = events_of(run)
    view = await ended(run)
    assert [arm.name for arm in view.arms] == ["quick", "quick (fresh)"]
    assert [one.cold for one in attempts_of(events, "quick")] == [True] + [False] * 4
    assert [one.cold for one in attempts_of(events, "quick (fresh)")] == [True] * 5


async def test_a_whole_answer_is_compared_by_its_end(make: Make) -> None:
    view = await ended(make().propose(["quick"], ArmChange("stream"), most_pairs=3))
    streamed, whole = view.arms
    assert streamed.ttft_s is not None
    assert whole.ttft_s is None
    assert [(one.figure, one.pairs) for one in whole.figures if one.decides] == [("e2e", 3)]


async def test_a_longer_prompt_costs_what_it_was_told_to_cost(make: Make) -> None:
    run = make().propose(["quick"], ArmChange("prompt", "500"), most_pairs=2)
    view = await ended(run)
    short, long = view.arms
    assert long.tokens > short.tokens + 3 * 400
    assert view.spent_tokens <= view.cost.tokens


async def test_it_ends_before_its_own_budget_is_passed(make: Make) -> None:
    tokens = make().propose(["quick", "again"], most_pairs=1).view.cost.tokens
    run = make().propose(["quick", "again"], most_tokens=2 * tokens)
    view = await ended(run)
    assert view.state == "budget"
    assert 0 < view.pairs <= 6
    assert view.spent_tokens <= 2 * tokens
    assert view.sentence.startswith(f"Its budget of {2 * tokens} tokens is spent.")


async def test_it_ends_before_its_own_budget_in_usd_is_passed(make: Make) -> None:
    run = make().propose(["quick", "again"], most_usd=0.0003)
    view = await ended(run)
    assert view.state == "budget"
    assert 0 < view.spent_usd <= 0.0003
    assert view.sentence.startswith("Its budget of $0.0003 is spent.")


async def test_the_budget_of_the_hour_holds_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_run, "_DRY_S", 1.0)
    view = await ended(make(tokens_per_hour=200).propose(["quick", "again"]))
    assert view.state == "budget"
    assert view.spent_tokens <= 200
    assert "budget of the hour is spent" in view.sentence


async def test_what_refuses_the_first_request_is_asked_no_more(make: Make) -> None:
    run = make().propose(["refusing", "quick"])
    events = events_of(run)
    view = await ended(run)
    assert (view.state, view.pairs) == ("failed", 0)
    assert view.sentence.startswith("It cannot be compared: refusing: client_error / auth")
    assert len(attempts_of(events, "refusing")) == 1


async def test_a_429_is_waited_for_and_told(make: Make) -> None:
    run = make().propose(["quick", "limited"], most_pairs=4)
    waits: set[str] = set()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ended, run)
        while not run.view.is_over:
            waits.add(run.view.waits)
            await anyio.sleep(0.02)
    assert any(": limited asked for that" in one for one in waits)
    limited = run.view.arms[1]
    assert 0 < limited.throttled < limited.probes


async def test_a_wait_that_is_too_long_ends_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_run, "LONGEST_WAIT_S", 0.1)
    view = await ended(make().propose(["quick", "limited"]))
    assert view.state == "stopped"
    assert "limited asked for that" in view.sentence


async def test_it_can_be_stopped_and_tells_what_is_known(make: Make) -> None:
    run = make().propose(["quick", "again"])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ended, run)
        await until(lambda: run.view.pairs >= 2)
        assert run.view.asking in ("quick", "again")
        run.stop()
        run.stop()
    assert run.view.state == "stopped"
    assert run.view.sentence.startswith(f"Stopped after {run.view.pairs} pairs. It is not known")


async def test_it_is_over_where_it_is_cancelled_too(make: Make) -> None:
    run = make().propose(["quick", "again"])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.run)
        await until(lambda: run.view.pairs >= 1)
        tasks.cancel_scope.cancel()
    assert run.view.state == "stopped"
    assert run.view.pairs >= 1


async def test_it_ends_with_its_engine_and_tells_what_is_known(make: Make) -> None:
    run = make().propose(["quick", "again"])
    events = events_of(run)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ended, run)
        await until(lambda: run.view.pairs >= 2)
        (hello,) = [one for one in events if isinstance(one, Hello)]
        os.kill(hello.pid, signal.SIGKILL)
    assert run.view.state == "failed"
    assert "its engine died" in run.view.sentence
    assert run.view.pairs >= 2


@pytest.mark.parametrize("mode", ["crash", "mute_crash"])
async def test_an_engine_that_never_speaks_ends_it(ledger: Ledger, mode: str) -> None:
    launch = partial(launch_process, argv=[sys.executable, "-P", FAKE, mode])
    routes = tuple(Route(name=name, base_url="http://127.0.0.1:9/v1", model="m") for name in "ab")
    run = Comparisons(Config(routes=routes), {}, ledger=ledger, launch=launch).propose(["a", "b"])
    view = await ended(run, 20)
    assert (view.state, view.sentence) == ("failed", "It cannot be compared: its engine died.")


async def test_it_can_be_stopped_before_its_engine_speaks(ledger: Ledger) -> None:
    launch = partial(launch_process, argv=[sys.executable, "-P", FAKE, "silent"])
    routes = tuple(Route(name=name, base_url="http://127.0.0.1:9/v1", model="m") for name in "ab")
    run = Comparisons(Config(routes=routes), {}, ledger=ledger, launch=launch).propose(["a", "b"])
    run.stop()
    assert (await ended(run, 20)).sentence == "Stopped after 0 pairs. Nothing is known."


async def test_what_it_spends_stands_in_the_ledger_as_a_run_of_its_own(
    make: Make, ledger: Ledger
) -> None:
    view = await ended(make().propose(["quick", "again"], most_pairs=3))
    report = ledger.report()
    assert report.tokens == view.spent_tokens


async def test_an_arm_has_the_headers_of_its_own_route_alone(ledger: Ledger) -> None:
    routes = tuple(
        Route(name=name, base_url="http://127.0.0.1:9/v1", model="m", api_key_env=name.upper())
        for name in ("alpha", "bravo")
    )
    headers = {name: {"Authorization": f"Bearer {name}"} for name in ("alpha", "bravo")}
    made = Comparisons(Config(routes=routes), headers, ledger=ledger)
    run = made.propose(["alpha"], ArmChange("fresh"))
    assert run._session._headers == {
        "alpha": headers["alpha"],
        "alpha (fresh)": headers["alpha"],
    }
    with pytest.raises(ArmError, match=r"to 127\.0\.0\.1:9 alone, not to 127\.0\.0\.1:10"):
        made.propose(["alpha"], ArmChange("base-url", "http://127.0.0.1:10/v1"))


async def test_what_is_no_comparison_is_refused_in_words(make: Make) -> None:
    with pytest.raises(ArmError, match="no route is named nobody"):
        make().propose(["quick", "nobody"])
    with pytest.raises(ArmError, match="a change is made to one route, not to 2"):
        make().propose(["quick", "slow"], ArmChange("fresh"))


async def test_the_cost_is_told_beforehand_and_unknown_prices_too(ledger: Ledger) -> None:
    priced = Route(
        name="a", base_url="http://h/v1", model="m", max_tokens=10, price=Price(input=1, output=10)
    )
    unpriced = msgspec.structs.replace(priced, name="b", price=None)
    config = Config(routes=(priced, unpriced))
    cost = Comparisons(config, {}, ledger=ledger).propose(["a", "b"], most_pairs=9).view.cost
    assert (cost.pairs, cost.probes, cost.unpriced) == (9, 20, ("b",))
    prompt = cost.tokens / 20 - 10
    assert cost.usd == pytest.approx(10 * (prompt * 1 + 10 * 10) / 1e6)
    both = msgspec.structs.replace(
        config, routes=(unpriced, msgspec.structs.replace(unpriced, name="c"))
    )
    assert Comparisons(both, {}, ledger=ledger).propose(["b", "c"]).view.cost.usd is None


def test_a_session_makes_comparisons_when_they_are_asked_for(
    ledger: Ledger, tmp_path: Path
) -> None:
    from probes.run.session import Session

    route = Route(name="a", base_url="http://127.0.0.1:9/v1", model="m")
    config = Config(routes=(route,))
    made: list[Comparisons] = []

    def compare() -> Comparisons:
        made.append(Comparisons(config, {}, ledger=ledger))
        return made[-1]

    session = Session(config, {}, recorder=None, ledger=ledger, compare=compare)
    assert made == []
    assert session.comparisons is session.comparisons is made[0]
    assert len(made) == 1
    assert Session(config, {}, recorder=None, ledger=ledger).comparisons is None
