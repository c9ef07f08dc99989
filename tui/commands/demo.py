"""`llmtop demo`: the embedded provider watched by everything that watches real routes."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from typing import Final

from probes.config import Budget, Config
from probes.control.commands import SetKnob
from probes.events import Event, Tick
from probes.kit.clock import NS_PER_S
from probes.money.ledger import Ledger
from probes.run.session import Session
from probes.simulator import KnobTurn
from probes.simulator.library import demo_routes
from tui.commands.output import OK
from tui.commands.provider import embedded_provider
from tui.commands.scenarios import asked_scenario, say_scenarios
from tui.commands.watch import need_face, watch

_BUDGET: Final = Budget(tokens_per_hour=20_000_000, route_tokens_per_hour=5_000_000)
"""What an hour of the demo needs and more: nobody pays for it."""


def run(arguments: Namespace) -> int:
    """Serve a scenario in a child process and watch it; return the exit status.

    Its spending costs nothing and stays out of the ledger that real runs share.

    Raises:
        UsageError: there is no such scenario, no terminal, or the provider did not start.
    """
    if arguments.list:
        say_scenarios()
        return OK
    need_face(arguments, "llmtop demo")
    scenario = asked_scenario(arguments)
    with embedded_provider(arguments.scenario, seed=arguments.seed) as provider:
        routes = demo_routes(provider.base_url, arguments.scenario)
        return watch(
            Config(routes=routes, budget=_BUDGET),
            arguments,
            Ledger(None),
            accompany=partial(turn_knobs, turns=scenario.turns, started_ns=provider.started_ns),
            keeps_history=False,
        )


def turn_knobs(session: Session, *, turns: Sequence[KnobTurn], started_ns: int) -> None:
    """Let a session turn its knobs when a scenario says so, in seconds after `started_ns`.

    The provider's clock is the engine's: both are this machine's monotonic one.
    """
    left = sorted(turns, key=lambda turn: turn.at_s, reverse=True)

    def receive(events: list[Event], _lines: bytes) -> None:
        ticks = [event.at_ns for event in events if isinstance(event, Tick)]
        while ticks and left and ticks[-1] >= started_ns + round(left[-1].at_s * NS_PER_S):
            turn = left.pop()
            session.command(
                SetKnob(route=turn.route, knob=turn.knob, value=turn.value, who="scenario")
            )

    if left:
        session.subscribe(receive)
