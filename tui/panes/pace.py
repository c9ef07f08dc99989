"""How often a route is probed, and whether an open pace is kept, in words."""

from collections.abc import Sequence
from typing import Final

from probes.board.views import PaceView, RouteView
from probes.events.pace_words import SKIP_WORDS, pace_words
from probes.kit.short_figures import counted
from tui.draw.text import count, three_digits
from tui.keys import Hotkey, hints

BEHIND: Final = "«"
"""Beside the concurrency of a route that cannot keep its rate."""


def pace_of(route: RouteView) -> str:
    """Return how often it is probed: `poisson 2/s`, `every 5 s`, `back to back`."""
    pace = route.pace
    if pace is None:
        return pace_words("interval", route.interval, 0.0)
    return pace_words(pace.kind, route.interval, pace.rate)


def is_behind(route: RouteView) -> bool:
    """Tell whether fewer probes begin than its open pace wants."""
    return route.pace is not None and route.pace.is_late


def kept_words(pace: PaceView) -> str:
    """Return how many begin of how many that are wanted: `7.2 of 10/s`."""
    return f"{three_digits(pace.begun_per_s)} of {pace.rate:g}/s"


def lamp_words(route: RouteView) -> str:
    """Return that an open pace is not kept; nothing where it is."""
    pace = route.pace
    return f"cannot keep the rate: {kept_words(pace)}" if pace and pace.is_late else ""


def cause_words(route: RouteView) -> str:
    """Return why not: what most of what did not begin was held back by."""
    pace = route.pace
    if pace is None or not pace.is_late:
        return ""
    if pace.why != "late":
        return SKIP_WORDS[pace.why]
    if route.target == 1:
        return "the place is taken"
    return f"all {counted(route.target, 'place')} are taken"


def remedy_words(route: RouteView, keys: Sequence[Hotkey]) -> str:
    """Return what to do about it, by the keys that the reader has."""
    pace = route.pace
    if pace is None or pace.why in ("budget", "reader_stalled", "gap", "local", "fault"):
        return ""
    more = [("more", "more at once")] if pace.why == "late" else []
    return hints(keys, *more, ("later", "a lower rate"))


def late_words(route: RouteView) -> tuple[str, ...]:
    """Return what speaks for it: what holds probes back, what waits, what users feel of it."""
    pace = route.pace
    if pace is None or not pace.is_late:
        return ()
    figure = (pace.scheduled_ttft if route.streamed else pace.scheduled_e2e)[1]
    name = "scheduled TTFT" if route.streamed else "scheduled E2E"
    felt = "" if figure.value is None else f"{name} p95 {three_digits(figure.value)} s"
    told = (cause_words(route), felt, waiting_words(pace), skipped_words(pace))
    return tuple(part for part in told if part)


def waiting_words(pace: PaceView) -> str:
    """Return what is due and waits for a place; nothing where none does."""
    return f"{count(pace.waiting)} due wait for a place" if pace.waiting else ""


def skipped_words(pace: PaceView) -> str:
    """Return what was skipped and why, most first; nothing where nothing was."""
    told = [f"{count(number)} {SKIP_WORDS[reason]}" for reason, number in pace.skipped_for]
    return f"skipped: {', '.join(told)}" if told else ""
