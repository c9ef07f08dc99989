"""From a key to a command for the engine: pure functions of what is wanted by now.

The base of a key is what was asked for last, not what the board shows: so keys add up that are
pressed faster than the engine answers, on a frozen screen, or while no engine lives. How far a knob
goes, and in which steps, is `probes.control.knobs`' to say.
"""

from collections.abc import Iterable

from probes.board.views import IncidentView
from probes.control.commands import AcceptUsual, Adapt, Burst, Pause, SetKnob
from probes.control.knobs import KNOBS, KnobName, Move
from probes.control.wanted import Wanted
from probes.events import NEW_LEVELS
from probes.events.diagnosis_words import counts_failures


def turned(wanted: Wanted, route: str, knob: KnobName, move: Move) -> SetKnob | None:
    """Return the command that moves a route's knob; None at an end of its range, and of a rate
    where the pace is closed."""
    base: float | None = getattr(wanted.routes[route], knob)
    value = None if base is None else KNOBS[knob].moved(base, move)
    return None if value is None else SetKnob(route=route, knob=knob, value=value)


def adapted(wanted: Wanted, route: str) -> Adapt:
    """Return the command that lets a route's concurrency find itself, or no longer."""
    return Adapt(route=route, on=not wanted.routes[route].adaptive)


def burst(wanted: Wanted, route: str) -> Burst:
    """Return the command for as many probes now as the route's concurrency."""
    return Burst(route=route, count=round(wanted.routes[route].concurrency))


def fresh(route: str) -> Burst:
    """Return the command for one probe on a connection of its own, as each of a burst has one."""
    return Burst(route=route, count=1)


def accepted(incidents: Iterable[IncidentView], route: str) -> AcceptUsual | None:
    """Return the command that takes a route's present level for its usual one.

    None where no new level is open on it. An engine asked all the same would note that one was
    accepted, and the chart would show it, though nothing changed.
    """
    for incident in incidents:
        diagnosis = incident.diagnosis
        # Slower for a reason not known yet is a level too.
        is_level = diagnosis.cause in NEW_LEVELS or diagnosis.cause == "unknown"
        if route in diagnosis.routes and is_level and not counts_failures(diagnosis.evidence):
            return AcceptUsual(route=route)
    return None


def paused(wanted: Wanted, route: str) -> Pause:
    """Return the command that pauses a route, or lets it go on."""
    return Pause(route=route, paused=not wanted.routes[route].paused)


def panic(wanted: Wanted) -> Pause:
    """Return the command that pauses all and cancels; the other way where all are paused."""
    stop = not wanted.routes or not all(route.paused for route in wanted.routes.values())
    return Pause(paused=stop, cancel=stop)
