"""A recording that is looked at shows what the run showed, to the last digit."""

import random
import shutil
from pathlib import Path

import anyio
import pytest
from bench.incident_streams import scenarios
from bench.incident_streams.nature import Nature
from bench.incident_streams.stream import Stream
from bench.incident_streams.trouble import Outline, Trouble, Turn
from msgspec.structs import replace

from probes.board import Board
from probes.board.views import Snapshot
from probes.control.commands import Pause
from probes.diagnosis import Diagnostician
from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    Event,
    Gap,
    Hello,
    Mark,
    Tick,
    durable_lines,
)
from probes.kit.clock import NS_PER_S
from probes.run.recorded_session import RecordedSession
from probes.run.sinks import board_sink, recorder_sink
from probes.run.verdicts import Judge, with_verdicts
from probes.store.recording import Recorder

SLOT_NS = NS_PER_S // 10
PART_BYTES = 1_000_000
"""So that a run of minutes has several parts."""
OUTLINE = Outline(
    natures=(
        Nature(name="alpha", workers=3, interval=1.0),
        Nature(name="bravo", workers=2, interval=1.0),
    ),
    troubles=(
        Trouble(
            causes=("outage",),
            routes=("bravo",),
            onset_s=200.0,
            end_s=320.0,
            effect=scenarios.failing(1.0, scenarios.BUSY),
        ),
    ),
    turns=(Turn(at_s=150.0, what="knob", route="alpha", value=6.0),),
    length_s=700.0,
)


def life(seed: int, engine: str, from_ns: int = 0) -> list[Event]:
    """Return what an engine tells, its stamps not before a moment."""
    events = list(Stream(OUTLINE, seed=seed).events())
    by_ns = max(0, from_ns - events[0].at_ns)
    told = []
    for event in events:
        changes: dict[str, object] = {"at_ns": event.at_ns + by_ns}
        if isinstance(event, Hello):
            changes |= {"engine": engine, "boot_id": "b", "clock_name": "c"}
            changes["wall_ns"] = event.wall_ns + by_ns
        told.append(replace(event, **changes))
    return told


def shown(board: Board) -> tuple[Snapshot, dict[str, object], dict[str, object]]:
    """Return all that a screen may show but the lanes of open streams, which have their own test:
    here the run told nothing of what came bit by bit."""
    names = board.routes
    frame = board.snapshot(window="1m", detail_routes=names, pages=names, anew=True)
    details: dict[str, object] = {}
    for name in names:
        detail = frame.details[name]
        ended = tuple(lane for lane in detail.lanes if lane.ended_ns is not None)
        details[name] = replace(detail, lanes=ended)
    return replace(frame, details={}), details, board.summary()


class Live:
    """A run as a session folds and records it, with what was shown at some moments."""

    def __init__(
        self, folder: Path, events: list[Event], *, seen: int = 40, max_mb: float = 64
    ) -> None:
        self.board, self.moments = Board(), []
        recorder = Recorder.to_folder(folder, max_mb=max_mb, max_days=7, flush_s=0.0)
        recorder.start(pytest.fail)
        fold, record = board_sink(self.board), recorder_sink(recorder)
        judge, seven = Judge(Diagnostician()), 7
        for begin in range(0, len(events), seven):
            told = events[begin : begin + seven]
            told, lines = with_verdicts(judge, told, durable_lines(told))
            fold(told, lines)
            record(told, lines)
            # A screen looks all the time; what it has seen at these is kept.
            frame = self.board.snapshot(detail_routes=("alpha",))
            if begin // seven % max(1, len(events) // seven // seen) == 0:
                at_ns = max(event.at_ns for event in told)
                is_whole = begin + seven >= len(events) or events[begin + seven].at_ns > at_ns
                if is_whole and frame.now_ns == at_ns:
                    self.moments.append((at_ns, shown(self.board)))
        recorder.close()
        self.parts = sorted(folder.glob("*.jsonl"))


def read_whole(session: RecordedSession) -> RecordedSession:
    """Read all that can be read of it."""

    async def read() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(session.run)
            while session.read_share < 1:  # noqa: ASYNC110 - a thread reads
                await anyio.sleep(0.01)
            session.stop()

    anyio.run(read)
    return session


def opened(paths: list[Path]) -> RecordedSession:
    """Return a recording of which all has been read."""
    return read_whole(RecordedSession(paths))


