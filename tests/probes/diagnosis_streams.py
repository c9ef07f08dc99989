"""Streams for the tests of the diagnosis: routes that are probed once a second, and what they do.

A `Yard` folds as it goes, on a clock of its own, and keeps all that was told.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from board_streams import at, hello, route_info

from probes.diagnosis import Diagnostician
from probes.events import (
    Alert,
    AttemptFinished,
    AttemptStarted,
    Cause,
    Diagnosis,
    Event,
    FirstToken,
    Health,
    Hello,
    Knob,
    KnobKind,
    PlaceReport,
    PlaceState,
    ProbeFinished,
    RouteCounts,
    RouteInfo,
    StampLadder,
    Tick,
    Usual,
)
from probes.events.placing import SHARED_CLOCK
from probes.run.verdicts import Judge

GOLDEN = 0.618_033_988_749_895
"""Its multiples modulo 1 lie evenly, and in no order: a noise without chance."""


def probed(name: str = "alpha", **changes: Any) -> RouteInfo:
    """Return a route with one worker that begins a probe each second."""
    return route_info(name, **({"concurrency": 1, "interval": 1.0} | changes))


def attempt(
    at_s: float,
    *,
    route: str = "alpha",
    probe: str = "p",
    number: int = 0,
    wait_s: float = 0.3,
    connect_s: float | None = None,
    token_s: float = 0.01,
    gaps_s: Iterable[float] | None = None,
    outcome: Any = "ok",
    reason: str = "",
    takes_s: float = 0.3,
    cohort: str = "64/256",
    **changes: Any,
) -> AttemptFinished:
    """Return an attempt that began at `at_s`.

    One that is `ok` waits, then writes 20 tokens in 10 chunks; else it ends after `takes_s`.
    `connect_s`: of a new connection, its three phases together.
    """
    began = at(at_s)
    sent_s, steps = 0.0, {}
    if connect_s is not None:
        steps = {
            "dns": at(at_s + connect_s / 4),
            "tcp": at(at_s + connect_s / 2),
            "tls": at(at_s + connect_s),
        }
        sent_s = connect_s
    values: dict[str, Any] = {"cold": connect_s is not None}
    if outcome == "ok":
        gaps = [2 * token_s] * 9 if gaps_s is None else list(gaps_s)
        offsets = list(accumulate(gaps, initial=sent_s + wait_s))
        first, last = at(at_s + offsets[0]), at(at_s + offsets[-1])
        end = last
        steps |= {"first_token": first, "last_token": last, "done": end}
        values |= {
            "status": 200,
            "chunks": len(offsets),
            "chunk_offsets_ns": tuple(at(one) - at(0) for one in offsets),
            "longest_gap_ns": at(max(gaps, default=0.0)) - at(0),
            "ttft_kind": "content",
            "input_tokens": 20,
            "output_tokens": 2 * len(offsets),
            "first_chunk_tokens": 2,
            "token_source": "usage",
        }
    else:
        end = at(at_s + takes_s)
    ladder = StampLadder(started=began, sent=at(at_s + sent_s), ended=end, **steps)
    return AttemptFinished(
        at_ns=end,
        route=route,
        probe=probe,
        attempt=number,
        outcome=outcome,
        reason=reason,
        cohort=cohort,
        stamps_ns=ladder,
        **(values | changes),
    )


def started(event: AttemptFinished) -> AttemptStarted:
    """Return the beginning of an attempt."""
    began = event.stamps_ns.started
    assert began is not None
    return AttemptStarted(
        at_ns=began,
        route=event.route,
        probe=event.probe,
        attempt=event.attempt,
        scheduled_ns=began,
        admitted_ns=began,
        cohort=event.cohort,
        evidence=event.evidence,
    )


def life(event: AttemptFinished, attempts: int = 1) -> list[Event]:
    """Return all events of a probe whose last attempt this is, in order."""
    stamps = event.stamps_ns
    assert stamps.started is not None
    said: list[Event] = [started(event)]
    if stamps.first_token is not None:
        said.append(
            FirstToken(
                at_ns=stamps.first_token,
                route=event.route,
                probe=event.probe,
                attempt=event.attempt,
                felt_ns=stamps.first_token - stamps.started,
                kind="content",
                cohort=event.cohort,
            )
        )
    whole = ProbeFinished(
        at_ns=event.at_ns,
        route=event.route,
        probe=event.probe,
        outcome=event.outcome,
        reason=event.reason,
        attempts=attempts,
        started_ns=stamps.started,
        scheduled_ns=stamps.started,
        first_token_ns=stamps.first_token,
        done_ns=stamps.done if event.outcome == "ok" else None,
        cohort=event.cohort,
        evidence=event.evidence,
        flagged=event.flagged,
    )
    return [*said, event, whole]


def standing(told: Iterable[Diagnosis]) -> dict[str, Diagnosis]:
    """Return what is named by now, by id."""
    named: dict[str, Diagnosis] = {}
    for one in told:
        named.pop(one.id, None)
        if one.state == "named":
            named[one.id] = one
    return named


class Prober:
    """Makes the events of routes that are probed once a second, on a clock of its own."""

    def __init__(self, *infos: RouteInfo, place: str = "", engine: str = "e1") -> None:
        self.infos = infos or (probed(),)
        self.place = place
        self.engine = engine
        self.now_s = 0.0
        """Whole seconds since the start; where the next probes begin."""
        self.probes = 0
        """Begun so far; a part of the newest one's name."""

    def hello(self, **changes: Any) -> Hello:
        """Say hello, at its time."""
        shared = {"clock_name": SHARED_CLOCK} if self.place else {}
        about: dict[str, Any] = {"at_s": self.now_s, "place": self.place, "engine": self.engine}
        return hello(*self.infos, **(shared | about | changes))

    def second(
        self,
        does: Mapping[str, Mapping[str, Any] | None] | None = None,
        *,
        lag_ns: int = 300_000,
        phase: Any = None,
    ) -> list[Event]:
        """Let each route send one probe and a second pass; return what is said of that, in order.

        `does`: what the attempts of some routes are like, as for `attempt`; None sends nothing. Of
        the others the wait is 0.3 s and up to a tenth more.
        """
        said: list[Event] = []
        counts: list[RouteCounts] = []
        for place, info in enumerate(self.infos):
            changes = {} if does is None else does.get(info.name, {})
            open_s: int | None = None
            if changes is not None:
                noise = ((self.probes + 1) * GOLDEN) % 1.0
                wait_s = 0.3 * (1 + 0.1 * noise)
                begin_s = self.now_s + 0.01 * place
                made: dict[str, Any] = {"wait_s": wait_s, "probe": self.next_probe()}
                event = attempt(begin_s, route=info.name, **(made | dict(changes)))
                said += life(event) if event.at_ns <= at(self.now_s + 1e6) else [started(event)]
            if phase is not None:
                open_s = 0
            counts.append(
                RouteCounts(
                    route=info.name,
                    in_flight=0,
                    target=1,
                    oldest_open_ns=open_s,
                    oldest_phase=phase,
                )
            )
        said.sort(key=lambda event: event.at_ns)
        self.now_s += 1.0
        tick = Tick(
            at_ns=at(self.now_s),
            wall_ns=at(self.now_s),
            health=Health(loop_lag_p99_ns=lag_ns),
            routes=tuple(counts),
            place=self.place,
        )
        return [*said, tick]

    def next_probe(self) -> str:
        """Return the name of another probe."""
        self.probes += 1
        return f"{self.engine}-{self.probes}"


