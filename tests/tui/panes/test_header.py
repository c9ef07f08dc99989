"""The header strip and the banner."""

from datetime import UTC

import made
import pytest
from changed import replace
from fakes import FakeStatus
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import EMPTY_SNAPSHOT, RouteState, RouteView, Snapshot, WindowName
from probes.control.status import HostState
from probes.events import HeldReason
from tui.draw.text import Line, line_text, line_width, time_of_day
from tui.panes.header import Strips, banner_line, terminal_title
from tui.panes.view import Freeze, ViewState

RUNNING = FakeStatus()


def strip_of(snapshot: Snapshot, view: ViewState, width: int) -> Line:
    return Strips(RUNNING).header(snapshot, view, width, 1)[0]  # type: ignore[arg-type]


def header(width: int = 160, view: ViewState | None = None, **changes: object) -> str:
    snapshot = made.snapshot(header=made.header(**changes))
    return line_text(strip_of(snapshot, view or ViewState(), width))


@given(st.integers(min_value=0, max_value=320))
def test_the_strip_fits_any_width(width: int) -> None:
    assert line_width(strip_of(made.snapshot(), ViewState(), width)) <= width


def test_the_home_screen_shows_every_figure() -> None:
    text = header()
    for part in (
        "● LIVE 12:41  6 routes: ✖ 3 hurt, 2 ok, 1 idle │ last 5 m   605 probes",
        "    38 failed    14 429s    31 retries │ $0.42/h 21% of cap ",
        "◉ exact lag 0.3ms",
    ):
        assert part in text


def test_narrow_terminals_keep_what_hurts() -> None:
    text = header(80)
    assert "✖ 3 hurt, 2 ok, 1 idle" in text
    assert "38 failed" in text
    assert "14 429s" in text
    assert "probes" not in text


def test_a_wide_terminal_has_what_goes_on_too() -> None:
    text = header(220)
    assert "23 open" in text
    assert "~1.9k tok/s" in text
    assert "cpu 7/0%" in text


def test_the_light_has_the_colour_of_the_worst_route() -> None:
    def light(*rows: RouteView) -> str:
        line = strip_of(made.snapshot(routes=rows), ViewState(), 120)
        return next(role for text, role in line if text.startswith("●"))

    assert light(made.route("a"), made.route("b", "starting")) == "good"
    assert light(made.route("a"), made.route("b", "slow")) == "slow"
    assert light(made.route("b", "slow"), made.route("a", "down")) == "missed"
    assert light(made.route("a", "paused")) == "good"


@pytest.mark.parametrize(
    ("rows", "hurt", "told"),
    [
        ((made.route("a"),), 0, "1 route │"),
        ((made.route("a"), made.route("b")), 0, "2 routes │"),
        ((made.route("a", "down"), made.route("b")), 1, "2 routes: ✖ 1 hurt, 1 ok │"),
        ((made.route("a", "slow"),), 1, "1 route: △ 1 hurt │"),
        (
            (made.route("a", "slow"), made.route("b", "paused")),
            1,
            "2 routes: △ 1 hurt, 1 idle │",
        ),
        ((made.route("a", "held"), made.route("b")), 0, "2 routes: ■ 1 held, 1 ok │"),
        (
            (made.route("a", "down"), made.route("b", "silent"), made.route("c", "held")),
            1,
            "3 routes: ✖ 1 hurt, ∅ 1 silent, ■ 1 held │",
        ),
    ],
)
def test_it_says_how_many_routes_hurt(rows: tuple[RouteView, ...], hurt: int, told: str) -> None:
    shown = made.snapshot(routes=rows, header=made.header(routes=len(rows), hurt=hurt))
    assert f"  {told}" in line_text(strip_of(shown, ViewState(), 160))


@pytest.mark.parametrize(
    ("window", "told"), [("1m", "last 1 m"), ("1h", "last 1 h"), ("run", "since start")]
)
def test_its_counts_are_of_the_window_of_the_table(window: WindowName, told: str) -> None:
    shown = made.snapshot(window=window)
    assert f" │ {told}   605 probes" in line_text(strip_of(shown, ViewState(), 160))


def test_an_hour_has_hours() -> None:
    assert "LIVE 1:02:03" in header(elapsed_s=3723.0)


def test_figures_do_not_move_as_they_grow() -> None:
    assert header(finished=4, failed=0).index("retries") == header().index("retries")


def test_one_of_a_kind_is_said_so_and_takes_the_same_room() -> None:
    one = header(finished=1, throttled=1, retries=1)
    assert "   1 probe " in one
    assert "     1 429 " in one
    assert "     1 retry " in one
    assert one.index("│ $") == header().index("│ $")


def test_freeze_is_said_with_what_was_missed() -> None:
    text = header(view=ViewState(freeze=Freeze(12.0, 340)))
    assert "FROZEN 12s · 340 events since" in text
    assert "LIVE" not in text


