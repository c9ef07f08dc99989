"""The fold takes whatever comes, in any order, and what it tells is always well-formed."""

import copy
import gc
import json
import math
import time
import tracemalloc
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest
from bench.incident_streams import scenarios
from bench.incident_streams.nature import Nature
from bench.incident_streams.stream import Stream
from bench.incident_streams.trouble import Outline
from board_streams import at, hello, route_info
from diagnosis_streams import Yard, attempt, probed, started
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes.diagnosis import Diagnostician
from probes.diagnosis.incidents import Incidents
from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Diagnosis,
    Event,
    FirstToken,
    Gap,
    Health,
    Held,
    Hello,
    Knob,
    Mark,
    Notice,
    Preview,
    ProbeFinished,
    RouteCounts,
    RouteInfo,
    ServerClaim,
    StampLadder,
    Tick,
    Usual,
    decode_event,
    encode_event,
)

ENDS = ("cleared", "settled")


class Listener:
    """Folds a stream and holds every verdict to what may be said at all."""

    def __init__(self, diagnostician: Diagnostician | None = None) -> None:
        self.diagnostician = diagnostician or Diagnostician()
        self.routes: set[str] = set()
        self.now_ns: int | None = None
        self.clock: tuple[str, str] | None = None
        self.open: dict[str, Diagnosis] = {}
        self.ended: set[str] = set()
        self.told: list[Diagnosis] = []

    def fold(self, event: Event) -> tuple[Diagnosis, ...]:
        if isinstance(event, Hello):
            clock = (event.boot_id, event.clock_name)
            if clock != self.clock:
                self.clock, self.now_ns = clock, None
                self.open, self.ended = {}, set()
            self.routes |= {info.name for info in event.routes}
        said = self.diagnostician.fold(event)
        if self.now_ns is None or event.at_ns > self.now_ns:
            self.now_ns = event.at_ns
        for one in said:
            if isinstance(one, Usual):
                self._hear_usual(one)
        told = tuple(one for one in said if isinstance(one, Diagnosis))
        for one in told:
            self._hear(one)
        self.told += told
        hit = [(name, one.cause) for one in self.open.values() for name in one.routes]
        assert len(hit) == len(set(hit)), f"one fault with two ids: {self.open}"
        return told

    def _hear_usual(self, one: Usual) -> None:
        assert one.at_ns == self.now_ns
        assert one.route in self.routes
        figures = (one.ttft_p50_s, one.ttft_p95_s, one.e2e_p50_s, one.e2e_p95_s, one.tokens_per_s)
        assert any(figure is not None for figure in figures)
        assert all(figure is None or 0 <= figure < math.inf for figure in figures)
        assert one.n > 0
        assert decode_event(encode_event(one)) == one

    def _hear(self, one: Diagnosis) -> None:
        assert one.at_ns == self.now_ns
        assert one.since_ns <= one.at_ns
        assert one.routes
        assert list(one.routes) == sorted(set(one.routes))
        assert set(one.routes) <= self.routes
        assert one.id not in self.ended
        assert one.text.strip()
        before = self.open.get(one.id)
        if before is None:
            assert one.state in ("perhaps", "named")
        else:
            assert not (before.state == "named" and one.state == "perhaps")
            assert one.state == "cleared" or one.state != "settled" or before.state == "named"
            changed = (before.state, before.cause, before.routes)
            assert changed != (one.state, one.cause, one.routes)
        for number in numbers(msgspec.to_builtins(one)):
            assert math.isfinite(number)
        assert all(figure.n_now >= 0 and figure.n_usual >= 0 for figure in one.evidence)
        if one.advice is not None and one.advice.route:
            assert one.advice.route in self.routes - set(one.routes)
        line = encode_event(one)
        assert decode_event(line) == one
        json.loads(line)
        assert len(line) < 20_000
        if one.state in ENDS:
            self.open.pop(one.id, None)
            self.ended.add(one.id)
        else:
            self.open[one.id] = one


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for one in value.values() for number in numbers(one)]
    if isinstance(value, list | tuple):
        return [number for one in value for number in numbers(one)]
    return [value] if isinstance(value, int | float) else []


# ------------------------------------------------------------------ whatever comes