class Yard:
    """Routes that are probed once a second, and their diagnostician."""

    def __init__(self, *infos: RouteInfo, diagnostician: Any = None) -> None:
        self.prober = Prober(*infos)
        self.infos = self.prober.infos
        self.diagnostician = diagnostician or Diagnostician()
        self.told: list[Diagnosis] = []
        self.usual: list[Usual] = []
        self.events: list[Event] = []
        self.fold(self.prober.hello())

    @property
    def now_s(self) -> float:
        """Whole seconds since the start; where the next probes begin."""
        return self.prober.now_s

    @now_s.setter
    def now_s(self, now_s: float) -> None:
        self.prober.now_s = now_s

    def fold(self, *events: Event) -> list[Diagnosis]:
        """Fold events, and return what was told of them."""
        told: list[Diagnosis] = []
        for event in events:
            self.events.append(event)
            said = self.diagnostician.fold(event)
            told += [one for one in said if isinstance(one, Diagnosis)]
            self.usual += [one for one in said if isinstance(one, Usual)]
        self.told += told
        return told

    def second(
        self, does: Mapping[str, Mapping[str, Any] | None] | None = None, **more: Any
    ) -> list[Diagnosis]:
        """Let each route send one probe and a second pass, as `Prober.second`."""
        return self.fold(*self.prober.second(does, **more))

    def seconds(
        self, count: int, does: Mapping[str, Mapping[str, Any] | None] | None = None, **more: Any
    ) -> list[Diagnosis]:
        """Let so many seconds pass, all alike."""
        return [one for _ in range(count) for one in self.second(does, **more)]

    def turn(self, knob: KnobKind, before: float, after: float, route: str = "alpha") -> None:
        """Turn a knob."""
        self.fold(Knob(at_ns=at(self.now_s), route=route, knob=knob, before=before, after=after))

    def open(self, route: str = "alpha", **changes: Any) -> str:
        """Begin a request that does not end; return its probe."""
        name = self.prober.next_probe()
        self.fold(started(attempt(self.now_s, route=route, probe=name, **changes)))
        return name

    @property
    def named(self) -> dict[str, tuple[Cause, tuple[str, ...]]]:
        """What is named now, by id: cause and routes."""
        return {key: (one.cause, one.routes) for key, one in standing(self.told).items()}

    @property
    def causes(self) -> list[Cause]:
        """The causes that are named now."""
        return [cause for cause, _ in self.named.values()]


