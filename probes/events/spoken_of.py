"""Of which routes an event speaks that is of no single route: all of them, or those of its place.

Rule 1: without a place an event speaks of all routes: there is one engine, or several that are one.
Rule 2: with a place it speaks of the routes of that place alone, and of another's says nothing: not
that they are gone, nor that their open attempts died, nor that they are held, nor how late their
engine is.
Rule 3: the time of a place is the newest stamp of its own events. What is of a route is judged by
the time of its place, for stamps of two places order what happened by wall clocks and no better.
"""

from collections.abc import Iterable
from typing import TypeAlias

from probes.events.parts import RouteInfo
from probes.events.stream import (
    Alert,
    Batch,
    Diagnosis,
    Gap,
    Held,
    Hello,
    Notice,
    PlaceReport,
    SeenBefore,
    Tick,
)

OfAPlace: TypeAlias = Hello | Tick | Batch | Gap | Held | Notice | PlaceReport
"""Events that say whose they are."""


def speaks_of(event: OfAPlace, info: RouteInfo) -> bool:
    """Return whether an event is about a route, as far as its place goes."""
    return not event.place or event.place == info.place


def tells_of(seen: SeenBefore, what: Diagnosis | Alert) -> bool:
    """Return whether what was seen before was so of what is wrong: it has the cause, and a route.

    It goes by no id: an agent tells it of incidents that have ids of its own.
    """
    return seen.cause == what.cause and not set(seen.routes).isdisjoint(what.routes)


def routes_after(known: Iterable[RouteInfo], hello: Hello) -> tuple[RouteInfo, ...]:
    """Return the routes that there are after a hello, each by its newest word.

    Without a place these are those of the hello, in its order. With one, the routes of other places
    are as they were and where they were, those of the place that are still probed keep their place
    in the order, and new ones follow behind. What such a hello has of another place's is left out:
    somebody hostile wrote it.
    """
    if not hello.place:
        return hello.routes
    told = {info.name: info for info in hello.routes if speaks_of(hello, info)}
    there = {
        info.name: told.get(info.name, info)
        for info in known
        if info.name in told or not speaks_of(hello, info)
    }
    return tuple((there | told).values())
