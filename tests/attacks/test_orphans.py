"""However a run ends, nothing of it is left: no engine, no key's command, nothing of theirs."""

import os
import signal
import sys
import uuid
from pathlib import Path

import pytest
from counting_server import Behaviour, CountingServer
from running import HEADLESS, LLMTOP, alive, home_of, running, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SETTINGS = """
[routes.a]
base_url = "{url}"
model = "m"
max_tokens = 500
concurrency = 4
interval = 0.2
{more}
"""
FEW = 2
MANY = pytest.param(20, marks=pytest.mark.long)
ENDS = [signal.SIGHUP, signal.SIGKILL, signal.SIGTERM]


def engines(mark: str) -> list[int]:
    found = []
    for process in alive(mark):
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"probes" in words:
            found.append(process)
    return found


@pytest.mark.parametrize("times", [FEW, MANY])
@pytest.mark.parametrize("number", ENDS)
def test_a_headless_run_leaves_nothing(tmp_path: Path, number: signal.Signals, times: int) -> None:
    with CountingServer(Behaviour(rate=50)) as server:
        settings = tmp_path / "routes.toml"
        settings.write_text(SETTINGS.format(url=server.base_url, more=""))
        settings.chmod(0o600)
        for turn in range(times):
            mark = f"llmtop-attack-{uuid.uuid4()}"
            argv = [*HEADLESS, "--duration", "30", "--config", str(settings)]
            before = len(server.requests)
            with running(argv, home_of(tmp_path, MARK=mark)) as process:
                if turn % 2:  # while it works; the other times while it starts
                    assert until(lambda before=before: len(server.requests) > before + 3)
                else:
                    assert until(lambda mark=mark: bool(engines(mark)))
                process.send_signal(number)
                process.wait(10)
                assert until(lambda mark=mark: not alive(mark), 5), alive(mark)


@pytest.mark.parametrize("times", [FEW, MANY])
def test_an_engine_that_is_killed_leaves_nothing_and_is_replaced(
    tmp_path: Path, times: int
) -> None:
    with CountingServer(Behaviour(rate=50)) as server:
        settings = tmp_path / "routes.toml"
        settings.write_text(SETTINGS.format(url=server.base_url, more=""))
        settings.chmod(0o600)
        for _ in range(times):
            mark = f"llmtop-attack-{uuid.uuid4()}"
            argv = [*HEADLESS, "--duration", "30", "--config", str(settings)]
            with running(argv, home_of(tmp_path, MARK=mark)) as process:
                assert until(lambda mark=mark: bool(engines(mark)))
                (first,) = engines(mark)
                os.kill(first, signal.SIGKILL)
                assert until(lambda mark=mark, first=first: engines(mark) not in ([], [first]))
                process.send_signal(signal.SIGHUP)
                process.wait(10)
                assert until(lambda mark=mark: not alive(mark), 5), alive(mark)


@pytest.mark.parametrize("times", [FEW, MANY])
@pytest.mark.parametrize("number", ENDS)
def test_a_keys_command_is_not_left_behind(
    tmp_path: Path, number: signal.Signals, times: int
) -> None:
    begun = tmp_path / "begun"
    lines = f"setsid sleep 60 & sleep 60 & touch {begun}; trap '' TERM HUP; sleep 60"
    settings = tmp_path / "routes.toml"
    more = f'api_key_cmd = ["sh", "-c", "{lines}"]'
    settings.write_text(SETTINGS.format(url="http://127.0.0.1:9/v1", more=more))
    settings.chmod(0o600)
    for turn in range(times):
        mark = f"llmtop-attack-{uuid.uuid4()}"
        argv = [LLMTOP, [*HEADLESS, "--duration", "30"]][turn % 2]
        command = ["once"] if turn % 2 == 0 else []
        with running(
            [*argv, *command, "--config", str(settings)], home_of(tmp_path, MARK=mark)
        ) as process:
            assert until(begun.exists)
            assert len(alive(mark)) >= 4
            process.send_signal(number)
            process.wait(10)
            assert until(lambda mark=mark: not alive(mark), 5), alive(mark)
        begun.unlink()
