"""What each event of one route changes: one method for each type of event.

Rule 1: stamps are the engine's; each count enters the slice of its event's own stamp.
Rule 2: TTFT is the felt one, of the probe's first output; E2E is that of probes that ended ok.
Rule 3: samples of flagged probes, and of those that overlap a time when the engine did not run, are
left out, though the probes are counted.
Rule 4: nothing is read here. What a screen shows of a route is read in `figures.py`.
"""

from collections import Counter, deque
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from probes.answers.limits.state import LimitState
from probes.board.accounts import Accounts, ProbeAccount
from probes.board.alert_log import AlertLog
from probes.board.good_probe import e2e_goal_at, is_good_probe
from probes.board.happenings import HappeningLog
from probes.board.header import Header
from probes.board.headroom import HeadroomWatch
from probes.board.incident_log import FailureStamps, IncidentLog, KnownIncident
from probes.board.knob_effects import KnobEffects
from probes.board.lanes import Lanes, SlotTokens
from probes.board.pace import PaceWatch
from probes.board.place import PlaceBoard
from probes.board.probe_log import BYTES_KEPT, ProbeLog
from probes.board.standings import Standings
from probes.board.throttles import ThrottleLog
from probes.board.views import HURT_STATES, ChartPoint, KnobEffect, Marker, RouteState
from probes.config.goals import band_of, cap_of, is_e2e_goal_scaled
from probes.events import (
    WRONG_ANSWER,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    FirstToken,
    Held,
    HeldReason,
    Knob,
    LimitReading,
    OpenPhase,
    Preview,
    PriceInfo,
    ProbeFinished,
    RouteCounts,
    RouteInfo,
    SkipReason,
    Usual,
)
from probes.events.diagnosis_words import server_words, wrong_words
from probes.events.knob_turns import BY_ITSELF
from probes.kit.clock import NS_PER_S
from probes.stats.chunk_gaps import gaps_between, longest_gap_ns
from probes.stats.log_buckets import DurationWindows, LogBuckets
from probes.stats.samples import CohortSamples, Metric
from probes.stats.tally import Tally, TallyWindows
from probes.stats.tokens import seconds_per_token
from probes.stats.windows import SLICE_NS, SmallSlices, slice_index

_MARKERS_KEPT: Final = 50
"""More labels than a chart has room for."""
_COHORTS_KEPT: Final = 8
"""Answer caps that somebody goes back and forth between; each costs the samples of an hour."""
_PREVIEW_CHARACTERS: Final = 4000
"""A pane at its largest."""
_HEAT_SLICES: Final = 90
"""A heat map shows 15 minutes."""
_ILL_KEPT: Final = 64
"""Incidents of one route: more than 15 minutes see of one that is worth a usual."""
_STATES_KEPT: Final = 256
"""Changes of state: more than a quarter of an hour of one route has that anybody would look at."""

Charted: TypeAlias = Literal["ttft", "e2e"]
Refusal: TypeAlias = Literal["throttled", "failed", "wrong"]
"""How an attempt ended that was not ok: of each the server's last words are kept."""


_Marked: TypeAlias = tuple[tuple[Marker, ...], Marker | None, tuple[Marker, ...]]

UNANSWERED: Final[frozenset[RouteState]] = frozenset(("down", "hanging", "failing"))
"""States that get better only by a success."""


class Standing(NamedTuple):
    """A state, and since when."""

    state: RouteState
    since_ns: int


class Open(NamedTuple):
    """The oldest open request of a route."""

    started_ns: int
    phase: OpenPhase | None
    """How far it has come; None where nobody said."""


class RunState:
    """What all routes of a run share."""

    def __init__(self, origin_ns: int) -> None:
        self.origin_ns = origin_ns
        """The run's start."""
        self.header = Header()
        self.throttles = ThrottleLog()
        self.incidents = IncidentLog()
        self.alerts = AlertLog()
        self.happenings = HappeningLog()
        self.log_bytes_a_route = BYTES_KEPT
        """Most bytes of probes that a route keeps."""


