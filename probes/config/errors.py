"""Mistakes in the settings: collected, one line each, without any secret in them."""

import datetime
import json
import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

KeyPath: TypeAlias = tuple[str, ...]

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_CHARACTERS: Final = 60


class ConfigError(Exception):
    """The settings cannot be used; `problems` says why, one line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Problems:
    """Gathers every mistake, so that they are reported together.

    `label` turns the path of a key into the words that stand before the colon.
    """

    def __init__(self, label: Callable[[KeyPath], str]) -> None:
        self._label = label
        self._lines: list[str] = []

    def add(self, path: KeyPath, text: str) -> None:
        """Note one mistake at the key `path`; what several routes take from [defaults], once."""
        self.add_variable(self._label(path), text)

    def add_variable(self, name: str, text: str) -> None:
        """Note what is wrong with a variable of the environment that no key names."""
        line = f"{name}: {text}"
        if line not in self._lines:
            self._lines.append(line)

    def unknown(self, path: KeyPath, known: Iterable[str]) -> None:
        """Note that the last key of `path` is none of `known`; its value is not shown."""
        suggestion = nearest(path[-1], known)
        hint = f", did you mean {suggestion}?" if suggestion else ""
        self.add(path, f"unknown key{hint}")

    @property
    def lines(self) -> tuple[str, ...]:
        """What was noted so far."""
        return tuple(self._lines)

    def raise_if_any(self) -> None:
        """Raise what was gathered.

        Raises:
            ConfigError: at least one mistake was noted.
        """
        if self._lines:
            raise ConfigError(tuple(self._lines))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` most likely meant, or None."""
    from difflib import get_close_matches  # costs what no start without a mistake should pay

    matches = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def dotted(path: KeyPath) -> str:
    """Return a key as TOML writes it; keys that are not bare are quoted and ASCII-escaped."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in path)


def shown(value: object) -> str:
    """Return a value of the file on one short ASCII-escaped line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, datetime.date | datetime.time):
        return "a date or time"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
