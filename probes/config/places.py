"""A configuration at one place: the same routes, probed from there.

Rule 1: a place is part of a route's name from where the settings are read: `chat@eu`. So everything
that tells routes apart by their names, in the engine, the stream, a recording and on the screen,
tells places apart as well, and nothing has to translate.
Rule 2: what follows `ssh:` becomes words of a command line here and, there, of a shell's. So a host
is a host's name and nothing that ssh or a shell could take for something else, and a command is a
path of harmless characters.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from probes.config.errors import ConfigError
from probes.config.settings import Config, Route
from probes.config.urls import is_host_name

PlaceWay: TypeAlias = Literal["", "local", "ssh"]

_PLACE: Final = re.compile(r"[a-z0-9-]{1,32}")
"""It stands in the subjects of a bus, in file names and in labels of metrics."""
EXPECTED: Final = "1 to 32 of a-z, 0-9 and `-`"
OWN_COMMAND: Final = "llmtop"
"""Found by the PATH that a command over ssh has there."""
# ssh expands %h and %r in a ProxyCommand for a local shell: nothing that one would read may be in
# them. A first character that is no `-` keeps them from being options.
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_COMMAND: Final = re.compile(r"~?(/[A-Za-z0-9_.+@-]+)+")
"""From the root, or from the home folder there, which that shell expands."""
_WAYS: Final = "NAME=ssh:HOST, NAME=ssh:HOST:/path/to/llmtop or NAME=local"


class GivenPlace(msgspec.Struct, frozen=True):
    """A place as the command line names it."""

    name: str
    way: PlaceWay = ""
    """How it is reached: an engine of this machine, one over ssh, or none was said."""
    host: str = ""
    """Over ssh: `host` or `user@host`, which may be a name of ssh's own settings."""
    command: str = OWN_COMMAND
    """Over ssh: what `llmtop` is called there."""


def read_place(text: str, option: str = "--place") -> GivenPlace:
    """Return the place that `NAME` or `NAME=WHERE` names.

    Raises:
        ConfigError: it names none; the line names the option.
    """
    name, equals, where = text.partition("=")
    check_place(name, option)
    if not equals:
        return GivenPlace(name)
    if where == "local":
        return GivenPlace(name, "local")
    if not where.startswith("ssh:"):
        raise ConfigError((f"{option} {name}: got {where!r}, expected {_WAYS}",))
    place = where.removeprefix("ssh:")
    command = OWN_COMMAND
    cut = re.search(r":~?/", place)
    if cut is not None:
        place, command = place[: cut.start()], place[cut.start() + 1 :]
    if cut is not None and not _COMMAND.fullmatch(command):
        words = "expected the path of llmtop there: letters, digits and _ . + @ - between slashes"
        raise ConfigError((f"{option} {name}: got {command!r}, {words}",))
    user, at, host = place.rpartition("@")
    if not is_host_name(host) or (at and not _USER.fullmatch(user)):
        words = "expected host or user@host; a port belongs into ~/.ssh/config"
        raise ConfigError((f"{option} {name}: got {place!r}, {words}",))
    return GivenPlace(name, "ssh", place, command)


def check_ways(places: Sequence[GivenPlace], option: str = "--place") -> None:
    """Make sure that a run can have these places.

    Raises:
        ConfigError: two have one name, or it is not said how one is reached; a line for each.
    """
    names = [place.name for place in places]
    problems = [f"{option} {name}: stands twice" for name in names if names.count(name) > 1]
    problems += [
        f"{option} {place.name}: does not say how it is reached, expected {_WAYS}"
        for place in places
        if not place.way
    ]
    if problems:
        raise ConfigError(tuple(dict.fromkeys(problems)))


def check_place(name: str, option: str = "--place") -> str:
    """Return the name of a place.

    Raises:
        ConfigError: it is none; the line names the option.
    """
    if not _PLACE.fullmatch(name):
        raise ConfigError((f"{option}: {name!r} is no name of a place, expected {EXPECTED}",))
    return name


def is_place(name: str) -> bool:
    """Return whether a place may have that name."""
    return _PLACE.fullmatch(name) is not None


def routes_at(routes: tuple[Route, ...], place: str) -> tuple[Route, ...]:
    """Return the routes as they are probed from a place."""
    return tuple(
        msgspec.structs.replace(route, name=f"{route.name}@{place}", place=place)
        for route in routes
    )


def known_as(name: str, known: Iterable[str]) -> str:
    """Return what to add where no route is named so, but one of that name at a place is shown on
    screens: what the settings call it; empty where that is not it."""
    shared = name.rpartition("@")[0]
    return f"; in the settings it is {shared}" if shared in known else ""


def config_at(config: Config, *places: str) -> Config:
    """Return a configuration whose routes are probed from each of the places."""
    routes = tuple(route for place in places for route in routes_at(config.routes, place))
    return msgspec.structs.replace(config, routes=routes)
