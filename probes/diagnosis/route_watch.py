"""What the stream says of one route, as series, shares and requests that are open.

Rule 1. A request counts once. What it failed with counts when the attempt ends, and so does what it
        waited for; of a stream that writes for long, a little after its first output.
Rule 2. What our own machine did is never evidence against a route: flagged attempts, those that
        overlap a gap, those that we cancelled.
Rule 3. All is bounded: two bands of prompt sizes, or the shapes of a mix, and the last `_ENDS_KEPT`
        ends.
Rule 4. Of a route that asks several shapes in turn each has series of its own, all of them judged.
        One is in focus, and what is told of the route is told of it: the one that is ill, else the
        one that comes most. So the mix may change without an alarm, and no shape hides another.

The answer cap of a cohort changes neither the wait for the first token nor the time per token:
these series belong to the cohort's band of input tokens, and outlive a turned knob. What the cap
does change, the length of answers and the time a whole one takes, starts from what it was, scaled.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from probes.config.goals import band_of, shape_of
from probes.diagnosis.failure_kinds import (
    FailureKind,
    failure_of,
    is_whole,
    rate_limit_of,
    speaks_of_route,
)
from probes.diagnosis.felt import Felt, FeltTimes
from probes.diagnosis.level import LEARNED, LevelShift
from probes.diagnosis.series import (
    DNS,
    GAP,
    INPUT,
    OUTPUT,
    PER_TOKEN,
    RANK,
    RTT,
    TCP,
    TLS,
    WAIT,
    WHOLE,
    JudgedSeries,
    Shares,
    short,
)
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Cause,
    FirstToken,
    Gap,
    Held,
    HeldReason,
    Knob,
    OpenPhase,
    ProbeFinished,
    Reference,
    RouteCounts,
    RouteInfo,
    SeriesReference,
    ServerClaim,
    ShareReference,
)
from probes.events.knob_turns import BY_ITSELF, is_next_step
from probes.kit.clock import NS_PER_S
from probes.stats.chunk_gaps import longest_gap_ns
from probes.stats.tokens import is_exact, seconds_per_token, tokens_after_first_chunk

_ENDS_KEPT: Final = 160
"""Ends of attempts that a cause is told from: half a minute at five a second."""
_MUCH_MORE: Final = 1.2
"""Times the concurrency before, where it finds itself: that can make answers slower."""
_WORDS_KEPT: Final = 120
"""Characters of a server's words; fewer than those are shown."""
_EXAMPLES_KEPT: Final = 2
"""Wrong answers of which it is kept what came."""
_EXAMPLE_KEPT: Final = 300
"""Characters of that: what was expected, and two short pieces."""
_OPEN_KEPT: Final = 4096
"""Open requests of a route; more are not looked at one by one."""
_BANDS_KEPT: Final = 2
_LONG_STREAM_NS: Final = 2 * NS_PER_S
"""A stream that writes for longer gives its wait before it has ended."""
_GAP_TIMES_USUAL: Final = 8.0
"""A pause is that much longer than the stream's own usual gap; else all of it is slow."""
_BUILDS_LEARNED: Final = 30
"""Answers by which the builds that serve a route are known: a fleet has several at once."""
_LEARNED_S: Final = 30
"""Seconds of samples before a share is judged that may well be always so: a server that closes
every connection, or a way that always loses something."""
_MOST_EXPECTED_S: Final = 30.0
"""What a route may take that has not answered yet: nobody knows how long a model thinks."""
_SOME: Final = 10
"""Answers from which on the slowest of them says what may be expected."""
_LOAD_S: Final = 0.5
"""What a model's loading takes at least; less is a look at whether it is there."""
_IDLE_S: Final = 60.0
"""A silence after which servers have put a model away."""
_LOADED_AGAIN: Final = 4
"""Answers without it that show that the model stays loaded."""
_LOADS_KEPT: Final = 32
"""Requests that waited for one loading: more workers than ask a model that is not there."""
_TOLD_OF: Final = 16
"""Attempts over which it is looked at whether they tell their round trips."""
PATIENCE_S: Final = 8.0
UNTOLD_PATIENCE_S: Final = 11.0
"""The least age at which a request hangs; where the ticks do not tell how far it has come, it may
be our own connecting that is slow."""
TIMES_USUAL: Final = 10
"""How many times what all but one in fifty take a request may take."""
_STREAMS_S: Final = 15.0
"""A stream that has begun may write for so long at least."""
_DIGITS: Final = 7
"""Of what is handed on to a later run: a tenth of a microsecond. Significant digits would cost ten
times as much, and it is asked for in the event loop of a screen."""
_MOST_SET: Final = 1e6
"""Workers or seconds beyond which no setting of ours goes: what a broken recording says is still
reckoned with."""


