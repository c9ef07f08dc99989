"""From run to run: the detector starts from what the last one had learnt, and is not misled."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from board_streams import at
from diagnosis_streams import GOLDEN, Yard, attempt, probed

from probes.diagnosis.felt import FeltTimes
from probes.diagnosis.level import LEAST_HANDED_ON, LevelShift, spread_out
from probes.diagnosis.rates import ShareShift
from probes.events import Reference, decode_event, encode_event
from probes.kit.clock import NS_PER_S

WELL = {"rtt_ns": 20_000_000, "retransmits": 0, "reordered": 0}


def learnt(**info: Any) -> tuple[Reference, ...]:
    """Return what a run of some minutes hands on, as a file would give it back."""
    yard = Yard(probed(**info))
    yard.seconds(200, {"alpha": WELL})
    references = yard.diagnostician.references()
    assert [decode_event(encode_event(one)) for one in references] == list(references)
    return references  # type: ignore[no-any-return]


def begun(references: tuple[Reference, ...] = (), **info: Any) -> Yard:
    """Return a run that has just said hello, with what was handed on to it."""
    yard = Yard(probed(**info))
    yard.fold(*at_the_start(references))
    return yard


def at_the_start(references: Iterable[Reference]) -> list[Reference]:
    """Return them as a run puts them behind its hello."""
    return [msgspec.structs.replace(one, at_ns=at(0)) for one in references]


def slow(yard: Yard, factor: float, seconds: int, **changes: Any) -> list[str]:
    """Let the waits of some seconds be longer; return the causes that are named then."""
    for _ in range(seconds):
        noise = (yard.now_s * GOLDEN) % 1.0
        wait_s = factor * 0.3 * (1 + 0.1 * noise)
        yard.second({"alpha": {**WELL, "wait_s": wait_s, **changes}})
    return list(yard.causes)


def test_what_is_handed_on_says_whose_it_is_when_it_was_and_what_was_usual() -> None:
    (reference,) = learnt()
    assert (reference.route, reference.cohort) == ("alpha", "64/256")
    assert reference.wall_ns == at(200)
    series = {one.figure: one for one in reference.series}
    assert {"ttft", "time_per_token", "chunk_gap", "input_tokens", "rtt"} <= series.keys()
    assert series["ttft"].values[0] < series["ttft"].values[-1]
    assert {one.figure for one in reference.shares} >= {"cold_share", "retransmits"}
    assert len(reference.ttft_s) == len(reference.e2e_s) == 16


def test_a_slow_down_five_seconds_after_the_start_is_named_warm_and_not_cold() -> None:
    warm, cold = begun(learnt()), begun()
    for yard, causes in ((warm, ["provider_queueing"]), (cold, [])):
        yard.seconds(5, {"alpha": WELL})
        assert slow(yard, 3.0, 40) == causes
    (first,) = {one.since_ns for one in warm.told if one.state == "named"}
    assert abs(first - at(5)) <= 2 * NS_PER_S


def test_an_outage_five_seconds_after_the_start_is_named_too() -> None:
    yard = begun(learnt())
    yard.seconds(5, {"alpha": WELL})
    yard.seconds(10, {"alpha": {"outcome": "server_error", "status": 503}})
    assert yard.causes == ["outage"]


def test_slow_writing_is_named_from_the_start_as_well() -> None:
    yard = begun(learnt())
    yard.seconds(5, {"alpha": WELL})
    yard.seconds(40, {"alpha": {**WELL, "token_s": 0.04}})
    assert yard.causes == ["provider_slow_decode"]


def test_a_cache_that_is_lost_soon_is_not_taken_for_a_queue() -> None:
    cached = {**WELL, "cached_tokens": 16}
    before = Yard(probed())
    before.seconds(200, {"alpha": cached})
    yard = begun(before.diagnostician.references())
    yard.seconds(6, {"alpha": cached})
    slow(yard, 3.0, 60, cached_tokens=0)
    assert yard.causes == ["cache_loss"]


def test_what_is_usual_is_told_within_seconds() -> None:
    warm, cold = begun(learnt()), begun()
    for yard in (warm, cold):
        yard.seconds(15, {"alpha": WELL})
    assert cold.usual == []
    assert warm.usual[0].ttft_p50_s == pytest.approx(0.315, rel=0.05)
    assert warm.usual[-1].e2e_p95_s is not None


@pytest.mark.parametrize("factor", [0.3, 0.5, 2.0, 3.0, 10.0])
def test_another_level_from_the_first_probe_on_is_no_event_of_this_run(factor: float) -> None:
    yard = begun(learnt())
    slow(yard, factor, 180)
    assert yard.told == []
    assert yard.usual[-1].ttft_p50_s == pytest.approx(0.315 * factor, rel=0.05)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_after_a_reference_was_dropped_the_run_learns_its_own(factor: float) -> None:
    yard = begun(learnt())
    slow(yard, factor, 120)
    assert slow(yard, 3 * factor, 45) == ["provider_queueing"]


def test_other_prompts_and_other_connections_than_yesterday_are_no_event_either() -> None:
    yard = begun(learnt())
    yard.seconds(120, {"alpha": {"input_tokens": 60, "connect_s": 0.05, "rtt_ns": 90_000_000}})
    assert yard.told == []


@pytest.mark.parametrize("seed", range(4))
def test_calm_starts_are_calm(seed: int) -> None:
    """Rough noise, a level that is a tenth off yesterday's: nothing is said in ten minutes."""
    chance = random.Random(seed)

    def rough(level: float) -> Mapping[str, Any]:
        return {**WELL, "wait_s": level * chance.lognormvariate(0, 0.4)}

    before = Yard(probed())
    for _ in range(240):
        before.second({"alpha": rough(0.3)})
    yard = begun(before.diagnostician.references())
    for _ in range(600):
        yard.second({"alpha": rough(0.33)})
    assert yard.told == []


