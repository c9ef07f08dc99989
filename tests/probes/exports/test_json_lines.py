"""Lines for a program or a terminal, and a reader that does what it likes."""

import io
import json
import os
from collections.abc import Set

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.events import LINE_TYPES, Batch, Event, Health, Hello, Mark, Notice, encode_event
from probes.exports.json_lines import JsonLines, ascii_json

HELLO = Hello(at_ns=1, wall_ns=2, engine="1", version="0", routes=(), schema=1)
BATCH = Batch(at_ns=1, seq=1, health=Health())
MARK = Mark(at_ns=2, text="caf\xe9 \x9b31m")
NOTICE = Notice(at_ns=3, route="r", text="\u202eread it once")


def lines(*events: Event) -> bytes:
    return b"".join(map(encode_event, events))


def printed(only: Set[str] | None, *batches: list[Event], summary: bool = False) -> bytes:
    """Return what is written of batches."""
    out = io.BytesIO()

    async def write() -> None:
        sink = JsonLines(out, only)
        for batch in batches:
            sink.receive(batch, lines(*(event for event in batch if event is not BATCH)))
        if summary:
            sink.end_with({"r": {"n": 1}})
        await sink.finish()

    anyio.run(write)
    return out.getvalue()


@pytest.mark.parametrize(
    "text", ["plain", "\x7f", "caf\xe9", "\x9b31m", "\u202eevil", "\U0001f600", "\U000e0001"]
)
def test_escaped_json_means_the_same_and_is_printable_ascii(text: str) -> None:
    escaped = ascii_json(json.dumps({"k": text}, ensure_ascii=False).encode())
    assert json.loads(escaped) == {"k": text}
    assert escaped.isascii()
    assert escaped.decode().isprintable()


@given(st.text())
def test_whatever_an_event_says_is_printable_ascii_and_means_the_same(text: str) -> None:
    escaped = ascii_json(encode_event(Mark(at_ns=1, text=text)))
    assert json.loads(escaped)["text"] == text
    assert escaped.removesuffix(b"\n").decode("ascii").isprintable()


def test_lines_are_written_as_they_came_but_escaped() -> None:
    assert printed(None, [HELLO, BATCH], [MARK, NOTICE]) == ascii_json(lines(HELLO, MARK, NOTICE))


@pytest.mark.parametrize("only", [{"mark"}, {"hello", "notice"}, {"tick"}, set(LINE_TYPES)])
def test_only_the_types_that_are_named_are_written(only: set[str]) -> None:
    wanted = [event for event in (HELLO, MARK, NOTICE) if type_of(event) in only]
    out = printed(only, [BATCH, HELLO, BATCH, MARK], [BATCH], [NOTICE, BATCH])
    assert out == ascii_json(lines(*wanted))


def type_of(event: Event) -> str:
    name: str = json.loads(encode_event(event))["type"]
    return name


def test_the_order_of_fields_does_not_matter() -> None:
    out = io.BytesIO()
    odd = b'{"at_ns": 2, "text": "{\\"type\\":\\"hello\\"", "type": "mark"}\r\n'

    async def write() -> None:
        sink = JsonLines(out, {"mark"})
        sink.receive([HELLO, MARK], lines(HELLO) + odd)
        await sink.finish()

    anyio.run(write)
    assert out.getvalue() == odd


def test_the_summary_is_the_last_line_where_it_is_wanted() -> None:
    last = b'{"type":"summary","routes":{"r":{"n":1}}}\n'
    assert printed(None, [HELLO], summary=True) == lines(HELLO) + last
    assert printed({"summary"}, [HELLO], summary=True) == last
    assert printed({"hello"}, [HELLO], summary=True) == lines(HELLO)


def test_a_line_can_be_read_as_soon_as_it_was_given() -> None:
    reading, writing = os.pipe()

    async def write() -> None:
        with os.fdopen(writing, "wb", 1 << 20) as out:
            sink = JsonLines(out, {"mark"})
            sink.receive([HELLO, MARK], lines(HELLO, MARK))
            with anyio.fail_after(5):
                read = await anyio.to_thread.run_sync(os.read, reading, 4096)
            assert read == ascii_json(lines(MARK))
            await sink.finish()

    anyio.run(write)
    os.close(reading)
