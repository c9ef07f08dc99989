"""What is known of a route from its events: what hangs, what is measured, what is expected."""

from typing import Any

import pytest
from board_streams import at
from diagnosis_streams import GOLDEN, attempt, life, probed, started

from probes.diagnosis.route_watch import RouteWatch
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    FirstToken,
    Gap,
    Held,
    Knob,
    KnobKind,
    OpenPhase,
    ProbeFinished,
    RouteCounts,
    ServerClaim,
)


class Watched:
    """A route that is probed once a second."""

    def __init__(self, **info: Any) -> None:
        self.watch = RouteWatch(probed(**info))
        self.now_s = 0.0
        self.probes = 0

    def take(self, *events: Any) -> None:
        takers: dict[type, Any] = {
            AttemptStarted: self.watch.attempt_started,
            FirstToken: self.watch.first_token,
            AttemptFinished: self.watch.attempt_finished,
            ProbeFinished: self.watch.probe_finished,
        }
        for event in events:
            takers[type(event)](event)

    def seconds(self, count: int, **does: Any) -> None:
        for _ in range(count):
            self.probes += 1
            wait_s = 0.3 * (1 + 0.1 * (self.probes * GOLDEN % 1.0))
            made = {"wait_s": wait_s, "probe": f"p{self.probes}"} | does
            self.take(*life(attempt(self.now_s, **made)))
            self.now_s += 1
            self.close()

    def close(self) -> None:
        self.watch.close(at(self.now_s))

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.close()

    def open(self, **does: Any) -> AttemptFinished:
        self.probes += 1
        made = attempt(self.now_s, probe=f"open{self.probes}", **does)
        self.take(started(made))
        return made

    def say(self, phase: OpenPhase | None) -> None:
        self.watch.counted(RouteCounts(route="alpha", in_flight=1, target=1, oldest_phase=phase))

    def turn(self, knob: KnobKind, before: float, after: float) -> None:
        self.watch.turned(
            Knob(at_ns=at(self.now_s), route="alpha", knob=knob, before=before, after=after)
        )

    @property
    def hangs(self) -> bool:
        return self.watch.hanging(at(self.now_s)) is not None


@pytest.fixture
def well() -> Watched:
    watched = Watched()
    watched.seconds(100)
    return watched


# ------------------------------------------------------------------ what hangs


def test_a_request_hangs_from_eight_seconds_on_where_its_phase_is_told(well: Watched) -> None:
    well.open()
    well.say("sent")
    well.wait(8.0)
    assert not well.hangs
    well.wait(0.1)
    hang = well.watch.hanging(at(well.now_s))
    assert hang is not None
    assert (hang.began_ns, hang.writes) == (at(100), False)
    assert hang.age_s == pytest.approx(8.1)


def test_and_from_eleven_on_where_it_is_not(well: Watched) -> None:
    well.open()
    well.wait(11.0)
    assert not well.hangs
    well.wait(0.1)
    assert well.hangs


def test_before_it_is_known_what_is_usual_nobody_knows_how_long_a_model_thinks() -> None:
    watched = Watched()
    watched.seconds(9)
    watched.open()
    watched.wait(29.9)
    assert not watched.hangs
    watched.wait(0.2)
    assert watched.hangs


def test_from_ten_answers_on_the_slowest_of_them_says_what_may_be_expected() -> None:
    watched = Watched()
    watched.seconds(9)
    watched.take(*life(attempt(watched.now_s, probe="slow", wait_s=2.0)))
    watched.wait(3)
    watched.open()
    watched.wait(19.9)
    assert not watched.hangs
    watched.wait(0.2)
    assert watched.hangs


def test_what_is_usually_slow_or_allowed_to_be_hangs_later() -> None:
    slow = Watched()
    slow.seconds(100, wait_s=1.5)
    slow.open()
    slow.wait(14.5)
    assert not slow.hangs
    slow.wait(1.0)
    assert slow.hangs
    patient = Watched(goal_ttft_s=10.0)
    patient.seconds(100)
    patient.open()
    patient.wait(19.9)
    assert not patient.hangs
    patient.wait(0.2)
    assert patient.hangs


