"""Every scenario and every field of a scenario file, for whoever reads of them.

`python -m probes.simulator.reference` prints the tables of this room's README; a test holds that
they are the same.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from probes.config.reference import meanings, toml_value
from probes.simulator.library import load_scenario, scenario_names
from probes.simulator.scenario import (
    Faults,
    KnobTurn,
    Limits,
    ModelTable,
    PhaseTable,
    RouteSketch,
    ScenarioFile,
    Serving,
    TrueCause,
)

FIELDS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "the file": ScenarioFile,
    "[[phases]]": PhaseTable,
    "truth": TrueCause,
    "[[models]]": ModelTable,
    "route": RouteSketch,
    "[[turns]]": KnobTurn,
    "serving": Serving,
    "limits": Limits,
    "faults": Faults,
}
"""The tables of a scenario file, by the heads of theirs on the page."""

_ALL_CAUSES: Final = 10
"""From so many words on a list of them says nothing."""
_HOURS_S: Final = 86_400.0


def scenario_table() -> str:
    """Return the table of all scenarios that ship, in Markdown."""
    lines = ["| scenario | what it plays | what is wrong |", "|---|---|---|"]
    for name in scenario_names():
        scenario = load_scenario(name)
        causes = dict.fromkeys(one.cause for one in scenario.incidents(_HOURS_S))
        told = ", ".join(f"`{cause}`" for cause in causes) or "–"
        lines.append(f"| `{name}` | {scenario.title} | {told} |")
    return "\n".join(lines) + "\n"


def field_table(head: str) -> str:
    """Return one table of fields, in Markdown."""
    record, lines = FIELDS[head], [f"| {head} | default | takes | meaning |", "|---|---|---|---|"]
    known = meanings(record)
    told = inspect.type_info(record)
    assert isinstance(told, inspect.StructType)  # noqa: S101 - what a record is
    lines += [
        f"| `{one.name}` | {_default(one)} | {_takes(one.type)} | {known[one.name]} |"
        for one in told.fields
        if one.name in known
    ]
    return "\n".join(lines) + "\n"


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is None or value is msgspec.NODEFAULT or value == () or value == "":
        return "–"
    if isinstance(value, msgspec.Struct):
        return "as below"
    text = toml_value(value)
    return f"`{text}`" if isinstance(value, str | tuple) else text.removesuffix(".0")


def _takes(kind: inspect.Type) -> str:
    match kind:
        case inspect.UnionType(types):
            return " or ".join(
                _takes(one) for one in types if not isinstance(one, inspect.NoneType)
            )
        case inspect.LiteralType(values):
            many = len(values) >= _ALL_CAUSES
            return "a cause" if many else ", ".join(f"`{value}`" for value in values)
        case inspect.VarTupleType(item):
            return f"a list: {_takes(item)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return _within("a whole number", kind)
        case inspect.FloatType():
            return _within("a number", kind)
        case inspect.StrType():
            return "a text"
        case _:
            return "a table"


def _within(what: str, kind: Any) -> str:
    """Return what a number may be; `kind` has its bounds."""
    if kind.ge is not None and kind.le is not None:
        return f"{what} from {kind.ge:g} to {kind.le:g}"
    if kind.gt is not None:
        return f"{what} above {kind.gt:g}"
    return what if kind.ge is None else f"{what} from {kind.ge:g} on"


if __name__ == "__main__":
    tables = [scenario_table(), *map(field_table, FIELDS)]
    sys.stdout.write("\n".join(tables))
