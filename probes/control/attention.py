"""What people do about the alerts of a run, and who is told what because of it.

Rule 1: an alert is held back while all its routes are muted, from everybody alike: whoever mutes a
route has seen it, and a pager that goes on undoes that. So is what our own load does to a route,
while a sweep looks for how much it bears.
Rule 2: what still fires when they are muted no more is told then, unless somebody has acknowledged
it meanwhile: a fault that begins in that hour must not be silent for ever.
Rule 3: who was told that an alert fires is told that it is over, muted or not: an end calls nobody,
and a pager that never hears of it stays open. Who was not told of the one is not of the other.
Rule 4: where several runs watch the same, one of them calls (`Duty`): for the others each alert is
held back as if it were muted, and what still fires when it is on them to call is told then, but for
what somebody was told by another of them.
Rule 5: what one of them mutes is muted in all, and what somebody has seen of a route in one was
seen: who calls is mostly not the one whose screen is looked at.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from probes.events import Alert
from probes.kit.clock import NS_PER_S, Clock

MUTED_S: Final = 3600
"""Long enough to mend it, and too short to forget it: it unmutes by itself."""
CALMS_S: Final = 120
"""Our own load is forgotten so long after its end: queues empty, and windows of a minute pass."""
_FIRING_MOST: Final = 1_000
"""Alerts: more than fire at once in any run."""


class SharedAttention(NamedTuple):
    """What several runs know of what people do about their alerts, by Unix ns."""

    muted_ns: Mapping[str, int]
    """Route → until when it calls nobody; in what is to be shared 0: it may call again."""
    seen_ns: Mapping[str, int]
    """Route → when somebody acknowledged an alert of it."""


class Attention:
    """What somebody has seen of a run's alerts, and which of its routes are muted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.acknowledged: frozenset[str] = frozenset()
        """Ids of alerts."""
        self._muted: dict[str, int] = {}
        """Route → until when, by our own clock."""
        self._loaded: dict[str, int] = {}
        """The same, of those that we load ourselves."""
        self._seen_ns: dict[str, int] = {}
        """Route → when somebody acknowledged an alert of it, in any run, Unix ns."""
        self._turned = SharedAttention({}, {})
        """What was done here, since it was asked for to be shared."""

    def acknowledge(self, alert: Alert) -> None:
        """Know that somebody has seen an alert."""
        self.acknowledged |= {alert.id}
        seen_ns = dict.fromkeys(alert.routes, self._clock.wall_ns())
        self._turn({}, seen_ns)

    def mute(self, routes: Iterable[str]) -> None:
        """Let routes call nobody for an hour."""
        names = tuple(routes)
        for_ns = MUTED_S * NS_PER_S
        self._muted.update(dict.fromkeys(names, self._clock.monotonic_ns() + for_ns))
        self._turn(dict.fromkeys(names, self._clock.wall_ns() + for_ns), {})

    def unmute(self, routes: Iterable[str]) -> None:
        """Let them call again."""
        names = tuple(routes)
        for route in names:
            self._muted.pop(route, None)
        self._turn(dict.fromkeys(names, 0), {})

    def load(self, route: str, for_s: float) -> None:
        """Know that we load a route ourselves, for so many seconds at most and `CALMS_S` more: what
        it suffers meanwhile calls nobody. Asked again, the newer time counts: 0 is its end."""
        until_ns = self._clock.monotonic_ns() + round((for_s + CALMS_S) * NS_PER_S)
        self._loaded[route] = until_ns

    def _turn(self, muted_ns: Mapping[str, int], seen_ns: Mapping[str, int]) -> None:
        before = self._turned
        self._turned = SharedAttention(
            {**before.muted_ns, **muted_ns}, {**before.seen_ns, **seen_ns}
        )

    def take_turned(self) -> SharedAttention:
        """Return what was done here since the last time, to be shared with others."""
        turned, self._turned = self._turned, SharedAttention({}, {})
        return turned

    def give_back(self, turned: SharedAttention) -> None:
        """Know that this could not be shared yet."""
        newer, self._turned = self._turned, turned
        self._turn(newer.muted_ns, newer.seen_ns)

    def share(self, shared: SharedAttention) -> None:
        """Take what all runs know by now; what was done here since then counts beside it."""
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        longest_ns = MUTED_S * NS_PER_S
        muted_ns = {**shared.muted_ns, **self._turned.muted_ns}
        self._muted = {
            route: now_ns + min(until_ns - wall_ns, longest_ns)
            for route, until_ns in muted_ns.items()
            if until_ns > wall_ns
        }
        self._seen_ns = {**shared.seen_ns, **self._turned.seen_ns}

    def is_seen(self, alert: Alert, noted_ns: int) -> bool:
        """Return whether somebody has seen an alert that we know of since `noted_ns`, Unix ns."""
        if alert.id in self.acknowledged:
            return True
        return bool(alert.routes) and all(
            self._seen_ns.get(route, -1) >= noted_ns for route in alert.routes
        )

    def now_ns(self) -> int:
        """Return the present as Unix ns."""
        return self._clock.wall_ns()

    def muted_until_ns(self, alert: Alert) -> int | None:
        """Return until when all routes of an alert are muted, as Unix ns; None where one is not."""
        now_ns = self._clock.monotonic_ns()
        until = [
            max(self._muted.get(route, 0), self._loaded.get(route, 0)) for route in alert.routes
        ]
        if not until or min(until) <= now_ns:
            return None
        return min(until) - now_ns + self._clock.wall_ns()


