"""The event-stream decoder against the standard and against a decoder too simple to be wrong."""

import gc
import re
import tracemalloc
import weakref
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.framing import EventTooLargeError, ServerSentEvent
from probes.answers.sse import Decoder

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


WHOLE = st.sampled_from(
    [
        b"data: x\n\n",
        b"event: e\ndata: {}\n\n",
        b"event: f\ndata: y\n\n",
        b"id: 7\n\n",
        b"data: z\r\r",
    ]
)


@given(st.lists(WHOLE | FRAGMENTS, max_size=20), st.sampled_from(["e", "f", "message"]))
def test_whole_events_are_the_same_whatever_name_is_usual(pieces: list[bytes], usual: str) -> None:
    decoder = Decoder(usual_event=usual)
    got = [(e.event, e.data, e.id, e.retry) for piece in pieces for e in decoder.feed(piece)]
    assert got == naive(b"".join(pieces))


def test_the_usual_event_is_plain_and_others_are_not() -> None:
    decoder = Decoder(usual_event="e")
    assert decoder.feed(b"event: e\ndata: 1\n\n") == [ServerSentEvent("e", "1")]
    assert decoder.plain(b"event: e\ndata: 2\n\n") == b"2"
    assert decoder.event_of(b"2") == ServerSentEvent("e", "2")
    assert decoder.plain(b"data: 3\n\n") == b"3"
    assert decoder.event_of(b"3") == ServerSentEvent("message", "3")
    assert decoder.plain(b"event: f\ndata: 4\n\n") is None
    assert decoder.plain(b"event: e\ndata: 5\ndata: 6\n\n") is None
    assert decoder.plain(b"event: e\ndata: 7\n") is None


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


def test_half_a_byte_order_mark_is_part_of_the_line_wherever_it_is_cut() -> None:
    decoder = Decoder()
    decoder.feed(b"\xef")
    assert decoder.plain(b"data: x\n\n") is None
    assert decoder.feed(b"data: x\n\n") == datas(b"\xefdata: x\n\n") == []


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


def test_an_event_of_the_usual_name_is_plain_and_of_another_is_not() -> None:
    decoder = Decoder(usual_event="a")
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


SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x00\x1c\x1d\x1e\x1f\x08\u200b\ufeff"


@pytest.mark.parametrize("character", SEPARATORS, ids=[hex(ord(one)) for one in SEPARATORS])
@pytest.mark.parametrize("cut", range(0, 14, 3))
def test_no_line_ends_but_at_cr_and_lf(character: str, cut: int) -> None:
    wire = f"data: a{character}b\nevent: c{character}d\n\n".encode()
    (event,) = decoded(wire[:cut], wire[cut:])
    assert (event.event, event.data) == (f"c{character}d", f"a{character}b")


@given(st.binary(max_size=60) | st.lists(FRAGMENTS, max_size=12).map(b"".join))
def test_every_single_cut_gives_the_same(stream: bytes) -> None:
    whole = decoded(stream)
    assert [(e.event, e.data, e.id, e.retry) for e in whole] == naive(stream)
    for cut in range(len(stream) + 1):
        assert decoded(stream[:cut], stream[cut:]) == whole


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_any_bytes_cut_anywhere_give_the_events_of_the_standard(
    stream: bytes, cuts: list[int]
) -> None:
    places = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert [(e.event, e.data, e.id, e.retry) for e in decoded(*pieces)] == naive(stream)


@given(st.lists(FRAGMENTS, max_size=40).map(b"".join), st.lists(st.integers(0, 400), max_size=9))
def test_what_is_too_large_is_so_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> tuple[list[ServerSentEvent], str]:
        """Return the events before what is refused, and why that is."""
        decoder, found = Decoder(max_line=9, max_event=12), []
        with suppress(EventTooLargeError):
            for piece in pieces:
                found += decoder.feed(piece)
        return found, decoder.failure[:8]

    places = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    assert told([stream[a:b] for a, b in pairwise(places)]) == told([stream])


def test_a_line_that_is_refused_is_so_behind_an_event_of_the_same_read() -> None:
    one, other = Decoder(max_line=9), Decoder(max_line=9)
    assert one.feed(b"data\n\ndatadatadata") == other.feed(b"data\n\n")
    with pytest.raises(EventTooLargeError):
        other.feed(b"datadatadata")
    assert one.failure == other.failure


def test_events_before_what_is_refused_are_told() -> None:
    decoder = Decoder(max_line=10)
    (event,) = decoder.feed(b"data: 1\n\ndata: 12345678")
    assert event.data == "1"
    assert decoder.failure
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: 2\n\n")


def test_what_was_refused_is_not_kept() -> None:
    """Neither in the decoder nor by it: an exception that it held would hold it in turn."""
    gc.disable()
    try:
        decoder = Decoder(max_line=10)
        with pytest.raises(EventTooLargeError):
            decoder.feed(b"data: 12345678")
        assert not decoder._line
        gone = weakref.ref(decoder)
        del decoder
        assert gone() is None
    finally:
        gc.enable()


def test_of_a_comment_nothing_is_kept_however_long_it_is() -> None:
    decoder = Decoder(max_line=20)
    for _ in range(1000):
        decoder.feed(b": ping")
    assert len(decoder._line) == 1
    assert [event.data for event in decoder.feed(b"\n:" + b"x" * 99 + b"\ndata: y\n\n")] == ["y"]
    assert decoder.comments == 2


def test_an_event_of_many_lines_costs_its_bytes_and_no_more() -> None:
    decoder = Decoder()
    tracemalloc.start()
    for _ in range(1000):
        decoder.feed(b"data: abc\n" * 100)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(decoder._data) == 400_000
    assert now < 2 * 400_000
    assert peak < 3 * 400_000


class Counting(Decoder):
    """Counts the lines it takes and the bytes it has of them: its work, without a clock."""

    work = 0

    def _take_line(self, line: bytes, found: list[ServerSentEvent]) -> None:
        self.work += 1 + len(line)
        super()._take_line(line, found)

    def _keep(self, piece: bytes) -> None:
        self.work += 1 + len(piece)
        super()._keep(piece)


WORST = {
    "no newline": b"data: x",
    "only CR": b"\r",
    "only LF": b"\n",
    "CRLF": b"\r\n",
    "comments": b": ping\n",
    "data without a blank line": b"data: x\n",
    "data of one byte": b"data:x\n",
    "empty data": b"data\n",
    "mark": b"\xef\xbb\xbf",
}


@pytest.mark.parametrize("block", WORST.values(), ids=WORST)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_twice_the_bytes_are_twice_the_work(block: bytes, size: int) -> None:
    def work(count: int) -> int:
        stream, decoder = block * count, Counting()
        for start in range(0, len(stream), size):
            decoder.feed(stream[start : start + size])
        return decoder.work

    once, twice = work(2000), work(4000)
    assert once <= 3 * 2000 * len(block)
    assert twice <= 2.01 * once
