"""Figures that are offered together add up, whatever the stream: ends, retries, deaths, cuts."""

import json
import random
from typing import Any

import pytest
from board_streams import ProbeScript, at, hello, route_info, throttled, tick
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.board import Board
from probes.board.views import RetryView, RouteView
from probes.events import Event, Held, ProbeFinished, RetryPlan
from probes.sources.supervised import OpenWork
from probes.stats.windows import WINDOWS

ROUTES = ("alpha", "beta")
ENDS = ("ok", "ok", "throttled", "server_error", "timeout", "cancelled", "truncated")


class Run:
    """A random run as engines tell it: probes with their attempts, some of several at once."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.events: list[Event] = [hello(*map(route_info, ROUTES))]
        self.now_s = 0.0
        self.number = 0
        self.engine = 1
        self.open: dict[str, tuple[ProbeScript, int, int, bool]] = {}
        """Probe → its script, attempt, retries so far, and whether the attempt is open."""

    def step(self) -> None:
        self.now_s += self.chance.choice((0.05, 0.4, 3.0))
        fate = self.chance.random()
        if fate < 0.35 or not self.open:
            self.begin()
        elif fate < 0.97:
            self.go_on(self.chance.choice(sorted(self.open)))
        elif fate < 0.985:
            self.die()
        else:
            held = Held(at_ns=at(self.now_s), reason="budget", route="alpha")
            self.events += [held, replace(held, released=True), tick(self.now_s)]

    def begin(self) -> None:
        self.number += 1
        name = f"{self.engine}-{self.number}"
        script = ProbeScript(name, self.now_s, route=self.chance.choice(ROUTES))
        self.open[name] = (script, 0, 0, True)
        self.events.append(script.started())

    def go_on(self, name: str) -> None:
        script, attempt, retries, is_open = self.open[name]
        if not is_open:
            self.wake(name)
            return
        outcome: Any = self.chance.choice(ENDS)
        retry = None
        may = outcome in ("throttled", "server_error", "timeout") and retries < 2
        if may and self.chance.random() < 0.8:
            retry = RetryPlan(reason=outcome, wait_s=0.5, number=retries + 1)
        again = outcome == "truncated" and attempt == 0  # as of a request that was adapted
        script = replace(
            script,
            outcome=outcome,
            reason="" if outcome == "ok" else outcome,
            e2e_s=self.now_s - script.start_s,
            ttft_s=self.now_s - script.start_s if outcome == "ok" else None,
            finished={"retry": retry},
        )
        told = script.attempt_finished(attempt)
        self.events += [told] * self.chance.choice((1, 1, 1, 2))
        self.open[name] = (script, attempt, retries + (retry is not None), False)
        if again:
            self.wake(name)
        elif retry is None:
            self.events.append(script.probe_finished(attempt + 1))
            del self.open[name]

    def wake(self, name: str) -> None:
        """End a wait: by the next attempt, or because the user cancelled."""
        script, attempt, retries, _ = self.open[name]
        if self.chance.random() < 0.3:
            cancelled = replace(script, outcome="cancelled", e2e_s=self.now_s - script.start_s)
            self.events.append(cancelled.probe_finished(attempt + 1))
            del self.open[name]
            return
        self.events.append(script.started(attempt + 1, at_s=self.now_s))
        self.open[name] = (script, attempt + 1, retries, True)

    def die(self) -> None:
        """Lose the engine: its host ends what was open, before or after the new one's hello."""
        work = OpenWork()
        for event in self.events:
            work.fold(event)
        self.engine += 1
        new = hello(*map(route_info, ROUTES), at_s=self.now_s, engine=f"e{self.engine}")
        endings = work.end_all("engine_died")
        self.events += self.chance.choice(([*endings, new], [new, *endings], [new]))
        self.open.clear()


def run(seed: int, steps: int, cut: int = 0) -> list[Event]:
    """Return the events of a run, the first `cut` after the hello lost."""
    made = Run(seed)
    for _ in range(steps):
        made.step()
    made.events.append(tick(made.now_s))
    return [made.events[0], *made.events[1 + cut :]]


def folded(events: list[Event]) -> Board:
    board = Board()
    for event in events:
        board.fold(event)
    return board


def assert_adds_up(told: dict[str, Any]) -> None:
    """Hold a route's summary to every identity that probes/README.md states."""
    assert told["probes"] == told["n"] == told["ok"] + told["failures"]
    assert told["probes_begun"] == told["probes"] + told["cancelled"] + told["open"]
    assert told["attempts_begun"] == sum(told["outcomes"].values()) + told["attempts_open"]
    assert told["attempts_begun"] == told["probes_begun"] + told["retries"] + told["asked_again"]
    assert told["throttled"] == told["outcomes"].get("throttled", 0)
    assert told["timeouts"] == told["outcomes"].get("timeout", 0)
    assert told["retries_recovered"] <= told["ok"]
    assert told["retries_exhausted"] <= told["failures"]
    if told["probes"]:
        assert told["amplification"] == told["attempts"] / told["probes"] >= 1.0
        assert told["success"] == told["ok"] / told["probes"]
        assert told["goodput"] == told["good"] / told["probes"]
    else:
        assert told["amplification"] is told["success"] is told["goodput"] is None
    assert min(value for value in told.values() if isinstance(value, int)) >= 0
    assert min(told["outcomes"].values(), default=1) > 0


