"""Secrets taken out of what a server sends, in whatever spelling they come back.

Rule 1: text and secrets are compared in one canonical form: invisible and control characters left
out; percent, HTML and backslash escapes undone, again and again until nothing changes or
`ROUNDS` are over; capitals and full-width letters folded. Rule 2: `PIECE` characters in a row of a
secret are taken for it, wherever in it they lie; fewer tell nothing, and are what providers show of
a key on purpose (`sk-ab…wxyz`). Rule 3: a secret counts in base64 (either alphabet, each of the
three alignments), in hexadecimal and with the blanks of forms, too; and what is itself base64 or
hexadecimal is decoded and looked into, `DEPTH` deep. Rule 4: what is replaced is the spelling that
stood there, whole; all else stays as it was sent.

A secret shorter than `PIECE` is left alone: it would tear ordinary words apart. For the same reason
a piece that lies in a word which people put where no key is needed (`not-needed`, `password`), in a
common word, or in the public beginning of a provider's keys (`sk-ant-api03-`) does not count.

The cost is linear in the text, whatever a server sends: some 45 ns a character of plain text, and
ten times as much of one that is nothing but escapes.
"""

import binascii
import html
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

MASK: Final = "[secret]"
PIECE: Final = 8
"""Characters in a row that give a secret away."""
ROUNDS: Final = 6
"""Escapes in escapes that are undone; each round costs as much as the text is long."""
DEPTH: Final = 3
"""Encodings in encodings that are looked into."""

_PROBE: Final = 4
"""The text is looked at in steps of so many characters, as numbers of four bytes: each piece of 8
holds a whole step, and which steps are in any piece is known."""
_LEAST_RUN: Final = 16
"""Characters of base64 or hexadecimal that are worth decoding; what is shorter holds no more of a
secret than the secret's own base64 tells."""

_WAITS_FROM: Final = 4
"""Characters of the midst of a secret, or of its base64, for whose rest a running text waits. Fewer
are in every second word."""

_COMMON: Final = """
    sk-no-key-required no-key-required not-required not-needed no-api-key-needed placeholder
    lm-studio your-api-key your_api_key your-api-key-here insert-your-key-here test-key dummy-key
    fake-key changeme password undefined anything whatever
    sk-proj- sk-svcacct- sk-admin- sk-ant-api03- sk-ant-admin01- sk-or-v1- github_pat_ api-key-
    additional analytics anthropic application assistant authentication authorization
    available completion completions connection container content-type credential
    credentials customer dashboard database deepinfra deployment development
    directory document endpoint engineering environment exception expected fireworks
    forbidden frontend function generation huggingface inference information instance integration
    internal-server-error kubernetes language localhost maintenance management messages
    microsoft mistralai monitoring not-found openrouter operation organization parameter
    permission platform production provider quantization reasoning registered request required
    research resource response restricted security sensitive service-account streaming
    subscription suspended temperature together tokenizer unauthorized unavailable universal
    university workspace
"""
"""Words that are no secret, nor a part of one that tells anything."""

