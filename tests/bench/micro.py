"""What do the parts cost? `python tests/bench/micro.py [--json FILE]`

The decoders of server-sent events and of lines of JSON in MB/s, a chat chunk, a Messages event, a
Responses event and an Ollama line read by the engine in µs, a frame of the home screen in ms, each
beside a baseline of the same run: machines differ, ratios less so. CPU time of this process, the
median of some turns. The screen is drawn off-screen at 160×50 from hand-made snapshots, down to the
bytes a terminal would get.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "tui")]

from changed import replace  # noqa: E402
from fakes import FakeSession, config  # noqa: E402

from probes.answers.answer import AnswerReader  # noqa: E402
from probes.answers.dialects import dialect_for  # noqa: E402
from probes.answers.ndjson import LineDecoder  # noqa: E402
from probes.answers.sse import Decoder  # noqa: E402
from probes.board.views import Snapshot  # noqa: E402
from probes.config import Dialect  # noqa: E402
from probes.engine.stamp_recorder import StampRecorder  # noqa: E402
from probes.transport.http1 import ResponseParser  # noqa: E402
from tui.app import LlmtopApp  # noqa: E402
from tui.screens.home import HomeScreen  # noqa: E402

CHUNKS = 20_000
BLOCK = 64 * 1024
TURNS = 7
BYTES_ALONE = 500_000
FRAMES = 60
FRAME_NS = 100_000_000
SIZE = (160, 50)


@dataclass(frozen=True)
class Figure:
    """One figure, and what it stands beside."""

    what: str
    value: float
    unit: str
    baseline: str = ""
    beside: float | None = None

    def row(self) -> str:
        """Return it as a row of a table."""
        beside = "–" if self.beside is None else f"{self.beside:.3g} {self.unit}"
        return f"| {self.what} | {self.value:.3g} {self.unit} | {self.baseline} | {beside} |"


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a piece of work, the median of some turns."""
    spent = []
    for _ in range(TURNS):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return statistics.median(spent)


def chat_chunks() -> list[bytes]:
    """Return the events of a stream, each as one read brings it."""
    made = []
    for number in range(CHUNKS):
        choice = {
            "index": 0,
            "delta": {"content": f" word{number % 100}"},
            "logprobs": None,
            "finish_reason": None,
        }
        event = {
            "id": "chatcmpl-0123456789abcdef01234567",
            "object": "chat.completion.chunk",
            "created": 1_795_430_000,
            "model": "meta-llama/Llama-3.3-70B-Instruct",
            "choices": [choice],
            "usage": None,
        }
        made.append(b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n")
    return made


def messages_events() -> list[bytes]:
    """Return the events of a Messages stream, which have names, each as one read brings it."""
    made = [b'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n']
    for number in range(CHUNKS):
        event = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": f" word{number % 100}"},
        }
        data = json.dumps(event, separators=(",", ":")).encode()
        made.append(b"event: content_block_delta\ndata: " + data + b"\n\n")
    return made


def ollama_lines() -> list[bytes]:
    """Return the lines of a stream of Ollama's, each as one read brings it."""
    made = []
    for number in range(CHUNKS):
        line = {
            "model": "llama3.3:70b",
            "created_at": "2026-01-01T00:00:00.123456789Z",
            "message": {"role": "assistant", "content": f" word{number % 100}"},
            "done": False,
        }
        made.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    return made


def responses_events(*, alike: bool) -> list[bytes]:
    """Return Responses deltas; those that are not alike never go the reader's short way."""
    made = []
    for number in range(CHUNKS):
        event = {
            "type": "response.output_text.delta",
            "sequence_number": number,
            "item_id": "msg_0123456789abcdef0123456789abcdef",
            "output_index": 0,
            "content_index": 0 if alike else number % 2,
            "delta": f" word{number % 100}",
            "logprobs": [],
            "obfuscation": "pmlAEOdpBJ9t1",
        }
        data = json.dumps(event, separators=(",", ":")).encode()
        made.append(b"event: response.output_text.delta\ndata: " + data + b"\n\n")
    return made


def blocks(data: bytes) -> list[bytes]:
    """Return the same bytes as a busy network brings them: cut anywhere."""
    return [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]


def feed_all(feed: Callable[[bytes], object], pieces: list[bytes]) -> None:
    """Feed every piece."""
    for piece in pieces:
        feed(piece)


def answer_reader(dialect: Dialect = "chat") -> AnswerReader:
    """Return what reads one answer in the engine."""
    headers = {"content-type": "text/event-stream"} if dialect != "ollama" else {}
    return AnswerReader(200, headers, dialect_for(dialect), keep_text=False, wall_ns=0)


class _Delta(msgspec.Struct):
    content: str = ""


class _Choice(msgspec.Struct):
    delta: _Delta


class _Chunk(msgspec.Struct):
    choices: list[_Choice]


