"""Every cell of every pane shows its own number: each field has a distinct one, and is read back
under its own head. What no test looked at could show its neighbour's."""

import re
from itertools import count
from typing import Any

import made
import pytest
from changed import replace
from fakes import FakeStatus
from reading import Head, cells_under, marks_beside

from probes.board.views import (
    Figure,
    Grade,
    HeaderView,
    PercentileTable,
    RetryRow,
    RetryView,
    RouteView,
    Snapshot,
    UsualView,
    WindowColumn,
)
from probes.config import Route
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, PriceInfo, ProbeFinished, StampLadder
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WINDOWS
from tui.commands.check import Row, table
from tui.commands.summary import summary_text
from tui.draw.text import line_text
from tui.panes.arrival import arrival_lines, lane_note
from tui.panes.header import Strips
from tui.panes.observer import Cockpit
from tui.panes.percentiles import percentiles_lines
from tui.panes.retries import retries_lines
from tui.panes.routes import COLUMNS, routes_lines, routes_subtitle, visible_routes
from tui.panes.throttling import throttling_lines
from tui.panes.view import ViewState

MS = 1_000_000


def told(value: float, grade: Grade = "fine", n: int = 999) -> Figure:
    return Figure(value, n, enough=True, grade=grade)


ROW = RouteView(
    name="alpha",
    model="mod-1",
    base_url="https://h.example/v1",
    tags=("tag-2",),
    state="failing",
    since_ns=made.NOW_NS - 180 * NS_PER_S,
    goal_ratio=104.0,
    in_flight=105,
    target=106,
    interval=107.0,
    max_tokens=108,
    cohort="109/256",
    probes_per_min=110.0,
    ttft_p50=told(1.11),
    ttft_p95=told(1.12),
    ttft_p99=told(1.13),
    e2e_p50=told(1.14),
    e2e_p95=told(1.15),
    stream_tokens_per_s=116.0,
    success=0.117,
    success_missed=False,
    goodput=0.118,
    good_per_min=119.0,
    throttled_per_min=120.0,
    timeouts_per_min=121.0,
    failures_per_min=122.0,
    retries_per_min=123.0,
    amplification=1.24,
    input_tokens=125.0,
    output_tokens=126.0,
    usd_per_hour=1.27,
    cost_estimated=False,
    since_s=135.0,
    oldest_open_s=128.0,
    last_event_s=129.0,
    cool_down_s=None,
    skipped=131,
    n=132,
    trend=(),
    goal_ttft_s=133.0,
    goal_e2e_s=134.0,
    stalled_share=0.027,
    usual=UsualView(0.1, 0.56, 0.2, 0.5, 290.0, 303),
    why="why-5",
)
"""Every field with a number of its own."""

ROUTE_HEADS: dict[str, tuple[Head, str]] = {
    "name": (("ROUTE", "l"), "alpha"),
    "model": (("MODEL", "l"), "mod-1"),
    "state": (("STATE", "l"), "failing"),
    "since": (("SINCE", "r"), "2m15s"),
    "good": (("GOOD%", "r"), "11.8"),
    "ok": (("OK%", "r"), "11.7"),
    "ttft_p50": (("TTFT50", "r"), "1.11"),
    "ttft_p95": (("95", "r"), "1.12"),
    "ttft_p99": (("99", "r"), "1.13"),
    "ttft_times": (("×", "r"), "×2.0▲"),
    "e2e_p50": (("E2E50", "r"), "1.14"),
    "e2e_p95": (("95", "r"), "1.15"),
    "e2e_times": (("×", "r"), "×2.3▲"),
    "speed": (("tok/s", "r"), "116"),
    "speed_times": (("×", "r"), "×0.4▲"),
    "stall": (("STALL", "r"), "2.7"),
    "throttled": (("429/m", "r"), "120"),
    "timeouts": (("TOUT/m", "r"), "121"),
    "retry": (("RETRY", "r"), "×1.24"),
    "tokens": (("IN/OUT", "r"), "125/126"),
    "conc": (("CONC", "r"), "105/106"),
    "open": (("OPEN", "r"), "2m08s"),
    "per_min": (("/min", "r"), "110"),
    "usd": (("$/h", "r"), "1.27"),
    "why": (("WHY", "l"), "why-5"),
}
SORTED_BY = {
    "model": "mod-1",
    "state": 104.0,
    "since": 135.0,
    "good": 0.118,
    "ok": 0.117,
    "ttft_p50": 1.11,
    "ttft_p95": 1.12,
    "ttft_p99": 1.13,
    "ttft_times": 2.0,
    "e2e_p50": 1.14,
    "e2e_p95": 1.15,
    "e2e_times": 2.3,
    "speed": 116.0,
    "speed_times": 2.5,
    "stall": 0.027,
    "throttled": 120.0,
    "timeouts": 121.0,
    "retry": 1.24,
    "tokens": 126.0,
    "conc": 106,
    "open": 128.0,
    "per_min": 110.0,
    "usd": 1.27,
    "why": "why-5",
}


