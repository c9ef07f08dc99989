"""Bytes of a pipe to lines, in bounded memory."""

from collections.abc import Iterator


class LineSplitter:
    """Cuts a byte stream at newlines; a line above the bound is thrown away and counted."""

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes of an unfinished line."""
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self.oversized = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each line that `data` completes, without its newline."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            line = self._finish(part)
            if line is not None:
                yield line
        self._keep(rest)

    def _finish(self, part: bytes) -> bytes | None:
        if self._skipping:
            self._skipping = False
            return None
        if not self._rest:
            line = part
        else:
            line = bytes(self._rest) + part
            self._rest.clear()
        if len(line) > self._limit:
            self.oversized += 1
            return None
        return line

    def _keep(self, rest: bytes) -> None:
        if self._skipping or not rest:
            return
        self._rest += rest
        if len(self._rest) > self._limit:
            self._rest.clear()
            self._skipping = True
            self.oversized += 1
