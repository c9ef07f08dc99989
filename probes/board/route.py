"""One route: its events in, its counters, samples, lanes and marks out."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import msgspec

from probes.answers.limits import LimitState
from probes.board.begun import Begun
from probes.board.chart import Chart
from probes.board.lanes import Lanes, Written
from probes.board.views import ChartPoint, Marker, RouteState
from probes.config.e2e_goal import e2e_goal_s
from probes.events import (
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    FirstToken,
    Held,
    HeldReason,
    Knob,
    LimitReading,
    Preview,
    PriceInfo,
    ProbeFinished,
    RetryPlan,
    RouteCounts,
    RouteInfo,
)
from probes.kit.clock import NS_PER_S
from probes.stats.chunk_gaps import GapBuckets, longest_gap_ns
from probes.stats.quantiles import Quantiles
from probes.stats.samples import CohortSamples, Metric, SampleWindows
from probes.stats.tally import Tally, TallyWindows
from probes.stats.tokens import seconds_per_token
from probes.stats.windows import SLICE_NS, WindowName, slice_index

MARKERS_KEPT: Final = 50
_COHORTS_KEPT: Final = 8
_PROBES_KEPT: Final = 4096
_PREVIEW_CHARACTERS: Final = 4000


@dataclass(slots=True)
class _OpenProbe:
    """A probe between its first attempt and its end."""

    attempts: int = 0
    """Attempts of it that have begun."""
    attempt: int | None = None
    """Number of the one that is open."""
    felt_ttft: bool = False
    reasons: tuple[str, ...] = ()
    """What its retries were for, each once."""
    failed_ns: int = 0
    planned: RetryPlan | None = None
    """The retry that it waits for."""


class RouteBoard:
    """State of one route. Stamps are the engine's; `origin_ns` is the run's start.

    TTFT is the felt one of the probe's first output; samples of flagged probes, and those that
    overlap a time when the engine did not run, are left out though the probe is counted.
    """

    def __init__(self, info: RouteInfo, origin_ns: int) -> None:
        self.origin_ns = origin_ns
        self.lanes = Lanes()
        self.tallies = TallyWindows()
        self.cohorts: dict[str, CohortSamples] = {}
        """Least recently used first."""
        self.cohort = ""
        self.gaps = GapBuckets()
        self.markers: deque[Marker] = deque(maxlen=MARKERS_KEPT)
        self.limits = LimitState()
        self.cool_down: Held | None = None
        self.held: set[HeldReason] = set()
        self.begun = Begun()
        self.last_event_ns: int | None = None
        self.state: RouteState = "starting"
        self.since_ns: int | None = None
        self.pain = 0.0
        self.why = ""
        self.preview = ""
        self.preview_probe = ""
        self.charts: dict[Metric, Chart] = {"ttft": Chart("ttft"), "e2e": Chart("e2e")}
        self._probes: dict[str, _OpenProbe] = {}
        self._counts = RouteCounts(route=info.name, in_flight=0, target=info.concurrency)
        self._skipped_before = 0
        self.configure(info)

    def configure(self, info: RouteInfo) -> None:
        """Take the settings an engine begins with; what was measured stays."""
        self.info = info
        self.lanes.longest_gap_ns = longest_gap_ns(info.stall_after)
        self._last_goal: tuple[str, float | None] = ("", None)
        """The last cohort that was asked for, and its E2E goal."""
        self.target = info.concurrency
        self.interval = info.interval
        self.max_tokens = info.max_tokens
        self.paused = info.paused

    def priced(self, price: PriceInfo) -> None:
        """Take the price that was found for the route."""
        self.info = msgspec.structs.replace(self.info, price_known=True, price=price)

    @property
    def skipped(self) -> int:
        """Ticks of the pace that could not be sent, of all engines of the run."""
        return self._skipped_before + self._counts.skipped

    @property
    def attempts_started(self) -> int:
        """Attempts that have begun in this run."""
        return self.begun.attempts

    @property
    def goal_e2e_s(self) -> float | None:
        """The E2E goal of the present cohort, which is that of its answer cap: a knob that was just
        turned does not judge what was measured before it."""
        return self._goal_e2e_of(self.cohort)

    def goal_s(self, metric: str) -> float | None:
        """Return the goal of a metric's p95 that holds now; None where it has none."""
        if metric == "ttft":
            return self.info.goal_ttft_s
        return self.goal_e2e_s if metric == "e2e" else None

    def engine_died(self, at_ns: int) -> None:
        """Forget what only the former engine could have finished; its figures stay."""
        self.lanes.engine_died(at_ns)
        for name, probe in self._probes.items():
            self.begun.lose(name, probe.attempt)
        self._probes.clear()
        self._skipped_before = self.skipped
        self._counts = RouteCounts(route=self.info.name, in_flight=0, target=self.target)
        self.held.clear()

    def tally(self, window: WindowName, now_ns: int) -> Tally:
        """Return the counters over `window` at the stamp `now_ns`."""
        return self.tallies.total(window, now_ns - self.origin_ns)

    def samples(self, metric: str, window: WindowName, now_ns: int) -> Quantiles:
        """Return the samples of `ttft`, `e2e` or `speed` of the present cohort over `window`."""
        samples = self.cohorts.get(self.cohort)
        if samples is None:
            return Quantiles(())
        windows: SampleWindows = getattr(samples, metric)
        return windows.read(window, now_ns - self.origin_ns)

    def points(self, metric: Metric, now_ns: int) -> tuple[ChartPoint, ...]:
        """Return a metric's chart of the last 15 minutes at the stamp `now_ns`."""
        return self.charts[metric].points(self, slice_index(now_ns - self.origin_ns))

    def point(self, metric: Metric, index: int) -> ChartPoint:
        """Return one slice of the chart: the present cohort, or what was measured instead."""
        here = self.cohorts.get(self.cohort)
        found = None if here is None else here.of(metric).slice(index)
        if found is None:
            others = [samples.of(metric).slice(index) for samples in self.cohorts.values()]
            found = max(filter(None, others), key=lambda other: other.n, default=None)
        p50, p95 = Quantiles([found] if found else []).at(0.5, 0.95)
        tally = self.tallies.slices.get(index) or Tally()
        return ChartPoint(
            start_ns=self.origin_ns + index * SLICE_NS,
            p50=p50,
            p95=p95,
            n=0 if found is None else found.n,
            failures=tally.failures,
            throttled=tally.throttled,
        )

    def is_final(self, index: int) -> bool:
        """Return whether a slice of the chart is sealed: only what comes very late changes it."""
        return index < self.tallies.sealed

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at `now_ns` for slices that have closed; return its size, 0
        when all is done."""
        offset = now_ns - self.origin_ns
        for samples in self.cohorts.values():
            size = samples.seal(offset)
            if size:
                return size
        # Last, so that what they have sealed, the samples have too.
        return self.tallies.seal(offset)

    def attempt_started(self, event: AttemptStarted) -> None:
        """Open a lane; settle the wait of the retry that this may be."""
        self.last_event_ns = event.at_ns
        self.lanes.started(event)
        self._enter_cohort(event)
        self._open_attempt(event.probe, event.attempt, event.at_ns)

    def first_token(self, event: FirstToken, measurable: bool) -> None:
        """Take the felt TTFT of a probe's first output."""
        self.last_event_ns = event.at_ns
        self.lanes.first_token(event)
        probe = self._open_attempt(event.probe, event.attempt, event.at_ns)
        defined = event.kind not in ("not_streamed", "none")
        if defined and measurable and not probe.felt_ttft:
            samples = self._cohort_samples(event.cohort)
            samples.ttft.add(self._written(event.at_ns), event.felt_ns / NS_PER_S)
        probe.felt_ttft = True

    def attempt_finished(self, event: AttemptFinished) -> None:
        """Count an exchange, once however often it is told."""
        self.last_event_ns = event.at_ns
        if not self.lanes.finished(event):
            return
        probe = self._probes.get(event.probe)
        if probe is None or probe.attempt != event.attempt:
            probe = self._unseen(event)
        if probe is not None:
            probe.attempt = None
            self.begun.outcomes[event.outcome] += 1
            if event.retry is not None:
                probe.planned = event.retry
                probe.failed_ns = event.stamps_ns.ended or event.at_ns
        self.limits.hear(event)
        guessed = 0
        if event.output_tokens is None:
            guessed = self.lanes.sizes.tokens_of(event.characters)
        self.lanes.sizes.learn(event)
        for tally in self._tallies(event.at_ns):
            _count_spending(tally, event)
            tally.guessed_tokens += guessed
            if event.outcome != "cancelled":
                _count_attempt(tally, event)
        if not event.flagged:
            self._measure_stream(event)

    def probe_finished(self, event: ProbeFinished, measurable: bool) -> None:
        """Count a probe; take its E2E where it ended ok."""
        self.last_event_ns = event.at_ns
        probe = self._probes.pop(event.probe, None)
        reasons = () if probe is None else probe.reasons
        if probe is None:
            self.begun.unknown_probe_ended(event.probe, event.outcome)
        cancelled, ok = event.outcome == "cancelled", event.outcome == "ok"
        measurable = measurable and not event.flagged
        good = ok and self._is_good(event, measurable)
        for tally in self._tallies(event.at_ns):
            if cancelled:
                tally.cancelled += 1
                continue
            tally.finished += 1
            tally.ok += ok
            tally.good += good
            tally.probe_attempts += event.attempts
            if not ok:
                tally.count_failure(event.reason or event.outcome)
            if reasons:
                tally.count_recovery(reasons, ok)
        if ok and measurable and event.done_ns is not None:
            samples = self._cohort_samples(event.cohort)
            e2e = (event.done_ns - event.started_ns) / NS_PER_S
            samples.e2e.add(self._written(event.at_ns), e2e)

    def arrivals(self, event: Arrivals) -> Written:
        """Draw output on the open lanes; return it in tokens."""
        return self.lanes.arrivals(event)

    def previewed(self, event: Preview) -> None:
        """Add to the text of the stream on preview; another stream begins anew."""
        if event.probe != self.preview_probe:
            self.preview, self.preview_probe = "", event.probe
        self.preview = (self.preview + event.text)[-_PREVIEW_CHARACTERS:]

    def limit_read(self, event: LimitReading) -> None:
        """Note what is left of the route's limits."""
        self.last_event_ns = event.at_ns
        self.limits.take(event.limits, event.at_ns)

    def counted(self, counts: RouteCounts) -> None:
        """Note the engine's own counts."""
        self._counts = counts
        self.target = counts.target

    def turned(self, event: Knob) -> None:
        """Note a changed setting, and mark it."""
        self.last_event_ns = event.at_ns
        goal_s = self._goal_e2e_at(self.max_tokens)
        match event.knob:
            case "concurrency":
                self.target = int(event.after)
            case "interval":
                self.interval = event.after
            case "max_tokens":
                self.max_tokens = int(event.after)
            case "paused":
                self.paused = bool(event.after)
            case "cool_down" if event.after <= 0:
                self.cool_down = None
            case _:
                pass
        text, new_s = _knob_text(event), self._goal_e2e_at(self.max_tokens)
        if new_s != goal_s:
            text += f", E2E goal {_goal_text(goal_s)}→{_goal_text(new_s)}"
        self.markers.append(Marker(event.at_ns, text))

    def holding(self, event: Held) -> None:
        """Note that new attempts are held back, or let go again."""
        if event.reason == "cool_down":
            self.cool_down = None if event.released else event
        elif event.released:
            self.held.discard(event.reason)
        else:
            self.held.add(event.reason)

    def cool_down_s(self, now_ns: int) -> float | None:
        """Return the seconds left of a cool-down; None where there is none."""
        if self.cool_down is None or self.cool_down.until_ns is None:
            return None
        left = (self.cool_down.until_ns - now_ns) / NS_PER_S
        return left if left > 0 else None

    def _goal_e2e_of(self, cohort: str) -> float | None:
        """Return the E2E goal of a cohort; of an unnamed one, that of the present answer cap."""
        known, goal_s = self._last_goal
        if not cohort or cohort != known:
            goal_s = self._goal_e2e_at(_cap_of(cohort) or self.max_tokens)
            self._last_goal = (cohort, goal_s)
        return goal_s

    def _goal_e2e_at(self, cap: int) -> float | None:
        info = self.info
        return e2e_goal_s(
            info.goal_e2e_s, cap, is_own=info.goal_e2e_set, configured_cap=info.max_tokens
        )

    def _open_attempt(self, name: str, attempt: int, at_ns: int) -> _OpenProbe:
        """Return a probe with this attempt open.

        A stream that is read from its middle tells of attempts that had begun before: they begin
        with the first that is told of them.
        """
        probe = self._probes.get(name)
        if probe is None:
            if len(self._probes) >= _PROBES_KEPT:
                oldest = next(iter(self._probes))
                self.begun.lose(oldest, self._probes.pop(oldest).attempt)
            probe = self._probes[name] = _OpenProbe()
        if probe.attempt == attempt:
            return probe
        plan, probe.planned = probe.planned, None
        self.begun.attempts += 1
        if not probe.attempts:
            self.begun.probes += 1
        elif plan is None:
            self.begun.asked_again += 1
        probe.attempt, probe.attempts = attempt, probe.attempts + 1
        if plan is not None:
            # Only now that it has begun: what was planned may be cancelled in its wait.
            probe.reasons = tuple(dict.fromkeys((*probe.reasons, plan.reason)))
            waited_s = (at_ns - probe.failed_ns) / NS_PER_S
            for tally in self._tallies(at_ns):
                tally.count_retry(plan.reason, plan.number, waited_s)
        return probe

    def _unseen(self, event: AttemptFinished) -> _OpenProbe | None:
        """Return the probe of an attempt that was not known to be open; None where it was taken for
        cancelled, and is counted now as what it was."""
        if self.begun.attempt_ended_late(event.probe, event.attempt, event.outcome):
            return None
        return self._open_attempt(event.probe, event.attempt, event.at_ns)

    def _enter_cohort(self, event: AttemptStarted) -> None:
        if event.cohort and event.cohort != self.cohort:
            if self.cohort:
                self.markers.append(Marker(event.at_ns, f"cohort {self.cohort}→{event.cohort}"))
            self.cohort = event.cohort
            for chart in self.charts.values():
                chart.clear()
        samples = self._cohort_samples(self.cohort)
        del self.cohorts[self.cohort]
        self.cohorts[self.cohort] = samples

    def _cohort_samples(self, cohort: str) -> CohortSamples:
        # A stream that is read from its middle may begin with the end of an attempt.
        self.cohort = self.cohort or cohort
        cohort = cohort or self.cohort
        samples = self.cohorts.get(cohort)
        if samples is None:
            if len(self.cohorts) >= _COHORTS_KEPT:
                del self.cohorts[next(iter(self.cohorts))]
            samples = self.cohorts[cohort] = CohortSamples()
        return samples

    def _written(self, at_ns: int) -> int:
        offset = at_ns - self.origin_ns
        if offset < self.tallies.sealed * SLICE_NS:
            for chart in self.charts.values():
                chart.amend(slice_index(offset))
        return offset

    def _tallies(self, at_ns: int) -> tuple[Tally, ...]:
        return self.tallies.at(self._written(at_ns))

    def _measure_stream(self, event: AttemptFinished) -> None:
        self.gaps.add_between(event.chunk_offsets_ns)
        per_token = seconds_per_token(event)
        if per_token:
            samples = self._cohort_samples(event.cohort)
            samples.speed.add(self._written(event.at_ns), 1 / per_token)

    def _is_good(self, event: ProbeFinished, measurable: bool) -> bool:
        cost_goal = self.info.goal_cost_usd_per_probe
        if cost_goal is not None and (event.cost_usd or 0.0) > cost_goal:
            return False
        if not measurable:
            return True
        ttft_goal = self.info.goal_ttft_s
        # Its own answer cap counts: it may have begun before a knob was turned.
        e2e_goal = self._goal_e2e_of(event.cohort)
        return _within(event.first_token_ns, event.started_ns, ttft_goal) and _within(
            event.done_ns, event.started_ns, e2e_goal
        )


