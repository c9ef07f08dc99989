"""What a turn of a knob did: which samples count, when they are looked at, what is said."""

import random
from collections.abc import Callable

import pytest
from board_streams import ProbeScript, at, hello, route_info, throttled, tick

from probes.board import Board
from probes.board.knob_effects import AFTER_NS, BEFORE_MOST, KnobEffects
from probes.board.views import Happening, KnobComparison, KnobEffect, KnobFigure
from probes.events import Event, Knob, KnobKind
from probes.kit.clock import NS_PER_S
from probes.stats.comparison import LOOKS, SURE

COHORT = "64/256"


def turn(
    at_s: float, before: float, after: float, knob: KnobKind = "concurrency", route: str = "alpha"
) -> Knob:
    return Knob(at_ns=at(at_s), route=route, knob=knob, before=before, after=after)


def probes(
    begin_s: float,
    number: int,
    ttft_s: Callable[[int], float] = lambda number: 0.3 + number % 7 / 100,
    *,
    every_s: float = 1.0,
    cohort: str = COHORT,
    refused: Callable[[int], bool] = lambda _: False,
) -> list[Event]:
    """Return probes, one after the other; those refused get a 429 and are not tried again."""
    events: list[Event] = []
    for count in range(number):
        start_s = begin_s + count * every_s
        name = f"e1-{round(start_s * 1000)}"
        first_s = ttft_s(count)
        script = ProbeScript(name, start_s, ttft_s=first_s, e2e_s=first_s + 0.5, cohort=cohort)
        if refused(count):
            script = ProbeScript(
                name, start_s, ttft_s=None, e2e_s=0.1, outcome="throttled", cohort=cohort
            )
            refusal = throttled(script, start_s + 0.1, None)
            events += [script.started(), refusal, script.probe_finished()]
        else:
            events += script.events()
    return events


def board_of(*events: Event, until_s: float) -> Board:
    board = Board()
    board.fold(hello(route_info(concurrency=3), route_info("beta")))
    ticks = [tick(float(second)) for second in range(round(until_s) + 1)]
    for event in sorted((*events, *ticks), key=lambda event: event.at_ns):
        if event.at_ns <= at(until_s):
            board.fold(event)
    return board


def lines(board: Board) -> list[Happening]:
    return [one for one in board.snapshot().happenings if one.kind == "knob"]


def effect(*events: Event, until_s: float) -> KnobEffect:
    """Return what the newest turn did."""
    found = lines(board_of(*events, until_s=until_s))[0].effect
    assert found is not None
    return found


def figures(of: KnobEffect) -> dict[KnobFigure, KnobComparison]:
    return {one.figure: one for one in of.comparisons}


def test_a_turn_that_gets_us_throttled_is_worse_and_says_by_how_much() -> None:
    found = effect(
        *probes(0.0, 100),
        turn(100.0, 3, 6),
        *probes(100.5, 60, every_s=0.5, refused=lambda number: number % 3 == 0),
        until_s=135.0,
    )
    share = figures(found)["throttled_share"]
    assert (share.before, share.n_before, share.n_after, share.judged) == (0.0, 100, 40, "worse")
    assert share.after == pytest.approx(14 / 40)
    assert share.p is not None
    assert share.p < 1e-6
    assert figures(found)["good_share"].judged == "worse"
    assert found.judged == "worse"
    assert found.until_ns is None


def test_a_turn_that_shortens_the_wait_is_better() -> None:
    found = effect(
        *probes(0.0, 100, lambda number: 0.6 + number % 7 / 100),
        turn(100.0, 6, 3),
        *probes(100.5, 30),
        until_s=135.0,
    )
    ttft = figures(found)["ttft_p95"]
    assert (ttft.before, ttft.after) == (pytest.approx(0.66), pytest.approx(0.36))
    assert (ttft.judged, found.judged) == ("better", "better")


def test_where_nothing_differs_that_is_said() -> None:
    found = effect(*probes(0.0, 100), turn(100.0, 3, 4), *probes(100.5, 30), until_s=135.0)
    assert {one.judged for one in found.comparisons} == {"unclear"}
    assert found.judged == "unclear"