def of_bytes() -> list[Figure]:
    """Measure what reads an answer."""
    chunks = chat_chunks()
    data = b"".join(chunks)
    megabytes, in_blocks = len(data) / 1e6, blocks(data)
    typed = msgspec.json.Decoder(_Chunk).decode
    per_chunk_us = 1e6 / CHUNKS
    loads = cpu_s(lambda: feed_all(lambda chunk: json.loads(chunk[6:]), chunks)) * per_chunk_us
    split = megabytes / cpu_s(lambda: feed_all(lambda block: block.split(b"\n\n"), in_blocks))
    one_each = megabytes / cpu_s(lambda: feed_all(Decoder().feed, chunks))
    in_64k = megabytes / cpu_s(lambda: feed_all(Decoder().feed, in_blocks))
    read = cpu_s(lambda: feed_all(answer_reader().feed, chunks)) * per_chunk_us
    least = cpu_s(lambda: feed_all(lambda chunk: typed(chunk[6:]), chunks)) * per_chunk_us
    events = messages_events()
    named = cpu_s(lambda: feed_all(answer_reader("messages").feed, events)) * per_chunk_us
    parsed = cpu_s(lambda: feed_all(lambda event: json.loads(event[33:]), events[1:]))
    lines = ollama_lines()
    one_byte = [bytes([byte]) for byte in b"".join(lines)[:BYTES_ALONE]]
    no_end = [b"a"] * BYTES_ALONE
    alone = BYTES_ALONE / 1e6 / cpu_s(lambda: feed_all(LineDecoder().feed, one_byte))
    endless = BYTES_ALONE / 1e6 / cpu_s(lambda: feed_all(LineDecoder().feed, no_end))
    a_line = cpu_s(lambda: feed_all(answer_reader("ollama").feed, lines)) * per_chunk_us
    plain = cpu_s(lambda: feed_all(json.loads, lines)) * per_chunk_us
    return [
        Figure("Ollama line → Progress", a_line, "µs", "json.loads", plain),
        Figure(
            "NDJSON, one line without end", endless, "MB/s", "usual lines, a byte a read", alone
        ),
        Figure("SSE decoder, an event a read", one_each, "MB/s", "bytes.split, 64 KB reads", split),
        Figure("SSE decoder, 64 KB reads", in_64k, "MB/s", "bytes.split, 64 KB reads", split),
        Figure("chat chunk → Progress", read, "µs", "json.loads", loads),
        Figure("chat chunk → Progress", read, "µs", "msgspec, its text alone", least),
        Figure("Messages event → Progress", named, "µs", "json.loads", parsed * per_chunk_us),
        of_responses(),
        of_the_way(),
    ]


def of_responses() -> Figure:
    """Measure what reads a Responses delta."""

    def cost_us(events: list[bytes]) -> float:
        spent = cpu_s(lambda: feed_all(answer_reader("responses").feed, events))
        return spent * 1e6 / CHUNKS

    alike, others = cost_us(responses_events(alike=True)), cost_us(responses_events(alike=False))
    return Figure("Responses delta → Progress", alike, "µs", "the same, the long way", others)


def of_the_way() -> Figure:
    """Measure a chat chunk from the bytes of its read to its count, by its bytes and decoded."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    reads = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chat_chunks()]

    def by_bytes() -> None:
        parser, reader, recorder = ResponseParser(), answer_reader(), StampRecorder(10**9)
        parser.feed(head)
        for at_ns, read in enumerate(reads):
            body = parser.plain(read)
            if body is not None and (characters := reader.more(body)):
                recorder.more(characters, at_ns)
            else:
                recorder.output(reader.feed(body or parser.feed(read)), at_ns)

    def decoded() -> None:
        parser, reader, recorder = ResponseParser(), answer_reader(), StampRecorder(10**9)
        parser.feed(head)
        for at_ns, read in enumerate(reads):
            recorder.output(reader.feed(parser.feed(read)), at_ns)

    per_chunk_us = 1e6 / CHUNKS
    short_us, long_us = cpu_s(by_bytes) * per_chunk_us, cpu_s(decoded) * per_chunk_us
    return Figure("chat chunk, read → counted", short_us, "µs", "the same, decoded", long_us)


def draw(screen: HomeScreen) -> int:
    """Draw a frame down to the bytes for a terminal; return how many."""
    screen.pull()
    update: Any = screen._compositor.render_update(full=True)
    return len(update.render_segments(screen.app.console).encode())


async def of_frames() -> list[Figure]:
    """Measure the home screen."""
    session = FakeSession()
    first = session.board.whole
    app = LlmtopApp(session, config())
    spent: dict[bool, list[float]] = {True: [], False: []}
    size = 0
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, HomeScreen)
        for number in range(2 * FRAMES):
            changed = bool(number % 2)
            if changed:
                session.board.whole = later(first, number)
            before = time.process_time()
            size = draw(screen)
            spent[changed].append((time.process_time() - before) * 1e3)
            await pilot.pause()
    changed_ms, still_ms = statistics.median(spent[True]), statistics.median(spent[False])
    what = f"frame {SIZE[0]}×{SIZE[1]} of {len(first.routes)} routes"
    return [
        Figure(what, changed_ms, "ms", "the same when nothing changed", still_ms),
        Figure("the same frame, whole", size / 1024, "KiB"),
    ]


def later(first: Snapshot, number: int) -> Snapshot:
    """Return the board some frames later, with a figure or two of every route moved."""
    rows = (
        replace(
            row,
            probes_per_min=row.probes_per_min + number,
            ttft_p95=replace(row.ttft_p95, value=(row.ttft_p95.value or 1.0) + 0.01 * number),
        )
        for row in first.routes
    )
    return replace(
        first,
        version=first.version + number,
        now_ns=first.now_ns + number * FRAME_NS,
        routes=tuple(rows),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = [*of_bytes(), *asyncio.run(of_frames())]
    head = "| part | cost | baseline | its cost |\n|---|---|---|---|\n"
    sys.stdout.write(head + "\n".join(figure.row() for figure in found) + "\n")
    if options.json:
        options.json.write_text(json.dumps([msgspec.to_builtins(figure) for figure in found]))


if __name__ == "__main__":
    main()
