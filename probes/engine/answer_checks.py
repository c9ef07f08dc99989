"""Answers are held against what is expected of them in a process beside the engine.

Rule 1. No check runs on the loop that dates what it reads, nor in a thread of its process, which
        would hold the interpreter against it: the loop waits for a reply as it waits for a server.
Rule 2. The process is started by the first answer that is to be checked; who expects nothing has
        none. It is given no secret, not even those of the environment.
Rule 3. One answer is looked at at a time, and what waits is bounded in number and in time. What
        could not be looked at is told to be so, and is neither right nor wrong.
Rule 4. A process that does not reply in time is killed, with the answer that keeps it busy; the
        next answer starts another. What was expected of that answer rests for a minute: others,
        which wait for the same process, are not to wait for the like of it again and again.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final, Protocol

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from probes.answers.check_server import LONGEST_CHECK_S, CheckReply, CheckRequest
from probes.answers.right_answer import MOST_CHECKED
from probes.config import Expect
from probes.kit.clock import NS_PER_S, Clock
from probes.sources.child_process import engine_environment

MOST_WAITING: Final = 256
"""Answers that wait for their look; more come only where a check takes longer than an answer."""
_START_S: Final = 10
"""What the process has to start, its packages with it, on a busy machine."""
_REST_NS: Final = 60 * NS_PER_S
"""What a process has died of is not looked at for so long."""
_START_AGAIN_NS: Final = 5 * NS_PER_S
"""Where none can be started, none is tried to be for so long."""
_LONGEST_REPLY: Final = 64 * 1024
_NO_SECRETS: Final = frozenset(
    (
        *("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "LC_CTYPE"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR"),
    )
)
"""What of the environment a Python needs to start."""
_UNSURE: Final = CheckReply(None, "it could not be looked at")
_NOTHING: Final = Expect()
"""What is asked about first of all, to see that the process is there."""
_ENDS: Final = (
    *(anyio.IncompleteRead, anyio.DelimiterNotFound),
    *(anyio.BrokenResourceError, anyio.ClosedResourceError),
)
"""What is met where a process is no longer there."""


class AnswerChecker(Protocol):
    """Holds answers against what is expected of them."""

    async def check(self, expect: Expect, text: str, *, is_cut: bool) -> CheckReply:
        """Return what came of the look at an answer; `is_cut` where its cap ended it."""
        ...


class AnswerChecks:
    """The process that looks at answers, started when it is needed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turn = anyio.Lock()
        self._waiting = 0
        self._process: Process | None = None
        self._replies: BufferedByteReceiveStream | None = None
        self._numbers: dict[int, int] = {}
        """Numbers of what the process was told to expect, by the identity of the record."""
        self._kept: list[Expect] = []
        """Those records, by their numbers: an identity holds as long as they live."""
        self._resting: list[tuple[Expect, int]] = []
        """What was expected where a process died of the answer, and until when that rests."""
        self._start_from_ns = 0

    async def check(self, expect: Expect, text: str, *, is_cut: bool) -> CheckReply:
        """Return what came of the look at an answer."""
        if self._waiting >= MOST_WAITING:
            return CheckReply(None, "too many answers wait for their look")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._look(expect, text[: MOST_CHECKED + 1], is_cut=is_cut)
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self._replies = None
        self._numbers.clear()
        self._kept.clear()
        if process is not None:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.wait()
                await process.aclose()

    async def _look(self, expect: Expect, text: str, *, is_cut: bool) -> CheckReply:
        """Ask the process about one answer."""
        now_ns = self._clock.monotonic_ns()
        self._resting = [one for one in self._resting if one[1] > now_ns]
        if any(one is expect for one, _ in self._resting):
            return _UNSURE
        if self._process is None:
            if now_ns < self._start_from_ns:
                return _UNSURE
            # By itself, so that a slow start is not blamed on the first answer, nor that on it.
            began = await self._reply(self._request(_NOTHING, "", is_cut=False), _START_S)
            if isinstance(began, str):
                self._start_from_ns = now_ns + _START_AGAIN_NS
                return CheckReply(None, began)
        reply = await self._reply(self._request(expect, text, is_cut=is_cut), LONGEST_CHECK_S)
        if isinstance(reply, str):
            self._resting.append((expect, now_ns + _REST_NS))
            return CheckReply(None, reply)
        return reply

    def _request(self, expect: Expect, text: str, *, is_cut: bool) -> CheckRequest:
        """Return what is asked about an answer; what is expected is told the first time only."""
        number = self._numbers.get(id(expect))
        if number is not None:
            return CheckRequest(number, text, is_cut)
        self._kept.append(expect)
        self._numbers[id(expect)] = len(self._kept)
        return CheckRequest(len(self._kept), text, is_cut, expect)

    async def _reply(self, request: CheckRequest, within_s: float) -> CheckReply | str:
        """Return what the process replies; where it does not, why: it is gone then."""
        try:
            with anyio.move_on_after(within_s):
                return await self._ask(request)
            why = f"the look at it took longer than {within_s:g} s"
        except OSError as error:
            why = f"the process that looks at answers: {error}"
        except (*_ENDS, msgspec.DecodeError):
            why = "the process that looks at answers ended"
        except BaseException:  # our own end: what it would reply belongs to nobody
            await self.aclose()
            raise
        await self.aclose()
        return why

    async def _ask(self, request: CheckRequest) -> CheckReply:
        if self._process is None:
            self._process = await anyio.open_process(
                [sys.executable, "-P", "-m", "probes.answers.check_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=engine_environment(_without_secrets(os.environ)),
                start_new_session=True,  # Ctrl-C in the terminal is for us, who end it
            )
            assert self._process.stdout is not None  # noqa: S101 - a pipe, as was asked for
            self._replies = BufferedByteReceiveStream(self._process.stdout)
        stdin, replies = self._process.stdin, self._replies
        assert stdin is not None  # noqa: S101 - a pipe, as was asked for
        assert replies is not None  # noqa: S101 - beside the process
        await stdin.send(msgspec.json.encode(request) + b"\n")
        line = await replies.receive_until(b"\n", _LONGEST_REPLY)
        return msgspec.json.decode(line, type=CheckReply)


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.upper() in _NO_SECRETS}
