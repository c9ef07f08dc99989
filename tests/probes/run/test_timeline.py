"""Going back in a run shows what was shown then, to the last digit."""

import gc
import random
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType

import anyio
import anyio.lowlevel
import pytest
from bench.flat import Traffic
from bench.incident_streams import scenarios
from bench.incident_streams.nature import Nature
from bench.incident_streams.stream import Stream
from bench.incident_streams.trouble import Outline, Trouble, Turn
from changed import replace
from msgspec import Struct

from probes.board import Board, checkpoint
from probes.board.checkpoint import Checkpoint
from probes.board.probe_log import KeptTogether
from probes.board.views import Snapshot
from probes.diagnosis import Diagnostician
from probes.events import DURABLE_TYPES, Event, Mark, durable_lines
from probes.handover.facts import gather
from probes.handover.recorded_run import read_run
from probes.handover.window import Stretch
from probes.kit.clock import NS_PER_S
from probes.kit.frozen_array import FrozenArray
from probes.run import timeline
from probes.run.sinks import board_sink, recorder_sink
from probes.run.timeline import STEP_NS, RunTimeline
from probes.run.verdicts import with_verdicts
from probes.stats.quantiles import _NOTHING
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


def test_of_large_boards_fewer_steps_are_prepared_and_none_of_them_twice(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, at_ns = run.timeline.past(), run.timeline.span.end_ns - 10 * STEP_NS
    past.go(at_ns)
    size = past._nearest(at_ns).checkpoint.size
    monkeypatch.setattr(timeline, "_PREPARED_BYTES", 6 * size)
    assert sum(1 for _ in past.prepare()) > 3
    assert 3 <= len(past._prepared) <= 7
    assert sum(1 for _ in past.prepare()) == 0
    for _ in range(2):
        at_ns -= STEP_NS
        past.go(at_ns)
        assert shown(past.board) == shown(run.board_at(at_ns))
        for _ in past.prepare():
            pass
        assert len(past._prepared) <= 7


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


def reached(root: object, but: Iterable[object]) -> dict[int, object]:
    """Return all that is reached from a part of a board and may change, by id."""
    seen: dict[int, object] = {id(one): one for one in but}
    before, waiting = set(seen), [root]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type | FunctionType | ModuleType):
            continue
        if isinstance(found, BuiltinFunctionType) and isinstance(found.__self__, ModuleType):
            continue  # a function, as `operator.add`, and nothing's method
        seen[id(found)] = found
        waiting += gc.get_referents(found)
    return {key: one for key, one in seen.items() if key not in before and may_change(one)}


def may_change(one: object) -> bool:
    if isinstance(one, Struct):
        return not one.__struct_config__.frozen
    if is_dataclass(one):
        return not one.__dataclass_params__.frozen  # type: ignore[attr-defined]
    lasting = (str, bytes, int, float, tuple, frozenset, FrozenArray, KeptTogether, Enum)
    return not (one is None or one is _NOTHING or isinstance(one, lasting))


def test_nothing_that_may_change_is_in_two_parts_of_a_checkpoint(run: Run) -> None:
    # What is, would be two things in a board that is made of it.
    for after_s in (500, 1500):  # amid an incident, and after a knob and another
        board = run.board_at(_FIRST_NS + after_s * NS_PER_S)
        shown(board)
        routes, common = board.parts()
        assert routes
        assert len(common) == 2, "the run, and the one place"
        known = dict[int, object]()
        for part in (board, *routes):
            others = routes if part is board else (*routes, *common)
            found = reached(part, [one for one in others if one is not part])
            assert [one for key, one in found.items() if key in known] == []
            known |= found


