"""The deadlines of an attempt: connect, first token, stall and total, one at a time.

Rule 1. `total` outweighs the others, but not the moment an answer that is over is left open for.
Rule 2. How an attempt was ended by ourselves, by whoever came first, stands.
Rule 3. A deadline is moved late rather than often: moving one costs more than all else that is done
        for a chunk.
"""

from typing import Final, Literal

import anyio

from probes.config import Timeouts
from probes.kit.clock import NS_PER_S

LINGER_S: Final = 1.0
"""A body left open this long after its terminal signal is closed by us: some servers never end it,
and a usage may still come."""

MOST_SLACK_S: Final = 0.5
"""A stall that aborts is noticed so much too late at most."""

_NEVER: Final = -1

Phase = Literal["connect", "first_token", "stall", "total", "linger", "cancelled", "cap_ignored"]


class Watchdog:
    """The deadline of an attempt, moved along with its phase."""

    def __init__(self, timeouts: Timeouts, *, streamed: bool = True) -> None:
        """Without a stream only connect and total count: nothing comes before the answer does."""
        self.scope = anyio.CancelScope()
        self.phase: Phase = "connect"
        """What the deadline stands for: the stage, or `total` where that comes first."""
        self._stage: Phase = "connect"
        self._timeouts = timeouts
        self._streamed = streamed
        self.fresh_until_ns = _NEVER
        """Output that arrived up to here needs no `output`, by the engine's clock."""
        self._slack = min(MOST_SLACK_S, timeouts.stall / 50)
        self._slack_ns = round(self._slack * NS_PER_S)
        now = anyio.current_time()
        self._first_token_at = now + timeouts.first_token
        self._total = now + timeouts.total
        self._move("connect", timeouts.connect)

    def connected(self) -> None:
        """From now on the first output delta is due, counted from `started`; or the answer."""
        if self._stage != "connect":
            return
        if self._streamed:
            self._move("first_token", self._first_token_at - anyio.current_time())
        else:
            self._move("total", self._total - anyio.current_time())

    def started(self) -> None:
        """The first network act: the clocks run from here."""
        now = anyio.current_time()
        self._first_token_at = now + self._timeouts.first_token
        self._total = now + self._timeouts.total
        self._move("connect", self._timeouts.connect)

    def output(self, at_ns: int) -> None:
        """An output chunk came, at `at_ns` of the engine's clock: the next is due.

        So it is after a terminal signal too, which this output has taken back.

        The deadline is set a little late and then left alone for that while (`fresh_until_ns`): a
        stall is noticed within its time plus `_slack`.
        """
        self._move("stall", self._timeouts.stall + self._slack)
        self.fresh_until_ns = at_ns + self._slack_ns

    def terminal(self) -> None:
        """The answer is complete: its body may stay open a moment longer."""
        if self.phase != "linger":
            self._move("linger", LINGER_S)

    def cancel(self) -> None:
        """End the attempt now, on our own account."""
        if self.phase not in ("linger", "cap_ignored"):
            self.phase = "cancelled"
        self.scope.cancel()

    def cut(self) -> None:
        """End the attempt now: what came of its answer passed what it may use."""
        if self.phase != "cancelled":
            self.phase = "cap_ignored"
        self.scope.cancel()

    def _move(self, phase: Phase, timeout_s: float) -> None:
        if self.phase in ("cancelled", "cap_ignored"):
            return
        self.phase = self._stage = phase
        self.fresh_until_ns = _NEVER
        deadline = anyio.current_time() + timeout_s
        if deadline > self._total and phase != "linger":
            self.phase, deadline = "total", self._total
        self.scope.deadline = deadline