def assert_same(session: RecordedSession, live: Live, *, anew_from: int = 0) -> None:
    past, chance = session.timeline.past(), random.Random(anew_from)
    moments = [one for one in live.moments if one[0] >= session.timeline.span.begin_ns]
    assert len(moments) > 10
    chance.shuffle(moments)
    for at_ns, (frame, details, summary) in moments:
        past.go(at_ns)
        again, details_again, summary_again = shown(past.board)
        assert summary_again == summary
        # How often somebody looked is no figure.
        assert replace(again, version=0) == replace(frame, version=0), at_ns
        assert details_again == details


def two_lives() -> list[Event]:
    """Return a run whose engine died and was started again, with a gap and a mark."""
    first = [event for event in life(3, "1") if event.at_ns < life_ns(330.0)]
    last_ns = max(event.at_ns for event in first)
    second = life(5, "2", from_ns=last_ns + NS_PER_S)[:6000]
    told = [*first, *second]
    for share, make in ((0.3, slept), (0.7, slept), (0.4, marked), (0.8, marked)):
        at = round(len(told) * share)
        told.insert(at, make(told[at - 1].at_ns))
    return told


def life_ns(at_s: float) -> int:
    return next(Stream(OUTLINE, seed=3).events()).at_ns + round(at_s * NS_PER_S)


def slept(at_ns: int) -> Event:
    return Gap(at_ns=at_ns, started_ns=at_ns - 3 * NS_PER_S)


def marked(at_ns: int) -> Event:
    return Mark(at_ns=at_ns, text="here")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("probes.store.recording.PART_BYTES", PART_BYTES)
        return Live(tmp_path_factory.mktemp("run"), two_lives())


def copied(live: Live, folder: Path) -> list[Path]:
    """Return parts that a test may spoil."""
    return [Path(shutil.copy(part, folder / part.name)) for part in live.parts]


def test_figures_are_those_of_the_run(live: Live) -> None:
    assert len(live.parts) > 3
    session = opened(live.parts)
    assert session.remarks == ()
    assert_same(session, live)
    assert session.board.summary() == live.board.summary()


def test_verdicts_of_another_version_are_replaced(live: Live, tmp_path: Path) -> None:
    for part in copied(live, tmp_path):
        told = []
        for number, line in enumerate(part.read_bytes().splitlines(keepends=True)):
            if not line.startswith((b'{"type":"diagnosis"', b'{"type":"usual"')):
                told.append(line)
            elif number % 2:  # it said something else, and more often
                told += [line.replace(b'"alpha"', b'"bravo"')] * 2
        part.write_bytes(b"".join(told))
    assert_same(opened(sorted(tmp_path.iterdir())), live)


def test_what_is_torn_or_damaged_costs_itself_alone(live: Live, tmp_path: Path) -> None:
    parts = copied(live, tmp_path)
    with parts[-1].open("ab") as file:
        file.write(b'{"type":"attempt_finished","at_ns":1')
    lines = parts[1].read_bytes().splitlines(keepends=True)
    parts[1].write_bytes(b"".join([*lines[:90], b"\0" * 5000 + b"\n", *lines[90:]]))
    session = opened(parts)
    assert session.remarks == (
        f"{parts[1].name}: 1 line is left out: line 91 is unreadable",
        f"{parts[-1].name}: 1 line is left out: line "
        f"{len(live.parts[-1].read_bytes().splitlines()) + 1} is cut short",
    )
    assert_same(session, live)


def test_the_past_begins_after_what_retention_has_deleted(live: Live, tmp_path: Path) -> None:
    parts = copied(live, tmp_path)
    session = opened(parts)
    whole = session.timeline.span
    assert not whole.is_cut
    past = session.timeline.past()
    past.go(whole.begin_ns)
    for part in parts[:2]:
        part.unlink()
    span = session.timeline.span
    assert span.is_cut
    assert whole.begin_ns < span.begin_ns < span.end_ns == whole.end_ns
    assert_same(session, live)
    past.go(whole.begin_ns)  # what is not there any more: the first that is
    assert past.at_ns >= span.begin_ns


def test_what_was_deleted_before_is_told(live: Live, tmp_path: Path) -> None:
    parts = copied(live, tmp_path)
    parts[0].unlink()
    session = opened([parts[1]])
    assert session.remarks == (f"{parts[1].name}: part 1 is left out: deleted",)
    assert session.timeline.span.begin_ns > life_ns(1.0)