_UNSEEN: Final = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000e0000-\U000e0fff"
)
"""Control and format characters, blanks without width, variation selectors, tags."""
_SEEN: Final = re.compile(rf"[^{_UNSEEN}]")
_ANY_UNSEEN: Final = re.compile(rf"[{_UNSEEN}]")
_ANY_WIDE: Final = re.compile(r"[\uff01-\uff5e]")
_H: Final = "[0-9A-Fa-f]"
_ESCAPE: Final = re.compile(
    # One set of characters comes first, so that a search runs from one of them to the next. What
    # was put into capitals on the way is understood, too.
    r"[%\\&](?:"
    rf"(?<=%)(?:(?P<percent>[0-7]{_H}(?:%[0-7]{_H})*)"
    rf"|(?P<bytes>[89A-Fa-f]{_H}(?:%[89A-Fa-f]{_H})*)"
    rf"|(?P<asp>[uU]{_H}{{4}}))"
    rf"|(?<=\\)(?:(?P<python>U000{_H}{{5}})"
    rf"|(?P<json>[uU]{_H}{{4}}(?:\\[uU]{_H}{{4}})*)"
    r"|(?P<sign>[\"'\\/](?:\\[\"'\\/])*)"
    r"|(?P<blank>[bfnrt])"
    rf"|(?P<code>[xX]{_H}{{2}}|[uU]\{{{_H}{{1,6}}\}}))"
    rf"|(?<=&)(?:(?P<decimal>#[0-9]{{1,7}};?)|(?P<sixteen>#[xX]{_H}{{1,6}};?)"
    r"|(?P<named>[A-Za-z][A-Za-z0-9]{1,30};?)))"
)
_BEGUN: Final = re.compile(
    r"(?:%u?[0-9A-Fa-f]{0,3}|\\(?:[xuU]\{?[0-9A-Fa-f]{0,7})?|&(?:#?[A-Za-z0-9]{0,8}))\Z"
)
"""An escape that the end of a text has cut."""
_RUN: Final = re.compile(rf"[A-Za-z0-9+/_-]{{{_LEAST_RUN},}}")
_HEX_RUN: Final = re.compile(rf"[0-9A-Fa-f]{{{_LEAST_RUN},}}")
_P, _U = r"[\t\n\r -~]", r"[\xc2-\xf4][\x80-\xbf]{1,3}"
_TEXT: Final = re.compile(
    rf"{_P}{{{PIECE},}}(?:(?:{_U})+{_P}*)*"
    rf"|{_P}{{0,{PIECE - 1}}}{_U}(?:{_P}|{_U}){{{PIECE - 1},}}".encode("ascii")
)
"""What in bytes that were decoded may be a text in UTF-8."""
_FOLDED: Final = {
    **{ord("A") + place: ord("a") + place for place in range(26)},
    0x212A: ord("k"),  # the signs that a search without regard to case takes for letters
    0x017F: ord("s"),
}
_NARROW: Final = {0xFF01 + place: 0x21 + place for place in range(94)}
_STANDARD: Final = str.maketrans("-_", "+/")

_WIDTHS: Final = {"percent": 3, "json": 6, "sign": 2}
"""Characters of each escape in a row of these."""

Span: TypeAlias = tuple[int, int]
"""From the first place to the one behind the last."""


class _Plain(NamedTuple):
    """A text with its escapes undone."""

    text: str
    starts: Sequence[int]
    """Where in the original the spelling of each character begins."""
    ends: Sequence[int]
    """And where it ends."""

    def original(self, span: Span) -> Span:
        """Return the place in the original text."""
        return self.starts[span[0]], self.ends[span[1] - 1]


