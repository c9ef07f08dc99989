"""The scenarios that ship with the package: one TOML file each, found by name.

A new scenario is a new file in `scenarios/` and nothing else; its tables and fields are those of
`probes.simulator.scenario.ScenarioFile`.
"""

from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from probes.config import Price, Route
from probes.kit.words import quoted
from probes.simulator.scenario import (
    Conditions,
    HostedModel,
    ModelTable,
    Phase,
    PhaseTable,
    RouteSketch,
    Scenario,
    ScenarioFile,
    Timeline,
    merge,
)


class ScenarioError(ValueError):
    """A scenario file that says something impossible; the text names file and mistake."""


class UnknownScenarioError(KeyError):
    """No scenario of that name ships; the text lists those that do."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        """Keep the name asked for and the known ones."""
        super().__init__(name)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        """Return a sentence for people, where KeyError would return a quoted key."""
        return f"no scenario is named {quoted(self.name)}; there are: {', '.join(self.known)}"


def _folder() -> Traversable:
    return resources.files(__package__).joinpath("scenarios")


def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios that ship, sorted."""
    files = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def _read(name: str) -> bytes:
    known = scenario_names()
    if name not in known:
        raise UnknownScenarioError(name, known)
    return _folder().joinpath(f"{name}.toml").read_bytes()


def load_scenario(name: str) -> Scenario:
    """Return a scenario that ships.

    Raises:
        UnknownScenarioError: there is none of that name.
        ScenarioError: its file is wrong.
    """
    return parse_scenario(name, _read(name), read=_read)


def parse_scenario(name: str, data: bytes, *, read: Callable[[str], bytes] = _read) -> Scenario:
    """Return the scenario that a file's bytes describe; `read` finds the incidents it names.

    Raises:
        UnknownScenarioError: it names an incident that does not exist.
        ScenarioError: it is not TOML, has an unknown key or an impossible value.
    """
    file = _decode(name, data)
    try:
        models = tuple(_composed(table, read) for table in file.models) or (_single(name, file),)
        return Scenario(name=name, title=file.title, models=models)
    except (ValueError, msgspec.ValidationError) as error:
        raise ScenarioError(f"scenario {name}: {error}") from error


def _decode(name: str, data: bytes) -> ScenarioFile:
    try:
        return msgspec.toml.decode(data, type=ScenarioFile)
    except msgspec.DecodeError as error:
        raise ScenarioError(f"scenario {name}: {error}") from error


def _single(name: str, file: ScenarioFile) -> HostedModel:
    base = merge(Conditions(), file)
    timeline = _timeline(base, file.phases, file.repeat_s)
    return HostedModel(name=name, timeline=timeline, route=file.route)


def _composed(table: ModelTable, read: Callable[[str], bytes]) -> HostedModel:
    incident = _decode(table.incident, read(table.incident))
    if incident.models:
        raise ScenarioError(f"{table.incident} is composed itself and cannot be an incident")
    base = merge(merge(Conditions(), incident), table)
    own = table.phases is not None
    phases = incident.phases if table.phases is None else table.phases
    return HostedModel(
        name=table.name,
        timeline=_timeline(base, phases, table.repeat_s if own else incident.repeat_s),
        price=table.price,
        reports_cost=table.reports_cost,
        route=table.route,
    )


def _timeline(base: Conditions, tables: tuple[PhaseTable, ...], repeat_s: float) -> Timeline:
    phases = tuple(_phase(base, table) for table in tables)
    return Timeline(phases=phases or (Phase(conditions=base),), repeat_s=repeat_s)


def _phase(base: Conditions, table: PhaseTable) -> Phase:
    return Phase(
        start_s=table.start_s,
        name=table.name,
        conditions=merge(base, table),
        truth=table.truth,
    )


def demo_routes(base_url: str, scenario: str = "demo") -> tuple[Route, ...]:
    """Return the routes that watch a scenario served at `base_url` (without `/v1`).

    Raises:
        UnknownScenarioError: there is no scenario of that name.
    """
    return tuple(_route(base_url, model) for model in load_scenario(scenario).models)


def _route(base_url: str, model: HostedModel) -> Route:
    sketch: RouteSketch = model.route
    price: Price | None = None if model.reports_cost else model.price
    return Route(
        name=model.route_name,
        base_url=f"{base_url.rstrip('/')}/v1",
        model=model.name,
        prompt=sketch.prompt,
        system=sketch.system,
        max_tokens=sketch.max_tokens,
        concurrency=sketch.concurrency,
        interval=sketch.interval,
        price=price,
        tags=sketch.tags,
    )