HUGE = 10**18
ROUTES = ("alpha", "bravo", "charlie", "nobody")
TEXTS = ("", "x" * 5000, "\x1b[31m\n\x00", "ключ 🔑", "a · b → c", "\ud7ff", '"}{', "$(rm)")
URLS = ("http://one.example/v1", "http://two.example:1", "http://[::1", "", "\x00", "//@:x/")
OUTCOMES = (
    *("ok", "ok", "ok", "throttled", "server_error", "client_error", "timeout"),
    *("protocol_error", "truncated", "content_error", "cancelled"),
)
REASONS = (
    *("", "rate_limit", "rate_limit.tokens", "rate_limit.concurrency", "overloaded", "quota"),
    *("auth", "model_not_found", "connect.dns", "connect.tls.expired", "connect.refused", "empty"),
    *("timeout.first_token", "timeout.stall", "timeout.total", "timeout.connect", "local.ports"),
    *("gateway_timeout", "refusal", "never heard of", "." * 99, "\x1b]0;"),
)
COHORTS = ("64/256", "64/1k", "8/256", "", "/", "a/b/c", "64/>64k")


class Whatever:
    """Events of all kinds with values of all kinds, in an order of their own."""

    def __init__(self, random: Random, *, wild: float = 0.15) -> None:
        self.random = random
        self.wild = wild
        """Share of the values that no engine of ours would write."""
        self.now_ns = at(200)
        self.probes = 0
        self.begun: list[AttemptStarted] = []

    def is_wild(self) -> bool:
        return self.random.random() < self.wild

    def stamp(self) -> int:
        if self.random.random() < 0.02:
            return self.random.choice((0, -1, -HUGE, self.now_ns - 10**12, at(0)))
        if self.is_wild():
            return self.now_ns - self.random.randrange(30_000_000_000)
        self.now_ns += int(self.random.expovariate(4.0) * 1e9)
        return self.now_ns

    def near(self, stamp: int) -> int | None:
        if self.is_wild():
            return self.random.choice((None, None, 0, -5, HUGE, -HUGE, stamp + 10**9))
        return stamp - self.random.randrange(1_000_000_000)

    def count(self, usual: int) -> int | None:
        if self.is_wild():
            return self.random.choice((None, 0, -1, HUGE, 10**30))
        return usual + self.random.randrange(3)

    def figure(self, usual: float) -> float:
        if self.is_wild():
            infinite = (math.nan, math.inf, -math.inf)
            return self.random.choice((0.0, -1.0, 1e300, -1e300, 1e-300, *infinite))
        return usual

    def text(self) -> str:
        return self.random.choice(TEXTS)

    def info(self, name: str) -> RouteInfo:
        random = self.random
        return route_info(
            name,
            base_url=random.choice(URLS),
            concurrency=self.count(1) or 0,
            interval=self.figure(1.0),
            stall_after=self.figure(1.0),
            goal_ttft_s=self.figure(1.0),
            goal_e2e_s=random.choice((None, self.figure(3.0))),
            goal_tokens_per_s=random.choice((None, self.figure(3.0))),
            retries=self.count(2) or 0,
            tags=random.choice(((), ("a",), ("a", "b"), ("b",))),
            paused=random.random() < 0.1,
            streamed=random.random() < 0.8,
            evidence=random.random() < 0.8,
        )

    def hello(self) -> Hello:
        names = self.random.sample(ROUTES, self.random.randrange(4))
        return Hello(
            at_ns=self.stamp(),
            wall_ns=0,
            engine=self.random.choice(("e1", "e2", "x" * 200)),
            version="",
            schema=1,
            routes=tuple(self.info(name) for name in names),
            boot_id=self.random.choice(("", "", "", "", "", "", "other")),
        )

    def started(self) -> AttemptStarted:
        self.probes += 1
        event = AttemptStarted(
            at_ns=self.stamp(),
            route=self.random.choice(ROUTES),
            probe=f"e1-{self.probes}",
            attempt=self.random.choice((0, 0, 0, 1, 2)),
            scheduled_ns=0,
            admitted_ns=0,
            cohort=self.random.choice(COHORTS) if self.is_wild() else "64/256",
            evidence=self.random.random() < 0.05,
        )
        self.begun.append(event)
        return event

    def begun_one(self) -> AttemptStarted:
        if not self.begun or self.random.random() < 0.05:
            return self.started()
        place = self.random.randrange(len(self.begun))
        return self.begun[place] if self.is_wild() else self.begun.pop(place)

    def first_token(self) -> FirstToken:
        one = self.begun_one()
        self.begun.append(one)
        return FirstToken(
            at_ns=self.stamp(),
            route=one.route,
            probe=one.probe,
            attempt=one.attempt,
            felt_ns=self.count(300) or 0,
            kind="content",
        )

    def finished(self) -> AttemptFinished:
        random, one, end = self.random, self.begun_one(), self.stamp()
        outcome: Any = random.choice(OUTCOMES)
        names = ("dns", "tcp", "tls", "sent", "headers", "first_token", "last_token", "done")
        stamps = {name: self.near(end) for name in names if random.random() < 0.7}
        chunks = random.choice((0, 1, 3, 10))
        offsets = [random.randrange(10**10) for _ in range(chunks)]
        if self.is_wild():
            offsets = random.choice(([], [0], [-5, HUGE, 3], [HUGE, 0] * 50, offsets))
        else:
            offsets.sort()
        return AttemptFinished(
            at_ns=end,
            route=one.route,
            probe=one.probe,
            attempt=one.attempt,
            outcome=outcome,
            reason="" if outcome == "ok" else random.choice(REASONS),
            message=self.text() if outcome != "ok" else "",
            status=random.choice((None, 200, 429, 500, -1, HUGE)),
            cold=random.random() < 0.3,
            cohort=one.cohort,
            evidence=one.evidence,
            stamps_ns=StampLadder(
                started=self.near(one.at_ns) if self.is_wild() else one.at_ns, **stamps
            ),
            input_tokens=self.count(20),
            output_tokens=self.count(20),
            cached_tokens=self.count(0),
            hidden_tokens=self.count(0),
            first_chunk_tokens=self.count(1),
            token_source=random.choice(("usage", "usage", "estimate", "none")),
            ttft_kind=random.choice(("content", "content", "buffered", "not_streamed", "none")),
            chunks=self.count(chunks) or 0,
            chunk_offsets_ns=tuple(offsets),
            longest_gap_ns=self.count(random.choice((50_000_000, 5_000_000_000))) or 0,
            rtt_ns=self.count(20_000_000),
            retransmits=self.count(0),
            reordered=self.count(0),
            served_model=random.choice(("m", "m", "other", self.text())),
            fingerprint=random.choice(("", "f", self.text())),
            server_claims=tuple(
                ServerClaim(
                    interval=random.choice(("load", "queue", "total")),
                    seconds=self.figure(random.choice((0.01, 3.0))),
                    source="",
                    raw=0.0,
                    unit="s",
                )
                for _ in range(random.choice((0, 0, 1, 3)))
            ),
            flagged=random.choice(("", "", "", "", "", "local_gap")),
        )

    def probe_finished(self) -> ProbeFinished:
        end = self.stamp()
        return ProbeFinished(
            at_ns=end,
            route=self.random.choice(ROUTES),
            probe="",
            outcome=self.random.choice(OUTCOMES),  # type: ignore[arg-type]
            attempts=self.count(1) or 0,
            started_ns=self.near(end) or 0,
            scheduled_ns=0,
        )

    def knob(self) -> Knob:
        kinds: Any = (
            *("concurrency", "interval", "max_tokens", "paused", "burst", "cool_down", "usual"),
        )
        return Knob(
            at_ns=self.stamp(),
            route=self.random.choice((*ROUTES, "")),
            knob=self.random.choice(kinds),
            before=self.figure(2.0),
            after=self.figure(self.random.choice((0.0, 1.0, 4.0))),
        )

    def held(self) -> Held:
        reasons: Any = ("budget", "reader_stalled", "cool_down", "paused", "restarting")
        return Held(
            at_ns=self.stamp(),
            reason=self.random.choice(reasons),
            route=self.random.choice((*ROUTES, "")),
            released=self.random.random() < 0.7,
        )

    def gap(self) -> Gap:
        end = self.stamp()
        return Gap(at_ns=end, started_ns=self.near(end) or 0)

    def tick(self) -> Tick:
        phases: Any = (None, "connecting", "sent", "headers", "streaming")
        counts = tuple(
            RouteCounts(route=name, in_flight=0, target=1, oldest_phase=self.random.choice(phases))
            for name in self.random.sample(ROUTES, 3)
        )
        lag_ns = self.count(self.random.choice((300_000, 50_000_000))) or 0
        health = Health(loop_lag_p99_ns=lag_ns)
        return Tick(at_ns=self.stamp(), wall_ns=0, health=health, routes=counts)

    def event(self) -> Event:
        often = (self.started, self.first_token, self.finished, self.finished, self.tick)
        seldom = (self.hello, self.knob, self.held, self.gap, self.probe_finished)
        return self.random.choice(seldom if self.random.random() < 0.1 else often)()


