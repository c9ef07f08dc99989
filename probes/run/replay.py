"""A recording as a run without a screen printed it: the same lines, and the same summary last.

What is derived of the events is made anew, by the same functions as in a run.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from typing import BinaryIO, TypeAlias

import anyio

from probes.board import Board
from probes.diagnosis import Diagnostician
from probes.events import Event, Hello
from probes.exports.json_lines import JsonLines
from probes.run.pass_or_fail import PassOrFail
from probes.run.printing import Printing
from probes.run.sinks import JudgedSinks, board_sink
from probes.run.verdicts import Judge
from probes.sources.recording import RecordingSource
from probes.stats.sketch import BACKEND
from probes.store.recording_reader import RecordingError, Report, recorded_parts

Progress: TypeAlias = Callable[[int | None], object]
"""Takes how many bytes were read; None: all that will be."""


async def run_replay(
    paths: Sequence[Path],
    *,
    out: BinaryIO,
    report: Report,
    only: Set[str] | None = None,
    fail_on_incident: bool = False,
    diagnostician: Diagnostician | None = None,
    progress: Progress = lambda _bytes: None,
) -> int:
    """Print the durable events of a recording, then one line of type `summary`; return a status.

    Ends early on SIGINT, SIGTERM or SIGHUP, with the summary of what was read, and when `out` is
    closed by its reader, who may otherwise be as slow as he likes. Where `only` is given, lines of
    other types are left out. `report` takes what is missing of the recording and, where
    `fail_on_incident` asks for it, which incidents were named in it; `diagnostician` judges in the
    place of a new one of ours, and `progress` is told how many bytes were read, and None
    when all were.

    Raises:
        RecordingError: it cannot be read.
        OSError: `out` could not be written, though its reader had not left.
    """
    parts = recorded_parts(paths, report)
    asked = PassOrFail(on_goals=False, on_incident=fail_on_incident)
    judge = Judge(diagnostician or Diagnostician())
    return await _Replay(parts, JsonLines(out, only), report, judge, asked, progress).run()


class _Replay:
    """The recording's events on their way into the board and onto the output."""

    def __init__(
        self,
        parts: Sequence[Path],
        output: JsonLines,
        report: Report,
        judge: Judge,
        asked: PassOrFail,
        progress: Progress,
    ) -> None:
        self._progress, self._read = progress, 0
        self._name = parts[0].name
        self._board = Board()
        self._source = RecordingSource(parts, self._receive, report)
        self._output = output
        self._printing = Printing(self._source, output)
        self._asked = asked
        self._sinks = JudgedSinks(
            judge, board_sink(self._board), asked.receive, self._printing.receive
        )
        self._report = report
        self._greeted = False

    async def run(self) -> int:
        failure: RecordingError | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._printing.mind)
            try:
                await self._source.run()
            except RecordingError as error:  # a group would wrap it
                failure = error
            else:
                if self._printing.is_interrupted:
                    self._report(f"{self._name}: interrupted; the summary is of what was read")
                if not self._greeted:
                    self._report(f"{self._name}: has no hello, so that no route is known")
                self._progress(None)
                self._output.end_with(self._board.summary())
            # Whoever reads may be as slow as a pager: nothing is lost by waiting for him here.
            await self._printing.drain()
            tasks.cancel_scope.cancel()
        await self._output.finish()
        if failure is not None:
            raise failure
        if self._output.failure is not None:
            raise self._output.failure
        return self._asked.status({}, self._tell)

    def _tell(self, remarks: Iterable[str]) -> None:
        for remark in remarks:
            self._report(remark)

    def _receive(self, events: list[Event], lines: bytes) -> None:
        self._read += len(lines)
        self._progress(self._read)
        events, _ = self._sinks.give(events, lines)
        if self._greeted:
            return
        hello = next((event for event in events if isinstance(event, Hello)), None)
        if hello is None:
            return
        self._greeted = True
        if hello.digests not in ("", BACKEND):
            other = hello.digests[:40]
            self._report(
                f"{self._name}: its percentiles were held by {other}, here they are by {BACKEND}: "
                "those of the summary may differ"
            )
