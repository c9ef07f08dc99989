"""What a run without a screen minds while it prints: signals, and whoever reads the output."""

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.abc import TaskStatus

from probes.board import Board
from probes.control.status import HostStatus
from probes.events import Event
from probes.run.sinks import Sink

if TYPE_CHECKING:
    from probes.exports.json_lines import JsonLines  # a run that is drawn has no need of it

_HOLD_BYTES: Final = 4 << 20
"""Unwritten output above which the source is held: an engine holds its admissions then."""
_RELEASE_BYTES: Final = 1 << 20
"""Below it the source gives again; far from the other, so that it is not held batch by batch."""
LOOK_S: Final = 0.1
"""Between two looks at what nobody calls back for: a reader that left, an engine given up."""
_DRAIN_S: Final = 0.005
"""The same at the end of a replay, where it is all there is to wait for."""


class _Flow(Protocol):
    """A run, as far as its output steers it."""

    def hold(self) -> None: ...

    def release(self) -> None: ...

    def stop(self) -> None: ...


class HeadlessRun(_Flow, Protocol):
    """A run, as far as it is printed from its beginning to its end."""

    @property
    def board(self) -> Board:
        """All that it has told."""
        ...

    @property
    def status(self) -> HostStatus:
        """How the engine is, or the way to those elsewhere."""
        ...

    @property
    def given_up(self) -> Sequence[tuple[str, str]]:
        """The places that were given up, each with the reason."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nobody probes, nor will without being asked to."""
        ...

    def subscribe(self, sink: Sink) -> None:
        """Call back with every batch."""
        ...

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after its first hello."""
        ...

    async def run(self) -> None:
        """Run until `stop`."""
        ...


class Printing:
    """Lets a run go no faster than its output is read, and end when a person wants it to."""

    def __init__(self, flow: _Flow, output: "JsonLines") -> None:
        self._flow = flow
        self._output = output
        self.is_interrupted = False
        """A signal has asked for the end."""

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Print a batch; hold the source where its reader is far behind."""
        self._output.receive(events, lines)
        if self._output.waiting > _HOLD_BYTES:
            self._flow.hold()

    async def mind(self, *, task_status: TaskStatus[None]) -> None:
        """Mind signals and the reader until cancelled; has started once signals are heard."""
        names = ["SIGINT", "SIGTERM"]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            names.append("SIGHUP")  # `nohup` wants to outlive the terminal
        numbers = [getattr(signal, name) for name in names]
        with anyio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._mind_reader)
                async for _number in signals:
                    self.is_interrupted = True
                    self._flow.stop()

    async def _mind_reader(self) -> None:
        while True:
            if self._output.closed:
                self._flow.stop()
            if self._output.waiting < _RELEASE_BYTES:
                self._flow.release()
            await anyio.sleep(LOOK_S)

    async def drain(self) -> None:
        """Return when the reader has taken everything, has gone, or a person waits no longer."""
        output = self._output
        while output.waiting and not (output.closed or self.is_interrupted):  # noqa: ASYNC110
            await anyio.sleep(_DRAIN_S)
