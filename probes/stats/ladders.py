"""Where the time of the probes of one cohort went, by slices of 10 s, in bounded memory.

Rule 1: writing costs one `extend` of stamps: the spans between them are made for who reads.
Rule 2: the spans of a probe add up to its end − its start, to the nanosecond. What never happened
takes no time, nor does what came out of order: a server may answer before the request is sent.
Rule 3: a slice keeps at most `_KEPT` probes. Where more come, each second one is left out, then
three of four, and so on: what is left is spread over the whole slice.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from probes.events import StampLadder
from probes.stats.windows import SmallSlices

_STEPS: Final = 6
"""Stamps of a probe in ns: its start; of its last attempt start, request sent, headers, first
token; its end."""
_NEVER: Final = -1
"""The stamp of what did not happen: before any other."""
_SLICES: Final = 90
"""As many as 15 minutes reach back."""
_KEPT: Final = 256
"""25 probes a second: a median of so many is within 3 % in rank."""

_Packed: TypeAlias = tuple[int, int, tuple[int, ...], tuple[list[int], ...]]

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(_Packed).decode

Spans: TypeAlias = "tuple[array[int], ...]"
"""Of each probe the ns up to the start of its last attempt, on to the request sent, to the headers,
to the first token, and to its end: five columns of one length."""


def spans_between(steps: Sequence[int]) -> Spans:
    """Return the spans of probes whose stamps stand one after the other.

    >>> [list(column) for column in spans_between((100, 100, 130, 190, -1, 250))]
    [[0], [30], [60], [0], [60]]
    """
    before = steps[0::_STEPS]
    ends = list(map(max, steps[_STEPS - 1 :: _STEPS], before))
    columns = []
    for step in range(1, _STEPS):
        upto = list(map(min, map(max, steps[step::_STEPS], before), ends))
        if step == _STEPS - 1:
            upto = ends
        columns.append(array("q", [end - begin for end, begin in zip(upto, before, strict=True)]))
        before = upto
    return tuple(columns)


class SliceLadders:
    """Probes that ended in one slice."""

    __slots__ = ("_medians", "_raw", "_spans", "_stride", "n")

    def __init__(self) -> None:
        self.n = 0
        """All that were given, kept or not."""
        self._raw = array("q")
        """Stamps of which no spans are made yet."""
        self._spans: Spans = spans_between(())
        self._medians: tuple[int, ...] = ()
        self._stride = 1

    def add(self, started_ns: int, last: StampLadder, done_ns: int) -> None:
        """Take a probe by its start, the stamps of its last attempt, and its end."""
        if self.n % self._stride == 0:
            began, sent = last.started or _NEVER, last.sent or _NEVER
            headers, first = last.headers or _NEVER, last.first_token or _NEVER
            try:
                self._raw.extend((started_ns, began, sent, headers, first, done_ns))
            except OverflowError:  # in a recording that was edited
                del self._raw[len(self._raw) // _STEPS * _STEPS :]
                return
            # Both together: how many are left must not depend on when somebody looked.
            if len(self._raw) // _STEPS + len(self._spans[0]) >= _KEPT:
                self.spans()
        self.n += 1

    def spans(self) -> Spans:
        """Return the spans of those that are kept."""
        if self._raw:
            self._spans = _joined(self._spans, spans_between(self._raw))
            self._raw, self._medians = array("q"), ()
            while len(self._spans[0]) >= _KEPT:
                self._spans = tuple([column[::2] for column in self._spans])
                self._stride *= 2
        return self._spans

    def medians(self) -> tuple[int, ...]:
        """Return the median of each span in ns; empty without a probe."""
        spans = self.spans()
        if not self._medians and spans[0]:
            middle = (len(spans[0]) - 1) // 2
            self._medians = tuple([sorted(column)[middle] for column in spans])
        return self._medians

    def absorb(self, other: "SliceLadders") -> None:
        """Take the probes of another."""
        self.n += other.n
        self._spans, self._medians = _joined(self.spans(), other.spans()), ()

    def compact(self) -> int:
        """Make the spans; return how many are kept."""
        return len(self.spans()[0])

    def pack(self) -> bytes:
        """Return the spans, and their medians: who looks at a page asks for them all the time."""
        spans = tuple([column.tolist() for column in self.spans()])
        return _pack((self.n, self._stride, self.medians(), spans))

    @classmethod
    def unpacked(cls, packed: bytes) -> "SliceLadders":
        """Return the probes again."""
        made = cls()
        made.n, made._stride, made._medians, spans = _unpack(packed)
        made._spans = tuple([array("q", column) for column in spans])
        return made


def _joined(spans: Spans, more: Spans) -> Spans:
    """Return the spans of both. Neither is changed: somebody else may hold them."""
    return tuple([array("q", before) + after for before, after in zip(spans, more, strict=True)])


def medians_of(parts: Iterable[Spans]) -> tuple[int, ...]:
    """Return the median of each span of all these probes in ns; empty without a probe."""
    columns: list[list[int]] = [[] for _ in range(_STEPS - 1)]
    for spans in parts:
        for column, more in zip(columns, spans, strict=True):
            column.extend(more)
    if not columns[0]:
        return ()
    middle = (len(columns[0]) - 1) // 2
    return tuple([sorted(column)[middle] for column in columns])


class LadderSlices(SmallSlices[SliceLadders]):
    """Probes of the last 15 minutes."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_SLICES, SliceLadders)
