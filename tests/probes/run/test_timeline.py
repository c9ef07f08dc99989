"""Going back in a run shows what was shown then, to the last digit."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.incident_streams import scenarios
from bench.incident_streams.nature import Nature
from bench.incident_streams.stream import Stream
from bench.incident_streams.trouble import Outline, Trouble, Turn
from changed import replace

from probes.board import Board
from probes.board.views import Snapshot
from probes.diagnosis import Diagnostician
from probes.events import Event, Mark, durable_lines
from probes.handover.facts import gather
from probes.handover.recorded_run import read_run
from probes.handover.window import Stretch
from probes.kit.clock import NS_PER_S
from probes.run import timeline
from probes.run.sinks import board_sink, recorder_sink
from probes.run.timeline import STEP_NS, RunTimeline
from probes.run.verdicts import with_verdicts
from probes.store.recording import Recorder
from probes.store.recording_files import RecordedPlace
from probes.store.recording_reader import Piece

OUTLINE = Outline(
    natures=(
        Nature(name="alpha", workers=3, interval=1.0),
        Nature(name="bravo", workers=2, interval=1.0),
    ),
    troubles=(
        Trouble(
            causes=("outage",),
            routes=("bravo",),
            onset_s=400.0,
            end_s=600.0,
            effect=scenarios.failing(1.0, scenarios.BUSY),
        ),
    ),
    turns=(Turn(at_s=300.0, what="knob", route="alpha", value=6.0),),
    length_s=1500.0,
)


class Run:
    """A run that was recorded, with every event as the board folded it."""

    def __init__(self, folder: Path, *more: Event) -> None:
        self.board, self.events = Board(), []
        self.recorder = Recorder.to_folder(folder, max_mb=64, max_days=7)
        self.timeline = RunTimeline(self.board, self.recorder, judges_anew=False)
        self.recorder.start(pytest.fail)
        fold, record = board_sink(self.board), recorder_sink(self.recorder)
        judge = Diagnostician()
        for batch in batches(*more):
            events, lines = with_verdicts(judge, batch, durable_lines(batch))
            self.events += events
            fold(events, lines)
            record(events, lines)
            self.timeline.receive(events, lines)
        self.recorder.close()

    def board_at(self, at_ns: int) -> Board:
        """Return what a run that ended then would have."""
        board = Board()
        for event in self.events:
            if event.at_ns > at_ns:
                break
            board.fold(event)
        return board


def batches(*more: Event) -> Iterator[list[Event]]:
    """Yield the events as they would come, some at a time; `more` among them."""
    waiting: list[Event] = []
    events = (*Stream(OUTLINE, seed=3).events(), *more)
    for event in sorted(events, key=lambda event: event.at_ns) if more else events:
        waiting.append(event)
        if len(waiting) == 7:
            yield waiting
            waiting = []
    yield waiting


_FIRST_NS = next(batches())[0].at_ns
NOTED = Mark(at_ns=_FIRST_NS + 900 * NS_PER_S, text="deploy", about_ns=_FIRST_NS + 500 * NS_PER_S)


def shown(board: Board) -> tuple[Snapshot, dict[str, object]]:
    """Return all that a screen shows but lanes, and the speed that is told of them: those of open
    streams are drawn from how they ended, which the run did not know then."""
    names = board.routes
    frame = board.snapshot(detail_routes=names, pages=names, anew=True)
    details = {name: replace(detail, lanes=()) for name, detail in frame.details.items()}
    header = replace(frame.header, tokens_per_s=0.0, tokens_estimated=False)
    return replace(frame, details={}, header=header), details


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("recordings"), NOTED)


def test_past_board_is_that_of_the_moment(run: Run) -> None:
    past, span = run.timeline.past(), run.timeline.span
    chance = random.Random(1)
    assert run.timeline.checkpoints > 2
    for _ in range(12):
        at_ns = chance.randrange(span.begin_ns, span.end_ns)
        past.go(at_ns)
        assert shown(past.board) == shown(run.board_at(at_ns))
        assert past.board.summary() == run.board_at(at_ns).summary()


def test_a_mark_about_the_past_is_known_from_when_it_was_put_and_alike_in_a_replay(
    run: Run,
) -> None:
    past, about_ns = run.timeline.past(), NOTED.about_ns or 0
    for at_ns, known in ((NOTED.at_ns - 1, []), (NOTED.at_ns, [about_ns])):
        past.go(at_ns)
        marks = [one.at_ns for one in past.board.happenings if one.kind == "mark"]
        assert marks == known
        assert shown(past.board) == shown(run.board_at(at_ns))
    again = read_run(run.recorder.parts).timeline
    assert again.happenings == run.timeline.happenings
    stretch = Stretch(about_ns - 30 * NS_PER_S, about_ns + 30 * NS_PER_S)
    for told in (run.timeline, again):
        marks = [one.text for one in gather(told, stretch).happenings if one.kind == "mark"]
        assert marks == ["deploy · put 6m40s later"], "though that was after the stretch"


def test_what_is_read_ahead_for_an_attempt_that_never_ends_is_bounded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "_AHEAD_BYTES", 3_000)
    place = RecordedPlace(run.recorder.parts[0], 0, b"")
    asked = list[int]()

    class Endless:
        def read_on(self, _place: RecordedPlace) -> Iterator[Piece]:
            while True:
                asked.append(1)
                yield Piece([NOTED], b"x" * 1_000, place)

    ahead = timeline._Ahead(Endless(), place)  # type: ignore[arg-type]
    assert ahead.ends({("alpha", "never", 0)}, NOTED.at_ns) == []
    assert len(asked) == 3
    assert ahead.ends({("alpha", "never", 0)}, NOTED.at_ns) == []
    assert len(asked) == 6, "who asks again has it read on"


def test_steps_back_that_were_prepared_show_what_was(run: Run) -> None:
    past, at_ns = run.timeline.past(), run.timeline.span.end_ns - 10 * STEP_NS
    past.go(at_ns)
    assert sum(1 for _ in past.prepare()) > 10
    for _ in range(3):
        at_ns -= STEP_NS
        past.go(at_ns)
        assert shown(past.board) == shown(run.board_at(at_ns))


def test_preparing_goes_on_where_a_key_has_interrupted_it(run: Run) -> None:
    at_ns = run.timeline.span.end_ns - 10 * STEP_NS
    past = run.timeline.past()
    past.go(at_ns)
    at_once = sum(1 for _ in past.prepare())
    past = run.timeline.past()
    past.go(at_ns)
    pieces = 0
    while next(past.prepare(), "done") != "done":
        pieces += 1
    assert pieces <= 2 * at_once