def test_a_hang_before_anything_was_shown_is_judged_as_in_a_cold_run() -> None:
    yard = begun(learnt())
    yard.open()
    yard.seconds(9, {"alpha": None}, phase="sent")
    cold = begun()
    cold.open()
    cold.seconds(9, {"alpha": None}, phase="sent")
    assert yard.told == cold.told


def test_a_route_that_is_not_probed_and_a_second_word_of_one_are_passed_over() -> None:
    (reference,) = learnt()
    yard = begun()
    yard.fold(Reference(at_ns=at(0), route="other", cohort="64/256", wall_ns=1))
    yard.seconds(3, {"alpha": WELL})
    yard.fold(*at_the_start([reference]))
    yard.seconds(5, {"alpha": WELL})
    assert slow(yard, 3.0, 30) == []


def test_a_replay_gives_the_verdicts_of_the_run() -> None:
    live = begun(learnt())
    live.seconds(5, {"alpha": WELL})
    slow(live, 3.0, 60)
    live.seconds(60, {"alpha": WELL})
    again = Yard(probed())
    again.fold(*live.events[1:])
    assert again.told == live.told != []


def test_shapes_of_a_mix_are_handed_on_by_themselves() -> None:
    info = probed(shapes=("small", "large"))
    before = Yard(info)
    for second in range(300):
        shape, wait_s = (("small", 0.3), ("large", 1.2))[second % 2]
        noise = 1 + 0.1 * ((second * GOLDEN) % 1.0)
        does = {**WELL, "wait_s": wait_s * noise, "cohort": f"64/256/{shape}"}
        before.second({"alpha": does})
    references = before.diagnostician.references()
    assert {one.cohort for one in references} == {"64/256/small", "64/256/large"}
    yard = Yard(info)
    yard.fold(*at_the_start(references))
    for second in range(80):
        shape, wait_s = (("small", 0.3), ("large", 1.2))[second % 2]
        factor = 3.0 if second > 11 else 1.0
        noise = 1 + 0.1 * ((second * GOLDEN) % 1.0)
        does = {**WELL, "wait_s": factor * wait_s * noise, "cohort": f"64/256/{shape}"}
        yard.second({"alpha": does})
    assert yard.causes == ["provider_queueing"]


# The parts.


def taught(samples: int = 200, level: float = 1.0, sigma: float = 0.2) -> LevelShift:
    chance, shift = random.Random(1), LevelShift()
    for second in range(samples):
        shift.sample(second * NS_PER_S, level * chance.lognormvariate(0, sigma), second * NS_PER_S)
    return shift


def test_a_reference_is_its_own_when_it_is_handed_on_again() -> None:
    handed = taught().reference()
    assert handed is not None
    shift = LevelShift()
    shift.remember(*handed)
    assert (shift.is_on_trial, shift.level, shift.usual(0.5)) == (True, "learning", None)
    assert shift.reference() is None
    for second in range(6):
        shift.sample(second * NS_PER_S, 1.0, second * NS_PER_S)
    assert not shift.is_on_trial
    again = shift.reference()
    assert again is not None
    assert again[0][15] == pytest.approx(handed[0][15], rel=0.02)


def test_too_little_is_not_handed_on() -> None:
    assert taught(LEAST_HANDED_ON + 20).reference() is None
    assert LevelShift().reference() is None


def test_what_an_edited_file_says_is_not_believed() -> None:
    for values, n in (((1.0,), 100), ((1.0, 2.0), 3), ((), 100)):
        shift = LevelShift()
        shift.remember(values, n, (0.0, 1.0, 0.0))
        assert not shift.is_on_trial


def test_samples_that_have_quantiles_have_them_in_every_stretch() -> None:
    values = [float(step) for step in range(32)]
    spread = spread_out(values, 160)
    for begin in range(0, 160, 40):
        stretch = sorted(spread[begin : begin + 40])
        assert stretch[20] == pytest.approx(15.5, abs=1.5)
        assert stretch[0] < 3 < 28 < stretch[-1]


def test_a_share_counts_once_the_first_attempts_have_shown_it() -> None:
    def shown(share: float, outcomes: list[bool]) -> ShareShift:
        test = ShareShift(learned=30)
        test.remember(share)
        for second, failed in enumerate(outcomes):
            test.second(second * NS_PER_S, failed, second * NS_PER_S)
        return test

    assert shown(0.0, [False] * 3).level == "well"
    assert shown(0.0, [False, False, True]).level == "learning"
    assert shown(1.0, [True] * 3).level == "well"
    assert shown(1.0, [False] * 3).level == "learning"
    assert shown(7.0, [True] * 3).level == "learning"
    fixed = ShareShift()
    fixed.remember(0.5)
    assert fixed.reference() is None


def test_felt_times_are_handed_on_by_quantiles() -> None:
    felt = FeltTimes()
    assert felt.reference() == ()
    for number in range(200):
        felt.add(1.0 + number / 100)
        felt.close(0, in_doubt=False, in_alarm=False)
    later = FeltTimes()
    later.remember(felt.reference())
    assert later.at(0.5)[0] == pytest.approx(2.0, rel=0.05)
    later.remember(())
    assert len(later) == 64


def test_an_attempt_may_come_before_what_was_handed_on_and_nothing_breaks() -> None:
    yard = begun()
    yard.fold(attempt(0.5))
    yard.fold(*at_the_start(learnt()))
    yard.seconds(3)
    assert yard.told == []
