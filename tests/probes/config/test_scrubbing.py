"""Secrets in any spelling, at any place, in any part that tells something; and nothing else."""

import base64
import html
import json
import re
import time
from collections.abc import Callable
from random import Random
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from probes.config.scrubbing import _COMMON, MASK, PIECE, Scrubber

KEY = "sk-Q7/mZ+4x.T_9=wLp2-vR"
Spell = Callable[[str], str]


def every_percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def every_other(text: str, spell: Callable[[int], str]) -> str:
    return "".join(c if at % 2 and c != "\\" else spell(ord(c)) for at, c in enumerate(text))


SPELLINGS: dict[str, Spell] = {
    "as it is": str,
    "capitals": str.upper,
    "small letters": str.lower,
    "percent where needed": lambda text: quote(text, safe=""),
    "percent everywhere": every_percent,
    "percent in small letters": lambda text: every_percent(text).lower(),
    "form": quote_plus,
    "html": lambda text: html.escape(text),
    "html numbers": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "html sixteens": lambda text: every_other(text, lambda code: f"&#x{code:X};"),
    "html without semicolons": lambda text: "".join(f"&#{ord(c)};" for c in text)[:-1],
    "json": lambda text: json.dumps(text)[1:-1],
    "json with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "json escapes, some": lambda text: every_other(text, lambda code: f"\\u{code:04X}"),
    "python": lambda text: "".join(
        f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\U{ord(c):08x}" for c in text
    ),
    "javascript": lambda text: every_other(text, lambda code: f"\\u{{{code:x}}}"),
    "asp": lambda text: every_other(text, lambda code: f"%u{code:04x}"),
    "no width": "\u200b".join,
    "soft hyphens": "\xad".join,
    "joiners and marks": lambda text: "\u2060\u202e".join(text),
    "a selector behind each": lambda text: "".join(f"{c}\ufe0f" for c in text),
    "broken over lines": lambda text: "\r\n".join(re.findall(".{1,5}", text, re.DOTALL)),
    "full width": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text
    ),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal capitals": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 behind one": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
    "base64 behind two": lambda text: base64.b64encode(b"xy" + text.encode()).decode(),
    "base64 without end": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: "\n".join(
        re.findall(".{1,20}", base64.b64encode(text.encode()).decode())
    ),
    "user and password": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
}


def decoded_everything(text: str) -> list[str]:
    """All that somebody who knows the spellings could make of a text."""
    found = [text]
    for run in re.findall(r"[A-Za-z0-9+/_=-]{8,}", text):
        for shift in range(4):
            piece = run[shift:].rstrip("=").replace("-", "+").replace("_", "/")
            piece = piece[: len(piece) // 4 * 4]
            found.append(base64.b64decode(piece).decode("latin-1"))
    return found


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_known_in_every_spelling_and_the_rest_stays(spell: Spell) -> None:
    scrubbed = Scrubber(frozenset({KEY})).scrub(f"<<{spell(KEY)}>> %41 &amp; \\u0041")
    assert scrubbed.startswith("<<")
    assert scrubbed.endswith(">> %41 &amp; \\u0041")
    inside = scrubbed[2 : -len(">> %41 &amp; \\u0041")]
    # What base64 mixes with a neighbour may stay: less than a character of the secret on each side.
    assert MASK in inside
    assert len(inside.replace(MASK, "")) <= 8


@pytest.mark.parametrize("inner", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("outer", SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling_of_a_spelling_is_known_too(outer: Spell, inner: Spell) -> None:
    if outer in (str.upper, str.lower) and inner(KEY) != outer(inner(KEY)) and _is_base64(inner):
        pytest.skip("base64 in other capitals says something else, and is known by itself alone")
    scrubbed = Scrubber(frozenset({KEY})).scrub(f"a {outer(inner(KEY))} z")
    assert MASK in scrubbed
    for text in decoded_everything(scrubbed):
        assert KEY not in text
        assert KEY.lower() not in text.lower()


def _is_base64(spell: Spell) -> bool:
    return any(spell is known for name, known in SPELLINGS.items() if name.startswith("base64"))


SECRETS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="%&\\"),
    min_size=PIECE,
    max_size=60,
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
SPELLED = st.sampled_from(list(SPELLINGS.values()))


@given(SECRETS, SPELLED, SPELLED, TEXTS, TEXTS)
@example("00000000", str, str, "", "")
def test_any_secret_in_any_spelling_of_a_spelling_at_any_place(
    secret: str, outer: Spell, inner: Spell, before: str, after: str
) -> None:
    scrubber = Scrubber(frozenset({secret}))
    if secret == MASK or not scrubber.scrub(secret).startswith(MASK):
        return  # a common word
    said = f"{before} {outer(inner(secret))} {after}"
    scrubbed = scrubber.scrub(said)
    assert secret not in scrubbed
    case = outer in (str.upper, str.lower)
    if not (case and _is_base64(inner)) and len(secret) >= 2 * PIECE:
        assert MASK in scrubbed


def windows(text: str) -> set[str]:
    """Return all pieces of a text."""
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}


COMMON = {piece for word in _COMMON.split() for piece in windows(word)}


@given(SECRETS, st.data())
def test_eight_characters_count_wherever_they_lie(secret: str, data: st.DataObject) -> None:
    scrubber = Scrubber(frozenset({secret}))
    start = data.draw(st.integers(0, len(secret) - PIECE))
    piece = secret[start : start + data.draw(st.integers(PIECE, len(secret)))]
    assume(not windows(piece.casefold()) <= COMMON)  # a common word alone tells nothing
    assert scrubber.scrub(f"☃{piece}☃") == f"☃{MASK}☃"


@pytest.mark.parametrize(
    "secret", ["000PASSWORD", "password000", "7application7", "completions-01"]
)
def test_a_common_word_in_a_secret_goes_with_it(secret: str) -> None:
    scrubber = Scrubber(frozenset({secret}))
    assert scrubber.scrub(f"☃{secret}☃") == f"☃{MASK}☃"
    assert scrubber.scrub("the password of an application: completions") == (
        "the password of an application: completions"
    )


@given(SECRETS, st.data())
def test_seven_tell_nothing(secret: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(secret) - PIECE + 1))
    piece = secret[start : start + PIECE - 1]
    assert Scrubber(frozenset({secret})).scrub(f"☃{piece}☃") == f"☃{piece}☃"


