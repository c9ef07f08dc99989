"""The last probes of a route that ended, each whole, in few bytes.

Rule 1: an attempt is packed when it ends, its probe likewise; they are unpacked when somebody
looks. What a list shows of a probe is made at its first look.
Rule 2: bounded by number and by bytes, whatever a server sends and however many routes there are.
Where the bytes run short the oldest are compressed, and then given up.
Rule 3: attempts of a probe whose end never comes stand under the same bounds.
Rule 4: nothing is judged here and nothing made harmless: texts, ids and headers are a server's.
"""

import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any, Final, TypeAlias, overload

import msgspec

from probes.board.lanes import CELL_NS, CELLS_KEPT
from probes.board.views import ProbeView, RequestView
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.kit.clock import NS_PER_S
from probes.kit.shared import Shared
from probes.stats.tokens import seconds_per_token

PROBES_KEPT: Final = 200
"""Of a probe a second the last three minutes: more than anybody reads through."""
BYTES_KEPT: Final = 10 << 20
"""Of all routes together. An attempt of 50 chunks has some 1.8 kB, and a third of that when it is
compressed beside others: 200 probes of 41 routes find room."""
_UNENDED_KEPT: Final = 512
"""Probes between two of their attempts: as many as an engine has streams."""
_BLOCK: Final = 16
"""Probes that are compressed together: what they have in common makes up two thirds of each, and
whoever looks at one unpacks no more than these."""
_BESIDE: Final = 300
"""Bytes that keeping a probe costs beside what is packed of it."""

_Parts: TypeAlias = tuple[bytes, ...]
"""A probe and its attempts in order, packed each."""

_Told: TypeAlias = tuple[str, int, bool]
"""A probe's name, what keeping it costs, and whether it was good."""

_UNKNOWN: Final[tuple[StampLadder | None, _Parts, int]] = (None, (), 0)
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack_probe: Final = msgspec.msgpack.Decoder(ProbeFinished).decode
_unpack_attempt: Final = msgspec.msgpack.Decoder(AttemptFinished).decode
_unpack_told: Final = msgspec.msgpack.Decoder(list[_Told]).decode
_unpack_block: Final = msgspec.msgpack.Decoder(tuple[_Parts, ...]).decode


class _Block:
    """Some probes, compressed together."""

    __slots__ = ("left", "shared")

    def __init__(self, probes: Sequence[_Parts]) -> None:
        # A higher level costs twice and saves 5 %.
        self.shared = Shared((zlib.compress(_pack(probes), 1),))
        self.left = len(probes)
        """How many of them are still kept."""

    @property
    def packed(self) -> bytes:
        """All of them."""
        packed: bytes = self.shared[0]
        return packed


class KeptTogether:
    """Probes that a log and its copies have in common."""

    __slots__ = ("_packed", "_parts", "_told", "begin")

    def __init__(self, begin: int, probes: "Sequence[KeptProbe]") -> None:
        """Take some that follow each other, the first of which is that of a number."""
        self.begin = begin
        # Packed, too: an hour of 24 probes a second has 11 MB of these.
        self._told = _pack([(probe.name, probe.size, probe.is_good) for probe in probes])
        self._parts = tuple([probe.parts for probe in probes])
        self._packed = b""

    def compress(self) -> None:
        """Make them a quarter as large. May be called in any thread."""
        if parts := self._parts:
            self._packed = zlib.compress(_pack(parts), 1)
            self._parts = ()  # last: who reads meanwhile finds one or the other

    def probes(self) -> "list[KeptProbe]":
        """Return a copy of each."""
        return [KeptProbe.copy_of(self, *one) for one in enumerate(_unpack_told(self._told))]

    def parts(self, place: int) -> _Parts:
        """Return what is packed of one of them."""
        parts = self._parts or _opened(self._packed)
        return parts[place]

    @property
    def size(self) -> int:
        """Bytes that they take."""
        packed = sum(len(part) for parts in self._parts for part in parts)
        return len(self._told) + len(self._packed) + packed