@pytest.mark.parametrize(
    ("states", "title"),
    [
        ((), "llmtop"),
        (("ok", "starting", "paused"), "llmtop"),
        (("ok", "slow"), "△ 1 slow · llmtop"),
        (("slow", "down", "ok", "down"), "✖ 2 down · llmtop"),
    ],
)
def test_the_terminals_title_tells_the_worst(states: tuple[RouteState, ...], title: str) -> None:
    rows = tuple(made.route(made.HOSTILE, state) for state in states)
    assert terminal_title(made.snapshot(routes=rows), RUNNING) == title


def test_the_terminals_title_tells_of_an_engine_that_is_gone() -> None:
    assert terminal_title(made.snapshot(), FakeStatus("gave_up")) == "✖ engine dead · llmtop"


def test_nothing_to_say_means_no_banner() -> None:
    assert banner_line(made.snapshot(), RUNNING) is None
    assert banner_line(EMPTY_SNAPSHOT, FakeStatus(state="starting")) is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (FakeStatus("silent", 12.0), "ENGINE SILENT 12s"),
        (FakeStatus("restarting", detail="killed by signal 9"), "ENGINE DEAD · killed by signal 9"),
        (FakeStatus("gave_up", last_words="MemoryError"), "R starts it again"),
        (FakeStatus("gave_up", last_words="MemoryError"), "last words: MemoryError"),
        (
            FakeStatus("lost", 12.0, detail="since 14:02:10, places unknown · refused"),
            "BUS LOST 12s · what you see is old · since 14:02:10, places unknown · refused",
        ),
    ],
)
def test_the_engines_trouble_is_on_the_banner(status: FakeStatus, words: str) -> None:
    line = banner_line(made.snapshot(), status)
    assert line is not None
    assert words in line_text(line)
    assert {role for _, role in line} == {"alert"}


AWAY = (
    "eu: the bus of the budgets cannot be reached since 14:02:11 UTC (lost): nothing may be spent"
)
NEW = "the budgets on the bus are new: until 14:03:10 UTC the emergency part is all of each"


def test_a_bus_of_budgets_that_is_away_is_on_the_red_line_without_a_key_that_would_do_nothing() -> (
    None
):
    header = made.header(
        budget_doubt=AWAY, budget_doubt_kind="away", budget_text="us: 4.9k of 500k tok/h"
    )
    line = banner_line(made.snapshot(header=header), RUNNING)
    assert line == ((f" BUDGET UNKNOWN · {AWAY} ", "alert"),)
    rows = tuple(replace(row, state="held", held=("budget",)) for row in made.routes()[:1])
    line = banner_line(made.snapshot(header=header, routes=rows), RUNNING)
    assert line is not None
    assert line_text(line) == (
        f" BUDGET UNKNOWN · HELD {rows[0].name} · what may be spent is spent · {AWAY} "
    )


def test_new_budgets_are_no_alarm_and_stand_in_the_strip_where_there_is_room() -> None:
    header = made.header(budget_doubt=NEW, budget_doubt_kind="new")
    shown = made.snapshot(header=header)
    assert banner_line(shown, RUNNING) is None
    wide = strip_of(shown, ViewState(), 200)
    assert ("  new budgets", "dim") in wide
    for width in (60, 80, 120):
        assert strip_of(shown, ViewState(), width) == strip_of(made.snapshot(), ViewState(), width)


def test_what_we_hold_back_is_neither_ok_nor_hurt() -> None:
    rows = made.routes()
    held = tuple(replace(row, state="held", held=("budget",)) for row in rows[:2])
    well = tuple(replace(row, state="ok") for row in rows[2:])
    shown = made.snapshot(routes=(*held, *well), header=made.header(hurt=0, routes=len(rows)))
    line = strip_of(shown, ViewState(), 160)
    assert f"{len(rows)} routes: ■ 2 held, {len(well)} ok" in line_text(line)
    assert ("■ 2 held", "missed") in line
    assert terminal_title(shown, RUNNING) == "■ 2 held · llmtop"  # type: ignore[arg-type]
    header = made.header(hurt=0, routes=len(rows), budget_doubt=NEW, budget_doubt_kind="new")
    calm = made.snapshot(routes=(*held, *well), header=header)
    assert ("■ 2 held", "accent") in strip_of(calm, ViewState(), 160)
    assert ("●", "good") in [(text[:1], role) for text, role in strip_of(calm, ViewState(), 160)]
    assert terminal_title(calm, RUNNING) == "llmtop"  # type: ignore[arg-type]


def test_what_new_budgets_hold_back_is_said_calmly_with_its_end_and_its_key() -> None:
    header = made.header(budget_doubt=NEW, budget_doubt_kind="new", budget_text="1 of 9 tok/h")
    held = tuple(
        replace(made.routes()[0], name=name, state="held", held=("budget",)) for name in "abcde"
    )
    shown = made.snapshot(header=header, routes=held)
    line = banner_line(shown, RUNNING)
    assert line == ((f" held a, b, c and 2 more · {NEW} · L lifts that now ", "past"),)
    (banner,) = Strips(RUNNING).banner(shown, ViewState(), 200, 1)  # type: ignore[arg-type]
    assert line_width(banner) == 200
    assert {role for _, role in banner} == {"past"}
    stalled = (replace(held[0], held=("reader_stalled",)), *held[1:])
    line = banner_line(made.snapshot(header=header, routes=stalled), RUNNING)
    assert line == ((" HELD a · nobody read the engine's events ", "alert"),)


