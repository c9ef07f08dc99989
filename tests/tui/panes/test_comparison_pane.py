"""The page of a comparison: its answer, its arms, its intervals; at every width."""

import made_comparison
import pytest
from changed import replace

from probes.comparing.views import (
    ComparedFigure,
    ComparisonCost,
    ComparisonState,
    ComparisonVerdict,
    TrailPoint,
)
from tui.draw.glyphs import stand_in
from tui.draw.text import Line, line_text, line_width
from tui.panes.comparison import (
    FIGURE_NAMES,
    RatioAxis,
    axis_line,
    axis_of,
    comparison_lines,
    interval_line,
    meaning,
)

RATIO = RatioAxis(41, 2.0, is_ratio=True)
POINTS = RatioAxis(41, 0.2, is_ratio=False)


def text(lines: list[Line]) -> str:
    return "\n".join(line_text(line) for line in lines)


def ttft(low: float | None, high: float | None, estimate: float | None = 1.2) -> ComparedFigure:
    return ComparedFigure("ttft", 40, estimate, low, high)


# The axis.


def test_equal_ratios_are_equally_far_and_one_is_in_the_middle() -> None:
    assert [RATIO.place(value) for value in (0.5, 1.0, 2.0)] == [0, 20, 40]
    assert RATIO.place(1.25) - 20 == pytest.approx(20 - RATIO.place(0.8))
    assert [round(POINTS.place(value)) for value in (-0.2, 0.0, 0.2)] == [0, 20, 40]


def test_the_axis_is_the_narrowest_of_few_that_holds_all() -> None:
    assert axis_of([ttft(0.9, 1.2)], 41, is_ratio=True).top == 1.25
    assert axis_of([ttft(0.7, 1.2)], 41, is_ratio=True).top == 2.0
    assert axis_of([ttft(0.9, 1.2), ttft(1.1, 3.9)], 41, is_ratio=True).top == 4.0
    assert axis_of([ttft(0.0001, 5_000.0)], 41, is_ratio=True).top == 100.0
    assert axis_of([ttft(0.0, 1.1)], 41, is_ratio=True).top == 1.25
    assert axis_of([], 41, is_ratio=True).top == 1.25
    assert axis_of([ComparedFigure("good", 40, -0.1, -0.3, 0.1)], 41, is_ratio=False).top == 0.5


def test_an_axis_has_a_middle_whatever_its_room() -> None:
    assert {axis_of([], width, is_ratio=True).width % 2 for width in range(15, 40)} == {1}
    assert all(axis_of([], width, is_ratio=True).width <= width for width in range(15, 40))


