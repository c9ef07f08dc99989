"""The history read back: by day, by hour of the day, and what was seen before.

Rule 1. Percentiles are read from the union of all centroids of their time, never from percentiles.
Rule 2. Percentiles never mix cohorts: they are of the one that most probes were of. Counts, tokens
and cost are of all.
Rule 3. A day is one of the machine's own time zone, or of the one that is asked for. Hours are kept
from whole hours of UTC on; one in which a day begins, as in a zone that is off by half an hour, is
read by its slots, while these are kept. Later it is of the day in which it begins.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Final, NamedTuple

from msgspec.structs import replace

from probes.history.database import HistoryFile, StoredRow, StoredSeries
from probes.history.jumps import Day, jumps
from probes.history.packed import Union
from probes.history.records import COUNTS, HOUR_S, OUTCOMES, PastIncident, RouteIdentity
from probes.history.views import (
    HistoryView,
    JumpView,
    RouteHistoryView,
    SeenView,
    Spread,
    StretchView,
)

_DAY_S: Final = 86_400
_LAST_HOUR: Final = 23
_MOST_DAYS: Final = 100
"""Beyond them it is told by week."""
SAME_S: Final = 10.0
"""By more the clocks of two machines do not differ where anything sets them; and what has ended and
begins anew within it is one trouble to whoever is woken."""
_PLACE: Final = {name: at for at, name in enumerate(COUNTS)}


class UnknownRouteError(Exception):
    """The history knows no such route; `names` are those that it knows."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


class _Stretch:
    """What some rows of one route come to."""

    __slots__ = ("begins_s", "counts", "e2e", "incidents", "per_token", "ttft", "usd")

    def __init__(self, begins_s: float) -> None:
        self.begins_s = begins_s
        self.counts = [0] * len(COUNTS)
        self.usd = 0.0
        self.incidents = 0
        self.ttft, self.e2e, self.per_token = Union(), Union(), Union()

    def count(self, stored: StoredRow) -> None:
        for place, number in enumerate(stored.row.counts):
            if number:
                self.counts[place] += number
        self.usd += stored.row.usd

    def measure(self, stored: StoredRow) -> None:
        ttft, e2e, per_token = stored.row.digests
        self.ttft.add(ttft)
        self.e2e.add(e2e)
        self.per_token.add(per_token)

    def absorb(self, other: "_Stretch") -> None:
        for place, number in enumerate(other.counts):
            self.counts[place] += number
        self.usd += other.usd
        self.ttft.absorb(other.ttft)
        self.e2e.absorb(other.e2e)
        self.per_token.absorb(other.per_token)

    def view(self, label: str) -> StretchView:
        count = dict(zip(COUNTS, self.counts, strict=True))
        counted = count["input_counted"]
        (per_token_s,) = self.per_token.at(0.5)
        return StretchView(
            begins_s=self.begins_s,
            label=label,
            probes=count["probes"],
            ok=count["probes_ok"],
            attempts=count["attempts"],
            throttled=count["throttled"],
            retries=count["retries"],
            outcomes={name: count[name] for name in OUTCOMES if count[name]},
            input_tokens=count["input_tokens"],
            output_tokens=count["output_tokens"],
            cached_tokens=count["cached_tokens"],
            usd=self.usd,
            mean_input=count["input_tokens"] / counted if counted else None,
            ttft_s=_spread(self.ttft),
            e2e_s=_spread(self.e2e),
            tokens_per_s=1 / per_token_s if per_token_s else None,
            incidents=self.incidents,
        )


def _spread(union: Union) -> Spread:
    p50, p95 = union.at(0.5, 0.95)
    return Spread(p50, p95, union.n)


class _Moments(dict[float, datetime]):
    """Moments of a time zone by their Unix time, each made once: routes and cohorts share them."""

    def __init__(self, zone: tzinfo | None) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, at_s: float) -> datetime:
        moment = self[at_s] = datetime.fromtimestamp(at_s, self._zone).astimezone(self._zone)
        return moment