def well_yard() -> Yard:
    """Return three routes of which it is known what is usual."""
    yard = Yard(probed(), probed("bravo"), probed("charlie", streamed=False))
    yard.seconds(100, {"alpha": {"rtt_ns": 20_000_000, "retransmits": 0, "reordered": 0}})
    assert yard.told == []
    return yard


KNOWN = well_yard()


def listening() -> Listener:
    listener = Listener(copy.deepcopy(KNOWN.diagnostician))
    listener.routes = {"alpha", "bravo", "charlie"}
    listener.clock = ("", "CLOCK_MONOTONIC")
    listener.now_ns = at(KNOWN.now_s)
    return listener


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from((0.0, 0.05, 0.4)))
@example(602, 0.4)  # a knob that stood at minus infinity is put back to a setting
def test_whatever_comes_is_folded_and_what_is_told_is_well_formed(seed: int, wild: float) -> None:
    listener, whatever = listening(), Whatever(Random(seed), wild=wild)
    for _ in range(400):
        listener.fold(whatever.event())


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_events_in_any_order_are_folded_and_what_is_told_is_well_formed(seed: int) -> None:
    random = Random(seed)
    whatever = Whatever(random, wild=0.02)
    events = [whatever.event() for _ in range(300)]
    random.shuffle(events)
    listener = listening()
    for event in events:
        listener.fold(event)


