"""Weeks in characters: nothing wider than it may be, days in their places, at every width."""

from datetime import UTC, date, timedelta

import msgspec
import pytest
from history_streams import DAY_S, NOON_S
from made_history import DAYS, ENDS_S, filled

from probes.history.database import HistoryFile
from probes.history.reading import read_history
from probes.history.views import JumpView, RouteHistoryView, SeenView
from tui.draw.history_lines import (
    chart_lines,
    check_lines,
    head_line,
    jump_line,
    known_cause_words,
    seen_line,
    seen_lines,
)
from tui.draw.text import Line, line_text, line_width

BEGINS, ENDS = date(2026, 9, 21), date(2026, 10, 21)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RouteHistoryView:
    path = tmp_path_factory.mktemp("history") / "history.sqlite3"
    filled(path)
    with HistoryFile(path, writes=False) as file:
        found = read_history(file, since_s=NOON_S - 1, until_s=ENDS_S, route="chat", zone=UTC)
    return found.routes[0]


def texts(lines: list[Line]) -> list[str]:
    return [line_text(line) for line in lines]


@pytest.mark.parametrize("width", [60, 80, 84, 100, 120, 140, 160, 300])
def test_no_line_is_wider_than_it_may_be(view: RouteHistoryView, width: int) -> None:
    lines = chart_lines(view, BEGINS, ENDS, width)
    assert max(map(line_width, lines)) <= width
    assert any("TTFT, s, by day" in text for text in texts(lines))
    assert any(text.startswith("   IN ") for text in texts(lines))


def test_the_hours_of_the_day_stand_beside_where_there_is_room(view: RouteHistoryView) -> None:
    narrow, wide = (texts(chart_lines(view, BEGINS, ENDS, width)) for width in (80, 100))
    assert not any("by hour of the day" in text for text in narrow)
    assert any("by hour of the day" in text for text in wide)


def test_columns_of_all_charts_begin_in_the_same_cells(view: RouteHistoryView) -> None:
    wide = texts(chart_lines(view, BEGINS, ENDS, 120))
    at = {text.rindex("TTFT by hour") for text in wide if "TTFT by hour" in text}
    at |= {text.rindex("E2E by hour") for text in wide if "E2E by hour" in text}
    assert len(at) == 1


def test_a_day_without_probes_is_a_gap(view: RouteHistoryView) -> None:
    (bars,) = [text for text in texts(chart_lines(view, BEGINS, ENDS, 80)) if "   IN " in text]
    plot = bars[6:].split("  ≤")[0]
    assert " " in plot.strip()


def test_days_on_which_something_was_wrong_are_marked(view: RouteHistoryView) -> None:
    (bars,) = [text for text in texts(chart_lines(view, BEGINS, ENDS, 60)) if "  ill " in text]
    drawn = bars[6:].split("  ≤")[0]  # a cell a day
    assert [at for at, glyph in enumerate(drawn) if glyph not in " ·"] == [3, 14, 21]
    assert bars.endswith("≤ 1× a day")
    well = msgspec.structs.replace(view.whole, incidents=0)
    lines = texts(chart_lines(msgspec.structs.replace(view, whole=well), BEGINS, ENDS, 80))
    assert not any("  ill " in text for text in lines)


def test_a_share_that_goals_allow_for_is_dim(view: RouteHistoryView) -> None:
    (bars,) = [one for one in chart_lines(view, BEGINS, ENDS, 80) if "  429 " in line_text(one)]
    assert "throttled" in {role for _, role in bars}
    days = tuple(msgspec.structs.replace(day, attempts=day.throttled * 101) for day in view.days)
    few = msgspec.structs.replace(view, days=days)
    (bars,) = [one for one in chart_lines(few, BEGINS, ENDS, 80) if "  429 " in line_text(one)]
    assert {role for text, role in bars[1:] if text.strip(" ·≤")} == {"dim"}


