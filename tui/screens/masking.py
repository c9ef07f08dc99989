"""What a screen shows while somebody looks over a shoulder: the same figures under other names.

Rule 1. A pure function: from a snapshot, or from one probe, to the same without names and words of
others. Panes know nothing of it; what a key does goes by the true names.
Rule 2. A route is `route 3`: its place in the settings, so that it keeps its number for as long as
the run lasts and a row that moves can be followed.
Rule 3. What a server, a user or a file wrote is left out; of an error its HTTP status is kept,
which nobody chose. In words of our own, names are replaced where they stand.
Rule 4. What does not change stays the same object: panes know by that what they have drawn.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar, overload

from msgspec.structs import replace

from probes.board.views import (
    AlertView,
    Happening,
    HappeningKind,
    IncidentView,
    Marker,
    PercentileTable,
    ProbeView,
    RequestView,
    RouteDetail,
    RouteView,
    Snapshot,
    ThrottleEntry,
)
from probes.comparing.views import ComparisonView
from probes.control.status import HostStatus
from probes.events import Alert, AttemptFinished, Diagnosis, Limit
from probes.sweeping.views import SweepView
from tui.panes.routes import visible_routes
from tui.panes.view import PastView, ViewState

MODEL: Final = "model"
URL: Final = "https://host"
MASKED: Final = "masked"
"""Stands for words that say something by being there."""

_OTHERS_WORDS: Final[frozenset[HappeningKind]] = frozenset(("mark", "notice", "fault", "engine"))
"""Happenings whose text is somebody's own, or an exception's."""
_DETAILED: Final[frozenset[HappeningKind]] = frozenset(("gap", "held"))
_OWN_DETAIL: Final = re.compile(r"(?:[a-z0-9-]{1,32}: )?(?:silent|held), [^:]*")
"""A place, what is with it, and no details, which name hosts: of the way there, of the bus."""
_FINISH_REASONS: Final = frozenset(
    ("stop", "length", "tool_calls", "content_filter", "end_turn", "max_tokens", "completed")
)
"""Those of the public APIs; any other is a server's own word."""
_STATUS: Final = re.compile(r"\b[1-5]\d\d\b")
_CHANGE: Final = re.compile(r"fresh|kept|whole|streamed|prompt of [\d,]+")
"""What an arm is called beside its route by our own words; any other is a host or a path."""
_QUOTED: Final = re.compile(r"\"(.*\"|.*)|“(.*”|.*)", re.DOTALL)
"""From the first quotation mark to the last: what is quoted may hold some of its own."""

_Item = TypeVar("_Item")
_Pattern: TypeAlias = re.Pattern[str]