def _within(stamp_ns: int | None, started_ns: int, goal_s: float | None) -> bool:
    return stamp_ns is None or goal_s is None or (stamp_ns - started_ns) / NS_PER_S <= goal_s


def _cap_of(cohort: str) -> int | None:
    """Return the answer cap that a cohort's name begins with."""
    cap = cohort.partition("/")[0]
    # A recording may have been edited: a number of more digits has no quotient of ours.
    return int(cap) if cap.isdecimal() and len(cap) < 19 else None


def _goal_text(goal_s: float | None) -> str:
    return "none" if goal_s is None else f"{goal_s:.3g} s"


def _knob_text(event: Knob) -> str:
    if event.knob == "paused":
        return "paused" if event.after else "resumed"
    if event.knob == "burst":
        return f"burst {event.after:g}"
    return f"{event.knob} {event.before:g}→{event.after:g}"


def _count_spending(tally: Tally, event: AttemptFinished) -> None:
    if event.input_tokens is not None:
        tally.input_tokens += event.input_tokens
        tally.input_counts += 1
    if event.output_tokens is not None:
        tally.output_tokens += event.output_tokens
        tally.output_counts += 1
        tally.token_estimates += event.token_source in ("estimate", "none")
    if event.cost_usd is not None:
        tally.cost_usd += event.cost_usd
        tally.costs += 1
        tally.cost_estimates += event.cost_source != "provider"


def _count_attempt(tally: Tally, event: AttemptFinished) -> None:
    tally.attempts += 1
    if event.outcome == "throttled":
        tally.count_throttled(event.reason or event.outcome)
    tally.timeouts += event.outcome == "timeout"
    tally.stalls += event.stalls
    tally.hidden_retries += event.hidden_retries