class End(NamedTuple):
    """How one attempt ended, as far as a cause is told from it."""

    began_ns: int
    at_ns: int
    failure: Cause | None
    rate: Cause | None
    message: str
    status: int | None


class Hang(NamedTuple):
    """A request that is older than requests get."""

    began_ns: int
    age_s: float
    writes: bool
    """It has begun to write."""
    may_be_silence: bool = False
    """It writes, and what began after it has waited for longer than requests do: soon that tells
    whether the stream pauses, or nothing comes at all."""


class ProbeEnd(NamedTuple):
    """How one probe ended, its retries included."""

    began_ns: int
    failed: bool
    attempts: int


class _Open:
    """A request that has not ended."""

    __slots__ = ("band", "began_ns", "evidence", "first_ns", "is_sampled")

    def __init__(self, began_ns: int, band: "Band", *, evidence: bool) -> None:
        self.began_ns = began_ns
        self.band = band
        self.evidence = evidence
        self.first_ns: int | None = None
        self.is_sampled = False


class Band:
    """Series of one band of prompt sizes, or of one shape."""

    __slots__ = (
        *("cohort", "felt", "gap", "input", "output", "per_token", "remembered", "wait", "whole"),
    )

    def __init__(self) -> None:
        self.cohort = ""
        """Of its newest attempt."""
        self.felt = Felt()
        self.input, self.output = JudgedSeries(INPUT), JudgedSeries(OUTPUT)
        self.wait = JudgedSeries(WAIT)
        self.per_token = JudgedSeries(PER_TOKEN)
        self.gap = JudgedSeries(GAP)
        self.whole = JudgedSeries(WHOLE)
        self.remembered: Reference | None = None
        """What was felt by an earlier run, until its waits are shown or refuted."""

    def __iter__(self) -> Iterator[JudgedSeries]:
        return iter((self.wait, self.per_token, self.gap, self.whole))


