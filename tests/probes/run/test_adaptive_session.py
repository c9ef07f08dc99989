"""A run whose concurrency finds itself: a real engine in this loop, a real server beside it."""

from collections.abc import Iterator

import pytest
from simulator.simulator_kit import QUICK, serving
from test_session import running, until

from probes.config import Config, Route
from probes.control.commands import Adapt, SetKnob
from probes.events import Knob
from probes.money.ledger import Ledger
from probes.run.session import Session
from probes.simulator import Conditions, Limits, steady

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger(None)
    yield made
    made.close()


def knobs(events: list[object], knob: str) -> list[tuple[float, float, str, str]]:
    return [
        (one.before, one.after, one.who, one.reason)
        for one in events
        if isinstance(one, Knob) and one.knob == knob
    ]


async def test_a_stated_limit_is_gone_to_and_a_hand_on_the_knob_ends_it(ledger: Ledger) -> None:
    conditions = Conditions(serving=QUICK, limits=Limits(concurrency=3))
    async with serving(steady("quick", conditions)) as server:
        route = Route(
            name="alpha",
            base_url=f"{server.base_url}/v1",
            model="quick",
            interval=0.05,
            concurrency=1,
            adaptive=True,
        )
        session = Session(
            Config(routes=(route,)), {}, recorder=None, ledger=ledger, in_process=True
        )
        async with running(session) as events:
            await until(lambda: knobs(events, "concurrency") != [])
            assert knobs(events, "concurrency") == [(1, 3, "auto", "told: 3 at a time")]
            assert session.wanted.routes["alpha"].concurrency == 3
            session.command(SetKnob(route="alpha", knob="concurrency", value=2))
            await until(lambda: len(knobs(events, "concurrency")) == 2)
            assert knobs(events, "auto") == [(1, 0, "user", "CONC was set by hand")]
            session.command(Adapt(route="alpha", on=True))
            await until(lambda: len(knobs(events, "concurrency")) == 3)
            assert knobs(events, "auto")[1:] == [(0, 1, "user", "")]
            assert knobs(events, "concurrency")[2][:3] == (2, 3, "auto")
            session.command(Adapt(route="alpha", on=False, concurrency=1))
            await until(lambda: len(knobs(events, "concurrency")) == 4)
            assert knobs(events, "concurrency")[3] == (3, 1, "user", "")
