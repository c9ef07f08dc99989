"""Servers that others wrote, as processes of their own on free ports of the loopback."""

import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO, Final

import pytest

HERE: Final = Path(__file__).parent
START_S: Final = 30.0
STOP_S: Final = 5.0
_LINES_KEPT: Final = 40


class PeerError(Exception):
    """A peer did not start; its message holds the peer's last words."""


def missing_packages(*names: str) -> pytest.MarkDecorator:
    """Skip the tests of a module where a package is not installed, and say how to get it."""
    missing = [name for name in names if find_spec(name) is None]
    reason = f"needs {', '.join(missing)}: pip install -e '.[peers]'"
    return pytest.mark.skipif(bool(missing), reason=reason)


@contextmanager
def served(
    command: Sequence[str], address: str, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a server until the block ends; give what the group of the pattern `address` says.

    Raises:
        PeerError: it ended before it said where it listens.
        TimeoutError: it did not say so in `START_S` seconds.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        errors="replace",
    ) as process:
        found: Future[str] = Future()
        assert process.stdout is not None
        reader = Thread(target=_follow, args=(process.stdout, re.compile(address), found))
        reader.start()
        try:
            yield found.result(START_S)
        finally:
            _end(process)
            reader.join(STOP_S)


def _follow(output: IO[str], address: re.Pattern[str], found: Future[str]) -> None:
    """Read all a process says, so that it never waits for us."""
    last_words: deque[str] = deque(maxlen=_LINES_KEPT)
    for line in output:
        last_words.append(line)
        told = address.search(line)
        if told is not None and not found.done():
            found.set_result(told.group(1))
    if not found.done():
        found.set_exception(PeerError("the peer ended:\n" + "".join(last_words)))


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


def python(*arguments: str) -> list[str]:
    """Return the command that runs this Python, blind for the current folder."""
    return [sys.executable, "-P", *arguments]


def simulated(scenario: str) -> AbstractContextManager[str]:
    """Run llmtop's own provider beside them."""
    command = python("-m", "probes.simulator", "--scenario", scenario, "--until-eof")
    return served(command, r'"base_url": ?"([^"]+)"')


@contextmanager
def llama_cpp(folder: Path, slot_tokens: int = 512) -> Iterator[str]:
    """Run llama.cpp's own server on a tiny model, written to a folder; give its base URL."""
    from tiny_gguf import write_tiny_model

    model = folder / "tiny.gguf"
    write_tiny_model(model)
    command = python(str(HERE / "llama_server.py"), str(model), str(slot_tokens))
    with served(command, r'"base_url": "([^"]+)"') as url:
        yield url


def llmock(*options: str) -> AbstractContextManager[str]:
    """Run PyPI's llmock; give its URL without the path."""
    command = python("-m", "llmock.cli", "serve", "--host", "127.0.0.1", "--port", "0", *options)
    return served(command, r"Uvicorn running on (http://[\d.:]+)")
