"""What is told of an alert, to a command and to a webhook alike: one JSON document a word.

Rule 1: an alert is told when it begins to fire (`firing`), where what it is taken for or the routes
that it hits change (`changed`), and when it is over (`over`): each once. A cause that comes back is
no news, and of one alert no more than `CHANGES_MOST` changes are told.
Rule 2: what is muted on the screen, or is on another run to tell, calls nobody here either
(`AlertCalls`); a change of what was told is held back, too, until it is neither.
Rule 3: a document has no secret.
Rule 4: what another run has told people of goes on under the id and run that it was told with, so
that a page that was opened by the one is changed and closed by the other.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from probes.control.attention import ALONE, AlertCalls, Attention, Duty
from probes.events import Alert, Diagnosis, Event, Hello, SeenBefore, Tick
from probes.events.diagnosis_words import what_words, who_words
from probes.events.spoken_of import tells_of
from probes.exports.json_lines import ascii_json

CHANGES_MOST: Final = 20
"""Of one alert: more than any incident has had, and less than a pager would be silenced for."""
_FIRING_MOST: Final = 1_000
_NAMED_MOST: Final = 50
"""Routes in the JSON: an alert of more names these, and how many there are."""


class AlertName(NamedTuple):
    """What tells an alert from any other of any run."""

    run: str
    id: str


class ToldBefore(NamedTuple):
    """What people were told by another run of what an alert is about."""

    name: AlertName
    routes: frozenset[str]


def untold(_alert: Alert) -> ToldBefore | None:
    """Return what another run has told people of an alert, where there is no other."""
    return None


class AlertDocument(NamedTuple):
    """One word of an alert, ready to be told."""

    key: str
    """Tells it from every other of any run: who hears it twice has heard it once."""
    about: str
    """For a person: `alert e1-a1 (firing)`."""
    body: bytes
    """JSON in ASCII, with a line end."""
    state: str
    """`firing`, `changed` or `over`."""
    alert: Alert
    """What it is about, by its own id in this run."""
    name: AlertName
    """How people know it."""


class _Fires:
    """An alert that fires and was told."""

    __slots__ = ("alert", "name", "told")

    def __init__(self, alert: Alert, name: AlertName) -> None:
        self.alert = alert
        self.name = name
        self.told = {(alert.cause, alert.routes)}
        """What it was taken for, and whom it hit, in each word that was told."""


class AlertDocuments:
    """Takes the events of a run, and gives what is to be told of its alerts."""

    def __init__(
        self,
        attention: Attention,
        scrub: Callable[[str], str],
        run: str,
        *,
        duty: Duty = ALONE,
        told_before: Callable[[Alert], ToldBefore | None] = untold,
    ) -> None:
        """Prepare; `run` tells this run from any other. `duty` knows what of it is on us to tell,
        and `told_before` what another run has told people of what an alert is about."""
        self._attention = attention
        self._duty = duty
        self._told_before = told_before
        self._calls = AlertCalls(attention, duty)
        self._scrub = scrub
        self._run = run
        self._anchor_ns: int | None = None
        self._fires: dict[str, _Fires] = {}
        """By incident, or by their own id where they have none; oldest first."""
        self._late: dict[str, Diagnosis] = {}
        """The newest word on each incident that is not told, or not yet."""
        self._seen: list[SeenBefore] = []
        """What was told of incidents like those that are open; oldest first."""

    def due(self, events: Iterable[Event]) -> list[AlertDocument]:
        """Take a batch; return what is to be told now. It is to be called with each batch, for a
        mute ends by itself."""
        documents: list[AlertDocument] = []
        for event in events:
            # In the order of the stream: what changes may come right behind what it changes.
            if isinstance(event, Hello | Tick):
                self._anchor_ns = event.wall_ns - event.at_ns
            elif isinstance(event, Alert):
                documents += self._told(self._calls.due((event,)))
            elif isinstance(event, SeenBefore):
                self._seen = [*self._seen[-_FIRING_MOST:], event]
            elif isinstance(event, Diagnosis):
                if event.state in ("cleared", "settled"):
                    self._seen = [one for one in self._seen if not tells_of(one, event)]
                documents += self._changed(event)
        documents += self._told(self._calls.due(()))
        if self._late:
            documents += [one for word in [*self._late.values()] for one in self._changed(word)]
        return documents

    def end(self, alert: Alert, name: AlertName) -> AlertDocument:
        """Return what tells that an alert is over which another run has told people of."""
        self._fires = {key: one for key, one in self._fires.items() if one.name != name}
        return self._document(alert, name, "over", {})

    def take_back(self, alert: Alert, for_s: float = 0.0) -> None:
        """Know that it came to nobody that an alert fires: after so many seconds it is due again,
        where it still does, and no change of it before."""
        self._calls.take_back(alert.id, for_s)
        self._fires.pop(alert.incident or alert.id, None)

    def _told(self, due: Iterable[Alert]) -> Iterator[AlertDocument]:
        for alert in due:
            name = AlertName(self._run, alert.id)
            if alert.state == "firing":
                self._fire(alert, name)
            else:
                self._fires.pop(alert.incident or alert.id, None)
            yield self._document(alert, name, alert.state, {})
        for alert in self._calls.take_over():
            before = self._told_before(alert)
            if before is None:
                continue
            self._fire(alert, before.name)
            late = self._late.get(alert.incident)
            if late is not None and before.routes.issuperset(late.routes):
                # Whoever told it knew as much: what it is taken for, too.
                self._fires[alert.incident].told.add((late.cause, late.routes))

    def _fire(self, alert: Alert, name: AlertName) -> None:
        self._fires[alert.incident or alert.id] = _Fires(alert, name)
        while len(self._fires) > _FIRING_MOST:
            del self._fires[next(iter(self._fires))]

    def _changed(self, word: Diagnosis) -> Iterator[AlertDocument]:
        """Give what a diagnosis changes of an alert that was told."""
        if word.state != "named":
            if word.state in ("cleared", "settled"):
                self._late.pop(word.id, None)
            return
        self._late.pop(word.id, None)
        fires = self._fires.get(word.id)
        if fires is None:
            self._keep_late(word)
            return
        before, now = fires.alert, (word.cause, word.routes)
        if now in fires.told or len(fires.told) > CHANGES_MOST:
            return
        changed = msgspec.structs.replace(
            before,
            at_ns=word.at_ns,
            cause=word.cause,
            routes=word.routes,
            since_ns=word.since_ns,
            text=f"{who_words(word.routes)}: {what_words(word)}",
        )
        is_muted = self._attention.muted_until_ns(changed) is not None
        if is_muted or not self._duty.is_ours(changed):
            self._keep_late(word)
            return
        is_wider = not {*before.routes}.issuperset(word.routes)
        if word.cause == before.cause and is_wider and self._duty.knows(changed):
            fires.told.add(now)  # it has grown together with what was told beside it
            return
        fires.told.add(now)
        fires.alert = changed
        was = {"cause": before.cause, "routes": list(before.routes[:_NAMED_MOST])}
        yield self._document(changed, fires.name, "changed", {"before": was}, len(fires.told) - 1)

    def _keep_late(self, word: Diagnosis) -> None:
        self._late[word.id] = word
        while len(self._late) > _FIRING_MOST:
            del self._late[next(iter(self._late))]

    def _document(
        self, alert: Alert, name: AlertName, state: str, more: dict[str, Any], number: int = 0
    ) -> AlertDocument:
        seen = next((one for one in reversed(self._seen) if tells_of(one, alert)), None)
        fields = {
            **alert_fields(alert, self._anchor_ns),
            "id": name.id,
            "seen_before": None if seen is None else _seen_fields(seen),
            "state": state,
            "run": name.run,
            **more,
        }
        body = msgspec.json.encode(_scrubbed(fields, self._scrub))
        key = f"{name.run}-{name.id}-{state}" + (f"-{number}" if number else "")
        about = f"alert {name.id} ({state})"
        return AlertDocument(key, about, ascii_json(body) + b"\n", state, alert, name)


def alert_fields(alert: Alert, anchor_ns: int | None) -> dict[str, Any]:
    """Return an alert as it is told: the fields of the event, and its moments in UTC."""
    fields: dict[str, Any] = msgspec.to_builtins(alert)
    routes = alert.routes
    return {
        **fields,
        "routes": list(routes[:_NAMED_MOST]),
        "routes_count": len(routes),
        "at": _utc(alert.at_ns, anchor_ns),
        "since": _utc(alert.since_ns, anchor_ns),
        "ended": None if alert.ended_ns is None else _utc(alert.ended_ns, anchor_ns),
    }


def _seen_fields(seen: SeenBefore) -> dict[str, Any]:
    return {
        "times": seen.times,
        "first": _utc(seen.first_wall_ns, 0),
        "last": _utc(seen.last_wall_ns, 0),
        "typical_s": seen.typical_s,
    }


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    """Return a value of JSON with each of its texts scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(inner, scrub) for key, inner in value.items()}
    return [_scrubbed(inner, scrub) for inner in value] if isinstance(value, list) else value


def _utc(at_ns: int, anchor_ns: int | None) -> str | None:
    """Return a stamp as `2026-11-29T14:17:31.250Z`; None where no calendar holds it."""
    if anchor_ns is None:
        return None
    try:
        moment = datetime.fromtimestamp((at_ns + anchor_ns) // 1_000_000 / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
