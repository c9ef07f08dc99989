"""A board as it was at one moment, in few bytes, and boards made of it again.

Rule 1: nothing is left out: a board that is made of a checkpoint and folds the events after it has
every figure that the first one has, to the last digit.
Rule 2: what has closed is shared: a closed slice, a compacted digest's numbers, and probes that
ended, are one object in the board, in all of its checkpoints and in all boards made of those.
`Slices`, `FrozenArray` and `KeptTogether` are what makes that safe.
Rule 3: a checkpoint never leaves the process. It is a pickle, and whoever loads one that another
has written runs what that one wants.
Rule 4: it is taken in parts, so that nothing else has to wait for all of it: what is of the run,
then some routes each time. Nobody folds into the board between them. What is of the run or of a
place and is known to routes stands in the first part alone; nothing else that may change is in two.
"""

import io
import pickle
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from probes.board.board import Board
from probes.board.probe_log import KeptTogether
from probes.board.route import RouteBoard
from probes.kit.frozen_array import FrozenArray
from probes.kit.shared import Shared
from probes.stats.digest import Points

_LEVEL: Final = 1
"""Of compression: a higher one costs three times the time and saves a tenth."""
_AT_ONCE: Final = 8
"""Routes in a part: some milliseconds. What each part says again, the names of classes, is a
hundredth of it; and a pickler's memo, twice as large as what it has written, is of one part."""

_InCommon: TypeAlias = "FrozenArray[float] | Shared | KeptTogether"
_Named: TypeAlias = tuple[Callable[..., object], tuple[int]]
_Packed: TypeAlias = list[bytes]
"""A pickle in the pieces that it was written in: one buffer of megabytes, made and given up each
time, leaves the memory full of holes of that size."""


class Checkpoint:
    """One moment of a board."""

    __slots__ = ("_packed", "_routes", "_shared")

    def __init__(self, board: Board) -> None:
        """Take the board's state; costs a millisecond a route."""
        for _ in self._take(board):
            pass

    @classmethod
    def in_parts(cls, board: Board) -> "tuple[Checkpoint, Iterator[None]]":
        """Return one, and what takes a part of it each time that it is asked for the next.

        It is whole when that is exhausted; until then nobody may fold into the board.
        """
        made = cls.__new__(cls)
        return made, made._take(board)

    def _take(self, board: Board) -> Iterator[None]:
        routes, common = board.parts()
        numbers = {id(one): number for number, one in enumerate((*routes, *common))}
        pieces, shared = _Pieces(), list[_InCommon]()
        _SharingPickler(pieces, shared, numbers, {RouteBoard}).dump((board, common))
        apart = {RouteBoard, *map(type, common)}
        for part in _parts(routes):
            yield
            _SharingPickler(pieces, shared, numbers, apart, part).dump(part)
        self._routes = len(routes)
        self._packed: tuple[_Packed, bool] = (pieces.written, False)
        """The pickles, and whether they are compressed: in one, as another thread may be
        reading."""
        self._shared = tuple(shared)

    def compress(self) -> None:
        """Make it a quarter as large, for what is not soon needed. May run in another thread."""
        for one in self._shared:
            if type(one) is KeptTogether:
                one.compress()
        packed, is_compressed = self._packed
        if not is_compressed:
            compressor = zlib.compressobj(_LEVEL)
            pieces = [compressor.compress(piece) for piece in packed]
            self._packed = ([*filter(None, pieces), compressor.flush()], True)

    @property
    def size(self) -> int:
        """Bytes of it, but for what it shares with others."""
        return sum(map(len, self._packed[0]))

    def size_beside(self, before: "Checkpoint | None") -> int:
        """Return the bytes of it that nothing holds but it and later ones; `before` is the one
        before it."""
        known = () if before is None else before._shared
        known_ids, own_ids = set(map(id, known)), set(map(id, self._shared))
        # A block of slices that is not full yet is made anew each time, of the same ones.
        superseded = {
            id(item)
            for one in known
            if type(one) is Shared and id(one) not in own_ids
            for item in one
        }
        size = self.size + 8 * len(self._shared)
        weighed: set[int] = set()
        """Arrays: one that a digest has absorbed is mostly some closed slice's."""
        arrays = []
        for one in self._shared:
            if id(one) in known_ids:
                continue
            if isinstance(one, FrozenArray):
                arrays.append(one)
            elif isinstance(one, KeptTogether):
                size += one.size
            else:
                size += sys.getsizeof(one)
                size += sum(_weight(item, weighed) for item in one if id(item) not in superseded)
        return size + sum(sys.getsizeof(one) for one in arrays if id(one) not in weighed)

    def board(self) -> Board:
        """Return a new board of that moment."""
        source = _Opened(*self._packed)
        # Each is filled by the part that it is in.
        routes = [RouteBoard.__new__(RouteBoard) for _ in range(self._routes)]
        board: Board
        board, common = _SharingUnpickler(source, self._shared, routes).load()
        for _ in _parts(routes):
            _SharingUnpickler(source, self._shared, (*routes, *common)).load()
        return board


