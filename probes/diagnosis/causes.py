"""What is wrong with one route: from its series, shares and open requests to causes.

Rule 1. Each kind of symptom has a *slot*, and an alarm in it has one cause. An alarm begins when
        its test is at `perhaps` and ends when its test is well again.
Rule 2. What is explained is no incident of its own: slots are judged in the order of `SLOTS`, and
        an alarm whose onset lies near that of an earlier one which explains such a thing
        (`_EXPLAINS`) belongs to it. It stays explained until it is over, for causes may pass
        sooner than what they brought about: a cache is filled again seconds before the latency is
        well.
Rule 3. A named cause changes only where another one has held for some seconds.
Rule 4. A latency is named a few seconds late where something that would explain it is suspected.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from probes.diagnosis.route_watch import End, Hang, RouteWatch
from probes.diagnosis.series import JudgedSeries, Shares
from probes.events import Cause
from probes.events.diagnosis_words import wrong_words
from probes.kit.clock import NS_PER_S

Slot: TypeAlias = Literal[
    "observer",  # our own machine
    "load",  # the model is loaded
    "fails",  # attempts fail, or nothing comes at all
    "throttles",  # 429s
    "path",  # round trips, loss, connection set-up
    "dns",
    "tls",
    "build",  # another model or build answers
    "answers",  # whole answers are not what is expected
    "input",  # input tokens
    "cache",  # the prompt cache
    "churn",  # new connections where they were kept
    "stalls",  # pauses in some streams
    "wait",  # up to the first token
    "write",  # from there on
    "output",  # output tokens
]
SLOTS: Final[tuple[Slot, ...]] = get_args(Slot)

_SOON_NS: Final = 30 * NS_PER_S
"""Onsets that lie no further apart are those of one fault: a small shift is found late, and its
onset is known the worse."""
_LATENCIES: Final[frozenset[Slot]] = frozenset(("wait", "write", "path", "tls", "dns", "stalls"))
_EXPLAINS: Final[Mapping[Slot, frozenset[Slot]]] = {
    # A busy machine is late with everything that it dates.
    "observer": _LATENCIES,
    "load": frozenset(("fails", "wait", "path")),
    # A server that fails is slow with what it does answer, and drops connections; what fails on the
    # way is slow on the way.
    "fails": frozenset((*_LATENCIES, "churn", "cache", "output", "throttles")),
    # Lost segments are pauses and late tokens, and connections that break are made anew.
    "path": frozenset(("dns", "tls", "wait", "write", "stalls", "churn")),
    "dns": frozenset(("path", "wait")),
    "tls": frozenset(("path", "wait")),
    # Another model has another speed, another tokenizer and other answers.
    "build": frozenset(("answers", "input", "cache", "wait", "write", "output")),
    # What is talked beside the point is of another length.
    "answers": frozenset(("output",)),
    # A prompt that has changed is in no cache, and takes longer to read.
    "input": frozenset(("cache", "wait")),
    "cache": frozenset(("wait",)),
    "churn": frozenset(("path", "tls", "wait")),
    "stalls": frozenset(("write",)),
    "wait": frozenset(("write",)),
    "write": frozenset(("wait", "stalls")),
    "throttles": frozenset(),
    "output": frozenset(),
}
_LASTING: Final[frozenset[Slot]] = frozenset(("observer", "path", "build"))
_FAILURES_THAT_SLOW: Final[frozenset[Cause]] = frozenset(
    (
        *("no_answer", "outage", "provider_overloaded", "stream_stalls"),
        *("network_path", "dns", "tls"),
    )
)
"""A server that answers one request in five with a 500 has no reason to be slow with the others."""
_SILENT: Final[frozenset[Cause]] = frozenset(("no_answer", "stream_stalls", "network_path"))
"""What time-outs speak of."""
_SIBLINGS: Final[frozenset[Slot]] = frozenset(("wait", "write"))
_LARGE: Final = 1.6
_AS_LARGE: Final = 0.6
"""Of the logarithm of the other shift, beside which a second one is no by-product of it."""
_SOME: Final = 8
"""Samples from which on a shift's size is known well enough for that."""
_HOLD_NS: Final = 4 * NS_PER_S
"""So long a latency waits for what may explain it."""
_CHANGES_AFTER_NS: Final = 2 * NS_PER_S
"""So long another cause must have held before a named one changes."""
_OURS_NS: Final = 60 * NS_PER_S
"""So long after we asked for more, what slows is our own load."""
_ONSET_ERROR_NS: Final = 12 * NS_PER_S
"""An onset is known to within so much: noise before it may have begun the evidence."""
_NOTHING_SUCCEEDS: Final = 5
"""Failures without a success among them that are an outage; at one in two they are 3 % likely."""
_THROTTLED_IN_A_ROW: Final = 4
"""429s without a success between them: a route that cools down is asked too seldom for a share."""
_WELL_AGAIN: Final = 3
"""Successes in a row that end what was named for failures in a row, or for silence."""
SURELY_WELL: Final = 5
_SURE: Final = 9.5
"""Successes in a row that end an alarm: as many as are one chance in thirteen thousand at its
share, for it is asked of each of them; and five of what nothing succeeded in."""
_OUTLIVES_NS: Final = 120 * NS_PER_S
"""What was explained and goes on for so long after its explanation is a fault of its own."""
_SAVED: Final = 15
"""Probes without a loss that show that retries save them, whatever the share says."""
_MOST_RETRIES: Final = 100
"""More than anybody sets; of more a power may be too small for a number."""
_CLEAN: Final = 3
"""Attempts in a row without a lost segment that end a loss, times its share: at the old share they
would be one chance in twenty, and round trips are well again, too."""


