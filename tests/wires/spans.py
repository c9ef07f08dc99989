"""Schedules: what holds from when until when, in seconds since a moment that all parts share."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that holds for a while; records of what is bad inherit from it."""

    from_s: float
    to_s: float
    """Without this moment itself."""


SpanT = TypeVar("SpanT", bound=Span)


def at(spans: Sequence[SpanT], elapsed_s: float) -> SpanT | None:
    """Return what holds at a moment: of several the last one, so that a schedule may begin with
    what holds throughout and go on with the exceptions. None where nothing does."""
    for span in reversed(spans):
        if span.from_s <= elapsed_s < span.to_s:
            return span
    return None


def edges(spans: Sequence[Span]) -> tuple[float, ...]:
    """Return the moments at which something begins or ends, sorted."""
    return tuple(sorted({moment for span in spans for moment in (span.from_s, span.to_s)}))
