"""Frames of several places: an incident of one place, a provider that is down, a silent place."""

from collections.abc import Sequence
from typing import Any

import made
from msgspec.structs import replace

from probes.board.views import IncidentView, PlaceView, RouteView, Snapshot, UsualView
from probes.kit.clock import NS_PER_S

FEW = ("eu-west", "us-east", "ap-south")
MANY = tuple(f"{area}-{side}-{n}" for area in ("eu", "us", "ap", "sa") for n in (1, 2, 3)
             for side in ("east", "west"))[:20]  # fmt: skip
NAMES = (
    *("chat", "search-70b", "漢字-summaries", "code-review", "embed-proxy", "qwen3-235b"),
    *("kimi-k2", "deepseek-v3", "gpt-oss-120b", "mistral-small", "llama-70b-eu", "vision"),
    *("moderation", "translate", "voice", "agents", "rag", "batch", "titles", "intent"),
)


def row(name: str, place: str, state: Any = "ok", times: float = 1.0, **changes: Any) -> RouteView:
    """Return a row of a place, whose TTFT is so many times its usual."""
    since_s = 5.0 * 60 if state == "ok" else 104.0
    values: dict[str, Any] = {
        "place": place,
        "shared_name": name,
        "ttft_p50": made.figure(0.24 * times, n=60),
        "ttft_p95": made.figure(0.4 * times, n=60),
        "usual": UsualView(0.24, 0.4, 1.3, 1.9, 40.0, 480),
        "since_s": since_s,
        "since_ns": made.NOW_NS - round(since_s * NS_PER_S),
        "target": 1,
        "in_flight": 1,
        "n": 60,
    }
    return made.route(f"{name}@{place}", state, 0.4 * times, **(values | changes))


def rows(
    names: Sequence[str],
    places: Sequence[str],
    *,
    far: str = "",
    down: str = "",
    silent: str = "",
) -> tuple[RouteView, ...]:
    """Return all rows, worst first: `far` is a place from where all is slow, `down` a route that
    fails from everywhere, `silent` a place of which nothing is heard."""
    found = []
    for name in names:
        for place in places:
            if place == silent:
                found.append(row(name, place, "silent", since_s=40.0))
            elif name == down:
                failing = {"hurt_share": 1.0, "success": 0.0, "goodput": 0.0}
                failing |= {"said": '503 "overloaded"', "failures_per_min": 60.0}
                none = made.figure(None, n=0)
                found.append(row(name, place, "down", ttft_p50=none, ttft_p95=none, **failing))
            elif place == far:
                found.append(row(name, place, "sluggish", 3.1, hurt_share=0.8, goodput=0.2))
            else:
                found.append(row(name, place))
    order = ("down", "sluggish", "silent", "ok")
    return tuple(sorted(found, key=lambda one: (order.index(one.state), one.name)))


def snapshot(
    names: Sequence[str] = NAMES[:4], places: Sequence[str] = FEW, **changes: Any
) -> Snapshot:
    """Return a frame of these routes over these places; see `rows`."""
    trouble = {key: changes.pop(key, "") for key in ("far", "down", "silent")}
    found = rows(names, places, **trouble)
    views = tuple(
        PlaceView(
            name=place,
            state="silent" if place == trouble["silent"] else "heard",
            since_ns=made.NOW_NS - 40 * NS_PER_S,
            since_s=40.0,
        )
        for place in sorted(places)
    )
    incidents: list[IncidentView] = []
    if trouble["down"]:
        routes = tuple(one.name for one in found if one.state == "down")
        heard = tuple(sorted(one for one in places if one != trouble["silent"]))
        seen: dict[str, Any] = {"scope": "everywhere", "places": heard, "of_places": len(heard)}
        of = made.diagnosis("provider_overloaded", 104.0, routes=routes, **seen)
        incidents.append(IncidentView(of, "down", '503 "overloaded"'))
    if trouble["far"]:
        routes = tuple(one.name for one in found if one.state == "sluggish")
        seen = {"scope": "way", "places": (trouble["far"],), "of_places": len(places)}
        of = made.diagnosis("network_path", 104.0, routes=routes, **seen)
        incidents.append(IncidentView(of, "sluggish"))
    detail = made.detail(found[0].name)
    hurt = sum(one.state in ("down", "sluggish") for one in found)
    header = made.header(routes=len(found), hurt=hurt, places=views, well_since_ns=None)
    if not hurt and not trouble["silent"]:
        header = replace(header, well_since_ns=made.NOW_NS - 300 * NS_PER_S)
    values: dict[str, Any] = {
        "routes": found,
        "incidents": tuple(incidents),
        "header": header,
        "details": {one.name: replace(detail, route=one.name) for one in found},
        "happenings": (),
        "recoveries": (),
    }
    return made.snapshot(**(values | changes))
