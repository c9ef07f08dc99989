"""Whatever is counted agrees with its number: no text of ours says `1 stalls`."""

import ast
import re
from collections.abc import Iterator

import pytest
from pages import ROOT

NO_NOUNS = frozenset(
    (
        "as",
        "belongs",
        "does",
        "ends",
        "finds",
        "has",
        "goes",
        "hurts",
        "is",
        "its",
        "lets",
        "ms",
        "ours",
        "refuses",
        "sees",
        "sends",
        "shows",
        "this",
        "undoes",
        "was",
    )
)
"""Words that end as nouns in the plural do, and follow a name or a measured figure."""
NEVER_ONE = frozenset(("bytes",))
"""No limit of ours is one of them, and no request is."""
ADJECTIVES = ("concurrent", "further", "input", "more", "new", "open", "other", "output")
COUNTED = re.compile(rf" (?:(?:{'|'.join(ADJECTIVES)}) )?([a-z]{{2,}}s)\b(?!/)")
MEASURED = re.compile(r"[fge%]$")
"""A format of what is measured, not counted: `1.0 times` is no plural that can be wrong."""


def unagreed(source: str) -> Iterator[str]:
    """Give what of a module's f-strings puts a noun in the plural behind any number at all."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in zip(node.values, node.values[1:], strict=False):
            if not (isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)):
                continue
            noun = COUNTED.match(str(text.value))
            spec = "" if value.format_spec is None else ast.unparse(value.format_spec).strip("'\"")
            if noun is None or noun[1] in NO_NOUNS | NEVER_ONE or MEASURED.search(spec):
                continue
            said = ast.unparse(value.value)
            # A constant of ours is one number, which whoever wrote the words has seen.
            if not said.rpartition(".")[2].strip("_").isupper() and "counted(" not in said:
                yield f"line {value.lineno}: {{{said}}}{noun[0]}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('f"{n} stalls"', ["line 1: {n} stalls"]),
        ('f"… {len(rows)} more routes"', ["line 1: {len(rows)} more routes"]),
        ('f"{n:,} lines, {m} parts are"', ["line 1: {n} lines", "line 1: {m} parts"]),
        ("f\"{counted(n, 'stall')}\"", []),
        ('f"{name} is {speed:.3g} tokens/s, {ratio:.1f} times {MOST_BYTES} bytes"', []),
    ],
)
def test_what_does_not_agree_is_found(source: str, found: list[str]) -> None:
    assert list(unagreed(source)) == found


@pytest.mark.parametrize("room", ["probes", "tui"])
def test_every_noun_agrees_with_its_number(room: str) -> None:
    # What the simulator says stands for the words of providers, who do not mind.
    found = [
        f"{path.relative_to(ROOT)}, {one}"
        for path in sorted((ROOT / room).rglob("*.py"))
        if "simulator" not in path.parts
        for one in unagreed(path.read_text(encoding="utf-8"))
    ]
    assert found == []
