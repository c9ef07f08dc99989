"""The house is as its page draws it: rooms, floors, walls, the way of a chunk, where is what."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pages import MB, ROOT, Page, each_of, number, per_cent, quoted

from probes.__main__ import HOST_SILENT_S
from probes.answers.body import _LONGEST_WORDS
from probes.answers.lenient import _MOST_TOKENS
from probes.answers.right_answer import PIECE as WRONG_PIECE
from probes.board import order, pace, place
from probes.board.figures import GREAT_SHARE, SLUGGISH_SHARE, is_enough
from probes.board.knob_effects import _PATIENCE_NS, AFTER_NS, BEFORE_MOST, BEFORE_NS
from probes.board.lanes import CELL_NS
from probes.board.probe_log import BYTES_KEPT, PROBES_KEPT
from probes.config import Goals
from probes.config.goals import DEFAULT_E2E_GOAL_S, E2E_GOAL_CAP, e2e_goal_s
from probes.config.places import EXPECTED
from probes.engine.outbox import BATCH_S
from probes.engine.report import BANDS
from probes.events.knob_turns import ONE_TURN_NS
from probes.history import jumps
from probes.history.database import SLOT_DAYS
from probes.history.keeper import _OLDEST_S, WRITE_S
from probes.history.packed import GRID
from probes.history.reading import SAME_S
from probes.kit.clock import NS_PER_S
from probes.run import timeline
from probes.sources.places import DRIFT_NS, SETTLE_NS
from probes.sources.rules import LINE_COST
from probes.sources.ssh import ALIVE_EVERY_S, ALIVE_MISSED, LIMITS_THERE
from probes.sources.time_merge import PATIENCE_NS
from probes.stats import ladders
from probes.stats.comparison import LOOKS, SURE, SURE_OVER_ALL
from probes.stats.log_buckets import (
    BUCKETS_A_DECADE,
    HEAT_FLOOR_S,
    HEAT_ROWS,
    HEAT_STEPS_A_DECADE,
    heat_floor_s,
)
from probes.stats.tokens import _FEWEST_A_CHUNK, _LEAST_TOKENS, _USUAL
from probes.stats.windows import _MINUTES_KEPT, _SLICES_KEPT, SLICE_NS, SLICES_A_MINUTE
from probes.store.recording import FLUSH_S, PART_BYTES
from tui.cli import _MOST_ENGINES
from tui.screens.glossary import GLOSSARY

PAGE = Page("probes/README.md")
SLICE_S = SLICE_NS // NS_PER_S
MINUTE_S = SLICES_A_MINUTE * SLICE_S
SPANS = {900: "a quarter of an hour", 3600: "an hour"}
P95 = next(n for n in range(1, 1000) if is_enough(n, 0.95))
P99 = next(n for n in range(1, 1000) if is_enough(n, 0.99))
ASKED_FOR = (
    "where a Retry-After is read",
    "where a 429 becomes a wait",
    "where a key is scrubbed",
    "where p95 is computed",
    "where a lane is drawn",
    "where a knob's range stands",
    "where a budget is held",
    "where TLS is stamped",
)

NUMBERS = {
    "In one picture": (f"one batch every {BATCH_S * 1000:g} ms",),
    "The way of one chunk": (
        f"every {BATCH_S * 1000:g} ms: events and arrivals",
        f"the {CELL_NS / 1e6:g} ms cell of its lane",
    ),
    "The event stream": (f"(output by {BATCH_S * 1000:g} ms, for the lanes)",),
    "What each figure means": (
        f"all streams together, over the last {place.ARRIVAL_NS / NS_PER_S:g} s",
        f"whole slices of {SLICE_S} s, so `1m` is {MINUTE_S} to {MINUTE_S + SLICE_S} s",
        f"up to {', '.join(name for _, name in BANDS)}, above",
        f"Slices of {SLICE_S} s are kept for {SPANS.get(_SLICES_KEPT * SLICE_S)}, minutes for "
        f"{SPANS.get(_MINUTES_KEPT * 60)}",
        f"for {order._STANDS_NS / NS_PER_S:g} s after the rows have moved they stand",
        f"samples ({P95} for p95, {P99} for p99)",
        f"great ≤ {GREAT_SHARE:g} × goal < fine ≤ goal < slow ≤ {SLUGGISH_SHARE:g} × goal",
        f"TTFT p95 ≤ {Goals().ttft_s:.1f} s, E2E p95 ≤ {DEFAULT_E2E_GOAL_S:g} s (where the answer "
        f"cap is at most {E2E_GOAL_CAP}) and {per_cent(Goals().success)} success",
        f"raises the cap beyond {E2E_GOAL_CAP} tokens, the default E2E goal grows with it "
        f"({e2e_goal_s(DEFAULT_E2E_GOAL_S, 400, is_own=False, configured_cap=64):g} s at 400)",
    ),
    "What a turn of a knob did": (
        f"the last {BEFORE_NS / NS_PER_S:g} s up to the turn, at most {BEFORE_MOST} samples",
        f"follow each other within {ONE_TURN_NS / NS_PER_S:g} s are one turn",
        f"or after {AFTER_NS / NS_PER_S:g} s",
        f"open for longer than {_PATIENCE_NS / NS_PER_S:g} s",
        f"{', '.join(map(str, LOOKS[:3]))}, … {LOOKS[-1]} samples after",
        f"Before {LOOKS[0]} on each side",
        f"p < {SURE} at a look",
        f"at one of the {number(len(LOOKS))} looks",
        f"a figure is sure at {per_cent(SURE_OVER_ALL)}",
    ),
    "What the page of a route shows": (
        f"closed slices of the last {ladders._SLICES * SLICE_S // 60} minutes",
        f"A slice keeps up to {ladders._KEPT} probes",
        f"by {SLICE_S} s and by rows, {number(HEAT_STEPS_A_DECADE)} to a decade from "
        f"{HEAT_FLOOR_S * 1000:g} ms to {heat_floor_s(HEAT_ROWS):g} s",
        f"are within {per_cent(round(10 ** (1 / BUCKETS_A_DECADE / 2) - 1, 3))}",
        f"the last {PROBES_KEPT} that ended",
        f"at most {BYTES_KEPT // MB} MB for all routes together",
    ),
    "An open pace": (
        f"Counted is over {pace.LEAST_NS // NS_PER_S} s at least, and over as much more, up to "
        f"{pace.MOST_NS // NS_PER_S // 60} minutes, as brings {pace.ENOUGH_DUE} that were due",
        f"by more than {per_cent(pace.SHORT_SHARE)} and by more than {number(pace.SHORT_ROOTS)} "
        "times the root",
        "goes out at half of that",
    ),
    "Tokens, and whose count they are": (
        f"{_USUAL:g} until {_LEAST_TOKENS} tokens were counted",
        f"absurd counts (above {_MOST_TOKENS / 1e9:g} billion) are unknown",
        f"below {number(1)} token for {number(1 / _FEWEST_A_CHUNK)} chunks",
    ),
    "Several engines": (
        f"at most {_MOST_ENGINES}",
        f"for longer than {PATIENCE_NS / NS_PER_S:g} s",
    ),
    "Places over ssh": (
        f"finds within {ALIVE_EVERY_S * (ALIVE_MISSED + 1)} s that a way is dead",
        f"run away by more than {DRIFT_NS // NS_PER_S} s",
        f"does not last after {2 * LIMITS_THERE.backoff_first_s:g} s, "
        f"{4 * LIMITS_THERE.backoff_first_s:g} s and so on",
        f"no faster than {LIMITS_THERE.bytes_per_s / 1e6:g} MB a second",
        f"a line counted as {LINE_COST} bytes more",
        f"no hello within {LIMITS_THERE.hello_within_s:g} s",
        f"after {LIMITS_THERE.backoff_first_s:g} s, {2 * LIMITS_THERE.backoff_first_s:g} s and so "
        f"on, at last each {LIMITS_THERE.backoff_max_s:g} s",
        f"`NAME` is {EXPECTED}",
    ),
    "`seen_before`": (f"less than {SAME_S:g} s apart, is one",),
    "What is kept, and where": (
        f"rotated at {PART_BYTES // MB} MB",
        f"that stands within the next {timeline._AHEAD_NS / NS_PER_S:g} s of the recording",
        "at most its last second",
        f"at most {_LONGEST_WORDS} characters stand in its message",
        f"its beginning and its end, {WRONG_PIECE} characters each",
        f"Values are kept to {per_cent(round(GRID, 4))}",
        f"**Ten minutes are kept** for {SLOT_DAYS} days",
        f"loses {number(WRITE_S // 60)} minutes at most",
        f"of each day with {jumps.LEAST_N} counted attempts or more",
        "the days from then on ({}, {} or {}, at ".format(*jumps.REACHES)
        + f"least {jumps.LEAST_AFTER})",
        f"of the {jumps.BEFORE} before it (at least {jumps.LEAST_BEFORE})",
        f"no older than {_OLDEST_S // 86_400} days",
    ),
}
EXAMPLES = (
    "some ms to 0.2 s",  # a way around the world
    "cut to 500 characters",  # another test holds it
    *("400 days of 20 routes in two cohorts", "take 450 MB"),  # measured
    "`read 34 %`",
    *("0.4 % of rank tests", "it would be 4.4 %", "wrong in 2 % of turns"),  # measured
    *("healthy routes 1 % were judged", "and 11 % with a level that wanders by 15 %"),
)


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, EXAMPLES) == []


def test_an_engine_waits_a_second_for_its_constant_and_a_minute_for_its_host() -> None:
    assert SETTLE_NS == NS_PER_S
    assert HOST_SILENT_S == 60


def test_a_run_that_is_killed_loses_at_most_a_second() -> None:
    assert FLUSH_S < 1.0  # the rest of the second is for the write itself


def picture() -> list[dict[str, list[str]]]:
    """Return the floors from the top: their rooms, each with its folders."""
    (drawn,) = re.findall(r"```\n( tui/.*?)```", PAGE.section("In one picture"), re.DOTALL)
    floors: list[dict[str, list[str]]] = [{}]
    for line in drawn.rstrip().splitlines():
        named = re.match(r"^( +)([a-z_]+)/ ", line)
        if set(line) == {"─"}:
            floors.append({})
        elif named is None:
            pytest.fail(f"neither a room nor a floor: {line!r}")
        elif named[1] == " ":
            room = floors[-1].setdefault(named[2], [])
        else:
            room.append(named[2])
    return floors


def folders_of(room: Path) -> set[str]:
    """Return the folders of a room that hold something of ours."""
    return {
        path.name
        for path in room.iterdir()
        if path.is_dir() and any(file.suffix != ".pyc" for file in path.rglob("*.*"))
    }


def contracts() -> list[dict[str, Any]]:
    """Return the contracts of import-linter."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["tool"]["importlinter"]["contracts"]  # type: ignore[no-any-return]


