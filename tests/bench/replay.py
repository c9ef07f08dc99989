"""What does a replay cost? `python tests/bench/replay.py [--minutes 60] [--keep FILE] [RECORDING]`

An hour of 8 routes at one probe a second each is made up by arithmetic, some 119,000 events of the
size that real ones have, written as a recording and replayed: by the command as a user types it,
and in this process step by step, so that each step stands beside what is below it. CPU time; the
command's is that of its whole process. Or a recording of your own is replayed.
"""

import argparse
import gc
import io
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import anyio
import msgspec

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from flat import Traffic  # noqa: E402

from probes.board import Board  # noqa: E402
from probes.events import (  # noqa: E402
    DURABLE_TYPES,
    AttemptFinished,
    Event,
    decode_event,
    encode_event,
)
from probes.run.replay import run_replay  # noqa: E402
from probes.stats.sketch import BACKEND  # noqa: E402
from probes.store.recording_reader import read_recording  # noqa: E402

ROUTES = 8
CHUNKS = 48
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "x-ratelimit-limit-requests": "600",
    "x-ratelimit-remaining-requests": "512",
    "x-request-id": "0123456789abcdef0123456789abcdef",
}


def events(minutes: float) -> Iterator[Event]:
    """Yield what 8 routes tell in so many minutes, the durable events alone."""
    traffic = Traffic(ROUTES, 1.0)
    yield traffic.hello()
    for number, told in enumerate(traffic.slots()):
        if number >= minutes * 600:
            return
        for event in told:
            if isinstance(event, AttemptFinished):
                yield as_large_as_a_real_one(event)
            elif isinstance(event, DURABLE_TYPES):
                yield event


def as_large_as_a_real_one(event: AttemptFinished) -> AttemptFinished:
    """Return it with the chunks of an answer of 64 tokens, with ids and headers."""
    offsets = event.chunk_offsets_ns
    if offsets:
        step = (offsets[-1] - offsets[0]) // CHUNKS
        offsets = tuple(offsets[0] + step * number for number in range(CHUNKS))
    return msgspec.structs.replace(
        event,
        chunks=len(offsets),
        chunk_offsets_ns=offsets,
        headers=HEADERS,
        request_ids={"x-request-id": HEADERS["x-request-id"]},
        request_id=HEADERS["x-request-id"],
        status=200,
        http_version="HTTP/1.1",
        dialect="chat",
        clock="kernel",
    )


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU time of this process that `work` takes, all its threads together."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def command_s(path: Path, *options: str) -> float:
    """Return the CPU time of `llmtop replay`, from its start to its end."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "tui.cli", "replay", str(path), "--headless", *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def decode(lines: list[bytes]) -> None:
    for line in lines:
        decode_event(line)


def fold(told: list[Event]) -> None:
    board = Board()
    for event in told:
        board.fold(event)
    board.summary()


def read(path: Path) -> None:
    for _ in read_recording([path], sys.stderr.write):
        pass


def replay(path: Path) -> None:
    with Path("/dev/null").open("wb") as out:
        anyio.run(lambda: run_replay([path], out=out, report=sys.stderr.write))


def folded_by_type(told: list[Event]) -> dict[str, tuple[int, float]]:
    """Return how many events of each type there are, and the seconds of folding them.

    A moment of a route, which any event may bring about, counts for the event that did.
    """
    board = Board()
    spent: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    clock = time.thread_time_ns  # other processes of this machine are not to count
    of_the_clock = min(-clock() + clock() for _ in range(1000))
    for event in told:
        begin = clock()
        board.fold(event)
        took = clock() - begin - of_the_clock
        count = spent[str(type(event).__struct_config__.tag)]
        count[0] += 1
        count[1] += took
    return {name: (number, took / 1e9) for name, (number, took) in spent.items()}


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--keep", type=Path, help="write the made-up recording here")
    options.add_argument("recording", type=Path, nargs="?", help="one file of your own")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = asked.recording or asked.keep or Path(folder) / "hour.jsonl"
        if asked.recording is None:
            with path.open("wb") as file:
                file.writelines(map(encode_event, events(asked.minutes)))
        told = [event for batch, _ in read_recording([path], sys.stderr.write) for event in batch]
        lines = path.read_bytes().splitlines(keepends=True)
        # Passes of the collector over all that this benchmark holds are no part of a replay.
        gc.disable()
        number, out = len(told), io.StringIO()
        out.write(f"{number:,} events, {path.stat().st_size / 1e6:.1f} MB, {BACKEND}\n\n")
        out.write("| what | CPU s | µs an event |\n|---|---|---|\n")
        for what, took in (
            ("decoding alone", cpu_s(lambda: decode(lines))),
            ("reading: files, lines, decoding", cpu_s(lambda: read(path))),
            ("folding alone, decoded before", cpu_s(lambda: fold(told))),
            ("a replay in this process", cpu_s(lambda: replay(path))),
            ("`llmtop replay --headless`", command_s(path)),
            ("`llmtop replay --headless --only summary`", command_s(path, "--only", "summary")),
        ):
            out.write(f"| {what} | {took:.2f} | {took / number * 1e6:.1f} |\n")
    out.write("\n| folding by type | events | s | µs an event | share |\n|---|---|---|---|---|\n")
    by_type = folded_by_type(told)
    whole = sum(took for _, took in by_type.values())
    for name, (count, took) in sorted(by_type.items(), key=lambda item: -item[1][1]):
        each = took / count * 1e6
        out.write(f"| `{name}` | {count:,} | {took:.2f} | {each:.1f} | {took / whole:.0%} |\n")
    sys.stdout.write(out.getvalue())


if __name__ == "__main__":
    main()
