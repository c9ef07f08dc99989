"""Words that flow: one event after the other that differs from the last in its words alone.

Nearly all that arrives is so, and most of an engine's time goes to it. So what was once decoded is
learned by its bytes, and the next read is compared with it instead of being decoded.

Rule 1  What is learned is proved. The bytes are taken apart at the words' string of JSON, other
        words are put there, and the decoder must find those, in the same place, and nothing else.
        Then that string is the one that counts, whatever keys are doubled or spelled in escapes.
Rule 2  What is compared is whole. All bytes before the words and after them are those learned, and
        the words are text that ends no string and needs no undoing: UTF-8, without quotes,
        backslashes and control characters. JSON that begins alike, ends alike and has such a
        string in the same place says the same; anything else is decoded.
Rule 3  Several such events in one read are the words of each with the same bytes between them.
Rule 4  An event that is not usual ends the flow: what it changed may change what words mean.
"""

from collections.abc import Callable
from typing import Final

_QUOTE: Final = b'"'


class Template:
    """A read that brought one usual event, without its words."""

    __slots__ = ("_after", "_before", "_between", "_from", "_to")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after
        self._between = after + before
        self._from, self._to = len(before), -len(after)

    def words(self, data: bytes) -> str:
        """Return the words of a read that is like the one learned but for them, else nothing."""
        if not (data.startswith(self._before) and data.endswith(self._after)):
            return ""
        try:
            words = data[self._from : self._to].decode()
        except UnicodeDecodeError:
            return ""
        # Printable says more than JSON asks (no no-break space): what it refuses is decoded.
        return words if words.isprintable() and '"' not in words and "\\" not in words else ""

    def several(self, data: bytes) -> list[str]:
        """Return the words of each event of a read that is several such, else nothing."""
        if not (data.startswith(self._before) and data.endswith(self._after)):
            return []
        try:
            found = [raw.decode() for raw in data[self._from : self._to].split(self._between)]
        except UnicodeDecodeError:
            return []
        together = "".join(found)
        plain = together.isprintable() and '"' not in together and "\\" not in together
        return found if plain and all(found) else []


def learned(data: bytes, words: str, read: Callable[[bytes], str]) -> Template | None:
    """Return the template of a read whose words are known; None where their place is not sure.

    `read` decodes such a read and returns its words, or nothing where it is no usual event.
    """
    raw = words.encode("utf-8", "surrogatepass")
    string = _QUOTE + raw + _QUOTE
    # The same words may stand elsewhere too, such as in an id: the last place is the likeliest.
    for at in (data.rfind(string), data.find(string)):
        if at < 0:  # they are spelled in escapes
            return None
        before, after = data[: at + 1], data[at + 1 + len(raw) :]
        if read(before + raw + b"+" + after) == words + "+":
            return Template(before, after)
    return None


class Flow:
    """Where the last event, a usual one, added its words, and what it looked like."""

    __slots__ = ("is_reasoning", "pieces", "template")

    def __init__(self, pieces: list[str], *, is_reasoning: bool) -> None:
        self.pieces = pieces
        """The transcript's own."""
        self.is_reasoning = is_reasoning
        self.template: Template | None = None
        """None where it was not learned, or could not be."""
