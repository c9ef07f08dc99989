"""A leaderboard measured on purpose: a real engine, and the embedded provider.

It takes seconds of wall time: what is ranked is time itself.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from probes.board.standings import leader_groups
from probes.config import Budget, Config, Price, Route
from probes.config.workloads import WORKLOADS
from probes.money.ledger import Ledger
from probes.run import leaderboard_run
from probes.run.leaderboard_run import LeaderboardRun, asked_alone, asked_routes

pytestmark = pytest.mark.anyio

SCENARIO = """
title = "Ranks"
[[models]]
name = "quick"
incident = "healthy"
serving = { gateway_s = 0.02, jitter = 0.1, decode_tokens_per_s = 800, answer_tokens = 5000 }
limits = { tokens_per_min = 0.0, requests_per_min = 0.0 }
[[models]]
name = "slow"
incident = "healthy"
serving = { gateway_s = 0.1, jitter = 0.1, decode_tokens_per_s = 300, answer_tokens = 5000 }
limits = { tokens_per_min = 0.0, requests_per_min = 0.0 }
[[models]]
name = "dear"
incident = "healthy"
serving = { gateway_s = 0.02, decode_tokens_per_s = 800, prompt_factor = 8.0 }
limits = { tokens_per_min = 0.0, requests_per_min = 0.0 }
"""
PROBES = 6


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("scenario") / "ranks.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", str(path)]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as provider:
        assert provider.stdout is not None
        assert provider.stdin is not None
        yield json.loads(provider.stdout.readline())["base_url"] + "/v1"
        provider.stdin.close()


def config_of(base_url: str, *models: str, budget: Budget | None = None) -> Config:
    routes = tuple(
        Route(
            name=model,
            base_url=base_url,
            model=model,
            price=Price(input=1.0, output=5.0) if model == "quick" else None,
        )
        for model in models
    )
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    return Config(routes=routes, budget=budget or plenty)


def running(config: Config, **how: object) -> LeaderboardRun:
    settings = {"probes": PROBES, "workload": "aa-100", **how}
    return LeaderboardRun(config, {}, ledger=Ledger(None), **settings)


async def test_the_quicker_one_stands_first_and_what_fails_costs_only_itself(
    base_url: str,
) -> None:
    run = running(config_of(base_url, "slow", "quick", "nowhere"))
    await run.run()
    (group,) = leader_groups(run.snapshot().standings)
    assert (group.cohort, [row.route for row in group.rows]) == (
        "300/256/aa-100",
        ["quick", "slow"],
    )
    for row in group.rows:
        assert (row.probes, row.failed, row.e2e_s.n) == (PROBES, 0, PROBES)
        assert row.e2e_s.low is not None
        assert row.input_tokens == pytest.approx(100, rel=0.1)
        assert (row.output_tokens, row.cached_tokens) == (300, 0)
    quick, slow = group.rows
    assert (quick.price, slow.price) == (2.0, None)
    assert slow.tokens_per_s.value == pytest.approx(300, rel=0.2)
    (remark,) = run.remarks
    assert remark.startswith("nowhere: client_error / model_not_found")


async def test_it_costs_no_more_than_was_told(base_url: str) -> None:
    run = running(config_of(base_url, "dear"), workload="aa-1k")
    told = run.cost
    assert told.probes == PROBES + 1
    assert told.tokens == (PROBES + 1) * (1_008 + 1_000)
    await run.run()
    (row,) = run.snapshot().standings
    # The first was counted eight times what was expected; then the engine had learned.
    assert 0 < row.probes < PROBES
    assert row.input_tokens == pytest.approx(1_000, rel=0.1)
    assert run.remarks == ("dear: more tokens were counted than expected: the told cost is spent",)


async def test_the_budget_of_the_hour_ends_it(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard_run, "_DRY_S", 1.0)
    budget = Budget(tokens_per_hour=1_500, route_tokens_per_hour=1_500)
    run = running(config_of(base_url, "quick", budget=budget))
    await run.run()
    assert "the budget of the hour is spent" in run.remarks[0]


def test_what_it_costs_names_the_routes_without_a_price() -> None:
    cost = running(config_of("http://127.0.0.1:1/v1", "quick", "slow")).cost
    assert cost.unpriced == ("slow",)
    assert cost.usd == pytest.approx((PROBES + 1) * (108 * 1.0 + 300 * 5.0) / 1e6)
    assert running(config_of("http://127.0.0.1:1/v1", "slow")).cost.usd is None


def test_all_are_asked_the_workload_or_each_its_own() -> None:
    route = Route(
        name="r",
        base_url="http://h",
        model="m",
        prompt="own",
        system="brief",
        cache="bust",
        max_tokens=7,
        concurrency=9,
        paused=True,
    )
    own = asked_alone(route, None)
    assert (own.prompt, own.system, own.max_tokens) == ("own", "brief", 7)
    assert (own.concurrency, own.retries, own.paused) == (0, 0, False)
    asked = asked_alone(route, "aa-1k")
    assert (asked.prompts, asked.max_tokens) == ((WORKLOADS["aa-1k"].prompt,), 1_000)
    assert (asked.system, asked.cache) == (None, "warm")


def test_the_routes_that_are_named_are_asked_alone_and_in_that_order() -> None:
    config = config_of("http://h", "a", "b", "c")
    assert [route.name for route in asked_routes(config, ["c", "a", "c"]).routes] == ["c", "a"]
    assert asked_routes(config, []) == config
    with pytest.raises(KeyError, match="nobody"):
        asked_routes(config, ["nobody"])