def test_what_a_later_request_has_overtaken_does_not_hang(well: Watched) -> None:
    well.open()
    well.seconds(1)
    well.wait(60)
    assert not well.hangs
    well.open()
    well.wait(12)
    hang = well.watch.hanging(at(well.now_s))
    assert hang is not None
    assert hang.began_ns == at(161)


def test_a_failure_of_a_later_request_overtakes_nothing(well: Watched) -> None:
    well.open()
    well.seconds(12, outcome="server_error")
    assert well.hangs


def test_what_writes_may_write_for_longer(well: Watched) -> None:
    one = well.open()
    well.take(*[event for event in life(one) if isinstance(event, FirstToken)])
    well.wait(14.9)
    assert not well.hangs
    well.wait(0.2)
    hang = well.watch.hanging(at(well.now_s))
    assert hang is not None
    assert hang.writes


def test_the_age_of_what_was_open_in_a_gap_begins_after_it(well: Watched) -> None:
    well.open()
    well.wait(100)
    well.watch.slept(Gap(at_ns=at(well.now_s), started_ns=at(101)))
    assert not well.hangs
    well.wait(10.9)
    assert not well.hangs
    well.wait(0.2)
    assert well.hangs


def test_what_the_engine_left_behind_does_not_hang(well: Watched) -> None:
    well.open()
    well.wait(100)
    assert well.hangs
    well.watch.engine_died()
    assert not well.hangs
    assert well.watch.open_requests == 0
    assert well.watch.learned


def test_no_more_requests_are_looked_at_than_are_bounded() -> None:
    watched = Watched()
    for number in range(5_000):
        watched.take(started(attempt(number / 1000, probe=f"p{number}")))
    assert watched.watch.open_requests == 4096


def test_an_end_without_a_beginning_and_one_that_comes_twice_are_taken(well: Watched) -> None:
    one = well.open()
    well.take(one, one)
    assert well.watch.open_requests == 0
    assert well.watch.ok == 102


# ------------------------------------------------------------------ what counts


@pytest.mark.parametrize("changes", [{"outcome": "cancelled"}, {"flagged": "local_gap"}])
def test_what_we_did_ourselves_counts_for_nothing(well: Watched, changes: dict[str, Any]) -> None:
    before = (len(well.watch.ends), well.watch.ok, well.watch.failed.test.n_usual)
    well.seconds(20, **changes)
    assert (len(well.watch.ends), well.watch.ok, well.watch.failed.test.n_usual) == before
    well.take(
        ProbeFinished(
            at_ns=at(130),
            route="alpha",
            probe="p",
            attempts=1,
            started_ns=at(129),
            scheduled_ns=at(129),
            **({"outcome": "ok"} | changes),
        )
    )
    assert len(well.watch.probes) == 100


def test_what_overlaps_a_gap_counts_for_nothing(well: Watched) -> None:
    one = well.open()
    well.watch.slept(Gap(at_ns=one.at_ns - 1, started_ns=at(100)))
    before = well.watch.ok
    well.take(one)
    assert well.watch.ok == before


def test_failures_of_a_kind_are_counted_until_a_success(well: Watched) -> None:
    well.seconds(2, outcome="client_error", reason="auth")
    well.seconds(1, outcome="client_error", reason="permission")
    assert well.watch.row is not None
    assert (well.watch.row[0].cause, *well.watch.row[1:]) == ("auth_failure", 3, at(100))
    well.seconds(1, outcome="client_error", reason="quota")
    assert (well.watch.row[0].cause, *well.watch.row[1:]) == ("quota_exhausted", 1, at(103))
    assert well.watch.ok_in_a_row == 0
    well.seconds(1)
    assert well.watch.row is None
    assert well.watch.ok_in_a_row == 1


def test_a_refusal_for_a_rate_neither_fails_nor_succeeds(well: Watched) -> None:
    well.seconds(2, outcome="client_error", reason="auth")
    well.seconds(3, outcome="throttled", reason="rate_limit")
    watch = well.watch
    assert watch.row is not None
    assert (watch.row[1], watch.throttled_in_a_row, watch.failed.test.n_failed) == (2, 3, 2)
    well.seconds(1)
    assert watch.throttled_in_a_row == 0