@lru_cache(maxsize=2)
def _opened(packed: bytes) -> tuple[_Parts, ...]:
    """Return what a block holds: a list looks at one of its probes after the other."""
    return _unpack_block(zlib.decompress(packed))


class KeptProbe:
    """One probe that ended, however it did."""

    __slots__ = ("_block", "_parts", "_place", "_together", "_view", "is_good", "name", "size")

    def __init__(self, name: str, parts: _Parts, size: int, is_good: bool) -> None:
        self.name = name
        self.size = size
        """Bytes that keeping it costs, but for those of a block."""
        self.is_good = is_good
        self._parts = parts
        self._block: _Block | None = None
        """What holds its parts, if anything else does."""
        self._together: KeptTogether | None = None
        """What holds them where it is a copy."""
        self._place = 0
        self._view: ProbeView | None = None

    @property
    def parts(self) -> _Parts:
        """What is packed of it."""
        if self._block is not None:
            return _opened(self._block.packed)[self._place]
        return self._parts if self._together is None else self._together.parts(self._place)

    @property
    def is_compressed(self) -> bool:
        """Whether a block holds it."""
        return self._block is not None

    def whole(self) -> tuple[ProbeFinished, tuple[AttemptFinished, ...]]:
        """Return it and its attempts in order."""
        probe, *attempts = self.parts
        return _unpack_probe(probe), tuple([_unpack_attempt(one) for one in attempts])

    def view(self) -> ProbeView:
        """Return what a list shows of it."""
        if self._view is None:
            self._view = _probe_view(*self.whole(), is_good=self.is_good)
        return self._view

    def forget_view(self) -> None:
        """Nobody looks any more."""
        self._view = None

    def move_to(self, block: _Block, place: int) -> None:
        """Let a block hold it."""
        self._parts, self._together = (), None
        self._block, self._place, self.size = block, place, _BESIDE

    @classmethod
    def copy_of(cls, together: KeptTogether, place: int, told: _Told) -> "KeptProbe":
        """Return a copy of one that a log has in common with others."""
        name, size, is_good = told
        made = cls(name, (), size, is_good)
        made._together, made._place = together, place
        return made

    def leave(self) -> int:
        """Return how many bytes it frees that it is given up."""
        if self._block is None:
            return self.size
        self._block.left -= 1
        return self.size + (0 if self._block.left else len(self._block.packed))