def test_the_rooms_of_the_picture_are_those_of_the_tree() -> None:
    drawn = {room: folders for floor in picture() for room, folders in floor.items()}
    assert drawn.keys() - {"tui"} == folders_of(ROOT / "probes")
    for room, folders in drawn.items():
        there = ROOT / "tui" if room == "tui" else ROOT / "probes" / room
        assert sorted(folders) == sorted(folders_of(there)), room


def test_the_floors_of_the_picture_are_those_that_the_linter_holds() -> None:
    layered = [contract["layers"] for contract in contracts() if contract["type"] == "layers"]
    (layers,) = [layers for layers in layered if "tui" in layers]
    held = []
    for layer in layers:
        rooms = [name.strip().removeprefix("probes.") for name in layer.split("|")]
        # A room in brackets may be there or not.
        held.append(
            {name.strip("()").removeprefix("probes.") for name in rooms}
            & ({"tui"} | folders_of(ROOT / "probes"))
        )
    assert [set(floor) for floor in picture()] == held


def test_the_walls_are_those_that_the_linter_holds() -> None:
    told = re.findall(r"^- (.+)$", PAGE.section("In one picture"), re.MULTILINE)
    assert told == [contract["name"] for contract in contracts()]


def defined_in(path: Path) -> set[str]:
    """Return the functions and classes of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


WAY = [
    (int(row[0]), quoted(row[1])[0], quoted(row[2])[0]) for row in PAGE.rows("The way of one chunk")
]


@pytest.mark.parametrize(("step", "file", "function"), WAY)
def test_each_step_of_a_chunk_is_a_function_of_its_file(
    step: int, file: str, function: str
) -> None:
    path = ROOT / (file if file.startswith("tui/") else f"probes/{file}")
    assert path.is_file(), f"step {step}"
    assert function in defined_in(path), f"step {step}"


def test_the_way_of_a_chunk_is_told_step_by_step() -> None:
    assert [step for step, _, _ in WAY] == list(range(1, len(WAY) + 1))
    assert WAY[0][1].startswith("transport/")
    assert "arrival" in next(file for _, file, _ in WAY if file.startswith("tui/panes/"))


def test_where_is_what_names_files_that_are_there() -> None:
    rows = PAGE.rows("Where is what")
    files = [name for row in rows for name in quoted(row[1])]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert set(ASKED_FOR) <= {row[0] for row in rows}


def test_every_figure_of_the_help_is_defined() -> None:
    cells = [row[0].replace(" ", "") for row in PAGE.rows("What each figure means")]
    told = {each for cell in cells for each in cell.split(",")}
    figures = [term.shown for part in GLOSSARY[:2] for term in part.terms]
    defined = [each for each in figures if "/" in each or each.isupper()]
    told |= {each.removesuffix("×") for each in told} | {"MODEL", "STATE", "WHY"}
    assert [shown for shown in defined if shown.replace(" ", "") not in told] == []
