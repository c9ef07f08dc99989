"""What is masked while somebody looks on: every text there is, but for those that are ours."""

from collections.abc import Iterator
from itertools import count
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import made
import msgspec
import pytest
from changed import replace
from fakes import FakeBoard, FakeSession, FakeStatus
from test_home_screen import cockpit

from probes.board.views import Happening, RequestView, Snapshot
from probes.control.commands import SetKnob
from tui.panes.routes import selected_route, visible_routes
from tui.panes.view import ViewState
from tui.screens.masking import Mask, mask_of, masked_status

OURS = {
    # Figures and words of a vocabulary of ours.
    *("RouteView.cohort", "PercentileTable.cohort", "CohortView.name", "FeltColumn.name"),
    *("ProbeView.cohort", "ProbeFinished.cohort", "AttemptFinished.cohort"),
    *("LaneView.reason", "RetryRow.reason", "ProbeView.reason", "ProbeFinished.reason"),
    *("AttemptFinished.reason", "RetryPlan.reason", "ThrottleEntry.kind", "ThrottleEntry.window"),
    *("ThrottleEntry.remaining", "Limit.kind", "Limit.window", "HeaderView.budget_text"),
    *("ProbeFinished.flagged", "AttemptFinished.flagged"),
    *("AttemptFinished.http_version", "AttemptFinished.dialect"),
    # Names of stamps and of headers.
    *("AttemptFinished.inexact", "AttemptFinished.headers"),
    # Our own ids of probes, which name nothing.
    *("LaneView.probe", "ThrottleEntry.probe", "ProbeView.probe", "RouteDetail.preview_probe"),
    *("ProbeFinished.probe", "AttemptFinished.probe"),
    # Words of ours in which names are replaced: see below.
    *("RouteView.why", "Marker.text", "Happening.text", "Happening.incident", "Diagnosis.id"),
}
"""Texts that are shown although somebody looks on. What is new here is a decision."""


