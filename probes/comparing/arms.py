"""The arms of a comparison, made of routes: several of them, or one with one thing changed.

Rule 1: an arm differs from its route in what is compared and in how it is asked, and in nothing
else. It has no worker of its own, for it is asked probe by probe; it is never asked again after a
failure, for what is compared are answers; and nothing goes beside that.
Rule 2: a key goes to no other host than the one its route names. Another base URL on another host
needs a route of its own, in which somebody has put a key for it.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from probes.config import Route
from probes.config.prompts import generated_prompt
from probes.config.urls import UrlError, base_url_of, mask_url, read_url
from probes.kit.sanitise import neutralise

FEWEST_ARMS: Final = 2
MOST_ARMS: Final = 4
"""Each further arm costs a probe a pair, and makes every interval wider."""
MOST_PROMPT_TOKENS: Final = 1_000_000
"""As `prompt_tokens` of the settings."""
ChangeKind: TypeAlias = Literal["fresh", "stream", "prompt", "base-url"]


class ArmError(Exception):
    """There is nothing to compare, or it must not be; the text is for a person."""


class ArmChange(msgspec.Struct, frozen=True):
    """The one thing that differs between the two arms of one route."""

    kind: ChangeKind
    value: str = ""
    """Of `prompt` the tokens, of `base-url` the URL."""


class Arm(msgspec.Struct, frozen=True):
    """One side of a comparison."""

    name: str
    """As it is shown, and as the engine knows it."""
    route: Route
    """Its settings, under that name."""
    of: str
    """The route that it is made of: whose key it has, and whose price."""


def arms_of_routes(routes: Sequence[Route]) -> tuple[Arm, ...]:
    """Return the arms of a comparison of routes; the first is what the others are compared with.

    Raises:
        ArmError: there are too few or too many, or one twice.
    """
    names = [route.name for route in routes]
    if not FEWEST_ARMS <= len(names) <= MOST_ARMS:
        raise ArmError(f"{FEWEST_ARMS} to {MOST_ARMS} routes can be compared, not {len(names)}")
    for name in names:
        if names.count(name) > 1:
            raise ArmError(f"{name} is named twice: to compare it with itself, change one thing")
    return tuple(_arm(route, route.name) for route in routes)


def arms_of_change(route: Route, change: ArmChange) -> tuple[Arm, ...]:
    """Return a route as it is, and as it is with one thing changed.

    Where the route itself connects for every attempt, or asks for whole answers, the other arm is
    the one that does not.

    Raises:
        ArmError: nothing would be changed, or the change is none that can be made.
    """
    settings: dict[str, Any]
    match change.kind:
        case "fresh":
            other = "reuse" if route.connection == "fresh" else "fresh"
            settings, word = {"connection": other}, {"reuse": "kept"}.get(other, other)
        case "stream":
            settings, word = {"stream": not route.stream}, "whole" if route.stream else "streamed"
        case "prompt":
            settings, word = _other_prompt(route, change.value)
        case "base-url":
            settings, word = _other_base_url(route, change.value)
    return (
        _arm(route, route.name),
        _arm(msgspec.structs.replace(route, **settings), f"{route.name} ({word})", route.name),
    )


def changed_words(change: ArmChange | None) -> str:
    """Return in words what differs between the arms."""
    match change:
        case None:
            return "the route"
        case ArmChange(kind="fresh"):
            return "whether connections are kept"
        case ArmChange(kind="stream"):
            return "whether answers are streamed"
        case ArmChange(kind="prompt"):
            return "the length of the prompt"
        case _:
            return "the base URL"


def carries_secret(route: Route) -> bool:
    """Tell whether anything of a route's requests must reach its own host alone: a key, a header
    that takes its value from the environment, or a query in its URL."""
    if route.api_key_env is not None or route.api_key_cmd is not None:
        return True
    if read_url(route.base_url).query is not None:
        return True
    # Any header may hold what its owner means for one host alone.
    return bool(route.headers)


def _arm(route: Route, name: str, of: str = "") -> Arm:
    alone = msgspec.structs.replace(
        route,
        name=name,
        concurrency=0,
        adaptive=False,
        pace="interval",
        rate=None,
        retries=0,
        evidence=False,
        paused=False,
    )
    return Arm(name, alone, of or name)


def _other_prompt(route: Route, value: str) -> tuple[dict[str, Any], str]:
    expected = f"expected tokens, a whole number from 1 to {MOST_PROMPT_TOKENS:,}"
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= MOST_PROMPT_TOKENS:
        raise ArmError(f"prompt: got {neutralise(value, 40) or 'nothing'}, {expected}")
    prompt = generated_prompt(int(value))
    if prompt == route.prompt and not route.prompts:
        raise ArmError(f"prompt: {route.name} has that very prompt: nothing would be changed")
    settings = {"prompt": prompt, "prompts": (), "workload": None}
    return settings, f"prompt of {int(value):,}"


def _other_base_url(route: Route, value: str) -> tuple[dict[str, Any], str]:
    try:
        text = base_url_of(value)
    except UrlError as error:
        raise ArmError(f"base-url: {error}") from None
    if text == route.base_url:
        raise ArmError(f"base-url: {route.name} has that very URL: nothing would be changed")
    url, own = read_url(text), read_url(route.base_url)
    place, own_place = (url.scheme, url.host, url.port), (own.scheme, own.host, own.port)
    if place != own_place and carries_secret(route):
        raise ArmError(
            f"base-url: the key and headers of {route.name} go to {own.authority} alone, not to"
            f" {url.authority}: give that URL a route of its own, and compare the two routes"
        )
    return {"base_url": text}, url.authority if place != own_place else mask_url(url.target)
