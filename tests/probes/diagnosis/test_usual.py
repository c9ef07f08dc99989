"""What is usual of a route is told once it is known, stands still amid doubt, and agrees with what
the verdicts say."""

from itertools import pairwise
from typing import Any

import pytest
from board_streams import route_info
from diagnosis_streams import Yard, attempt, life, probed

from probes.diagnosis.felt import FeltTimes
from probes.events import Diagnosis, Event, Usual
from probes.kit.clock import NS_PER_S


def felt_of(*values: float, guard: int = 0) -> FeltTimes:
    """Return times that were well, one a second."""
    times = FeltTimes()
    for value in values:
        times.add(value)
        times.close(guard, in_doubt=False, in_alarm=False)
    return times


def told_with(yard: Yard, event: Event) -> list[Event]:
    """Return all that an event decides, in order."""
    return list(yard.diagnostician.fold(event))


# ------------------------------------------------------------------ felt times


def test_nothing_is_known_of_fewer_than_thirty() -> None:
    assert felt_of(*[1.0] * 29).at(0.5, 0.95) == (None, None)
    assert felt_of(*[1.0] * 30).at(0.5) == (1.0,)


def test_quantiles_are_those_of_single_probes() -> None:
    times = FeltTimes()
    for second in range(100):
        for value in (1.0, 2.0 + second / 1000):
            times.add(value)
        times.close(0, in_doubt=False, in_alarm=False)
    p50, p95 = times.at(0.5, 0.95)
    assert p50 == 2.0
    assert p95 == pytest.approx(2.09)


def test_one_second_brings_two_at_most_and_four_hundred_are_kept() -> None:
    times = FeltTimes()
    for second in range(300):
        for _ in range(9):
            times.add(float(second))
        times.close(0, in_doubt=False, in_alarm=False)
    assert len(times) == 400
    assert times.at(0.0) == (100.0,)


def test_what_is_in_doubt_waits_and_enters_when_the_doubt_has_gone() -> None:
    times = felt_of(*[1.0] * 40)
    for _ in range(20):
        times.add(2.0)
        times.close(0, in_doubt=True, in_alarm=False)
    assert len(times) == 40
    times.close(0, in_doubt=False, in_alarm=False)
    assert (len(times), times.at(1.0)) == (60, (2.0,))


def test_nothing_of_an_alarm_enters() -> None:
    times = felt_of(*[1.0] * 40)
    for in_alarm in (False, True, True, False):  # its end is in doubt, too
        times.add(9.0)
        times.close(0, in_doubt=True, in_alarm=in_alarm)
    times.close(0, in_doubt=False, in_alarm=False)
    assert (len(times), times.at(1.0)) == (40, (1.0,))


def test_the_newest_wait_for_newer_ones() -> None:
    times = felt_of(*[1.0] * 40, *[9.0] * 10, guard=10)
    assert (len(times), times.at(1.0)) == (40, (1.0,))


def test_what_waits_is_bounded_however_long_the_doubt() -> None:
    times = felt_of(*[1.0] * 40)
    for second in range(1_000):
        times.add(float(second))
        times.close(0, in_doubt=True, in_alarm=True)
    times.settle()
    assert len(times) == 90
    assert times.at(0.0) == (910.0,)


# ------------------------------------------------------------------ what is told


def test_it_is_told_once_it_is_known_then_where_it_has_moved() -> None:
    yard = Yard()
    yard.seconds(59)
    assert yard.usual == []
    yard.seconds(60)
    first = yard.usual[0]
    assert (first.route, first.cohort) == ("alpha", "64/256")
    assert first.n >= 30
    assert first.ttft_p50_s == pytest.approx(0.315, abs=0.01)
    assert first.tokens_per_s == pytest.approx(100.0)
    whole = yard.usual[-1]
    assert whole.ttft_p95_s == pytest.approx(0.33, abs=0.01)
    assert whole.e2e_p50_s == pytest.approx(0.315 + 0.18, abs=0.01)
    assert whole.e2e_p95_s == pytest.approx(0.33 + 0.18, abs=0.01)
    known = len(yard.usual)
    yard.seconds(300)
    assert len(yard.usual) <= known + 2  # nothing has moved


def test_it_is_told_every_ten_seconds_at_most() -> None:
    yard = Yard(probed(), probed("bravo"))
    chances = [{"wait_s": 0.2 + 0.02 * (second % 37)} for second in range(400)]
    for chance in chances:
        yard.second({"alpha": chance})
    told = [one.at_ns for one in yard.usual if one.route == "alpha"]
    assert len(told) > 3
    verdicts = {one.at_ns for one in yard.told}
    gaps = [b - a for a, b in pairwise(told) if b not in verdicts]
    assert min(gaps) >= 10 * NS_PER_S


