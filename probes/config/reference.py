"""Every setting with its default, what it takes and what it means, for whoever reads of them.

Made from the fields of `probes.config.settings`. `python -m probes.config.reference` prints the
tables of this room's README; a test holds that they are the same.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from probes.config.fields import Field, fields_of
from probes.config.settings import Budget, Display, Recording, route_keys

TABLES: Final[Mapping[str, Mapping[str, Field]]] = {
    "routes.NAME": route_keys(),
    "budget": fields_of(Budget),
    "recording": fields_of(Recording),
    "display": fields_of(Display),
}
"""The keys of each table of the file."""


class Setting(NamedTuple):
    """One key of routes.toml; texts are Markdown."""

    table: str
    key: str
    """Dotted, where it stands in a table of that table: `goals.ttft_s`."""
    default: str
    takes: str
    """The words that are shown beside a wrong value, too."""
    meaning: str


def settings() -> Iterator[Setting]:
    """Give every setting, in the order of the records."""
    for table, fields in TABLES.items():
        yield from _settings_of(table, fields, "")


def _settings_of(table: str, fields: Mapping[str, Field], prefix: str) -> Iterator[Setting]:
    for key, field in fields.items():
        if field.is_table:
            yield from _settings_of(table, fields_of(field.kind), f"{prefix}{key}.")
        else:
            default = _default_words(field)
            yield Setting(table, prefix + key, default, field.takes.expected, field.meaning)


def _default_words(field: Field) -> str:
    default = field.default
    if default is msgspec.NODEFAULT:
        return "required"
    if default is None:
        return field.unset or "–"
    if isinstance(default, str | tuple | dict):
        return f"`{toml_value(default)}`"
    return toml_value(default) if isinstance(default, bool) else f"{default:,}".removesuffix(".0")


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
    lines = [f"| `[{name}]` | default | takes | meaning |", "|---|---|---|---|"]
    for setting in settings():
        if setting.table == name:
            _, key, default, takes, meaning = setting
            lines.append(f"| `{key}` | {default} | {takes} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(table, TABLES)))