def test_the_axis_says_the_year_once_where_it_begins_in_another(view: RouteHistoryView) -> None:
    days = date(2025, 12, 1), date(2026, 3, 1)
    (axis, *_) = [text for text in texts(chart_lines(view, *days, 200)) if "Dec" in text]
    assert axis.split()[:3] == ["1", "Dec", "2025"]
    assert "2026" not in axis


def test_what_does_not_fit_is_told_by_number(view: RouteHistoryView) -> None:
    long = [
        msgspec.structs.replace(view.days[0], label=(BEGINS - timedelta(days=n)).isoformat())
        for n in range(300)
    ]
    many = msgspec.structs.replace(view, days=tuple(reversed(long)))
    lines = texts(chart_lines(many, BEGINS - timedelta(days=299), BEGINS, 60))
    assert any("before them not shown" in text for text in lines)


def test_a_route_that_does_not_stream_has_no_chart_of_ttft(view: RouteHistoryView) -> None:
    none = msgspec.structs.replace(view.whole.ttft_s, n=0, p50=None, p95=None)
    whole = msgspec.structs.replace(view.whole, ttft_s=none)
    lines = texts(chart_lines(msgspec.structs.replace(view, whole=whole), BEGINS, ENDS, 120))
    assert not any("TTFT" in text for text in lines)


def test_the_head_says_what_it_all_comes_to(view: RouteHistoryView) -> None:
    text = line_text(head_line(view))
    assert text.startswith("chat  1,792 probes, ")
    assert "429 ×" in text
    assert "tokens: " in text


def test_hostile_names_are_harmless(view: RouteHistoryView) -> None:
    evil = msgspec.structs.replace(view, route="a\x1b[31mb", model="m\nn", base_url="\u202eu")
    assert all(text.isprintable() for text in [line_text(head_line(evil))])


def say(iso: str) -> str:
    return iso


def test_a_jump_says_both_levels_and_its_day() -> None:
    jump = JumpView(
        day="2026-10-14", begins_s=0, before=812, after=1940, days_before=14, days_after=1
    )
    assert line_text(jump_line(jump, say)) == (
        "prompts  812 → 1,940 tokens since 2026-10-14, ×2.4  (medians of 14 days and of 1 day)"
    )


def test_what_was_seen_says_how_often_since_when_and_how_long() -> None:
    seen = SeenView(
        cause="provider_queueing",
        name="chat",
        scope="from eu",
        times=3,
        first_s=0,
        last_s=9 * DAY_S,
        typical_s=2400,
        text="",
    )

    def day_of(at_s: float) -> str:
        return f"day {at_s / DAY_S:.0f}"

    assert line_text(seen_line(seen, say, day_of)) == (
        "slow to the first token from eu  seen 3 times since day 0, median 40m, last on day 9"
    )
    once = msgspec.structs.replace(seen, times=1, last_s=0, typical_s=None, scope="")
    assert line_text(seen_line(once, say, day_of)).endswith("seen once, on day 0")


def test_a_cause_of_another_version_is_told_as_it_is() -> None:
    assert known_cause_words("dns") == "name is not found"
    assert known_cause_words("new_cause\x1b[0m") == "new_cause�"


def test_where_nothing_was_found_that_is_said(view: RouteHistoryView) -> None:
    calm = msgspec.structs.replace(view, jumps=(), seen=())
    assert texts(check_lines(calm, say)) == [
        f"prompts  as long as they were: {round(view.whole.mean_input or 0):,} tokens on average"
    ]
    assert texts(seen_lines(calm, say, str)) == ["incidents  none was named"]
    uncounted = msgspec.structs.replace(
        calm, whole=msgspec.structs.replace(calm.whole, mean_input=None)
    )
    assert texts(check_lines(uncounted, say)) == ["prompts  nobody counted their tokens"]


def test_more_than_is_told_is_told_by_number(view: RouteHistoryView) -> None:
    many = msgspec.structs.replace(view, jumps=view.jumps * 9, seen=view.seen * 9)
    assert texts(check_lines(many, say))[-1].strip() == "and 5 before them"
    assert texts(seen_lines(many, say, str))[-1].strip() == "and 3 other kinds"
    assert DAYS == 30
