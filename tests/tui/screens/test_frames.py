"""Snapshots are taken with what the panes need, or held."""

import made
import made_places
from changed import replace
from fakes import FakeBoard, FakeClock

from probes.board.views import LeaderView
from tui.panes.view import ViewState
from tui.screens.frames import Frames


def test_the_details_of_the_selected_route_are_asked_for() -> None:
    board = FakeBoard()
    frames = Frames(board, FakeClock())
    snapshot = frames.take(ViewState(selected="queue-eu", window="1h"))
    assert set(snapshot.details) == {"queue-eu"}
    assert snapshot.window == "1h"


def test_without_a_selection_the_worst_route_has_its_details_at_once() -> None:
    frames = Frames(FakeBoard(), FakeClock())
    assert set(frames.take(ViewState()).details) == {"eastus-gpt"}


def test_how_routes_stand_is_read_where_it_is_shown_and_held_for_who_looks_at_it_frozen() -> None:
    leaders = (LeaderView(route="eastus-gpt", cohort="64/256"),)
    frames = Frames(FakeBoard(replace(made.snapshot(), standings=leaders)), FakeClock())
    assert frames.take(ViewState()).standings == ()
    assert frames.take(ViewState(), standings=True).standings == leaders
    frames.take(ViewState())
    frames.freeze(ViewState())
    assert frames.take(ViewState(), standings=True).standings == leaders


def test_one_question_is_enough_once_the_route_is_known() -> None:
    board = FakeBoard()
    frames = Frames(board, FakeClock())
    frames.take(ViewState())
    board.asked.clear()
    frames.take(ViewState())
    assert board.asked == [("1m", ("eastus-gpt",))]


def test_a_frozen_frame_has_all_details_and_stays() -> None:
    board, clock, view = FakeBoard(), FakeClock(), ViewState()
    frames = Frames(board, clock)
    frames.take(view)
    frames.freeze(view)
    held = frames.latest
    board.whole = made.snapshot(version=341)
    assert frames.take(view) is held
    assert set(held.details) == {route.name for route in held.routes}


def test_freezing_counts_what_is_missed() -> None:
    board, clock, view = FakeBoard(), FakeClock(), ViewState()
    frames = Frames(board, clock)
    assert frames.frozen() is None
    frames.take(view)
    frames.freeze(view)
    board.whole = replace(board.whole, version=341)
    clock.now_ns += 9_400_000_000
    freeze = frames.frozen()
    assert freeze is not None
    assert (freeze.for_s, freeze.versions) == (9, 340)
    frames.thaw()
    assert frames.frozen() is None
    assert frames.take(view).version == 341


def test_how_long_it_has_stood_is_told_by_seconds_first_and_then_every_five() -> None:
    clock = FakeClock()
    frames = Frames(FakeBoard(), clock)
    frames.freeze(ViewState())
    told = []
    for _ in range(50):
        clock.now_ns += 500_000_000
        freeze = frames.frozen()
        assert freeze is not None
        if not told or told[-1] is not freeze:
            told.append(freeze)
    assert [freeze.for_s for freeze in told] == [*range(11), 15, 20, 25]


def test_while_nothing_at_all_is_heard_the_silence_of_places_goes_on() -> None:
    board, clock, view = FakeBoard(), FakeClock(), ViewState()
    board.whole = made_places.snapshot(silent="us-east")
    frames = Frames(board, clock)

    def ages() -> tuple[float | None, float | None, float]:
        shown = frames.take(view)
        rows = {row.name: row.since_s for row in shown.routes}
        (place,) = (one for one in shown.header.places if one.state != "heard")
        return rows["chat@us-east"], rows["chat@eu-west"], place.since_s

    silent_s, well_s, place_s = ages()
    assert silent_s is not None
    clock.now_ns += 61_400_000_000
    assert ages() == (silent_s + 61, well_s, place_s + 61)
    board.whole = replace(board.whole, version=board.whole.version + 1)
    assert ages() == (silent_s, well_s, place_s)
