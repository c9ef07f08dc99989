"""The server's own log: what it really did, and when, so that a client's figures can be held to it.

All stamps are monotonic ns of the server's clock. `chunks_ns` and `headers_ns` are taken just
before the send call, so what a client sees can only be later.
"""

from collections import deque
from typing import Final, Literal, TypeAlias

import msgspec

Ending: TypeAlias = Literal[
    "",
    "answered",
    "streamed",
    "closed",
    "reset",
    "cut",
    "dropped",
    "unfinished",
    "disconnected",
]
"""`answered`: one whole body; `streamed`: to `[DONE]`; `closed`, `reset`: no answer at all; `cut`,
`dropped`, `unfinished`: in mid-stream, the server reset the connection, closed it, or ended the
stream in good order; `disconnected`: the client left. Empty while it goes on."""

_CAPACITY: Final = 2_000


class TruthRecord(msgspec.Struct, kw_only=True):
    """One request. A stamp that never happened is None."""

    n: int = 0
    """Number in the order of endings, from 1."""
    request_id: str
    """The `x-request-id` the client sees."""
    path: str = ""
    model: str = ""
    phase: str = ""
    """Phase of the model's timeline in which it was let in or refused."""
    read_ns: int
    """The request's last byte was read."""
    headers_ns: int | None = None
    chunks_ns: list[int] = msgspec.field(default_factory=list)
    """Every body write, in order; in a stream: role chunk, output chunks, finish, usage, end."""
    chunk_tokens: list[int] = msgspec.field(default_factory=list)
    """Tokens of each body write, in the same order; 0 for those without output."""
    ended_ns: int | None = None
    """Just before the last byte was sent, or the connection was closed."""
    status: int | None = None
    """None where no answer was begun."""
    ending: Ending = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str | None = None

    @property
    def first_token_ns(self) -> int | None:
        """Return the stamp of the first write with output, if there was one."""
        writes = zip(self.chunks_ns, self.chunk_tokens, strict=True)
        return next((stamp for stamp, tokens in writes if tokens), None)


class TruthPage(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /truth`."""

    clock: str = "CLOCK_MONOTONIC"
    stamped: str = "just before send"
    started_ns: int
    """The server's start: what a scenario counts its seconds from."""
    last: int
    """Number of the newest record ever; pass it as `since` for what comes after."""
    dropped: int
    """Records that were forgotten to stay within bounds, ever."""
    records: tuple[TruthRecord, ...]


class TruthLog:
    """The last requests that ended, a bounded number of them."""

    def __init__(self, started_ns: int = 0, capacity: int = _CAPACITY) -> None:
        """Keep at most `capacity` records of a server that started then."""
        self._started_ns = started_ns
        self._records: deque[TruthRecord] = deque(maxlen=capacity)
        self._last = 0

    def add(self, record: TruthRecord) -> None:
        """Number a finished record and keep it."""
        self._last += 1
        record.n = self._last
        self._records.append(record)

    def page(self, since: int = 0) -> TruthPage:
        """Return the records numbered above `since`, oldest first."""
        records = tuple(record for record in self._records if record.n > since)
        return TruthPage(
            started_ns=self._started_ns,
            last=self._last,
            dropped=self._last - len(self._records),
            records=records,
        )