class ProbeLog:
    """The last probes of one route that ended."""

    __slots__ = (
        "_compressed",
        "_has_views",
        "_kept",
        "_shared",
        "_size",
        "_taken",
        "_unended",
        "ended",
    )

    def __init__(self) -> None:
        self._kept: deque[KeptProbe] = deque()
        """Oldest first. One that its host had given up may be in it twice: the newer counts."""
        self._compressed = 0
        """So many of them, the oldest, are in blocks."""
        self._unended: dict[str, tuple[StampLadder, _Parts, int]] = {}
        """Of a probe that has not ended the stamps of its last attempt, its attempts, and bytes."""
        self._size = 0
        """Bytes of all of them."""
        self._has_views = False
        self._taken = 0
        """How many probes it has taken in all: the number of the next one."""
        self._shared: dict[int, KeptTogether] = {}
        """What copies have in common with it, by the number of the first that might be in it."""
        self.ended = 0
        """How many ends there have been in all."""

    def __getstate__(self) -> tuple[object, ...]:
        """Return what a copy is made of, which has nearly all probes in common with it."""
        kept, shared = list(self._kept), self._shared
        first = self._taken - len(kept) + self._compressed
        """Number of the first that is not compressed."""
        for number in [number for number in shared if number + _BLOCK <= first]:
            del shared[number]
        end = self._taken // _BLOCK * _BLOCK
        together = []
        for number in range(first // _BLOCK * _BLOCK, end, _BLOCK):
            found = shared.get(number)
            if found is None:
                begin = max(number, first)
                at = len(kept) - self._taken
                found = shared[number] = KeptTogether(
                    begin, kept[begin + at : number + _BLOCK + at]
                )
            together.append(found)
        last = kept[len(kept) - min(self._taken - end, self._taken - first) :]
        counts = (self._compressed, self._size, self._taken, self.ended, first)
        return (*counts, self._unended, kept[: self._compressed], together, last)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Be a copy."""
        self._compressed, self._size, self._taken, self.ended, first, *rest = state
        self._unended, compressed, together, last = rest
        self._has_views = False
        self._shared = {one.begin // _BLOCK * _BLOCK: one for one in together}
        kept = self._kept = deque(compressed)
        for one in together:
            skipped = max(0, first - one.begin)
            kept.extend(one.probes()[skipped:])
        kept.extend(last)

    def attempt_ended(self, event: AttemptFinished, bytes_kept: int) -> None:
        """Keep an attempt until its probe ends, in at most so many bytes for all of the route's."""
        unended, name = self._unended, event.probe
        try:
            packed = _pack(event)
        except OverflowError:  # a stamp of more than 64 bits, in a recording that was edited
            return
        size = len(packed)
        parts: _Parts = (packed,)
        if name in unended:
            _, before, size_before = unended.pop(name)
            parts, size = (*before, packed), size + size_before
        else:
            size += _BESIDE
            self._size += _BESIDE
            if len(unended) >= _UNENDED_KEPT:
                self._size -= unended.pop(next(iter(unended)))[2]
        self._size += len(packed)
        unended[name] = (event.stamps_ns, parts, size)
        if self._size > bytes_kept:
            self._shrink_to(bytes_kept, 0)

    def probe_ended(
        self, event: ProbeFinished, bytes_kept: int, *, is_good: bool
    ) -> StampLadder | None:
        """Keep a probe with its attempts, within the same bytes; return the stamps of its last
        attempt, where that is known."""
        last, attempts, before = self._unended.pop(event.probe, _UNKNOWN)
        self.ended += 1
        try:
            packed = _pack(event)
        except OverflowError:
            self._size -= before
            return None
        size = (before or _BESIDE) + len(packed)
        self._size += size - before
        kept = self._kept
        self._taken += 1
        kept.append(KeptProbe(event.probe, (packed, *attempts), size, is_good))
        if len(kept) > PROBES_KEPT:
            self._give_up_oldest()
        if self._size > bytes_kept:
            self._shrink_to(bytes_kept, 1)
        return last

    def views(self) -> "ProbeViews":
        """Return what a list shows of them, newest first, as they are now."""
        self._has_views = True
        newest: dict[str, KeptProbe] = {}
        for probe in reversed(self._kept):
            newest.setdefault(probe.name, probe)
        return ProbeViews(tuple(newest.values()))

    def forget_views(self) -> None:
        """Nobody looks any more."""
        if self._has_views:
            self._has_views = False
            for probe in self._kept:
                probe.forget_view()

    def request(self, route: str, name: str) -> RequestView | None:
        """Return one of them whole; None where it is not kept."""
        same = [probe.whole() for probe in self._kept if probe.name == name]
        if not same:
            return None
        # One that its host had given up has told of some attempts before.
        attempts = {one.attempt: one for _, attempts in same for one in attempts}
        return RequestView(route, same[-1][0], tuple([attempts[n] for n in sorted(attempts)]))

    def _shrink_to(self, bytes_kept: int, spared: int) -> None:
        """Free bytes until no more than that are kept, sparing so many of the newest probes, or
        with none the newest attempt: it is on its way into one."""
        while self._size > bytes_kept:
            if len(self._kept) - self._compressed > _BLOCK:
                self._compress()
            elif len(self._kept) > spared:
                self._give_up_oldest()
            elif len(self._unended) > 1 - spared:
                self._size -= self._unended.pop(next(iter(self._unended)))[2]
            else:
                return

    def _compress(self) -> None:
        """Compress the oldest that are not."""
        probes = list(islice(self._kept, self._compressed, self._compressed + _BLOCK))
        block = _Block([probe.parts for probe in probes])
        self._size += len(block.packed) + _BESIDE * _BLOCK
        for place, probe in enumerate(probes):
            self._size -= probe.size
            probe.move_to(block, place)
        self._compressed += _BLOCK

    def _give_up_oldest(self) -> None:
        probe = self._kept.popleft()
        self._compressed -= probe.is_compressed
        self._size -= probe.leave()


class ProbeViews(Sequence[ProbeView]):
    """What a list shows of some probes, each made when it is looked at: a frame that is frozen has
    the lists of all routes, and is looked at a page at a time."""

    __slots__ = ("_probes",)

    def __init__(self, probes: tuple[KeptProbe, ...] = ()) -> None:
        self._probes = probes

    def __len__(self) -> int:
        return len(self._probes)

    def __iter__(self) -> Iterator[ProbeView]:
        return (probe.view() for probe in self._probes)

    @overload
    def __getitem__(self, index: int) -> ProbeView: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ProbeView, ...]: ...

    def __getitem__(self, index: int | slice) -> ProbeView | tuple[ProbeView, ...]:
        if isinstance(index, slice):
            return tuple([probe.view() for probe in self._probes[index]])
        return self._probes[index].view()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ProbeViews) and self._probes == other._probes:
            return True
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