def _parts(routes: Sequence[RouteBoard]) -> Iterator[Sequence[RouteBoard]]:
    for begin in range(0, len(routes), _AT_ONCE):
        yield routes[begin : begin + _AT_ONCE]


class _Pieces:
    """Where a pickler writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, piece: "bytes | memoryview") -> int:
        """Keep a piece."""
        self.written.append(bytes(piece))
        return len(piece)


class _Opened:
    """Where an unpickler reads what is in pieces."""

    def __init__(self, pieces: _Packed, is_compressed: bool) -> None:
        opened = zlib.decompressobj().decompress if is_compressed else bytes
        self._pieces = map(opened, pieces)
        self._piece = io.BytesIO()

    def read(self, size: int) -> bytes:
        """Return the next so many bytes, or what there is."""
        read = self._piece.read(size)
        while len(read) < size and (piece := next(self._pieces, None)) is not None:
            self._piece = io.BytesIO(piece)
            read += self._piece.read(size - len(read))
        return read

    def readline(self) -> bytes:
        """Return what there is up to the end of a line; a pickle of today has no lines."""
        raise pickle.UnpicklingError("a checkpoint has no lines")


def _weight(item: object, weighed: set[int]) -> int:
    """Return about how many bytes a closed slice takes; add the arrays that this holds."""
    if isinstance(item, (int, bytes)):
        return sys.getsizeof(item)
    size = sys.getsizeof(item)
    for name in getattr(type(item), "__slots__", ()):
        value = getattr(item, name)
        if value is None or isinstance(value, (int, float)):
            continue
        size += sys.getsizeof(value)
        if isinstance(value, tuple):
            size += sum(map(sys.getsizeof, value))
            weighed.update(map(id, value))
    return size


def _of_shared() -> None:
    """Stand in a pickle for what is shared: never called."""


def _of_apart() -> None:
    """Stand in a pickle for what is in another part, or is filled in this one: never called."""


class _SharingPickler(pickle.Pickler):
    """Puts a number in the place of all that is shared, and of what is in another part."""

    def __init__(
        self,
        file: _Pieces,
        shared: list[_InCommon],
        numbers: Mapping[int, int],
        apart: Iterable[type],
        part: Sequence[RouteBoard] = (),
    ) -> None:
        """Add to what is `shared`. `numbers` are those of what is in one part alone, by id; all of
        the types that are `apart` is, and here are whole those of a `part`."""
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        whole = set(map(id, part))

        # No methods: a pickler that refers to itself stays, with its memo of all that it has seen,
        # until the collector comes by.
        def share(one: _InCommon) -> _Named:
            shared.append(one)
            return _of_shared, (len(shared) - 1,)

        def leave(one: object) -> _Named | tuple[Callable[..., object], tuple[int], object]:
            named = _of_apart, (numbers[id(one)],)
            return (*named, vars(one)) if id(one) in whole else named

        self.dispatch_table = {
            **dict.fromkeys((FrozenArray, Points, Shared, KeptTogether), share),
            **dict.fromkeys(apart, leave),
        }


class _SharingUnpickler(pickle.Unpickler):
    """Puts what is shared, and what is in another part, in the place of its number."""

    def __init__(self, file: _Opened, shared: Sequence[_InCommon], apart: Sequence[object]) -> None:
        super().__init__(file)
        self._meant = {_of_shared.__name__: shared, _of_apart.__name__: apart}

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what a name of a pickle means."""
        if module == __name__ and name in self._meant:
            return self._meant[name].__getitem__
        return super().find_class(module, name)
