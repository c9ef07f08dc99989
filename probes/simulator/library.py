"""Scenario files: those that ship with the package, found by name, and files of the user's own.

A new scenario that ships is a new file in `scenarios/` and nothing else; its tables and fields are
those of `probes.simulator.scenario.ScenarioFile`. Whoever writes one is told of a mistake by file,
key, value and what was expected.
"""

import re
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from probes.config import Expect, Route, Timeouts
from probes.config.errors import nearest
from probes.config.prompts import generated_prompt
from probes.kit.paths import PathError, path_of
from probes.kit.words import quoted
from probes.simulator.scenario import (
    Conditions,
    Faults,
    HostedModel,
    KnobTurn,
    Limits,
    ModelTable,
    Overrides,
    Phase,
    PhaseTable,
    RouteSketch,
    Scenario,
    ScenarioFile,
    Serving,
    Timeline,
    TrueCause,
    merge,
)

_SUFFIX: Final = ".toml"
_TABLES: Final = (
    ScenarioFile,
    ModelTable,
    PhaseTable,
    RouteSketch,
    KnobTurn,
    TrueCause,
    Serving,
    Limits,
    Faults,
)
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)
"""How msgspec ends a message: with the path of what it is about."""
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_LONGEST_SHOWN: Final = 60


class ScenarioError(ValueError):
    """A scenario file that says something impossible; the text names file and mistake."""


class UnknownScenarioError(KeyError):
    """No scenario of that name ships; the text lists those that do."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        """Keep the name asked for and the known ones."""
        super().__init__(name)
        self.name = name
        self.known = known

    @property
    def guess(self) -> str:
        """The sentence without the known ones, but for the one that was most likely meant."""
        meant = nearest(self.name, self.known)
        hint = f", did you mean {meant}?" if meant else ""
        return f"no scenario is named {quoted(self.name)}{hint}"

    def __str__(self) -> str:
        """Return a sentence for people, where KeyError would return a quoted key."""
        guess = self.guess if self.guess.endswith("?") else f"{self.guess};"
        return f"{guess} there are: {', '.join(self.known)}"


def _folder() -> Traversable:
    return resources.files(__package__).joinpath("scenarios")


def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios that ship, sorted."""
    files = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)))


def scenario_titles() -> dict[str, str]:
    """Return the titles of all scenarios that ship, by their names, which are sorted."""
    return {name: _decode(name, _read(name)).title for name in scenario_names()}


def _read(name: str) -> bytes:
    known = scenario_names()
    if name not in known:
        raise UnknownScenarioError(name, known)
    return _folder().joinpath(name + _SUFFIX).read_bytes()


def load_scenario(name: str) -> Scenario:
    """Return the scenario that ships under a name, or that of a file whose name ends in `.toml`.

    Raises:
        UnknownScenarioError: none of that name ships.
        ScenarioError: its file is wrong, or cannot be read.
    """
    if not name.endswith(_SUFFIX):
        return parse_scenario(name, _read(name))
    try:
        path = path_of(name)
        data = path.read_bytes()
    except (OSError, PathError) as error:
        why = getattr(error, "strerror", None) or error
        raise ScenarioError(f"{name}: cannot be read: {why}") from None
    return parse_scenario(path.stem, data, source=name)


def parse_scenario(
    name: str, data: bytes, *, read: Callable[[str], bytes] = _read, source: str = ""
) -> Scenario:
    """Return the scenario that a file's bytes describe; `read` finds the incidents it names.

    `source` is what mistakes call the file, if not by the scenario's name.

    Raises:
        ScenarioError: it is not TOML, has an unknown key or an impossible value, or names an
            incident that does not exist.
    """
    source = source or f"scenario {name}"
    file = _decode(source, data)
    models = tuple(
        _composed(source, file, table, f"models[{place}]", read)
        for place, table in enumerate(file.models)
    )
    try:
        return Scenario(
            name=name,
            title=file.title,
            models=models or (_single(source, name, file),),
            turns=file.turns,
        )
    except ScenarioError:
        raise
    except ValueError as error:
        raise ScenarioError(f"{source}: {error}") from error


def _decode(source: str, data: bytes) -> ScenarioFile:
    try:
        raw = msgspec.toml.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{source}: {error}") from error
    try:
        return msgspec.convert(raw, ScenarioFile)
    except msgspec.ValidationError as error:
        raise _mistake(source, "", raw, str(error)) from error


def _mistake(source: str, where: str, raw: object, message: str) -> ScenarioError:
    """Return the error of a table that stands at the path `where` and holds `raw`, from msgspec's
    message about it."""
    placed = _PLACE.fullmatch(message)
    text, path = placed.groups() if placed else (message, "")
    unknown = _UNKNOWN.fullmatch(text)
    if unknown is not None:
        path = f"{path}.{unknown[1]}"
        meant = nearest(unknown[1], {key for one in _TABLES for key in one.__struct_fields__})
        text = f"unknown field `{unknown[1]}`" + (f", did you mean {meant}?" if meant else "")
    elif text.startswith("Invalid enum value"):
        text = f"expected one of {', '.join(_choices(path))}"
    key = f"{where}{path}".lstrip(".")
    value = "" if unknown else _value_at(raw, path)
    words = (source, f"{key} is {value}" if key and value else key, text)
    return ScenarioError(": ".join(filter(None, words)))


