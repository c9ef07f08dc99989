"""Texts that come whole again and again, as some servers stream."""


class Growth:
    """Tells what each text adds: all of it, or only its end where it begins with the one before.

    A text that does not begin so shows that these are pieces, and pieces they stay. The work is
    linear in the texts.
    """

    __slots__ = ("_before", "_grows")

    def __init__(self) -> None:
        self._before = ""
        self._grows = True

    def added(self, text: str) -> str:
        """Return what is new in `text`; an empty one adds nothing and is no sign of pieces."""
        if not text or not self._grows:
            return text
        self._grows = text.startswith(self._before)
        known = len(self._before) if self._grows else 0
        self._before = text
        return text[known:]
