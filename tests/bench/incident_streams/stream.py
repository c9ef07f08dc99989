"""The events of a whole run as an engine of ours would write them, made up on a clock of their own.

Rule 1. All chance comes from the seed: the same outline and seed give the same stream, as far as
        evidence on demand lets it (what is suspected is the reader's word).
Rule 2. Events come in the order of their stamps, but for those of an outline whose second engine is
        `late_s`.
Rule 3. Workers work as the engine's: one probe at a time, the next at max(its end, its start + the
        interval ± 10 %), half a second after a failed one, two retries with back-off, cool-downs.
Rule 4. An attempt is drawn whole when it begins. What begins to hang takes what then waits with it;
        any other trouble is felt by the attempts that begin in it.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import accumulate
from math import cos, exp, pi, sqrt, tau
from random import Random
from typing import Any, Final

from probes.engine.report import cohort_of
from probes.events import (
    WRONG_ANSWER,
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Gap,
    Health,
    Held,
    Hello,
    Knob,
    LimitReading,
    OpenPhase,
    Outcome,
    ProbeFinished,
    RetryPlan,
    RouteCounts,
    ServerClaim,
    Shortage,
    StampLadder,
    Tick,
)
from probes.kit.clock import NS_PER_S

from .nature import Nature
from .trouble import NOTHING, Effect, Failure, Outline, Trouble, Turn

START_NS: Final = 1_000 * NS_PER_S
WALL_NS: Final = 1_790_000_000 * NS_PER_S
"""Unix time of the first event."""
NEIGHBOURS: Final = 0.3
"""Correlation of the waits of two answers that follow each other."""
AND_NEWS: Final = sqrt(1 - NEIGHBOURS**2)
NEVER_NS: Final = 1 << 62
MOST_EVIDENCE_S: Final = 20
"""For so long at most a suspected route is probed each second; and then it rests as long."""
EXTRA: Final = -1
"""Number of whoever sends one probe beside the workers."""
SLOT_NS: Final = NS_PER_S // 10
CALM_NS: Final = 60 * NS_PER_S
"""After an answer that asked for less, nothing is sent beside the pace."""
LOST: Final = Failure("protocol_error", "stale_connection", took_s=0.001, reached="sent")
STRAY: Final = Failure("server_error", "internal", 500, message="Internal Server Error")
SILENT: Final = Failure("timeout", "timeout.first_token", reached="sent")
STALLED: Final = Failure("timeout", "timeout.stall", 200, retryable=False)
TRUNCATED: Final = Failure("truncated", "cut", 200, retryable=False)
SCARCE: Final = Failure("throttled", "rate_limit", 429, message="Too many requests")

_START, _AGAIN, _SAY, _FIRST, _FINISH, _TICK, _CHANGE, _TURN = range(8)
_OF_A_LIFE: Final = (_START, _AGAIN, _SAY, _FIRST, _FINISH)
"""What is planned for workers, and ends with them."""


class _Worker:
    __slots__ = ("busy", "is_due", "number", "parked", "start_ns", "warm_until_ns")

    def __init__(self, number: int, start_ns: int) -> None:
        self.number = number
        self.start_ns = start_ns
        self.warm_until_ns = 0
        """How long its connection is kept."""
        self.busy = False
        self.is_due = False
        """Its next probe was due while it was busy with one beside the pace."""
        self.parked = False


class _Probe:
    __slots__ = (
        *("attempts", "evidence", "failure", "first_ns", "last_end_ns", "name", "retries"),
        *("scheduled_ns", "started_ns", "waited_ns", "worker"),
    )

    def __init__(self, name: str, worker: _Worker, at_ns: int, *, evidence: bool) -> None:
        self.name = name
        self.worker = worker
        self.scheduled_ns = at_ns if evidence else worker.start_ns
        self.started_ns = at_ns
        self.attempts = 0
        self.retries = 0
        self.first_ns: int | None = None
        self.last_end_ns = at_ns
        self.waited_ns = 0
        self.failure: Failure | None = None
        self.evidence = evidence


class _Route:
    """A route at work."""

    def __init__(self, nature: Nature, chance: Random) -> None:
        self.nature = nature
        self.name = nature.name
        self.interval = nature.interval
        self.target = nature.workers
        self.max_tokens = nature.max_tokens
        self.cohort = cohort_of(nature.max_tokens, nature.input_tokens)
        self.workers: list[_Worker] = []
        self.open: dict[int, tuple[int, int, int, int, _Probe, int, str]] = {}
        """Open attempts, oldest first: started, sent, headers, first token; probe, number,
        cohort."""
        self.troubles: list[Trouble] = []
        """Those that are on."""
        self.ramps: list[Trouble] = []
        self.effect = NOTHING
        self.hangs: list[tuple[int, int]] = []
        self.freezes: list[tuple[int, int]] = []
        self.paused = False
        self.held_until_ns = 0
        self.told_limits_ns = 0
        self.skipped = 0
        self.last_start_ns = 0
        self.asked_less_ns = -CALM_NS
        self.evidence_left = MOST_EVIDENCE_S
        self.rests = 0
        # Noise.
        self.slow = 1.0
        """What wandering, the day and gusts make of the wait now."""
        self.wander = chance.gauss(0.0, nature.wander_sd)
        self.token_wander = chance.gauss(0.0, nature.token_wander_sd)
        self.phase = chance.random() * tau
        self.gust_until_ns = 0
        self.neighbour = 0.0
        self.restless = bool(
            nature.wander_sd or nature.token_wander_sd or nature.swing or nature.gusts
        )


class Stream:
    """One run; `events` may be read once.

    Whoever reads it sets `suspects` between two events: those routes are probed more often.
    """

    def __init__(self, outline: Outline, seed: int) -> None:
        self.outline = outline
        self.suspects: frozenset[str] = frozenset()
        self.attempts = 0
        """So many have begun."""
        self._chance = Random(seed)
        self._routes = {one.name: _Route(one, self._chance) for one in outline.natures}
        self._heap: list[tuple[int, int, int, Any, Any]] = []
        self._order = 0
        self._probes = 0
        self._lives = 1
        """Counts up whenever what was planned for the workers no longer holds."""
        self._engines = 1
        self._silent_until_ns = 0
        self._lag_s = 0.0
        self._cpu_share = 0.08
        self._short_of: Shortage = ""

    def events(self) -> Iterator[Event]:
        """Yield the durable events, the first `hello` first."""
        late_ns = round(self.outline.late_s * NS_PER_S)
        if not late_ns:
            yield from self._in_order()
            return
        # Every second route is another engine's; each engine writes every 100 ms.
        names = [one.name for one in self.outline.natures]
        waiting: list[tuple[int, int, Event]] = []
        for number, event in enumerate(self._in_order()):
            while waiting and waiting[0][0] <= event.at_ns:
                yield heappop(waiting)[2]
            route = getattr(event, "route", "")
            is_others = bool(route) and names.index(route) % 2 == 1
            slot_ns = -(-event.at_ns // SLOT_NS) * SLOT_NS
            told_ns = slot_ns + late_ns if is_others else slot_ns
            heappush(waiting, (told_ns, number, event))
        while waiting:
            yield heappop(waiting)[2]

    def _in_order(self) -> Iterator[Event]:
        yield self._hello(START_NS)
        for route in self._routes.values():
            self._hire(route, START_NS)
        for trouble in self.outline.troubles:
            self._plan(trouble)
        for turn in self.outline.turns:
            self._push(_ns(turn.at_s), _TURN, (turn,))
        self._push(START_NS + NS_PER_S, _TICK)
        heap, end_ns = self._heap, _ns(self.outline.length_s)
        acts = {
            _START: self._start,
            _AGAIN: self._again,
            _FIRST: self._first,
            _FINISH: self._finish,
            _TICK: self._tick,
            _CHANGE: self._change,
            _TURN: self._turn,
        }
        while heap:
            now_ns, _, act, what, life = heappop(heap)
            if now_ns > end_ns:
                return
            if life != self._lives and act in _OF_A_LIFE:
                continue
            if act == _SAY:
                yield what
            else:
                yield from acts[act](now_ns, *what)

    def _push(self, at_ns: int, act: int, what: Any = ()) -> None:
        self._order += 1
        heappush(self._heap, (at_ns, self._order, act, what, self._lives))

    # ------------------------------------------------------------------ what goes wrong, and when

    def _plan(self, trouble: Trouble) -> None:
        onset_ns, end_ns = _ns(trouble.onset_s), _ns(trouble.end_s)
        flap_ns = round(trouble.flap_s * NS_PER_S) or end_ns - onset_ns
        for on_ns in range(onset_ns, end_ns, 2 * flap_ns):
            off_ns = min(end_ns, on_ns + flap_ns)
            self._push(on_ns, _CHANGE, (trouble, True))
            self._push(off_ns, _CHANGE, (trouble, False))
            if trouble.effect.hangs:
                for name in trouble.routes:
                    self._routes[name].hangs.append((on_ns, off_ns))
                    if trouble.effect.freezes:
                        self._routes[name].freezes.append((on_ns, off_ns))

    def _change(self, _now_ns: int, trouble: Trouble, on: bool) -> tuple[Event, ...]:
        for name in trouble.routes:
            route = self._routes[name]
            (route.troubles.append if on else route.troubles.remove)(trouble)
            route.ramps = [one for one in route.troubles if one.ramp_s]
            route.effect = NOTHING
            for one in route.troubles:
                route.effect = route.effect & one.effect
        now = [one for route in self._routes.values() for one in route.troubles]
        self._lag_s = max((one.effect.lag_s for one in now), default=0.0)
        self._cpu_share = max((one.effect.cpu_share for one in now), default=0.0) or 0.08
        self._short_of = next((one.effect.short_of for one in now if one.effect.short_of), "")
        return ()

    def _grow(self, route: _Route, now_ns: int) -> None:
        """Take ramps a second further."""
        route.effect = NOTHING
        for one in route.troubles:
            effect = one.effect
            if one.ramp_s:
                effect = effect.scaled(min(1.0, (now_ns - _ns(one.onset_s)) / 1e9 / one.ramp_s))
            route.effect = route.effect & effect

    def _turn(self, now_ns: int, turn: Turn) -> Iterator[Event]:
        if turn.what == "die":
            yield from self._break_off(now_ns, "engine_died")
            yield Held(at_ns=now_ns, reason="restarting", detail="the engine ended: exit status 1")
            self._engines += 1
            born_ns = now_ns + 4 * NS_PER_S // 3
            released = Held(at_ns=born_ns, reason="restarting", released=True)
            self._live_again(born_ns, [self._hello(born_ns), released])
            return
        if turn.what == "gap":
            # The process stood still: what was open is cut off as it wakes.
            until_ns = now_ns + round(turn.value * NS_PER_S)
            first: list[Event] = [Gap(at_ns=until_ns, started_ns=now_ns)]
            self._live_again(until_ns, first + list(self._break_off(until_ns, "local_gap")))
            return
        route = self._routes[turn.route]
        if turn.what == "knob":
            yield from self._set_knob(now_ns, route, turn)
            return
        if turn.what == "hold":
            until_ns = route.held_until_ns = now_ns + round(turn.value * NS_PER_S)
            yield Held(at_ns=now_ns, reason="budget", route=route.name)
            let_go = Held(at_ns=until_ns, reason="budget", route=route.name, released=True)
            self._push(until_ns, _SAY, let_go)
            return
        paused = turn.what != "resume"
        was, now = float(not paused), float(paused)
        yield Knob(at_ns=now_ns, route=route.name, knob="paused", before=was, after=now)
        route.paused = paused
        if turn.what == "cancel":
            yield from self._cut_off(route, now_ns, "user")
        for worker in route.workers:
            if turn.what == "cancel" and worker.busy:
                worker.busy, worker.parked, worker.warm_until_ns = False, True, 0
            if worker.parked and not paused:
                worker.parked = False
                self._push(max(now_ns, worker.start_ns), _START, (route, worker))

    def _set_knob(self, now_ns: int, route: _Route, turn: Turn) -> Iterator[Event]:
        before = {
            "concurrency": float(route.target),
            "interval": route.interval,
            "max_tokens": float(route.max_tokens),
        }.get(turn.knob, 0.0)
        yield Knob(at_ns=now_ns, route=route.name, knob=turn.knob, before=before, after=turn.value)
        if turn.knob == "burst":
            for _ in range(round(turn.value)):
                extra = _Worker(EXTRA, now_ns)
                yield from self._probe(now_ns, route, extra, evidence=False)
        elif turn.knob == "concurrency":
            route.target = round(turn.value)
            self._hire(route, now_ns)
        elif turn.knob == "interval":
            route.interval = turn.value
        elif turn.knob == "max_tokens":
            route.max_tokens = round(turn.value)
            route.cohort = cohort_of(route.max_tokens, route.nature.input_tokens)

    def _break_off(self, at_ns: int, reason: str) -> Iterator[Event]:
        """End all that is open, as an engine's host does for one that died."""
        for route in self._routes.values():
            yield from self._cut_off(route, at_ns, reason)
            route.workers.clear()

    def _cut_off(self, route: _Route, at_ns: int, reason: str) -> Iterator[Event]:
        for started_ns, _, _, _, probe, number, cohort in route.open.values():
            same: dict[str, Any] = {
                "at_ns": at_ns,
                "route": route.name,
                "probe": probe.name,
                "outcome": "cancelled",
                "reason": reason,
                "cohort": cohort,
                "flagged": reason if reason == "local_gap" else "",
            }
            ladder = StampLadder(started=started_ns, ended=at_ns)
            yield AttemptFinished(attempt=number, stamps_ns=ladder, **same)
            yield ProbeFinished(
                attempts=number + 1,
                started_ns=probe.started_ns,
                scheduled_ns=probe.scheduled_ns,
                first_token_ns=probe.first_ns,
                **same,
            )
        route.open.clear()

    def _live_again(self, at_ns: int, first: list[Event]) -> None:
        """Let all workers begin anew at a moment; what was to come of the old ones never does."""
        self._lives += 1
        self._silent_until_ns = at_ns
        for event in first:
            self._push(at_ns, _SAY, event)
        for route in self._routes.values():
            route.held_until_ns = 0  # a new engine knows of no cool-down
            self._hire(route, at_ns)

    def _hello(self, at_ns: int) -> Hello:
        return Hello(
            at_ns=at_ns,
            wall_ns=WALL_NS + at_ns - START_NS,
            engine=f"e{self._engines}",
            version="0.1.0",
            routes=tuple(route.nature.info for route in self._routes.values()),
            schema=1,
            pid=4000 + self._engines,
            boot_id="made-up",
            clock="kernel",
        )

    # ------------------------------------------------------------------ each second

    def _tick(self, now_ns: int) -> Iterator[Event]:
        self._push(now_ns + NS_PER_S, _TICK)
        for route in self._routes.values():
            if route.restless:
                self._drift(route, now_ns)
            if route.ramps:
                self._grow(route, now_ns)
        if now_ns < self._silent_until_ns:
            return
        lag_ns, random = self._lag_s * 1e9, self._chance.random
        if self.outline.busy and random() < self.outline.busy:
            lag_ns += 60e6  # somebody else's work on this machine, to nobody's harm
        health = Health(
            loop_lag_p50_ns=int(60_000 + 0.4 * lag_ns * random()),
            loop_lag_p99_ns=int(300_000 * (1 + random()) + lag_ns * (0.7 + 0.6 * random())),
            loop_lag_max_ns=int(900_000 * (1 + random()) + lag_ns * (1.3 + random())),
            cpu_share=self._cpu_share * (0.9 + 0.2 * random()),
            short_of=self._short_of,
            open_streams=sum(len(route.open) for route in self._routes.values()),
            clock="kernel",
        )
        counts = tuple(self._counts(route, now_ns) for route in self._routes.values())
        wall_ns = WALL_NS + now_ns - START_NS
        yield Tick(at_ns=now_ns, wall_ns=wall_ns, health=health, routes=counts)
        for name in sorted(self.suspects):
            if name in self._routes:
                yield from self._look_closer(self._routes[name], now_ns)
        for route in self._routes.values():
            if route.name not in self.suspects:
                route.evidence_left, route.rests = MOST_EVIDENCE_S, 0

    def _counts(self, route: _Route, now_ns: int) -> RouteCounts:
        if not route.open:
            return RouteCounts(route=route.name, in_flight=0, target=route.target)
        started_ns, sent_ns, headers_ns, first_ns, *_ = next(iter(route.open.values()))
        phase: OpenPhase | None = None
        if self.outline.tells_phase:
            phase = (
                "connecting"
                if now_ns < sent_ns
                else "sent"
                if now_ns < headers_ns
                else "headers"
                if now_ns < first_ns
                else "streaming"
            )
        return RouteCounts(
            route=route.name,
            in_flight=len(route.open),
            target=route.target,
            skipped=route.skipped,
            oldest_open_ns=now_ns - started_ns if self.outline.tells_phase else None,
            oldest_phase=phase,
        )

    def _drift(self, route: _Route, now_ns: int) -> None:
        nature, chance = route.nature, self._chance
        keep = exp(-1 / nature.wander_s)
        news = sqrt(1 - keep * keep)
        if nature.wander_sd:
            route.wander = keep * route.wander + news * chance.gauss(0.0, nature.wander_sd)
        if nature.token_wander_sd:
            step = chance.gauss(0.0, nature.token_wander_sd)
            route.token_wander = keep * route.token_wander + news * step
        day = nature.swing * cos(2 * pi * now_ns / (86_400 * NS_PER_S) + route.phase)
        route.slow = exp(route.wander) * (1 + day)
        if nature.gusts:
            if chance.random() < 1 / 600:
                route.gust_until_ns = now_ns + round(chance.uniform(3.0, 6.0) * NS_PER_S)
            if now_ns < route.gust_until_ns:
                route.slow *= 2.5

    def _look_closer(self, route: _Route, now_ns: int) -> Iterator[Event]:
        """Send a probe beside the pace, where the route is probed less than once a second."""
        if not route.nature.evidence or route.paused or now_ns < route.held_until_ns:
            return
        if now_ns - route.asked_less_ns < CALM_NS:
            return
        if route.evidence_left <= 0:
            route.rests += 1
            if route.rests < MOST_EVIDENCE_S:
                return
            route.evidence_left, route.rests = MOST_EVIDENCE_S, 0
        if now_ns - route.last_start_ns < 0.95 * NS_PER_S:
            return
        resting = [one for one in route.workers if not one.busy]
        if resting:
            worker = max(resting, key=lambda one: one.start_ns)
        elif route.target == 1 and len(route.open) == 1:
            worker = _Worker(EXTRA, now_ns)  # hangs the server, or that connection?
        else:
            return
        route.evidence_left -= 1
        yield from self._probe(now_ns, route, worker, evidence=True)

    # ------------------------------------------------------------------ workers and probes

    def _hire(self, route: _Route, now_ns: int) -> None:
        route.workers = [one for one in route.workers if one.number < route.target]
        share_s = max(route.interval / max(1, route.target), 0.05)
        fresh = 0
        while len(route.workers) < route.target:
            start_ns = now_ns + round(fresh * share_s * NS_PER_S)
            worker = _Worker(len(route.workers), start_ns)
            route.workers.append(worker)
            fresh += 1
            self._push(start_ns, _START, (route, worker))

    def _start(self, now_ns: int, route: _Route, worker: _Worker) -> Iterator[Event]:
        if worker.number >= route.target or worker.number >= len(route.workers):
            return
        if route.workers[worker.number] is not worker:
            return
        if worker.busy:
            worker.is_due = True
        elif route.paused:
            worker.parked = True
        elif now_ns < route.held_until_ns:
            later_ns = route.held_until_ns + round(0.1 * NS_PER_S * self._chance.random()) + 1
            self._push(later_ns, _START, (route, worker))
        else:
            yield from self._probe(now_ns, route, worker, evidence=False)

    def _probe(
        self, now_ns: int, route: _Route, worker: _Worker, *, evidence: bool
    ) -> Iterator[Event]:
        self._probes += 1
        worker.busy = True
        probe = _Probe(f"e{self._engines}-{self._probes}", worker, now_ns, evidence=evidence)
        yield from self._attempt(now_ns, route, probe)

    def _again(self, now_ns: int, route: _Route, probe: _Probe) -> Iterator[Event]:
        if not probe.worker.busy:
            return  # it was cancelled
        if now_ns < route.held_until_ns:
            self._push(route.held_until_ns + 1, _AGAIN, (route, probe))
            return
        probe.waited_ns += now_ns - probe.last_end_ns
        yield from self._attempt(now_ns, route, probe)

    def _first(self, _now_ns: int, route: _Route, key: int, event: FirstToken) -> tuple[Event, ...]:
        return (event,) if key in route.open else ()

    def _settle(self, now_ns: int, route: _Route, event: AttemptFinished) -> Iterator[Event]:
        """Take what an answer says of limits and cool-downs, and say so."""
        if event.limits and now_ns - route.told_limits_ns >= NS_PER_S:
            route.told_limits_ns = now_ns
            yield LimitReading(at_ns=now_ns, route=route.name, limits=event.limits)
        if event.outcome == "throttled" or event.reason in ("overloaded", "quota"):
            route.asked_less_ns = now_ns
        if event.outcome == "throttled" and event.retry_after_s:
            until_ns = now_ns + round(event.retry_after_s * NS_PER_S)
            if until_ns > route.held_until_ns:
                route.held_until_ns = until_ns
                yield Held(
                    at_ns=now_ns,
                    reason="cool_down",
                    route=route.name,
                    until_ns=until_ns,
                    asked_s=event.retry_after_s,
                )
                let_go = Held(at_ns=until_ns, reason="cool_down", route=route.name, released=True)
                self._push(until_ns, _SAY, let_go)

    def _finish(
        self, now_ns: int, route: _Route, probe: _Probe, key: int, event: AttemptFinished
    ) -> Iterator[Event]:
        if route.open.pop(key, None) is None:
            return  # it was cancelled
        yield event
        probe.attempts += 1
        probe.last_end_ns = now_ns
        worker = probe.worker
        yield from self._settle(now_ns, route, event)
        if event.retry is not None:
            wait_ns = round(event.retry.wait_s * NS_PER_S)
            self._push(now_ns + wait_ns, _AGAIN, (route, probe))
            return
        ladder = event.stamps_ns
        ok = event.outcome == "ok"
        yield ProbeFinished(
            at_ns=now_ns,
            route=route.name,
            probe=probe.name,
            outcome=event.outcome,
            reason=event.reason,
            attempts=probe.attempts,
            started_ns=probe.started_ns,
            scheduled_ns=probe.scheduled_ns,
            first_token_ns=probe.first_ns,
            first_answer_ns=ladder.first_answer,
            done_ns=ladder.done if ok else None,
            retry_wait_ns=probe.waited_ns,
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
            cohort=event.cohort,
            evidence=probe.evidence,
        )
        worker.busy = False
        if worker.number == EXTRA:
            return
        if probe.evidence:
            if worker.is_due:
                worker.is_due = False
                worker.start_ns = now_ns if ok else now_ns + NS_PER_S // 2
                self._push(worker.start_ns, _START, (route, worker))
            return
        interval_ns = route.interval * NS_PER_S
        if interval_ns:
            over = (now_ns - probe.started_ns) / interval_ns
            route.skipped += max(0, round(over) - 1)
        paced_ns = probe.started_ns + round(interval_ns * (0.9 + 0.2 * self._chance.random()))
        worker.start_ns = max(now_ns if ok else now_ns + NS_PER_S // 2, paced_ns)
        self._push(worker.start_ns, _START, (route, worker))

    # ------------------------------------------------------------------ one attempt, drawn whole

    def _attempt(self, now_ns: int, route: _Route, probe: _Probe) -> Iterator[Event]:
        self.attempts += 1
        nature = route.nature
        idle_since_ns, route.last_start_ns = route.last_start_ns or now_ns, now_ns
        reserved = nature.input_tokens + route.max_tokens
        yield AttemptStarted(
            at_ns=now_ns,
            route=route.name,
            probe=probe.name,
            attempt=probe.attempts,
            scheduled_ns=probe.scheduled_ns,
            admitted_ns=now_ns,
            cohort=route.cohort,
            reserved_tokens=reserved,
            evidence=probe.evidence,
        )
        draft = _Draft(now_ns, route, probe)
        draft.idle_since_ns = idle_since_ns
        self._order += 1
        draft.key = self._order
        draft.told["reserved_tokens"] = reserved
        failure = self._failure(route, probe)
        self._connect(draft, failure)
        if failure is not None:
            self._fail(draft, failure)
            return
        first, hangs = self._first_token(draft)
        timeout_ns = now_ns + int(nature.first_token_timeout_s * 1e9)
        early = draft.sent + int(draft.rtt_s * 1.1e9)
        is_early = route.effect.hangs_late if hangs else nature.headers_early
        headers = draft.headers = min(first, early) if is_early else first
        if first > timeout_ns:
            if headers < timeout_ns:
                draft.ladder["headers"] = headers
                draft.told["status"] = 200
            self._end_badly(draft, SILENT, timeout_ns)
            return
        self._answer(draft, first)

    def _connect(self, draft: "_Draft", failure: Failure | None) -> None:
        """Find the connection kept or make it anew, send the request, and measure the path."""
        route, now_ns = draft.route, draft.now_ns
        nature, effect, random = route.nature, route.effect, self._chance.random
        ladder, told = draft.ladder, draft.told
        cold = now_ns >= draft.probe.worker.warm_until_ns
        if effect.cold and random() < effect.cold:
            cold = True
        if failure is not None and failure.reached in ("start", "dns", "tcp"):
            cold = True
        base_s = nature.rtt_s * effect.rtt
        rtt_s = base_s * exp(nature.rtt_sigma * self._chance.gauss(0.0, 1.0))
        if nature.rtt_spikes and random() < nature.rtt_spikes:
            rtt_s *= 3.0
        draft.rtt_s = rtt_s
        at_s = draft.lag_s = effect.lag_s * random()
        if cold:
            at_s += (0.002 + 0.002 * random()) if nature.is_tls else 0.0001
            ladder["dns"] = now_ns + int(at_s * 1e9)
            at_s += rtt_s
            ladder["tcp"] = now_ns + int(at_s * 1e9)
            if nature.is_tls:
                at_s += base_s * (1 + 0.2 * random()) + 0.004
                ladder["tls"] = now_ns + int(at_s * 1e9)
            told["cold"] = True
        at_s += 0.0002
        ladder["sent"] = draft.sent = now_ns + int(at_s * 1e9)
        draft.at_s = at_s
        self._lose(draft)
        if nature.tells_rtt:
            self._tell_path(draft, base_s)

    def _lose(self, draft: "_Draft") -> None:
        """Draw whether a segment is lost, on its way there or back."""
        random, route = self._chance.random, draft.route
        loss = max(route.effect.loss, route.nature.loss)
        if loss and random() < loss:
            if random() < 0.5:
                draft.retransmits = 1
                draft.lost_s = 0.2 + draft.rtt_s
            else:
                draft.reordered = 1 + int(4 * random())

    def _tell_path(self, draft: "_Draft", base_s: float) -> None:
        """Say of the path what the kernel does."""
        told, random = draft.told, self._chance.random
        late_acks = draft.route.nature.late_acks
        if "tcp" in draft.ladder:
            told["rtt_ns"] = int(draft.rtt_s * 1e9)
        elif random() < 0.85:  # else several acknowledgements lie between: it cannot be told
            late_s = 0.04 if late_acks and random() < late_acks else 0.0
            told["rtt_ns"] = int((draft.rtt_s + late_s) * 1e9)
        told["rtt_min_ns"] = int(base_s * 0.93e9)
        told["retransmits"] = draft.retransmits
        told["reordered"] = draft.reordered
        told["rtt_to"] = "server"

    def _first_token(self, draft: "_Draft") -> tuple[int, bool]:
        """Draw the wait; return when the first token would come, and whether the server hangs."""
        route, now_ns = draft.route, draft.now_ns
        effect, random = route.effect, self._chance.random
        wait_s = self._wait_s(draft)
        first_s = draft.at_s + draft.rtt_s + draft.lost_s + wait_s + draft.lag_s
        first = now_ns + int(first_s * 1e9)
        for on_ns, off_ns in route.hangs:
            if first > on_ns and now_ns < off_ns:
                return off_ns + int((0.05 + 0.4 * random()) * 1e9), True
        if effect.hang_share and random() < effect.hang_share:
            return NEVER_NS, True
        return first, False

    def _wait_s(self, draft: "_Draft") -> float:
        """Draw how long the server thinks; note what it says of that, and what its cache held."""
        route = draft.route
        nature, effect = route.nature, route.effect
        random, gauss = self._chance.random, self._chance.gauss
        route.neighbour = NEIGHBOURS * route.neighbour + AND_NEWS * gauss(0.0, 1.0)
        wait_s = nature.wait_s * route.slow * effect.wait * exp(nature.sigma * route.neighbour)
        draft.cached = nature.cached_share
        if effect.uncached and random() < effect.uncached:
            wait_s *= effect.uncached_wait
            draft.cached = 0.0
        if nature.second_mode and random() < nature.second_mode:
            wait_s *= 2.0
            draft.cached = 0.0
        if nature.outliers and random() < nature.outliers:
            wait_s *= exp(1.5 + 0.4 * gauss(0.0, 1.0))
        if nature.tail and random() < nature.tail:
            wait_s *= nature.tail_factor ** random()
        wait_s *= 1 + effect.crowd * len(route.open)
        load_s = effect.load_s
        if draft.now_ns - draft.idle_since_ns > nature.idle_after_s * NS_PER_S:
            load_s += nature.idle_load_s
        if load_s:
            load_s *= exp(0.15 * gauss(0.0, 1.0))
            draft.told["server_claims"] = (_load_claim(load_s),)
        return wait_s + load_s

    def _gaps(self, draft: "_Draft", reads: int) -> list[int]:
        """Draw the times between the reads of an answer, in ns."""
        route = draft.route
        nature, effect, random = route.nature, route.effect, self._chance.random
        token_s = nature.token_s * effect.token * exp(route.token_wander)
        token_s *= exp(nature.token_sigma * self._chance.gauss(0.0, 1.0))
        step = token_s * nature.per_read * 1e9
        low, high = 0.8 * step, 0.4 * step + (effect.jitter_s + draft.lag_s) * 1e9
        gaps = [int(low + high * random()) for _ in range(reads - 1)]
        if draft.reordered:
            gaps[int(random() * len(gaps))] += int((draft.rtt_s + 0.1 + 0.2 * random()) * 1e9)
        pause_s = 0.0
        if effect.stall and random() < effect.stall:
            pause_s = effect.stall_s * (0.85 + 0.3 * random())
        elif nature.stalls and random() < nature.stalls:
            pause_s = 1.0 + 2.0 * random()
        if pause_s:
            gaps[int(random() * len(gaps))] += int(pause_s * 1e9)
        return gaps

    def _answer(self, draft: "_Draft", first: int) -> None:
        """Draw an answer whose first token comes at `first`, and its end."""
        route, probe, now_ns = draft.route, draft.probe, draft.now_ns
        nature, effect, chance = route.nature, route.effect, self._chance
        tokens = nature.tokens * effect.output * exp(nature.tokens_sigma * chance.gauss(0.0, 1.0))
        per_read = nature.per_read
        count = max(2 * per_read, min(round(tokens), route.max_tokens))
        reads = -(-count // per_read)
        gaps = self._gaps(draft, reads)
        cut = None
        if effect.stall_out and chance.random() < effect.stall_out:
            cut = STALLED
        elif (share := max(effect.truncate, nature.truncations)) and chance.random() < share:
            cut = TRUNCATED
        if cut is not None:
            gaps = gaps[: int(chance.random() * len(gaps))]
            reads = len(gaps) + 1
        if self._freeze(route, first, gaps):
            cut, reads = STALLED, len(gaps) + 1
        offsets = tuple(accumulate(gaps, initial=first - now_ns))
        last = now_ns + offsets[-1]
        draft.first = first
        if probe.first_ns is None and nature.is_streamed:
            probe.first_ns = first
            event = FirstToken(
                at_ns=first,
                route=route.name,
                probe=probe.name,
                attempt=probe.attempts,
                felt_ns=first - probe.started_ns,
                kind="content",
                cohort=route.cohort,
            )
            self._push(first, _FIRST, (route, draft.key, event))
        ladder, told = draft.ladder, draft.told
        ladder["headers"] = draft.headers
        ladder["first_event"] = ladder["first_token"] = ladder["first_answer"] = first
        ladder["last_token"] = last
        swapped = effect.swapped == 1.0 or chance.random() < effect.swapped
        longest_ns = max(gaps, default=0)
        characters = 4 * per_read * reads
        told |= {
            "status": 200,
            "http_version": "HTTP/1.1",
            "chunks": reads,
            "characters": characters,
            "text_chars": characters,
            "chunk_offsets_ns": offsets,
            "longest_gap_ns": longest_ns,
            "ttft_kind": "content",
            "served_model": (swapped and effect.model) or nature.model,
            "fingerprint": (swapped and effect.fingerprint) or chance.choice(nature.fingerprints),
            "first_chunk_tokens": per_read,
        }
        if longest_ns > NS_PER_S:
            told["stalls"] = sum(gap > NS_PER_S for gap in gaps)
        if not nature.is_streamed:
            self._hold_back(draft, last)
        if cut is not None:
            silent_s = nature.stall_timeout_s if cut is STALLED else 0.002
            self._end_badly(draft, cut, last + int(silent_s * 1e9))
            return
        outcome = self._judge(nature, effect, told)
        end = ladder["done"] = ladder["ended"] = last + 300_000
        probe.worker.warm_until_ns = end + int(nature.keep_alive_s * 1e9)
        given = round(nature.input_tokens * effect.input)
        event = AttemptFinished(
            at_ns=end,
            outcome=outcome,
            stamps_ns=StampLadder(**ladder),
            input_tokens=given,
            output_tokens=count,
            cached_tokens=int(draft.cached * given) if nature.cached_share else None,
            token_source="usage",
            finish_reason="stop" if count < route.max_tokens else "length",
            charged_tokens=given + count,
            **told,
        )
        self._open(draft, event)

    def _judge(self, nature: Nature, effect: Effect, told: dict[str, Any]) -> Outcome:
        """Draw whether a whole answer is what is expected, where anything is."""
        if not nature.expects:
            return "ok"
        share = max(effect.wrong, nature.wrongs)
        told["right"] = not (share and self._chance.random() < share)
        if told["right"]:
            return "ok"
        came = f"The {self._chance.randrange(99)} seas."
        told["reason"] = WRONG_ANSWER.reason
        told["message"] = f'expected "harbour" in it; came "{came}"'
        return WRONG_ANSWER.outcome

    @staticmethod
    def _freeze(route: _Route, first: int, gaps: list[int]) -> bool:
        """Let a server that hangs stop in the middle of an answer; return whether that is its end:
        then the gaps are those before it."""
        for on_ns, off_ns in route.freezes:
            at_ns = first
            for place, gap in enumerate(gaps):
                if at_ns < on_ns <= at_ns + gap:
                    gaps[place] += off_ns - on_ns
                    if gaps[place] > route.nature.stall_timeout_s * NS_PER_S:
                        del gaps[place:]
                        return True
                    break
                at_ns += gap
        return False

    def _hold_back(self, draft: "_Draft", last: int) -> None:
        """Let an answer come whole, at its end."""
        for step in ("first_event", "first_token", "first_answer", "last_token"):
            del draft.ladder[step]
        if not draft.route.nature.headers_early:
            draft.ladder["headers"] = draft.headers = last
        draft.first = NEVER_NS
        for name in (
            "chunk_offsets_ns",
            "longest_gap_ns",
            "stalls",
            "chunks",
            "first_chunk_tokens",
        ):
            draft.told.pop(name, None)
        draft.told["ttft_kind"] = "not_streamed"

    def _failure(self, route: _Route, probe: _Probe) -> Failure | None:
        """Draw whether an attempt fails, and how."""
        effect, nature, random = route.effect, route.nature, self._chance.random
        again = probe.attempts > 0
        if effect.failures and not (effect.recovers and again):
            if probe.failure is not None:
                return probe.failure
            if not (effect.whole_probes and again):
                fate = random()
                for share, failure in effect.failures:
                    if fate < share:
                        probe.failure = failure if effect.whole_probes else None
                        return failure
                    fate -= share
        if nature.stale and probe.worker.warm_until_ns and random() < nature.stale:
            return LOST
        if nature.errors and random() < nature.errors:
            return STRAY
        if nature.throttles and random() < nature.throttles:
            return SCARCE
        return None

    def _fail(self, draft: "_Draft", failure: Failure) -> None:
        """End an attempt that gets no answer, or an error for one."""
        ladder, told, now_ns = draft.ladder, draft.told, draft.now_ns
        took_s = failure.took_s * exp(0.2 * self._chance.gauss(0.0, 1.0))
        if failure.reached in ("answer", "sent"):
            end = now_ns + int((draft.at_s + draft.lost_s + draft.rtt_s + took_s) * 1e9)
            if failure.reached == "answer":
                ladder["headers"] = end - 200_000
                ladder["done"] = end
                told["http_version"] = "HTTP/1.1"
            self._end_badly(draft, failure, end)
            return
        # It came to no connection.
        for step in ("tcp", "tls", "sent"):
            ladder.pop(step, None)
        for name in ("cold", "rtt_ns", "rtt_min_ns", "retransmits", "reordered", "rtt_to"):
            told.pop(name, None)
        at_ns = now_ns + 3_000_000
        if failure.reached == "start":
            ladder.pop("dns", None)
        else:
            ladder["dns"] = at_ns
        if failure.reached == "tcp":
            at_ns += int(draft.rtt_s * 1e9)
            ladder["tcp"] = at_ns
            told["cold"] = True
        end = at_ns + int(took_s * 1e9)
        draft.sent = end
        self._end_badly(draft, failure, end)

    def _end_badly(self, draft: "_Draft", failure: Failure, end: int) -> None:
        probe, told, ladder = draft.probe, draft.told, draft.ladder
        plan = None
        if failure.retryable and probe.retries < draft.route.nature.retries:
            probe.retries += 1
            if failure is LOST:
                wait_s = 0.0
            elif failure.retry_after_s:
                wait_s = failure.retry_after_s
            else:
                doubled_s = min(0.5 * 2.0 ** (probe.retries - 1), 8.0)
                wait_s = doubled_s * (1 - 0.25 * self._chance.random())
            reason = failure.reason or failure.outcome
            plan = RetryPlan(reason=reason, wait_s=wait_s, number=probe.retries)
        is_whole = failure.reached == "answer" and failure.outcome not in ("timeout", "truncated")
        if not is_whole and failure.outcome != "cancelled":
            probe.worker.warm_until_ns = 0  # the connection is of no more use
        told.setdefault("status", failure.status)
        ladder["ended"] = end
        event = AttemptFinished(
            at_ns=end,
            outcome=failure.outcome,
            reason=failure.reason,
            message=failure.message,
            retryable=failure.retryable,
            retry=plan,
            retry_after_s=failure.retry_after_s,
            limits=failure.limits,
            stamps_ns=StampLadder(**ladder),
            **told,
        )
        self._open(draft, event)

    def _open(self, draft: "_Draft", event: AttemptFinished) -> None:
        key, end_ns, route, probe = draft.key, event.at_ns, draft.route, draft.probe
        headers, first = draft.headers or end_ns, draft.first or end_ns
        stamps = (draft.now_ns, draft.sent, headers, first)
        route.open[key] = (*stamps, probe, probe.attempts, event.cohort)
        heappush(self._heap, (end_ns, key, _FINISH, (route, probe, key, event), self._lives))


class _Draft:
    """What is drawn of one attempt, step by step."""

    __slots__ = (
        *("at_s", "cached", "first", "headers", "idle_since_ns", "key", "ladder", "lag_s"),
        *("lost_s", "now_ns", "probe", "reordered", "retransmits", "route", "rtt_s", "sent"),
        "told",
    )

    def __init__(self, now_ns: int, route: _Route, probe: _Probe) -> None:
        self.now_ns = now_ns
        self.route = route
        self.probe = probe
        self.at_s = self.rtt_s = self.lost_s = self.lag_s = self.cached = 0.0
        self.sent = self.headers = self.first = self.idle_since_ns = self.key = 0
        self.reordered = self.retransmits = 0
        self.ladder: dict[str, int] = {
            "scheduled": probe.scheduled_ns,
            "admitted": now_ns,
            "started": now_ns,
        }
        self.told: dict[str, Any] = {
            "route": route.name,
            "probe": probe.name,
            "attempt": probe.attempts,
            "cohort": route.cohort,
            "clock": "kernel",
            "dialect": "chat",
            "evidence": probe.evidence,
        }


def _load_claim(seconds: float) -> ServerClaim:
    return ServerClaim(
        interval="load",
        seconds=seconds,
        source="load_duration",
        raw=round(seconds * 1e9),
        unit="ns",
    )


def _ns(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_S)
