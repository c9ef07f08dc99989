"""The embedded provider as a child process, for `llmtop demo` and `llmtop simulate`."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

import msgspec

from probes.kit.child_environment import child_environment
from tui.commands.output import UsageError

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 2.0
_LAST_WORDS: Final = 2000


class _Greeting(msgspec.Struct):
    """First line of the simulator."""

    base_url: str
    started_ns: int


@dataclass(frozen=True, slots=True)
class RunningProvider:
    """The embedded provider, serving."""

    base_url: str
    """Without `/v1`."""
    started_ns: int
    """What its scenario counts its seconds from, monotonic."""
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Return when it has ended, which it does by itself only when it breaks."""
        self.process.wait()


@contextlib.contextmanager
def embedded_provider(
    scenario: str, *, seed: int | None = None, port: int = 0
) -> Iterator[RunningProvider]:
    """Serve a scenario on loopback while the block runs; port 0 takes a free one.

    The child ends when its stdin does, so it never outlives this process, however that ends.

    Raises:
        UsageError: it did not start; the text has its last words.
    """
    with _started(_argv(scenario, seed, port)) as (process, words):
        try:
            greeting = _greeting(process, words)
            yield RunningProvider(greeting.base_url, greeting.started_ns, process)
        finally:
            _end(process)


@contextlib.contextmanager
def _started(argv: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with contextlib.ExitStack() as stack:
        try:
            words = stack.enter_context(tempfile.TemporaryFile())
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    env=child_environment(os.environ),
                    start_new_session=os.name == "posix",
                )
            )
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"the embedded provider cannot be started: {why}") from None
        yield process, words


def _argv(scenario: str, seed: int | None, port: int) -> list[str]:
    # -P: a folder named `probes` in the current directory must not run instead.
    argv = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", scenario]
    argv += [] if seed is None else ["--seed", str(seed)]
    return [*argv, "--port", str(port), "--until-eof"]


def _greeting(process: subprocess.Popen[bytes], words: IO[bytes]) -> _Greeting:
    timer = threading.Timer(_START_SECONDS, process.kill)
    timer.start()
    try:
        line = process.stdout.readline() if process.stdout else b""
        return msgspec.json.decode(line, type=_Greeting)
    except msgspec.DecodeError:
        process.kill()
        process.wait()
        raise UsageError(f"the embedded provider did not start: {_last_line(words)}") from None
    finally:
        timer.cancel()


def _last_line(words: IO[bytes]) -> str:
    words.seek(0)
    lines = words.read().decode(errors="replace")[-_LAST_WORDS:].strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        # A child that is gone has closed the other end already.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
