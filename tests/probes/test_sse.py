"""The event-stream decoder against the standard and against a decoder too simple to be wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.sse import Decoder, EventTooLargeError, ServerSentEvent

Plain = tuple[str, str, str, int | None]


def decoded(*pieces: bytes) -> list[ServerSentEvent]:
    decoder = Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def datas(*pieces: bytes) -> list[str]:
    return [event.data for event in decoded(*pieces)]


def naive(stream: bytes) -> list[Plain]:
    """Decode a whole stream, word for word as the standard has it."""
    text = stream.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    *lines, _unended = re.split("\r\n|\r|\n", text)
    found: list[Plain] = []
    data, event, last_id, retry = "", "", "", None
    for line in lines:
        if not line:
            if data:
                found.append((event or "message", data.removesuffix("\n"), last_id, retry))
            data, event, retry = "", "", None
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data += value + "\n"
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return found


FRAGMENTS = st.sampled_from(
    [
        b"data",
        b"data:",
        b"data: x",
        b"data:{}",
        b"event: e",
        b"id: 7",
        b"id: a\0b",
        b"id",
        b"retry: 12",
        b"retry: 1x",
        b":ping",
        b"other: y",
        b" ",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x99\x82",
        b"\xf0\x9f",
        b"\xff",
        b"\xc2\x85",
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map(b"".join), st.data())
def test_any_split_gives_the_events_of_the_standard(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    got = [(e.event, e.data, e.id, e.retry) for e in decoded(*pieces)]
    assert got == naive(stream)


@given(st.lists(FRAGMENTS, max_size=30).map(b"".join))
def test_one_byte_at_a_time_gives_the_same_as_all_at_once(stream: bytes) -> None:
    assert decoded(*(bytes([byte]) for byte in stream)) == decoded(stream)


def test_the_examples_of_the_standard() -> None:
    assert datas(b"data: YHOO\ndata: +2\ndata: 10\n\n") == ["YHOO\n+2\n10"]
    assert datas(b"data\n\ndata\ndata\n\ndata:") == ["", "\n"]
    assert datas(b"data:test\n\ndata: test\n\n") == ["test", "test"]
    stream = b": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n"
    assert [(e.data, e.id) for e in decoded(stream)] == [
        ("first", "1"),
        ("second", ""),
        (" third", ""),
    ]


def test_a_block_without_data_is_no_event() -> None:
    assert decoded(b"event: ping\n\nretry: 5\n\nid: 3\n\n") == []


def test_the_id_is_remembered_and_the_rest_is_not() -> None:
    first, second = decoded(b"event: a\nid: 3\nretry: 5\ndata: 1\n\ndata: 2\n\n")
    assert first == ServerSentEvent("a", "1", "3", 5)
    assert second == ServerSentEvent("message", "2", "3", None)


@pytest.mark.parametrize("split", range(4))
def test_one_byte_order_mark_is_dropped_wherever_it_is_cut(split: int) -> None:
    stream = b"\xef\xbb\xbfdata: x\n\n"
    assert datas(stream[:split], stream[split:]) == ["x"]


def test_a_second_byte_order_mark_is_part_of_the_field_name() -> None:
    assert datas(b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n") == []


def test_unicode_line_separators_are_text() -> None:
    assert datas("data: a\u2028b\u2029c\x85d\n\n".encode()) == ["a\u2028b\u2029c\x85d"]


def test_broken_utf_8_becomes_the_replacement_character() -> None:
    assert datas(b"data: a\xffb\n\n") == ["a�b"]


def test_a_line_feed_after_a_carriage_return_of_the_read_before_ends_no_line() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: x\r") == []
    assert [event.data for event in decoder.feed(b"\n\r")] == ["x"]
    assert decoder.feed(b"\ndata: y\n") == []
    assert [event.data for event in decoder.feed(b"\n")] == ["y"]


def test_an_unclosed_event_is_discarded_but_noticed() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: x\n") == []
    assert decoder.unfinished


def test_comments_are_counted() -> None:
    decoder = Decoder()
    assert decoder.feed(b": ping\n\n:\ndata: x\n\n: OPENROUTER PROCESSING\n\n") != []
    assert decoder.comments == 3


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_line_beyond_its_limit_is_an_error_in_any_pieces(size: int) -> None:
    decoder = Decoder(max_line=50)
    stream = b"data: " + b"x" * 45

    def feed_all() -> None:
        for start in range(0, len(stream), size):
            decoder.feed(stream[start : start + size])

    with pytest.raises(EventTooLargeError):
        feed_all()


READS = st.sampled_from(
    [
        b"data: x\n\n",
        b"data: \n\n",
        b"event: a\ndata: x\n\n",
        b"event: error\ndata: x\n\n",
        b"event: \ndata: x\n\n",
        b"event:  a\ndata: x\n\n",
        b"event: \xff\ndata: \xff\n\n",
        b"event: a\r\ndata: x\r\n\r\n",
        b"event: a\n\ndata: x\n",
        b"event: a\nid: 7\n\n",
        b"event: a\ndata:x\n\n",
        b"data: x\ndata: y\n\n",
        b"data: x\nevent: a\n\n",
        b"event: a\ndata: x\ndata: y\n\n",
        b"event: a\n",
        b"\n",
    ]
)


@given(st.lists(READS, max_size=8))
def test_whole_events_a_read_are_told_as_their_bytes_are(reads: list[bytes]) -> None:
    got = [(e.event, e.data, e.id, e.retry) for e in decoded(*reads)]
    assert got == naive(b"".join(reads))


def test_a_named_event_is_plain_unless_it_says_error() -> None:
    decoder = Decoder()
    decoder.feed(b"data: first\n\n")
    payload = decoder.plain(b'event: a\ndata: {"x":1}\n\n')
    assert payload == b'{"x":1}'
    assert decoder.event_of(payload) == ServerSentEvent("a", '{"x":1}')
    assert decoder.plain(b"data: y\n\n") == b"y"
    assert decoder.event_of(b"y") == ServerSentEvent("message", "y")
    assert decoder.plain(b"event: error\ndata: x\n\n") is None


def test_a_whole_plain_event_beyond_the_limit_is_an_error_too() -> None:
    with pytest.raises(EventTooLargeError):
        Decoder(max_line=20).feed(b"data: " + b"x" * 30 + b"\n\n")
    with pytest.raises(ValueError, match="event"):
        Decoder(max_event=20).feed(b"data: " + b"x" * 30 + b"\n\n")


def test_an_event_of_many_lines_beyond_the_limit_is_an_error() -> None:
    decoder = Decoder(max_event=100)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: 12345678\n" * 20)


def test_the_limit_is_per_event_not_per_stream() -> None:
    decoder = Decoder(max_line=50, max_event=50)
    assert sum(len(decoder.feed(b"data: 1234567890\n\n")) for _ in range(100)) == 100


def test_bytes_that_wait_are_copied_once_however_small_the_reads() -> None:
    """The line that is not ended is one buffer that grows in place, never rebuilt per read."""
    decoder = Decoder()
    decoder.feed(b"data: ")
    buffer = decoder._line
    for _ in range(1000):
        decoder.feed(b"x")
    assert decoder._line is buffer
    assert len(decoder.feed(b"\n\n")[0].data) == 1000
