"""The page of the cockpit says what is on the screen, what keys do, what commands take and give."""

import argparse
import json
import re
from typing import get_args

import pytest
from drawn import DRAWINGS
from pages import (
    MB,
    SHARES,
    Page,
    each_of,
    fields_of,
    first_cells,
    hour,
    minute,
    number,
    per_cent,
    quoted,
)

from probes.board import Board, figures, place, states
from probes.board.figures import SLUGGISH_SHARE, is_enough
from probes.board.happenings import _ALIKE_NS, BURST_NS, HAPPENINGS_KEPT
from probes.board.incident_log import RECOVERED_SHOWN_NS
from probes.board.probe_log import PROBES_KEPT
from probes.board.standings import ANSWER_TOKENS, KEPT, SURE
from probes.board.views import HeaderView, RouteState
from probes.config import Display, Route
from probes.control.attention import CALMS_S
from probes.diagnosis import incidents, paging
from probes.engine.health import SHORT_FOR_NS
from probes.engine.introduction import route_info
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, ClockSource, Hello, ProbeFinished, TtftKind
from probes.handover import window
from probes.handover.recording_of_window import WHOLE_BYTES
from probes.history.reading import _MOST_DAYS
from probes.history.views import (
    HistoryView,
    JumpView,
    RouteHistoryView,
    SeenView,
    StretchView,
)
from probes.kit.clock import NS_PER_S
from probes.kit.exit_status import ExitStatus
from probes.run.report import USUAL_FROM
from probes.simulator.library import scenario_names
from probes.sources.rules import HostLimits
from probes.stats.comparison import LOOKS, SURE_OVER_ALL
from probes.stats.windows import SLICE_NS
from tui.cli import _WINDOWS, parser
from tui.commands.leaderboard import PROBES
from tui.commands.once import json_line
from tui.draw.chart import SPANS_NS
from tui.draw.history_lines import _QUIET
from tui.draw.text import line_text
from tui.draw.theme_names import OWN_THEMES
from tui.draw.waterfall import STEPS
from tui.keys import KEYS, SMALL_STEP_S, STEP_S, Hotkey
from tui.panes import routes
from tui.panes.happenings import _JUDGED, _TOO_FEW
from tui.panes.header import Strips, speed_words
from tui.panes.home import home_panes
from tui.panes.observer import (
    CPU_FULL,
    DRAWING_LATE_CPU,
    INEXACT_BLURS,
    INEXACT_SHOWN,
    LAG_HURTS_S,
    Cockpit,
    observer_remarks,
)
from tui.panes.routes import COLUMNS, STATE_GLYPHS
from tui.panes.verdicts import MOST_VERDICTS
from tui.screens.command_line import page_table
from tui.screens.glossary import COLUMN_MEANINGS, GLOSSARY, PANE_COLUMNS, states_table
from tui.screens.layout import _TWO_COLUMNS
from tui.screens.travel import SPEEDS
from tui.terminal import pace

PAGE = Page("tui/README.md")
IN_PROSE = {"^p": "Ctrl-P", "^z": "Ctrl-Z", "⏎": "Enter", "S-Tab": "Shift-Tab"}
HOST = HostLimits()
SLICE_S = SLICE_NS // NS_PER_S
P95 = next(n for n in range(1, 1000) if is_enough(n, 0.95))

