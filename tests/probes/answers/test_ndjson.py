"""Lines of JSON: where they end, what counts as one, and that no cut of the bytes matters."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.body import form_of_lines
from probes.answers.framing import DEFAULT_LIMIT, EventTooLargeError
from probes.answers.ndjson import LineDecoder, is_value

TEXTS = st.text(max_size=12)
VALUES = st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.none()), max_size=3)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \t\n", b"\r\n\r\n"])


def lines_of(*pieces: bytes, decoder: LineDecoder | None = None) -> list[str]:
    decoder = decoder or LineDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return [event.data for event in (*found, *decoder.close())]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    values=st.lists(st.tuples(VALUES, LINE_ENDS), max_size=6),
    mark=st.booleans(),
    whole=st.booleans(),
    places=st.lists(st.integers(min_value=0), max_size=10),
)
def test_the_same_lines_come_out_however_the_bytes_are_cut(
    values: list[tuple[dict[str, object], bytes]], mark: bool, whole: bool, places: list[int]
) -> None:
    lines = [json.dumps(value, ensure_ascii=False) for value, _ in values]
    data = (b"\xef\xbb\xbf" if mark else b"") + b"".join(
        line.encode("utf-8", "surrogatepass") + end
        for line, (_, end) in zip(lines, values, strict=True)
    )
    if not whole:
        data = data.rstrip(b"\r\n \t")
    expected = [line.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for line in lines]
    assert lines_of(*cut(data, places)) == expected


@given(data=st.binary(max_size=60), places=st.lists(st.integers(min_value=0), max_size=10))
def test_any_bytes_give_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    whole, pieces = LineDecoder(), LineDecoder()
    assert lines_of(data, decoder=whole) == lines_of(*cut(data, places), decoder=pieces)
    assert (whole.idle, whole.unfinished) == (pieces.idle, pieces.unfinished)


@given(data=st.binary(max_size=60), places=st.lists(st.integers(min_value=0), max_size=10))
def test_the_usual_read_tells_the_same_as_any_other(data: bytes, places: list[int]) -> None:
    decoder, found = LineDecoder(), []
    for piece in [b'{"a":1}\n', *cut(data + b'\n{"b":2}\n', places), b'{"c":3}\n']:
        payload = decoder.plain(piece)
        events = decoder.feed(piece) if payload is None else [decoder.event_of(payload)]
        found += [event.data for event in events]
    assert found == lines_of(b'{"a":1}\n' + data + b'\n{"b":2}\n{"c":3}\n')


def test_one_object_on_one_line_is_taken_at_once() -> None:
    decoder = LineDecoder()
    assert decoder.plain(b'{"a":1}\n') is None  # it may begin with a byte order mark
    decoder.feed(b'{"a":1}\n')
    assert decoder.plain(b'{"a":2}\n') == b'{"a":2}'
    assert decoder.plain(b'{"a":2}\r\n') is None
    decoder.feed(b'{"a"')
    assert decoder.plain(b'{"a":2}\n') is None


def test_a_carriage_return_ends_no_line() -> None:
    assert lines_of(b'{"a":\r1}\n') == ['{"a":\r1}']


def test_the_last_line_needs_no_line_end_but_must_be_whole() -> None:
    decoder = LineDecoder()
    assert lines_of(b'{"a":1}\n{"b":2}', decoder=decoder) == ['{"a":1}', '{"b":2}']
    assert not decoder.unfinished
    cut_off = LineDecoder()
    assert lines_of(b'{"a":1}\n{"b":', decoder=cut_off) == ['{"a":1}']
    assert cut_off.unfinished
    assert not cut_off.idle


@pytest.mark.parametrize(
    "pieces", [[b"a" * 11], [b"a" * 6, b"a" * 5], [b"a" * 11 + b"\n"], [b"\n" + b"a" * 11 + b"\n"]]
)
def test_a_line_beyond_its_limit_is_refused(pieces: list[bytes]) -> None:
    decoder = LineDecoder(max_line=10)
    with pytest.raises(EventTooLargeError):
        lines_of(*pieces, decoder=decoder)


def test_lines_before_one_that_is_refused_are_told() -> None:
    decoder = LineDecoder(max_line=10)
    (line,) = decoder.feed(b"7\n" + b"a" * 11)
    assert line.data == "7"
    assert decoder.failure
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"8\n")


def test_values_are_told_from_what_is_none() -> None:
    assert is_value(b'{"a":"\x01"}')
    assert is_value(b" 7\r")
    assert not is_value(b'{"a":1}{"b":2}')
    assert not is_value(b"")
    assert not is_value(b"[" * 100_000)


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"", None),
        (b"\xef\xbb", None),
        (b"\r\n\n ", None),
        (b'{"a":', None),
        (b'\xef\xbb\xbf\n{"a":1}\n', "stream"),
        (b'{"a":1}\r\n{"b', "stream"),
        (b'{\n "a": 1\n}', "json"),
        (b"[", None),
        (b'[{"a', "json"),
        (b"[PING]\n", None),
        (b'[PING]\n{"a":1}\n', "stream"),
        (b'ping\n: keepalive\n\n {"a"', "stream"),
        (b"{" + b" " * DEFAULT_LIMIT, "json"),
        (b"\n" * 5_000, "stream"),
        (b"\n<html>", "html"),
        (b"data: {}\n\n", None),
        (b": ping\n\n", None),
        (b": ping\n\n" * 1_000, "other"),
        (b"[" + b" " * 5_000, "json"),
    ],
)
def test_a_body_of_lines_is_known_by_its_first(head: bytes, form: str | None) -> None:
    assert form_of_lines(head) == form


@given(places=st.lists(st.integers(min_value=0), max_size=6))
def test_the_form_of_a_body_does_not_depend_on_where_it_is_cut(places: list[int]) -> None:
    bodies = {
        b'\n{"a":1}\n{"b":2}\n': "stream",
        b'{\n "a": 1\n}\n': "json",
        b'[PING]\nping\n{"a":1}\n': "stream",
        b'[ {"a":1}]': "json",
    }
    for body, form in bodies.items():
        held = bytearray()
        found = None
        for piece in cut(body, places):
            held += piece
            found = found or form_of_lines(held, len(held) - len(piece))
        assert found == form