def assert_row_adds_up(row: RouteView, retries: RetryView, window_s: float) -> None:
    def times(rate: float) -> float:
        return rate * window_s / 60

    assert times(row.probes_per_min) == pytest.approx(row.n)
    if row.n:
        assert row.success is not None
        assert row.goodput is not None
        assert times(row.failures_per_min) == pytest.approx(row.n * (1 - row.success), abs=1e-9)
        assert times(row.good_per_min) == pytest.approx(row.n * row.goodput)
    assert row.amplification == retries.amplification
    assert times(row.retries_per_min) == pytest.approx(sum(sum(r.by_number) for r in retries.rows))
    assert retries.added_wait_s == pytest.approx(sum(r.added_wait_s for r in retries.rows))
    assert retries.recovered <= sum(r.recovered for r in retries.rows)
    assert retries.exhausted <= sum(r.exhausted for r in retries.rows)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 120), cut=st.sampled_from((0, 0, 0, 1, 7)))
def test_the_figures_of_any_run_add_up(seed: int, steps: int, cut: int) -> None:
    events = run(seed, steps, cut)
    board = folded(events)
    for told in json.loads(json.dumps(board.summary())).values():
        assert_adds_up(told)
    for window in WINDOWS:
        snapshot = board.snapshot(window, ROUTES, anew=True)
        for row in snapshot.routes:
            figures = board._figures[row.name]
            assert_row_adds_up(row, snapshot.details[row.name].retries, figures.window_s)
        totals, rows, header = snapshot.totals, snapshot.routes, snapshot.header
        assert totals is not None
        assert totals.n == sum(row.n for row in rows)
        for name in ("probes", "throttled", "retries", "failures"):
            rate = f"{name}_per_min"
            assert getattr(header, rate) == getattr(totals, rate)
            assert getattr(totals, rate) == pytest.approx(sum(getattr(row, rate) for row in rows))
        assert header.in_flight == totals.in_flight == sum(row.in_flight for row in rows)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 120))
def test_a_run_without_deaths_counts_what_is_in_its_stream(seed: int, steps: int) -> None:
    events = run(seed, steps)
    if any(isinstance(event, type(hello())) for event in events[1:]):
        return
    seen = {route: folded(events).summary()[route] for route in ROUTES}
    for route in ROUTES:
        mine = [event for event in events if getattr(event, "route", "") == route]
        started = [event for event in mine if type(event).__name__ == "AttemptStarted"]
        ended = {
            (event.probe, event.attempt): event
            for event in mine
            if type(event).__name__ == "AttemptFinished"
        }
        probes = [event for event in mine if isinstance(event, ProbeFinished)]
        finished = [event for event in probes if event.outcome != "cancelled"]
        told = seen[route]
        assert told["attempts_begun"] == len(started)
        assert told["probes_begun"] == len({event.probe for event in started})
        assert told["attempts"] == sum(event.attempts for event in finished)
        assert told["probes"] == len(finished)
        retried = [e for e in started if getattr(ended.get((e.probe, e.attempt - 1)), "retry", 0)]
        assert told["retries"] == len(retried)


def told_of(*events: Event) -> dict[str, Any]:
    return folded([hello(), *events]).summary()["alpha"]


def test_a_retry_that_is_only_planned_is_none() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=None, outcome="cancelled")
    planned = told_of(probe.started(), throttled(probe, 1.5, 9.0))
    assert (planned["retries"], planned["open"], planned["attempts_open"]) == (0, 1, 0)
    cancelled = told_of(probe.started(), throttled(probe, 1.5, 9.0), probe.probe_finished())
    assert (cancelled["retries"], cancelled["cancelled"], cancelled["open"]) == (0, 1, 0)
    assert (cancelled["attempts"], cancelled["attempts_begun"]) == (0, 1)
    began = told_of(probe.started(), throttled(probe, 1.5, 1.0), probe.started(1, at_s=2.5))
    assert (began["retries"], began["attempts_begun"], began["attempts_open"]) == (1, 2, 1)


def test_a_retry_of_an_open_probe_does_not_touch_the_amplification() -> None:
    done, open_ = ProbeScript("e1-1", 1.0), ProbeScript("e1-2", 4.0)
    told = told_of(
        *done.events(), open_.started(), throttled(open_, 4.5, 1.0), open_.started(1, at_s=5.5)
    )
    assert (told["amplification"], told["attempts"], told["probes"]) == (1.0, 1, 1)
    assert (told["attempts_begun"], told["retries"]) == (3, 1)


@pytest.mark.parametrize("order", ["before", "after", "never"])
def test_what_a_dead_engine_left_open_is_cancelled_once(order: str) -> None:
    waits, streams = ProbeScript("e1-1", 1.0), ProbeScript("e1-2", 2.0)
    opened = [waits.started(), throttled(waits, 1.5, 9.0), streams.started()]
    work = OpenWork()
    for event in opened:
        work.fold(event)
    endings, new = work.end_all("engine_died"), hello(at_s=3.0, engine="e2")
    after = {"before": [*endings, new], "after": [new, *endings], "never": [new]}[order]
    told = told_of(*opened, *after, *ProbeScript("e2-1", 4.0).events())
    assert_adds_up(told)
    assert told["outcomes"] == {"cancelled": 1, "ok": 1, "throttled": 1}
    assert (told["cancelled"], told["open"], told["probes_begun"]) == (2, 0, 3)