# ------------------------------------------------------------------ what is measured


def test_the_wait_is_from_the_whole_request_to_the_first_token() -> None:
    watched = Watched()
    watched.seconds(100, wait_s=0.4, connect_s=1.0)
    assert watched.watch.wait_series.usual(0.5) == pytest.approx(0.4, abs=1e-6)
    assert watched.watch.dns.usual(0.5) == pytest.approx(0.25, abs=1e-6)
    assert watched.watch.tcp.usual(0.5) == pytest.approx(0.25, abs=1e-6)
    assert watched.watch.tls.usual(0.5) == pytest.approx(0.5, abs=1e-6)


def test_what_comes_whole_waits_as_a_whole() -> None:
    watched = Watched(streamed=False)
    watched.seconds(100, ttft_kind="not_streamed")
    whole_s = watched.watch.wait_series.usual(0.5)
    assert whole_s == pytest.approx(0.3 * 1.05 + 9 * 0.02, rel=0.02)
    assert watched.watch.band.wait.usual(0.5) is None


def test_the_time_per_token_leaves_pauses_out() -> None:
    watched = Watched()
    watched.seconds(100)
    usual_s = watched.watch.band.per_token.usual(0.5)
    assert usual_s == pytest.approx(0.01)
    for _ in range(60):
        watched.seconds(1, gaps_s=[0.02] * 4 + [3.0] + [0.02] * 4)
        watched.wait(3)
    assert watched.watch.stalled.rank == 3
    assert watched.watch.band.gap.rank == 3
    assert watched.watch.band.per_token.rank == 0


def test_gaps_in_all_of_it_are_slow_writing_and_no_pauses() -> None:
    watched = Watched()
    watched.seconds(100)
    for _ in range(40):
        watched.seconds(1, token_s=0.6)
        watched.wait(11)
    assert watched.watch.stalled.rank == 0
    assert watched.watch.band.per_token.rank == 3


def test_a_stream_that_writes_for_long_gives_its_wait_before_its_end(well: Watched) -> None:
    for _ in range(12):
        one = well.open(wait_s=2.0, token_s=1.0)
        well.take(life(one)[1])
        well.wait(1)
    for _ in range(6):
        well.wait(1)
    assert well.watch.wait_series.level.samples_since == 12
    taken = well.watch.wait_series.level.samples_since
    well.take(one)
    well.wait(1)
    assert well.watch.wait_series.level.samples_since == taken


def test_prompts_of_another_size_are_another_series(well: Watched) -> None:
    usual = well.watch.wait_series.usual(0.5)
    well.seconds(30, cohort="64/1k", wait_s=2.0)
    assert not well.watch.learned
    well.seconds(1)
    assert well.watch.wait_series.usual(0.5) == pytest.approx(usual, rel=0.01)
    assert well.watch.wait_series.rank == 0
    well.seconds(1, cohort="64/4k")
    assert set(well.watch.bands) == {"256", "4k"}


def test_an_attempt_counts_to_the_band_it_was_asked_in(well: Watched) -> None:
    late = well.open(wait_s=5.0)
    well.seconds(1, cohort="64/1k")
    old = well.watch.bands["256"].wait
    well.take(late)
    well.wait(6)
    assert old.level.samples_since == 1
    assert well.watch.bands["1k"].wait.level.samples_since == 0


def test_a_turned_answer_cap_leaves_wait_and_speed_as_they_are(well: Watched) -> None:
    well.turn("max_tokens", 64, 256)
    well.seconds(1, cohort="256/256")
    assert well.watch.learned
    assert well.watch.band.per_token.usual(0.5) is not None


# ------------------------------------------------------------------ connections, builds, loads


def test_new_connections_are_expected_of_each_worker_and_after_a_failure() -> None:
    watched = Watched(concurrency=2)
    watched.seconds(2, connect_s=0.05)
    watched.seconds(60)
    watched.seconds(1, outcome="server_error")
    watched.seconds(1, connect_s=0.05)
    assert watched.watch.cold.test.score == 0
    watched.seconds(1, connect_s=0.05)
    assert watched.watch.cold.test.score > 0


