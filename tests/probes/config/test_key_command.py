"""A command that prints a key: its end is the process's, and nothing of it outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.config.key_command import run_key_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs processes of POSIX")

ROOT = Path(__file__).parents[3]


def until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Callable[[], list[int]]]:
    """The processes that the commands of a test noted, none of which may be left after it."""
    file = tmp_path / "pids"
    file.touch()

    def noted() -> list[int]:
        return [int(line) for line in file.read_text().split()]

    yield noted
    for process in noted():
        if is_alive(process):
            os.kill(process, signal.SIGKILL)


def noting(tmp_path: Path, *lines: str) -> list[str]:
    """A shell that notes its own process, then does `lines`, in which $P is the file."""
    return ["sh", "-c", "\n".join([f"P={tmp_path}/pids", "echo $$ >> $P", *lines])]


SLEEPERS = (
    "sleep 60 & echo $! >> $P",
    "setsid sleep 60 & echo $! >> $P",
    "(setsid sh -c 'echo $$ >> '$P'; sleep 60 & echo $! >> '$P'; wait' &)",
    "trap '' TERM HUP INT",
    "sleep 60",
)
ALL_NOTED = "until [ $(wc -l < $P) -ge 5 ]; do sleep 0.02; done"


def test_an_agent_that_holds_the_pipe_is_not_waited_for(
    tmp_path: Path, pids: Callable[[], list[int]]
) -> None:
    begun = time.monotonic()
    argv = noting(tmp_path, "sleep 60 & echo $! >> $P", "echo the-key")
    assert run_key_command(argv, seconds=8) == "the-key\n"
    assert time.monotonic() - begun < 4
    _, agent = pids()
    assert is_alive(agent)  # it is the user's: only a command that fails us takes all along


def test_a_command_that_closes_its_output_and_runs_on_is_waited_for(tmp_path: Path) -> None:
    assert run_key_command(["sh", "-c", "echo key; exec >&-; sleep 0.2"]) == "key\n"
    with pytest.raises(ValueError, match="ended with status 3"):
        run_key_command(["sh", "-c", "echo key; exec >&-; sleep 0.2; exit 3"])


def test_a_key_of_the_longest_size_comes_whole() -> None:
    assert run_key_command(["sh", "-c", "printf %04096d 7"]) == "7".zfill(4096)
    with pytest.raises(ValueError, match="printed more than 4,096 bytes"):
        run_key_command(["sh", "-c", "printf %04097d 7"])


def test_a_command_that_a_signal_ended_is_told_so() -> None:
    with pytest.raises(ValueError, match="ended with status -9"):
        run_key_command(["sh", "-c", "kill -9 $$"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of no descendants")
@pytest.mark.parametrize("last", ["sleep 60", "while :; do echo flood; done"])
def test_what_takes_too_long_or_says_too_much_goes_with_all_its_descendants(
    tmp_path: Path, pids: Callable[[], list[int]], last: str
) -> None:
    with pytest.raises(ValueError, match=r"did not end|printed more"):
        run_key_command(noting(tmp_path, *SLEEPERS[:-1], ALL_NOTED, last), seconds=3)
    assert len(pids()) == 5
    assert until(lambda: not any(map(is_alive, pids())))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of no descendants")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_us_however_we_end(
    tmp_path: Path, pids: Callable[[], list[int]], number: int
) -> None:
    argv = noting(tmp_path, *SLEEPERS)
    code = (
        "from probes.config.key_command import run_key_command;"
        f"run_key_command({argv!r}, seconds=30)"
    )
    us = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert until(lambda: len(pids()) == 5)
        us.send_signal(number)
        us.wait(5)
        assert until(lambda: not any(map(is_alive, pids())))
    finally:
        us.kill()
        us.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_a_command_does_not_outlive_its_keeper(
    tmp_path: Path, pids: Callable[[], list[int]]
) -> None:
    kill_keeper = "kill -9 $PPID"
    with pytest.raises(ValueError, match="its keeper did not last"):
        run_key_command(noting(tmp_path, kill_keeper, "exec sleep 60"), seconds=8)
    assert until(lambda: not any(map(is_alive, pids())))


def test_no_descriptor_and_no_process_is_left_behind() -> None:
    run_key_command(["true"])
    before = sorted(path.name for path in Path("/dev/fd").iterdir())
    for argv in (["true"], ["false"], ["/nonexistent"], ["sh", "-c", "exec cat /dev/zero"]):
        try:
            run_key_command(argv)
        except ValueError:
            continue
    assert sorted(path.name for path in Path("/dev/fd").iterdir()) == before


def a_script(folder: Path) -> Path:
    script = folder / "helper"
    script.write_text("#!/bin/sh\necho key\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("by_shell", [False, True])
def test_what_others_could_have_put_there_is_not_run(tmp_path: Path, by_shell: bool) -> None:
    script = a_script(tmp_path)
    argv = [*(["sh"] if by_shell else []), str(script)]
    assert run_key_command(argv) == "key\n"
    script.chmod(0o775)
    with pytest.raises(
        ValueError, match=r"is not run: .*others can write it .mode 0775."
    ) as caught:
        run_key_command(argv)
    assert f"chmod go-w {script}" in str(caught.value)
    script.chmod(0o755)
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match="others can write the folder"):
        run_key_command(argv)
    tmp_path.chmod(0o700)


def test_a_program_is_found_and_judged_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_script(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run_key_command(["helper"]) == "key\n"
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match=r"is not run: .*/helper: others can write the folder"):
        run_key_command(["helper"])
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("argv", "words"),
    [(["/nonexistent/x"], "No such file"), (["/etc/passwd"], "Permission denied"),
     (["/"], "Permission denied")],
)  # fmt: skip
def test_what_cannot_be_started_says_why(argv: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be started: {words}"):
        run_key_command(argv)
