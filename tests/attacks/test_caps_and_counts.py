"""A server that ignores its cap or lies about its counts harms its own route alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from counting_server import Behaviour, CountingServer
from running import HEADLESS, events_of, home_of, running

ROUTE_BUDGET = 20_000
SETTINGS = """
[budget]
tokens_per_hour = {overall}
route_tokens_per_hour = {route}

[defaults]
concurrency = 8
interval = 0.1
retries = 0
stream = {streamed}

[routes.bad]
base_url = "{url}"
model = "bad"

[routes.good]
base_url = "{url}"
model = "good"
"""
ENDLESS = Behaviour(ignores_cap=True, answer_tokens=200_000)
GOOD = Behaviour(rate=1_000)
NOTICED_S = 1.5


def run(
    folder: Path, server: CountingServer, *, streamed: bool = True, engines: int = 1
) -> list[dict[str, Any]]:
    settings = folder / "routes.toml"
    settings.write_text(
        SETTINGS.format(
            url=server.base_url,
            streamed=str(streamed).lower(),
            overall=10 * ROUTE_BUDGET,
            route=ROUTE_BUDGET,
        )
    )
    settings.chmod(0o600)
    argv = [*HEADLESS, "--duration", "5", "--engines", str(engines), "--config", str(settings)]
    with running(argv, home_of(folder)) as process:
        printed, said = process.communicate(timeout=40)
    assert process.returncode == 0, said
    server.settled()
    return events_of(printed)


def attempts(events: list[dict[str, Any]], route: str) -> list[dict[str, Any]]:
    return [
        event for event in events if event["type"] == "attempt_finished" and event["route"] == route
    ]


@pytest.mark.parametrize(("rate", "engines"), [(300, 1), (5_000, 1), (5_000, 2)], ids=str)
def test_an_ignored_cap_spends_no_more_than_the_route_s_budget(
    tmp_path: Path, rate: float, engines: int
) -> None:
    models = {"bad": replace(ENDLESS, rate=rate), "good": GOOD}
    with CountingServer(models=models) as server:
        events = run(tmp_path, server, engines=engines)
        # What it makes while a busy machine lets it wait for our cut is billed, too.
        assert server.billed("bad") < ROUTE_BUDGET + max(0.1 * ROUTE_BUDGET, NOTICED_S * rate)
    bad, good = attempts(events, "bad"), attempts(events, "good")
    assert {event.get("reason") for event in bad} <= {"cap_ignored", "cancelled"}
    assert bad[-1]["reserved_tokens"] > 1.4 * bad[0]["reserved_tokens"]
    assert {event.get("reason", "") for event in good} <= {"", "cancelled"}
    assert len(good) > 100, "the other route goes on"


def test_whole_answers_beyond_the_cap_teach_their_route_what_to_reserve(tmp_path: Path) -> None:
    bad = Behaviour(ignores_cap=True, answer_tokens=1_500, rate=0)
    with CountingServer(models={"bad": bad, "good": GOOD}) as server:
        events = run(tmp_path, server, streamed=False)
        # All eight workers began before the first answer taught anything.
        assert server.billed("bad") < ROUTE_BUDGET + 8 * 1_600
    assert attempts(events, "bad")[-1]["reserved_tokens"] > 1_500
    assert len(attempts(events, "good")) > 100


@pytest.mark.parametrize(
    "usage",
    [
        lambda given, output: {"prompt_tokens": given, "completion_tokens": 10**9},
        lambda given, output: {"prompt_tokens": 10**9, "completion_tokens": output},
        lambda given, output: {"prompt_tokens": given, "completion_tokens": -5},
        lambda given, output: {"prompt_tokens": given, "completion_tokens": output, "cost": 1e9},
    ],
    ids=["output", "input", "negative", "cost"],
)
def test_a_false_usage_stops_nobody(
    tmp_path: Path, usage: Callable[[int, int], dict[str, Any]]
) -> None:
    with CountingServer(models={"bad": replace(GOOD, usage=usage), "good": GOOD}) as server:
        events = run(tmp_path, server)
        billed = server.billed("bad")
    bad = attempts(events, "bad")
    assert billed <= sum(event["charged_tokens"] for event in bad) < 1.2 * billed
    assert len(bad) > 100
    assert len(attempts(events, "good")) > 100
    notices = [event["text"] for event in events if event["type"] == "notice"]
    assert sum("the server tells of" in text for text in notices) <= 1
