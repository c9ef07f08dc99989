"""The mark that a stream in UTF-8 may begin with, and that is none of its text."""

from typing import Final

_MARK: Final = b"\xef\xbb\xbf"


class MarkFilter:
    """Takes one byte order mark off the beginning of a stream, however that is cut."""

    __slots__ = ("_head", "passed")

    def __init__(self) -> None:
        self._head = b""
        self.passed = False
        """The beginning is known: nothing more has to go through here."""

    def without(self, data: bytes) -> bytes:
        """Return data without the mark; it is held back until it is known whether it begins one."""
        head = self._head + data
        if len(head) < len(_MARK) and _MARK.startswith(head):
            self._head = head
            return b""
        self.passed = True
        return head.removeprefix(_MARK)
