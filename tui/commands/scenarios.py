"""Which scenario a command plays, and which there are."""

from argparse import Namespace

from probes.simulator import Scenario
from probes.simulator.library import (
    ScenarioError,
    UnknownScenarioError,
    load_scenario,
    scenario_titles,
)
from tui.commands.output import UsageError, say


def asked_scenario(arguments: Namespace) -> Scenario:
    """Return the scenario that is asked for, by name or by file.

    Raises:
        UsageError: there is none of that name, or its file is wrong.
    """
    try:
        return load_scenario(arguments.scenario)
    except UnknownScenarioError as error:
        how = "llmtop demo --list names all; the name of a file ends in .toml"
        raise UsageError(f"--scenario: {error.guess} ({how})") from None
    except ScenarioError as error:
        raise UsageError(f"--scenario: {error}") from None


def say_scenarios() -> None:
    """Print the name and the title of each scenario that ships.

    Raises:
        BrokenPipeError: whoever read us has gone.
        OutputError: standard output cannot be written.
    """
    titles = scenario_titles()
    width = max(map(len, titles))
    say(f"{name:<{width}}  {title}" for name, title in titles.items())