SPELLS: tuple[dict[str, Any] | None, ...] = (
    *({}, {}, {}, None),
    *({"wait_s": 0.9}, {"wait_s": 0.6}, {"wait_s": 3.0}, {"token_s": 0.04}),
    {"wait_s": 0.9, "token_s": 0.03},
    {"rtt_ns": 90_000_000, "wait_s": 0.5},
    *({"retransmits": 1}, {"connect_s": 0.5}, {"connect_s": 0.02}, {"cached_tokens": 0}),
    *({"input_tokens": 200}, {"output_tokens": 90}, {"served_model": "n"}),
    {"gaps_s": [0.02] * 4 + [0.8] + [0.02] * 4},
    {"cohort": "64/1k"},
    *({"outcome": "server_error", "reason": "internal"}, {"outcome": "truncated", "reason": "cut"}),
    *(
        {"outcome": "client_error", "reason": "auth"},
        {"outcome": "server_error", "reason": "overloaded"},
    ),
    *(
        {"outcome": "throttled", "reason": "rate_limit"},
        {"outcome": "throttled", "reason": "rate_limit.tokens"},
    ),
    {"outcome": "timeout", "reason": "timeout.stall"},
    {"outcome": "timeout", "reason": "timeout.connect"},
    {"outcome": "protocol_error", "reason": "connect.dns"},
)
KNOBS: tuple[Any, ...] = ("concurrency", "interval", "max_tokens", "paused", "usual")


def spells(seed: int, listener: Listener, length_s: int) -> None:
    """Let four routes of three hosts be well and ill in turns, alone and together."""
    random = Random(seed)
    infos = [
        probed(name, base_url=f"http://{host}/v1", tags=tags)
        for name, host, tags in (
            *(("alpha", "a.one.net", ("x",)), ("bravo", "a.one.net", ("x",))),
            *(("charlie", "b.one.net", ()), ("delta", "c.two.net", ("x",))),
        )
    ]
    usual = {"rtt_ns": 20_000_000, "retransmits": 0, "cached_tokens": 10, "served_model": "m"}
    yard = Yard(*infos, diagnostician=listener)
    does: dict[str, Any] = {info.name: usual for info in infos}
    yard.seconds(90, does)
    lag_ns = 300_000
    while yard.now_s < length_s:
        spell = random.choice(SPELLS)
        for name in random.sample(list(does), random.choice((1, 1, 2, 4))):
            does[name] = None if spell is None else usual | spell
        if random.random() < 0.1:
            knob, route = random.choice(KNOBS), random.choice(list(does))
            yard.turn(knob, random.choice((0, 1, 4)), random.choice((0, 1, 4)), route=route)
        if random.random() < 0.1:
            yard.open(random.choice(list(does)))
        lag_ns = random.choice((300_000, 300_000, 300_000, 200_000_000))
        for _ in range(random.choice((1, 3, 10, 30))):
            some = {
                name: usual if one is not None and random.random() < 0.3 else one
                for name, one in does.items()
            }
            yard.second(some if random.random() < 0.5 else does, lag_ns=lag_ns)


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_whichever_routes_fall_ill_what_is_told_is_well_formed(seed: int) -> None:
    listener = Listener()
    spells(seed, listener, 600)
    assert listener.told