def only(row: RouteView, **changes: Any) -> Snapshot:
    return made.snapshot(routes=(row,), **changes)


def shown_at(width: int, snapshot: Snapshot) -> tuple[str, list[str], list[str]]:
    """Return the head line, the other lines, and the keys of the columns that fit."""
    head, *lines = map(line_text, routes_lines(snapshot, ViewState(), width, 6))
    keys, at = ["name"], 0
    for key, ((text, _), _) in list(ROUTE_HEADS.items())[1:]:
        place = head.find(text, at)
        if place < 0:
            continue
        keys.append(key)
        at = place + len(text)
    return head, lines, keys


def test_every_column_of_the_table_is_known_here() -> None:
    # All but that of an open pace, which this row's is not.
    known = [column.key for column in COLUMNS if column.key != "sched_p95"]
    assert list(ROUTE_HEADS) == ["name", *known]
    assert list(SORTED_BY) == known


def test_each_cell_of_a_row_is_its_own_at_full_width() -> None:
    head, lines, keys = shown_at(320, only(ROW))
    assert keys == list(ROUTE_HEADS)
    heads = [ROUTE_HEADS[key][0] for key in keys]
    assert dict(zip(keys, cells_under(head, lines[0], heads), strict=True)) == {
        key: ROUTE_HEADS[key][1] for key in keys
    }


@pytest.mark.parametrize("width", [80, 100, 120, 160, 200])
def test_narrower_tables_show_their_own_numbers_too(width: int) -> None:
    """Texts that belong to no column that fits must not be there, those that do must be."""
    _, lines, _ = shown_at(width, only(ROW))
    there = lines[0].split()
    own = {text for _, text in ROUTE_HEADS.values()}
    numbers = {text for text in there if re.search(r"\d", text)}
    assert numbers - {"mod-1", "why-5"} <= own
    assert {"105/106", "1.12"} <= numbers


@pytest.mark.parametrize("key", SORTED_BY)
def test_a_column_is_sorted_by_its_own_number(key: str) -> None:
    column = next(column for column in COLUMNS if column.key == key)
    found = column.value(ROW)
    assert found == (pytest.approx(SORTED_BY[key]) if isinstance(found, float) else SORTED_BY[key])


@pytest.mark.parametrize("key", ["ttft_p50", "ttft_p95", "ttft_p99", "e2e_p50", "e2e_p95"])
@pytest.mark.parametrize(("grade", "mark"), [("sluggish", "▲"), ("slow", "△")])
def test_the_mark_of_a_percentile_stands_beside_its_own(key: str, grade: Grade, mark: str) -> None:
    row = replace(ROW, **{key: told(getattr(ROW, key).value, grade)})
    head, lines, keys = shown_at(320, only(row))
    marks = marks_beside(head, lines[0], [ROUTE_HEADS[name][0] for name in keys])
    assert {name for name, found in zip(keys, marks, strict=True) if found == mark} == {key}
    few = replace(ROW, **{key: Figure(getattr(ROW, key).value, 3)})
    head, lines, keys = shown_at(320, only(few))
    marks = marks_beside(head, lines[0], [ROUTE_HEADS[name][0] for name in keys])
    assert {name for name, found in zip(keys, marks, strict=True) if found == "°"} == {key}


