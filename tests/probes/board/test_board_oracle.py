"""Every column of the table and of the percentiles pane against their definitions."""

import random
from typing import Any

import pytest
from board_oracle import Oracle, rank_distance
from board_streams import at, hello, route_info, tick

from probes.board import Board
from probes.board.views import Figure
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Knob,
    ProbeFinished,
    RetryPlan,
    StampLadder,
)
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WINDOWS, WindowName

pytestmark = pytest.mark.usefixtures("package")

ROUTES = (route_info("alpha"), route_info("beta", goal_ttft_s=0.6, goal_e2e_s=2.0))
TOLERATED = {0.5: 0.01, 0.9: 0.01, 0.95: 0.005, 0.99: 0.002}
FAILURES = (
    ("throttled", "rate_limit"),
    ("server_error", "overloaded"),
    ("timeout", "timeout.stall"),
)


class Probe:
    """One made-up probe with its attempts, retried after failures as a policy would."""

    def __init__(self, number: int, route: str, start_s: float, chance: random.Random) -> None:
        self.name = f"e1-{number}"
        self.route = route
        self.chance = chance
        self.start = self.clock = at(start_s)
        self.cohort = "128/256" if start_s > 500 and route == "beta" else "64/256"
        self.events: list[Event] = []
        self.first_token: int | None = None

    def lived(self) -> list[Event]:
        """Return its events."""
        for attempt in range(3):
            if self._attempt(attempt):
                break
        return self.events

    def _after(self, seconds: float) -> int:
        self.clock += round(seconds * NS_PER_S)
        return self.clock

    def _attempt(self, attempt: int) -> bool:
        """Live through one attempt; return whether it was the last."""
        began = self.clock
        same: dict[str, Any] = {"route": self.route, "probe": self.name, "cohort": self.cohort}
        self.events.append(
            AttemptStarted(
                at_ns=began, attempt=attempt, scheduled_ns=began, admitted_ns=began, **same
            )
        )
        fate = self.chance.random()
        failure = self.chance.choice(FAILURES) if fate < 0.25 else None
        outcome, reason = failure or (("cancelled", "us") if fate < 0.3 else ("ok", ""))
        first = None
        if outcome == "ok" or (outcome == "timeout" and self.chance.random() < 0.5):
            first = self._after(self.chance.lognormvariate(-1.0, 0.6))
            self.first_token = self.first_token or first
            self.events.append(
                FirstToken(
                    at_ns=first, attempt=attempt, felt_ns=first - self.start, kind="content", **same
                )
            )
        end = self._after(self.chance.uniform(0.05, 2.0))
        retry = None
        if failure is not None and attempt < 2:
            retry = RetryPlan(reason=reason, wait_s=0.5, number=attempt + 1)
        tokens = self.chance.randrange(1, 60) if outcome == "ok" else None
        self.events.append(
            AttemptFinished(
                at_ns=end,
                attempt=attempt,
                outcome=outcome,
                reason=reason,
                retry=retry,
                stamps_ns=StampLadder(
                    started=began, first_token=first, last_token=first and end, ended=end
                ),
                input_tokens=tokens and 12,
                output_tokens=tokens,
                token_source="usage" if tokens and tokens % 5 else "estimate",
                first_chunk_tokens=2 if tokens and tokens % 3 == 0 else None,
                cost_usd=tokens and tokens * 1e-5,
                **same,
            )
        )
        if retry is not None:
            self._after(0.5)
            return False
        self.events.append(
            ProbeFinished(
                at_ns=end,
                outcome=outcome,
                reason=reason,
                attempts=attempt + 1,
                started_ns=self.start,
                scheduled_ns=self.start,
                first_token_ns=self.first_token,
                done_ns=end if outcome == "ok" else None,
                **same,
            )
        )
        return True


def stream(seed: int, seconds: int = 1_010, per_s: float = 1.5) -> list[Event]:
    """Return a run of many probes with failures, knobs and a new cohort, as an engine tells it."""
    chance = random.Random(seed)
    events: list[Event] = []
    for number in range(round(seconds * per_s)):
        route = chance.choice(("alpha", "beta"))
        events += Probe(number, route, chance.uniform(0, seconds), chance).lived()
    events.append(Knob(at_ns=at(500.0), route="beta", knob="max_tokens", before=64.0, after=128.0))
    events += [tick(float(second)) for second in range(seconds + 12)]
    ordered = sorted(events, key=lambda event: event.at_ns)
    return [hello(*ROUTES), *(e for e in ordered if e.at_ns <= at(seconds + 11))]


@pytest.fixture(scope="module", params=[1, 2])
def run(request: pytest.FixtureRequest, package: str) -> tuple[list[Event], Board]:
    """Return a stream and its fold."""
    events = stream(request.param)
    board = Board()
    for number, event in enumerate(events):
        board.fold(event)
        if number % 50 == 0:
            board.snapshot("5m", ("alpha",))
    return events, board


def check(figure: Figure, ordered: list[float], probability: float) -> None:
    """Compare one percentile with the samples it is of."""
    assert figure.n == len(ordered)
    if not ordered:
        assert figure.value is None
        return
    assert figure.value is not None
    if len(ordered) < round(1 / (1 - probability)):
        assert not figure.enough
        assert figure.value == pytest.approx(ordered[-1])
        return
    assert figure.enough
    assert rank_distance(ordered, figure.value, probability) <= TOLERATED[probability]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("route", ["alpha", "beta"])
def test_every_figure_is_what_its_definition_says(
    run: tuple[list[Event], Board], route: str, window: WindowName
) -> None:
    events, board = run
    oracle = Oracle(events, route, window)
    snapshot = board.snapshot(window, (route,))
    row = next(view for view in snapshot.routes if view.name == route)
    for name, value in oracle.counted().items():
        assert getattr(row, name) == (value if value is None else pytest.approx(value)), name
    assert row.cohort == oracle.cohort
    ttfts, e2es, speeds = oracle.ttfts(), oracle.e2es(), oracle.speeds()
    for figure, probability in ((row.ttft_p50, 0.5), (row.ttft_p95, 0.95), (row.ttft_p99, 0.99)):
        check(figure, ttfts, probability)
    for figure, probability in ((row.e2e_p50, 0.5), (row.e2e_p95, 0.95)):
        check(figure, e2es, probability)
    assert row.stream_tokens_per_s is not None
    assert rank_distance(speeds, row.stream_tokens_per_s, 0.5) <= TOLERATED[0.5]
    columns = snapshot.details[route].percentiles.columns
    column = next(column for column in columns if column.window == window)
    for figures, samples in ((column.ttft, ttfts), (column.e2e, e2es)):
        for figure, probability in zip(figures, TOLERATED, strict=False):
            check(figure, samples, probability)
        assert figures[4].value == pytest.approx(samples[-1])
    probes = oracle.probes()
    assert (column.finished, column.failures) == (
        len(probes),
        sum(probe.outcome != "ok" for probe in probes),
    )


def test_the_totals_are_the_sums_over_all_routes(run: tuple[list[Event], Board]) -> None:
    events, board = run
    totals = board.snapshot("5m").totals
    assert totals is not None
    parts = [Oracle(events, name, "5m").counted() for name in ("alpha", "beta")]
    for name in ("n", "probes_per_min", "throttled_per_min", "retries_per_min", "usd_per_hour"):
        assert getattr(totals, name) == pytest.approx(sum(part[name] or 0.0 for part in parts))
