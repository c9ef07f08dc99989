"""Charts: fixed scales, stable buckets, glyphs for what is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import NOW_NS, trend

from probes.board.views import ChartPoint
from probes.kit.clock import NS_PER_S
from tui.draw.chart import (
    FAILED,
    NO_SAMPLE,
    OFF_SCALE,
    RESCUED,
    SLICE_NS,
    SPANS_NS,
    STALLED,
    THROTTLED,
    Series,
    bar,
    braille_cells,
    bucket_sample,
    join_cells,
    level_glyph,
    nice_top,
    rebucket,
    role_of,
    row_of,
    span_of,
    sparkline,
    strip_cells,
)
from tui.draw.text import line_text, line_width

QUARTER_NS = 900 * NS_PER_S

figures = st.none() | st.floats(allow_nan=True, allow_infinity=True)
points_of = st.lists(
    st.builds(
        ChartPoint,
        start_ns=st.integers(-(10**21), 10**21),
        p50=figures,
        p95=figures,
        n=st.integers(0, 10**9),
        failures=st.integers(0, 10**9),
        throttled=st.integers(0, 10**9),
    ),
    max_size=12,
)


def point(index: int, p95: float | None, failures: int = 0, throttled: int = 0, n: int = 1):
    return ChartPoint(index * SLICE_NS, p95, p95, n, failures, throttled)


def braille_lines(series, width, height, top):
    return tuple(join_cells(row) for row in braille_cells(series, width, height, top))


def test_a_value_above_the_goal_is_drawn_higher_than_one_that_meets_it():
    blocks = "▁▂▃▄▅▆▇█"
    just_met = level_glyph(0.99, top=30.0, goal=1.0)
    just_missed = level_glyph(1.01, top=30.0, goal=1.0)
    assert blocks.index(just_missed) > blocks.index(just_met)


def test_the_scale_is_fixed_so_equal_values_draw_equal_heights():
    low = line_text(sparkline([0.2] * 4, 4, top=4.0))
    high = line_text(sparkline([3.9] * 4, 4, top=4.0))
    assert low == "▁▁▁▁"
    assert high == "████"


def test_what_is_missing_or_off_the_scale_has_glyphs_of_its_own():
    line = sparkline([None, "failed", "throttled", 9.0, 1.0], 5, top=4.0, goal=1.0)
    assert line_text(line) == f"{NO_SAMPLE}{FAILED}{THROTTLED}{OFF_SCALE}▂"


def test_a_sparkline_shows_the_newest_values_right_aligned():
    assert line_text(sparkline([4.0, 0.1, 0.1], 2, top=4.0)) == "▁▁"
    assert line_text(sparkline([4.0], 3, top=4.0)) == "  █"


def test_neighbours_of_one_role_share_a_span():
    assert len(sparkline([0.1, 0.2, 0.3, 2.0], 4, top=4.0, goal=1.0)) == 2


@pytest.mark.parametrize(
    ("value", "role"), [(0.6, "great"), (1.0, "fine"), (1.5, "slow"), (1.51, "sluggish")]
)
def test_roles_follow_the_bands_of_the_goal(value: float, role: str):
    assert role_of(value, 1.0) == role
    assert role_of(value, None) == "graph"


def test_the_top_is_a_power_of_two_that_leaves_room_above_the_goal():
    assert nice_top([0.2, None, 0.3], goal=1.0) == 2.0
    assert nice_top([3.1], goal=1.0) == 4.0
    assert nice_top([float("inf"), float("nan")], goal=0.4) == 0.5
    assert nice_top([], goal=0.0) == 1 / 64


def test_the_newest_slice_is_in_the_last_bucket_and_the_worst_p95_stands():
    buckets = rebucket(
        [point(0, 0.5), point(84, 0.7), point(88, 3.0), point(89, 0.2)], 15, span_ns=QUARTER_NS
    )
    assert buckets.slots[-1] is not None
    assert buckets.slots[-1].p95 == 3.0
    assert buckets.slots[0] is not None
    assert buckets.slots[1] is None


def test_the_mean_of_p50_is_weighted_by_samples():
    first = ChartPoint(0, 1.0, 1.0, 1, 0, 0)
    second = ChartPoint(SLICE_NS, 2.0, 2.0, 3, 0, 0)
    bucket = rebucket([first, second], 1, span_ns=QUARTER_NS).slots[0]
    assert bucket is not None
    assert bucket.p50 == pytest.approx(1.75)


@pytest.mark.parametrize("columns", [7, 15, 40, 90, 133, 200])
@pytest.mark.parametrize("align", [1, 2])
def test_buckets_keep_their_samples_while_time_goes_on(columns: int, align: int):
    series = [point(index, index * 0.01) for index in range(200)]
    earlier = rebucket(series[:100], columns, span_ns=QUARTER_NS, align=align)
    later = rebucket(series[:101], columns, span_ns=QUARTER_NS, align=align)
    assert earlier.bucket_ns == later.bucket_ns
    old = dict(enumerate(earlier.slots, earlier.first))
    new = dict(enumerate(later.slots, later.first))
    grown = SLICE_NS * 100 // earlier.bucket_ns
    closed = [index for index in old.keys() & new.keys() if index < grown - 1]
    assert len(closed) >= columns * 3 // 4
    assert all(old[index] == new[index] for index in closed if index > later.first)


def test_columns_scroll_by_whole_cells_when_aligned():
    for length in range(90, 130):
        buckets = rebucket(
            [point(index, 1.0) for index in range(length)], 60, span_ns=QUARTER_NS, align=2
        )
        assert (buckets.first + 60) % 2 == 0


def test_a_short_slice_fills_every_column_it_covers():
    buckets = rebucket([point(index, float(index)) for index in range(90)], 360, span_ns=QUARTER_NS)
    assert all(slot is not None for slot in buckets.slots)


def test_a_stamp_finds_its_column_while_it_is_shown():
    buckets = rebucket([point(index, 1.0) for index in range(90)], 90, span_ns=QUARTER_NS)
    assert buckets.column_of(89 * SLICE_NS) == 89
    assert buckets.column_of(0) == 0
    assert buckets.column_of(-1) is None
    assert buckets.column_of(90 * SLICE_NS) is None


def test_a_bucket_where_most_failed_says_so_instead_of_looking_fast():
    assert bucket_sample(point(0, 0.2, failures=3, n=2)) == "failed"
    assert bucket_sample(point(0, None, throttled=3, failures=1, n=0)) == "throttled"
    assert bucket_sample(point(0, 0.2, failures=1, n=20)) == 0.2
    assert bucket_sample(point(0, None, n=0)) is None
    assert bucket_sample(None) is None


CELL_NS = 20 * NS_PER_S


def of_cell(**counts: int) -> ChartPoint:
    failures, throttled = counts.pop("failures", 0), counts.pop("throttled", 0)
    return ChartPoint(0, 0.2, 0.3, 20, failures, throttled, **counts)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"finished": 20, "good": 20}, 0.3),
        ({"finished": 20, "stalled": 1}, 0.3),
        ({"finished": 20, "stalled": 2}, "stalled"),
        ({"finished": 20, "recovered": 1}, 0.3),
        ({"finished": 20, "recovered": 2}, "rescued"),
        ({"finished": 20, "recovered": 9, "stalled": 2}, "stalled"),
        ({"finished": 20, "throttled": 6}, 0.3),
        ({"finished": 20, "throttled": 7}, "throttled"),
        ({"finished": 40, "failures": 20}, 0.3),
        ({"finished": 40, "failures": 21}, "failed"),
        ({"finished": 40, "failures": 21, "throttled": 90}, "throttled"),
    ],
)
def test_a_cell_says_what_hurt_users_most_in_it(counts: dict[str, int], told: object):
    assert bucket_sample(of_cell(**counts)) == told


def test_what_is_said_instead_of_a_height_has_a_glyph_of_its_own():
    line = line_text(sparkline(["stalled", "rescued", "done"], 3, top=4.0, goal=1.0))
    assert line == f"{STALLED}{RESCUED}▁"


def test_a_strip_is_blank_before_the_first_slice_and_marks_cells_without_a_probe():
    assert " " not in line_text(strip_cells(trend(0.5), 15, 4.0, 1.0, CELL_NS))
    young = line_text(strip_cells(trend(0.5)[-6:], 15, 4.0, 1.0, CELL_NS))
    assert young.count(" ") >= 11
    idle = [point(index, None, n=0) for index in range(60)]
    assert line_text(strip_cells(idle, 5, 4.0, 1.0, CELL_NS)) == NO_SAMPLE * 4 + " "
    assert line_text(strip_cells((), 5, 4.0, 1.0, CELL_NS)) == " " * 5
    assert strip_cells((), 0, 4.0, 1.0, CELL_NS) == ()


def test_a_strip_scrolls_by_whole_cells_and_keeps_what_it_showed():
    points = [point(index, 0.05 * (index % 40)) for index in range(200)]
    earlier = line_text(strip_cells(points[:100], 15, 4.0, 1.0, CELL_NS))
    later = line_text(strip_cells(points[:102], 15, 4.0, 1.0, CELL_NS))
    assert later[:-1] == earlier[1:]


def test_a_bar_fills_by_eighths_and_is_bounded():
    assert line_text(bar(0.5, 4, "graph")) == "██··"
    assert line_text(bar(1 / 32, 4, "graph")) == "▏···"
    assert line_text(bar(7.0, 4, "graph")) == "████"
    assert line_text(bar(None, 4, "graph")) == "····"
    assert bar(0.5, 0, "graph") == ()


def test_braille_draws_a_line_from_the_base_to_the_top():
    bottom, top = Series((0.0, 0.0)), Series((4.0, 4.0))
    assert [line_text(line) for line in braille_lines([bottom], 1, 2, 4.0)] == [" ", "⣀"]
    assert [line_text(line) for line in braille_lines([top], 1, 2, 4.0)] == ["⠉", " "]


def test_braille_joins_a_jump_and_breaks_at_a_gap():
    jump = braille_lines([Series((0.0, 4.0))], 1, 1, 4.0)
    gap = braille_lines([Series((0.0, None, 4.0, 4.0))], 2, 1, 4.0)
    assert line_text(jump[0]) == "⡸"
    assert line_text(gap[0]) == "⡀⠉"


def test_an_area_fills_from_the_base_and_the_later_series_takes_the_cell():
    area = Series((4.0, 4.0), role="graph_dim", filled=True)
    line = Series((4.0, 4.0), goal=1.0)
    assert braille_lines([area, line], 1, 2, 4.0) == ((("⣿", "sluggish"),), (("⣿", "graph_dim"),))


def test_a_value_is_drawn_in_the_row_it_is_labelled_at():
    for value in (0.0, 0.9, 1.0, 2.5, 3.99, 4.0, 80.0):
        rows = braille_lines([Series((value, value))], 1, 8, 4.0)
        assert line_text(rows[row_of(value, 8, 4.0)]) != " "


def test_what_no_scale_holds_stays_inside_the_chart():
    wild = (float("-inf"), -1.0, float("inf"), float("nan"))
    assert line_text(sparkline(wild, 4, top=4.0, goal=1e300)) == f"▁▁{OFF_SCALE}{OFF_SCALE}"
    assert line_text(braille_lines([Series(wild)], 2, 1, 4.0)[0]) == "⣀⠏"


@settings(deadline=None)
@given(points_of, st.integers(-2, 200), st.floats(0.01, 1e9), st.floats(0.01, 1e9))
def test_a_strip_is_exactly_as_wide_as_asked(points, width, top, goal):
    assert line_width(strip_cells(points, width, top, goal, CELL_NS)) == max(0, width)


@settings(deadline=None)
@given(st.lists(figures, max_size=60), st.integers(-1, 40), st.integers(-1, 12), st.booleans())
def test_a_chart_has_exactly_its_size(values, width, height, filled):
    top = nice_top(values, 1.0)
    lines = braille_lines([Series(tuple(values), goal=1.0, filled=filled)], width, height, top)
    assert len(lines) == max(0, height)
    assert all(line_width(line) == max(0, width) for line in lines)


@pytest.mark.parametrize(
    ("slices", "minutes"),
    [(0, 2), (1, 2), (12, 2), (13, 5), (30, 5), (31, 15), (90, 15), (200, 15)],
)
def test_a_young_run_is_drawn_over_a_short_span(slices: int, minutes: int):
    points = [point(index, 1.0) for index in range(slices)]
    assert span_of(points) == minutes * 60 * NS_PER_S


def test_the_span_holds_the_whole_timeline():
    points = trend(0.5)
    assert points[0].start_ns == NOW_NS - QUARTER_NS
    assert span_of(points) == QUARTER_NS == SPANS_NS[-1]
