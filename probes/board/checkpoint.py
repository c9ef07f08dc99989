"""A board as it was at one moment, in few bytes, and boards made of it again.

Rule 1: nothing is left out: a board that is made of a checkpoint and folds the events after it has
every figure that the first one has, to the last digit.
Rule 2: what has closed is shared: the numbers of a closed slice are one object in the board, in all
of its checkpoints and in all boards made of those. `FrozenArray` is what makes that safe.
Rule 3: a checkpoint never leaves the process. It is a pickle, and whoever loads one that another
has written runs what that one wants.
"""

import io
import pickle
import zlib
from collections.abc import Callable
from typing import Any, Final, cast

from probes.board.board import Board
from probes.kit.frozen_array import FrozenArray

_LEVEL: Final = 1
"""Of compression: a higher one costs three times the time and saves a tenth."""


class Checkpoint:
    """One moment of a board."""

    __slots__ = ("_is_compressed", "_packed", "_shared")

    def __init__(self, board: Board) -> None:
        """Take the board's state; costs some milliseconds a route."""
        packed = io.BytesIO()
        pickler = _SharingPickler(packed)
        pickler.dump(board)
        self._packed = packed.getvalue()
        self._shared = tuple(pickler.shared)
        self._is_compressed = False

    def compress(self) -> None:
        """Make it a quarter as large, for what is not soon needed. May run in another thread."""
        if not self._is_compressed:
            self._packed, self._is_compressed = zlib.compress(self._packed, _LEVEL), True

    @property
    def size(self) -> int:
        """Bytes of it that nothing else holds."""
        return len(self._packed) + 8 * len(self._shared)

    @property
    def shared(self) -> tuple[FrozenArray[float], ...]:
        """What it has in common with its board and with other checkpoints of it."""
        return self._shared

    def board(self) -> Board:
        """Return a new board of that moment."""
        packed = zlib.decompress(self._packed) if self._is_compressed else self._packed
        return cast(Board, _SharingUnpickler(io.BytesIO(packed), self._shared).load())


def _of_shared() -> None:
    """Stand in a pickle for what is shared: never called."""


class _SharingPickler(pickle.Pickler):
    """Puts a number in the place of each frozen array."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.shared: list[FrozenArray[float]] = []
        self.dispatch_table = {FrozenArray: self._share}

    def _share(self, numbers: FrozenArray[float]) -> tuple[Callable[..., object], tuple[int]]:
        self.shared.append(numbers)
        return _of_shared, (len(self.shared) - 1,)


class _SharingUnpickler(pickle.Unpickler):
    """Puts what is shared in the place of its number."""

    def __init__(self, file: io.BytesIO, shared: tuple[FrozenArray[float], ...]) -> None:
        super().__init__(file)
        self._shared = shared

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what a name of a pickle means."""
        if name == _of_shared.__name__ and module == __name__:
            return self._shared.__getitem__
        return super().find_class(module, name)