def test_many_chunks_and_long_words_cost_no_more_than_their_length() -> None:
    yard, took = well_yard(), []
    for count in (20_000, 100_000):
        one = attempt(
            yard.now_s,
            gaps_s=[2.0, *([0.0001] * count)],
            served_model="m" * count,
            fingerprint="f" * count,
        )
        whole = [one, *(attempt(yard.now_s, outcome="server_error", message="x" * count),) * 5]
        begin = time.process_time()
        for event in whole:
            yard.fold(event)
        took.append(time.process_time() - begin)
    assert took[1] < 25 * took[0] + 0.05  # by its square it would be twenty-five times as long
    assert all(len(one.text) < 2_000 for one in yard.told)


# ------------------------------------------------------------------ the same events, told again


def verdicts(events: Iterable[Event]) -> list[bytes]:
    diagnostician = Diagnostician()
    return [encode_event(one) for event in events for one in diagnostician.fold(event)]


def transient(at_ns: int) -> tuple[Event, ...]:
    health = Health(loop_lag_p99_ns=900_000_000)
    return (
        Batch(at_ns=at_ns + 5_000_000_000, seq=1, health=health),
        Arrivals(
            at_ns=at_ns + 5_000_000_000,
            route="alpha",
            arrivals=(Arrival("p", 0, 3, 9, at_ns),),
        ),
        Preview(at_ns=at_ns, route="alpha", probe="p", attempt=0, text="…"),
    )


@pytest.mark.parametrize(
    "name", ["no_answer.hang", "provider_errors.20", "host.queueing_x3", "local_observer.300ms"]
)
def test_the_same_durable_events_tell_the_same(name: str) -> None:
    outline = scenarios.run_of(name, 3)
    told, with_own, with_transient, recorded = [], [], [], []
    fold = Diagnostician().fold
    for event in Stream(outline, 3).events():
        said = fold(event)
        told += [encode_event(one) for one in said]
        with_own += [event, *said]
        with_transient += [*transient(event.at_ns), event]
        recorded.append(encode_event(event))
    assert any(b'"named"' in one for one in told)
    assert verdicts(with_own) == told
    assert verdicts(with_transient) == told
    assert verdicts(decode_event(line) for line in recorded) == told


def test_what_is_passed_over_neither_decides_nor_dates() -> None:
    yard = well_yard()
    late = at(yard.now_s + 1000)
    notice = Notice(at_ns=late, route="alpha", text="")
    diagnosis = yard_diagnosis(late)
    for event in (*transient(late), notice, Mark(at_ns=late, text=""), diagnosis):
        assert yard.fold(event) == []
    yard.seconds(4, {"alpha": {"outcome": "client_error", "reason": "auth"}})
    assert yard.causes == ["auth_failure"]
    assert yard.told[-1].at_ns < at(110)


def yard_diagnosis(at_ns: int) -> Diagnosis:
    return Diagnosis(
        at_ns=at_ns,
        id="e1-1",
        state="named",
        cause="outage",
        routes=("alpha",),
        since_ns=at_ns,
    )


# ------------------------------------------------------------------ when it is judged


def test_what_speaks_for_itself_is_told_with_the_event_that_decided() -> None:
    yard = well_yard()
    refused = {"outcome": "client_error", "reason": "auth", "takes_s": 0.25}
    yard.seconds(2, {"alpha": refused})
    assert yard.told == []
    third = attempt(yard.now_s, probe="p3", **refused)  # type: ignore[arg-type]
    (told,) = yard.fold(started(third), third)
    assert (told.at_ns, told.cause, told.state) == (third.at_ns, "auth_failure", "named")
    assert told.since_ns == at(yard.now_s - 2)