def test_a_verdict_and_what_is_usual_beside_it_say_the_same() -> None:
    yard = Yard()
    yard.seconds(200)
    told: list[Any] = []
    yard.diagnostician.fold = _noting(yard.diagnostician.fold, told)
    yard.seconds(60, {"alpha": {"wait_s": 1.5}})
    verdict = next(one for one in told if isinstance(one, Diagnosis) and one.state == "named")
    (wait,) = [one for one in verdict.evidence if one.figure == "ttft"]
    assert yard.usual[-1].ttft_p50_s == wait.usual
    before = told[: told.index(verdict)]
    assert not [one for one in told[len(before) :] if isinstance(one, Usual)]


def _noting(fold: Any, told: list[Any]) -> Any:
    def noting(event: Event) -> Any:
        said = fold(event)
        told.extend(said)
        return said

    return noting


def test_an_incident_leaves_it_as_it_was() -> None:
    yard = Yard()
    yard.seconds(300)
    before = yard.usual[-1]
    yard.seconds(90, {"alpha": {"wait_s": 2.0, "token_s": 0.05}})
    assert yard.causes
    yard.seconds(120)
    assert not yard.causes
    after = yard.usual[-1]
    for name in ("ttft_p50_s", "ttft_p95_s", "e2e_p50_s", "e2e_p95_s", "tokens_per_s"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=0.03), name


def test_what_retries_and_evidence_probes_took_is_no_part_of_it() -> None:
    yard = Yard()
    yard.seconds(120)
    watch = yard.diagnostician._watches["alpha"]
    known = len(watch.band.felt.e2e)
    for _ in range(60):
        yard.second({"alpha": {"evidence": True}})
    assert len(watch.band.felt.e2e) <= known + 30  # those that were on guard


def test_a_level_that_is_accepted_becomes_the_usual() -> None:
    yard = Yard()
    yard.seconds(200)
    yard.seconds(120, {"alpha": {"wait_s": 0.8}})
    yard.turn("usual", 0, 1)
    yard.seconds(120, {"alpha": {"wait_s": 0.8}})
    last = yard.usual[-1]
    assert last.ttft_p50_s == pytest.approx(0.8, rel=0.03)
    assert last.ttft_p95_s == pytest.approx(0.8, rel=0.03)
    assert last.e2e_p50_s == pytest.approx(0.98, rel=0.03)


def test_a_turned_cap_leaves_the_wait_and_begins_the_e2e_anew() -> None:
    yard = Yard()
    yard.seconds(200)
    yard.turn("max_tokens", 64, 128)
    yard.seconds(20, {"alpha": {"cohort": "128/256"}})
    last = yard.usual[-1]
    assert last.cohort == "128/256"
    assert last.ttft_p50_s == pytest.approx(0.315, abs=0.01)
    assert (last.e2e_p50_s, last.e2e_p95_s) == (None, None)
    yard.seconds(80, {"alpha": {"cohort": "128/256"}})
    assert yard.usual[-1].e2e_p50_s == pytest.approx(0.495, abs=0.01)


def test_where_connections_are_always_new_the_users_wait_for_them_too() -> None:
    yard = Yard()
    yard.seconds(200, {"alpha": {"connect_s": 0.2}})
    assert yard.usual[-1].ttft_p50_s == pytest.approx(0.3 + 0.2, abs=0.02)


def test_answers_that_come_whole_have_an_e2e_alone() -> None:
    yard = Yard(probed(streamed=False))
    for _ in range(200):
        yard.second({"alpha": {"ttft_kind": "not_streamed", "gaps_s": []}})
    last = yard.usual[-1]
    assert (last.ttft_p50_s, last.ttft_p95_s, last.tokens_per_s) == (None, None, None)
    assert last.e2e_p50_s is not None
    assert last.e2e_p95_s is not None


def test_a_route_that_nothing_is_known_of_says_nothing() -> None:
    yard = Yard(route_info())
    yard.seconds(200, {"alpha": {"outcome": "server_error"}})
    assert yard.usual == []


def test_the_first_that_is_told_has_a_median_but_where_there_will_never_be_one() -> None:
    yard = Yard()
    for _ in range(60):
        yard.second()
        for _ in range(3):  # the E2E of many is known before a median of seconds
            yard.fold(*life(attempt(yard.now_s - 0.9, probe=f"x{len(yard.events)}")))
    assert yard.usual[0].ttft_p50_s is not None
    whole = Yard()
    for _ in range(200):
        whole.second({"alpha": {"ttft_kind": "not_streamed", "gaps_s": []}})
    assert (whole.usual[0].ttft_p50_s, whole.usual[0].n) == (None, 90)
    assert whole.usual[0].e2e_p50_s is not None
