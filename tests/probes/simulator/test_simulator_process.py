"""The server as a child process: one line, then service, then a clean end.

These tests start Python and so take about half a second of wall time each.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import probes
from probes.kit.clock import NS_PER_S

ROOT = Path(probes.__file__).parents[1]
COMMAND = [sys.executable, "-P", "-m", "probes.simulator"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "SIMULATOR_KEY": "sesame"}


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=5)
    return process.returncode, out, err


def test_it_announces_itself_serves_and_ends_with_its_standard_input() -> None:
    with started("--scenario", "healthy", "--until-eof") as (process, line):
        assert line["scenario"] == "healthy"
        truth = httpx.get(f"{line['base_url']}/truth").json()
        assert truth["started_ns"] == line["started_ns"]
        assert 0 < time.monotonic_ns() - line["started_ns"] < 60 * NS_PER_S
        models = httpx.get(f"{line['base_url']}/v1/models").json()["data"]
        assert [model["id"] for model in models] == ["healthy"]
        assert end(process) == (0, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with started() as (process, line):
        assert line["scenario"] == "demo"
        process.send_signal(number)
        assert end(process) == (0, b"", b"")


def test_the_key_is_taken_from_the_environment() -> None:
    with started("--api-key-env", "SIMULATOR_KEY") as (_, line):
        url = f"{line['base_url']}/v1/models"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer sesame"}).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scenario", "nope"), b"there are: all-routes-overloaded, "),
        (("--port", "70000"), b"from 0 to 65535"),
        (("--port", "http"), b"invalid"),
        (("--api-key-env", "SURELY_NOT_SET"), b"SURELY_NOT_SET is not set"),
    ],
)
def test_wrong_usage_is_one_message_and_status_2(arguments: tuple[str, ...], words: bytes) -> None:
    result = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, env=ENVIRONMENT, check=False, timeout=10
    )
    assert result.returncode == 2
    assert words in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_port_in_use_is_one_line_and_status_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = [*COMMAND, "--port", str(taken.getsockname()[1])]
        result = subprocess.run(
            arguments, capture_output=True, env=ENVIRONMENT, check=False, timeout=10
        )
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.count(b"\n") == 1
    assert b"in use" in result.stderr