def test_the_rest_is_told_with_the_first_event_of_the_next_second() -> None:
    yard = well_yard()
    slow = {"alpha": {"wait_s": 0.9, "token_s": 0.001}}
    told = [one for _ in range(40) for one in yard.second(slow)]
    assert told
    assert all(one.at_ns % 1_000_000_000 < 400_000_000 for one in told)


def test_a_cause_that_changes_between_two_seconds_is_told_with_the_attempt_that_decided() -> None:
    yard = well_yard()
    yard.seconds(12, {"alpha": {"outcome": "server_error", "reason": "internal"}})
    assert yard.causes == ["outage"]
    begin_s = yard.now_s
    yard.seconds(6, {"alpha": {"outcome": "client_error", "reason": "auth", "takes_s": 0.3}})
    # The third in a row says so, and two seconds later that has held.
    assert (yard.told[-1].cause, yard.told[-1].at_ns) == ("auth_failure", at(begin_s + 4.3))


def test_what_is_held_of_one_route_or_of_all_is_not_known_to_be_well() -> None:
    for route in ("bravo", ""):
        yard = well_yard()
        yard.fold(Held(at_ns=at(yard.now_s), reason="budget", route=route))
        probed_now = {
            name for name, watch in yard.diagnostician._watches.items() if watch.is_probed
        }
        assert probed_now == ({"alpha", "charlie"} if route else set())


def test_another_clock_begins_anew_and_the_same_goes_on() -> None:
    yard = well_yard()
    refused = {"alpha": {"outcome": "client_error", "reason": "auth"}}
    yard.seconds(4, refused)
    assert yard.causes == ["auth_failure"]
    again = Hello(
        at_ns=at(yard.now_s), wall_ns=0, engine="e2", version="", schema=1, routes=yard.infos
    )
    assert yard.fold(again) == []
    yard.seconds(6)
    assert [one.state for one in yard.told] == ["named", "cleared"]
    yard.seconds(4, refused)
    assert yard.told[-1].id == "e1-2"
    yard.fold(msgspec.structs.replace(again, boot_id="other"))
    yard.seconds(4, refused)
    assert yard.told[-1].id == "e2-1"


def test_what_was_open_when_the_engine_died_does_not_hang() -> None:
    yard = well_yard()
    yard.open()
    yard.fold(
        Hello(at_ns=at(yard.now_s), wall_ns=0, engine="e2", version="", schema=1, routes=yard.infos)
    )
    yard.seconds(60, {"alpha": None})
    assert yard.told == []


def test_a_route_that_a_new_engine_does_not_have_is_judged_no_more() -> None:
    yard = well_yard()
    yard.seconds(4, {"alpha": {"outcome": "client_error", "reason": "auth"}})
    assert yard.causes == ["auth_failure"]
    others = [info for info in yard.infos if info.name != "alpha"]
    yard.fold(
        Hello(
            at_ns=at(yard.now_s), wall_ns=0, engine="e2", version="", schema=1, routes=tuple(others)
        )
    )
    yard.seconds(2, {"alpha": {"outcome": "client_error", "reason": "auth"}})
    assert [one.state for one in yard.told] == ["named", "cleared"]
    for number in range(300):
        name = f"r{number}"
        yard.fold(
            Hello(
                at_ns=at(yard.now_s),
                wall_ns=0,
                engine="e2",
                version="",
                schema=1,
                routes=(probed(name),),
            )
        )
    assert len(yard.diagnostician._watches) == len(yard.diagnostician._routes) == 1


# ------------------------------------------------------------------ evidence on demand


@pytest.mark.parametrize(
    ("reason", "outcome", "wanted"),
    [
        ("internal", "server_error", True),
        ("rate_limit", "throttled", False),
        ("overloaded", "server_error", False),
        ("quota", "client_error", False),
        ("auth", "client_error", False),
    ],
)
def test_more_probes_are_wanted_of_what_fails_but_never_of_what_we_overload(
    reason: str, outcome: str, wanted: bool
) -> None:
    yard = Yard(probed(interval=5.0))
    for _ in range(40):
        yard.second()
        yard.seconds(4, {"alpha": None})
    assert yard.diagnostician.suspects == frozenset()
    for _ in range(5):
        yard.second({"alpha": {"outcome": outcome, "reason": reason}})
    assert (yard.diagnostician.suspects == {"alpha"}) == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [({"interval": 5.0}, True), ({"interval": 5.0, "evidence": False}, False), ({}, False)],
)
def test_more_probes_are_wanted_of_a_slow_pace_where_they_are_allowed(
    changes: dict[str, Any], wanted: bool
) -> None:
    yard = Yard(probed(**changes))
    yard.seconds(100)
    yard.seconds(4, {"alpha": {"outcome": "server_error", "reason": "internal"}})
    assert ("alpha" in yard.diagnostician.suspects) == wanted