class Scrubber:
    """Replaces known secrets in text by `[secret]`, in any spelling."""

    def __init__(self, secrets: frozenset[str]) -> None:
        """Prepare for some secrets; those shorter than 8 characters are left alone."""
        forms = {form for secret in secrets for form in _forms(secret)}
        common = {piece for word in _COMMON.split() for piece in _pieces(word, PIECE)}
        self._secrets = len({secret for secret in secrets if len(_folded(secret)) >= PIECE})
        every = frozenset(piece for form in forms for piece in _pieces(form, PIECE))
        self._common = every & common
        self._pieces = every - common
        self._probes = frozenset(
            step
            for piece in self._pieces
            for at in range(_PROBE)
            for step in _steps(piece[at : at + _PROBE])
        )
        self._parts = frozenset(
            piece[:size] for piece in self._pieces for size in range(_WAITS_FROM, PIECE)
        ).union(*(self._beginnings(_folded(_plain(secret).text)) for secret in secrets))
        self._longest_part = max(map(len, self._parts), default=0)
        self._longest = max(map(len, forms), default=0)

    def __repr__(self) -> str:
        return f"Scrubber(secrets={self._secrets})"

    def scrub(self, text: str) -> str:
        """Return `text` without the secrets."""
        if len(text) < PIECE or not self._pieces:
            return text
        kept, end = [], 0
        for start, stop in self._found(text, DEPTH):
            kept += [text[end:start], MASK]
            end = stop
        return "".join([*kept, text[end:]]) if kept else text

    def split(self, text: str) -> tuple[str, str]:
        """Return what of a text that goes on can be shown, scrubbed, and what waits for its rest.

        What waits is as it came: a secret that has begun, or that its end may belong to.
        """
        if not self._pieces:
            return text, ""
        begun = _BEGUN.search(text, max(0, len(text) - 2 * PIECE))
        end = len(text) if begun is None else begun.start()
        cut = end - self._unsure(text[:end])
        spans = self._found(text, DEPTH)
        # A secret may go on behind what was found of it; but not for ever.
        if spans and spans[-1][1] >= cut and len(text) - spans[-1][0] <= 12 * self._longest:
            cut = spans[-1][0]
        return self.scrub(text[:cut]), text[cut:]

    def _beginnings(self, folded: str) -> Iterator[str]:
        """Yield how a secret may have begun before it gives itself away.

        A common word at its head is waited for as well: alone it tells nothing, but what follows
        may show that it was the secret's.
        """
        for at, piece in enumerate(_pieces(folded, PIECE)):
            if piece in self._pieces:
                yield from (folded[:size] for size in range(1, at + PIECE))
                return

    def _unsure(self, text: str) -> int:
        """Return how many characters at the end of a text may be the beginning of a piece."""
        tail = text[-12 * (self._longest_part + 1) :]  # as long as these are in any escapes
        plain = _plain(tail)
        folded = _folded(plain.text)
        for size in range(min(self._longest_part, len(folded)), 0, -1):
            if folded[-size:] in self._parts:
                return len(tail) - plain.starts[len(folded) - size]
        return 0

    def _found(self, text: str, depth: int) -> list[Span]:
        """Return where in a text secrets stand, in order and apart."""
        plain = _plain(text)
        spans = [plain.original(span) for span in self._pieces_in(_folded(plain.text))]
        if depth:
            spans += [plain.original(span) for span in self._encoded_in(plain.text, depth - 1)]
        return _joined(spans)

    def _pieces_in(self, folded: str) -> Iterator[Span]:
        steps = _steps(folded)
        if self._probes.isdisjoint(steps):
            return
        probes, pieces = self._probes, self._pieces
        start, end = 0, 0  # of what was found last, and grows while pieces overlap
        for number, step in enumerate(steps):
            if step not in probes:
                continue
            hit = number * _PROBE
            for at in range(max(0, hit - _PROBE + 1), hit + 1):
                if folded[at : at + PIECE] in pieces:
                    if at > end and end:
                        yield self._with_common(folded, start, end)
                    start, end = start if 0 < end >= at else at, at + PIECE
        if end:
            yield self._with_common(folded, start, end)

    def _with_common(self, folded: str, start: int, end: int) -> Span:
        """Return a span with the common words of the secret that it goes on into."""
        common = self._common
        while common and folded[end - PIECE + 1 : end + 1] in common:
            end += 1
        while common and start and folded[start - 1 : start - 1 + PIECE] in common:
            start -= 1
        return start, end

    def _encoded_in(self, text: str, depth: int) -> Iterator[Span]:
        """Yield where in a text secrets stand that are base64 or hexadecimal, of anything."""
        for run in _RUN.finditer(text):
            if run[0].islower() or run[0].isupper():
                continue  # so does base64 of any text never look; words, names and numbers do
            standard = run[0].translate(_STANDARD)
            for shift in range(4):
                size = (len(standard) - shift) // 4 * 4
                data = binascii.a2b_base64(standard[shift : shift + size])
                for first, last in self._found_in(data, depth):
                    start = run.start() + shift
                    yield start + first // 3 * 4, start + last // 3 * 4 + 4
        for run in _HEX_RUN.finditer(text):
            for shift in range(2):
                size = (len(run[0]) - shift) // 2 * 2
                data = bytes.fromhex(run[0][shift : shift + size])
                for first, last in self._found_in(data, depth):
                    start = run.start() + shift
                    yield start + first * 2, start + last * 2 + 2

    def _found_in(self, data: bytes, depth: int) -> Iterator[Span]:
        """Yield first and last place of secrets in what was decoded; most of it is no text."""
        for found in _TEXT.finditer(data):
            text = found[0].decode("utf-8", "surrogateescape")
            places: Sequence[int] = range(len(text) + 1)
            if not text.isascii():
                sizes = (len(character.encode("utf-8", "surrogateescape")) for character in text)
                places = list(accumulate(sizes, initial=0))
            for start, end in self._found(text, depth):
                yield found.start() + places[start], found.start() + places[end] - 1


