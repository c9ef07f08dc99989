"""`e` and `y`: what is shown, told to whoever is not there, while probing goes on."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import FakeClock, FakeSession, config
from handed import recorded
from textual.pilot import Pilot

from probes.board.views import Snapshot
from probes.handover.from_snapshot import hand_over_snapshot
from probes.handover.recorded_run import read_run
from probes.run.timeline import RunTimeline
from tui.app import LlmtopApp
from tui.session import HandedOver

pytestmark = pytest.mark.anyio


class Teller:
    """What a cockpit hands over with, and what it was asked."""

    def __init__(self, told: HandedOver) -> None:
        self.told = told
        self.asked: list[tuple[str, bool]] = []
        self.progress: Callable[[str, float | None], object] = lambda _words, _share: None
        self.go = threading.Event()
        self.go.set()

    def __call__(
        self,
        snapshot: Snapshot,
        route: str,
        *,
        writes: bool,
        progress: Callable[[str, float | None], object],
    ) -> HandedOver:
        assert snapshot.routes
        self.asked.append((route, writes))
        self.progress = progress
        self.go.wait(10)
        return self.told


@asynccontextmanager
async def cockpit(
    teller: Teller | None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[LlmtopApp, Pilot[None]]]:
    app = LlmtopApp(FakeSession(), config(), FakeClock())
    if teller is not None:
        monkeypatch.setattr(app, "_hand_over", teller)
    async with app.run_test(size=(160, 50), notifications=True) as pilot:
        await pilot.pause()
        yield app, pilot


def notes(app: LlmtopApp) -> list[str]:
    return [note.message for note in app._notifications]


async def finished(app: LlmtopApp, pilot: Pilot[None]) -> None:
    await app.workers.wait_for_complete()
    await pilot.pause()


async def test_e_writes_a_bundle_of_the_selected_route_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teller = Teller(HandedOver("alpha: down.", "/state/bundles/llmtop-x"))
    async with cockpit(teller, monkeypatch) as (app, pilot):
        route = app.screen.route().name  # type: ignore[attr-defined]
        await pilot.press("e")
        await finished(app, pilot)
        assert teller.asked == [(route, True)]
        assert notes(app) == ["Bundle written: /state/bundles/llmtop-x"]


async def test_while_it_is_made_one_note_says_what_is_done_and_how_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teller = Teller(HandedOver("told", "/somewhere"))
    teller.go.clear()
    async with cockpit(teller, monkeypatch) as (app, pilot):
        route = app.screen.route().name  # type: ignore[attr-defined]
        await pilot.press("e")
        await pilot.pause()
        begun = f"Writing a bundle of {route}: "
        assert notes(app) == [f"{begun}reading the recording …"]
        for words, share, told in (
            ("reading the recording", 0.409, "reading the recording, 40 % …"),
            ("writing attempts.csv", None, "writing attempts.csv …"),
        ):
            teller.progress(words, share)
            await pilot.pause(0.7)  # it is said twice a second
            assert notes(app) == [begun + told]
            (toast,) = app.screen.query("Toast")
            assert str(toast.render()) == begun + told
        teller.go.set()
        await finished(app, pilot)
        assert notes(app) == ["Bundle written: /somewhere"]
        (toast,) = app.screen.query("Toast")
        assert str(toast.render()) == "Bundle written: /somewhere"


async def test_who_leaves_the_page_meanwhile_is_told_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teller = Teller(HandedOver("told", "/somewhere"))
    teller.go.clear()
    async with cockpit(teller, monkeypatch) as (app, pilot):
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        teller.progress("writing the pages", None)
        await pilot.pause(0.7)
        (note,) = notes(app)
        assert note.endswith(": writing the pages …")
        teller.go.set()
        await finished(app, pilot)
        assert notes(app) == ["Bundle written: /somewhere"]


async def test_a_summary_that_takes_long_says_how_far_it_is_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teller = Teller(HandedOver("told"))
    teller.go.clear()
    async with cockpit(teller, monkeypatch) as (app, pilot):
        await pilot.press("y")
        await pilot.pause()
        assert notes(app) == [], "mostly it is there at once"
        teller.progress("reading the recording", 0.25)
        await pilot.pause(0.7)
        (note,) = notes(app)
        assert note.startswith("Summing up of ")
        assert note.endswith(": reading the recording, 25 % …")
        teller.go.set()
        await finished(app, pilot)
        assert notes(app) == ["told copied, where the terminal takes OSC 52."]


async def test_y_copies_the_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    teller = Teller(HandedOver("alpha: provider is down. Since 05:12."))
    async with cockpit(teller, monkeypatch) as (app, pilot):
        await pilot.press("y")
        await finished(app, pilot)
        assert [writes for _, writes in teller.asked] == [False]
        assert app.clipboard == "alpha: provider is down. Since 05:12."
        assert notes(app) == [
            "alpha: provider is down. Since 05:12. copied, where the terminal takes OSC 52."
        ]


async def test_on_the_page_of_a_route_it_is_of_that_route(monkeypatch: pytest.MonkeyPatch) -> None:
    teller = Teller(HandedOver("told", "/somewhere"))
    async with cockpit(teller, monkeypatch) as (app, pilot):
        await pilot.press("j", "j", "enter")
        await pilot.pause()
        route = app.screen.route().name  # type: ignore[attr-defined]
        await pilot.press("y")
        await finished(app, pilot)
        await pilot.press("e")
        await finished(app, pilot)
        assert teller.asked == [(route, False), (route, True)]


async def test_one_is_made_at_a_time_and_keys_go_on_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teller = Teller(HandedOver("told", "/somewhere"))
    teller.go.clear()
    async with cockpit(teller, monkeypatch) as (app, pilot):
        await pilot.press("e")
        await pilot.press("e")
        await pilot.pause()
        assert notes(app)[-1] == "A hand-over is being made already."
        await pilot.press("j")
        assert app.screen.view.selected is not None  # type: ignore[attr-defined]
        teller.go.set()
        await finished(app, pilot)
        assert len(teller.asked) == 1


async def test_why_it_failed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit(None, monkeypatch) as (app, pilot):  # nothing is recorded
        await pilot.press("e")
        await finished(app, pilot)
        assert notes(app)[-1] == "Nothing is recorded that could be handed over."
        await pilot.press("y")
        await finished(app, pilot)
        assert app.clipboard == ""


async def test_while_somebody_looks_on_no_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit(None, monkeypatch) as (app, pilot):
        route = app.screen.route().name  # type: ignore[attr-defined]
        teller = Teller(HandedOver(f"{route}: down.", f"/bundles/llmtop-{route}-outage"))
        monkeypatch.setattr(app.screen.cockpit, "_hand_over", teller)  # type: ignore[attr-defined]
        await pilot.press("M", "y")
        await finished(app, pilot)
        assert app.clipboard == f"{route}: down.", "who copies it wants the true one"
        await pilot.press("e")
        await finished(app, pilot)
        assert not [note for note in notes(app) if route in note]


# What the keys ask for, of a run that was recorded.


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> RunTimeline:
    return read_run([recorded(tmp_path_factory.mktemp("run") / "run.jsonl")]).timeline


def shown_at(timeline: RunTimeline, seconds: float) -> Snapshot:
    """Return what is shown so many seconds after the run began."""
    past = timeline.past()
    past.go(timeline.recorded_span.begin_ns + round(seconds * 1e9))
    return past.board.snapshot(window="1m", anew=True)


def test_an_open_incident_is_handed_over_up_to_what_is_shown(
    timeline: RunTimeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.handover.from_snapshot.bundles_folder", lambda: tmp_path / "b")
    told = hand_over_snapshot(timeline, shown_at(timeline, 350), "alpha", writes=True)
    assert told.failure == ""
    assert told.summary.startswith("alpha: provider is down. Since 2026-09-21 14:18:22 UTC")
    assert "not over" in told.summary
    assert Path(told.folder).parent == tmp_path / "b"


def test_one_that_is_over_is_handed_over_with_its_end(timeline: RunTimeline) -> None:
    told = hand_over_snapshot(timeline, shown_at(timeline, 500), "alpha", writes=False)
    assert "until 14:20:06: over" in told.summary
    assert told.folder == ""


def test_of_a_route_that_was_well_it_is_the_time_that_is_shown(timeline: RunTimeline) -> None:
    told = hand_over_snapshot(timeline, shown_at(timeline, 200), "beta", writes=False)
    assert told.summary.startswith("3 routes, 2026-09-21 14:13:20 UTC to 14:16:40. Probes: ")


def test_what_cannot_be_had_is_said_and_not_raised(
    timeline: RunTimeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = shown_at(timeline, 350)
    told = hand_over_snapshot(None, snapshot, "alpha", writes=True)
    assert told.failure == "Nothing is recorded that could be handed over."
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("probes.handover.from_snapshot.bundles_folder", lambda: tmp_path / "file")
    told = hand_over_snapshot(timeline, snapshot, "alpha", writes=True)
    assert "the hand-over cannot be written" in told.failure