@pytest.mark.parametrize(
    ("knob", "before", "after", "more"),
    [("concurrency", 1, 3, 2), ("interval", 1.0, 60.0, 1), ("paused", 1, 0, 1), ("burst", 0, 5, 0)],
)
def test_new_connections_are_expected_after_a_knob(
    well: Watched, knob: KnobKind, before: float, after: float, more: int
) -> None:
    well.seconds(1, connect_s=0.05)  # that of the first
    well.turn(knob, before, after)
    well.seconds(more, connect_s=0.05)
    assert well.watch.cold.test.score == 0
    well.seconds(1, connect_s=0.05)
    assert well.watch.cold.test.score > 0


def test_new_connections_are_expected_after_a_hold_and_after_a_gap(well: Watched) -> None:
    well.seconds(1, connect_s=0.05)  # that of the first
    well.watch.holding(Held(at_ns=at(101), reason="cool_down"))
    well.watch.holding(Held(at_ns=at(161), reason="cool_down", released=True))
    well.seconds(1, connect_s=0.05)
    well.watch.slept(Gap(at_ns=at(102), started_ns=at(102)))
    well.seconds(1, connect_s=0.05)
    assert well.watch.cold.test.score == 0


def test_probes_beside_the_pace_may_connect_anew(well: Watched) -> None:
    well.seconds(10, connect_s=0.05, evidence=True)
    assert well.watch.cold.test.score == 0


def test_builds_are_known_by_the_first_thirty_answers() -> None:
    watched = Watched()
    for number in range(60):
        watched.seconds(1, served_model="m", fingerprint=f"f{number % 3}")
    assert watched.watch.other_build.rank == 0
    watched.seconds(8, served_model="m", fingerprint="f9")
    assert watched.watch.other_build.rank == 3
    assert watched.watch.build == "m f9"


def claim(seconds: float, interval: Any = "load") -> tuple[ServerClaim, ...]:
    return (ServerClaim(interval=interval, seconds=seconds, source="", raw=0.0, unit="s"),)


@pytest.mark.parametrize(
    ("claims", "loads"),
    [
        (claim(2.0), True),
        (claim(0.4), False),
        (claim(2.0, "queue"), False),
        (claim(float("nan")), False),
        (claim(-3.0), False),
        ((*claim(0.1), *claim(1.0)), True),
    ],
)
def test_a_server_says_that_it_loads_the_model(
    well: Watched, claims: tuple[ServerClaim, ...], loads: bool
) -> None:
    well.seconds(1, server_claims=claims)
    assert well.watch.loading_since_ns == (at(100) if loads else None)
    well.seconds(3)
    assert (well.watch.loading_since_ns is not None) == loads
    well.seconds(1)
    assert well.watch.loading_since_ns is None


def test_what_loads_for_each_request_is_as_usual() -> None:
    watched = Watched()
    watched.seconds(100, wait_s=2.0, server_claims=claim(0.6))
    assert watched.watch.loading_since_ns is None


def test_the_first_request_after_a_silence_may_load_the_model(well: Watched) -> None:
    well.wait(59)
    well.take(*life(attempt(well.now_s, probe="early", wait_s=5.0)))
    assert well.watch.loading_since_ns is None
    well.wait(70)
    well.take(*life(attempt(well.now_s, probe="quick", wait_s=0.9)))
    assert well.watch.loading_since_ns is None
    well.wait(70)
    well.take(*life(attempt(well.now_s, probe="late", wait_s=5.0)))
    assert well.watch.loading_since_ns == at(well.now_s)


# ------------------------------------------------------------------ knobs and holds


def test_asking_for_more_is_remembered_and_for_less_is_not(well: Watched) -> None:
    well.turn("concurrency", 4, 2)
    well.turn("interval", 1.0, 2.0)
    assert well.watch.raised is None
    well.turn("concurrency", 2, 8)
    assert well.watch.raised is not None
    assert (well.watch.concurrency, well.watch.interval_s, well.watch.pace_s) == (8, 2.0, 0.25)
    well.turn("interval", 2.0, 0.5)
    assert well.watch.raised.knob == "interval"