def test_a_missed_success_is_marked_beside_the_success() -> None:
    head, lines, keys = shown_at(320, only(replace(ROW, success_missed=True)))
    marks = marks_beside(head, lines[0], [ROUTE_HEADS[key][0] for key in keys])
    assert {key for key, mark in zip(keys, marks, strict=True) if mark == "▼"} == {"ok"}


def test_each_cell_of_the_totals_is_its_own_and_percentiles_have_none() -> None:
    totals = replace(
        ROW,
        in_flight=205,
        target=206,
        probes_per_min=210.0,
        success=0.217,
        goodput=0.218,
        stalled_share=0.028,
        throttled_per_min=220.0,
        timeouts_per_min=221.0,
        amplification=2.24,
        input_tokens=225.0,
        output_tokens=226.0,
        usd_per_hour=2.27,
        **{
            key: told(2.1, "sluggish")
            for key in ("ttft_p50", "ttft_p95", "ttft_p99", "e2e_p50", "e2e_p95")
        },
    )
    head, lines, keys = shown_at(320, only(ROW, totals=totals))
    heads = [ROUTE_HEADS[key][0] for key in keys]
    expected = {
        "name": "all routes",
        "conc": "205/206",
        "open": "2m08s",
        "per_min": "210",
        "ok": "21.7",
        "good": "21.8",
        "stall": "2.8",
        "throttled": "220",
        "timeouts": "221",
        "retry": "×2.24",
        "tokens": "225/226",
        "usd": "2.27",
    }
    found = dict(zip(keys, cells_under(head, lines[-1], heads), strict=True))
    assert {key: text for key, text in found.items() if text} == expected
    assert "▲" not in marks_beside(head, lines[-1], heads)


def test_the_foot_of_the_table_tells_the_selected_routes_own() -> None:
    price = PriceInfo(input=132.5, output=134, source="list")
    row = replace(ROW, cool_down_s=130.2, price=price)
    text = routes_subtitle(only(row, header=HeaderView(notices=("note-6",))), ViewState())
    for part in ("why-5 · ", "every 107 s", "cap 108", "131 skipped"):
        assert part in text
    assert text.endswith("$132.5/134 per M by its list · note-6")


def test_the_foot_says_by_whose_word_tokens_cost_what() -> None:
    row = replace(ROW, price=PriceInfo(input=132, output=133))
    assert routes_subtitle(only(row), ViewState()).endswith("$132/133 per M")
    assert "per M" not in routes_subtitle(only(ROW), ViewState())


def test_a_cooling_route_says_how_long_beside_why() -> None:
    head, lines, keys = shown_at(320, only(replace(ROW, cool_down_s=30.0)))
    heads = [ROUTE_HEADS[key][0] for key in keys]
    assert cells_under(head, lines[0], heads)[keys.index("why")] == "cooling 30s why-5"


def numbered_table() -> tuple[PercentileTable, dict[tuple[str, str], str]]:
    """Return a table of distinct figures, and the text of each by row and window."""
    number, expected, columns = count(101), {}, []
    labels = ("p50", "p90", "p95", "p99", "max")
    for window in WINDOWS:
        groups = []
        for group in ("TTFT", "E2E"):
            n = next(number)
            figures = []
            for label in labels:
                value = next(number) / 100
                figures.append(Figure(value, n, enough=True, grade="fine"))
                expected[f"{group} {label}", window] = f"{value:.2f}"
            expected[f"{group} n", window] = str(n)
            groups.append(tuple(figures))
        failures, finished, failed = next(number), next(number), next(number)
        expected["failed %", window] = f"{failed / 10:.1f}"
        columns.append(WindowColumn(window, *groups, failures, finished, failed / 1_000))
    made_table = replace(
        made.percentiles(),
        columns=tuple(columns),
        goal_ttft_s=301.0,
        goal_e2e_s=302.0,
        oldest_open_s=303.0,
    )
    return made_table, expected