class InTurns:
    """A run whose batches come one each turn of a loop, and who looks at its board meanwhile."""

    def __init__(self, folder: Path, batches: Iterable[list[Event]]) -> None:
        self.board, self.events = Board(), []
        self.recorder = Recorder.to_folder(folder, max_mb=64, max_days=7)
        self.timeline = RunTimeline(self.board, self.recorder)
        self.recorder.start(pytest.fail)
        self.held = 0
        """Times that the board stood still while a batch came."""
        self._batches = batches

    async def run(self) -> None:
        record = recorder_sink(self.recorder)
        for events in self._batches:
            lines, before = durable_lines(events), self.board.version
            self.timeline.fold(events, lines)
            record(events, lines)
            self.timeline.receive(events, lines)
            self.events += events
            self.held += self.board.version == before
            self.board.snapshot("1m", pages=self.board.routes[:1])
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a route each turn."""
    monkeypatch.setattr(timeline, "_TURN_NS", 0)
    monkeypatch.setattr(checkpoint, "_AT_ONCE", 1)
    monkeypatch.setattr(timeline, "LEAST_APART_NS", 0)
    monkeypatch.setattr(timeline, "EVENTS_APART", 500)
    monkeypatch.setattr(timeline, "_TIMES_OUR_APART", 0)
    monkeypatch.setattr(timeline, "_TIMES_APART", 0)


def many_routes() -> Iterator[list[Event]]:
    traffic = Traffic(12, 1.0)
    yield [traffic.hello()]
    for events in islice(traffic.slots(), 1_500):
        yield [event for event in events if isinstance(event, DURABLE_TYPES)]


@pytest.mark.usefixtures("by_parts")
@pytest.mark.anyio
async def test_taken_in_turns_a_checkpoint_is_of_one_moment(tmp_path: Path) -> None:
    run = InTurns(tmp_path, many_routes())
    await run.timeline.during(run.run)
    run.recorder.close()
    assert run.timeline.checkpoints > 5
    assert run.held > 12 * run.timeline.checkpoints

    def board_at(at_ns: int) -> Board:
        board = Board()
        for event in run.events:
            if event.at_ns <= at_ns:
                board.fold(event)
        return board

    assert shown(run.board) == shown(board_at(run.events[-1].at_ns))
    assert run.timeline.happenings == run.board.happenings
    moments = [moment.at_ns for moment in run.timeline._moments]
    for at_ns in (*moments[2::3], *(moment + 7 * NS_PER_S for moment in moments[:-1:3])):
        past = run.timeline.past()
        past.go(at_ns)
        assert shown(past.board) == shown(board_at(at_ns))


@pytest.mark.usefixtures("by_parts")
@pytest.mark.anyio
async def test_who_ends_amid_a_checkpoint_has_all_that_came(tmp_path: Path) -> None:
    class Ends(InTurns):
        async def run(self) -> None:
            await super().run()
            at_ns = self.events[-1].at_ns
            self.timeline._take()
            for text in ("deploy", "rollback"):
                events: list[Event] = [Mark(at_ns=at_ns, text=text)]
                self.timeline.fold(events, durable_lines(events))
                self.timeline.receive(events, durable_lines(events))
            assert "deploy" not in {one.text for one in self.board.happenings}

    run = Ends(tmp_path, many_routes())
    await run.timeline.during(run.run)
    assert [one.text for one in run.board.happenings[:2]] == ["rollback", "deploy"]
    assert run.timeline.happenings == run.board.happenings
    before = run.board.version
    run.timeline.fold([NOTED], b"")
    assert run.board.version > before, "what is said at the end is folded at once"
    run.recorder.close()


@pytest.mark.usefixtures("by_parts")
@pytest.mark.anyio
async def test_a_checkpoint_that_cannot_be_taken_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_board: Board) -> Iterator[None]:
        yield
        raise TypeError("cannot pickle this")

    run = InTurns(tmp_path, many_routes())
    monkeypatch.setattr(Checkpoint, "_take", lambda _self, board: fail(board))
    with pytest.raises(ExceptionGroup) as raised:
        await run.timeline.during(run.run)
    assert raised.group_contains(TypeError, match="cannot pickle this")
    run.recorder.close()