class RouteWatch:
    """One route, as the causes see it."""

    def __init__(self, info: RouteInfo) -> None:
        self.configure(info)
        self.bands: dict[str, Band] = {}
        """By upper end of the band, the one that is asked for last behind all others."""
        self.band = Band()
        self.cohort = ""
        """Of the newest attempt; of a mix, of the newest one in focus."""
        self.rtt, self.dns, self.tcp, self.tls = (
            JudgedSeries(RTT),
            JudgedSeries(DNS),
            JudgedSeries(TCP),
            JudgedSeries(TLS),
        )
        self.failed = Shares("failed_share")
        self.throttled = Shares("throttled_share")
        # Answers do not pause by chance as often as single attempts fail.
        self.stalled = Shares("stalled_share", learned=_LEARNED_S, named=10.3)
        self.cold = Shares("cold_share", learned=_LEARNED_S)
        self.uncached = Shares("cached_share", learned=_LEARNED_S)
        self.other_build = Shares("other_model_share")
        self.wrong = Shares("wrong_share")
        self.wrong_answers: deque[tuple[int, str]] = deque(maxlen=_EXAMPLES_KEPT)
        """When the newest wrong answers began, and what was expected and came: hostile."""
        self.resent = Shares("retransmits", least=0.02, bad=0.15, learned=_LEARNED_S)
        self.reordered = Shares("reordered", least=0.03, bad=0.2, learned=_LEARNED_S)
        self._gather()
        self.ends: deque[End] = deque(maxlen=_ENDS_KEPT)
        self.probes: deque[ProbeEnd] = deque(maxlen=_ENDS_KEPT)
        self.row: tuple[FailureKind, int, int] | None = None
        """Failures of one kind since the last success: the kind, how many, when the first began."""
        self.ok_in_a_row = 0
        self.throttled_in_a_row = 0
        self.last_ok_began_ns: int | None = None
        """Start of the newest request that has succeeded."""
        self.oldest_phase: OpenPhase | None = None
        """How far the oldest open request has come, by the last tick; None where it did not say."""
        self.raised: Knob | None = None
        """The last knob by which we asked for more at once; `before` is that of its first step."""
        self.loading_since_ns: int | None = None
        """Start of the first request for which the server says that it loaded the model; None where
        it is loaded."""
        self.load_waits_s: deque[float] = deque(maxlen=_LOADS_KEPT)
        """What those requests waited since then, in s."""
        self.unloaded_in_a_row = 0
        self.slowest_wait_s = 0.0
        self.slowest_answer_s = 0.0
        """Of the answers that ended ok, from first output to last."""
        self.held: set[HeldReason] = set()
        self.is_heard = True
        """Of several places, something is heard of its own: else nobody knows how it is now."""
        self.has_path = False
        """The kernel told of round trips."""
        self.stale_before_ns = 0
        """Time-outs of what began before this are of a hang that is over."""
        self.clean_in_a_row = 0
        """Attempts since one that lost a segment."""
        self.build = ""
        """The newest other build, in words."""
        self.is_accepted = False
        """Its present levels were taken for the usual ones, since it was judged last."""
        self.ok = 0
        self.now_ns = 0
        self.lag_s = 0.0
        """How late our own loop was when it was last looked at."""
        self._open: dict[tuple[str, int], _Open] = {}
        self._known_builds: Counter[tuple[str, str]] = Counter()
        self._gap: Gap | None = None
        self._owed = self.concurrency
        """New connections that are to be expected: one of each worker, and one for each that a
        failure has cost."""
        self._has_cache = False
        self._ended_ns = 0
        self._told_rtt = 0.5
        """Share of the attempts, lately, that told a round trip of their own."""

    def configure(self, info: RouteInfo) -> None:
        """Take the settings an engine begins with; what was learned stays."""
        self.info = info
        self.name = info.name
        self.place = info.place
        self.host = _host_of(info.base_url)
        self.is_paused = info.paused
        self.concurrency = int(_bounded(info.concurrency))
        self.adaptive = info.adaptive
        """The concurrency finds itself, and goes no lower than `concurrency_min`."""
        self.concurrency_min = info.concurrency_min
        self.interval_s = _bounded(info.interval)
        self.rate = _bounded(info.rate) if info.pace != "interval" else 0.0
        """Probes a second of an open pace; 0 where it is closed."""
        self._stall_ns = longest_gap_ns(_bounded(info.stall_after))

    # From run to run.

    def remember(self, event: Reference) -> None:
        """Begin with what an earlier run had learnt; only before the first attempt."""
        if self.cohort and not self.info.is_mix:
            return
        name = band_of(event.cohort)
        if name in self.bands or len(self.bands) >= max(_BANDS_KEPT, len(self.info.shapes)):
            return
        if self.info.is_mix:
            band = self._band_in_mix(event.cohort)
        else:
            self._take_cohort(event.cohort)
            band = self.band
        band.remembered = event
        of_it = {series.kind.figure: series for series in (*band, band.input, band.output)}
        of_it |= {series.kind.figure: series for series in self._of_the_route}
        for known in event.series:
            series = of_it.get(known.figure)
            if series is not None:
                series.level.remember(known.values, known.n, known.scores)
        shares = {share.figure: share for share in self._shares_learned}
        for share_known in event.shares:
            share = shares.get(share_known.figure)
            if share is not None:
                share.test.remember(share_known.share)

    def references(self, at_ns: int, wall_ns: int) -> list[Reference]:
        """Return what is usual by now, for a later run to start from; one for each cohort."""
        shares = tuple(
            ShareReference(figure=share.figure, share=short(known[0]), seconds=round(known[1]))
            for share in self._shares_learned
            if (known := share.test.reference()) is not None
        )
        found = []
        for band in self.bands.values():
            of_it = (*band, band.input, band.output, *self._of_the_route)
            series = tuple(
                SeriesReference(
                    figure=one.kind.figure,
                    values=tuple([round(value, _DIGITS) for value in known[0]]),
                    n=known[1],
                    scores=(short(known[2][0]), short(known[2][1]), short(known[2][2])),
                )
                for one in of_it
                if (known := one.level.reference()) is not None
            )
            if not self._wait_of(band).level.n_usual or not series:
                continue
            found.append(
                Reference(
                    at_ns=at_ns,
                    route=self.name,
                    cohort=band.cohort,
                    wall_ns=wall_ns,
                    series=series,
                    shares=shares,
                    ttft_s=band.felt.ttft.reference(),
                    e2e_s=band.felt.e2e.reference(),
                )
            )
        return found

    @property
    def _shares_learned(self) -> tuple[Shares, ...]:
        """Shares of what may well be always so, which a run learns before it judges them."""
        return (self.stalled, self.cold, self.uncached, self.resent, self.reordered)

    def _settle_remembered(self, band: Band) -> None:
        """Take over what was felt, once it is known whether the waits are as they were."""
        level, event = self._wait_of(band).level, band.remembered
        if event is None or level.is_on_trial:
            return
        band.remembered = None
        if level.n_usual >= LEARNED:
            band.felt.ttft.remember(event.ttft_s)
            band.felt.e2e.remember(event.e2e_s)

    def engine_died(self) -> None:
        """Forget what only the former engine could have finished."""
        self._open.clear()
        self.held.clear()
        self._owed = self.concurrency
        self.oldest_phase = None
        for band in self.bands.values():
            for series in band:
                series.level.forget_open()

    # Events.

    def attempt_started(self, event: AttemptStarted) -> None:
        """Open a request."""
        band = self.band
        if self.info.is_mix:
            band = self._band_in_mix(event.cohort)
        elif event.cohort != self.cohort:
            self._take_cohort(event.cohort)
            band = self.band
        if len(self._open) < _OPEN_KEPT:
            self._open[event.probe, event.attempt] = _Open(
                event.at_ns, band, evidence=event.evidence
            )

    def first_token(self, event: FirstToken) -> None:
        """Note that a request has its first output."""
        request = self._open.get((event.probe, event.attempt))
        if request is not None:
            request.first_ns = event.at_ns

    def attempt_finished(self, event: AttemptFinished) -> None:
        """Take an attempt: how it ended, and what it measured."""
        request = self._open.pop((event.probe, event.attempt), None)
        if not speaks_of_route(event):
            return
        stamps = event.stamps_ns
        began_ns = event.at_ns if stamps.started is None else min(stamps.started, event.at_ns)
        if self._gap is not None and began_ns < self._gap.at_ns:
            return
        rate, kind = rate_limit_of(event), failure_of(event)
        if began_ns < self.stale_before_ns and event.outcome == "timeout":
            return
        failure = None if kind is None else kind.cause
        words = (event.message or event.reason)[:_WORDS_KEPT]
        self.ends.append(End(began_ns, event.at_ns, failure, rate, words, event.status))
        # A limit that finds itself is found by being refused, and steps back: a share of 429s is
        # its way of working as long as it can go lower. A row of them is not.
        if rate is None or not self.adaptive or self.concurrency <= self.concurrency_min:
            self.throttled.add(event.at_ns, rate is not None, began_ns, evidence=event.evidence)
        if rate is not None:
            self.throttled_in_a_row += 1
            self.ok_in_a_row = 0
            return
        self.failed.add(event.at_ns, kind is not None, began_ns, evidence=event.evidence)
        if kind is not None:
            same = self.row is not None and self.row[0] == kind
            self.row = (
                (kind, self.row[1] + 1, self.row[2])
                if same and self.row is not None
                else (kind, 1, began_ns)
            )
            self.ok_in_a_row = 0
            self._owed = min(self._owed + 1, _OPEN_KEPT)
        else:
            self.row = None
            self.ok_in_a_row += 1
            self.ok += 1
            self.throttled_in_a_row = 0
            if self.last_ok_began_ns is None or began_ns > self.last_ok_began_ns:
                self.last_ok_began_ns = began_ns
        if event.right is not None:
            self.wrong.add(event.at_ns, not event.right, began_ns, evidence=event.evidence)
            if not event.right:
                self.wrong_answers.appendleft((began_ns, event.message[:_EXAMPLE_KEPT]))
        band = self.band if request is None else request.band
        self._measure(event, began_ns, band, is_sampled=request is not None and request.is_sampled)

    def probe_finished(self, event: ProbeFinished) -> None:
        """Note how a probe ended, its retries included."""
        if event.outcome == "cancelled" or event.flagged:
            return
        began_ns = min(event.started_ns, event.at_ns)
        self.probes.append(ProbeEnd(began_ns, not is_whole(event), event.attempts))
        if (
            event.outcome != "ok"
            or event.attempts > 1
            or event.evidence
            or (self._gap is not None and began_ns < self._gap.at_ns)
        ):
            return
        band = self.band
        if self.info.is_mix:
            band = self.bands.get(band_of(event.cohort), band)
        if event.cohort not in ("", band.cohort):
            return
        felt = band.felt
        if event.first_token_ns is not None:
            felt.ttft.add(max(0, event.first_token_ns - began_ns) / NS_PER_S)
        if event.done_ns is not None:
            felt.e2e.add(max(0, event.done_ns - began_ns) / NS_PER_S)

    def turned(self, event: Knob) -> None:
        """Note a knob of ours."""
        before, after = _bounded(event.before), _bounded(event.after)
        match event.knob:
            case "auto":
                self.adaptive = bool(event.after)
            case "concurrency":
                # A limit that is tried one further now and then explains nothing that is slower.
                if after > before * (_MUCH_MORE if event.who == BY_ITSELF else 1):
                    self._asked_for_more(event)
                if after > before:
                    self._owed = min(self._owed + int(after - before), _OPEN_KEPT)
                self.concurrency = int(after)
            case "interval" | "rate":
                self._turn_pace(event, before, after)
            case "max_tokens":
                for band in self.bands.values():
                    band.output = JudgedSeries(OUTPUT, LevelShift.heir(band.output.level))
                    band.whole = JudgedSeries(WHOLE, LevelShift.heir(band.whole.level))
                self._gather()
            case "paused":
                self.is_paused = bool(event.after)
                self._owed = max(self._owed, self.concurrency)
            case "usual":
                self.settle()
                self.is_accepted = True
            case _:
                pass

    def _turn_pace(self, event: Knob, before: float, after: float) -> None:
        if event.knob == "rate":
            self.rate = after
        else:
            self.interval_s = after
        if (after > before) if event.knob == "rate" else (after < before):
            self._asked_for_more(event)
        self._owed = max(self._owed, self.concurrency)

    def _asked_for_more(self, event: Knob) -> None:
        """Note a knob that was turned up, with what it stood at before the first of several steps:
        to put back the last one alone would hardly help."""
        # What it is put back to is told as advice, so that it must be a setting.
        before, last = _bounded(event.before), self.raised
        if last is not None and is_next_step(last, event):
            before = last.before
        self.raised = msgspec.structs.replace(event, before=before)

    def holding(self, event: Held) -> None:
        """Note that new attempts are held back, or let go again."""
        if event.released:
            self.held.discard(event.reason)
            self._owed = max(self._owed, self.concurrency)
        else:
            self.held.add(event.reason)

    def counted(self, counts: RouteCounts) -> None:
        """Note what a tick says of the route."""
        self.oldest_phase = counts.oldest_phase

    def slept(self, gap: Gap) -> None:
        """Note that the engine did not run: what was open then has no age that counts."""
        self._gap = gap
        self._owed = max(self._owed, self.concurrency)

    def settle(self) -> None:
        """Take the present levels for the usual ones."""
        for test in self.tests:
            if isinstance(test, JudgedSeries):
                test.level.settle()
        bands = [*self.bands.values()] if self.info.is_mix else [self.band]
        for band in bands:
            for series in (*band, band.input, band.output) if band is not self.band else ():
                series.level.settle()
            band.felt.ttft.settle()
            band.felt.e2e.settle()
        # Of failures, 429s, pauses and wrong answers no share is ever usual.
        for share in (self.cold, self.uncached, self.resent, self.reordered):
            share.test.settle()
        self._known_builds.clear()
        self.other_build = Shares("other_model_share")
        self._gather()

    def close(self, now_ns: int) -> None:
        """Judge the second that ends now, and let what is open lend its age."""
        self.now_ns = now_ns
        # Outside a mix what still waits in another band says nothing of how it is now.
        judged = [*self.bands.values()] if self.info.is_mix else [self.band]
        ages: dict[Band, list[tuple[int, float]]] = {band: [] for band in judged}
        self._take_ages(ages, now_ns)
        for band in self.bands.values():
            for series in (*band, band.input, band.output):
                series.close(now_ns)
        for series in self._of_the_route:
            series.close(now_ns)
        for band in judged:
            if band.remembered is not None:
                self._settle_remembered(band)
        of_all = max(test.rank for test in self._felt_by)
        for band, waiting in ages.items():
            wait = self._wait_of(band)
            wait.lend(waiting, now_ns)
            rank = max(of_all, band.output.rank, *(series.rank for series in band))
            for felt in (band.felt.ttft, band.felt.e2e):
                felt.close(wait.level.guard, in_doubt=rank > 0, in_alarm=rank >= RANK["named"])
        if self.info.is_mix:
            self._focus()

    def _take_ages(self, ages: dict[Band, list[tuple[int, float]]], now_ns: int) -> None:
        """Note what is open by its band: the age of what waits, and what was waited for before a
        long stream."""
        from_ns = 0 if self._gap is None else self._gap.at_ns
        for request in self._open.values():
            began_ns = max(request.began_ns, from_ns)
            if request.first_ns is None:
                if request.band in ages:
                    ages[request.band].append((began_ns, (now_ns - began_ns) / NS_PER_S))
            elif not request.is_sampled and now_ns - request.first_ns > _LONG_STREAM_NS:
                request.is_sampled = True
                if request.began_ns >= from_ns:
                    waited_s = (request.first_ns - request.began_ns) / NS_PER_S
                    request.band.wait.add(waited_s, request.began_ns, evidence=request.evidence)

    # What is asked of it.

    @property
    def wait_series(self) -> JudgedSeries:
        """What a user waits for: the first token, or the whole of what comes whole."""
        return self._wait_of(self.band)

    def _wait_of(self, band: Band) -> JudgedSeries:
        return band.wait if self.info.streamed else band.whole

    @property
    def input(self) -> JudgedSeries:
        """What prompts are counted."""
        return self.band.input

    @property
    def output(self) -> JudgedSeries:
        """What answers are counted."""
        return self.band.output

    @property
    def shape(self) -> str:
        """The shape in focus of a mix; empty without one."""
        return shape_of(self.cohort) if self.info.is_mix else ""

    @property
    def pace_s(self) -> float:
        """Seconds from one probe of the route to the next, as wanted."""
        return 1 / self.rate if self.rate else self.interval_s / max(1, self.concurrency)

    @property
    def open_requests(self) -> int:
        """Requests in flight."""
        return len(self._open)

    @property
    def is_probed(self) -> bool:
        """Whether anything is sent: neither paused nor held."""
        return not self.is_paused and not self.held

    @property
    def learned(self) -> bool:
        """Whether it is known what is usual."""
        return self.wait_series.level.level != "learning"

    def oldest_open_ns(self, from_ns: int) -> int | None:
        """Return when the oldest open request began, of those from a stamp on; None without one."""
        return min(
            (one.began_ns for one in self._open.values() if one.began_ns >= from_ns), default=None
        )

    def hanging(self, now_ns: int, patience: float = 1.0) -> Hang | None:
        """Return the oldest open request of those that nothing which began later has overtaken.

        None where it may still be slow. `patience` is a part of what is waited for before that is
        said: a probe that asks anew may be sent sooner.
        """
        if not self._open:
            return None
        ok_ns = -1 if self.last_ok_began_ns is None else self.last_ok_began_ns
        oldest: dict[bool, int] = {}
        for request in self._open.values():
            writes, began_ns = request.first_ns is not None, request.began_ns
            if ok_ns < began_ns < oldest.get(writes, began_ns + 1):
                oldest[writes] = began_ns
        from_ns = 0 if self._gap is None else self._gap.at_ns
        # Silence first: it says more than a stream that pauses.
        for writes in (False, True):
            if writes in oldest:
                began_ns = max(oldest[writes], from_ns)
                age_s = (now_ns - began_ns) / NS_PER_S
                if age_s > patience * self._patience_s(writes=writes):
                    return Hang(
                        began_ns,
                        age_s,
                        writes,
                        may_be_silence=writes and self._is_late(oldest.get(False), now_ns),
                    )
        return None

    def _is_late(self, began_ns: int | None, now_ns: int) -> bool:
        """Return whether a request has waited for longer than all but one in fifty do."""
        usual_s = self.band.wait.usual(0.98)
        late_s = self.slowest_wait_s if usual_s is None else usual_s
        return began_ns is not None and now_ns - began_ns > late_s * NS_PER_S

    def _patience_s(self, *, writes: bool) -> float:
        """Return how old a request may be before it hangs.

        A first token is waited for ten times as long as all but one of fifty took; a stream that
        has begun may write for as long as such an answer takes, and once more.
        """
        least_s = PATIENCE_S if self.oldest_phase is not None else UNTOLD_PATIENCE_S
        # Which shape a request of a mix is of does not matter: the slowest is waited for longest.
        bands = self.bands.values() if self.info.is_mix else (self.band,)
        known = [usual for band in bands if (usual := band.wait.usual(0.98)) is not None]
        known = known or [usual for band in bands if (usual := band.whole.usual(0.98)) is not None]
        if len(known) < len(bands):
            # The slowest seen so far, once there are some; what thinks may think for long.
            seen_s = self.slowest_wait_s if self.ok >= _SOME else _MOST_EXPECTED_S / TIMES_USUAL
            known.append(seen_s)
        goal_s = self.info.goal_ttft_s or 0.0
        patience_s = max(least_s, TIMES_USUAL * max(known), 2 * goal_s)
        if writes:
            patience_s = max(patience_s, _STREAMS_S, 3 * self.slowest_answer_s)
        return patience_s

    # What an attempt measured.

    def _measure(
        self, event: AttemptFinished, began_ns: int, band: Band, *, is_sampled: bool
    ) -> None:
        stamps, evidence = event.stamps_ns, event.evidence
        self._measure_path(event, began_ns)
        if stamps.first_token is not None and event.ttft_kind not in ("buffered", "not_streamed"):
            sent_ns = began_ns if stamps.sent is None else stamps.sent
            waited_s = max(0, stamps.first_token - sent_ns) / NS_PER_S
            self.slowest_wait_s = max(self.slowest_wait_s, waited_s)
            if not is_sampled:
                band.wait.add(waited_s, began_ns, evidence=evidence)
            self._measure_writing(event, began_ns, band)
        elif is_whole(event) and stamps.done is not None:
            sent_ns = began_ns if stamps.sent is None else stamps.sent
            whole_s = max(0, stamps.done - sent_ns) / NS_PER_S
            self.slowest_wait_s = max(self.slowest_wait_s, whole_s)
            band.whole.add(whole_s, began_ns, evidence=evidence)
        if is_whole(event):
            self._measure_answer(event, began_ns, band)
        self._ended_ns = event.at_ns

    def _measure_answer(self, event: AttemptFinished, began_ns: int, band: Band) -> None:
        """Take what is known of a whole answer: its tokens, and who gave it."""
        evidence, first_ns = event.evidence, event.stamps_ns.first_token
        if first_ns is not None:
            written_s = (event.at_ns - first_ns) / NS_PER_S
            self.slowest_answer_s = max(self.slowest_answer_s, written_s)
        if event.input_tokens is not None and is_exact(event):
            band.input.add(event.input_tokens, began_ns, evidence=evidence)
            if event.cached_tokens:
                self._has_cache = True
            if self._has_cache:
                self.uncached.add(event.at_ns, not event.cached_tokens, began_ns, evidence=evidence)
        if event.output_tokens is not None and is_exact(event):
            band.output.add(event.output_tokens, began_ns, evidence=evidence)
        if event.served_model or event.fingerprint:
            self._measure_build(event, began_ns)
        self._measure_load(event, began_ns)

    def _measure_path(self, event: AttemptFinished, began_ns: int) -> None:
        evidence = event.evidence
        # A server whose answer is there at once hides its acknowledgement in it: while all is well
        # few of its attempts tell their own round trip, and the shortest so far stands for them.
        rtt_ns = event.rtt_ns
        self._told_rtt += ((rtt_ns is not None) - self._told_rtt) / _TOLD_OF
        if rtt_ns is None and self._told_rtt < 0.5:
            rtt_ns = event.rtt_min_ns
        if rtt_ns is not None:
            self.has_path = True
            self.rtt.add(rtt_ns / NS_PER_S, began_ns, evidence=evidence)
        if event.retransmits is not None:
            self.resent.add(event.at_ns, event.retransmits > 0, began_ns, evidence=evidence)
        if event.retransmits or event.reordered:
            self.clean_in_a_row = 0
        else:
            self.clean_in_a_row += 1
        if event.reordered is not None:
            self.reordered.add(event.at_ns, event.reordered > 0, began_ns, evidence=evidence)
        self._measure_connecting(event, began_ns)

    def _measure_connecting(self, event: AttemptFinished, began_ns: int) -> None:
        """Take what setting up a connection took, where there was none."""
        stamps, evidence = event.stamps_ns, event.evidence
        if stamps.tcp is not None:
            looked_up_ns = began_ns if stamps.dns is None else stamps.dns
            if stamps.dns is not None:
                self.dns.add(max(0, stamps.dns - began_ns) / NS_PER_S, began_ns, evidence=evidence)
            self.tcp.add(max(0, stamps.tcp - looked_up_ns) / NS_PER_S, began_ns, evidence=evidence)
            if stamps.tls is not None:
                tls_s = max(0, stamps.tls - stamps.tcp) / NS_PER_S
                self.tls.add(tls_s, began_ns, evidence=evidence)
        if evidence:
            return  # it may have asked for a fresh connection
        if event.cold and self._owed:
            self._owed -= 1
        else:
            self.cold.add(event.at_ns, event.cold, began_ns)

    def _measure_writing(self, event: AttemptFinished, began_ns: int, band: Band) -> None:
        """Take how fast an answer was written: its pauses apart from the rest."""
        per_token_s = seconds_per_token(event)
        if event.chunks < 3:
            return
        paused_ns, is_stalled = 0, False
        if event.longest_gap_ns > self._stall_ns // 2 and len(event.chunk_offsets_ns) > 2:
            gaps = [after - before for before, after in pairwise(event.chunk_offsets_ns)]
            usual_ns = sorted(gaps)[len(gaps) // 2]
            pauses = [gap for gap in gaps if gap > max(_GAP_TIMES_USUAL * usual_ns, self._stall_ns)]
            is_stalled = bool(pauses)
            paused_ns = sum(
                gap - usual_ns
                for gap in gaps
                if gap > max(_GAP_TIMES_USUAL * usual_ns, self._stall_ns // 2)
            )
        self.stalled.add(event.at_ns, is_stalled, began_ns, evidence=event.evidence)
        band.gap.add(event.longest_gap_ns / NS_PER_S, began_ns, evidence=event.evidence)
        if per_token_s is not None:
            tokens = tokens_after_first_chunk(event) or 1
            written_s = max(per_token_s - paused_ns / NS_PER_S / tokens, per_token_s / 100)
            band.per_token.add(written_s, began_ns, evidence=event.evidence)

    def _measure_load(self, event: AttemptFinished, began_ns: int) -> None:
        """Take a server's word that it loaded the model, where that is what the request waited for;
        and without its word what the first request after a long silence waited.

        Some say so of every request, in milliseconds; some keep no model loaded, which is usual.
        """
        if self._is_long_load(event.server_claims) or self._is_after_idle(event, began_ns):
            if self.loading_since_ns is None:
                self.load_waits_s.clear()
                self.loading_since_ns = began_ns
            self.load_waits_s.append(_waited_s(event, began_ns))
            self.unloaded_in_a_row = 0
        elif self.loading_since_ns:
            self.unloaded_in_a_row += 1
            if self.unloaded_in_a_row >= _LOADED_AGAIN:
                self.loading_since_ns = None

    def _is_long_load(self, claims: Sequence[ServerClaim]) -> bool:
        loads_s = 0.0
        for claim in claims:
            if claim.interval == "load":
                loads_s = max(loads_s, claim.seconds)
        if loads_s < _LOAD_S:
            return False
        usual_s = self.wait_series.usual(0.5)
        return usual_s is None or loads_s >= usual_s

    def _is_after_idle(self, event: AttemptFinished, began_ns: int) -> bool:
        """Return whether it waited for long because nothing was asked for long."""
        if began_ns - self._ended_ns < max(_IDLE_S, 4 * self.pace_s) * NS_PER_S:
            return False
        slowest_s = self.wait_series.usual(0.98)
        if slowest_s is None:
            return False
        waited_ns = (event.stamps_ns.first_token or event.at_ns) - began_ns
        return waited_ns >= max(3 * slowest_s, slowest_s + 1.0) * NS_PER_S

    def _measure_build(self, event: AttemptFinished, began_ns: int) -> None:
        build = (event.served_model[:_WORDS_KEPT], event.fingerprint[:_WORDS_KEPT])
        known = self._known_builds
        if known.total() < _BUILDS_LEARNED:
            known[build] += 1
            return
        # Of a stream that broke off, or of a server that says one of them seldom, half is known.
        is_other = not any(
            all(not ours or ours == theirs for ours, theirs in zip(build, one, strict=True))
            for one in known
        )
        if is_other:
            self.build = " ".join(word for word in build if word)
        self.other_build.add(event.at_ns, is_other, began_ns, evidence=event.evidence)

    def _take_cohort(self, cohort: str) -> None:
        if cohort.partition("/")[0] != self.cohort.partition("/")[0]:
            for band in self.bands.values():
                band.felt.e2e = FeltTimes()  # of answers of another length
        self.cohort = cohort
        self._take_band(band_of(cohort))
        self.band.cohort = cohort

    def _band_in_mix(self, cohort: str) -> Band:
        """Return the series of a shape, which are its own whatever was asked for before."""
        name = band_of(cohort)
        band = self.bands.get(name)
        if band is None:
            if len(self.bands) >= max(_BANDS_KEPT, len(self.info.shapes)):
                self.bands.pop(
                    next(name for name, one in self.bands.items() if one is not self.band)
                )
            band = self.bands[name] = Band()
        if band.cohort.partition("/")[0] != cohort.partition("/")[0]:
            band.felt.e2e = FeltTimes()  # of answers of another length
        band.cohort = cohort
        if not self.cohort or band is self.band:
            self._look_at(band)
        return band

    def _focus(self) -> None:
        """Look at the shape that is ill; while none is, at the one that comes most.

        One that is in doubt keeps the focus until it is out of it, or two that are ill would be
        told by turns.
        """
        ranks = {band: max(series.rank for series in band) for band in self.bands.values()}
        if ranks.get(self.band, 0) or any(series.level.clearing for series in self.band):
            return
        worst = max(ranks, key=ranks.__getitem__, default=self.band)
        if not ranks.get(worst, 0):
            main = (band for band in ranks if shape_of(band.cohort) == self.info.shapes[0])
            worst = next(main, self.band)
        if worst is not self.band:
            self._look_at(worst)

    def _look_at(self, band: Band) -> None:
        self.cohort = band.cohort
        if band is not self.band:
            self.band = band
            self._gather()

    def _take_band(self, name: str) -> None:
        band = self.bands.get(name)
        if band is self.band:
            return
        if band is None:
            if len(self.bands) >= _BANDS_KEPT:
                del self.bands[next(iter(self.bands))]
            band = Band()
        else:
            del self.bands[name]
        # What waits there still is told apart from now on.
        for series in self.band:
            series.level.forget_open()
        self.bands[name] = self.band = band
        self._gather()

    def _gather(self) -> None:
        """Put together what is asked each second, after one of it was replaced."""
        self._of_the_route = (self.rtt, self.dns, self.tcp, self.tls)
        self.tests: tuple[JudgedSeries | Shares, ...] = (
            *(self.failed, self.throttled, *self.band, *self._of_the_route),
            *(self.input, self.output),
            *(self.stalled, self.cold, self.uncached, self.other_build, self.wrong),
            *(self.resent, self.reordered),
        )
        self._felt_by = (*self._of_the_route, self.stalled)
        if self.place:
            for test in self.tests:
                if isinstance(test, JudgedSeries):
                    test.keep_newest()


def _waited_s(event: AttemptFinished, began_ns: int) -> float:
    """Return what an answer was waited for behind the connection: its first token, or all of it."""
    stamps = event.stamps_ns
    sent_ns = began_ns if stamps.sent is None else stamps.sent
    return max(0, (stamps.first_token or stamps.done or event.at_ns) - sent_ns) / NS_PER_S


def _bounded(value: float) -> float:
    """Return a setting within what is reckoned with; 0 for what is no number."""
    return min(value, _MOST_SET) if value > 0 else 0.0


def _host_of(base_url: str) -> str:
    """Return host and port that a URL names; of one that is none the whole of it."""
    try:
        return urlsplit(base_url).netloc or base_url
    except ValueError:
        return base_url