def test_while_the_past_is_read_the_lamp_says_how_much_of_it_and_which_moment_is_shown() -> None:
    shown = Strips(status=FakeStatus(state="starting", read_percent=34), zone=UTC)
    for width in (60, 160):
        (line,) = shown.header(made.snapshot(), ViewState(), width, 1)
        then = time_of_day(made.NOW_NS, made.WALL_ANCHOR_NS, UTC)
        assert f"○ READING 34 % at {then}" in line_text(line)
    (line,) = shown.header(EMPTY_SNAPSHOT, ViewState(), 160, 1)
    assert "○ READING 34 % 00:00" in line_text(line)


def test_what_an_empty_screen_waits_for_is_said() -> None:
    waits = "no place has been heard yet on nats://bus:4222"
    shown = Strips(status=FakeStatus(state="starting", detail=waits))
    for width in (80, 160):
        (line,) = shown.header(EMPTY_SNAPSHOT, ViewState(), width, 1)
        assert waits in line_text(line)


def test_a_lost_bus_is_no_light_of_health() -> None:
    shown = Strips(status=FakeStatus(state="lost", silent_s=3.0))
    (line,) = shown.header(made.snapshot(routes=(made.route("a"),)), ViewState(), 160, 1)
    assert ("✖ LOST", "alert") in line
    assert terminal_title(made.snapshot(), FakeStatus(state="lost")) == "✖ bus lost · llmtop"


def test_last_words_are_harmless() -> None:
    line = banner_line(made.snapshot(), FakeStatus("gave_up", last_words=made.HOSTILE))
    assert line is not None
    assert "\x1b" not in line_text(line)
    assert "\u202e" not in line_text(line)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("budget", "budget spent: 412k of 2M tok/h"),
        ("reader_stalled", "nobody read the engine's events"),
        ("restarting", "the engine starts again"),
    ],
)
def test_held_routes_are_named_with_the_reason(reason: HeldReason, why: str) -> None:
    rows = tuple(replace(row, state="held", held=(reason,)) for row in made.routes())
    line = banner_line(made.snapshot(routes=rows), RUNNING)
    assert line is not None
    assert "HELD eastus-gpt, busy-llama, queue-eu and 3 more" in line_text(line)
    assert why in line_text(line)


def test_an_engine_that_came_back_is_told_for_a_while() -> None:
    back = FakeStatus("running", restarts=1, since_s=4, detail="killed by signal 9")
    line = banner_line(made.snapshot(), back)
    assert line is not None
    assert "ENGINE RESTARTED 4.0s ago" in line_text(line)
    assert "killed by signal 9" in line_text(line)
    assert banner_line(made.snapshot(), FakeStatus("running", restarts=1, since_s=60)) is None
    assert banner_line(made.snapshot(), FakeStatus("running", restarts=0, since_s=4)) is None


def test_a_panic_shows_the_way_back() -> None:
    rows = tuple(replace(row, state="paused") for row in made.routes())
    line = banner_line(made.snapshot(routes=rows), RUNNING)
    assert line is not None
    assert "P goes on" in line_text(line)


@pytest.mark.parametrize("state", ["silent", "restarting", "gave_up"])
def test_of_several_engines_the_one_in_trouble_is_named(state: HostState) -> None:
    status = FakeStatus(state=state, silent_s=12.0, engine="engine 2 of 4")
    line = banner_line(made.snapshot(), status)
    assert line is not None
    assert "engine 2 of 4" in line_text(line)


def test_a_silent_engine_is_not_told_to_have_ended() -> None:
    status = FakeStatus(state="silent", silent_s=12.0, detail="killed by signal 9", last_words="x")
    line = banner_line(made.snapshot(), status)
    assert line is not None
    assert line_text(line) == " ENGINE SILENT 12s · what you see is old "


def test_where_no_place_at_all_is_heard_that_is_said_of_the_places() -> None:
    status = FakeStatus(state="silent", silent_s=12.0, engine="all places")
    line = banner_line(made.snapshot(), status)
    assert line is not None
    assert line_text(line) == " NO PLACE HEARD 12s · what you see is old "


def test_a_ledger_in_doubt_is_on_the_red_line_with_its_key_and_what_is_held() -> None:
    doubt = "the spending ledger L cannot be used: database is locked"
    header = made.header(budget_doubt=doubt, budget_text="4.9k of 5k tok/h")
    line = banner_line(made.snapshot(header=header), RUNNING)
    assert line is not None
    text = line_text(line)
    assert text.startswith(" BUDGET UNKNOWN · emergency part only · L counts on")
    assert doubt in text
    rows = tuple(replace(row, state="held", held=("budget",)) for row in made.routes())
    line = banner_line(made.snapshot(header=header, routes=rows), RUNNING)
    assert line is not None
    assert "· budget spent: 4.9k of 5k tok/h ·" in line_text(line)
    assert {role for _, role in line} == {"alert"}
