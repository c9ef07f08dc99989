"""A run over several places: each with an engine, a lease and keys of its own; one stream."""

import io
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from os import kill
from pathlib import Path
from signal import SIGKILL
from typing import Any

import anyio
import pytest

from probes.config import Budget, Config, Route
from probes.config.places import GivenPlace, config_at
from probes.control.commands import Adapt, Lift, MarkTime, Pause, SetKnob
from probes.events import AttemptFinished, Event, Held, Hello, Knob, Mark, Notice, PlaceReport
from probes.money.ledger import Ledger
from probes.run.headless import run_headless
from probes.run.replay import run_replay
from probes.run.session import Session
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.sources.ssh import ssh_explain
from probes.sources.supervised import EngineWay
from probes.store.recording import Recorder
from tui.commands.provider import embedded_provider

pytestmark = pytest.mark.anyio

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
QUICK = HostLimits(backoff_first_s=0.02, stop_grace_s=1.0, terminate_grace_s=0.2)
ROUTE = Route(name="r", base_url="http://127.0.0.1:9", model="m", interval=0.1)
EU, US, HERE = (
    GivenPlace("eu", "ssh", "eu.example"),
    GivenPlace("us", "ssh", "us.example"),
    GivenPlace("here", "local"),
)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger(None)
    yield made
    made.close()


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with embedded_provider("healthy", seed=1) as provider:
        yield f"{provider.base_url}/v1"


def playing(**modes: str) -> Callable[[GivenPlace], EngineWay]:
    """Return the way to a fake engine at each place, which behaves as its mode says."""

    def way_to(place: GivenPlace) -> EngineWay:
        mode = modes.get(place.name, "good")
        argv = [sys.executable, "-P", FAKE, mode]
        if mode.startswith("exit"):
            argv = ["/bin/sh", "-c", f"echo 'llmtop: routes.r.api_key_env: not set' >&2; {mode}"]
        return EngineWay(partial(launch_process, argv=argv), ssh_explain(place), QUICK)

    return way_to


def session_of(ledger: Ledger, *places: GivenPlace, **given: Any) -> Session:
    config = given.pop("config", Config(routes=(ROUTE,)))
    settings: dict[str, Any] = {
        "recorder": None,
        "limits": QUICK,
        "launch": partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
        "way_to": playing(),
        **given,
    }
    config = config_at(config, *(place.name for place in places))
    return Session(config, {}, ledger=ledger, places=places, **settings)


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - other processes bring it about
            await anyio.sleep(0.01)


@asynccontextmanager
async def running(session: Session) -> AsyncIterator[list[Event]]:
    heard: list[Event] = []
    session.subscribe(lambda events, _lines: heard.extend(events))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        yield heard
        session.stop()


def of(heard: list[Event], kind: type[Event], place: str) -> list[Any]:
    return [one for one in heard if isinstance(one, kind) and getattr(one, "place", "") == place]


def told(heard: list[Event]) -> list[list[dict[str, Any]]]:
    """Return what each fake engine was told between Configure and Go."""
    marks = [event.text for event in heard if isinstance(event, Mark)]
    return [json.loads(text) for text in marks if text.startswith("[")]


async def test_a_new_engine_of_a_place_is_told_what_is_wanted_there_alone(ledger: Ledger) -> None:
    session = session_of(ledger, EU, US)
    async with running(session) as heard:
        await until(lambda: len(told(heard)) == 2)
        session.command(SetKnob(route="r@eu", knob="concurrency", value=5))
        session.command(Pause(route="r@us", paused=True))
        session.command(Adapt(route="r@eu", on=True))
        (eu,) = of(heard, Hello, "eu")
        (us,) = of(heard, Hello, "us")
        for hello in (eu, us):
            kill(hello.pid, SIGKILL)
        await until(lambda: len(told(heard)) == 4)
    knobs = sorted(tuple(one["type"] for one in commands) for commands in told(heard)[2:])
    assert knobs == [("allow", "pause"), ("allow", "set_knob")]
    for place in ("eu", "us"):
        died, back = of(heard, Held, place)
        assert (died.reason, back.released) == ("restarting", True)
    # That a concurrency finds itself is told again with its own place's engine, and no other.
    switched = [one for one in heard if isinstance(one, Knob) and one.knob == "auto"]
    assert [(one.route, one.who) for one in switched] == [("r@eu", "user"), ("r@eu", "restart")]


