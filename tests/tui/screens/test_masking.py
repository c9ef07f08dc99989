"""What is masked while somebody looks on: every text there is, but for those that are ours."""

from collections.abc import Iterator, Sequence
from itertools import count
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import made
import made_places
import msgspec
import pytest
from changed import replace
from fakes import FakeStatus
from staged import name_of, stage, state_of, troubled

from probes.board.views import Happening, Marker, RequestView, Snapshot
from probes.control.commands import SetKnob
from tui.keys import first_key
from tui.panes.routes import selected_route, visible_routes
from tui.panes.view import ViewState
from tui.screens.masking import Mask, mask_of, masked_status

pytestmark = pytest.mark.anyio

OURS = {
    "LimitLasts.kind",
    "LimitLasts.window",
    # Figures and words of a vocabulary of ours.
    *(
        "RouteView.dialect",
        "RouteView.cohort",
        "PercentileTable.cohort",
        "CohortView.name",
        "FeltColumn.name",
    ),
    *("ProbeView.cohort", "ProbeFinished.cohort", "AttemptFinished.cohort"),
    *("LeaderView.cohort", "Diagnosis.shape"),  # names of prompts, which no server has
    *("LaneView.reason", "RetryRow.reason", "ProbeView.reason", "ProbeFinished.reason"),
    *("AttemptFinished.reason", "RetryPlan.reason", "ThrottleEntry.kind", "ThrottleEntry.window"),
    *("ThrottleEntry.remaining", "Limit.kind", "Limit.window", "HeaderView.budget_text"),
    *("ProbeFinished.flagged", "AttemptFinished.flagged"),
    *("AttemptFinished.http_version", "AttemptFinished.dialect"),
    # Names of stamps and of headers.
    *("AttemptFinished.inexact", "AttemptFinished.headers"),
    # Our own ids of probes, which name nothing.
    *("LaneView.probe", "ThrottleEntry.probe", "ProbeView.probe", "RouteDetail.preview_probe"),
    *("ProbeFinished.probe", "AttemptFinished.probe", "Alert.id"),
    # Names of places: an area, by which one tells whose fault it is.
    *("RouteView.place", "PlaceView.name", "HeaderView.observer_place", "Evidence.place"),
    *("Diagnosis.places", "Diagnosis.unheard", "Alert.places", "Happening.place"),
    # Words of ours in which names are replaced: see below.
    *("RouteView.why", "Marker.text", "Happening.text", "Happening.incident", "Diagnosis.id"),
    *("Alert.text", "Alert.incident"),
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
    if kind is tuple:
        return ()
    if origin is Sequence:
        return (filled(inner[0], secrets),)
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
    elif isinstance(value, dict):
        for one in (*value, *value.values()):
            yield from surviving(one, place)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for one in value:
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
    assert mask.words('503 "of "Moonshot" itself"') == "503 …"
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


@pytest.mark.parametrize(
    ("kind", "text", "masked"),
    [
        (
            "gap",
            "eu: silent, nobody probes there: no way to bus.acme.example",
            "nobody probes there",
        ),
        ("gap", "silent, on its way: ssh eu.acme.example: refused", "on its way"),
        ("gap", "eu: we did not run for 5 s", "we did not run for 5 s"),
        ("held", "held, budget: nats://bus.acme.example:4222 cannot be reached", "held, budget"),
        ("held", "eu: held, budget: nats://bus.acme.example:4222: lost", "held, budget"),
        ("held", "eu: goes on, was held 5 s", "goes on, was held 5 s"),
    ],
)
def test_of_a_place_that_is_silent_or_holds_no_detail_is_shown(
    kind: Any, text: str, masked: str
) -> None:
    shown = made.snapshot(happenings=(Happening(at_ns=1, kind=kind, text=text),))
    (line,) = mask_of((), shown).snapshot(shown).happenings
    assert line.text.endswith(masked)
    assert "acme" not in line.text


def test_what_does_not_change_stays_the_same_object() -> None:
    markers = (Marker(made.NOW_NS, "CONC 3→6", "knob"),)
    details = {
        name: replace(one, percentiles=replace(one.percentiles, markers=markers))
        for name, one in made.snapshot().details.items()
    }
    shown = made.snapshot(details=details)
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


SECRETS = (
    *(name_of(number, "plain") for number in range(6)),
    *(f"m{number:03d}x" for number in range(6)),
    *("example.test", "engine is overloaded", "req_", "req�", "newest notice"),
)
"""What must not be seen; see `staged`."""
WALK = {
    "home": ("j", "v"),
    "the log": ("6", "6"),
    "another order and a filter": ("6", "s", "slash", *"r00", "enter"),
    "a command": ("escape", "colon", *"route "),
    "an unknown one": (*"hyper", "enter"),
    "a knob, undone": ("escape", "plus", "u"),
    "the help": ("question_mark",),
    "the sort menu": ("escape", "S"),
    "the route's page": ("escape", "enter"),
    "its probes": ("4",),
    "a probe": ("enter",),
    "its end": ("G",),
}


@pytest.mark.parametrize("size", [(200, 60), (80, 24)])
async def test_the_mask_goes_over_every_screen(size: tuple[int, int]) -> None:
    async with stage(troubled(6), size) as staged:
        plain: set[str] = set()
        for keys in WALK.values():
            await staged.press(*keys)
            plain |= {word for word in SECRETS if word in "\n".join(staged.lines())}
        assert len(plain) > 6
    async with stage(troubled(6), size) as staged:
        await staged.press("M")
        for way, keys in WALK.items():
            await staged.press(*keys)
            told = "\n".join(staged.lines())
            assert [word for word in SECRETS if word in told] == [], (way, told)
        await staged.press("escape", "escape", "escape")
        assert "route 1" in "\n".join(staged.lines())
        assert " masked" in staged.lines()[0]
        await staged.press("M")
        assert name_of(0, "plain") in "\n".join(staged.lines())


HOSTS = (*made_places.NAMES[:4], "acme", "qwen", "example.test")
WALK_OF_PLACES = {
    "home": ("j",),
    "opened": ("enter",),
    "back, the log": ("escape", "6", "6"),
    "the grid": ("6", first_key("places")),
    "a cell": ("l", "j"),
    "its page": ("enter",),
    "the leaderboard": ("escape", "escape", first_key("leaderboard")),
    "alerts": ("escape", first_key("alerts")),
    "pausing": ("escape", "P"),
    "a knob": ("escape", "plus"),
}


@pytest.mark.parametrize("size", [(200, 60), (80, 24)])
async def test_the_mask_goes_over_every_screen_of_several_places(size: tuple[int, int]) -> None:
    shown = made_places.snapshot(far="eu-west", silent="ap-south", down="chat")
    silent = tuple(
        replace(one, detail="no way to bus.acme.example") if one.state == "silent" else one
        for one in shown.header.places
    )
    told = (
        Happening(at_ns=made.NOW_NS - 9, kind="gap", text="ap-south: silent, on its way: ssh acme"),
        Happening(at_ns=made.NOW_NS - 8, kind="held", text="held, budget: nats://acme:4222: lost"),
        Happening(at_ns=made.NOW_NS - 7, kind="notice", text="acme is ahead"),
        Happening(at_ns=made.NOW_NS - 6, kind="engine", text="us-east: acme took over"),
    )
    header = replace(
        shown.header,
        places=silent,
        notices=("place eu-west: acme.example",),
        budget_doubt="nats://acme:4222 cannot be reached",
    )
    shown = replace(shown, header=header, happenings=told)
    async with stage(shown, size) as staged:
        staged.session.status = FakeStatus(
            "restarting", engine="place ap-south", detail="no way to acme", last_words="acme"
        )
        plain: set[str] = set()
        for keys in WALK_OF_PLACES.values():
            await staged.press(*keys)
            plain |= {word for word in HOSTS if word in "\n".join(staged.lines())}
        assert {"acme", *made_places.NAMES[:2]} <= plain
    async with stage(shown, size) as staged:
        staged.session.status = FakeStatus(
            "restarting", engine="place ap-south", detail="no way to acme", last_words="acme"
        )
        await staged.press("M")
        for way, keys in WALK_OF_PLACES.items():
            await staged.press(*keys)
            seen = "\n".join(staged.lines())
            assert [word for word in HOSTS if word in seen] == [], (way, seen)


async def test_under_the_mask_knobs_turn_the_true_route() -> None:
    async with stage(troubled(6)) as staged:
        await staged.press("M", "j", "plus", "u")
        selected = selected_route(staged.session.board.whole, state_of(staged.app).view)
        assert selected is not None
        assert staged.session.commands[-2:] == [
            SetKnob(route=selected.name, knob="concurrency", value=5.0),
            SetKnob(route=selected.name, knob="concurrency", value=4.0),
        ]