NUMBERS = {
    "`history`: weeks, not hours": (
        f"(dim below {per_cent(_QUIET)}, which goals allow",
        f"further than {_MOST_DAYS} days",
    ),
    "`leaderboard`: models and providers side by side": (
        f"TTFT + {ANSWER_TOKENS} / tok/s of each probe",
        f"whoever waits for {ANSWER_TOKENS} tokens of an answer",
        f"holds the true median with {per_cent(SURE)}, which takes {number(PROBES)} probes",
        f"the last {KEPT} probes of a route",
        f"in no figure, and {number(PROBES)} more",
    ),
    "The screen": (
        "Charts span {}, {} or {} minutes".format(*(span // (60 * NS_PER_S) for span in SPANS_NS)),
        f"From some {_TWO_COLUMNS} columns on",
        f"each phase by {SLICE_S} s",
        f"the last {PROBES_KEPT} as strips",
    ),
    "States": (
        f"TTFT or E2E p95 is above {SLUGGISH_SHARE:g} × its goal",
        f"unless {states._ALL_FAIL} attempts in a row fail",
        f"A p95 is judged over the last minute if that has {P95} samples, else over the last five",
    ),
    "Verdicts": (
        f"Up to {number(MOST_VERDICTS)} lines under the header",
        f"tells for {number(RECOVERED_SHOWN_NS / NS_PER_S / 60)} minutes that something is over",
        f"is said for {number(incidents.SETTLES_NS / NS_PER_S / 3600)} hour,",
    ),
    "Columns of the routes table": (
        f"longer than {number(figures._PATIENCE_P95S)} times the p95",
        f"and {figures.LEAST_PATIENCE_S:g} s:",
        f"`▲` below 1/{SLUGGISH_SHARE:g} of it",
        "from 5, 10 and 50 % on",
        f"from ×{routes.NOTABLE_RATIO:g} on",
        f"from ×{routes.SEVERE_RATIO:g} on",
        "from ×0.8 down",
        f"scale of 0 to {routes.STRIP_TOP_S:g} s",
    ),
    "What happened": (
        f"which ends {BURST_NS / NS_PER_S:g} s after the last of them",
        f"has the same words within {_ALIKE_NS / NS_PER_S:g} s is one line",
        f"The newest {HAPPENINGS_KEPT} lines are kept",
        f"sure at {per_cent(SURE_OVER_ALL)}, over all figures",
        f"there are not {LOOKS[0]} samples on both sides yet",
    ),
    "Alerts": (f"until {CALMS_S / 60:g} minutes after its end",),
    "Keys": (f"back and forth in the run by {STEP_S} s", f"by {SMALL_STEP_S} s"),
    "Going back": (
        f"as it was {STEP_S} s earlier, `,` {SMALL_STEP_S} s;",
        f"({', '.join(map(speed_words, SPEEDS[:-1]))}, or as fast",
    ),
    "Marks": (f"above its goal; above {SLUGGISH_SHARE:g} × its goal",),
    "Is the observer well?": (
        f"above {LAG_HURTS_S * 1000:g} ms",
        f"engine from {per_cent(CPU_FULL)}:",
        f"Screen from {per_cent(DRAWING_LATE_CPU)}:",
        f"from {per_cent(INEXACT_SHOWN)} on",
        f"from {per_cent(INEXACT_BLURS)}:",
        f"for {minute(place._DROPS_SHOWN_NS / NS_PER_S)} after each",
        f"for {SHORT_FOR_NS / NS_PER_S:g} s after each probe that was not sent",
        f"longer than {SHARES.get(pace._TOO_LONG)} the time between two frames; "
        f"the screen halves its rate, down to {pace._SLOWEST_HZ:g} Hz",
        f"`refresh_hz` below {Display().refresh_hz:g}",
        f"nothing for {HOST.silent_after_s:g} s a red line tells for how long; "
        f"after {HOST.kill_after_s:g} s it is killed",
        f"After {number(HOST.deaths)} deaths within {minute(HOST.deaths_window_s)} "
        "it stays down until you press `R`",
    ),
    "`report`: what was wrong": (
        f"on a p95: {number(paging._FEWEST_BEYOND)} probes beyond it, and more than "
        f"{per_cent(paging._SHARE_BEYOND)}",
        f"before it has stood for {paging.STANDS_S:g} s",
        f"those with fewer than {USUAL_FROM} that went well",
    ),
    "Handing over": (
        f"from {window.BEFORE_NS / NS_PER_S / 60:g} minutes before its onset to "
        f"{window.AFTER_NS / NS_PER_S / 60:g} after its end",
        f"longer than {hour(window.WHOLE_NS / NS_PER_S)} the last "
        f"{window.UNASKED_NS / NS_PER_S / 60:g} minutes",
        f"up to {WHOLE_BYTES / MB:g} MB",
    ),
    "`--fail-on-goals`": (f"p95 is judged from {P95} samples on",),
}
EXAMPLES = (
    *("`812 → 1,940 tokens since 14 Oct", "3 times since 12 Oct, median 40m"),  # of `history`
    *("40m, last 3 days ago", "seen 3×, last 3 days ago"),
    "`✖ lag 48 ms: TTFT reads up to 48 ms high`. `kernel`: `lag 48 ms: probes leave late`",
    *("engine CPU 98 %", "screen CPU 95 %", "inexact 6 %", "inexact 35 %", "5 Hz: slow terminal"),
    "Knobs act within 100 ms",  # what was measured of the whole way, not a limit
    "`waited 12.3 s, connected, no first token`",
    "of our 100 ms",
)
"""Quantities that limit nothing."""


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, EXAMPLES) == []


def test_every_field_of_a_history_stands_there_and_no_other() -> None:
    views = (HistoryView, RouteHistoryView, StretchView, JumpView, SeenView)
    names = ("all", "a route", "a stretch", "a jump", "seen")
    told: dict[str, set[str]] = {name: set() for name in names}
    for of, fields, _ in PAGE.rows("`history --json`"):
        told[of] |= {*re.findall(r"`(\w+)`", fields)}
    assert told == {
        name: {*view.__struct_fields__} for name, view in zip(names, views, strict=True)
    }


def test_the_panes_are_those_that_there_are() -> None:
    told = {row[0]: row[1] for row in PAGE.rows("The screen") if row[0] != "–"}
    specs = home_panes(Strips())
    assert list(told) == [str(spec.number) for spec in specs if spec.number]


def test_the_states_are_those_that_there_are_worst_first() -> None:
    told = first_cells(PAGE.rows("States"))
    assert told == [f"{STATE_GLYPHS[state]} {state}" for state in get_args(RouteState)]


def test_the_help_has_the_words_of_the_page_for_each_state() -> None:
    assert states_table() in PAGE.text, "python -m tui.screens.glossary prints it"


def test_the_help_has_the_words_of_the_page_for_each_column() -> None:
    told = [row[2] for row in PAGE.rows("Columns of the routes table")]
    assert [COLUMN_MEANINGS[column.key] for column in COLUMNS] == told


def test_the_help_has_the_words_of_the_page_for_the_columns_of_other_panes() -> None:
    told: dict[str, list[tuple[str, str]]] = {}
    for pane, columns, meaning in PAGE.rows("Columns of the other panes"):
        name = pane.removeprefix("token ")
        told.setdefault(name, []).append((columns.replace("`", ""), meaning))
    assert told == {
        name: [(term.shown, term.meaning) for term in terms] for name, terms in PANE_COLUMNS.items()
    }


def test_the_columns_are_those_that_there_are() -> None:
    there = [(f"{each.group}{each.head}", str(each.priority)) for each in COLUMNS]
    assert [
        (quoted(row[0])[0], row[1]) for row in PAGE.rows("Columns of the routes table")
    ] == there


def test_every_judgement_of_a_turn_is_told() -> None:
    there = [words for words, _ in _JUDGED.values()] + [_TOO_FEW]
    told = [name for row in PAGE.rows("What happened") for name in quoted(row[0])]
    assert sorted(told) == sorted(there)


@pytest.mark.parametrize("pane", ["arrival", "percentiles", "throttling", "retries"])
def test_the_columns_of_the_other_panes_are_those_that_are_drawn(pane: str) -> None:
    drawn = (DRAWINGS / f"{pane}.txt").read_text(encoding="utf-8").partition("\nbusy\n")[0]
    rows = PAGE.rows("Columns of the other panes")
    told = {name for row in rows if row[0].endswith(pane) for name in quoted(row[1])}
    assert told
    assert {name for name in told if name not in drawn} == set()
    heads = set(re.findall(r"\b[A-Z]{3,}\b", drawn)) - {"TTFT"}
    assert heads <= set(re.findall(r"[A-Z]+", " ".join(told)))


@pytest.mark.parametrize(
    "title", ["marks on figures", "token arrival", "trends and charts"], ids=str
)
def test_every_mark_of_the_help_is_told(title: str) -> None:
    told = set(re.findall(r"`([^`]+)`", PAGE.section("Marks")))
    (part,) = [part for part in GLOSSARY if part.title == title]
    shown = {glyph for term in part.terms for glyph in term.shown.split(" ")}
    assert shown - told - {"dim"} == set()


def test_the_marks_of_alerts_are_those_of_the_help() -> None:
    told = [name for row in PAGE.rows("Alerts") for name in quoted(row[0])]
    (part,) = [part for part in GLOSSARY if part.title.startswith("alerts")]
    assert told == [term.shown for term in part.terms if len(term.shown) == 1]


@pytest.mark.parametrize("clock", ["kernel", "user"])
def test_every_reading_of_the_observer_and_its_words_are_explained(clock: ClockSource) -> None:
    text = PAGE.section("Is the observer well?")
    well = HeaderView(clock=clock, loop_lag_p99_s=0.0003, engine_cpu=0.07, inexact_share=0.06)
    ill = HeaderView(
        clock=clock,
        loop_lag_p99_s=0.048,
        engine_cpu=0.98,
        drops=12,
        drops_shown=True,
        inexact_share=0.35,
        short_of="descriptors",
    )
    calm = observer_remarks(well, Cockpit(cpu_share=0.09))
    alarmed = observer_remarks(ill, Cockpit(cpu_share=0.95, slowed_hz=5.0))
    for remark in (*calm, *alarmed):
        for part in line_text(remark.line).strip().split(": "):
            if part != "cpu 98/95%":
                assert part in text, part


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.id)
def test_every_key_is_in_the_table_of_keys(key: Hotkey) -> None:
    told = set(quoted(PAGE.section("Keys")))
    shown = filter(None, IN_PROSE.get(key.shown, key.shown).split(" "))
    if key.id.startswith("pane_"):
        assert {"1", "6"} <= told
    else:
        assert set(shown) <= told


