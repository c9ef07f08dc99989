import random
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from probes.events import StampLadder
from probes.stats.ladders import SliceLadders, medians_of, spans_between

STAMPS = st.none() | st.integers(0, 1_000)


def ladder(
    began: int | None, sent: int | None, headers: int | None, first: int | None
) -> StampLadder:
    return StampLadder(started=began, sent=sent, headers=headers, first_token=first)


def spans_of(started: int, last: StampLadder, done: int) -> list[int]:
    ladders = SliceLadders()
    ladders.add(started, last, done)
    return [column[0] for column in ladders.spans()]


def add(ladders: SliceLadders, steps: Sequence[int]) -> None:
    ladders.add(steps[0], ladder(*steps[1:5]), steps[5])


@given(st.integers(0, 1_000), STAMPS, STAMPS, STAMPS, STAMPS, st.integers(0, 5_000))
def test_the_spans_of_a_probe_add_up_to_what_its_user_felt(
    started: int,
    began: int | None,
    sent: int | None,
    headers: int | None,
    first: int | None,
    lasted: int,
) -> None:
    spans = spans_of(started, ladder(began, sent, headers, first), started + lasted)
    assert sum(spans) == lasted
    assert min(spans) >= 0


@given(st.lists(st.integers(0, 10**12), min_size=6, max_size=6).map(sorted))
def test_stamps_in_order_are_the_ends_of_their_spans(stamps: list[int]) -> None:
    spans = spans_of(stamps[0], ladder(*stamps[1:5]), stamps[5])
    assert spans == [b - a for a, b in pairwise(stamps)]


def test_what_did_not_happen_takes_no_time_and_what_follows_has_it() -> None:
    # On a warm connection an answer that came whole: no first token, and sent as it began.
    assert spans_of(100, ladder(150, 150, 400, None), 460) == [50, 0, 250, 0, 60]


def test_an_answer_before_the_request_was_sent_takes_no_wait() -> None:
    assert spans_of(100, ladder(100, 300, 200, 250), 460) == [0, 200, 0, 0, 160]


@given(st.lists(st.lists(st.integers(0, 50), min_size=6, max_size=6), max_size=40), st.randoms())
def test_medians_are_of_all_that_was_given_however_often_they_were_read(
    given_steps: list[list[int]], chance: random.Random
) -> None:
    ladders = SliceLadders()
    for steps in given_steps:
        add(ladders, steps)
        if chance.random() < 0.3:
            ladders.medians()
    columns = [[c[0] for c in spans_between(steps)] for steps in given_steps]
    middle = (len(columns) - 1) // 2
    wanted = tuple(sorted(c[n] for c in columns)[middle] for n in range(5)) if columns else ()
    assert ladders.medians() == wanted
    assert ladders.n == len(given_steps)


def test_of_more_than_a_slice_keeps_there_is_a_sample_of_the_whole_slice() -> None:
    ladders = SliceLadders()
    for number in range(20_000):
        add(ladders, (0, 0, 0, 0, 0, number))
    assert ladders.n == 20_000
    assert 128 <= ladders.compact() <= 256
    kept = list(ladders.spans()[4])
    assert kept == sorted(kept)
    assert ladders.medians()[4] == 10_000 or abs(ladders.medians()[4] - 10_000) < 600


def test_absurd_stamps_cost_their_probe_alone() -> None:
    ladders = SliceLadders()
    for steps in ((0, 1, 2, 3, 4, 5), (0, 10**30, 2, 3, 4, 5), (0, 1, 2, 3, 4, 7)):
        add(ladders, steps)
    assert [list(column) for column in ladders.spans()] == [[1, 1]] * 4 + [[1, 3]]


def test_medians_of_several_slices_are_of_all_their_probes() -> None:
    parts = [SliceLadders(), SliceLadders()]
    for end, part in zip((10, 20, 30, 1), (*parts, *parts), strict=True):
        add(part, (0, 0, 0, 0, 0, end))
    assert medians_of([part.spans() for part in parts]) == (0, 0, 0, 0, 10)
    assert medians_of(()) == ()
    parts[0].absorb(parts[1])
    assert parts[0].medians() == (0, 0, 0, 0, 10)
    assert parts[0].n == 4


@given(st.integers(1, 700), st.integers(0, 700))
def test_what_is_kept_does_not_depend_on_when_somebody_looked(many: int, looked: int) -> None:
    seen, unseen = SliceLadders(), SliceLadders()
    for number in range(many):
        for ladders in (seen, unseen):
            add(ladders, (number, number, number + 1, number + 2, number + 3, number + 4))
        if number == looked:
            seen.medians()
    assert seen.spans() == unseen.spans()
    assert (seen.n, seen.medians()) == (unseen.n, unseen.medians())
