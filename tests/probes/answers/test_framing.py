"""What was passed over is kept for its words, within bounds."""

from probes.answers.framing import MOST_KEPT, Ignored


def kept(*lines: str) -> Ignored:
    ignored = Ignored()
    for line in lines:
        ignored.add(line)
    return ignored


def test_the_first_words_and_the_last_lines_are_kept() -> None:
    ignored = kept("one", "two")
    assert (ignored.first, ignored.text) == ("one\ntwo", "one\ntwo")


def test_however_much_comes_the_memory_is_bounded() -> None:
    ignored = kept("first", *("x" * 1000 for _ in range(1000)), "last")
    assert ignored.first.startswith("first\nx")
    assert len(ignored.first) < 3000
    assert ignored.text.endswith("x\nlast")
    assert len(ignored.text) <= MOST_KEPT
    assert len(kept("x" * 10 * MOST_KEPT).text) == MOST_KEPT


def test_an_endless_number_of_empty_lines_is_bounded_too() -> None:
    assert len(kept(*[""] * 100_000).text) <= MOST_KEPT