def test_steps_that_follow_each_other_closely_are_one_turn(well: Watched) -> None:
    for before in (3, 4, 5):
        well.turn("concurrency", before, before + 1)
    assert well.watch.raised is not None
    assert (well.watch.raised.before, well.watch.raised.after) == (3, 6)
    well.wait(11)
    well.turn("concurrency", 6, 7)
    assert well.watch.raised.before == 6
    well.turn("concurrency", 7, 2)
    well.turn("concurrency", 2, 4)
    assert well.watch.raised.before == 2, "it was less in between"


def test_what_is_paused_or_held_is_not_probed(well: Watched) -> None:
    watch = well.watch
    assert watch.is_probed
    well.turn("paused", 0, 1)
    assert not watch.is_probed
    well.turn("paused", 1, 0)
    watch.holding(Held(at_ns=0, reason="budget"))
    watch.holding(Held(at_ns=0, reason="cool_down", route="alpha"))
    watch.holding(Held(at_ns=0, reason="budget", released=True))
    assert not watch.is_probed
    watch.holding(Held(at_ns=0, reason="cool_down", route="alpha", released=True))
    assert watch.is_probed


@pytest.mark.parametrize("value", [-1.0, 0.0, 1e300, -1e300, float("nan"), float("inf")])
def test_no_setting_breaks_it(value: float) -> None:
    watched = Watched(interval=value, stall_after=value, concurrency=-3, base_url="http://[::1")
    watched.turn("concurrency", value, -value)
    watched.turn("concurrency", -value, value)
    watched.turn("interval", -value, value)
    watched.seconds(3)
    assert watched.watch.pace_s >= 0
    assert watched.watch.host == "http://[::1"


def test_a_level_that_is_accepted_is_the_usual_one(well: Watched) -> None:
    well.seconds(60, wait_s=0.9)
    assert well.watch.wait_series.rank == 3
    well.turn("usual", 0, 1)
    assert well.watch.wait_series.rank == 0
    assert well.watch.wait_series.usual(0.5) == pytest.approx(0.9, rel=0.1)
    well.seconds(60, wait_s=0.9)
    assert well.watch.wait_series.rank == 0


def test_shares_that_may_be_usual_are_accepted_too_and_failures_never() -> None:
    watched = Watched()
    watched.seconds(100, cached_tokens=10)
    watched.seconds(60, cached_tokens=0, connect_s=0.05)
    watched.seconds(10, outcome="server_error", connect_s=0.05)
    watch = watched.watch
    assert (watch.uncached.rank, watch.cold.rank, watch.failed.rank) == (3, 3, 3)
    watched.turn("usual", 0, 1)
    assert (watch.uncached.rank, watch.cold.rank, watch.failed.rank) == (0, 0, 3)
    watched.seconds(30, cached_tokens=0, connect_s=0.05)
    assert (watch.uncached.rank, watch.cold.rank) == (0, 0)


def every_fourth_429(**info: Any) -> RouteWatch:
    one = Watched(**info)
    for number in range(300):
        hit = number > 150 and number % 4 == 0
        one.seconds(1, **({"outcome": "throttled", "reason": "rate_limit"} if hit else {}))
    return one.watch


def test_a_share_of_429s_is_how_a_concurrency_that_finds_itself_works() -> None:
    assert every_fourth_429(concurrency=4).throttled.rank
    assert not every_fourth_429(concurrency=4, adaptive=True).throttled.rank
    assert every_fourth_429(concurrency=1, adaptive=True).throttled.rank, "it can go no lower"


@pytest.mark.parametrize(("after", "is_more"), [(21, False), (30, True)])
def test_a_limit_that_is_tried_one_further_explains_nothing(after: int, is_more: bool) -> None:
    watch = RouteWatch(probed(concurrency=20, adaptive=True))
    watch.turned(
        Knob(at_ns=at(1), route="alpha", knob="concurrency", before=20, after=after, who="auto")
    )
    assert (watch.raised is not None) == is_more
    assert watch.concurrency == after