class SeveralPlaces:
    """The same routes probed from several places, their events one stream, and who judges it.

    An event of a place comes with the second in which it was made, unless the place is `away`: then
    it is kept, and comes in order with the first second in which it is back.
    """

    def __init__(
        self,
        names: Iterable[str] = ("chat", "code"),
        places: Iterable[str] = ("ap", "eu", "us"),
        *,
        hosts: Mapping[str, str] | None = None,
        fast_s: Mapping[str, float] | None = None,
        **changes: Any,
    ) -> None:
        """`hosts`: of some routes, by name; each of the others has one of its own. `fast_s`: by how
        much the clocks of some places are fast."""
        self.probers = {
            place: Prober(
                *(
                    probed(
                        f"{name}@{place}",
                        place=place,
                        base_url=f"https://{(hosts or {}).get(name, f'{name}.example')}/v1",
                        **changes,
                    )
                    for name in names
                ),
                place=place,
                engine=place,
            )
            for place in places
        }
        self.judge = Judge(Diagnostician())
        self.events: list[Event] = []
        self.told: list[Diagnosis] = []
        self.alerts: list[Alert] = []
        self.now_s = 0.0
        self._away: dict[str, list[Event]] = {}
        for place, prober in self.probers.items():
            prober.now_s = (fast_s or {}).get(place, 0.0)
            self.fold(prober.hello())

    def fold(self, *events: Event) -> list[Diagnosis]:
        """Fold events, and return what was told of them."""
        told: list[Diagnosis] = []
        for event in events:
            self.events.append(event)
            said = self.judge.fold(event)
            told += [one for one in said if isinstance(one, Diagnosis)]
            self.alerts += [one for one in said if isinstance(one, Alert)]
        self.told += told
        return told

    def second(
        self,
        does: Mapping[str, Mapping[str, Any] | None] | None = None,
        *,
        lag_ns: Mapping[str, int] | None = None,
    ) -> list[Diagnosis]:
        """Let a second pass at every place; `does` as for `Prober.second`, by names such as
        `chat@eu`, or by `@eu` for all of a place."""
        said: list[Event] = []
        for place, prober in self.probers.items():
            acts = {
                info.name: acts
                for info in prober.infos
                if (acts := (does or {}).get(info.name, (does or {}).get(f"@{place}", {}))) != {}
            }
            made = prober.second(acts, lag_ns=(lag_ns or {}).get(place, 300_000))
            if place in self._away:
                self._away[place] += made
            else:
                said += made
        self.now_s += 1.0
        return self.fold(*sorted(said, key=lambda event: event.at_ns))

    def seconds(
        self, count: int, does: Mapping[str, Mapping[str, Any] | None] | None = None, **more: Any
    ) -> list[Diagnosis]:
        """Let so many seconds pass, all alike."""
        return [one for _ in range(count) for one in self.second(does, **more)]

    def goes_away(self, place: str) -> None:
        """Let a place be cut off: it probes on, and what it says is kept."""
        self._away[place] = []

    def report(self, place: str, state: PlaceState) -> list[Diagnosis]:
        """Tell whether a place is heard, as whoever reads the streams does."""
        now_ns = at(self.now_s)
        return self.fold(PlaceReport(at_ns=now_ns, place=place, state=state, since_ns=now_ns))

    def comes_back(self, place: str, *, loses: bool = False) -> list[Diagnosis]:
        """Let a place be heard again, with what it kept in order, or without what it lost."""
        kept = self._away.pop(place)
        told = self.report(place, "heard")
        return told if loses else told + self.fold(*kept)

    @property
    def named(self) -> dict[str, tuple[Cause, tuple[str, ...]]]:
        """What is named now, by id: cause and routes."""
        return {key: (one.cause, one.routes) for key, one in standing(self.told).items()}