@given(st.text(st.sampled_from("abcXYZ 019%&\\u;#=+/-\u200b\n☃"), max_size=200))
def test_what_holds_no_secret_stays_to_the_letter(text: str) -> None:
    assert Scrubber(frozenset({"QqQqWwWwEeEe!!"})).scrub(text) == text


@example("RESPONSE0", [1], str)
@example("internal-server-error0", [1], every_percent)
@given(SECRETS, st.lists(st.integers(1, 6), min_size=1, max_size=30), st.sampled_from(
    [str, every_percent, SPELLINGS["json escapes"], SPELLINGS["html numbers"]]
))  # fmt: skip
def test_a_secret_that_comes_in_pieces_is_held_until_it_is_whole(
    secret: str, sizes: list[int], spell: Spell
) -> None:
    scrubber = Scrubber(frozenset({secret}))
    if not scrubber.scrub(secret).startswith(MASK):
        return
    said = f"so: {spell(secret)} -- that is it, and no more than that."
    shown, held, at, turn = "", "", 0, 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        sure, held = scrubber.split(held + said[at : at + size])
        shown, at, turn = shown + sure, at + size, turn + 1
    shown += scrubber.scrub(held)
    assert shown == f"so: {MASK} -- that is it, and no more than that."


def test_text_that_is_no_secret_is_not_held_back() -> None:
    scrubber = Scrubber(frozenset({KEY}))
    assert scrubber.split("plain words, and then some.") == ("plain words, and then some.", "")
    assert scrubber.split("it begins sk-Q7") == ("it begins ", "sk-Q7")
    assert scrubber.split("it begins %73%6") == ("it begins ", "%73%6")


def test_what_is_held_back_has_an_end() -> None:
    scrubber = Scrubber(frozenset({KEY}))
    shown, held = "", ""
    for _ in range(2_000):
        sure, held = scrubber.split(held + KEY)
        shown += sure
        assert len(held) <= 12 * 100
    assert KEY not in shown + held[: -len(KEY)]


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("sk-no-key-required", "a key is required: no-key"),
        ("not-needed", "this is not needed"),
        ("lm-studio", "LM-Studio has no model loaded"),
        ("ollama", "ollama is not running"),
        ("password", "the password field is required"),
        ("my-production-key-17", "the production deployment is gone"),
        ("EMPTY", "EMPTY"),
        ("sk-proj-abcdEFGH12345678", "Incorrect API key provided: sk-proj-****5678."),
        ("sk-ant-api03-Zz9Yy8Xx7Ww6", "keys begin with sk-ant-api03-"),
        ("sk-or-v1-0123456789abcdef", "keys begin with sk-or-v1-"),
        ("sk-abcdefghijklmnop", "Incorrect API key provided: sk-abcd**********mnop."),
        ("short", "a short secret is left alone"),
    ],
)
def test_common_words_and_public_beginnings_are_not_masked(secret: str, text: str) -> None:
    assert Scrubber(frozenset({secret})).scrub(text) == text


def test_several_secrets_and_their_neighbours() -> None:
    scrubber = Scrubber(frozenset({"abcdefgh", "abcdefgh-and-more", "Zweites-Geheimnis"}))
    said = "key=abcdefgh-and-more, zweites-geheimnis; abcdefgX"
    assert scrubber.scrub(said) == f"key={MASK}, {MASK}; abcdefgX"


def test_a_secret_beyond_ascii() -> None:
    scrubber = Scrubber(frozenset({"pässwörter-ünd-mehr"}))
    for said in (
        "pässwörter-ünd-mehr",
        quote("pässwörter-ünd-mehr"),
        json.dumps("pässwörter-ünd-mehr")[1:-1],
        base64.b64encode("pässwörter-ünd-mehr".encode()).decode(),
    ):
        assert scrubber.scrub(f"<{said}>").startswith(f"<{MASK}")


HOSTILE = {
    "words": "the model answered that it was overloaded ",
    "backslashes": "\\",
    "ampersands": "&",
    "percent": "%25",
    "invisible": "a\u200b",
    "numbers": "&#38;",
    "base64": "SGVsbG8gd29ybGQhIQ",
    "the secret": KEY,
    "the secret in base64": base64.b64encode(3 * f"{KEY} ".encode()).decode(),
    "the same beyond ASCII": base64.b64encode(3 * f"{KEY} é ".encode()).decode(),
    "its pieces": KEY[4:12] + " ",
    "nearly its pieces": KEY[4:11] + "~",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_the_cost_grows_with_the_text_alone(unit: str) -> None:
    """Processor time, not the clock's: a text of 300,000 characters, and one of a tenth of that."""
    scrubber = Scrubber(frozenset({KEY, "x" * 200, "".join(Random(1).choices("abcdef09", k=200))}))

    def cost_s(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        before = time.process_time()
        scrubber.scrub(text)
        return time.process_time() - before

    cost_s(1_000)
    small, large = min(cost_s(30_000) for _ in range(3)), cost_s(300_000)
    assert large < 2.0
    assert large < 40 * max(small, 0.001)
