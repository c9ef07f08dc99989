"""What a body is: found in one pass, however it is cut, at a cost that its bytes bound."""

import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.body import (
    Inflater,
    JsonEnd,
    UnknownEncodingError,
    error_outside,
    form_of,
    json_of,
    words_outside,
)

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(
    st.lists(TREES, max_size=4) | st.dictionaries(st.text(max_size=4), TREES),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=9),
)
def test_json_ends_with_its_last_byte_however_it_is_cut(
    value: object, ascii_only: bool, cuts: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    places = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    end, body = JsonEnd(), bytearray()
    for start, stop in pairwise(places):
        assert not end.seek(body)
        body += text[start:stop]
    body[-1:] = b""
    assert not end.seek(body)
    body += text[-1:] + b"x"
    assert end.seek(body)


def test_json_is_looked_through_once() -> None:
    """A list that is trickled must not be parsed anew for each of its parts."""
    body = bytearray(b"[")
    end = JsonEnd()
    looked_at = 0
    for _ in range(1000):
        before = end._position
        body += b"{},"
        assert not end.seek(body)
        looked_at += end._position - before
    assert looked_at == len(body)


def test_json_of_a_million_parts_or_too_deep_is_not_built() -> None:
    heavy = b'{"usage":[' + b"[]," * 600_000 + b"0]}"
    assert json_of(heavy) is None
    assert json_of(b"[" * 129 + b"]" * 129) is None


def inflated(encoding: str, data: bytes, size: int) -> bytes:
    inflater = Inflater(encoding, 1 << 20)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join([inflater.feed(piece) for piece in pieces])


@pytest.mark.parametrize("size", [1, 7, 5000, 1 << 20])
@pytest.mark.parametrize("padding", [b"", b"\0" * 9, b"\x1f", b"\x1fno", b"data: x\n\n"])
def test_gzip_members_follow_each_other_and_padding_is_let_go(size: int, padding: bytes) -> None:
    data = gzip.compress(b"a" * 10_000) + gzip.compress(b"") * 50 + gzip.compress(b"b")
    assert inflated("gzip", data + padding, size) == b"a" * 10_000 + b"b"


@pytest.mark.parametrize("encoding", ["gzip", " X-GZIP ", "identity, gzip", "gzip,"])
def test_a_coding_is_found_in_its_list(encoding: str) -> None:
    assert inflated(encoding, gzip.compress(b"abc"), 3) == b"abc"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "compress"])
def test_other_codings_are_not_undone(encoding: str) -> None:
    with pytest.raises(UnknownEncodingError):
        Inflater(encoding, 100)


@pytest.mark.parametrize(
    ("head", "form"),
    [
        ('{"a":1}'.encode("utf-16"), "json"),
        ("<html>".encode("utf-16-be"), "html"),
        ("data: x".encode("utf-16"), "stream"),
        (b"\0data: x\n\n", "stream"),
    ],
)
def test_a_body_in_utf_16_is_known(head: bytes, form: str) -> None:
    assert form_of(head, "text/event-stream") == form


PRETTY = json.dumps({"error": {"code": 429, "message": "slow down"}}, indent=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRETTY, "slow down"),
        (f"junk: 1\n{PRETTY}", "slow down"),
        (f"{PRETTY}\nmore", "slow down"),
        (f'{{"status":"fine"}}\n{PRETTY}', "slow down"),
        (f"[{PRETTY}]", "slow down"),
        ('error: {"code":400,"message":"too long"}', "too long"),
        ('error:{"message":"too long"}', "too long"),
        ('{"code":400,"message":"too long"}', "too long"),
        ('{"detail":"no"}', "no"),
    ],
)
def test_an_error_in_it_is_the_error(text: str, message: str) -> None:
    error = error_outside(text)
    assert error is not None
    assert error.message == message


@pytest.mark.parametrize(
    "text",
    [
        *("", "ping", '{"status":"fine"}', "error: something", '{"error":{"mess', "{" * 5000),
        '{"choices":[{"delta":{"content":"a"}}]}',
    ],
)
def test_words_alone_and_what_is_no_error_are_none(text: str) -> None:
    assert error_outside(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  a\n\n b\t", "a b"),
        ("x" * 300, "x" * 200),
        ("<html><head><title>502 Bad\n Gateway</title></head>", "502 Bad Gateway"),
        ("", ""),
    ],
)
def test_the_words_of_it(text: str, words: str) -> None:
    assert words_outside(text) == words