@pytest.mark.parametrize("window", WINDOWS)
def test_each_percentile_stands_in_its_own_row_and_window(window: Any) -> None:
    numbered, expected = numbered_table()
    lines = [
        line_text(line)
        for line in percentiles_lines(
            made.of_one(window, ROW, percentiles=numbered), ViewState(), 51, 16, lambda *_: ()
        )
    ]
    names = ("now", "usual", *WINDOWS[1:])
    heads: list[Head] = [(name, "r") for name in names]
    found, group = {}, ""
    for line in lines[1:-1]:
        label = line[:8].split()
        group = label[0] if len(label) == 2 else group
        name = label[0] if label == ["tok/s"] else f"{group} {label[-1]}"
        for head, text in zip(names, cells_under(lines[0], line, heads), strict=True):
            found[name, WINDOWS[0] if head == "now" else head] = text
    usual = {"TTFT p50": "0.100", "TTFT p95": "0.560", "E2E p50": "0.200", "E2E p95": "0.500"}
    usual |= {"tok/s": "290", "TTFT n": "303"}
    assert {name: text for (name, head), text in found.items() if head == "usual" and text} == usual
    speeds = {head: text for (name, head), text in found.items() if name == "tok/s" and text}
    assert speeds == {"usual": "290", window: "116"}
    assert {at: text for at, text in found.items() if at in expected} == expected
    assert lines[-1].split() == ["oldest", "open", "5m03s", "goals", "301", "/", "302"]


def test_narrow_percentiles_keep_each_figure_under_its_window() -> None:
    numbered, expected = numbered_table()
    frame = made.of_one("1h", percentiles=numbered)
    shown = percentiles_lines(frame, ViewState(), 25, 6, lambda *_: ())
    head, first, *_ = map(line_text, shown)
    names = head.split()[1:]
    assert "1h" in names
    cells = cells_under(head, first, [(name, "r") for name in names])
    expected |= {("TTFT p50", "now"): expected["TTFT p50", "1m"], ("TTFT p50", "usual"): ""}
    assert cells == [expected["TTFT p50", name] for name in names]


RETRIES = RetryView(
    rows=(
        RetryRow("reason-a", (101, 102, 103, 104, 105, 106, 7), 108, 109, 110.0),
        RetryRow("reason-b", (111,), 112, 113, 45.0),
    ),
    amplification=1.15,
    recovered=116,
    exhausted=117,
    added_wait_s=118.0,
    hidden=119,
)


def test_each_cell_of_the_retries_is_its_own() -> None:
    lines = list(map(line_text, retries_lines(made.of_one(retries=RETRIES), ViewState(), 140, 8)))
    heads: list[Head] = [
        ("REASON", "l"),
        *((name, "r") for name in ("1st", "2nd", "3rd", "4th", "5th", "6th+")),
        ("RECOVERED", "r"),
        ("EXHAUSTED", "r"),
        ("ADDED WAIT", "r"),
    ]
    assert cells_under(lines[0], lines[1], heads) == [
        *("reason-a", "101", "102", "103", "104", "105", "113", "108", "109", "1m50s"),
    ]
    assert cells_under(lines[0], lines[2], heads) == [
        *("reason-b", "111", "0", "0", "0", "0", "0", "112", "113", "45s"),
    ]
    assert lines[-1] == (
        "×1.15 attempts a probe · 116 recovered · 117 exhausted · 1m58s waited"
        " · 119 behind the gateway"
    )


