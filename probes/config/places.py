"""A configuration at one place: the same routes, probed from there.

Rule: a place is part of a route's name from where the settings are read: `chat@eu`. So everything
that tells routes apart by their names, in the engine, the stream, a recording and on the screen,
tells places apart as well, and nothing has to translate.
"""

import re
from typing import Final

import msgspec

from probes.config.errors import ConfigError
from probes.config.settings import Config, Route

_PLACE: Final = re.compile(r"[a-z0-9-]{1,32}")
"""It stands in the subjects of a bus, in file names and in labels of metrics."""
EXPECTED: Final = "1 to 32 of a-z, 0-9 and `-`"


def check_place(name: str, option: str = "--place") -> str:
    """Return the name of a place.

    Raises:
        ConfigError: it is none; the line names the option.
    """
    if not _PLACE.fullmatch(name):
        raise ConfigError((f"{option}: {name!r} is no name of a place, expected {EXPECTED}",))
    return name


def routes_at(routes: tuple[Route, ...], place: str) -> tuple[Route, ...]:
    """Return the routes as they are probed from a place."""
    return tuple(
        msgspec.structs.replace(route, name=f"{route.name}@{place}", place=place)
        for route in routes
    )


def config_at(config: Config, *places: str) -> Config:
    """Return a configuration whose routes are probed from each of the places."""
    routes = tuple(route for place in places for route in routes_at(config.routes, place))
    return msgspec.structs.replace(config, routes=routes)