def _plain(text: str) -> _Plain:
    """Return a text with its escapes undone, and without what nobody sees."""
    starts: Sequence[int] = range(len(text))
    ends: Sequence[int] = range(1, len(text) + 1)
    for _ in range(ROUNDS):
        if _ANY_UNSEEN.search(text):
            seen = [found.start() for found in _SEEN.finditer(text)]
            starts, ends = [starts[at] for at in seen], [ends[at] for at in seen]
            text = _ANY_UNSEEN.sub("", text)
        if _ANY_WIDE.search(text):
            text = text.translate(_NARROW)
        pieces: list[str] = []
        new_starts: list[int] = []
        new_ends: list[int] = []
        end = 0
        for escape in _ESCAPE.finditer(text):
            undone = _undone(escape)
            if undone is None:
                continue
            start, stop = escape.span()
            pieces += (text[end:start], undone)
            new_starts += starts[end:start]
            new_ends += ends[end:start]
            width = _WIDTHS.get(escape.lastgroup or "")
            if width:  # each of a row of escapes has a place of its own
                new_starts += starts[start:stop:width]
                new_ends += ends[start + width - 1 : stop : width]
            elif undone:
                new_starts += [starts[start]] * len(undone)
                new_ends += [ends[stop - 1]] * len(undone)
            end = stop
        if not pieces:
            break
        pieces.append(text[end:])
        new_starts += starts[end:]
        new_ends += ends[end:]
        text, starts, ends = "".join(pieces), new_starts, new_ends
    return _Plain(text, starts, ends)


def _undone(escape: re.Match[str]) -> str | None:
    """Return what an escape stands for, nothing for what nobody sees; None where it is none."""
    spelled = escape[0]
    match escape.lastgroup:
        case "percent":
            return bytes.fromhex(spelled.replace("%", "")).decode("ascii")
        case "bytes":
            return bytes.fromhex(spelled.replace("%", "")).decode("utf-8", "replace")
        case "json":
            return "".join([chr(int(spelled[at : at + 4], 16)) for at in range(2, len(spelled), 6)])
        case "sign":
            return spelled[1::2]
        case "asp" | "python" | "code":
            return _character(spelled.strip("\\%uUxX{}"), 16)
        case "decimal":
            return _character(spelled.strip("&#;"), 10)
        case "sixteen":
            return _character(spelled.strip("&#xX;"), 16)
        case "named":
            undone = html.unescape(spelled)
            return None if undone == spelled else undone
        case _:  # a blank in a string, or what nobody sees
            return ""


def _character(digits: str, base: int) -> str | None:
    code = int(digits, base)
    return chr(code) if code <= sys.maxunicode else None


def _folded(text: str) -> str:
    """Return a text of the same length without regard to capitals."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def _steps(folded: str) -> memoryview:
    """Return a text in steps of four characters, each a number; what is not Latin-1 is `?`."""
    data = folded.encode("latin-1", "replace")
    return memoryview(data)[: len(data) // _PROBE * _PROBE].cast("I")


def _forms(secret: str) -> Iterator[str]:
    """Yield the spellings of a secret that no undoing of escapes gives back, folded."""
    plain = _plain(secret).text
    if len(plain) < PIECE:
        return
    for text in {plain, secret}:
        data = text.encode("utf-8", "replace")
        spelled = {text, data.hex()}
        for encode in (b64encode, urlsafe_b64encode):
            for shift in range(3):
                encoded = encode(bytes(shift) + data).decode()
                # What the neighbours of the secret have a part in is not known.
                whole = (shift + len(data)) * 8 // 6
                spelled.add(encoded[-(-shift * 8 // 6) : whole])
        for form in spelled:
            folded = _folded(form)
            # Forms write a blank as +, and who reads one so makes blanks of what was a +.
            yield from {folded, folded.replace(" ", "+"), folded.replace("+", " ")}


def _pieces(text: str, size: int) -> Iterator[str]:
    for at in range(len(text) - size + 1):
        yield text[at : at + size]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
