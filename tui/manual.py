"""The manual: the pages of the rooms, as they are shipped, cut at their headings.

Rule 1. There is one text of each thing, the README of its room; the manual only finds it.
Rule 2. A topic is a room or a heading in one. Capitals do not count, and the beginning is enough.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

import probes

FRONT: Final = "manual_front.md"
"""What the wheel calls the README of the top level."""
_LEVELS: Final = 3
"""Headings down to this one are topics."""
_HEADING: Final = re.compile(r"^(#{1,6}) (.+?)\s*$")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_FENCED: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_SENTENCE: Final = re.compile(r"(.+?[.!?])(?:\s|$)")
_BLOCKS: Final = ("|", "- ", "* ", "```", "#", "<", "!", ">", "1. ", "**Contents**")
"""How a line begins that is no prose."""


class Topic(msgspec.Struct, frozen=True):
    """A heading of a room's page, and what stands under it."""

    room: str
    """Name of the room: `tui`, `config`; `llmtop` for the front page."""
    title: str
    """Without marks of Markdown."""
    level: int
    own: str
    """Markdown under the heading, up to the next topic; the heading itself is the first line."""
    whole: str
    """The same with all topics below it."""

    @property
    def is_room(self) -> bool:
        """Whether it is a whole page."""
        return self.level == 1

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return self.room if self.is_room else f"{self.room}/{self.title}"

    @property
    def summary(self) -> str:
        """The first sentence, in one line without marks; empty where there is no prose."""
        blocks = [" ".join(block.split()) for block in _FENCED.sub("", self.own).split("\n\n")]
        prose = [block for block in blocks if block and not block.startswith(_BLOCKS)]
        items = [block[2:] for block in blocks if block.startswith("- ")]
        words = plain((prose or items or [""])[0])
        found = _SENTENCE.match(words)
        return found[1] if found else words


def plain(text: str) -> str:
    """Return Markdown of one line without its marks."""
    return _LINK.sub(r"\1", text).replace("**", "").replace("`", "")


@lru_cache(maxsize=1)
def topics() -> tuple[Topic, ...]:
    """Return all topics, in the order of the pages: the front page first, then the cockpit's."""
    return tuple(topic for room, path in _pages() for topic in _cut(room, _text(path)))


def find(words: str) -> tuple[Topic, ...]:
    """Return the topics that somebody means: those of just that name, else all that begin so, else
    all that have a word which begins so."""
    wanted = _folded(words)
    for fits in (
        lambda name: name == wanted,
        lambda name: name.startswith(wanted),
        lambda name: f" {wanted}" in name,
    ):
        found = tuple(topic for topic in topics() if any(map(fits, _names(topic))))
        if found:
            return found
    return ()


def _names(topic: Topic) -> tuple[str, ...]:
    """Return what a topic may be called; where two rooms have a heading, the room goes first."""
    title = _folded(topic.title)
    return (title, f"{topic.room}/{title}", *((topic.room,) if topic.is_room else ()))


def _folded(words: str) -> str:
    # Dashes go: a heading may be an option, which nobody can type as a topic.
    return "/".join(part.strip().lstrip("-") for part in plain(words).lower().split("/"))


def _pages() -> Iterator[tuple[str, Path]]:
    """Give the rooms' names and pages."""
    home = Path(__file__).parent
    front = home / FRONT
    # A checkout has it where people look for it; beside an installed package it would be another's.
    if not front.is_file() and (home.parent / "pyproject.toml").is_file():
        front = home.parent / "README.md"
    if front.is_file():
        yield "llmtop", front
    yield "tui", home / "README.md"
    engine = Path(probes.__file__).parent
    yield "probes", engine / "README.md"
    for path in sorted(engine.glob("*/README.md")):
        yield path.parent.name, path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""  # somebody took it out of the package: what is left is still of use


def _cut(room: str, text: str) -> Iterator[Topic]:
    lines = text.splitlines()
    heads = list(_headings(lines))
    for at, (row, level, title) in enumerate(heads):
        following = heads[at + 1 :]
        end = next((below for below, _, _ in following), len(lines))
        last = next((below for below, other, _ in following if other <= level), len(lines))
        own, whole = "\n".join(lines[row:end]), "\n".join(lines[row:last])
        yield Topic(room, plain(title), level, own.rstrip() + "\n", whole.rstrip() + "\n")


def _headings(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Give row, level and text of each heading that is a topic."""
    fenced = False
    for row, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        found = None if fenced else _HEADING.match(line)
        if found and len(found[1]) <= _LEVELS:
            yield row, len(found[1]), found[2]