def read_history(
    file: HistoryFile,
    *,
    since_s: float,
    route: str = "",
    until_s: float | None = None,
    zone: tzinfo | None = None,
    by_hour: bool = True,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> HistoryView:
    """Return what is kept since some Unix time of the routes that are called so, or of all.

    A name stands for the route at all its places, a whole name such as `chat@eu` for one. Without
    `by_hour` the hours of the day are left out, which takes half as long. `progress` is told after
    each route how many of how many are read.

    Raises:
        UnknownRouteError: there is no such route.
        HistoryError: the history cannot be read.
    """
    until_s = time.time() if until_s is None else until_s
    of_route: dict[RouteIdentity, dict[int, str]] = defaultdict(dict)
    known = file.series()
    for number, one in known.items():
        if route in ("", one.route.name, one.route.full_name):
            of_route[one.route][number] = one.cohort
    if route and not of_route:
        raise UnknownRouteError(sorted({one.route.full_name for one in known.values()}))
    incidents = file.incidents(since_s)
    views = []
    by_week = _is_by_week(since_s, until_s)
    moments = _Moments(zone)
    for number, (identity, series) in enumerate(sorted(of_route.items()), 1):
        rows = _by_midnights(file, file.rows(series, since_s, until_s), moments)
        views.append(_route_view(identity, rows, known, incidents, moments, by_hour, by_week))
        progress(number, len(of_route))
    empty = empty_history(since_s, until_s, zone)
    return replace(empty, routes=tuple(view for view in views if view is not None))


def empty_history(
    since_s: float, until_s: float | None = None, zone: tzinfo | None = None
) -> HistoryView:
    """Return what is told of a time of which nothing is kept."""
    until_s = time.time() if until_s is None else until_s
    return HistoryView(
        begins_s=since_s,
        ends_s=until_s,
        zone=_Moments(zone)[until_s].tzname() or "",
        by_week=_is_by_week(since_s, until_s),
        routes=(),
    )


def _is_by_week(since_s: float, until_s: float) -> bool:
    return until_s - since_s > _MOST_DAYS * _DAY_S


def _by_midnights(
    file: HistoryFile, rows: Sequence[StoredRow], moments: _Moments
) -> list[StoredRow]:
    """Return hours, those in which a day begins by their slots where all of these are kept."""
    found: list[StoredRow] = []
    parted: dict[int, list[StoredRow]] = defaultdict(list)
    ends_tomorrow: dict[int, bool] = {}
    for stored in rows:
        begins_s = stored.begins_s
        if begins_s not in ends_tomorrow:
            moment = moments[begins_s]
            ends_tomorrow[begins_s] = moment.hour == _LAST_HOUR and moment.minute > 0
        if ends_tomorrow[begins_s]:
            parted[begins_s].append(stored)
        else:
            found.append(stored)
    for begins_s, hours in parted.items():
        slots = file.slots({one.series for one in hours}, begins_s, begins_s + HOUR_S)
        # Of one whose slots are going, or gone, the hour knows more.
        is_whole = sum(one.row.weight for one in slots) == sum(one.row.weight for one in hours)
        found += slots if is_whole else hours
    return found


def _route_view(
    identity: RouteIdentity,
    rows: Sequence[StoredRow],
    known: Mapping[int, StoredSeries],
    incidents: Sequence[PastIncident],
    moments: _Moments,
    by_hour: bool,
    by_week: bool,
) -> RouteHistoryView | None:
    if not rows:
        return None
    probes: dict[str, int] = defaultdict(int)
    for stored in rows:
        probes[known[stored.series].cohort] += stored.row.counts[_PLACE["probes"]]
    cohort = max(probes, key=lambda one: (probes[one], one))
    days: dict[str, _Stretch] = {}
    hours: dict[int, _Stretch] = {}
    sizes: dict[str, list[float]] = {}
    for stored, moment in _dated(rows, moments):
        day, hour = _day_of(moment), moment.hour
        size = sizes.setdefault(day, [stored.begins_s, 0, 0])
        size[1] += stored.row.counts[_PLACE["input_tokens"]]
        size[2] += stored.row.counts[_PLACE["input_counted"]]
        day = _day_of(moment, by_week=by_week)
        stretches = [days.setdefault(day, _Stretch(stored.begins_s))]
        if by_hour:
            stretches.append(hours.setdefault(hour, _Stretch(0)))
        for stretch in stretches:
            stretch.count(stored)
            if known[stored.series].cohort == cohort:
                stretch.measure(stored)
    seen, onsets_s = _seen_of(incidents, identity.name, identity.full_name)
    for onset_s in onsets_s:
        moment = moments[onset_s]
        day = _day_of(moment, by_week=by_week)
        # One that began where nothing was probed is no more than said.
        for stretch in filter(None, (days.get(day), hours.get(moment.hour))):
            stretch.incidents += 1
    whole = _Stretch(rows[0].begins_s)
    for stretch in (hours or days).values():
        whole.absorb(stretch)
    whole.incidents = sum(stretch.incidents for stretch in days.values())
    whole.begins_s = min(stretch.begins_s for stretch in days.values())
    all_probes = sum(probes.values())
    day_views = [stretch.view(day) for day, stretch in days.items()]
    return RouteHistoryView(
        route=identity.full_name,
        name=identity.name,
        place=identity.place,
        base_url=identity.base_url,
        model=identity.model,
        cohort=cohort,
        cohort_share=probes[cohort] / all_probes if all_probes else 1.0,
        whole=whole.view(""),
        days=tuple(day_views),
        hours=tuple(hours[hour].view(f"{hour:02}") for hour in sorted(hours)),
        jumps=tuple(_jump_views(sizes)),
        seen=tuple(seen),
    )


def _day_of(moment: datetime, *, by_week: bool = False) -> str:
    """Return the day of a moment; of a week its Monday."""
    return f"{moment - timedelta(days=moment.weekday() if by_week else 0):%Y-%m-%d}"


def _dated(rows: Iterable[StoredRow], moments: _Moments) -> Iterator[tuple[StoredRow, datetime]]:
    """Give rows in the order of time, each with its moment."""
    for stored in sorted(rows, key=lambda one: one.begins_s):
        yield stored, moments[stored.begins_s]


def _jump_views(sizes: Mapping[str, Sequence[float]]) -> Iterable[JumpView]:
    """Return the jumps of days, each given by when it begins, its input tokens, and how many
    attempts they are of."""
    means = [
        Day(begins_s, label, tokens / counted if counted else 0.0, int(counted))
        for label, (begins_s, tokens, counted) in sizes.items()
    ]
    for jump in jumps(means):
        yield JumpView(
            day=jump.day.label,
            begins_s=jump.day.begins_s,
            before=jump.before,
            after=jump.after,
            days_before=jump.days_before,
            days_after=jump.days_after,
        )


def seen_before(
    incidents: Iterable[PastIncident], name: str, full_name: str = ""
) -> list[SeenView]:
    """Return the incidents that hit a route by their fingerprints, the most frequent first.

    With `full_name` those that only hit the route elsewhere are left out.
    """
    return _seen_of(incidents, name, full_name)[0]


def _seen_of(
    incidents: Iterable[PastIncident], name: str, full_name: str
) -> tuple[list[SeenView], list[float]]:
    """Return the same, and the onset of each of the incidents."""
    hit = [
        one for one in incidents if name in one.names and (not full_name or full_name in one.routes)
    ]
    groups: dict[tuple[str, str], list[PastIncident]] = defaultdict(list)
    for one in _from_where_known(hit):
        groups[one.cause, one.scope].append(one)
    found, onsets_s = [], []
    for (cause, scope), group in groups.items():
        apart = apart_of(group)
        onsets_s += [one.since_s for one in apart]
        found.append(
            SeenView(
                cause=cause,
                name=name,
                scope=scope,
                times=len(apart),
                first_s=apart[0].since_s,
                last_s=apart[-1].since_s,
                typical_s=_typical_s(apart),
                text=max(group, key=lambda one: one.since_s).text,
            )
        )
    return sorted(found, key=lambda one: (-one.times, -one.last_s, one.cause)), onsets_s


def seen_already(incidents: Iterable[PastIncident], present: PastIncident) -> SeenView | None:
    """Return what was before of the kind that is now: of its cause, on a route that it hits, from
    where it is seen; None where it is the first.

    What overlaps it is the same, as others see it.
    """
    routes = set(present.routes)
    alike = [
        one
        for one in incidents
        if one.cause == present.cause
        and not routes.isdisjoint(one.routes)
        # Of one place alone nobody can say from where it is seen.
        and (one.scope == present.scope or not one.scope or not present.scope)
    ]
    apart = [one for one in apart_of(alike) if one.until_s < present.since_s - SAME_S]
    if not apart:
        return None
    return SeenView(
        cause=present.cause,
        name="",
        scope=present.scope,
        times=len(apart),
        first_s=apart[0].since_s,
        last_s=apart[-1].since_s,
        typical_s=_typical_s(apart),
        text="",
    )


class SeenSpan(NamedTuple):
    """Since when and until when there was something, as all who saw it know it together."""

    since_s: float
    until_s: float
    is_over: bool
    """Its end is known; else it was seen until then, and nobody knows for how long it went on."""


def apart_of(group: Iterable[PastIncident]) -> list[SeenSpan]:
    """Return the incidents of one fingerprint, in order, what overlaps in time as one: two runs,
    two screens of one bus, or an agent and a screen saw it, each from when it knew of it.

    Two that lie less than `SAME_S` apart are one as well, for clocks differ. Of several ends the
    last one counts.
    """
    found: list[SeenSpan] = []
    for one in sorted(group, key=lambda one: one.since_s):
        span = SeenSpan(one.since_s, one.until_s, one.ended_s is not None)
        if found and span.since_s <= found[-1].until_s + SAME_S:
            before = found[-1]
            last = max(before, span, key=lambda one: (one.until_s, one.is_over))
            found[-1] = last._replace(since_s=before.since_s)
        else:
            found.append(span)
    return found


def _typical_s(apart: Iterable[SeenSpan]) -> float | None:
    lasted = [one.until_s - one.since_s for one in apart if one.is_over]
    return median(lasted) if lasted else None


def _from_where_known(incidents: Iterable[PastIncident]) -> Iterator[PastIncident]:
    """Give incidents, those of one place alone as seen from where a screen over several places saw
    the same meanwhile: what an agent knows of its own place is part of that."""
    together: list[PastIncident] = []
    until_s = 0.0
    for one in sorted(incidents, key=lambda one: (one.cause, one.since_s)):
        if together and (one.cause != together[-1].cause or one.since_s > until_s + SAME_S):
            yield from _of_one_scope(together)
            together = []
        until_s = max(until_s, one.until_s) if together else one.until_s
        together.append(one)
    yield from _of_one_scope(together)


def _of_one_scope(together: Sequence[PastIncident]) -> Iterator[PastIncident]:
    known = {route: one.scope for one in together if one.scope for route in one.routes}
    for one in together:
        scope = one.scope or next(filter(None, map(known.get, one.routes)), "")
        yield one if scope == one.scope else replace(one, scope=scope)
