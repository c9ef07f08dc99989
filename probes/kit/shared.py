"""What several copies of something have in common, because nobody changes it any more."""

from collections.abc import Mapping
from typing import Any


class Shared(tuple[Any, ...]):
    """Things that stay as they are: a copy of what holds them holds the same ones."""

    __slots__ = ()


def slots_of(item: object) -> Mapping[str, object]:
    """Return the state of an object whose classes all have slots, by name."""
    state: tuple[None, Mapping[str, object]] = object.__getstate__(item)  # type: ignore[assignment]
    return state[1]