class RouteBoard:
    """State of one route."""

    def __init__(self, info: RouteInfo, run: RunState, place: PlaceBoard) -> None:
        self.run = run
        self.place = place
        """Whose hello has announced it: its time is the route's."""
        self.lanes = Lanes()
        self.accounts = Accounts()
        self.tallies = TallyWindows()
        self.cohorts: dict[str, CohortSamples] = {}
        """Least recently used first."""
        self.cohort = ""
        """The one that new attempts belong to; of a mix of shapes the one shown, by the last
        `usual`: a judge tells that of the shape that is ill, else of the one that comes most."""
        self.chunk_gaps = DurationWindows()
        """Of all cohorts, as are round trips and TTFT of the heat map."""
        self.rtt = DurationWindows()
        """Of the connection's own packets, by the kernel."""
        self.ttft_heat = SmallSlices(_HEAT_SLICES, LogBuckets)
        self.usual_phases: tuple[tuple[object, ...], tuple[float, ...]] = ((), ())
        """Medians of where the time went while it was well, with what they were made of."""
        self.probe_log = ProbeLog()
        self._cohort_marks: deque[Marker] = deque(maxlen=_MARKERS_KEPT)
        """Where another cohort began; what else is marked stands in the log."""
        self._marked: _Marked = ((), None, ())
        """What its marks were made of, and they."""
        self.knob_effects = KnobEffects()
        self.standings = Standings()
        self.failures = FailureStamps()
        self.limits = LimitState()
        self.headroom = HeadroomWatch()
        self.cool_down: Held | None = None
        self.held: set[HeldReason] = set()
        """What holds back new attempts of this route alone, beside a cool-down."""
        self.last_event_ns: int | None = None
        self.preview = ""
        self.preview_probe = ""
        self.chart_points: dict[Charted, dict[int, ChartPoint]] = {"ttft": {}, "e2e": {}}
        """Points of sealed slices, by slice: made once, so a chart does not shimmer."""
        self.is_due = False
        """Its state and figures are to be read at once, whenever its turn is."""
        self.shown = self.health = self.graded = Standing("starting", run.origin_ns)
        """Its state; what it is by itself, our pauses left aside; what its goals alone say."""
        self.states: tuple[tuple[int, RouteState], ...] = ((run.origin_ns, "starting"),)
        """Those that it was shown in, each with the stamp from which it was; the newest last."""
        self.live: RouteState = "ok"
        """What its goals say now, of what was measured amid an incident too."""
        self.goal_ratio = 0.0
        self.why = ""
        self.observer_busy = False
        self.onset_ns: int | None = None
        """Onset of the incident that makes its health: what was measured before says nothing of how
        it is now. None where no incident does."""
        self.is_sure = True
        """Its health is not what may yet be chance."""
        self.usual: Usual | None = None
        """What its figures are while it is well; None while that is being learned."""
        self.evidence_ns: int | None = None
        """When it was last probed beside its pace."""
        self.well_from_ns: int | None = None
        """End of its last incident: what was measured before says nothing of how it is now."""
        self.ill_ns: deque[tuple[int, int]] = deque(maxlen=_ILL_KEPT)
        """Onset and end of the incidents that are over."""
        self.ok_began_ns = -1
        """When the newest attempt that ended ok began; -1 before the first."""
        self.refused_in_a_row = 0
        """Attempts that ended otherwise since one ended ok."""
        self._said: dict[Refusal, tuple[int, str]] = {}
        """When the server last said why it refuses, and its words: hostile."""
        self.pace: PaceWatch | None = None
        """None where the pace is closed."""
        self._wrong: deque[str] = deque(maxlen=2)
        """What was expected of the newest wrong answers and what came, newest first: hostile."""
        self._counts = RouteCounts(route=info.name, in_flight=0, target=info.concurrency)
        self._counted_ns = 0
        self._skipped_before = 0
        self._skipped_for_before: Counter[SkipReason] = Counter()
        self.configure(info)

    def configure(self, info: RouteInfo) -> None:
        """Take the settings an engine begins with; what was measured stays."""
        self.info = info
        self.lanes.longest_gap_ns = longest_gap_ns(info.stall_after)
        self._last_goal: tuple[str, float | None] = ("", None)
        """The last cohort that was asked for, and its E2E goal: nearly all probes are of one."""
        self.target = info.concurrency
        self.adaptive = info.adaptive
        self.interval = info.interval
        self.rate = info.rate
        self.pace = None if info.pace == "interval" else PaceWatch()
        self.max_tokens = info.max_tokens
        self.paused = info.paused

    def engine_died(self, at_ns: int) -> None:
        """Forget what only the former engine could have finished; its figures stay."""
        self.lanes.engine_died(at_ns)
        self.accounts.engine_died()
        self.standings.engine_died()
        self._tell_effect(self.knob_effects.broken_off(at_ns))
        self._skipped_before = self.skipped
        self._skipped_for_before = self.skipped_for
        if self.pace is not None:
            self.pace.restart()
        self._counts = RouteCounts(route=self.info.name, in_flight=0, target=self.target)
        self.held.clear()

    def look_at_knob(self, now_ns: int) -> None:
        """Tell the log what the last turn of a knob did, as far as that is known."""
        self._tell_effect(self.knob_effects.looked(now_ns, self.accounts.oldest_ns))

    def _tell_effect(self, effect: KnobEffect | None) -> None:
        if effect is not None:
            self.run.happenings.effect_known(self.info.name, effect)

    def markers(self) -> tuple[Marker, ...]:
        """Return what is to be marked on its charts, oldest first: the same object until there is
        something new, so that no chart is drawn again for nothing."""
        happened = self.run.happenings.markers(self.info.name)
        newest = self._cohort_marks[-1] if self._cohort_marks else None
        known, cohort, marked = self._marked
        if known is not happened or cohort is not newest:
            both = sorted((*happened, *self._cohort_marks), key=lambda marker: marker.at_ns)
            marked = tuple(both[-_MARKERS_KEPT:])
            self._marked = (happened, newest, marked)
        return marked

    def note_state(self, at_ns: int) -> None:
        """Remember that it is shown in another state from a stamp on."""
        self.states = (*self.states[1 - _STATES_KEPT :], (at_ns, self.state))

    # What holds now, of the settings and the engine's own words.

    @property
    def state(self) -> RouteState:
        """The state it is shown in."""
        return self.shown.state

    @property
    def hurts(self) -> bool:
        """Whether its users surely feel what is wrong with it, or retries hide it from them."""
        return self.is_sure and self.state in HURT_STATES

    @property
    def oldest_open(self) -> Open | None:
        """The oldest open request: one of its lanes, or the one that the last tick told of where
        the stream began amid it."""
        oldest, counts = self.lanes.oldest(), self._counts
        if oldest is not None and oldest.first_token_ns is not None:
            return Open(oldest.started_ns, "streaming")
        # What a tick tells holds until the next event of the route.
        is_told = counts.oldest_open_ns is not None and (
            self.last_event_ns is None or self.last_event_ns <= self._counted_ns
        )
        phase = counts.oldest_phase if is_told else None
        if oldest is not None:
            return Open(oldest.started_ns, phase)
        return Open(self._counted_ns - (counts.oldest_open_ns or 0), phase) if is_told else None

    def said_since(self, refusal: Refusal, since_ns: int) -> str:
        """Return the server's last words of a kind that came after a stamp, else nothing."""
        at_ns, words = self._said.get(refusal, (-1, ""))
        return words if at_ns >= since_ns else ""

    @property
    def skipped(self) -> int:
        """Ticks of the pace that could not be sent, of all engines of the run."""
        return self._skipped_before + self._counts.skipped

    @property
    def skipped_for(self) -> Counter[SkipReason]:
        """The same of an open pace, by why."""
        return self._skipped_for_before + Counter(self._counts.skipped_for)

    @property
    def due_waiting(self) -> int:
        """Probes of an open pace that wait for a place."""
        return self._counts.due_waiting

    @property
    def goal_e2e_s(self) -> float | None:
        """The E2E goal of the present cohort, which is that of its answer cap: a knob that was just
        turned does not judge what was measured before it."""
        return self._goal_e2e_of(self.cohort)

    def goal_s(self, metric: Metric, cohort: str = "") -> float | None:
        """Return the goal of a metric's p95 that holds now, or for another cohort; None where it
        has none."""
        # Who is to come at a time waits from then on: the goal is the same.
        if metric in ("ttft", "scheduled_ttft"):
            return self.info.goal_ttft_s
        is_e2e = metric in ("e2e", "scheduled_e2e")
        return self._goal_e2e_of(cohort or self.cohort) if is_e2e else None

    @property
    def is_goal_scaled(self) -> bool:
        """Whether the E2E goal of the present cohort has grown with its answer cap."""
        info, cap = self.info, cap_of(self.cohort) or self.max_tokens
        return is_e2e_goal_scaled(
            info.goal_e2e_s, cap, is_own=info.goal_e2e_set, configured_cap=info.max_tokens
        )

    def cool_down_s(self, now_ns: int) -> float | None:
        """Return the seconds left of a cool-down; None where there is none."""
        if self.cool_down is None or self.cool_down.until_ns is None:
            return None
        left = (self.cool_down.until_ns - now_ns) / NS_PER_S
        return left if left > 0 else None

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at `now_ns` for slices that have closed; return its size, 0
        when all is done."""
        offset_ns = now_ns - self.run.origin_ns
        for samples in self.cohorts.values():
            size = samples.seal(offset_ns)
            if size:
                return size
        # Last, so that what they have sealed, the samples have too.
        return self.tallies.seal(offset_ns)

    # Events, in the order in which a probe meets them.

    def attempt_started(self, event: AttemptStarted) -> None:
        """Open a lane; settle the wait of the retry that this may be."""
        self.last_event_ns = event.at_ns
        if event.evidence:
            self.evidence_ns = event.at_ns
        self.lanes.started(event)
        # Of a mix the other shapes come and go beside the one that is shown.
        is_shown = not (self.info.is_mix and self.cohort) or (
            band_of(event.cohort) == band_of(self.cohort)
        )
        if event.cohort and event.cohort != self.cohort and is_shown:
            self._change_cohort(event.cohort, event.at_ns)
        if event.cohort and is_shown:
            self._tell_effect(self.knob_effects.began(event.cohort, event.at_ns))
        newest = self.cohort if is_shown else event.cohort
        if len(self.cohorts) != 1 or newest not in self.cohorts:
            samples = self._samples(newest)
            del self.cohorts[newest]
            self.cohorts[newest] = samples
        probe = self._attempt_began(event, event.at_ns, event.at_ns)
        if self.pace is not None and not event.evidence:
            probe.scheduled_ns = event.scheduled_ns
        self.run.throttles.resumed(event)

    def first_token(self, event: FirstToken) -> None:
        """Take the felt TTFT of a probe's first output."""
        self.last_event_ns = event.at_ns
        self.lanes.first_token(event)
        began_ns = event.at_ns - event.felt_ns
        probe = self._attempt_began(event, event.at_ns, began_ns)
        if (
            not probe.has_felt_ttft
            and event.kind not in ("not_streamed", "none")
            and self.place.engine_ran(began_ns, event.at_ns)
        ):
            samples, offset_ns = self._samples(event.cohort), self._slice_offset(event.at_ns)
            felt_s = event.felt_ns / NS_PER_S
            samples.ttft.add(offset_ns, felt_s)
            self.ttft_heat.at(slice_index(offset_ns)).add(event.felt_ns)
            self.knob_effects.add("ttft_p95", event.cohort, began_ns, felt_s)
            if probe.scheduled_ns and self.place.engine_ran(probe.scheduled_ns, event.at_ns):
                waited_s = (event.at_ns - probe.scheduled_ns) / NS_PER_S
                samples.of("scheduled_ttft").add(offset_ns, waited_s)
        probe.has_felt_ttft = True

    def arrivals(self, event: Arrivals) -> None:
        """Draw output on the open lanes."""
        self.place.arrived(event.at_ns, self.lanes.arrivals(event))

    def previewed(self, event: Preview) -> None:
        """Add to the text of the stream on preview; another stream begins anew."""
        if event.probe != self.preview_probe:
            self.preview, self.preview_probe = "", event.probe
        self.preview = (self.preview + event.text)[-_PREVIEW_CHARACTERS:]

    def attempt_finished(self, event: AttemptFinished) -> None:
        """Count an exchange, once however often it is reported: a host that takes an engine for
        dead ends what it left open, and its own words may still come."""
        if event.outcome != "cancelled":
            self._served(event)
        if event.output_tokens and not event.chunks:  # it came whole: no arrivals spoke of it
            self.place.arrived(event.at_ns, SlotTokens(event.output_tokens, estimated=False))
        self.last_event_ns = event.at_ns
        per_token_s = seconds_per_token(event)
        if not self.lanes.finished(event, per_token_s):
            return
        self.knob_effects.ended(len(self.lanes), event.at_ns)
        probe = self.accounts.with_open(event.probe, event.attempt)
        if probe is None and not self.accounts.attempt_ended_late(event):
            began_ns = event.stamps_ns.started or event.at_ns
            probe = self._attempt_began(event, event.at_ns, began_ns)
        if probe is not None:
            self.accounts.attempt_ended(probe, event)
        self.probe_log.attempt_ended(event, self.run.log_bytes_a_route)
        self.limits.hear(event)
        self.headroom.hear(event)
        guessed_tokens = 0
        if event.output_tokens is None:
            guessed_tokens = self.lanes.sizes.tokens_of(event.characters)
        self.lanes.sizes.learn(event)
        offset_ns = self._slice_offset(event.at_ns)
        for tally in self.tallies.at(offset_ns):
            tally.count_attempt(event, guessed_tokens)
        self.standings.attempt_ended(event, per_token_s)
        if not event.flagged:
            self._timed(event, offset_ns, per_token_s)

    def _timed(self, event: AttemptFinished, offset_ns: int, per_token_s: float | None) -> None:
        """Take what an attempt measured, of which its stamps hold."""
        if len(event.chunk_offsets_ns) > 1:
            self.chunk_gaps.add_all(offset_ns, gaps_between(event.chunk_offsets_ns))
        if event.rtt_ns is not None:
            self.rtt.add(offset_ns, event.rtt_ns)
        if per_token_s:
            self._samples(event.cohort).speed.add(offset_ns, 1 / per_token_s)
            began_ns = event.stamps_ns.started or event.at_ns
            self.knob_effects.add("tokens_per_s", event.cohort, began_ns, 1 / per_token_s)

    def probe_finished(self, event: ProbeFinished) -> None:
        """Count a probe; take its E2E where it ended ok."""
        self.last_event_ns = event.at_ns
        retried_for = self.accounts.probe_ended(event.probe, event.outcome)
        is_measured = not event.flagged and self.place.engine_ran(event.started_ns, event.at_ns)
        self.standings.probe_ended(event, is_measured=is_measured)
        # Its own answer cap counts: it may have begun before a knob was turned.
        goal_s = self._goal_e2e_of(event.cohort) if event.outcome == "ok" else None
        is_good = is_good_probe(event, self.info, goal_s, is_measured=is_measured)
        offset_ns = self._slice_offset(event.at_ns)
        for tally in self.tallies.at(offset_ns):
            tally.count_probe(event, is_good, retried_for)
        last = self.probe_log.probe_ended(event, self.run.log_bytes_a_route, is_good=is_good)
        if event.outcome not in ("ok", "cancelled"):
            self.failures.add(event.at_ns)
        if is_measured and event.outcome != "cancelled":
            self.knob_effects.add("good_share", event.cohort, event.started_ns, is_good)
            samples = self._samples(event.cohort)
            if event.outcome != "ok":
                samples.lost.add(offset_ns, is_silent=event.first_token_ns is None)
            elif event.done_ns is not None:
                samples.e2e.add(offset_ns, (event.done_ns - event.started_ns) / NS_PER_S)
                if self.pace is not None and not event.evidence:
                    waited_s = (event.done_ns - event.scheduled_ns) / NS_PER_S
                    samples.of("scheduled_e2e").add(offset_ns, waited_s)
                if last is not None:
                    ladders = samples.ladders.at(slice_index(offset_ns))
                    ladders.add(event.started_ns, last, event.done_ns)
        self.run.throttles.ended(event)

    def limit_read(self, event: LimitReading) -> None:
        """Note what is left of the route's limits."""
        self.last_event_ns = event.at_ns
        self.limits.add(event.limits, event.at_ns)

    def counted(self, counts: RouteCounts, at_ns: int) -> None:
        """Note the engine's own counts, which a tick brings."""
        self._counts, self._counted_ns = counts, at_ns
        if self.pace is not None and not self.paused:
            self.pace.count(counts, at_ns)
        self.target = counts.target

    def priced(self, price: PriceInfo) -> None:
        """Take the price that was found for the route, which a notice brings."""
        self.info = msgspec.structs.replace(self.info, price_known=True, price=price)

    def holding(self, event: Held) -> None:
        """Note that new attempts of this route are held back, or let go again."""
        if event.reason == "cool_down":
            self.cool_down = None if event.released else event
        elif event.released:
            self.held.discard(event.reason)
        else:
            self.held.add(event.reason)

    def turned(self, event: Knob) -> None:
        """Note a changed setting, and mark it."""
        self.last_event_ns = event.at_ns
        goal_s = e2e_goal_at(self.info, self.max_tokens)
        self._set_knob(event)
        more, new_s = "", e2e_goal_at(self.info, self.max_tokens)
        if new_s != goal_s:
            more = f", E2E goal {_goal_text(goal_s)}→{_goal_text(new_s)}"
        if event.who == BY_ITSELF:  # each of its moves is judged by whoever moves it
            self._tell_effect(self.knob_effects.broken_off(event.at_ns))
        elif event.knob != "usual":  # it says what is usual, and changes nothing of what we do
            still_open, oldest_ns = len(self.lanes), self.accounts.oldest_ns
            self._tell_effect(self.knob_effects.turned(event, still_open, oldest_ns))
        self.run.happenings.turned(event, more)
        self.is_due = True  # a pause is seen at once: the same key ends it

    def _set_knob(self, event: Knob) -> None:
        match event.knob:
            case "concurrency":
                self.target = int(event.after)
            case "interval":
                self.interval = event.after
            case "rate":
                self.rate = event.after
            case "max_tokens":
                self.max_tokens = int(event.after)
            case "paused":
                self.paused = bool(event.after)
            case "auto":
                self.adaptive = bool(event.after)
            case "cool_down" if event.after <= 0:
                self.cool_down = None
            case _:
                pass
        # A limit that finds itself moves all the time: the rate is to be kept all the same.
        is_other_pace = event.knob in ("rate", "concurrency", "paused") and event.who != BY_ITSELF
        if self.pace is not None and is_other_pace:
            self.pace.restart()

    def known_usual(self, event: Usual) -> None:
        """Note what its figures are while it is well; of a mix that shape is shown from now on."""
        self.usual = event
        if self.info.is_mix and event.cohort != self.cohort and event.cohort in self.cohorts:
            self._change_cohort(event.cohort, event.at_ns)

    def recovered(self, incident: KnownIncident, at_ns: int) -> None:
        """Note that an incident is over."""
        self.well_from_ns = at_ns
        graded = self.graded
        if incident.event.cause == "local_observer" or graded.state == "starting":
            return
        # What the goals said before its onset still holds; what they said since was the incident.
        if graded.state == "ok" or graded.since_ns >= incident.since_ns:
            self.graded = Standing("ok", at_ns)

    # What several of them need.

    def _served(self, event: AttemptFinished) -> None:
        """Note whether an attempt succeeded, and what its server said where it did not."""
        if not event.flagged:
            began_ns, is_throttled = event.stamps_ns.started, event.outcome == "throttled"
            self.knob_effects.add(
                "throttled_share", event.cohort, began_ns or event.at_ns, is_throttled
            )
        is_wrong = event.reason == WRONG_ANSWER.reason
        if event.outcome == "ok" or is_wrong:  # served, be it of no use
            # The first success after an onset may end a state, and does so at once.
            if self.health.state in UNANSWERED and self.ok_began_ns < self.health.since_ns:
                self.is_due = True
            self.ok_began_ns = max(self.ok_began_ns, event.stamps_ns.started or event.at_ns)
            self.refused_in_a_row = 0
            if is_wrong:
                self._wrong.appendleft(event.message)
                self._said["wrong"] = (event.at_ns, wrong_words(self._wrong))
            return
        if event.outcome == "throttled":
            self.run.throttles.throttled(event)
            self.run.happenings.throttled(event)
        self.refused_in_a_row += 1
        words = server_words(event.status, event.message)
        if not event.message:
            words = f"{words} {event.reason or event.outcome}".strip()
        refusal: Refusal = "throttled" if event.outcome == "throttled" else "failed"
        self._said[refusal] = (event.at_ns, words)

    def _change_cohort(self, cohort: str, at_ns: int) -> None:
        if self.cohort:
            text = f"cohort {self.cohort}→{cohort}"
            self._cohort_marks.append(Marker(at_ns, text, "cohort"))
        self.cohort = cohort
        for points in self.chart_points.values():
            points.clear()
        self.is_due = True  # the percentiles of one cohort never stand under another's name

    def _attempt_began(
        self, event: AttemptStarted | FirstToken | AttemptFinished, at_ns: int, began_ns: int
    ) -> ProbeAccount:
        """Return a probe with this attempt open; count the retry that this begins, if any.

        `began_ns` is the earliest that the event knows of the probe.
        """
        probe, plan = self.accounts.attempt_began(event.probe, event.attempt)
        if not probe.started_ns:
            probe.started_ns, probe.cohort = began_ns, event.cohort
        if plan is not None:
            waited_s = (at_ns - probe.failed_ns) / NS_PER_S
            for tally in self._tallies(at_ns):
                tally.count_retry(plan.reason, plan.number, waited_s)
        return probe

    def _samples(self, cohort: str) -> CohortSamples:
        # A stream that is read from its middle may begin with the end of an attempt.
        self.cohort = self.cohort or cohort
        cohort = cohort or self.cohort
        samples = self.cohorts.get(cohort)
        if samples is None:
            if len(self.cohorts) >= _COHORTS_KEPT + len(self.info.shapes):
                del self.cohorts[next(iter(self.cohorts))]
            samples = self.cohorts[cohort] = CohortSamples()
        return samples

    def _slice_offset(self, at_ns: int) -> int:
        """Return a stamp from the run's start on, where something is written; a late one amends
        what the charts have of its slice."""
        offset_ns = at_ns - self.run.origin_ns
        if offset_ns < self.tallies.slices.sealed * SLICE_NS:
            for points in self.chart_points.values():
                points.pop(slice_index(offset_ns), None)
        return offset_ns

    def _tallies(self, at_ns: int) -> tuple[Tally, ...]:
        return self.tallies.at(self._slice_offset(at_ns))

    def _goal_e2e_of(self, cohort: str) -> float | None:
        """Return the E2E goal of a cohort; of an unnamed one, that of the present answer cap."""
        known, goal_s = self._last_goal
        if not cohort or cohort != known:
            goal_s = e2e_goal_at(self.info, cap_of(cohort) or self.max_tokens)
            self._last_goal = (cohort, goal_s)
        return goal_s


def _goal_text(goal_s: float | None) -> str:
    return "none" if goal_s is None else f"{goal_s:.3g} s"