def test_what_got_worse_for_sure_outweighs_what_got_better() -> None:
    found = effect(
        *probes(0.0, 100, lambda number: 0.6 + number % 7 / 100),
        turn(100.0, 3, 6),
        *probes(100.5, 60, every_s=0.5, refused=lambda number: number % 3 == 0),
        until_s=140.0,
    )
    assert figures(found)["ttft_p95"].judged == "better"
    assert found.judged == "worse"


def test_before_20_on_each_side_there_is_no_judgement() -> None:
    after = probes(100.5, 30)
    few = effect(*probes(0.0, 100), turn(100.0, 3, 6), *after, until_s=110.0)
    assert few.judged == "waiting"
    assert {one.p for one in few.comparisons} == {None}
    assert figures(few)["throttled_share"].n_after < LOOKS[0]
    before = effect(*probes(85.0, 15), turn(100.0, 3, 6), *after, until_s=140.0)
    assert before.judged == "waiting"
    assert figures(before)["ttft_p95"].n_before == 15


def test_what_was_said_at_a_look_stands_until_the_next() -> None:
    slower: list[Event] = [
        *probes(0.0, 100),
        turn(100.0, 3, 6),
        *probes(100.5, 45, lambda number: 0.9),
    ]
    first, later = effect(*slower, until_s=123.0), effect(*slower, until_s=135.0)
    assert figures(first)["ttft_p95"].n_after == figures(later)["ttft_p95"].n_after == LOOKS[0]
    assert first == later
    assert figures(effect(*slower, until_s=145.0))["ttft_p95"].n_after == LOOKS[1]


def test_quick_answers_that_come_first_are_not_taken_for_all() -> None:
    # Of a hundred that begin together a quarter are quick: those that have ended are all quick.
    together = [
        ProbeScript(f"e1-x{number}", 100.5 + number / 100, ttft_s=0.1, e2e_s=0.2)
        if number % 4 == 0
        else ProbeScript(f"e1-x{number}", 100.5 + number / 100, ttft_s=20.0, e2e_s=20.5)
        for number in range(100)
    ]
    events = [event for script in together for event in script.events()]
    before = probes(0.0, 100)
    hasty = effect(*before, turn(100.0, 3, 60), *events, until_s=110.0)
    assert figures(hasty)["ttft_p95"].n_after <= 1
    whole = effect(*before, turn(100.0, 3, 60), *events, until_s=124.0)
    assert figures(whole)["ttft_p95"].judged == "worse"


def test_a_probe_that_hangs_holds_up_no_comparison_for_long() -> None:
    hung = ProbeScript("e1-hung", 101.0).started()
    turned = (*probes(0.0, 100), turn(100.0, 3, 6), hung, *probes(101.5, 60))
    assert effect(*turned, until_s=130.0).judged == "waiting"
    assert effect(*turned, until_s=160.0).judged == "unclear"


def test_samples_reach_back_two_minutes_and_not_behind_the_knob_before() -> None:
    found = effect(*probes(0.0, 300), turn(300.0, 3, 4), until_s=301.0)
    assert figures(found)["ttft_p95"].n_before == 120
    twice = effect(*probes(0.0, 300), turn(250.5, 3, 4), turn(300.0, 4, 5), until_s=301.0)
    assert figures(twice)["ttft_p95"].n_before == 49
    busy = effect(*probes(0.0, 900, every_s=0.1), turn(90.0, 3, 4), until_s=91.0)
    # Those behind the oldest that is open are not known whole.
    assert all(BEFORE_MOST - 10 <= one.n_before <= BEFORE_MOST for one in busy.comparisons)


def test_what_was_under_way_at_the_turn_is_of_neither_side() -> None:
    under_way = [ProbeScript(f"e1-u{n}", 99.5, ttft_s=3.0, e2e_s=3.5) for n in range(30)]
    events = [event for script in under_way for event in script.events()]
    found = effect(*probes(0.0, 99), turn(100.0, 3, 6), *events, *probes(104.0, 30), until_s=140.0)
    assert figures(found)["ttft_p95"].after == pytest.approx(0.36)
    assert figures(found)["ttft_p95"].before == pytest.approx(0.36)


