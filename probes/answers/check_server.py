"""The process that looks at answers: requests on stdin, judgements on stdout, one JSON line each.

Rule 1. It is a process of its own because a check may hold the interpreter for as long as it takes,
        and a loop that dates what it reads would be late by that; and because a process that an
        answer keeps busy can be killed, which no thread can be.
Rule 2. An answer may cost it its life, and nothing else: memory and time of a check are bounded by
        the system, and it knows no secret, opens no file and no socket.
Rule 3. It ends with its input.
"""

import signal
import sys
from typing import BinaryIO, Final

import msgspec

from probes.answers.right_answer import Expectation, Finding
from probes.config.expect import Expect

LONGEST_CHECK_S: Final = 2
"""Seconds of a check; a large answer against a large schema takes a tenth of that."""
MOST_MEMORY: Final = 1 << 30
"""Bytes that it may have; it needs a twentieth."""


class CheckRequest(msgspec.Struct, frozen=True, array_like=True):
    """An answer to look at."""

    number: int
    """Of what is expected: told once, with its first answer."""
    text: str
    is_cut: bool = False
    expect: Expect | None = None
    """Where it is the first answer that this process is to hold against it."""


class CheckReply(msgspec.Struct, frozen=True, array_like=True):
    """What came of it."""

    finding: Finding | None
    """None where it could not be told."""
    words: str = ""
    """Of a wrong answer, what was expected and what came; else why it could not be told."""


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests, one after the other, until there are no more."""
    expectations: dict[int, Expectation] = {}
    decoder = msgspec.json.Decoder(CheckRequest)
    for line in requests:
        _set_alarm(2 * LONGEST_CHECK_S)
        request = decoder.decode(line)
        try:
            if request.expect is not None:
                expectations[request.number] = Expectation(request.expect)
            judgement = expectations[request.number].judge(request.text, is_cut=request.is_cut)
            reply = CheckReply(judgement.finding, judgement.words)
        except Exception as error:  # whatever an answer did to a check, the next one is checked
            reply = CheckReply(None, f"{type(error).__name__}: {error}"[:200])
        replies.write(msgspec.json.encode(reply) + b"\n")
        replies.flush()
        _set_alarm(0)


def _set_alarm(after_s: int) -> None:
    """Be killed by the system after so long; 0 for not. Who would, where its parent has died?"""
    if hasattr(signal, "alarm"):
        signal.alarm(after_s)


def _bound_memory() -> None:
    """Take no more memory than a check may need."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = MOST_MEMORY if most == resource.RLIM_INFINITY else min(MOST_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


if __name__ == "__main__":
    # A schema that refers to itself takes some ten frames for each level that an answer nests.
    sys.setrecursionlimit(3_000)
    _bound_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer)