def _choices(path: str) -> list[str]:
    """Return the words that the field at a path may be: those of the `Literal` in its type."""
    field = [key for key, _ in _STEP.findall(path) if key][-1]
    for table in _TABLES:
        found = [get_type_hints(table)[field]] if field in table.__struct_fields__ else []
        while found:
            one = found.pop()
            if get_origin(one) is Literal:
                return list(get_args(one))
            found += get_args(one)
    return []


def _value_at(raw: Any, path: str) -> str:
    """Return the value at a path, as TOML writes it; empty for tables and for what is missing."""
    for key, place in _STEP.findall(path):
        try:
            raw = raw[key] if key else raw[int(place)]
        except (KeyError, IndexError, TypeError):
            return ""
    if isinstance(raw, dict | list):
        return ""
    return (quoted(raw) if isinstance(raw, str) else str(raw).lower())[:_LONGEST_SHOWN]


def _single(source: str, name: str, file: ScenarioFile) -> HostedModel:
    base = _merged(source, "", Conditions(), file)
    timeline = _timeline(source, "", base, file.phases, file.repeat_s)
    return HostedModel(name=name, timeline=timeline, route=file.route)


def _composed(
    source: str, file: ScenarioFile, table: ModelTable, where: str, read: Callable[[str], bytes]
) -> HostedModel:
    of_incident = f"scenario {table.incident}"
    try:
        incident = _decode(of_incident, read(table.incident))
    except UnknownScenarioError as error:
        raise ScenarioError(f"{source}: {where}.incident: {error}") from None
    if incident.models:
        raise ScenarioError(
            f"{source}: {where}.incident: {table.incident} is composed itself and cannot be an "
            "incident"
        )
    shared = _merged(source, "", _merged(of_incident, "", Conditions(), incident), file)
    base = _merged(source, where, shared, table)
    if table.phases is None:
        phases, repeat_s = incident.phases, incident.repeat_s
    else:
        phases, repeat_s = table.phases, table.repeat_s
    return HostedModel(
        name=table.name,
        timeline=_timeline(source, where, base, phases, repeat_s),
        price=table.price,
        reports_cost=table.reports_cost,
        route=table.route,
    )


def _timeline(
    source: str, where: str, base: Conditions, tables: tuple[PhaseTable, ...], repeat_s: float
) -> Timeline:
    place = f"{where}.phases".lstrip(".")
    phases = tuple(
        Phase(
            start_s=table.start_s,
            name=table.name,
            conditions=_merged(source, f"{place}[{number}]", base, table),
            truth=table.truth,
        )
        for number, table in enumerate(tables)
    )
    try:
        return Timeline(phases=phases or (Phase(conditions=base),), repeat_s=repeat_s)
    except ValueError as error:
        raise ScenarioError(f"{source}: {place}: {error}") from error


def _merged(source: str, where: str, base: Conditions, overrides: Overrides) -> Conditions:
    try:
        return merge(base, overrides)
    except msgspec.ValidationError as error:
        raise _mistake(source, where, msgspec.to_builtins(overrides), str(error)) from error


def demo_routes(base_url: str, scenario: str = "demo") -> tuple[Route, ...]:
    """Return the routes that watch a scenario served at `base_url` (without `/v1`).

    Raises:
        UnknownScenarioError: there is no scenario of that name.
        ScenarioError: its file is wrong, or cannot be read.
    """
    return tuple(_route(base_url.rstrip("/"), model) for model in load_scenario(scenario).models)


def _route(base_url: str, model: HostedModel) -> Route:
    sketch = model.route
    size = sketch.prompt_tokens
    asked: dict[str, Any] = {} if sketch.retries is None else {"retries": sketch.retries}
    if sketch.first_token_timeout_s is not None:
        asked["timeouts"] = Timeouts(first_token=sketch.first_token_timeout_s)
    return Route(
        name=model.route_name,
        base_url=base_url if sketch.dialect == "ollama" else f"{base_url}/v1",
        model=model.name,
        dialect=sketch.dialect,
        prompt=sketch.prompt if size is None else generated_prompt(size),
        system=sketch.system,
        max_tokens=sketch.max_tokens,
        expect=Expect(contains=sketch.contains or ()),
        concurrency=sketch.concurrency,
        interval=sketch.interval,
        pace=sketch.pace,
        rate=sketch.rate,
        price=None if model.reports_cost else model.price,
        tags=sketch.tags,
        **asked,
    )
