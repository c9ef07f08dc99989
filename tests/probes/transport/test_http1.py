"""HTTP/1.1 answers as bytes, cut anywhere."""

from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.transport.http1 import (
    MAX_SILENT,
    MAX_SILENT_IN_BODY,
    ResponseParser,
    request_head,
    target_of,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "chunked": (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n", b"abcde", True),
    "sized": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", b"abc", True),
    "both framings": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n",
        b"abc",
        True,
    ),
    "blank after the size": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", b"abc", True),
    "old keep-alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        b"a",
        True,
    ),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "interim": (
        b"HTTP/1.1 100 Continue\r\nA: no\r\n\r\nHTTP/1.1 103 Early\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        b"a",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"", True),
}


def fed(*pieces: bytes) -> tuple[ResponseParser, bytes]:
    parser = ResponseParser()
    return parser, b"".join([parser.feed(piece) for piece in pieces])


@pytest.mark.parametrize(("wire", "body", "kept"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_whole_with_its_last_byte_and_not_before(
    wire: bytes, body: bytes, kept: bool
) -> None:
    parser, most = fed(wire[:-1])
    assert not parser.complete
    assert most + parser.feed(wire[-1:]) == body
    assert (parser.complete, parser.keep_alive) == (True, kept)
    assert ("a", "no") not in parser.headers
    assert ("trailer", "t") not in parser.headers


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 200), max_size=12))
def test_however_it_is_cut(name: str, cuts: list[int]) -> None:
    wire, body, kept = ANSWERS[name]
    places = [0, *sorted({cut for cut in cuts if cut < len(wire)}), len(wire)]
    pieces = [wire[a:b] for a, b in pairwise(places) if a < b]
    parser, found = fed(*pieces)
    assert (found, parser.complete, parser.keep_alive) == (body, True, kept)


def spelled(body: bytes, spelling: str) -> bytes:
    """A chunk of the transfer coding, as one server or another writes it."""
    return spelling.encode() % len(body) + b"\r\n" + body + b"\r\n"


CHUNKS = st.builds(
    spelled,
    st.one_of(
        st.sampled_from((b"a", b"data: x\n\n", b"\r\n", b"0\r\n\r\n", b"1\r\na\r\n", b"d" * 300)),
        st.binary(min_size=1, max_size=20),
    ),
    st.sampled_from(("%x", "%x", "%x", "%x", "%X", "0%x", "%x;a=b", "%x ")),
)
ODD = (
    b"\r\n",
    b"\n",
    b"zz\r\n",
    b"5\r\nab",
    b"-1\r\na\r\n",
    b"1\r\nab\r\n",
    b"0\r\n\r\n",
    b"1\na\n",
)


@st.composite
def reads_of_a_chunked_body(draw: st.DrawFn) -> list[bytes]:
    """Whole chunks, several together, and pieces; at the end, or in the middle, what is none."""
    parts = draw(st.lists(CHUNKS, min_size=1, max_size=12))
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(ODD)))
    parts.append(draw(st.sampled_from((b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b""))))
    reads: list[bytes] = []
    while parts:
        taken = draw(st.sampled_from((1, 1, 1, 2)))
        data, parts = b"".join(parts[:taken]), parts[taken:]
        cut = draw(st.sampled_from((None, None, None, 1, 2, 3, -1, -2, -3)))
        reads += [data] if cut is None else [data[:cut], data[cut:]]
    return [read for read in reads if read]


@settings(max_examples=500)
@given(reads_of_a_chunked_body())
def test_a_read_that_is_one_chunk_says_the_same_past_the_parser(reads: list[bytes]) -> None:
    short, long = ResponseParser(), ResponseParser()
    short.feed(CHUNKED)
    long.feed(CHUNKED)
    for read in reads:
        body, cuts = short.plain(read), ()
        if body is None:
            body, cuts = short.feed(read), short.cuts
        assert (body, bool(body) and cuts) == (long.feed(read), bool(body) and long.cuts)
        for name in ("complete", "keep_alive"):
            assert getattr(short, name) == getattr(long, name)
        assert repr(short.failure) == repr(long.failure)


def test_the_usual_read_goes_past_the_parser_from_the_second_chunk_on() -> None:
    parser = ResponseParser()
    chunks = [spelled(b"data: %d\n\n" % number, "%x") for number in range(5)]
    assert parser.plain(CHUNKED) is None
    parser.feed(CHUNKED)
    assert parser.plain(chunks[0]) is None  # only llhttp knows what came with the head
    assert parser.feed(chunks[0]) == b"data: 0\n\n"
    assert [parser.plain(chunk) for chunk in chunks[1:]] == [
        b"data: %d\n\n" % number for number in range(1, 5)
    ]
    assert parser.plain(b"0\r\n\r\n") is None
    assert parser.feed(b"0\r\n\r\n") == b""
    assert parser.complete


@pytest.mark.parametrize("extra", [b"x", ANSWERS["sized"][0], b"\r\n\r\nHTTP/1.1 500 No\r\n\r\n"])
def test_what_follows_an_answer_is_not_taken_and_ends_the_connection(extra: bytes) -> None:
    for pieces in ((ANSWERS["sized"][0] + extra,), (ANSWERS["sized"][0], extra)):
        parser, body = fed(*pieces)
        assert (parser.status, body, parser.complete) == (200, b"abc", True)
        assert not parser.keep_alive


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    parser, body = fed(b"HTTP/1.1 200 OK\r\n\r\nab", b"c")
    assert (body, parser.complete) == (b"abc", False)
    parser.end()
    assert (parser.complete, parser.keep_alive) == (True, False)


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b"", "without sending a response"),
        (b"HTTP/1.1 200 OK\r\nConte", "without sending a response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "without sending a response"),
        (CHUNKED + b"3\r\nabc\r\n", "without sending complete message body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "complete message body"),
    ],
)
def test_a_connection_that_ends_too_early(wire: bytes, message: str) -> None:
    parser, _ = fed(wire)
    with pytest.raises(httpx.RemoteProtocolError, match=message):
        parser.end()


