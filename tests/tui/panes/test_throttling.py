"""The throttling pane: limits with countdowns, then 429s, newest first."""

from datetime import UTC

import pytest
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from made import HOSTILE, limits, rate_limit, snapshot, throttle

from probes.board.views import EMPTY_SNAPSHOT, LimitsView, Snapshot, ThrottleEntry
from probes.events import Limit
from tui.draw.text import line_text, line_width
from tui.panes.throttling import throttling_lines, throttling_title
from tui.panes.view import DEFAULT_VIEW, ViewState


def board(entries: tuple[ThrottleEntry, ...] = (), known: tuple[LimitsView, ...] = ()) -> Snapshot:
    return replace(snapshot(), throttles=entries, limits=known)


def texts(shown: Snapshot, width: int = 120, height: int = 12, offset: int = 0) -> list[str]:
    view = ViewState(selected="busy-llama", offsets={"throttling": offset})
    lines = throttling_lines(shown, view, width, height, UTC)
    return [line_text(line) for line in lines]


def test_nothing_throttled_is_one_calm_line():
    lines = throttling_lines(board(), DEFAULT_VIEW, 80, 10)
    assert lines == ((("no 429 since start", "dim"),),)


def test_an_entry_says_when_who_which_limit_asked_waited_left_and_request():
    head, row = texts(board((throttle(),)), width=140)
    assert head.split() == [
        *("TIME", "ROUTE", "LIMIT", "ASKED", "s", "WAITED", "s", "LEFT", "RESETS", "REQUEST"),
        "MESSAGE",
    ]
    assert row.split() == [
        *("22:25:59", "busy-llama", "concurrency", "2.00", "2.00", "0/8", "10s", "req_7f3a9c01"),
        *("Too", "many", "requests"),
    ]


def test_waiting_and_not_retrying_are_told_apart():
    waits = texts(board((throttle(waited_s=None),)))[1]
    gave_up = texts(board((throttle(waited_s=None, retried=False),)))[1]
    assert "waits" in waits
    assert "no retry" in gave_up


def test_a_countdown_that_has_passed_is_no_longer_shown():
    row = texts(board((throttle(60.0),)))[1]
    assert row.split()[6] == "–"


def test_the_request_id_outlives_the_less_needed_columns():
    head = texts(board((throttle(),)), width=70)[0]
    assert "REQUEST" in head
    assert "RESETS" not in head
    assert texts(board((throttle(),)), width=24)[0].split() == ["TIME", "LIMIT"]


def test_a_long_request_id_is_cut_with_a_mark():
    long = throttle(request_id="req_" + "f" * 60)
    assert "…" in texts(board((long,)))[1]


def test_the_selected_routes_entries_are_brighter():
    shown = board((throttle(), throttle(route="other")))
    _, mine, other = throttling_lines(shown, ViewState(selected="busy-llama"), 80, 9)
    assert mine[0][1] == "text"
    assert other[0][1] == "dim"


def test_the_log_scrolls_and_stops_at_its_end():
    entries = tuple(throttle(float(index), request_id=f"req_{index}") for index in range(9))
    assert "req_4" in texts(board(entries), offset=4)[1]
    assert "req_8" in texts(board(entries), offset=400)[1]


def test_a_limit_shows_what_is_left_and_when_it_resets():
    lines = texts(board((), (limits(),)))
    assert lines[-1] == "no 429 since start"
    assert "cools 1.4s/2.0s" in lines[0]
    assert "requests/min" in lines[0]
    assert lines[0].split()[-2:] == ["212/600", "11s"]
    assert lines[1].split()[-2:] == ["41k/60k", "29s"]


def test_limits_are_gauges_one_below_the_other_where_there_is_room():
    calm = texts(board((), (limits(), limits("second", cool_down_s=None))))
    assert [line.find("━") for line in calm[:4]] == [calm[0].find("━")] * 4
    assert calm[4:] == ["", "no 429 since start"]
    assert texts(board((), (limits(), limits("second", cool_down_s=None))), height=6) == calm
    narrow = texts(board((), (limits(), limits("second"))), width=86)
    assert not any("…" in line for line in narrow)
    assert "━" in narrow[0]
    assert texts(board((), (limits(), limits("second"))), height=5)[0].count("/") >= 3


def test_narrow_panes_drop_bars_then_periods_then_countdowns():
    shown = board((), (limits(),))
    assert "█" in texts(shown, width=110, height=3)[0]
    assert "█" not in texts(shown, width=95, height=3)[0]
    assert "requests/min" in texts(shown, width=95, height=3)[0]
    assert "requests/min" not in texts(shown, width=84, height=3)[0]
    assert "11s" in texts(shown, width=84, height=3)[0]
    assert "+1" in texts(shown, width=50)[0]


def test_a_limit_that_is_almost_used_up_is_not_calm():
    low = limits(limits=(Limit(kind="tokens", limit=100, remaining=3, reset_s=9.0),))
    line = throttling_lines(board((), (low,)), DEFAULT_VIEW, 90, 5)[0]
    assert any(text.strip() == "3/100" and role == "throttled" for text, role in line)


@pytest.mark.parametrize(
    ("left", "role"), [(31, "graph"), (30, "slow"), (11, "slow"), (10, "throttled")]
)
def test_a_limit_is_coloured_from_thirty_per_cent_left_and_again_from_ten(left: int, role: str):
    low = limits(limits=(Limit(kind="tokens", limit=100, remaining=left, reset_s=9.0),))
    for height in (5, 20):  # in a line, and as a gauge
        lines = throttling_lines(board((), (low,)), DEFAULT_VIEW, 90, height)
        bars = {role for text, role in lines[0] if set(text) & set("█▉▊▋▌▍▎▏━")}
        figure = [role for text, role in lines[0] if text.strip() == f"{left}/100"]
        assert role in {*bars, *figure}
        assert not {"graph", "slow", "throttled"} & ({*bars, *figure} - {role})