def test_each_cell_of_the_throttling_log_is_its_own() -> None:
    entry = replace(
        made.throttle(
            4.0,
            route="route-a",
            kind="kind-b",
            asked_s=1.01,
            waited_s=1.02,
            remaining="103/104",
            reset_s=49.0,
            request_id="req-c",
            message="words of d",
        ),
        window="day",
        attempt=106,
        probe="107",
    )
    snapshot = made.snapshot(throttles=(entry,), limits=())
    head, line = map(line_text, throttling_lines(snapshot, ViewState(), 200, 9))
    heads: list[Head] = [
        *((name, "l") for name in ("TIME", "ROUTE", "LIMIT")),
        *((name, "r") for name in ("ASKED s", "WAITED s", "LEFT", "RESETS")),
        *((name, "l") for name in ("REQUEST", "MESSAGE")),
    ]
    assert cells_under(head, line, heads)[1:] == [
        *("route-a", "kind-b/day", "1.01", "1.02", "103/104", "45s", "req-c", "words of d"),
    ]


@pytest.mark.parametrize("width", [110, 200])
def test_each_figure_of_a_limit_is_its_own(width: int) -> None:
    view = made.limits(
        "route-a",
        limits=(
            made.rate_limit("requests", 101, 102, 33.0, age_s=3.0),
            made.rate_limit("tokens", 104, 105, 46.0, age_s=2.0),
        ),
        cool_down_s=47.0,
        cool_down_asked_s=48.0,
    )
    snapshot = made.snapshot(throttles=(), limits=(view,))
    lines = throttling_lines(snapshot, ViewState(), width, 9)
    first, second = (re.sub("[━─]+", "", line_text(line)).split() for line in lines[:2])
    assert first == ["route-a", "cools", "47s/48s", "requests/min", "101/102", "30s"]
    assert second == ["tokens/min", "104/105", "44s"]


def test_each_fact_of_a_lane_is_its_own() -> None:
    began = made.NOW_NS - 42 * NS_PER_S
    counted = made.lane(
        "1-101",
        attempt=2,
        started_ns=began,
        first_token_ns=began + NS_PER_S,
        chunks=103,
        tokens=104,
        tokens_estimate=105,
        tokens_per_s=106.0,
        cells=(),
    )
    guessed = replace(counted, probe="1-107", attempt=0, tokens=None, tokens_per_s=108.0)
    ended = replace(counted, probe="1-109", attempt=0, ended_ns=began + 33 * NS_PER_S, outcome="ok")
    one = made.detail("alpha", lanes=(counted, guessed, ended), preview="", preview_probe="")
    snapshot = only(ROW, details={"alpha": one})
    head, *lines = map(line_text, arrival_lines(snapshot, ViewState(selected="alpha"), 600, 9))
    heads: list[Head] = [("id", "l"), ("age", "r"), ("tok", "r"), ("tok/s", "r")]
    cells = [cells_under(head, line, heads) for line in lines[:3]]
    assert [row[0].split()[0] for row in cells] == ["#101.2", "#107", "#109"]
    assert [row[1:] for row in cells] == [
        ["42s", "104", "106"],
        ["42s", "~105", "~108"],
        ["33s", "104", "106"],
    ]


def test_each_number_of_a_lanes_note_is_its_own() -> None:
    waits = made.lane(
        ended_ns=made.NOW_NS,
        outcome="server_error",
        status=503,
        retry_wait_s=41.0,
        retry_number=2,
        retries=3,
        stalled_s=44.0,
    )
    assert lane_note(waits)[0] == "503 retry 41s (2/3)"
    assert lane_note(made.lane(stalled_s=45.0))[0] == "stall 45s"
    assert lane_note(made.lane(ended_ns=1, outcome="ok", stalled_s=46.0))[0] == "gap 46s"


