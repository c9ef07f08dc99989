"""A whole recording read once for a hand-over: its incidents, and any moment of it.

Rule 1: the events are judged as a replay judges them, so that an incident has the number that the
report of the same recording gives it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from probes.board import Board
from probes.diagnosis import Diagnostician
from probes.run.report import IncidentReport, Progress, ReportReading
from probes.run.timeline import Locate, RunTimeline
from probes.run.verdicts import Judge, with_verdicts
from probes.store.recording_files import RecordedPlace
from probes.store.recording_reader import read_pieces, recorded_parts


class ReadRun(NamedTuple):
    """A recording that was read."""

    timeline: RunTimeline
    report: IncidentReport


class _Recorded:
    """What a timeline asks of a recording that is being read."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self.parts = parts
        self.end: RecordedPlace | None = None

    def here(self, _hellos: bytes, /) -> Locate:
        place = self.end
        return lambda: place


def read_run(paths: Sequence[Path], *, progress: Progress = lambda _bytes: None) -> ReadRun:
    """Read a recording; what is missing of it stands in the report.

    Raises:
        RecordingError: it cannot be read.
    """
    missing: list[str] = []
    parts = recorded_parts(paths, missing.append)
    diagnostician, board, recorded = Diagnostician(), Board(), _Recorded(parts)
    judge, reading = Judge(diagnostician), ReportReading(diagnostician)
    timeline = RunTimeline(board, recorded, judges_anew=True)
    done = 0
    for piece in read_pieces(parts, missing.append):
        recorded.end = piece.end
        events, lines = with_verdicts(judge, piece.events, piece.lines)
        for event in events:
            board.fold(event)
        timeline.receive(events, lines)
        reading.fold(events)
        done += len(piece.lines)
        progress(done)
    return ReadRun(timeline, reading.report(tuple(part.name for part in parts), missing))