def _probe_view(
    probe: ProbeFinished, attempts: tuple[AttemptFinished, ...], *, is_good: bool
) -> ProbeView:
    last = attempts[-1] if attempts else None
    per_token_s = None if last is None else seconds_per_token(last)
    return ProbeView(
        probe=probe.probe,
        at_ns=probe.at_ns,
        started_ns=probe.started_ns,
        outcome=probe.outcome,
        reason=probe.reason,
        status=None if last is None else last.status,
        attempts=probe.attempts,
        ttft_s=_since(probe.started_ns, probe.first_token_ns),
        e2e_s=_since(probe.started_ns, probe.done_ns) if probe.outcome == "ok" else None,
        lasted_s=max(0, probe.at_ns - probe.started_ns) / NS_PER_S,
        output_tokens=probe.output_tokens,
        tokens_per_s=1 / per_token_s if per_token_s else None,
        longest_gap_s=max((one.longest_gap_ns for one in attempts), default=0) / NS_PER_S,
        stalls=sum(one.stalls for one in attempts),
        throttled=sum(one.outcome == "throttled" for one in attempts),
        wait_s=probe.retry_wait_ns / NS_PER_S,
        waits_s=_waits_s(probe.started_ns, attempts),
        cells=_cells(probe.started_ns, attempts),
        request_id="" if last is None else last.request_id or "",
        served_by="" if last is None else f"{last.served_model} {last.fingerprint}".strip(),
        is_good=is_good,
        evidence=probe.evidence,
        cohort=probe.cohort,
    )


def _since(started_ns: int, stamp_ns: int | None) -> float | None:
    return None if stamp_ns is None else (stamp_ns - started_ns) / NS_PER_S


def _waits_s(
    started_ns: int, attempts: Sequence[AttemptFinished]
) -> tuple[tuple[float, float], ...]:
    """Return where the waits between attempts lie, in s from the start of the probe."""
    waits = []
    for before, after in pairwise(attempts):
        ended_ns, begun_ns = before.stamps_ns.ended, after.stamps_ns.started
        if ended_ns is not None and begun_ns is not None and begun_ns > ended_ns:
            begin_ns, until_ns = ended_ns - started_ns, begun_ns - started_ns
            waits.append((begin_ns / NS_PER_S, until_ns / NS_PER_S))
    return tuple(waits)


def _cells(started_ns: int, attempts: Sequence[AttemptFinished]) -> tuple[int, ...]:
    """Return the output chunks by tenths of a second from the start of the probe."""
    counts: dict[int, int] = {}
    for attempt in attempts:
        began_ns = (attempt.stamps_ns.started or started_ns) - started_ns
        for offset_ns in attempt.chunk_offsets_ns:
            cell = max(0, began_ns + offset_ns) // CELL_NS
            if cell >= CELLS_KEPT:
                break
            counts[cell] = counts.get(cell, 0) + 1
    return tuple([counts.get(cell, 0) for cell in range(max(counts, default=-1) + 1)])
