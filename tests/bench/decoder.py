"""Is reading linear, whatever a server sends? `python tests/bench/decoder.py [--megabytes N …]`

The worst inputs, made as they are read and never held, through three ways: the event decoder, the
whole answer reader, and the HTTP parser before it. One row a way and an input: seconds of CPU after
each size, nanoseconds a byte, the ratio of the last size to the one before it (linear is 2.0 where
that is half of it), and how far the resident memory of the row's own process rose at its highest.
What is refused because it is too large is begun anew, so that all of the bytes are read. `--only
WORD` and `--without WORD` pick rows. Linux only. The default 25, 50, 100 and 200 MB take half an
hour, most of it for the rows of one byte a read.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from probes.answers.answer import AnswerReader
from probes.answers.dialects import dialect_for
from probes.answers.framing import EventTooLargeError
from probes.answers.sse import Decoder
from probes.transport.http1 import ResponseParser

MB = 1_000_000
READ = 65_536
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
Feed = Callable[[bytes], bool]
"""Takes a read; returns whether what it read into is of no more use."""


@dataclass(frozen=True)
class Row:
    """A way and an input: what is sent first, what is repeated then, and how much a read brings."""

    way: str
    what: str
    first: bytes
    block: bytes
    read: int = READ

    def pieces(self) -> list[bytes]:
        """Return reads that are sent over and over."""
        count = max(1, READ // len(self.block))
        data = self.block * count
        return [data[at : at + self.read] for at in range(0, len(data), self.read)]


INPUTS = (
    ("usual, one byte a read", b"", EVENT, 1),
    ("usual, 64 KB a read", b"", EVENT, READ),
    ("no newline", b"data: ", b"x", READ),
    ("no newline, one byte a read", b"data: ", b"x", 1),
    ("only CR", b"", b"\r", READ),
    ("only LF", b"", b"\n", READ),
    ("CR and LF in reads of their own", b"", b"\r\n", 1),
    ("only comments", b"", b": ping\n\n", READ),
    ("one endless comment", b":", b" ", READ),
    ("data lines without a blank line", b"", b"data: hello\n", READ),
    ("data lines of one byte", b"", b"data:x\n", READ),
    ("data lines of nothing", b"", b"data\n", READ),
    ("data lines of one byte, one a read", b"", b"data:x\n", 1),
    ("marks and nothing", b"", b"\xef\xbb\xbf", 1),
    ("empty events", b"", b"data:\n\n", READ),
)
ROWS = (
    *(Row("decoder", *given) for given in INPUTS),
    *(Row("reader", *given) for given in INPUTS),
    Row("http", "chunks of one byte", CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in EVENT)),
    Row("http", "chunks of one byte, one a read", CHUNKED, b"1\r\n:\r\n", 1),
    Row("http", "chunk extensions", CHUNKED, b"1;" + b"x" * 1000 + b"\r\n:\r\n"),
    Row("http", "an endless header", HEAD + b"x: ", b"x", 1),
    Row("http", "endless headers", HEAD, b"x: y\r\n"),
    Row("http", "endless interim answers", b"", b"HTTP/1.1 102 Wait\r\n\r\n"),
    Row("http", "an endless trailer", CHUNKED + b"0\r\nx: ", b"x", 1),
    Row("http", "an error body by the byte", HEAD.replace(b"200", b"500") + b"\r\n[", b"{},", 1),
)


def decoder() -> Feed:
    """Return a decoder."""
    feed = Decoder().feed

    def take(data: bytes) -> bool:
        try:
            feed(data)
        except EventTooLargeError:
            return True
        return False

    return take


def reader(status: int = 200) -> Feed:
    """Return the reader of an answer of which the text is not kept, as in a run."""
    headers = {"content-type": "text/event-stream"}
    one = AnswerReader(status, headers, dialect_for("chat"), keep_text=False, wall_ns=0)
    return lambda data: one.feed(data).terminal


def http() -> Feed:
    """Return a parser with the reader behind it."""
    parser = ResponseParser()
    read: Feed | None = None

    def take(data: bytes) -> bool:
        nonlocal read
        body = parser.feed(data)
        if read is None and parser.has_head:
            read = reader(parser.status)
        over = read is not None and bool(body) and read(body)
        return over or parser.failure is not None

    return take


WAYS: dict[str, Callable[[], Feed]] = {"decoder": decoder, "reader": reader, "http": http}


def resident_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


def measured(row: Row, marks: list[int]) -> Iterator[float]:
    """Read as much as the last mark says; yield CPU seconds at each, and the peak rise in MB."""
    pieces = row.pieces()
    start_mb = resident_mb()
    new = WAYS[row.way]
    feed = new()
    feed(row.first)
    size = 0
    started_s = time.process_time()
    waiting = list(marks)
    for piece in cycle(pieces):
        if feed(piece):
            feed = new()
            feed(row.first)
        size += len(piece)
        if size >= waiting[0]:
            yield time.process_time() - started_s
            del waiting[0]
            if not waiting:
                break
    yield resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB - start_mb


def in_a_child(row: Row, marks: list[int]) -> list[float]:
    """Measure a row in a process of its own, whose memory nothing else has raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.write(writing, " ".join(map(repr, measured(row, marks))).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        figures = [float(word) for word in pipe.read().split()]
    os.waitpid(child, 0)
    return figures


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[25, 50, 100, 200])
    parser.add_argument("--only", default="")
    parser.add_argument("--without", default="\0")
    given = parser.parse_args()
    sizes = sorted(given.megabytes)
    heads = "".join(f"{size:>6} MB" for size in sizes)
    sys.stdout.write(f"{'way':8} {'input':36}{heads}   ns/byte  ratio  peak MB\n")
    for row in ROWS:
        name = f"{row.way} {row.what}"
        if given.only not in name or given.without in name:
            continue
        *seconds, peak_mb = in_a_child(row, [size * MB for size in sizes])
        ratio = seconds[-1] / seconds[-2] if len(seconds) > 1 else float("nan")
        columns = "".join(f"{one:8.2f} s" for one in seconds)
        each_ns = 1e9 * seconds[-1] / (sizes[-1] * MB)
        line = f"{row.way:8} {row.what:36}{columns} {each_ns:8.1f} {ratio:6.2f} {peak_mb:8.1f}\n"
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