@pytest.mark.parametrize(
    "wire",
    [
        b"<html>no</html>",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    ],
)
def test_what_is_no_http_is_a_protocol_error(wire: bytes) -> None:
    parser, _ = fed(wire)
    assert parser.failure is not None
    assert not parser.keep_alive
    with pytest.raises(httpx.RemoteProtocolError):
        parser.end()


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_what_came_before_a_protocol_error_stands(cut: int) -> None:
    wire = CHUNKED + b"3\r\nabc\r\nzz\r\n"
    parser, body = fed(wire[:-cut], wire[-cut:])
    assert (parser.status, body) == (200, b"abc")
    assert parser.failure is not None


def test_a_head_costs_the_same_however_small_the_reads() -> None:
    """What waits is one buffer, and llhttp, which copies what it has of a value, sees it once."""
    parser = ResponseParser()
    buffer = parser._head
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000 + b"\r\n\r":
        parser.feed(bytes([byte]))
    assert parser._head is buffer
    assert not parser.headers
    parser.feed(b"\n")
    assert parser.headers == [("x", "x" * 1000)]


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 3\r\nA: b\r\nContent-Length:3\r\n",
        b"content-length: 3, 3\r\n",
        b"Content-Length: 3 ,3\nCONTENT-LENGTH: 3\n",
    ],
)
def test_lengths_that_agree_are_one(lengths: bytes) -> None:
    parser, body = fed(b"HTTP/1.1 200 OK\r\n" + lengths + b"\r\nabc")
    assert (body, parser.complete, parser.keep_alive) == (b"abc", True, True)
    assert [value for name, value in parser.headers if name == "content-length"] == ["3"]


@pytest.mark.parametrize("value", [b"3, 4", b"3,", b",", b"3x", b"-3", b"+3", b"", b"9" * 30])
def test_a_length_that_is_none_is_a_protocol_error(value: bytes) -> None:
    parser, _ = fed(b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\nabc")
    assert parser.failure is not None


def test_a_transfer_coding_nobody_asked_for_is_no_answer() -> None:
    parser, _ = fed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n")
    assert (parser.has_head, str(parser.failure)) == (False, "a transfer coding nobody asked for")


@pytest.mark.parametrize(
    ("begin", "flood", "limit"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", MAX_SILENT),
        (b"HTTP/1.1 200 OK\r\n", b"A:\r\n", MAX_SILENT),
        (b"HTTP/1.1 100 Continue\r\nX: ", b"x", MAX_SILENT),
        (b"", b"HTTP/1.1 102 Wait\r\n\r\n", MAX_SILENT),
        (b"", b"\r\n", MAX_SILENT),
        (CHUNKED, b"1;", MAX_SILENT_IN_BODY),
        (CHUNKED + b"1;", b"x", MAX_SILENT_IN_BODY),
        (CHUNKED + b"0\r\nX: ", b"x", MAX_SILENT_IN_BODY),
        (CHUNKED + b"0\r\n", b"A:\r\n", MAX_SILENT_IN_BODY),
        (CHUNKED, b"0", MAX_SILENT_IN_BODY),
    ],
)
def test_bytes_that_are_no_body_are_bounded(begin: bytes, flood: bytes, limit: int) -> None:
    parser, _ = fed(begin)
    sent = len(begin)
    while parser.failure is None and sent <= 2 * MAX_SILENT:
        parser.feed(flood * 100)
        sent += len(flood) * 100
    assert parser.failure is not None
    assert sent <= limit + len(CHUNKED) + len(flood) * 100
    assert len(parser.headers) < limit
    assert parser.feed(b"more") == b""


def test_header_values_are_decoded_whatever_they_are_in() -> None:
    parser, _ = fed(b"HTTP/1.1 200 OK\r\nA: \xc3\xa9\r\nB: \xe9 \r\nContent-Length: 0\r\n\r\n")
    assert parser.headers[:2] == [("a", "é"), ("b", "é")]


def test_a_request_is_written_as_it_should_be() -> None:
    target = target_of("https://api.example:8443/v1/chat?x=1")
    head = request_head("POST", target, [("Accept", " a "), ("Host", "evil")], 2)
    assert head == (
        b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: api.example:8443\r\nAccept: a\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    assert target.place == (True, "api.example", 8443)


@pytest.mark.parametrize(
    "header", [("a b", "c"), ("a", "b\r\nc: d"), ("a", "b\0"), ("", "x"), ("a", "☃")]
)
def test_a_header_that_cannot_be_sent_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        request_head("POST", target_of("http://h/"), [header], 0)


@pytest.mark.parametrize("url", ["ftp://h/x", "http:///x", "h/x", "http://xn--/"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises((httpx.UnsupportedProtocol, httpx.InvalidURL)):
        target_of(url)


def test_addresses_are_written_with_their_brackets_and_dialled_without() -> None:
    target = target_of("http://[::1]:8000/v1")
    assert (target.authority, target.host) == ("[::1]:8000", "::1")