def test_the_commands_that_are_typed_stand_there() -> None:
    assert page_table() in PAGE.text, "python -m tui.screens.command_line prints it"


def test_every_theme_that_a_terminal_may_ask_for_is_named() -> None:
    named = set(re.findall(r"`(llmtop-[a-z-]+)`", PAGE.section("The terminal")))
    assert named < OWN_THEMES


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, by its name; `llmtop` is the one without."""
    top = parser()
    (found,) = [act for act in top._actions if isinstance(act, argparse._SubParsersAction)]
    return {"llmtop": top, **found.choices}


def test_the_options_are_those_that_each_command_has() -> None:
    there: dict[str, set[str]] = {}
    for name, each in commands().items():
        for act in each._actions:
            for option in act.option_strings:
                there.setdefault(option, set()).add(name)
    told: dict[str, set[str]] = {}
    for row in PAGE.rows("Commands"):
        for option in quoted(row[0]):
            told[option.split(" ")[0]] = set(quoted(row[1]))
    assert told == {name: of for name, of in there.items() if name not in ("-h", "--help")}


def test_every_command_is_shown_at_work() -> None:
    text = PAGE.section("Commands")
    shown = {name: f"llmtop {name}" for name in commands() if name != "llmtop"}
    assert [name for name, words in shown.items() if words not in text] == []


def test_every_window_is_named_and_the_scenarios_are_where_it_says() -> None:
    text = PAGE.section("Commands")
    assert [name for name in _WINDOWS if f"`{name}`" not in text] == []
    (row,) = [row for row in PAGE.rows("Commands") if row[0].startswith("`--scenario ")]
    (link,) = re.findall(r"\]\(\.\./(.+)#the-scenarios\)", row[2])
    assert first_cells(Page(link).rows("The scenarios")) == list(scenario_names())


def test_every_exit_status_is_told_and_no_other() -> None:
    cells = [row[0] for row in PAGE.rows("Exit statuses")]
    told = [int(status) for cell in cells for status in re.findall(r"\d+", cell)]
    assert sorted(told) == sorted(ExitStatus)
    assert len(told) == len(set(told))


def test_every_command_has_a_column_of_exit_statuses() -> None:
    head = PAGE.section("Exit statuses").strip().splitlines()[0]
    assert set(commands()) <= set(quoted(head))


def test_the_fields_of_the_summary_that_tell_of_goals_are_named() -> None:
    board = Board()
    route = route_info(Route(name="r", base_url="https://h", model="m"))
    board.fold(Hello(at_ns=1, wall_ns=1, engine="1", version="0", routes=(route,), schema=1))
    (row,) = board.summary().values()
    goals = {name for name in row if name.startswith("goals_")}
    assert goals == set(re.findall(r"`(goals_\w+)`", PAGE.section("`--fail-on-goals`")))


def test_every_bar_of_the_waterfall_is_told() -> None:
    bars = set(STEPS.values()) - {"scheduled"}  # where all bars begin
    assert set(first_cells(PAGE.rows("`once`: a waterfall"))) == bars


def test_every_field_of_once_is_told() -> None:
    record = ProbeRecord(
        ProbeFinished(at_ns=1, route="r", probe="1-1", outcome="ok", attempts=0, started_ns=0,
                      scheduled_ns=0),
        (),
    )  # fmt: skip
    fields = json.loads(json_line(record, include_text=True))
    rows = PAGE.rows("`once --json`")
    assert sorted(first_cells(rows)) == sorted(fields)
    (attempts,) = [row[1] for row in rows if row[0] == "`attempts`"]
    named = set(re.findall(r"`([a-z_]+)`", attempts)) - {"attempt_finished"}
    assert named <= fields_of(AttemptFinished)


def test_every_kind_of_first_token_is_told() -> None:
    (told,) = [row[1] for row in PAGE.rows("`once --json`") if row[0] == "`ttft_kind`"]
    assert {kind for kind in get_args(TtftKind) if f"`{kind}`" not in told} == set()
