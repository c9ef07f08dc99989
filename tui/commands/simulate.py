"""`llmtop simulate`: the embedded provider in the foreground, for other programs."""

from argparse import Namespace

from tui.commands.output import FAILED, OK, complain, say
from tui.commands.provider import embedded_provider
from tui.commands.scenarios import asked_scenario, say_scenarios


def run(arguments: Namespace) -> int:
    """Serve a scenario until Ctrl-C; status 1 if it breaks.

    Raises:
        UsageError: there is no scenario of that name, or the port is taken.
    """
    if arguments.list:
        say_scenarios()
        return OK
    scenario = asked_scenario(arguments)
    models = ", ".join(model.name for model in scenario.models)
    with embedded_provider(
        arguments.scenario, seed=arguments.seed, port=arguments.port
    ) as provider:
        say(
            [
                f"base URL  {provider.base_url}/v1",
                f"models    {models}",
                f"truth     {provider.base_url}/truth",
                "Ctrl-C ends it",
            ]
        )
        try:
            provider.wait()
        except KeyboardInterrupt:
            return OK
    complain(["the embedded provider ended by itself"])
    return FAILED