def test_a_route_whose_only_worker_hangs_is_told_apart() -> None:
    yard = well_yard()
    yard.open()
    yard.seconds(5, {"alpha": None})
    assert yard.diagnostician.hanging == frozenset()
    yard.seconds(10, {"alpha": None})
    assert yard.diagnostician.hanging == {"alpha"}


# ------------------------------------------------------------------ bounds


def test_what_goes_on_failing_costs_no_look_at_all_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"r{number}" for number in range(12)]
    yard = Yard(*map(probed, names))
    yard.seconds(40)
    does = {key: {"outcome": "server_error", "reason": "internal"} for key in names}
    yard.seconds(20, does)
    looks = []
    update = Incidents.update

    def counting(self: Incidents, *given: Any) -> list[Diagnosis]:
        looks.append(given)
        return update(self, *given)

    monkeypatch.setattr(Incidents, "update", counting)
    yard.seconds(20, does)
    assert len(looks) == 20  # one a second, though 240 attempts failed


@pytest.mark.parametrize("length_s", [600, pytest.param(3 * 3600, marks=pytest.mark.long)])
def test_a_route_takes_64_kb_a_band_whatever_comes_and_little_for_what_is_open(
    length_s: int,
) -> None:
    """Eight attempts a second, in two bands; then more requests than are kept, which never end."""
    diagnostician = Diagnostician()
    fold = diagnostician.fold
    fold(hello(route_info(concurrency=8, interval=1.0)))
    kinds = [
        attempt(0.0, cohort=cohort, wait_s=wait_s, gaps_s=(0.02, 0.02), **changes)
        for cohort in ("64/256", "64/1k")
        for wait_s, changes in (
            (0.30, {"connect_s": 0.05, "cached_tokens": 0}),
            (0.32, {"rtt_ns": 20_000_000, "retransmits": 0, "reordered": 0, "served_model": "m"}),
            (0.31, {"outcome": "server_error", "message": "why not? " * 50, "status": 500}),
            (0.33, {"outcome": "throttled", "reason": "rate_limit", "message": "wait " * 90}),
        )
    ]
    tracemalloc.start()
    try:
        for number in range(8 * length_s):
            third = 3 * number // (8 * length_s)
            # First all is well, then much goes wrong, then it does so in two bands at once.
            kind = kinds[(number % 2, number % 4, number % 8)[third]]
            shift = number * 125_000_000
            began_ns = at(0) + shift
            one = msgspec.structs.replace(
                kind,
                at_ns=kind.at_ns + shift,
                probe=f"e1-{number}",
                stamps_ns=StampLadder(
                    **{
                        name: stamp + shift
                        for name, stamp in msgspec.structs.asdict(kind.stamps_ns).items()
                        if stamp is not None
                    }
                ),
            )
            begun = AttemptStarted(
                at_ns=began_ns,
                route="alpha",
                probe=one.probe,
                attempt=0,
                scheduled_ns=began_ns,
                admitted_ns=began_ns,
                cohort=one.cohort,
            )
            fold(begun)
            fold(one)
        gc.collect()  # tuples that the interpreter keeps for the next ones are no part of it
        kept, _ = tracemalloc.get_traced_memory()
        for number in range(5_000):
            fold(msgspec.structs.replace(begun, at_ns=begun.at_ns + number, probe=f"open-{number}"))
        fold(one)
        gc.collect()
        with_open, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * 64 * 1024
    assert with_open - kept < 4096 * 400


def test_a_route_that_scatters_too_much_to_be_judged_is_told() -> None:
    natures = tuple(
        Nature(name=name, host="one.example", sigma=sigma)
        for name, sigma in (("alpha", 0.3), ("bravo", 2.5))
    )
    judge = Diagnostician()
    for event in Stream(Outline(natures=natures, length_s=300.0), 1).events():
        judge.fold(event)
    assert list(judge.restless) == ["bravo"]
    assert judge.restless["bravo"] > 2
