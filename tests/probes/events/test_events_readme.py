"""The reference of the event stream names every event and every field, and no other."""

import re
from typing import get_args

import msgspec
import pytest
from pages import Page, fields_of, first_cells, quoted

from probes.board import Board
from probes.config import Route
from probes.engine.introduction import route_info
from probes.events import (
    DURABLE_TYPES,
    Act,
    Advice,
    AlertKind,
    AlertState,
    BudgetState,
    Burn,
    Cause,
    CostSource,
    DiagnosisState,
    Event,
    Evidence,
    FigureName,
    FigureUnit,
    Harm,
    HarmGoal,
    HarmReason,
    Health,
    HeldReason,
    Hello,
    KnobKind,
    Limit,
    OpenPhase,
    PlaceState,
    PriceInfo,
    RetryPlan,
    RouteCounts,
    RouteInfo,
    RttTo,
    Scope,
    SeriesReference,
    ServerClaim,
    ShareReference,
    Shortage,
    StampLadder,
    TokenSource,
)

PAGE = Page("probes/README.md")
EVENTS = {kind.__struct_config__.tag: kind for kind in DURABLE_TYPES}
TRANSIENT = {kind.__struct_config__.tag for kind in get_args(Event)} - EVENTS.keys()
RECORDS = {
    "`stamps_ns`: the stamp ladder": StampLadder,
    "`routes` of `hello`": RouteInfo,
    "`evidence` and `against` of `diagnosis`": Evidence,
    "`advice` of `diagnosis`": Advice,
    "`series` of `reference`": SeriesReference,
    "`shares` of `reference`": ShareReference,
    "`harm` of `alert`": Harm,
    "`burn` of `alert`": Burn,
    "`price` of `notice` and `hello`": PriceInfo,
    "`retry` of `attempt_finished`": RetryPlan,
    "`limits` of `attempt_finished` and `limit`": Limit,
    "`server_claims` of `attempt_finished`": ServerClaim,
    "`health` of `tick`": Health,
    "`routes` of `tick`": RouteCounts,
    "`budgets` of `tick`": BudgetState,
}


def test_the_events_are_those_that_there_are() -> None:
    told = first_cells(PAGE.rows("The event stream"))
    assert told[:1] == ["hello"]
    assert {quoted(row[0])[0] for row in PAGE.rows("The event stream")} == EVENTS.keys() | {
        "summary"
    }


def test_what_is_only_on_the_pipe_is_named_there() -> None:
    durable, _, transient = PAGE.section("The event stream").partition("*transient*")
    assert {name for name in TRANSIENT if f"`{name}`" not in transient} == set()
    assert {name for name in TRANSIENT if f"| `{name}` |" in durable} == set()


@pytest.mark.parametrize("tag", EVENTS)
def test_the_fields_of_an_event_are_those_that_it_has(tag: str) -> None:
    told = first_cells(PAGE.rows(f"`{tag}`"))
    assert sorted(told) == sorted(fields_of(EVENTS[tag]) - {"at_ns"})


@pytest.mark.parametrize("title", RECORDS)
def test_the_fields_of_a_record_are_those_that_it_has(title: str) -> None:
    assert sorted(first_cells(PAGE.rows(title))) == sorted(fields_of(RECORDS[title]))


def test_the_fields_of_the_summary_are_those_that_it_has() -> None:
    closed = Route(name="closed", base_url="https://h", model="m")
    paced = Route(name="paced", base_url="https://h", model="m", pace="poisson", rate=1.0)
    routes, board = tuple(map(route_info, (closed, paced))), Board()
    board.fold(Hello(at_ns=1, wall_ns=1, engine="1", version="0", routes=routes, schema=1))
    summary = board.summary()
    assert sorted(first_cells(PAGE.rows("`summary`"))) == sorted(summary["paced"])
    of_open = {"pace", "rate", "due_waiting", "skipped_for"}
    more = summary["paced"].keys() - summary["closed"].keys()
    assert {name for name in more if not name.startswith("scheduled_")} == of_open


TITLED = {**{f"`{tag}`": kind for tag, kind in EVENTS.items()}, **RECORDS}
DEFAULTS = [
    (title, field.name, field.default)
    for title, kind in TITLED.items()
    for field in msgspec.structs.fields(kind)
    if field.default not in (msgspec.NODEFAULT, None, 0, "", (), False)
]


@pytest.mark.parametrize(("title", "field", "default"), DEFAULTS)
def test_a_default_that_is_not_empty_is_told(title: str, field: str, default: object) -> None:
    word = str(default).lower() if isinstance(default, bool) else str(default)
    (row,) = [row for row in PAGE.rows(title) if f"`{field}`" in row[0]]
    assert re.search(rf"without [^:]*: `{re.escape(word)}`", row[1])


def test_the_stamps_stand_in_their_order() -> None:
    told = first_cells(PAGE.rows("`stamps_ns`: the stamp ladder"))
    assert told == list(StampLadder.__struct_fields__)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("`knob`", KnobKind),
        ("`held`", HeldReason),
        ("`health` of `tick`", Shortage),
        ("`attempt_finished`", CostSource),
        ("`attempt_finished`", RttTo),
        ("`routes` of `tick`", OpenPhase),
        ("`place`", PlaceState),
        ("`diagnosis`", DiagnosisState),
        ("`diagnosis`", Scope),
        ("`evidence` and `against` of `diagnosis`", FigureUnit),
        ("`alert`", AlertState),
        ("`alert`", AlertKind),
        ("`harm` of `alert`", HarmReason),
        ("`harm` of `alert`", HarmGoal),
    ],
)
def test_every_word_that_a_field_may_hold_is_named(title: str, words: object) -> None:
    text = PAGE.section(title)
    assert [word for word in get_args(words) if word and f"`{word}`" not in text] == []


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("`cause` of `diagnosis`", Cause),
        ("`figure` of `evidence`", FigureName),
        ("`act` of `advice`", Act),
    ],
)
def test_a_closed_list_is_told_word_by_word(title: str, words: object) -> None:
    told = first_cells(PAGE.rows(title))
    assert sorted(told) == sorted(get_args(words))


def test_the_sources_of_a_token_count_are_those_that_there_are() -> None:
    told = first_cells(PAGE.rows("Tokens, and whose count they are"))
    assert set(told) <= set(get_args(TokenSource))
    assert set(get_args(TokenSource)) - set(told) == {"estimate"}  # the engine writes none


def test_every_field_that_a_sentence_names_is_a_field() -> None:
    known = {name for kind in (*get_args(Event), *RECORDS.values()) for name in fields_of(kind)}
    text = PAGE.section("The event stream").partition("### Fields")[0]
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", text))
    assert named - known - EVENTS.keys() - set(get_args(HeldReason)) == set()
