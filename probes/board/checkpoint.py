"""A board as it was at one moment, in few bytes, and boards made of it again.

Rule 1: nothing is left out: a board that is made of a checkpoint and folds the events after it has
every figure that the first one has, to the last digit.
Rule 2: what has closed is shared: a closed slice, a compacted digest's numbers, and probes that
ended, are one object in the board, in all of its checkpoints and in all boards made of those.
`Slices`, `FrozenArray` and `KeptTogether` are what makes that safe.
Rule 3: a checkpoint never leaves the process. It is a pickle, and whoever loads one that another
has written runs what that one wants.
"""

import io
import pickle
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from probes.board.board import Board
from probes.board.probe_log import KeptTogether
from probes.kit.frozen_array import FrozenArray
from probes.kit.shared import Shared
from probes.stats.digest import Points

_LEVEL: Final = 1
"""Of compression: a higher one costs three times the time and saves a tenth."""


_InCommon: TypeAlias = "FrozenArray[float] | Shared | KeptTogether"
_Packed: TypeAlias = list[bytes]
"""A pickle in the pieces that it was written in: one buffer of megabytes, made and given up each
time, leaves the memory full of holes of that size."""


class Checkpoint:
    """One moment of a board."""

    __slots__ = ("_packed", "_shared")

    def __init__(self, board: Board) -> None:
        """Take the board's state; costs a millisecond a route."""
        pieces = _Pieces()
        pickler = _SharingPickler(pieces)
        pickler.dump(board)
        self._packed: tuple[_Packed, bool] = (pieces.written, False)
        """The pickle, and whether it is compressed: in one, as another thread may be reading."""
        self._shared = tuple(pickler.shared)

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
        size = sum(map(len, self._packed[0])) + 8 * len(self._shared)
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
        return cast(Board, _SharingUnpickler(source, self._shared).load())


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


class _SharingPickler(pickle.Pickler):
    """Puts a number in the place of all that is shared."""

    def __init__(self, file: _Pieces) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        shared: list[_InCommon] = []

        # No method: a pickler that refers to itself stays, with its memo of all that it has seen,
        # ten times the pickle, until the collector comes by.
        def share(one: _InCommon) -> tuple[Callable[..., object], tuple[int]]:
            shared.append(one)
            return _of_shared, (len(shared) - 1,)

        self.shared = shared
        self.dispatch_table = dict.fromkeys((FrozenArray, Points, Shared, KeptTogether), share)


class _SharingUnpickler(pickle.Unpickler):
    """Puts what is shared in the place of its number."""

    def __init__(self, file: _Opened, shared: tuple[_InCommon, ...]) -> None:
        super().__init__(file)
        self._shared = shared

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what a name of a pickle means."""
        if name == _of_shared.__name__ and module == __name__:
            return self._shared.__getitem__
        return super().find_class(module, name)