class Mask:
    """What stands for the names of one run."""

    def __init__(
        self,
        names: Iterable[str],
        secrets: Iterable[str] = (),
        shared: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Give numbers to routes.

        Args:
            names: of all routes, in the order of the settings.
            secrets: what else is masked where it stands in words of ours: models and URLs.
            shared: of what is probed from several places, the name that it has at all of them, and
                the place. That is no secret.
        """
        self._routes: dict[str, str] = {}
        numbers: dict[str, int] = {}
        for name in names:
            own, place = (shared or {}).get(name, (name, ""))
            number = numbers.setdefault(own, len(numbers) + 1)
            self._routes[own] = f"route {number}"
            if place:
                self._routes[name] = f"route {number}@{place}"
        self._instead = {secret: MASKED for secret in secrets if secret} | self._routes
        self._pattern = _pattern_of(tuple(self._instead))

    def route(self, name: str) -> str:
        """Return what stands for a route; what is no route's name stays empty, or is masked."""
        return self._routes.get(name, MASKED) if name else ""

    def routes(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return what stands for routes."""
        return tuple([self.route(name) for name in names])

    def words(self, text: str) -> str:
        """Return words of ours without the names and the quotations in them."""
        if not text:
            return text
        text = _QUOTED.sub("…", text)
        return self._pattern.sub(lambda found: self._instead[found[0]], text)

    def snapshot(self, shown: Snapshot) -> Snapshot:
        """Return a frame without names."""
        details = [self._detail(detail) for detail in shown.details.values()]
        return replace(
            shown,
            header=replace(
                shown.header,
                notices=(),
                budget_doubt=MASKED if shown.header.budget_doubt else "",
                # What is known of a way there names hosts.
                places=tuple([replace(one, detail="") for one in shown.header.places]),
            ),
            routes=tuple([self._row(row) for row in shown.routes]),
            totals=None if shown.totals is None else self._row(shown.totals),
            throttles=tuple([self._throttled(entry) for entry in shown.throttles]),
            limits=tuple(
                [
                    replace(view, route=self.route(view.route), limits=_limits(view.limits))
                    for view in shown.limits
                ]
            ),
            details={detail.route: detail for detail in details},
            incidents=tuple([self._incident(one) for one in shown.incidents]),
            recoveries=tuple(
                [replace(one, diagnosis=self._diagnosis(one.diagnosis)) for one in shown.recoveries]
            ),
            alerts=tuple([self._alert(one) for one in shown.alerts]),
            happenings=tuple([self._happening(one) for one in shown.happenings]),
            standings=tuple([replace(one, route=self.route(one.route)) for one in shown.standings]),
        )

    def request(self, request: RequestView) -> RequestView:
        """Return one probe without names, ids and words."""
        return replace(
            request,
            route=self.route(request.route),
            probe=replace(request.probe, route=self.route(request.probe.route)),
            attempts=tuple([self._attempt(attempt) for attempt in request.attempts]),
        )

    def comparison(self, shown: ComparisonView) -> ComparisonView:
        """Return a comparison without names; what was changed of a route is said by our words."""
        names = {arm.name: self._arm(arm.name) for arm in shown.arms}
        sentence = shown.sentence
        # The longest first: the name of a changed route begins with the route's own.
        for name in sorted(names, key=len, reverse=True):
            sentence = sentence.replace(name, names[name])
        return replace(
            shown,
            arms=tuple([replace(arm, name=names[arm.name]) for arm in shown.arms]),
            cost=replace(
                shown.cost, unpriced=tuple([self._arm(name) for name in shown.cost.unpriced])
            ),
            sentence=self.words(sentence),
            waits=self.words(shown.waits),
            asking=names.get(shown.asking, ""),
        )

    def sweep(self, shown: SweepView) -> SweepView:
        """Return a sweep without its route's name and a server's words."""
        return replace(
            shown,
            route=self.route(shown.route),
            sentence=self.words(shown.sentence.replace(shown.route, self.route(shown.route))),
            waits=self.words(shown.waits),
            doing=self.words(shown.doing),
            points=tuple([replace(one, failure="") for one in shown.points]),
        )

    def _arm(self, name: str) -> str:
        """Return what stands for an arm: a route, or one with what was changed in brackets."""
        route, bracket, change = name.rpartition(" (")
        if name in self._routes or not bracket:
            return self.route(name)
        told = change.removesuffix(")")
        return f"{self.route(route)} ({told if _CHANGE.fullmatch(told) else MASKED})"

    def view(self, shown: Snapshot, view: ViewState) -> ViewState:
        """Return a view of the masked frame that has the rows and the cursor of the true one."""
        return replace(
            view,
            selected=None if view.selected is None else self.route(view.selected),
            filter=MASKED if view.filter else "",
            tagged=self.routes(view.tagged),
            rows=self.routes(row.name for row in visible_routes(shown, view)),
            groups={self.route(name): is_open for name, is_open in view.groups.items()},
            page=replace(view.page, t0_route=self.route(view.page.t0_route)),
            past=None if view.past is None else self._past(view.past),
        )

    def _past(self, past: PastView) -> PastView:
        return replace(past, stops=tuple([self._happening(one) for one in past.stops]))

    def _row(self, row: RouteView) -> RouteView:
        return replace(
            row,
            name=self.route(row.name),
            shared_name=self.route(row.shared_name),
            model=MODEL if row.model else "",
            base_url=URL if row.base_url else "",
            tags=(),
            why=self.words(row.why),
            said=_status(row.said),
        )

    def _detail(self, detail: RouteDetail) -> RouteDetail:
        route, page = self.route(detail.route), detail.page
        if page is not None:
            page = replace(page, probes=_Probes(page.probes))
        return replace(
            detail,
            route=route,
            lanes=tuple([replace(lane, route=route) for lane in detail.lanes]),
            percentiles=self._table(detail.percentiles),
            preview="",
            page=page,
        )

    def _table(self, table: PercentileTable) -> PercentileTable:
        markers = _same(table.markers, [self._marker(one) for one in table.markers])
        return table if markers is table.markers else replace(table, markers=markers)

    def _marker(self, marker: Marker) -> Marker:
        return replace(marker, text=MASKED if marker.kind == "mark" else self.words(marker.text))

    def _throttled(self, entry: ThrottleEntry) -> ThrottleEntry:
        return replace(entry, route=self.route(entry.route), request_id="", message="")

    def _incident(self, incident: IncidentView) -> IncidentView:
        seen = incident.seen
        return replace(
            incident,
            seen=None if seen is None else replace(seen, routes=self.routes(seen.routes)),
            diagnosis=self._diagnosis(incident.diagnosis),
            said=_status(incident.said),
        )

    def _diagnosis(self, diagnosis: Diagnosis) -> Diagnosis:
        advice = diagnosis.advice
        if advice is not None:
            advice = replace(advice, route=self.route(advice.route), detail="")
        # The id is made of a route's name; nothing is drawn of it but that it is the same.
        return replace(
            diagnosis,
            id=self.words(diagnosis.id),
            routes=self.routes(diagnosis.routes),
            advice=advice,
            text="",
        )

    def _alert(self, shown: AlertView) -> AlertView:
        return replace(
            shown,
            alert=self._alert_event(shown.alert),
            over=None if shown.over is None else self._alert_event(shown.over),
        )

    def _alert_event(self, alert: Alert) -> Alert:
        harm = alert.harm
        return replace(
            alert,
            routes=self.routes(alert.routes),
            harm=replace(harm, route=self.route(harm.route)),
            incident=self.words(alert.incident),
            text=self.words(alert.text),
        )

    def _happening(self, happening: Happening) -> Happening:
        others, text = happening.kind in _OTHERS_WORDS, happening.text
        if happening.kind in _DETAILED:
            told = _OWN_DETAIL.match(text)
            text = text if told is None else told[0]
        return replace(
            happening,
            routes=self.routes(happening.routes),
            text=MASKED if others else self.words(text),
            note=MASKED if happening.note else "",
            incident=self.words(happening.incident),
        )

    def _attempt(self, attempt: AttemptFinished) -> AttemptFinished:
        known = attempt.finish_reason in _FINISH_REASONS
        return replace(
            attempt,
            route=self.route(attempt.route),
            message="",
            request_id=None,
            request_ids={},
            response_id=None,
            headers=dict.fromkeys(attempt.headers, MASKED),
            limits=_limits(attempt.limits),
            server_timing={},
            server_claims=tuple([replace(claim, source="") for claim in attempt.server_claims]),
            finish_reason=attempt.finish_reason if known else None,
            text=None,
            text_sha256="",
            reasoning_text=None,
            served_model=MODEL if attempt.served_model else "",
            fingerprint="",
        )


class _Probes(Sequence[ProbeView]):
    """Probes without their ids, each made when it is looked at: there are two hundred."""

    def __init__(self, probes: Sequence[ProbeView]) -> None:
        self._probes = probes

    def __len__(self) -> int:
        return len(self._probes)

    @overload
    def __getitem__(self, place: int) -> ProbeView: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ProbeView]: ...
    def __getitem__(self, place: int | slice) -> ProbeView | Sequence[ProbeView]:
        if isinstance(place, slice):
            return [_masked_probe(one) for one in self._probes[place]]
        return _masked_probe(self._probes[place])


def _masked_probe(probe: ProbeView) -> ProbeView:
    return replace(probe, request_id="", served_by=MODEL if probe.served_by else "")


def mask_of(names: Iterable[str], shown: Snapshot) -> Mask:
    """Return the mask of a frame.

    Args:
        names: of the routes in the order of the settings; others of the frame come after them.
        shown: whose models and URLs are masked too.
    """
    others = sorted(row.name for row in shown.routes)
    secrets = {text for row in shown.routes for text in (row.model, row.base_url, *row.tags)}
    shared = {row.name: (row.shared_name, row.place) for row in shown.routes if row.place}
    return Mask((*names, *others), sorted(secrets), shared)


def masked_status(status: HostStatus) -> HostStatus:
    """Return how the engine is without its words: a traceback names hosts and files."""
    if not status.last_words and not status.detail:
        return status
    return replace(status, last_words="", detail="")


@lru_cache(maxsize=4)
def _pattern_of(names: tuple[str, ...]) -> _Pattern:
    """Return what finds any of the names, the longest first: one may begin another."""
    longest = sorted(names, key=len, reverse=True)
    found = "|".join(map(re.escape, longest)) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{found})(?!\w)")


def _status(said: str) -> str:
    """Return the HTTP status that a server's words begin with."""
    found = _STATUS.search(said)
    return found[0] if found else ""


def _limits(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    return tuple([replace(one, scope="") for one in limits])


def _same(before: tuple[_Item, ...], after: Sequence[_Item]) -> tuple[_Item, ...]:
    """Return what was there before, where nothing of it has changed."""
    return before if list(before) == list(after) else tuple(after)