@dataclass(slots=True, eq=False)
class Alarm:
    """One symptom of a route that is out of order."""

    slot: Slot
    cause: Cause
    since_ns: int
    """Its onset."""
    begun_ns: int
    """When it was noticed."""
    is_named: bool = False
    explained_by: "Alarm | None" = None
    is_over: bool = False
    over_ns: int = 0
    detail: str = ""
    """The server's words, or what came of it that was wrong."""
    status: int | None = None
    is_of_round_trips: bool = False
    """Of the way there: longer round trips named it."""
    is_accepted: bool = False
    """It is over because its level was taken for the usual one."""
    cause_ns: int = 0
    """When it took its cause."""
    _held_ns: int | None = None
    _other: Cause | None = None
    _other_ns: int = 0

    def becomes(self, cause: Cause, now_ns: int) -> None:
        """Take what is the likeliest cause now."""
        if cause == self.cause:
            self._other = None
            return
        if cause != self._other:
            self._other, self._other_ns = cause, now_ns
        if not self.is_named or now_ns - self._other_ns >= _CHANGES_AFTER_NS:
            self.cause, self.cause_ns, self._other = cause, now_ns, None

    def waits(self, now_ns: int) -> bool:
        """Return whether it is still to be held back; the first that asks starts the clock."""
        if self._held_ns is None:
            self._held_ns = now_ns
        return now_ns - self._held_ns < _HOLD_NS


class _Reading(NamedTuple):
    """What a slot's tests say now."""

    rank: int
    """By `series.RANK`."""
    since_ns: int
    cause: Cause


class Surroundings(NamedTuple):
    """What is known beyond the route, for its causes."""

    now_ns: int
    is_observer_late: bool = False
    """Our own loop is late, so that latencies are to be held back."""
    observer_since_ns: int | None = None
    """Since when our own machine is the likeliest cause of what slows; None where it is not."""
    silent_hosts: frozenset[str] = frozenset()
    """Hosts that answer a route nothing."""
    hosts_way: frozenset[str] = frozenset()
    """Hosts of which all routes got slower in the way a bad path makes them."""


