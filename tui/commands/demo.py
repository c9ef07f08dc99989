"""`llmtop demo`: the embedded provider watched by everything that watches real routes."""

from argparse import Namespace
from typing import Final

from probes.config import Budget, Config
from probes.money.ledger import Ledger
from probes.simulator.library import UnknownScenarioError, demo_routes, load_scenario
from tui.commands.output import UsageError
from tui.commands.provider import embedded_provider
from tui.commands.watch import need_face, watch

_BUDGET: Final = Budget(tokens_per_hour=20_000_000, route_tokens_per_hour=5_000_000)
"""What an hour of the demo needs and more: nobody pays for it."""


def run(arguments: Namespace) -> int:
    """Serve a scenario in a child process and watch it; return the exit status.

    Its spending costs nothing and stays out of the ledger that real runs share.

    Raises:
        UsageError: there is no such scenario, no terminal, or the provider did not start.
    """
    need_face(arguments, "llmtop demo")
    try:
        load_scenario(arguments.scenario)
    except UnknownScenarioError as error:
        raise UsageError(str(error)) from None
    with embedded_provider(arguments.scenario, seed=arguments.seed) as provider:
        routes = demo_routes(provider.base_url, arguments.scenario)
        return watch(Config(routes=routes, budget=_BUDGET), arguments, Ledger(None))
