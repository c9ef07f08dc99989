"""The truth mode as a child process: one line, then service, then a clean end.

These tests start Python and so take about half a second of wall time each.
"""

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from truth.command import ARGV, ENVIRONMENT, argv_in_c
from truth.metronome_kit import events, truth


@contextmanager
def started(
    *arguments: str, argv: tuple[str, ...] = ARGV
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([*argv, *arguments], env=ENVIRONMENT, **pipes)
    try:
        yield process, json.loads(process.stdout.readline())["base_url"]
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=5)
    return process.returncode, out, err


def test_it_announces_itself_keeps_the_asked_pace_and_ends_with_its_standard_input() -> None:
    options = ("--tokens", "3", "--rate", "1000", "--first-after", "0", "0.001", "--until-eof")
    with started(*options) as (process, url), httpx.Client() as client:
        assert len(events(client, url)) == 6
        assert truth(client, url).records[0].output_tokens == 3
        assert end(process) == (0, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with started() as (process, _):
        process.send_signal(number)
        assert end(process) == (0, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "70000"), b"a port is from 0 to 65535"),
        (("--capacity", "0"), b"a capacity from 1"),
        (("--tokens", "0"), b"tokens is a number from 1"),
        (("--first-after", "2", "1"), b"the least first"),
        (("--rate", "fast"), b"invalid"),
    ],
)
def test_wrong_usage_is_one_message_and_status_2(arguments: tuple[str, ...], words: bytes) -> None:
    result = subprocess.run(
        [*ARGV, *arguments], capture_output=True, env=ENVIRONMENT, check=False, timeout=10
    )
    assert result.returncode == 2
    assert words in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_port_in_use_is_one_line_and_status_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = [*ARGV, "--port", str(taken.getsockname()[1])]
        result = subprocess.run(
            arguments, capture_output=True, env=ENVIRONMENT, check=False, timeout=10
        )
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.count(b"\n") == 1
    assert b"in use" in result.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_one_in_c_says_the_same(tmp_path: Path) -> None:
    options = ("--tokens", "3", "--rate", "1000", "--first-after", "0", "0.001", "--until-eof")
    said = []
    for argv in (ARGV, argv_in_c(tmp_path)):
        assert argv is not None
        with started(*options, argv=argv) as (process, url), httpx.Client() as client:
            stream_options = {"include_usage": True}
            streams = [events(client, url, stream_options=stream_options) for _ in range(3)]
            page = truth(client, url)
            assert truth(client, url, since=2).records == page.records[2:]
            assert truth(client, url, since=10**17, method="DELETE").records == ()
            assert truth(client, url).records == ()
            assert end(process) == (0, b"", b"")
        for stream, record in zip(streams, page.records, strict=True):
            assert all(json.loads(each)["id"] == record.response_id for each in stream[:-1])
            assert sorted(record.chunks_ns) == record.chunks_ns
            assert record.read_ns <= record.chunks_ns[0]
        shape = [
            [*json.loads(each), *(json.loads(each)["choices"] or [{}])[0], len(json.loads(each))]
            for each in streams[0][:-1]
        ]
        records = [
            (record.n, record.chunk_tokens, record.ending, record.first_of_connection)
            for record in page.records
        ]
        said.append((len(streams[0]), streams[0][-1], shape, records, page.last, page.late_ns.n))
    assert said[0] == said[1]
