"""Rows of the routes table over several places: a line for each route, its places beneath it.

Rule 1. A group is the places of one route. Its line says the worst of them in every figure, and the
sum of what is counted: percentiles of two places never mix.
Rule 2. A group that is well is one line. One that hurts is open. Of many places those alone stand
beneath it that hurt, and none where that is one, of which its line tells, or more than one reads.
A place that is silent opens none: it is so for all routes.
Rule 3. What the user opens or closes stays so.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, get_args

from probes.board.views import Figure, RouteState, RouteView
from probes.kit.short_figures import counted
from tui.panes.view import ViewState

CALM: Final = frozenset[RouteState](("ok", "paused", "starting"))
"""States of which nobody asks since when."""
_OURS_OR_UNKNOWN: Final = frozenset[RouteState](("held", "silent"))
"""States in which nobody knows whether anybody hurts."""
_ALL_SHOWN: Final = 6
"""Places up to which all stand under a group that hurts: what is well beside it says that the
provider is."""
_RANK: Final = {state: place for place, state in enumerate(get_args(RouteState))}
_SUMS: Final = (
    *("n", "in_flight", "target", "probes_per_min", "good_per_min", "throttled_per_min"),
    *("timeouts_per_min", "failures_per_min", "retries_per_min", "skipped", "overdue_open"),
)
_MOST: Final = (
    *("hurt_share", "stalled_share", "amplification", "oldest_open_s", "cool_down_s"),
    *("goal_ratio", "input_tokens", "output_tokens"),
)
_LEAST: Final = ("success", "goodput", "stream_tokens_per_s")
_PERCENTILES: Final = (("ttft_p50", "ttft_p95", "ttft_p99"), ("e2e_p50", "e2e_p95"))
"""Of each figure, the lowest first."""


class GroupRow(RouteView, frozen=True, kw_only=True):
    """The line of one route over its places; its name is the one that they share."""

    members: tuple[RouteView, ...]
    """Those that the view lets through, worst first."""
    shown: tuple[RouteView, ...] = ()
    """Those that stand beneath it."""

    @property
    def is_whole(self) -> bool:
        """Whether all of them do."""
        return len(self.shown) == len(self.members)


def hurts(route: RouteView) -> bool:
    """Tell whether a route's state is one of which somebody asks since when."""
    return route.state not in CALM


def has_places(routes: Iterable[RouteView]) -> bool:
    """Tell whether routes are probed from several places, so that rows stand in groups."""
    return len({route.place for route in routes}) > 1


def grouped(rows: Sequence[RouteView], view: ViewState) -> list[RouteView]:
    """Return a line for each route of the rows, where those are worst first; of one that is there
    once, the row itself."""
    by_name: dict[str, list[RouteView]] = {}
    for row in rows:
        by_name.setdefault(row.shared_name, []).append(row)
    return [
        found[0] if len(found) == 1 else _group(name, found, view.groups.get(name))
        for name, found in by_name.items()
    ]


def expanded(
    groups: Iterable[RouteView], order: Callable[[Sequence[RouteView]], Sequence[RouteView]]
) -> list[RouteView]:
    """Return the lines with what stands beneath each of them, in an order."""
    rows: list[RouteView] = []
    for group in groups:
        rows.append(group)
        if isinstance(group, GroupRow):
            rows.extend(order(group.shown))
    return rows


def group_of(name: str, routes: Iterable[RouteView], shown: Iterable[str]) -> GroupRow | None:
    """Return the line of a name that routes share, with those beneath it that are named."""
    members = [route for route in routes if route.shared_name == name]
    if not members:
        return None
    named = frozenset(shown)
    made = _group(name, members, None)
    beneath = tuple(route for route in members if route.name in named)
    return GroupRow(**_fields(made, GroupRow.__struct_fields__) | {"shown": beneath})