@pytest.mark.parametrize("width", range(15, 123, 2))
@pytest.mark.parametrize("top", [1.25, 2.0, 4.0, 16.0, 100.0])
def test_its_labels_stand_apart_and_within(width: int, top: float) -> None:
    words = line_text(axis_line(RatioAxis(width, top, is_ratio=True)))
    assert len(words) == width
    labels = words.split()
    assert "×1" in labels
    assert len(labels) in (3, 5)
    assert labels[-1] == f"×{top:.2g}" or top == 1.25
    middle = words.index("×1 ") if "×1 " in words else words.index("×1")
    assert abs(middle - width // 2) <= 1


def test_labels_of_points_have_their_sign() -> None:
    assert line_text(axis_line(POINTS)).split() == ["-20", "-10", "0", "+10", "+20"]


# An interval.


def drawn(figure: ComparedFigure | TrailPoint, axis: RatioAxis = RATIO) -> str:
    line = interval_line(figure, axis, "text")
    assert line_width(line) == axis.width
    return line_text(line)


def test_an_interval_stands_where_its_ends_are() -> None:
    words = drawn(ttft(1.1, 1.5, 1.3))
    assert words[20] == "│"
    assert words.index("├") == round(RATIO.place(1.1))
    assert words.index("┤") == round(RATIO.place(1.5))
    assert words.index("●") == round(RATIO.place(1.3))
    assert set(words) == set(" │├━●┤")


def test_one_that_crosses_the_middle_is_seen_to() -> None:
    assert drawn(ttft(0.8, 1.3, 1.1))[20] == "┿"
    assert drawn(ttft(0.8, 1.3, 1.0))[20] == "●"
    assert stand_in("├━┿●┤│") == "+=+*||"


def test_one_that_goes_beyond_the_scale_says_so() -> None:
    words = drawn(ttft(0.3, 9.0, 1.2))
    assert words[0] == "←"
    assert words[-1] == "→"
    assert drawn(ttft(0.5, 2.0))[0] == "├"
    far = drawn(ttft(5.0, 9.0, 7.0))
    assert far[-1] == "●"


def test_one_that_is_open_at_an_end_is_drawn_to_the_edge() -> None:
    least, most = drawn(ttft(1.1, None)), drawn(ttft(None, 0.9, 0.8))
    assert least[-1] == "→"
    assert "├" in least
    assert most[0] == "←"
    assert "┤" in most
    assert "━" not in drawn(ttft(None, None))
    assert drawn(ttft(None, None, None)).strip() == "│"


@pytest.mark.parametrize(
    ("name", "verdict", "words"),
    [
        ("ttft", "worse", "slower"),
        ("tokens_per_s", "better", "faster"),
        ("good", "worse", "less often"),
        ("throttled", "better", "less often"),
        ("e2e", "same", "within 5 %"),
        ("good", "same", "within 5 points"),
        ("e2e", "unknown", "not known yet"),
    ],
)
def test_what_it_means_is_told_in_words(name: str, verdict: ComparisonVerdict, words: str) -> None:
    figure = ComparedFigure(name, 40, verdict=verdict)  # type: ignore[arg-type]
    assert meaning(figure, made_comparison.view()) == words


# The page.


@pytest.mark.parametrize("names", [("a", "b"), ("a" * 60, "漢字" * 30), tuple("abcd")])
@pytest.mark.parametrize("state", ["waiting", "running", "decided", "budget", "stopped", "failed"])
def test_no_line_is_wider_than_the_page(names: tuple[str, ...], state: ComparisonState) -> None:
    shown = made_comparison.view(*names, state=state, waits="a server that asked for 12 s")
    for width in range(1, 302):
        lines = comparison_lines(shown, width, 30, is_live=False)
        assert all(line_width(line) <= width for line in lines), width


def test_nothing_is_cut_without_a_mark_from_60_columns_on() -> None:
    shown = made_comparison.view("eastus-gpt-of-the-whole-team-of-ours", "busy-llama-" * 6)
    for width in (58, 78, 98, 118, 158, 298):
        told = " ".join(text(comparison_lines(shown, width)).split())
        assert made_comparison.SENTENCE in told
        for one in shown.arms[1].figures:
            (line,) = [
                line
                for line in text(comparison_lines(shown, width)).splitlines()
                if line[1:].startswith(
                    ("▸" + FIGURE_NAMES[one.figure], " " + FIGURE_NAMES[one.figure])
                )
            ]
            assert line.rstrip().endswith(meaning(one, shown))
            assert f"n {one.pairs}" in line


def test_the_answer_comes_first_and_is_loud_once_it_stands() -> None:
    for state, role in (("running", "text"), ("decided", "title"), ("failed", "missed")):
        shown = made_comparison.view(state=state)  # type: ignore[arg-type]
        words, its_role = comparison_lines(shown, 200)[0][1]
        assert words == made_comparison.SENTENCE
        assert its_role == role


def test_it_tells_what_is_spent_and_left() -> None:
    told = text(comparison_lines(made_comparison.view(), 160))
    assert "84 of at most 300 pairs" in told
    assert "8.5k of 51k tokens · $0.007 of $0.03 · $0.02 left" in told
    over = text(comparison_lines(made_comparison.view(state="budget"), 160))
    assert "■ budget spent" in over
    assert "left" not in over.splitlines()[2]
    own = made_comparison.view(most_tokens=20_000, most_usd=0.01)
    assert "8.5k of 20k tokens · $0.007 of $0.01" in text(comparison_lines(own, 160))


def test_a_price_that_is_not_known_and_a_wait_are_told() -> None:
    cost = ComparisonCost(300, 602, 51_000, None, ("busy-llama",))
    shown = made_comparison.view(cost=cost, waits="a server that asked for 12 s")
    told = text(comparison_lines(shown, 160))
    assert "no price known of busy-llama" in told
    assert "waits: a server that asked for 12 s" in told
    assert "$0.007 of" not in told


def test_what_is_not_known_at_the_end_never_will_be() -> None:
    told = text(comparison_lines(made_comparison.view(state="budget"), 160))
    assert "not known yet" not in told
    assert "not known" in told


def test_in_the_past_it_says_that_it_compares_now() -> None:
    shown = made_comparison.view()
    assert "not in the past that is shown" in text(comparison_lines(shown, 160, is_live=False))
    assert "not in the past" not in text(comparison_lines(shown, 160))


def test_arms_have_their_letters_and_who_is_asked() -> None:
    shown = made_comparison.view("first", "second", "third")
    rows = text(comparison_lines(shown, 160)).splitlines()[5:8]
    assert [row.split()[:2] for row in rows] == [["A", "first"], ["B", "second"], ["C", "third"]]
    assert rows[2].rstrip().endswith("asked")
    arms = (*shown.arms[:2], replace(shown.arms[2], settled=True))
    settled = text(comparison_lines(replace(shown, arms=arms), 160)).splitlines()
    assert settled[7].rstrip().endswith("settled")


def test_all_arms_stand_on_one_scale() -> None:
    shown = made_comparison.view("a", "b", "c", "d")
    heads = [
        line
        for line in text(comparison_lines(shown, 160)).splitlines()
        if line.lstrip().startswith("ratio")
    ]
    assert len(heads) == 3
    assert len(set(heads)) == 1


def narrowed(lines: list[Line]) -> list[str]:
    words = text(lines).splitlines()
    begin = next(at for at, line in enumerate(words) if "narrowed" in line)
    return words[begin + 1 : words.index("", begin)]


def test_how_it_narrowed_is_told_newest_first_in_the_room_there_is() -> None:
    shown = made_comparison.view()
    low, high = (narrowed(comparison_lines(shown, 120, height)) for height in (10, 60))
    assert 2 <= len(low) < len(high) == 8
    for lines in (low, high):
        pairs = [int(line.split()[-1]) for line in lines]
        assert pairs == sorted(pairs, reverse=True)
        assert pairs[0] == 83
        assert len({len(line.rstrip()) for line in lines}) == 1
        widths = [line.count("━") for line in lines]
        assert widths == sorted(widths)


def test_how_sure_it_is_stands_there_until_the_sentence_says_it() -> None:
    words = "wrong in 1 % of comparisons at most, however often one looks"
    assert words in text(comparison_lines(made_comparison.view(), 160))
    assert words not in text(comparison_lines(made_comparison.view(state="decided"), 160))


def test_before_anything_ended_it_has_no_figures_and_no_trail() -> None:
    told = text(comparison_lines(made_comparison.begun("a", "b"), 120))
    assert "Nothing can be said yet." in told
    assert "○ not begun" in told
    assert "narrowed" not in told
    assert "–" in told


def test_names_and_sentences_are_made_harmless() -> None:
    shown = made_comparison.view("a\x1b[2J", "b\u202ec", sentence="x\x1b]0;y\x07", waits="\x9b1m")
    told = text(comparison_lines(shown, 120))
    assert not set(told) & set("\x1b\x07\x9b\u202e")


def test_a_difference_is_told_without_colours() -> None:
    told = text(comparison_lines(made_comparison.view(), 120))
    assert "slower" in told
    assert "not known yet" in told
    assert "within 5 points" in told
