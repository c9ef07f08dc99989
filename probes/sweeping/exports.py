"""A sweep as JSON and CSV, and a former one read again.

Rule 1: what JSON has no number for is null: an interval that is open above, a latency without end.
Rule 2: a file that is read may be anything: what is no sweep is refused in one sentence.
"""

from collections.abc import Iterator
from math import inf, isfinite
from typing import Any, Final

import msgspec

from probes.sweeping.estimates import Estimate
from probes.sweeping.views import SweepPoint, SweepView

SCHEMA: Final = 1
_NOT_KEPT: Final = ("doing", "waits", "load", "running", "step_share", "left_s")
_ESTIMATES: Final = (
    *("ttft_p50", "ttft_p95", "ttft_mean", "e2e_p50", "e2e_p95", "success"),
    *("requests_per_s", "tokens_per_s", "stream_tokens_per_s", "usd_per_ktok"),
)
_PLAIN: Final = (
    *("load", "purpose", "end", "seconds", "n", "ok", "failed", "throttled", "hung", "skipped"),
    *("warm_up", "warm_up_failed", "in_flight"),
)
_COUNTED: Final = ("tokens", "usd", "lag_s", "refused_for", "failure")


class NoSweepError(Exception):
    """A file holds no sweep; the text is for a person."""


def sweep_fields(view: SweepView) -> dict[str, Any]:
    """Return a sweep as JSON-able values: its view, field by field, without single samples."""
    fields: dict[str, Any] = {"schema": SCHEMA, **msgspec.to_builtins(view)}
    for point in fields["points"]:
        for samples in ("samples", "e2e_samples"):
            del point[samples]
    for passing in _NOT_KEPT:
        del fields[passing]
    found: dict[str, Any] = _without_ends(fields)
    return found


def sweep_of(text: bytes) -> SweepView:
    """Return a former sweep, of its JSON.

    Raises:
        NoSweepError: it is none.
    """
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoSweepError("it is no JSON") from None
    schema = fields.get("schema") if isinstance(fields, dict) else None
    if schema != SCHEMA:
        raise NoSweepError("it is no sweep that `llmtop sweep --json` has written")
    try:
        return msgspec.convert(_with_ends(fields), SweepView)
    except (msgspec.ValidationError, RecursionError) as error:
        raise NoSweepError(f"it is no sweep: {error}") from None


def csv_rows(view: SweepView) -> Iterator[list[str]]:
    """Yield the points as rows, their heads first; intervals stand in columns of their own."""
    heads = [*_PLAIN]
    for name in _ESTIMATES:
        heads += [name, f"{name}_low", f"{name}_high"]
    yield ["route", "by", *heads, *_COUNTED, "goals"]
    for point in view.points:
        yield [view.route, view.by, *_row(point)]


def _row(point: SweepPoint) -> Iterator[str]:
    for name in _PLAIN:
        yield _figure(getattr(point, name))
    for name in _ESTIMATES:
        found: Estimate | None = getattr(point, name)
        ends = (None, None, None) if found is None else (found.value, found.low, found.high)
        yield from map(_figure, ends)
    for name in _COUNTED:
        yield _figure(getattr(point, name))
    yield " ".join(f"{one.goal.name}:{one.state}" for one in point.goals)


def _figure(value: object) -> str:
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _without_ends(value: Any) -> Any:
    """Return JSON-able values in which what is not finite is None."""
    if isinstance(value, dict):
        return {key: _without_ends(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_ends(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _with_ends(value: Any) -> Any:
    """Return the same with estimates as they were: what is null in them has no end."""
    if isinstance(value, list):
        return [_with_ends(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"value", "low", "high"}:
        return {key: inf if inner is None else inner for key, inner in value.items()}
    return {key: _with_ends(inner) for key, inner in value.items()}