def test_fewer_workers_take_effect_when_no_more_are_open_than_are_wanted() -> None:
    open_ones = [ProbeScript(f"e1-o{n}", 99.0, ttft_s=0.4, e2e_s=10.0 + n) for n in range(6)]
    events = [event for script in open_ones for event in script.events()]
    slow_then_quick = probes(101.0, 60, lambda number: 0.9 if number < 12 else 0.3)
    found = effect(*probes(0.0, 98), turn(100.0, 6, 3), *events, *slow_then_quick, until_s=170.0)
    assert figures(found)["ttft_p95"].after == 0.3


def test_another_knob_ends_a_comparison_and_a_pause_is_one() -> None:
    turned = (*probes(0.0, 100), turn(100.0, 3, 6), *probes(100.5, 100))
    newest, pause, first = lines(
        board_of(
            *turned,
            turn(130.0, 0, 1, "paused"),
            turn(140.0, 5, 2, "interval"),
            until_s=190.0,
        )
    )
    assert first.effect is not None
    assert first.effect.until_ns == at(130.0)
    assert pause.effect is None
    assert newest.effect is not None
    assert newest.effect.until_ns is None


@pytest.mark.parametrize(("knob", "ends"), [("burst", True), ("cool_down", True), ("usual", False)])
def test_which_knobs_without_an_effect_end_that_of_another(knob: KnobKind, ends: bool) -> None:
    turned = (*probes(0.0, 100), turn(100.0, 3, 6), *probes(100.5, 100))
    other, first = lines(board_of(*turned, turn(130.0, 0, 0, knob), until_s=140.0))
    assert other.effect is None
    assert first.effect is not None
    assert (first.effect.until_ns is not None) == ends


def test_a_turn_of_another_route_ends_nothing() -> None:
    found = lines(
        board_of(
            *probes(0.0, 100),
            turn(100.0, 3, 6),
            *probes(100.5, 100),
            turn(130.0, 3, 6, route="beta"),
            until_s=140.0,
        )
    )
    assert [one.effect.until_ns for one in found if one.effect] == [None, None]


def test_it_ends_after_five_minutes_and_goes_on_to_be_shown() -> None:
    turned = (*probes(0.0, 100), turn(100.0, 3, 6), *probes(100.5, 400))
    found = effect(*turned, until_s=410.0)
    assert found.until_ns == at(100.0) + AFTER_NS
    assert found.judged == "unclear"


def test_another_engine_ends_it() -> None:
    board = board_of(*probes(0.0, 100), turn(100.0, 3, 6), *probes(100.5, 30), until_s=135.0)
    board.fold(hello(route_info(), at_s=136.0, engine="e2"))
    found = lines(board)[0].effect
    assert found is not None
    assert found.until_ns == at(136.0)


def test_several_presses_of_a_key_are_one_turn() -> None:
    presses = [turn(100.0 + number, 3 + number, 4 + number) for number in range(3)]
    [line] = lines(board_of(*probes(0.0, 100), *presses, *probes(102.5, 30), until_s=140.0))
    assert line.text == "you: CONC 3→6"
    assert (line.at_ns, line.until_ns) == (at(100.0), at(102.0))
    assert line.effect is not None
    assert figures(line.effect)["ttft_p95"].n_before == 100
    assert line.effect.judged == "unclear"


@pytest.mark.parametrize(
    "second",
    [
        turn(101.0, 6, 3),  # back
        turn(115.0, 6, 8),  # later
        turn(101.0, 5, 2, "interval"),
    ],
)
def test_other_turns_are_turns_of_their_own(second: Knob) -> None:
    assert len(lines(board_of(turn(100.0, 3, 6), second, until_s=120.0))) == 2


def test_a_new_cap_compares_shares_alone_and_only_under_that_cap() -> None:
    found = effect(
        *probes(0.0, 100),
        turn(100.0, 64, 128, "max_tokens"),
        *probes(100.2, 2, every_s=0.1),  # tried once more under the former cap
        *probes(101.0, 60, every_s=0.5, cohort="128/256", refused=lambda number: number % 3 == 0),
        until_s=140.0,
    )
    assert [one.figure for one in found.comparisons] == ["throttled_share", "good_share"]
    assert found.judged == "worse"
    assert figures(found)["throttled_share"].after == pytest.approx(14 / 40)