def places_words(group: GroupRow, width: int) -> str:
    """Return how many places a route has, and which of them hurt, as long as there is room for."""
    count, ill = len(group.members), [one for one in group.members if hurts(one)]
    hurt = [one for one in ill if one.state not in _OURS_OR_UNKNOWN]
    ill = hurt or [one for one in ill if one.state == "silent"] or ill
    if not ill:
        return next(
            (words for words in (counted(count, "place"), f"{count}") if len(words) <= width), ""
        )
    verb = ("hurts" if len(ill) == 1 else "hurt") if hurt else ill[0].state
    names = ", ".join(one.place for one in ill)
    first = ill[0].place + (f" +{len(ill) - 1}" if len(ill) > 1 else "")
    forms: tuple[str, ...] = (
        f"{len(ill)} of {count} {verb}: {names}",
        f"{len(ill)} of {count} {verb}: {first}",
        f"{len(ill)} of {count}: {first}",
        f"{len(ill)}/{count} {first}",
        f"{len(ill)}/{count}",
    )
    if len(ill) == count:
        forms = (f"all {count} {verb}", f"all {count}", f"{count}/{count}")
    return next((words for words in forms if len(words) <= width), "")


def _group(name: str, members: Sequence[RouteView], wish: bool | None) -> GroupRow:
    first = members[0]
    state = min((one.state for one in members), key=_RANK.__getitem__)
    alike = [one for one in members if one.state == state]
    known = [one for one in alike if one.since_s is not None]
    # Of what hurts the longest, of what is well the shortest: since then it holds of all of them.
    oldest = max(known, key=lambda one: one.since_s or 0.0, default=first)
    newest = min(known, key=lambda one: one.since_s or 0.0, default=first)
    since = newest if state in CALM else oldest
    ill = tuple(one for one in members if hurts(one) and one.state != "silent")
    shown: Sequence[RouteView] = ()
    if wish or (wish is None and ill and len(members) <= _ALL_SHOWN):
        shown = members
    elif wish is None and 1 < len(ill) <= _ALL_SHOWN:
        shown = ill
    values = _fields(first, RouteView.__struct_fields__)
    values |= {key: sum(getattr(one, key) for one in members) for key in _SUMS}
    values |= {key: _chosen(members, key, max) for key in _MOST}
    values |= {key: _chosen(members, key, min) for key in _LEAST}
    heard = [one for one in members if one.state != "silent"] or members
    for keys in _PERCENTILES:
        least = 0.0
        for key in keys:
            values[key] = worst = _worst_figure(heard, key, least)
            least = worst.value or least
    costs = [one.usd_per_hour for one in members if one.usd_per_hour is not None]
    values |= {
        "name": name,
        "place": "",
        "state": state,
        "since_ns": since.since_ns,
        "since_s": since.since_s,
        "usd_per_hour": sum(costs) if costs else None,
        "cost_estimated": any(one.cost_estimated for one in members),
        "success_missed": any(one.success_missed for one in members),
        "overdue": any(one.overdue for one in members),
        "observer_busy": any(one.observer_busy for one in members),
        "learning": all(one.learning for one in members),
        "pace": None,
    }
    return GroupRow(**values, members=tuple(members), shown=tuple(shown))


def _fields(row: RouteView, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _chosen(
    members: Sequence[RouteView], key: str, choose: Callable[[list[float]], float]
) -> float | None:
    known = [value for one in members if (value := getattr(one, key)) is not None]
    return choose(known) if known else None


def _worst_figure(members: Sequence[RouteView], key: str, least: float) -> Figure:
    """Return the largest percentile; one of too few samples only where there is no other of at
    `least` the lower percentile beside it, and none where nothing comes from the worst place."""
    figures: list[Figure] = [getattr(one, key) for one in members]
    if figures[0].value is None and hurts(members[0]):
        return figures[0]
    largest = max(figures, key=lambda one: (one.value is not None, one.enough, one.value or 0.0))
    if largest.value is None or largest.value >= least:
        return largest
    return max(figures, key=lambda one: one.value or 0.0)
