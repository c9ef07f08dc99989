"""The papers as tests read them: README.md and the page of each room.

A page says what the program does, so each has a test file that holds it: its tables against the
code, and every quantity in its sentences against the constant that it comes from.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
QUANTITY: Final = re.compile(
    r"(?<![\w`.,-])\d[\d,.]* (?:ms|s|h|%|Hz|KB|MB|USD|tokens|samples|characters|times|retries"
    r"|streams)(?!\w)"
)
_HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_FENCED: Final = re.compile(r"```.*?```", re.DOTALL)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")

Numbers = Mapping[str, Sequence[str]]
"""Parts of sentences by the heading they stand under, with their numbers taken from the code."""

WORDS: Final = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
SHARES: Final = {0.5: "half", 0.25: "a quarter", 1 / 8: "an eighth"}
MB: Final = 1 << 20
KB: Final = 1 << 10


class Page:
    """One page, by its path from the top level."""

    def __init__(self, path: str) -> None:
        self.path = ROOT / path
        self.text = self.path.read_text(encoding="utf-8")

    @property
    def name(self) -> str:
        """The path it was made of."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def prose(self) -> str:
        """The page without its blocks of code."""
        return _FENCED.sub(" ", self.text)

    @cached_property
    def anchors(self) -> set[str]:
        """What a link to one of its headings ends in, as GitHub makes it of the heading."""
        titles = [title for _, title in _HEADING.findall(self.prose)]
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    @cached_property
    def links(self) -> list[str]:
        """Where its links and pictures lead."""
        return _LINK.findall(self.prose)

    def section(self, title: str) -> str:
        """Return the text under a heading, up to the next of its level or above."""
        heading = re.search(rf"^(#+) {re.escape(title)}$", self.text, re.MULTILINE)
        assert heading, f"{self.name} has no heading {title!r}"
        rest = self.text[heading.end() :]
        return re.split(rf"^#{{1,{len(heading[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def line(self, title: str) -> str:
        """Return the text under a heading in one line; of the whole page where it is empty."""
        return " ".join((self.section(title) if title else self.text).split())

    def rows(self, title: str) -> list[list[str]]:
        """Return the cells of the first table under a heading, without its head."""
        rows: list[list[str]] = []
        for line in self.section(title).splitlines():
            if line.startswith("|"):
                cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
                rows.append([cell.strip() for cell in cells])
            elif rows:
                break
        assert rows, f"{self.name} has no table under {title!r}"
        return rows[2:]

    def loose(
        self, numbers: Numbers, examples: Iterable[str] = (), measured: Iterable[str] = ()
    ) -> list[str]:
        """Return the quantities that no sentence of `numbers` and no example has in it.

        What stands under the `measured` headings was measured once, and is no promise.
        """
        text = self.text
        for title in measured:
            text = text.replace(self.section(title), " ")
        text = " ".join(_FENCED.sub(" ", text).split())
        held = [
            found.span()
            for words in (*examples, *(words for told in numbers.values() for words in told))
            for found in re.finditer(re.escape(words), text)
        ]
        return [
            found[0] + ": " + text[max(0, found.start() - 40) : found.end() + 20]
            for found in QUANTITY.finditer(text)
            if not any(first <= found.start() < last for first, last in held)
        ]


def each_of(numbers: Numbers) -> pytest.MarkDecorator:
    """Parametrize a test by `title` and `words` of each sentence."""
    sentences = [(title, words) for title, told in numbers.items() for words in told]
    return pytest.mark.parametrize(
        ("title", "words"), sentences, ids=[words for _, words in sentences]
    )


def all_pages() -> list[Page]:
    """Return every page of the repository."""
    rooms = (ROOT, ROOT / "probes", ROOT / "tui", ROOT / "tests")
    found = {path for room in rooms[1:] for path in room.rglob("README.md")}
    return [
        Page(path.relative_to(ROOT).as_posix()) for path in sorted({ROOT / "README.md", *found})
    ]


def quoted(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_cells(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return what the first cells of a table quote."""
    return [name for row in rows for name in quoted(row[0])]


def per_cent(share: float) -> str:
    """Return a share as prose has it."""
    return f"{share * 100:g} %"


def minute(seconds: float) -> str:
    """Return the words for a limit of a minute; what it is where it no longer is one."""
    return "a minute" if seconds == 60 else f"{seconds:g} s"


def hour(seconds: float) -> str:
    """Return the words for a limit of an hour; what it is where it no longer is one."""
    return "an hour" if seconds == 3600 else f"{seconds:g} s"


def number(value: float) -> str:
    """Return a small number as prose has it."""
    return WORDS[int(value)] if value == int(value) < len(WORDS) else f"{value:g}"


def fields_of(record: Any) -> set[str]:
    """Return the names of a record's fields."""
    return set(record.__struct_fields__)