def test_each_figure_of_the_header_is_its_own() -> None:
    header = HeaderView(
        elapsed_s=3_723.0,
        routes=104,
        in_flight=105,
        probes_per_min=106.0,
        tokens_per_s=107.0,
        tokens_estimated=False,
        throttled_per_min=108.0,
        retries_per_min=109.0,
        failures_per_min=110.0,
        finished=131,
        failed=132,
        throttled=133,
        retries=134,
        hurt=100,
        usd_per_hour=1.11,
        budget_share=0.12,
        budget_text="budget-13",
        loop_lag_p99_s=0.0114,
        loop_lag_max_s=0.0115,
        engine_cpu=0.16,
        drops=117,
        inexact_share=0.18,
        reads_per_s=119.0,
        clock="kernel",
    )
    strips = Strips(FakeStatus(), Cockpit(cpu_share=0.21))  # type: ignore[arg-type]
    (line,) = strips.header(made.snapshot(header=header), ViewState(), 250, 1)
    assert line_text(line).split() == [
        *("llmtop", "●", "LIVE", "1:02:03", "104", "routes:", "✖", "100", "hurt,", "3", "ok,"),
        *("1", "idle", "│", "last", "5", "m", "131", "probes", "132", "failed"),
        *("133", "429s", "134", "retries", "│", "$1.11/h", "12%", "of", "cap"),
        *("105", "open", "107", "tok/s"),
        *("◉", "kernel", "lag", "11.4ms", "cpu", "16/21%", "drops", "117", "inexact", "18", "%"),
    ]


def test_each_cell_of_the_summary_is_its_own() -> None:
    title, head, line = summary_text(only(ROW, window="15m")).splitlines()
    heads: list[Head] = [
        ("ROUTE", "l"),
        *((name, "r") for name in ("probes", "OK%", "GOOD%", "TTFT p50", "p95", "E2E p95")),
        *((name, "r") for name in ("429/m", "RETRY", "$/h")),
    ]
    assert cells_under(head, line, heads) == [
        *("alpha", "132", "11.7", "11.8", "1.11", "1.12", "1.15", "120", "×1.24", "1.27"),
    ]
    assert line.split()[-1] == "failing"
    assert title.endswith("figures: 15m")


def test_each_cell_of_checks_table_is_its_own() -> None:
    probe = ProbeFinished(
        at_ns=0,
        route="alpha",
        probe="1-1",
        outcome="server_error",
        reason="reason-a",
        attempts=102,
        started_ns=1_000 * MS,
        scheduled_ns=900 * MS,
        first_token_ns=1_103 * MS,
        first_answer_ns=1_104 * MS,
        done_ns=1_205 * MS,
        input_tokens=906,
        output_tokens=907,
        cost_usd=0.108,
    )
    attempt = AttemptFinished(
        at_ns=0,
        route="alpha",
        probe="1-1",
        attempt=0,
        outcome="server_error",
        stamps_ns=StampLadder(started=1_000 * MS, ended=1_205 * MS),
        input_tokens=110,
        output_tokens=111,
        reasoning_tokens=112,
        cached_tokens=113,
        token_source="usage",
        cost_usd=0.914,
    )
    route = Route(name="alpha", base_url="https://h", model="mod-1")
    head, line = table([Row(route, ProbeRecord(probe, (attempt,)))])
    heads: list[Head] = [
        *((name, "l") for name in ("ROUTE", "OUTCOME", "REASON")),
        *((name, "r") for name in ("TTFT", "E2E", "IN/OUT", "COST")),
    ]
    assert cells_under(head, line, heads) == [
        *("alpha", "server error", "reason-a", "ms", "ms", "110/111", "$0.108"),
    ]
    assert "103 ms  205 ms" in line


def test_rows_are_read_back_from_the_order_they_stand_in() -> None:
    rows = tuple(replace(ROW, name=f"r{n}", probes_per_min=float(100 + n)) for n in range(3))
    snapshot = made.snapshot(routes=rows)
    assert visible_routes(snapshot, ViewState()) == rows
    head, lines, keys = shown_at(320, snapshot)
    heads = [ROUTE_HEADS[key][0] for key in keys]
    read = [cells_under(head, line, heads) for line in lines[:3]]
    per_min = keys.index("per_min")
    assert [(cells[0], cells[per_min]) for cells in read] == [
        ("r0", "100"),
        ("r1", "101"),
        ("r2", "102"),
    ]