def filled(kind: Any, secrets: Iterator[int]) -> Any:
    """Return a value of a type in which every text is a secret of its own."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is str:
        return f"secret{next(secrets)}"
    if kind in (int, float):
        return kind(1)
    if kind is bool or kind is type(None):
        return kind()
    if origin is Literal:
        return inner[0]
    if origin in (Union, UnionType):
        return filled(next(one for one in inner if one is not type(None)), secrets)
    if origin is tuple:
        return tuple(filled(one, secrets) for one in inner if one is not Ellipsis)
    if origin is not None:  # a mapping
        return {filled(inner[0], secrets): filled(inner[1], secrets)}
    hints = get_type_hints(kind)
    return kind(**{name: filled(hints[name], secrets) for name in kind.__struct_fields__})


def surviving(value: Any, place: str = "") -> Iterator[str]:
    """Give the fields in which a secret stands."""
    if isinstance(value, str) and value.startswith("secret"):
        yield place
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from surviving(getattr(value, name), f"{type(value).__name__}.{name}")
    elif isinstance(value, tuple | list):
        for one in value:
            yield from surviving(one, place)
    elif isinstance(value, dict):
        for one in (*value, *value.values()):
            yield from surviving(one, place)


@pytest.mark.parametrize("kind", [Snapshot, RequestView])
def test_no_text_is_shown_that_is_not_ours(kind: Any) -> None:
    whole = filled(kind, count(1))
    assert len(set(surviving(whole))) > 20
    mask = Mask(())
    masked = mask.snapshot(whole) if kind is Snapshot else mask.request(whole)
    assert set(surviving(masked)) <= OURS
    assert not set(surviving(masked)) & {"RouteView.name", "AttemptFinished.message"}


def test_a_route_has_the_number_of_its_place_in_the_settings() -> None:
    shown = made.snapshot()
    order = ["local-llama", "busy-llama", "eastus-gpt"]
    masked = mask_of(order, shown).snapshot(shown)
    assert [row.name for row in masked.routes[:2]] == ["route 3", "route 2"]
    assert masked.routes[4].name == "route 1"
    assert list(masked.details) == [row.name for row in masked.routes]
    assert masked.incidents[0].diagnosis.routes == ("route 3",)
    names = [row.name for row in masked.routes]
    assert len(set(names)) == len(shown.routes)
    worse = replace(shown, routes=shown.routes[::-1])
    assert [row.name for row in mask_of(order, worse).snapshot(worse).routes] == names[::-1]


def test_in_words_of_ours_names_and_quotations_are_replaced() -> None:
    mask = Mask(["kimi", "kimi-k2", "a"], ["gpt-4o-mini", ""])
    assert mask.words("kimi-k2: a knob, kimi") == "route 2: route 3 knob, route 1"
    assert mask.words('503 "Engine of Moonshot" (gpt-4o-mini)') == "503 … (masked)"
    assert mask.words("kimichi and “cut off") == "kimichi and …"
    assert mask.words("") == ""
    assert Mask(()).words("as it is") == "as it is"


def test_of_what_a_server_said_the_status_is_kept() -> None:
    row = made.route("alpha", said='429 "Rate limit of org-acme"')
    shown = made.snapshot(routes=(row, made.route("beta", said="org-acme has no credit")))
    masked = mask_of((), shown).snapshot(shown)
    assert [row.said for row in masked.routes] == ["429", ""]


def test_happenings_of_others_words_say_only_that_they_were() -> None:
    shown = made.snapshot(
        happenings=(
            Happening(at_ns=1, kind="mark", text="deploy of eastus-gpt", routes=("eastus-gpt",)),
            Happening(at_ns=2, kind="knob", text="eastus-gpt: CONC 3→6"),
        )
    )
    mark, knob = mask_of(["eastus-gpt"], shown).snapshot(shown).happenings
    assert (mark.text, mark.routes, knob.text) == ("masked", ("route 1",), "route 1: CONC 3→6")


def test_what_does_not_change_stays_the_same_object() -> None:
    shown = made.snapshot()
    masked = mask_of((), shown).snapshot(shown)
    for before, after in zip(shown.routes, masked.routes, strict=True):
        assert after.trend is before.trend
    for one, other in zip(shown.details.values(), masked.details.values(), strict=True):
        assert other.percentiles is one.percentiles


@pytest.mark.parametrize(
    "view",
    [
        ViewState(selected="queue-eu", filter="llama"),
        ViewState(selected="local-llama", sort="name", reversed=True),
        ViewState(selected="queue-eu"),
    ],
)
def test_filter_order_and_cursor_stay_as_they_were(view: ViewState) -> None:
    shown = made.snapshot()
    mask = mask_of((), shown)
    masked, through = mask.snapshot(shown), mask.view(shown, view)
    rows = [mask.route(row.name) for row in visible_routes(shown, view)]
    assert [row.name for row in visible_routes(masked, through)] == rows
    before, after = selected_route(shown, view), selected_route(masked, through)
    assert before is not None
    assert after is not None
    assert after.name == mask.route(before.name)
    assert "llama" not in through.filter


def test_an_engines_words_are_left_out() -> None:
    status = FakeStatus("restarting", last_words="no route to api.acme.example", detail="exit 1")
    masked = masked_status(status)  # type: ignore[arg-type]
    assert (masked.state, masked.last_words, masked.detail) == ("restarting", "", "")
    calm = FakeStatus()
    assert masked_status(calm) is calm  # type: ignore[arg-type,comparison-overlap]


WORDS = (
    *(row.name for row in made.routes()),
    *(row.model for row in made.routes()),
    *("example.test", "req_7f3a9c01", "Too many requests", "sea was calm"),
)


def lines_of(screen: Any) -> str:
    strips = screen._compositor.render_strips()
    assert len(strips) == screen.size.height
    return "\n".join(strip.text for strip in strips)


@pytest.mark.anyio
async def test_the_mask_goes_over_the_whole_screen_and_knobs_still_turn_the_true_route() -> None:
    session = FakeSession(board=FakeBoard(made.snapshot()))
    async with cockpit((200, 60), session) as screen:
        await screen.press("j", "v")
        plain = lines_of(screen.board)
        assert sum(word in plain for word in WORDS) > 8
        await screen.press("M")
        masked = lines_of(screen.board)
        assert [word for word in WORDS if word in masked] == []
        assert "route 1" in masked
        assert " masked" in masked.splitlines()[0]
        await screen.press("plus", "u")
        assert session.commands[-2:] == [
            SetKnob(route="busy-llama", knob="concurrency", value=9.0),
            SetKnob(route="busy-llama", knob="concurrency", value=8.0),
        ]
        await screen.pilot.pause()
        assert [word for word in WORDS if word in lines_of(screen.app.screen)] == []
        await screen.press("M")
        assert "busy-llama" in lines_of(screen.board)