@pytest.mark.parametrize("cohort", ["64/1k", "128/256"])
def test_another_cohort_that_nobody_turned_to_ends_it(cohort: str) -> None:
    found = effect(
        *probes(0.0, 100),
        turn(100.0, 3, 6),
        *probes(100.5, 10),
        *probes(111.0, 60, cohort=cohort),
        until_s=140.0,
    )
    assert found.until_ns == at(111.0)
    assert found.judged == "waiting"


def test_a_new_cap_with_prompts_of_another_size_is_not_compared() -> None:
    found = effect(
        *probes(0.0, 100),
        turn(100.0, 64, 128, "max_tokens"),
        *probes(101.0, 60, cohort="128/1k"),
        until_s=140.0,
    )
    assert found.until_ns == at(101.0)


def test_flagged_and_cancelled_ones_count_on_neither_side() -> None:
    left_out: list[Event] = []
    for number in range(40):
        script = ProbeScript(
            f"e1-f{number}",
            100.5 + number / 2,
            ttft_s=None,
            e2e_s=0.1,
            outcome="cancelled" if number % 2 else "server_error",
            flagged="" if number % 2 else "local_gap",
        )
        left_out += script.events()
    found = effect(*probes(0.0, 100), turn(100.0, 3, 6), *left_out, until_s=140.0)
    assert {one.n_after for one in found.comparisons} == {0}


def test_a_difference_must_be_seen_in_the_figure_too() -> None:
    # Most answers are later, yet the p95 is lower: neither better nor worse.
    found = effect(
        *probes(0.0, 100, lambda number: 0.2 if number % 10 else 2.0),
        turn(100.0, 3, 6),
        *probes(100.5, 30, lambda number: 0.5),
        until_s=135.0,
    )
    ttft = figures(found)["ttft_p95"]
    assert ttft.p is not None
    assert ttft.p < SURE
    assert ttft.judged == "unclear"


def test_no_more_is_kept_than_the_looks_need() -> None:
    effects = KnobEffects()
    effects.began(COHORT, 0)
    for number in range(2 * LOOKS[-1]):
        effects.add("ttft_p95", COHORT, number, 0.3)
    effects.turned(turn(0.0, 3, 6), 0, None)
    for number in range(2 * LOOKS[-1]):
        effects.add("ttft_p95", COHORT, at(1.0) + number, 0.3)
    known = effects.looked(at(20.0), None)
    assert known is not None
    ttft = figures(known)["ttft_p95"]
    assert ttft.n_after == LOOKS[-1]
    assert len(effects._recent["ttft_p95"]) == BEFORE_MOST


def test_turning_nothing_says_better_or_worse_in_few_of_a_hundred() -> None:
    """The whole of it, four figures and all looks, where nothing differs: what is said falsely."""
    source = random.Random(4)
    wrong = dict.fromkeys(("ttft_p95", "tokens_per_s", "throttled_share", "good_share"), 0)
    lines_wrong, turns = 0, 100
    for _ in range(turns):
        effects, said = KnobEffects(), set[KnobFigure]()
        effects.began(COHORT, 0)
        for number in range(200 + LOOKS[5]):
            began_ns = number * NS_PER_S // 8
            if number == 200:
                event = Knob(at_ns=began_ns, route="a", knob="concurrency", before=3, after=4)
                effects.turned(event, 0, None)
            effects.add("ttft_p95", COHORT, began_ns, source.lognormvariate(-1, 0.3))
            effects.add("tokens_per_s", COHORT, began_ns, source.lognormvariate(3, 0.2))
            effects.add("throttled_share", COHORT, began_ns, float(source.random() < 0.1))
            effects.add("good_share", COHORT, began_ns, float(source.random() < 0.9))
            if number - 199 in LOOKS:
                known = effects.looked(began_ns + 1, None)
                assert known is not None
                said |= {
                    one.figure for one in known.comparisons if one.judged in ("better", "worse")
                }
        for figure in said:
            wrong[figure] += 1
        lines_wrong += bool(said)
    assert sum(wrong.values()) / (4 * turns) < 0.01
    assert lines_wrong / turns < 0.04
