"""Numbers that nobody changes any more, so that copies of what holds them may share them.

Rule 1: what would write to one in place refuses: whoever wants to go on makes an array of it.
Rule 2: reading one costs what reading an array costs.
"""

from array import array
from typing import TYPE_CHECKING, NoReturn, TypeVar

T = TypeVar("T", int, float)

if TYPE_CHECKING:
    _Array = array
else:  # Python 3.11 has no subscript for it

    class _Array(array):
        __slots__ = ()

        def __class_getitem__(cls, _item: object) -> type:
            return cls


class FrozenArray(_Array[T]):
    """An array that stays as it was made."""

    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a frozen array cannot be changed: make an array of it")

    append = extend = insert = fromlist = frombytes = fromfile = _refuse
    pop = remove = reverse = byteswap = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
