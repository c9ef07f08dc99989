"""What a person does about the budgets on a real bus: `llmtop budget --bus`, and L in a cockpit."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from agents import Agent, on_the_bus, settings, until
from nats_server import nats_server
from peer_processes import simulated

from probes.bus.address import bus_address
from probes.bus.connection import BusConnection
from probes.bus.names import BUDGETS_BUCKET
from probes.config import Budget
from probes.events import Event, Notice, Tick
from probes.kit.clock import SystemClock
from probes.money.bus_ledger import BOOK_KEY, BusLedger
from probes.money.lease_rules import Ask
from probes.run.places_session import PlacesSession
from probes.sources.bus import BusSource
from tui.cli import main


async def spend(url: str) -> None:
    """Have two places lease and spend, the first of which ends in order."""
    async with on_the_bus(url) as bus:
        for place, spent in (("eu", 300), ("us", 200)):
            ledger = BusLedger(bus.bucket(BUDGETS_BUCKET), place=place, clock=SystemClock())
            await ledger.exchange("run", [Ask("r", want_tokens=300)], Budget())
            await ledger.exchange("run", [Ask("r", spent_tokens=spent)], Budget())
            if place == "eu":
                await ledger.release("run")
            else:
                await ledger._change()


async def overwrite_book(url: str, value: bytes) -> None:
    async with on_the_bus(url) as bus:
        await bus.bucket(BUDGETS_BUCKET).put(BOOK_KEY, value)


def test_the_budgets_of_a_bus_are_told_struck_and_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def told(*options: str) -> Any:
        assert main(["budget", "--bus", bus.url, *options]) == 0
        return capsys.readouterr()

    with nats_server(tmp_path / "bus") as bus:
        assert told() == ("the bus knows of nothing spent in the last hour\n", "")
        assert told("--lift").out == "the budgets on the bus are not in doubt\n"
        assert main(["budget", "--bus", bus.url, "--strike", "aa"]) == 2
        assert "`llmtop budget --bus URL` lists them" in capsys.readouterr().err
        anyio.run(spend, bus.url)
        out, err = told()
        assert "500 of 2,000,000 tokens" in out
        assert err.startswith("llmtop: the budgets on the bus are new: until ")
        assert err.endswith(" (--lift ends that)\n")
        assert told("--lift").out == ("lifted: the budgets count from what is known on the bus\n")
        runs = {run["host"][-2:]: run for run in json.loads(told("--json").out)["runs"]}
        assert told()[1] == ""
        assert [runs["eu"]["alive"], runs["us"]["alive"]] == [False, True]
        out, _ = told("--strike", runs["eu"]["id"][:6])
        will, done = out.splitlines()
        assert will.startswith(f"will free 300 tokens and $0 of run {runs['eu']['id']}")
        assert done == f"struck {runs['eu']['id']}: 300 tokens are free"
        struck = json.loads(told("--strike", runs["us"]["id"], "--json").out)
        assert struck == {
            "struck": runs["us"]["id"],
            "tokens": 200,
            "usd": 0.0,
            "keeps_lease": runs["us"]["leased_tokens"] > 0,
        }
        report = json.loads(told("--json").out)
        assert report["tokens"] == 0
        assert [run["id"] for run in report["runs"]] == [runs["us"]["id"]]
        anyio.run(overwrite_book, bus.url, b"[]")
        assert main(["budget", "--bus", bus.url]) == 1
        assert "until --lift begins them anew, places hold back" in capsys.readouterr().err
        assert told("--lift").out.endswith("; begun anew, of what the places that live know\n")
        assert "the budgets on the bus are new" in told()[1]


@pytest.mark.anyio
async def test_a_cockpit_lifts_what_the_new_budgets_of_agents_hold_back(tmp_path: Path) -> None:
    heard: list[Event] = []
    with simulated("healthy") as provider, nats_server(tmp_path / "bus") as server:
        config = settings(tmp_path, provider)
        with config.open("a", encoding="utf-8") as file:
            file.write("[budget]\ntokens_per_hour = 20_000\nroute_tokens_per_hour = 20_000\n")
        agents = [Agent(tmp_path, place, server.url, config) for place in ("eu", "us")]
        bus = BusConnection(bus_address(server.url), clock=SystemClock())
        session = PlacesSession(partial(BusSource, bus))
        session.subscribe(lambda events, _lines: heard.extend(events))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.run)
                for agent in agents:
                    agent.start()

                def doubts() -> set[tuple[str, str]]:
                    """The kinds of doubt by place, as they were told last."""
                    ticks = {one.place: one for one in heard if isinstance(one, Tick)}
                    return {
                        (place, one.doubt_kind if one.doubt else "")
                        for place, tick in ticks.items()
                        for one in tick.budgets
                        if not one.route
                    }

                await until(lambda: doubts() == {("eu", "new"), ("us", "new")}, "both are told")
                session.lift()
                await until(lambda: doubts() == {("eu", ""), ("us", "")}, "both are lifted", 10.0)
                texts = [one.text for one in heard if isinstance(one, Notice)]
                assert any("the emergency is lifted" in text for text in texts)
                assert not any("not done" in text for text in texts)
                session.stop()
        finally:
            for agent in agents:
                agent.kill()