class RouteCauses:
    """The alarms of one route."""

    def __init__(self, watch: RouteWatch) -> None:
        self.watch = watch
        self.alarms: dict[Slot, Alarm] = {}
        self._forced: Literal["", "row", "hang"] = ""
        """Failures were named without statistics."""
        self._hang_ns = 0
        self._hung_cause: Cause = "no_answer"
        self._throttled_in_a_row = False

    def judge(self, around: Surroundings) -> bool:
        """Judge the route after a second, or after what speaks for itself; return whether there is
        something to be told."""
        is_accepted, self.watch.is_accepted = self.watch.is_accepted, False
        if not self.alarms and self._is_quiet(around):
            return False
        has_news = False
        for slot in SLOTS:
            reading = self._read(slot, around)
            alarm = self.alarms.get(slot)
            if alarm is None:
                if reading is None or reading.rank < 2:
                    continue
                alarm = Alarm(slot, reading.cause, reading.since_ns, around.now_ns)
                self.alarms[slot] = alarm
                has_news = True
            elif reading is None or reading.rank == 0:
                alarm.is_over, alarm.over_ns = True, around.now_ns
                alarm.is_accepted = is_accepted
                del self.alarms[slot]
                has_news = True
                continue
            before = (alarm.cause, alarm.is_named, alarm.explained_by)
            self._advance(alarm, reading, around)
            has_news = has_news or before != (alarm.cause, alarm.is_named, alarm.explained_by)
        return has_news

    def gone(self) -> None:
        """End what is said of a route that is probed no more: nobody will see it get well."""
        for alarm in self.alarms.values():
            alarm.is_over = True
        self.alarms.clear()

    @property
    def is_silent(self) -> bool:
        """Whether requests are taken and nothing comes back."""
        return self._forced == "hang" and self._hung_cause == "no_answer"

    def _is_quiet(self, around: Surroundings) -> bool:
        """Return whether nothing is out of order: nearly always, so it must cost little."""
        watch = self.watch
        if (
            watch.row is not None
            or watch.throttled_in_a_row
            or watch.loading_since_ns is not None
            or around.observer_since_ns is not None
            or self._forced
        ):
            return False
        for test in watch.tests:
            if test.rank:
                return False
        return watch.hanging(around.now_ns) is None

    def _advance(self, alarm: Alarm, reading: _Reading, around: Surroundings) -> None:
        """Take what the tests of an alarm say now."""
        if alarm.slot == "fails":
            self._tell_failures(alarm)
        elif alarm.slot == "answers":
            newest = (one for one in self.watch.wrong_answers if one[0] >= alarm.since_ns)
            alarm.detail = wrong_words([told for _, told in newest]) or alarm.detail
        self._explain(alarm, around)
        if not alarm.is_named:
            alarm.since_ns = reading.since_ns
        else:
            alarm.since_ns = min(alarm.since_ns, reading.since_ns)
        alarm.becomes(reading.cause, around.now_ns)
        if reading.rank < 3 or alarm.is_named:
            return
        if alarm.slot in _LATENCIES and alarm.explained_by is None:
            may_be_explained = around.is_observer_late or any(
                rank == 1 and abs(since_ns - alarm.since_ns) <= _SOON_NS
                for rank, since_ns in self._explaining_suspicions(alarm.slot)
            )
            if may_be_explained and alarm.waits(around.now_ns):
                return
        alarm.is_named = True

    def _explain(self, alarm: Alarm, around: Surroundings) -> None:
        """Find the alarm that explains this one; what has been found stays."""
        by = alarm.explained_by
        if by is None:
            explaining = (other for other in self.alarms.values() if self._explains(other, alarm))
            alarm.explained_by = next(explaining, None)
        elif {alarm.slot, by.slot} == _SIBLINGS:
            is_young = around.now_ns - alarm.begun_ns <= _SOON_NS
            if is_young and self._is_as_large(alarm.slot):
                alarm.explained_by = None
        else:
            outlives_ns = max(_OUTLIVES_NS, round(12 * self.watch.pace_s * NS_PER_S))
            if by.is_over and around.now_ns - by.over_ns > outlives_ns:
                alarm.explained_by = None

    def _explains(self, other: Alarm, alarm: Alarm) -> bool:
        """Return whether an alarm explains another one."""
        if other is alarm or other.explained_by is not None:
            return False
        if alarm.slot not in _EXPLAINS[other.slot]:
            return False
        if other.slot == "fails" and other.cause not in _FAILURES_THAT_SLOW:
            return False
        # Of the two, the one that was noticed first brings the other along.
        if {alarm.slot, other.slot} == _SIBLINGS and (
            other.begun_ns > alarm.begun_ns or self._is_as_large(alarm.slot)
        ):
            return False
        return self._is_near(alarm, other)

    def _is_as_large(self, slot: Slot) -> bool:
        """Return whether of wait and writing this one is shifted as far as the other: a crowded
        server is somewhat slower in both, while two faults are two faults."""
        watch = self.watch
        shifts = watch.wait_series.shift(), watch.band.per_token.shift()
        own, other = shifts if slot == "wait" else reversed(shifts)
        if own is None or other is None or own.n_now < _SOME or own.low < _LARGE:
            return False
        return math.log(own.ratio) >= _AS_LARGE * math.log(max(other.ratio, 1.0))

    def _is_near(self, alarm: Alarm, other: Alarm) -> bool:
        """Return whether one fault may have brought about both: they began together, or were
        noticed together; for what lasts, its effects may begin at any time while it stands."""
        soon_ns = max(_SOON_NS, round(6 * self.watch.pace_s * NS_PER_S))
        if abs(other.since_ns - alarm.since_ns) <= soon_ns:
            return True
        if other.slot in _LASTING and alarm.since_ns > other.since_ns:
            return True
        return abs(other.begun_ns - alarm.begun_ns) <= soon_ns // 2

    def _explaining_suspicions(self, slot: Slot) -> Iterator[tuple[int, int]]:
        """Give rank and onset of the tests that may yet explain an alarm in `slot`."""
        watch = self.watch
        if slot not in _SIBLINGS:
            return
        tests: list[JudgedSeries | Shares] = [watch.rtt, watch.tcp, watch.resent, watch.reordered]
        tests += [watch.uncached, watch.input] if slot == "wait" else [watch.stalled]
        tests.append(watch.other_build)
        for test in tests:
            if test.since_ns is not None:
                yield test.rank, test.since_ns

    # What each slot's tests say.

    def _read(  # noqa: C901 - one line a slot
        self, slot: Slot, around: Surroundings
    ) -> _Reading | None:
        watch = self.watch
        match slot:
            case "observer":
                since_ns = around.observer_since_ns
                return None if since_ns is None else _Reading(3, since_ns, "local_observer")
            case "load":
                return self._loading()
            case "fails":
                return self._failing(around)
            case "throttles":
                return self._throttling()
            case "path":
                return self._on_the_way(around)
            case "dns":
                return _plain(watch.dns, "dns")
            case "tls":
                return _plain(watch.tls, "tls")
            case "build":
                return _plain(watch.other_build, "model_changed")
            case "answers":
                return _plain(watch.wrong, "wrong_answers")
            case "input":
                return _plain(watch.input, "prompt_growth")
            case "cache":
                return _plain(watch.uncached, "cache_loss")
            case "churn":
                return _plain(watch.cold, "connection_churn")
            case "stalls":
                return self._stalling()
            case "wait":
                return self._slowed(watch.wait_series, "provider_queueing")
            case "write":
                return self._slowed(watch.band.per_token, "provider_slow_decode")
            case "output":
                return _plain(watch.output, "output_growth")

    def _slowed(self, series: JudgedSeries, cause: Cause) -> _Reading | None:
        """Read a latency: ours, where we asked for more just before it began."""
        reading = _plain(series, cause)
        raised = self.watch.raised
        if reading is None or raised is None:
            return reading
        is_ours = -_ONSET_ERROR_NS <= reading.since_ns - raised.at_ns <= _OURS_NS
        return reading._replace(cause="own_load") if is_ours else reading

    def _stalling(self) -> _Reading | None:
        watch = self.watch
        share, gap = _plain(watch.stalled, "stream_stalls"), _plain(watch.band.gap, "stream_stalls")
        if share is not None and (gap is None or share.rank >= gap.rank):
            return share
        # Longer gaps in all streams are slow writing, which is known a little later; by themselves
        # they are pauses.
        is_early = watch.band.per_token.rank and self.alarms.keys().isdisjoint(("stalls", "write"))
        return share if gap is None or is_early else gap

    def _on_the_way(self, around: Surroundings) -> _Reading | None:
        watch = self.watch
        tests = (watch.rtt, watch.tcp, watch.resent, watch.reordered)
        alarm = self.alarms.get("path")
        if watch.rtt.rank == 3 and alarm is not None:
            alarm.is_of_round_trips = True
        for share in (watch.resent, watch.reordered):
            lossy = share.test.n - watch.clean_in_a_row
            lost = share.test.n_failed
            is_clean = lossy > 0 and lost * watch.clean_in_a_row >= _CLEAN * lossy
            # Where round trips told of it, they tell of its end, too: losses are rarer.
            is_clean = is_clean or (alarm is not None and alarm.is_of_round_trips)
            if is_clean and not watch.rtt.rank:
                share.test.clear()
        readings = [one for one in (_plain(test, "network_path") for test in tests) if one]
        if not watch.has_path and (watch.host in around.hosts_way or alarm is not None):
            felt = (watch.wait_series, watch.band.per_token, watch.band.gap)
            readings += [one for one in (_plain(test, "network_path") for test in felt) if one]
        if not readings:
            return None
        rank = max(one.rank for one in readings)
        return _Reading(rank, min(one.since_ns for one in readings), "network_path")

    def _loading(self) -> _Reading | None:
        """A server says that it loaded the model, and for that the request waited."""
        since_ns = self.watch.loading_since_ns
        return None if since_ns is None else _Reading(3, since_ns, "cold_start")

    def _throttling(self) -> _Reading | None:
        watch = self.watch
        share = _plain(watch.throttled, "rate_limited_requests")
        if watch.throttled_in_a_row >= _THROTTLED_IN_A_ROW:
            self._throttled_in_a_row = True
        elif watch.ok_in_a_row >= _WELL_AGAIN:
            self._throttled_in_a_row = False
        if share is None and not self._throttled_in_a_row:
            return None
        rates = [end for end in watch.ends if end.rate is not None]
        since_ns = share.since_ns if share is not None else 0
        if self._throttled_in_a_row and rates:
            row = rates[-max(watch.throttled_in_a_row, 1) :]
            since_ns = min(since_ns or row[0].began_ns, row[0].began_ns)
        causes = [end.rate for end in rates if end.began_ns >= since_ns and end.rate is not None]
        cause: Cause = (
            max(sorted(set(causes)), key=causes.count) if causes else ("rate_limited_requests")
        )
        rank = 3 if self._throttled_in_a_row else 0
        return _Reading(max(rank, 0 if share is None else share.rank), since_ns, cause)

    # Failures and silence.

    def _failing(self, around: Surroundings) -> _Reading | None:
        watch = self.watch
        share = _plain(watch.failed, "provider_errors")
        hang = watch.hanging(around.now_ns)
        row = watch.row
        if hang is not None and hang.may_be_silence and self._forced != "hang":
            hang = None  # what waits beside it says more, and soon
        if hang is not None:
            self._hangs(hang, around)
        elif row is not None and row[0].in_a_row is not None and row[1] >= row[0].in_a_row:
            self._forced = self._forced or "row"
        elif self._forced and watch.ok_in_a_row >= _WELL_AGAIN:
            self._forced = ""
        if "fails" in self.alarms and hang is None and self._is_surely_well():
            self._forced, watch.row, row = "", None, None
            watch.failed.test.clear()
            share = None
        if share is None and not self._forced:
            return None
        onsets = [share.since_ns] if share is not None else []
        if row is not None:
            onsets.append(row[2])
        if self._forced == "hang":
            onsets.append(self._hang_ns)
        alarm = self.alarms.get("fails")
        if alarm is not None:
            onsets.append(alarm.since_ns)
        since_ns = min(onsets) if onsets else around.now_ns
        rank = 3 if self._forced else 0
        rank = max(rank, 0 if share is None else share.rank)
        return _Reading(rank, since_ns, self._failure_cause(since_ns))

    def _hangs(self, hang: Hang, around: Surroundings) -> None:
        """Note that nothing comes; of one silence the cause stays, whatever single requests do: but
        a stream that pauses for ever may have been the first sign of a server that is gone."""
        is_first = self._forced != "hang"
        if is_first and self.watch.oldest_phase == "connecting":
            self._hung_cause = "network_path"
        elif is_first:
            self._hung_cause = "stream_stalls" if hang.writes else "no_answer"
        is_gone = not hang.writes or self.watch.host in around.silent_hosts
        if self._hung_cause == "stream_stalls" and is_gone:
            self._hung_cause = "no_answer"
        if is_first:
            self.watch.ok_in_a_row = 0  # those before it say nothing of its end
        self._forced, self._hang_ns = "hang", hang.began_ns

    def _failure_cause(self, since_ns: int) -> Cause:
        """Return what the failures since their onset speak of."""
        watch = self.watch
        ends = self._failed_ends(since_ns)
        failed = [end.failure for end in ends if end.failure is not None]
        row = watch.row
        if self._forced == "hang" and (not failed or failed[-1] in _SILENT):
            return self._hung_cause
        if row is not None and row[0].in_a_row is not None and row[1] >= row[0].in_a_row:
            # What the last of them say one after the other weighs more than an older mixture.
            return row[0].cause
        if not failed:
            return "unknown"
        most = max(sorted(set(failed)), key=failed.count)
        # What says itself that it has too much to do lets some through, sooner or later.
        least = _NOTHING_SUCCEEDS + (3 if most == "provider_overloaded" else 0)
        nothing_succeeds = len(failed) == len(ends) >= least
        if most in ("provider_errors", "provider_overloaded") and nothing_succeeds:
            return "outage"
        if failed.count("provider_overloaded") * 2 >= len(failed):
            return "provider_overloaded"
        if most == "outage":
            return "outage" if nothing_succeeds else "provider_errors"
        if most != "provider_errors":
            return most
        probes = [probe for probe in watch.probes if probe.began_ns >= since_ns]
        lost = sum(probe.failed for probe in probes)
        rescued = any(probe.attempts > 1 and not probe.failed for probe in probes)
        # Of few attempts the share may well be larger than what is seen.
        share = (len(failed) + 2) / (len(ends) + 2)
        # The few probes of the first seconds say little: that retries save nearly all must also
        # follow from the share, if attempts fail independently of one another.
        saves = share ** (min(max(watch.info.retries, 0), _MOST_RETRIES) + 1) <= 0.03
        saves = saves or (not lost and len(probes) >= _SAVED)
        if rescued and saves and lost <= 0.01 * len(probes):
            return "retry_masking"
        return "provider_errors"

    def _is_surely_well(self) -> bool:
        """Return whether so many have succeeded that the old share is over, judged in the order in
        which requests began.

        Those of a hang give up one by one long after it is over, and no longer count. What has not
        ended yet counts as not well once it is older than answers are.
        """
        watch, since_ns = self.watch, self.alarms["fails"].since_ns
        ends = [end for end in watch.ends if end.began_ns >= since_ns and end.rate is None]
        ends.sort(key=attrgetter("began_ns"))
        well, well_from_ns = 0, 0
        while ends and ends[-1].failure is None:
            well_from_ns = ends.pop().began_ns
            well += 1
        if well < SURELY_WELL or not ends:
            return False
        # Failures in a row count as one: retries fail with what they retry.
        runs = sum(
            end.failure is not None and (before is None or before.failure is None)
            for before, end in zip([None, *ends], ends, strict=False)
        )
        well_before = sum(end.failure is None for end in ends)
        share = runs / (runs + well_before)
        if well < _SURE / -math.log(1 - min(share, 0.999)):
            return False
        oldest_ns = watch.oldest_open_ns(well_from_ns)
        slowest_s = watch.slowest_wait_s + watch.slowest_answer_s
        if oldest_ns is not None and watch.now_ns - oldest_ns > max(1.0, slowest_s) * NS_PER_S:
            return False
        watch.stale_before_ns = well_from_ns
        return True

    def _failed_ends(self, since_ns: int) -> list[End]:
        """Return the ends since an onset, up to the newest failure: what came after it is the
        recovery, and says nothing of what was wrong."""
        ends = [end for end in self.watch.ends if end.began_ns >= since_ns and end.rate is None]
        while ends and ends[-1].failure is None:
            ends.pop()
        return ends

    def _tell_failures(self, alarm: Alarm) -> None:
        """Keep the newest words of the server for what the alarm is about."""
        for end in reversed(self.watch.ends):
            if end.failure is not None:
                alarm.detail, alarm.status = end.message, end.status
                return


def _plain(test: JudgedSeries | Shares, cause: Cause) -> _Reading | None:
    rank, since_ns = test.rank, test.since_ns
    return None if not rank or since_ns is None else _Reading(rank, since_ns, cause)
