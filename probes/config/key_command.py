"""A command of the user's: run without a shell, bounded, and ended with us, however we end.

It prints a key (`run_key_command`), or is told something (`tell_command`).

Rule 1: the end is the process's, not its pipe's: what it printed until then is read, and an agent
that it leaves behind is waited for by nobody. Rule 2: after `COMMAND_SECONDS`, after too much
output, and when we are interrupted or killed, the command goes with all that it started
(`probes.config.keeper`). Rule 3: what is run is nobody else's to replace. Rule 4: errors show
neither what was printed nor the arguments.
"""

import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from probes.kit.child_environment import child_environment
from probes.kit.trust import UntrustedError, judge_executable

COMMAND_SECONDS: Final = 10.0
"""Enough for a program that asks a server, and short for one that asks a person unseen."""
COMMAND_BYTES: Final = 4096
"""A key has some dozens; the signed tokens that clouds give out have one or two thousand."""
MOST_GIVEN: Final = 32 << 10
"""Half of what a pipe holds on Linux, and as much as one on macOS grows to."""
_KEEPER: Final = Path(__file__).with_name("keeper.py")
_LEAVING_S: Final = 5.0
"""What the keeper has to kill everything; it takes milliseconds."""


def run_key_command(argv: Sequence[str], *, seconds: float = COMMAND_SECONDS) -> str:
    """Return what a key command prints: no shell, stdin closed, 4 KB and `seconds` at most.

    Raises:
        ValueError: it could not be started, took too long, printed too much or failed. The text
            holds neither what it printed nor its arguments.
    """
    program = shutil.which(argv[0]) or argv[0]
    _judge(program, argv)
    if sys.platform == "win32":
        return _run_unkept(argv, seconds)
    return _run_kept(program, argv, seconds)


def tell_command(
    argv: Sequence[str], given: bytes, *, seconds: float, environ: Mapping[str, str]
) -> None:
    """Run a command that reads `given` from its standard input; what it prints is dropped.

    Args:
        argv: no shell sees it.
        given: at most `MOST_GIVEN` bytes, which a pipe takes at once: nobody waits for whom reads
            nothing of it.
        seconds: after so long it is killed, with all that it started.
        environ: all of its environment.

    Raises:
        ValueError: it could not be started, took too long or failed. The text holds no argument.
    """
    program = shutil.which(argv[0], path=environ.get("PATH")) or argv[0]
    _judge(program, argv)
    if len(given) > MOST_GIVEN:
        raise ValueError(f"is not told more than {MOST_GIVEN:,} bytes")
    if sys.platform == "win32":
        _run_unkept(argv, seconds, given, environ)
    else:
        _run_kept(program, argv, seconds, given, environ)


def _run_kept(
    program: str,
    argv: Sequence[str],
    seconds: float,
    given: bytes | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a command by its keeper; return what it prints, unless something is given to it."""
    life_line, ours = os.pipe()
    output, output_end = os.pipe()
    status, status_end = os.pipe()
    theirs = [life_line, output_end, status_end]
    input_end = -1
    stdout = output_end
    if given is not None:
        input_end, giving = os.pipe()
        os.write(giving, given)
        os.close(giving)
        # It may print as much as it likes.
        stdout = os.open(os.devnull, os.O_WRONLY)
        theirs += [input_end, stdout]
    try:
        keeper = subprocess.Popen(  # noqa: S603 - our interpreter and file; argv is the user's own
            [
                *(sys.executable, "-I", "-S", str(_KEEPER)),
                *(str(status_end), str(input_end), program, *argv),
            ],
            stdin=life_line,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            pass_fds=(status_end,) if input_end < 0 else (status_end, input_end),
            env=child_environment(os.environ) if environ is None else dict(environ),
            start_new_session=True,
        )
    except OSError as error:
        for descriptor in (ours, output, status):
            os.close(descriptor)
        raise ValueError(_not_started(error)) from None
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    try:
        printed, report = _listen(output, status, seconds)
    finally:
        # From here on nothing of it is left, whatever ended the listening, Ctrl-C too.
        os.close(ours)
        _see_off(keeper)
        os.close(output)
        os.close(status)
    return _outcome(printed, report)


def _judge(program: str, argv: Sequence[str]) -> None:
    """Refuse what others could have put there: the program, and the script of an interpreter.

    Raises:
        ValueError: they could.
    """
    for named in (program, *argv[1:2]):
        try:
            if Path(named).is_file():
                judge_executable(Path(named))
        except UntrustedError as error:
            what = program if named == program else "its script"
            raise ValueError(f"is not run: {what}: {error}") from None
        except OSError:
            continue  # it is no file, or gone: starting it tells


def _listen(output: int, status: int, seconds: float) -> tuple[bytes, bytes]:
    """Return what the command printed until it ended, and how the keeper says it did.

    Raises:
        ValueError: it did not end in time, or printed too much.
    """
    deadline_s = time.monotonic() + seconds
    printed, report = bytearray(), bytearray()
    heard = {output: printed, status: report}
    with selectors.DefaultSelector() as selector:
        for descriptor in heard:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        while status in selector.get_map() and not report.endswith(b"\n"):
            ready = selector.select(max(0.0, deadline_s - time.monotonic()))
            if not ready:
                raise ValueError(f"did not end within {seconds:g} s")
            for key, _ in ready:
                piece = _read(key.fd)
                heard[key.fd] += piece
                if not piece:  # it closed its end, and may run on
                    selector.unregister(key.fd)
            if len(printed) > COMMAND_BYTES:
                break
    # All that it printed lies in the pipe by now; what others write there later is not its own.
    while len(printed) <= COMMAND_BYTES and (piece := _read(output)):
        printed += piece
    if len(printed) > COMMAND_BYTES:
        raise ValueError(f"printed more than {COMMAND_BYTES:,} bytes")
    return bytes(printed), bytes(report)


def _read(descriptor: int) -> bytes:
    """Return what lies in a pipe; nothing at its end, and nothing where there is nothing."""
    try:
        return os.read(descriptor, COMMAND_BYTES + 1)
    except BlockingIOError:
        return b""


def _see_off(keeper: "subprocess.Popen[bytes]") -> None:
    """Wait until the keeper has gone, and with it whatever was to go."""
    try:
        keeper.wait(_LEAVING_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def _outcome(printed: bytes, report: bytes) -> str:
    """Return what a command printed; `report` is the keeper's, of how it ended.

    Raises:
        ValueError: the command could not be started, or failed.
    """
    if report.startswith(b"e"):
        number = int(report[1:])
        raise ValueError(_not_started(OSError(number, os.strerror(number))))
    if not report.startswith(b"s"):
        raise ValueError("cannot be started: its keeper did not last")
    if int(report[1:]) != 0:
        raise ValueError(f"ended with status {int(report[1:])}; run it by hand to see why")
    return printed.decode(errors="replace")


def _not_started(error: OSError) -> str:
    return f"cannot be started: {error.strerror or type(error).__name__}"


def _run_unkept(
    argv: Sequence[str],
    seconds: float,
    given: bytes = b"",
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a command where there are no sessions to keep it in: Windows."""
    try:
        ended = subprocess.run(  # noqa: S603 - an argv list of the user's own, without a shell
            list(argv),
            input=given,
            env=child_environment(os.environ) if environ is None else dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"did not end within {seconds:g} s") from None
    except OSError as error:
        raise ValueError(_not_started(error)) from None
    if len(ended.stdout) > COMMAND_BYTES:
        raise ValueError(f"printed more than {COMMAND_BYTES:,} bytes")
    return _outcome(ended.stdout, b"s%d" % ended.returncode)