async def test_a_place_that_refuses_is_given_up_and_the_run_goes_on(ledger: Ledger) -> None:
    session = session_of(ledger, EU, HERE, way_to=playing(eu="exit 2"))
    async with running(session) as heard:
        await until(lambda: bool(of(heard, PlaceReport, "eu")))
        (report,) = of(heard, PlaceReport, "eu")
        assert report.state == "gone"
        assert report.detail == "eu.example: routes.r.api_key_env: not set"
        await until(lambda: bool(of(heard, PlaceReport, "here")))
        assert session.given_up == [("eu", report.detail)]
        assert not session.is_over
        session.command(MarkTime(text="on"))
        await until(lambda: any(isinstance(one, Mark) and one.text == "on" for one in heard))


async def test_without_a_screen_a_run_ends_where_no_place_is_left(ledger: Ledger) -> None:
    session = session_of(ledger, EU, US, way_to=playing(eu="exit 2", us="exit 127"))
    out, said = io.BytesIO(), list[str]()
    with anyio.fail_after(10):
        status = await run_headless(
            session, duration_s=None, out=out, fail_on_goals=False, report=said.extend
        )
    assert status == 1
    assert sorted(line.partition(":")[0] for line in said) == ["place eu", "place us"]
    hello, *_ = map(json.loads, out.getvalue().splitlines())
    assert (hello["type"], hello["clock_name"]) == ("hello", "CLOCK_REALTIME")
    assert [route["name"] for route in hello["routes"]] == ["r@eu", "r@us"]


async def test_places_spend_one_budget_together_and_replay_the_same(
    base_url: str, ledger: Ledger, tmp_path: Path
) -> None:
    record = tmp_path / "run.jsonl"
    route = Route(name="r", base_url=base_url, model="healthy", interval=0.0, max_tokens=4)
    budget = Budget(route_tokens_per_hour=500)
    session = session_of(
        ledger,
        GivenPlace("east", "local"),
        GivenPlace("west", "local"),
        config=Config(routes=(route,), budget=budget),
        launch=launch_process,
        limits=None,
        recorder=Recorder.to_file(record),
    )
    async with running(session) as heard:
        await until(
            lambda: (
                {one.route for one in heard if isinstance(one, Held) and one.reason == "budget"}
                == {"r@east", "r@west"}
            )
        )
        await anyio.sleep(0.5)
    ended = [one for one in heard if isinstance(one, AttemptFinished)]
    assert {one.route for one in ended} == {"r@east", "r@west"}
    assert 300 < sum(one.charged_tokens for one in ended) <= 500
    assert not [one for one in heard if isinstance(one, Notice) and "ledger" in one.text]
    out = io.BytesIO()
    assert await run_replay([record], out=out, report=pytest.fail) == 0
    summary = json.loads(out.getvalue().splitlines()[-1])["routes"]
    assert summary == json.loads(json.dumps(session.board.summary()))


async def test_what_a_ledger_here_holds_back_is_lifted_for_all_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    failing = Ledger(tmp_path / "file" / "ledger.sqlite3")
    session = session_of(failing, EU, US)
    async with running(session) as heard:
        await until(lambda: len(told(heard)) == 2)
        assert all(one[0]["allowances"][0]["doubt"] for one in told(heard))
        session.command(Lift())
        await until(lambda: any("is lifted" in one.text for one in heard_notices(heard)))
        assert session.unliftable == ""
    failing.close()
    assert sum("until it works again" in one.text for one in heard_notices(heard)) == 1


def heard_notices(heard: list[Event]) -> list[Notice]:
    return [one for one in heard if isinstance(one, Notice)]
