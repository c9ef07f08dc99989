"""What was probed, as settings that somebody else can use once they have put in a key.

Rule 1: it is made of what the events tell of the routes, in which no secret ever is: user and
password of a URL are masked, and the values of its query. Which variable held a key is not told by
the events, and so is not told here.
"""

from collections.abc import Iterator

from probes.config.reference import toml_value
from probes.config.urls import mask_url
from probes.events import RouteInfo
from probes.handover.facts import Facts
from probes.kit.sanitise import neutralise


def redacted_settings(facts: Facts) -> str:
    """Return the routes as routes.toml."""
    lines = [
        "# Routes of this hand-over, as their run told them. Keys are not in it: name the variable",
        "# that holds yours with api_key_env. Values of URL queries are masked.",
    ]
    for route in facts.routes:
        lines += ["", f"[routes.{_text(route.info.name, 200)}]", *_keys(route.info)]
    return "\n".join(lines) + "\n"


def _keys(info: RouteInfo) -> Iterator[str]:
    yield f"base_url = {_text(mask_url(info.base_url), 400)}"
    yield f"model = {_text(info.model, 400)}"
    yield f"dialect = {_text(info.dialect, 40)}"
    yield f"concurrency = {toml_value(info.concurrency)}"
    if info.pace == "interval":
        yield f"interval = {toml_value(info.interval)}"
    else:
        yield f"pace = {toml_value(info.pace)}"
        yield f"rate = {toml_value(info.rate)}"
    yield f"max_tokens = {toml_value(info.max_tokens)}"
    yield f"stall_after = {toml_value(info.stall_after)}"


def _text(text: str, limit: int) -> str:
    return toml_value(neutralise(text, limit))