def test_its_end_is_known_before_it_is_read(live: Live) -> None:
    session = RecordedSession(live.parts)
    assert session.read_share < 0.1
    assert session.timeline.span.end_ns < session.end_ns == live.board.snapshot().now_ns
    assert session.wanted.routes["alpha"].concurrency == 3
    assert session.status.state == "starting"


def test_a_part_that_cannot_be_read_ends_it_with_a_word(live: Live, tmp_path: Path) -> None:
    parts = copied(live, tmp_path)
    session = RecordedSession(parts)
    parts[1].unlink()
    parts[1].mkdir()
    read_whole(session)
    assert session.failure.startswith(f"{parts[1]}: ")
    assert session.timeline.span.end_ns == session.end_ns < life_ns(600.0)


def test_commands_change_nothing(live: Live) -> None:
    session = RecordedSession(live.parts)
    before = session.wanted
    session.command(Pause(paused=True))
    session.retry()
    session.lift()
    session.gather(1.0)
    assert session.wanted == before


def with_arrivals(events: list[Event]) -> list[Event]:
    """Return a run with what an engine tells of open streams, a slot of 100 ms at a time."""
    slots: dict[int, dict[str, list[Arrival]]] = {}
    for event in events:
        if isinstance(event, AttemptFinished) and event.chunk_offsets_ns:
            began_ns, told, come = event.stamps_ns.started or event.at_ns, 0, 0
            by_slot: dict[int, list[int]] = {}
            for offset_ns in event.chunk_offsets_ns:
                stamp_ns = began_ns + offset_ns
                by_slot.setdefault(stamp_ns // SLOT_NS, []).append(stamp_ns)
            for slot, stamps in by_slot.items():
                come += len(stamps)
                characters = event.characters * come // len(event.chunk_offsets_ns) - told
                told += characters
                one = Arrival(
                    probe=event.probe,
                    attempt=event.attempt,
                    chunks=len(stamps),
                    characters=characters,
                    last_ns=stamps[-1],
                )
                slots.setdefault(slot, {}).setdefault(event.route, []).append(one)
    told_events: list[Event] = []
    waiting = sorted(slots)
    for event in events:
        while waiting and (waiting[0] + 1) * SLOT_NS <= event.at_ns:
            slot = waiting.pop(0)
            told_events += [
                Arrivals(at_ns=slot * SLOT_NS, route=route, arrivals=tuple(found))
                for route, found in slots[slot].items()
            ]
        told_events.append(event)
    return told_events


def test_lanes_of_open_streams_are_drawn_from_how_they_ended(tmp_path: Path) -> None:
    events = with_arrivals([one for one in life(4, "1") if one.at_ns < life_ns(60.0)])
    recorder = Recorder.to_folder(tmp_path, max_mb=64, max_days=7, flush_s=0.0)
    recorder.start(pytest.fail)
    board, seen, drawn = Board(), [], 0
    fold, record = board_sink(board), recorder_sink(recorder)
    for number, event in enumerate(events):
        fold([event], lines := durable_lines([event]))
        record([event], lines)
        if isinstance(event, Tick) and events[number + 1].at_ns > event.at_ns:
            assert not event.at_ns % SLOT_NS
            frame = board.snapshot(detail_routes=board.routes, anew=True)
            seen.append((event.at_ns, {r: frame.details[r].lanes for r in board.routes}))
            drawn += sum(
                bool(lane.cells)
                for r in board.routes
                for lane in seen[-1][1][r]
                if not lane.ended_ns
            )
    recorder.close()
    assert len(seen) > 40
    assert drawn > 20
    session = opened(sorted(tmp_path.iterdir()))
    past = session.timeline.past()
    for at_ns, live_lanes in [*seen, *reversed(seen)]:
        past.go(at_ns)
        before = past.board.summary()
        frame = past.board.snapshot(detail_routes=past.board.routes, anew=True)
        assert {r: frame.details[r].lanes for r in past.board.routes} == live_lanes
        assert past.board.summary() == before
    whole = seen[-1][0]
    past.go(whole)
    assert past.board.summary() == board_until(events, whole).summary()


def board_until(events: list[Event], at_ns: int) -> Board:
    board = Board()
    for event in events:
        if event.at_ns <= at_ns and not isinstance(event, Arrivals):
            board.fold(event)
    return board
