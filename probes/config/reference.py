"""Every setting with its default, what it takes and what it means, for whoever reads of them.

Made from the fields of `probes.config.settings`. `python -m probes.config.reference` prints the
tables of this room's README; a test holds that they are the same.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from probes.config.fields import Field, Settings, fields_of
from probes.config.prompts_file import PromptsFileLine
from probes.config.settings import (
    Alerting,
    Budget,
    Display,
    History,
    PromptSource,
    Recording,
    Route,
)

TABLES: Final[Mapping[str, Sequence[type[Settings]]]] = {
    "routes.NAME": (Route, PromptSource),
    "budget": (Budget,),
    "recording": (Recording,),
    "history": (History,),
    "alerts": (Alerting,),
    "display": (Display,),
}
"""The tables of the file, and the records that have their keys."""


class Setting(NamedTuple):
    """One key of routes.toml; texts are Markdown."""

    table: str
    key: str
    """Dotted, where it stands in a table of that table: `goals.ttft_s`."""
    field: Field
    meaning: str

    @property
    def default(self) -> str:
        """What holds without the key, in words where that is no value."""
        default = self.field.default
        if default is msgspec.NODEFAULT:
            return "required"
        if default is None:
            return self.field.unset or "–"
        if isinstance(default, str | tuple | dict):
            return f"`{toml_value(default)}`"
        if isinstance(default, bool):
            return toml_value(default)
        return f"{default:,}".removesuffix(".0")


def settings() -> Iterator[Setting]:
    """Give every setting, in the order of the records."""
    for table, records in TABLES.items():
        for record in records:
            yield from _settings_of(table, record, "")


def _settings_of(table: str, record: type[Settings], prefix: str) -> Iterator[Setting]:
    known = meanings(record)
    for key, field in fields_of(record).items():
        if field.is_table:
            yield from _settings_of(table, field.kind, f"{prefix}{key}.")
        elif key in known:
            yield Setting(table, prefix + key, field, known[key])


def meanings(record: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstrings under a record's fields; nothing where there is no source to read.

    Python keeps them nowhere else. A field without one is no key.
    """
    try:
        (tree,) = ast.parse(inspect.getsource(record)).body
    except OSError:
        return {}
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class
    found: dict[str, str] = {}
    for pair in pairwise(tree.body):
        match pair:
            case ast.AnnAssign(target=ast.Name(key)), ast.Expr(ast.Constant(str(docstring))):
                found[key] = " ".join(docstring.split())
    return found


def toml_value(value: Any) -> str:
    """Return a value as routes.toml has it; texts must be printable, and tables are empty ones."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # whose escapes are those of TOML
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return f"{value:_}" if isinstance(value, int) else str(value)


def table(name: str) -> str:
    """Return one table of the page, in Markdown."""
    return _table(f"`[{name}]`", (one for one in settings() if one.table == name))


def prompt_line_table() -> str:
    """Return the keys of a line of a prompts file, in Markdown; its `expect` is that of a route."""
    rows = _settings_of("prompts_file", PromptsFileLine, "")
    return _table("key", (one for one in rows if "." not in one.key))


def _table(head: str, rows: Iterable[Setting]) -> str:
    lines = [f"| {head} | default | takes | meaning |", "|---|---|---|---|"]
    for one in rows:
        takes = one.field.takes.expected
        lines.append(f"| `{one.key}` | {one.default} | {takes} | {one.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write("\n".join([*map(table, TABLES), prompt_line_table()]))