class Duty(Protocol):
    """Whether it is on this run to call people of its alerts."""

    def is_ours(self, alert: Alert) -> bool:
        """Return whether what there is to say of an alert now is for us to say."""
        ...

    def is_told(self, alert: Alert) -> bool:
        """Return whether another run has told people of what this alert is about; from then on it
        goes by the name that it was told under, and its end is not for `AlertCalls` to tell."""
        ...

    def knows(self, alert: Alert) -> bool:
        """Return whether people were told of all that an alert hits, under whatever names."""
        ...


class _Alone:
    """Nobody else watches the same."""

    def is_ours(self, _alert: Alert) -> bool:
        return True

    def is_told(self, _alert: Alert) -> bool:
        return False

    def knows(self, _alert: Alert) -> bool:
        return False


ALONE: Final[Duty] = _Alone()


class AlertCalls:
    """Says what of a run's alerts one who is told them is told, and when; see the rules."""

    def __init__(self, attention: Attention, duty: Duty = ALONE) -> None:
        self._attention = attention
        self._duty = duty
        self._told: dict[str, Alert] = {}
        """By id, those that fire and were told, oldest first."""
        self._held: dict[str, Alert] = {}
        """By id, those that fire and were not."""
        self._noted_ns: dict[str, int] = {}
        """By id, when those began to be, Unix ns."""
        self._not_before_ns: dict[str, int] = {}
        """By id, before when what was told in vain is not told again, Unix ns."""
        self._of_others: dict[str, Alert] = {}
        """By id, those that fire and were told by another run, since `take_over` was asked."""

    def due(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Take the alerts of a batch; return what is to be told now, of them and of those before.
        It is to be called with each batch, for a mute ends by itself."""
        due: list[Alert] = []
        for alert in alerts:
            if alert.state == "firing":
                self._held[alert.id] = alert
                self._noted_ns[alert.id] = self._attention.now_ns()
                self._not_before_ns.pop(alert.id, None)
                self._tell_held(due)
                continue
            self._noted_ns.pop(alert.id, None)
            self._not_before_ns.pop(alert.id, None)
            self._held.pop(alert.id, None)
            if self._told.pop(alert.id, None) is not None and self._duty.is_ours(alert):
                due.append(alert)
        self._tell_held(due)
        return due

    def take_over(self) -> list[Alert]:
        """Return what fires and was told by another run, each once."""
        taken, self._of_others = self._of_others, {}
        return list(taken.values())

    def take_back(self, alert_id: str, for_s: float = 0.0) -> None:
        """Know that what was to be told of an alert that fires has come to nobody: it is due again
        after so many seconds."""
        alert = self._told.pop(alert_id, None)
        if alert is not None:
            self._held[alert_id] = alert
            self._not_before_ns[alert_id] = self._attention.now_ns() + round(for_s * NS_PER_S)

    def _tell_held(self, due: list[Alert]) -> None:
        """Add to what is due all that is held back no more."""
        for alert in tuple(self._held.values()):
            is_late = self._attention.now_ns() < self._not_before_ns.get(alert.id, 0)
            if is_late or not self._duty.is_ours(alert):
                continue
            if self._duty.is_told(alert):
                self._of_others[alert.id] = self._held.pop(alert.id)
                continue
            is_seen = self._attention.is_seen(alert, self._noted_ns.get(alert.id, 0))
            if not is_seen and self._attention.muted_until_ns(alert) is None:
                due.append(self._held.pop(alert.id))
                self._told[alert.id] = alert
        for kept in (self._held, self._told, self._of_others):
            while len(kept) > _FIRING_MOST:
                del kept[next(iter(kept))]
        for noted in (self._noted_ns, self._not_before_ns):
            while len(noted) > 2 * _FIRING_MOST:
                del noted[next(iter(noted))]