def test_a_limit_past_its_reset_is_dim_and_tells_its_age():
    old = limits(limits=(rate_limit("tokens", 0, 100, 9.0, age_s=200.0),), cool_down_s=None)
    line = throttling_lines(board((), (old,)), DEFAULT_VIEW, 90, 5)[0]
    assert line_text(line).split()[-3:] == ["0/100", "3m", "ago"]
    assert not any(role == "throttled" for text, role in line if text.strip())


def test_a_limit_without_a_reset_tells_how_old_it_is():
    fresh = limits(limits=(rate_limit("tokens", 3, 100, None, age_s=12.0),), cool_down_s=None)
    line = throttling_lines(board((), (fresh,)), DEFAULT_VIEW, 90, 5)[0]
    assert line_text(line).split()[-3:] == ["3/100", "12s", "ago"]
    assert any(role == "throttled" for _, role in line)


def test_an_old_limit_in_force_tells_its_age_where_there_is_room():
    known = limits(limits=(rate_limit("tokens", 3, 100, 7200.0, age_s=600.0),), cool_down_s=None)
    wide, narrow = (texts(board((), (known,)), width=width)[0] for width in (100, 86))
    assert wide.split()[-5:] == ["3/100", "1h50m", "told", "10m", "ago"]
    assert narrow.split()[-1] == "1h50m"


def test_what_was_asked_stands_beside_a_cool_down_however_long_it_is():
    hours = limits(cool_down_s=3599.0, cool_down_asked_s=86_400.0)
    assert "cools 59m/1d " in texts(board((), (hours,)))[0]
    assert "cools 59m " in texts(board((), (hours,)), width=50)[0]


def test_an_age_never_touches_the_figure_beside_it():
    old = limits(limits=(rate_limit("tokens", 41_000, 60_000, None, age_s=15.0),) * 2)
    for width in (70, 90, 120):
        assert "60k15s" not in texts(board((), (old,)), width=width, height=3)[0]


def test_the_period_of_the_limit_that_was_hit_is_named():
    assert "tokens/min" in texts(board((throttle(kind="tokens", window="minute"),)))[1]


def test_routes_that_cool_down_come_first_and_too_many_are_counted():
    known = tuple(limits(f"r{index}", cool_down_s=None) for index in range(9))
    lines = texts(board((throttle(),), (*known, limits("hot"))), height=10)
    assert lines[0].startswith("hot")
    assert lines[4] == "… 6 more routes with limits"
    assert lines[5].startswith("TIME")


def test_limits_that_say_nothing_take_no_line():
    silent = limits(limits=(), cool_down_s=None)
    assert texts(board((), (silent,))) == ["no 429 since start"]


def test_what_a_server_sent_is_neutralised():
    entry = throttle(kind=HOSTILE, request_id=HOSTILE, message=HOSTILE, remaining=HOSTILE)
    known = limits(limits=(Limit(kind=HOSTILE, window=HOSTILE),))
    for line in texts(board((entry,), (known,)), width=200):
        assert "\x1b" not in line
        assert "\u202e" not in line


numbers = st.none() | st.floats(-1e18, 1e300)
entries = st.builds(
    ThrottleEntry,
    at_ns=st.integers(-(10**25), 10**25),
    route=st.text(max_size=30),
    probe=st.text(max_size=8),
    attempt=st.integers(0, 9),
    kind=st.text(max_size=30),
    asked_s=numbers,
    waited_s=numbers,
    retried=st.booleans(),
    remaining=st.text(max_size=20),
    reset_s=st.none() | st.floats(-1e9, 1e15),
    request_id=st.text(max_size=60),
    message=st.text(max_size=60),
)
views = st.builds(
    LimitsView,
    route=st.text(max_size=30),
    limits=st.lists(
        st.builds(
            Limit,
            kind=st.text(max_size=20),
            limit=numbers,
            remaining=numbers,
            reset_s=st.none() | st.floats(-1e9, 1e15),
            window=st.sampled_from(["minute", "day", "", "fortnight"]),
            told_ns=st.none() | st.integers(-(10**25), 10**25),
        ),
        max_size=4,
    ).map(tuple),
    cool_down_s=st.none() | st.floats(0, 1e12),
    cool_down_asked_s=st.none() | st.floats(0, 1e12),
)


@settings(deadline=None)
@given(
    st.lists(entries, max_size=5).map(tuple),
    st.lists(views, max_size=5).map(tuple),
    st.integers(0, 200),
    st.integers(0, 40),
    st.integers(-5, 50),
)
def test_no_size_and_no_figure_breaks_out_of_the_pane(log, known, width, height, offset):
    view = ViewState(offsets={"throttling": offset})
    lines = throttling_lines(board(log, known), view, width, height, UTC)
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


def test_the_pane_scrolls_by_the_view():
    entries = tuple(throttle(float(index), request_id=f"req_{index}") for index in range(9))
    view = ViewState(offsets={"throttling": 3})
    assert "req_3" in line_text(throttling_lines(board(entries), view, 120, 6)[1])
    assert throttling_title(EMPTY_SNAPSHOT, DEFAULT_VIEW) == "throttling · all routes"
