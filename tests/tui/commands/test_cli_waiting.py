"""`check` and `once` while a server lets them wait, as real processes with real signals."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.engine.single import stage_of
from tui.commands.waiting import WaitingLine

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "tui.cli"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")


class Server:
    """Answers at `/404/…` with a 404, at `/slow/…` with one token; else with nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = threading.Semaphore(0)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            head = connection.recv(65_536)
            if b" /404/" in head:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            elif b" /slow/" in head:
                chunk = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + chunk
                )
            self.asked.release()

    def close(self) -> None:
        # A listener that a thread waits at has to be shut down before it can be closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path, server: Server) -> Path:
    file = tmp_path / "routes.toml"
    file.write_text(
        f"""
        [defaults]
        model = "m"
        retries = 0
        [routes.hangs]
        base_url = "{server.url}/v1"
        [routes.slow]
        base_url = "{server.url}/slow/v1"
        [routes.lost]
        base_url = "{server.url}/404?key=hidden"
        """
    )
    file.chmod(0o600)
    return file


def started(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )


def first_lines(process: "subprocess.Popen[str]", number: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(number)]


def test_a_row_comes_when_its_probe_ends_and_ctrl_c_tells_of_the_others(
    tmp_path: Path, settings: Path, server: Server
) -> None:
    with started(tmp_path, "check", "--config", str(settings)) as process:
        head, lost = first_lines(process, 2)
        assert head.split()[:3] == ["ROUTE", "OUTCOME", "REASON"]
        assert lost.split()[:4] == ["lost", "client", "error", "not_found"]
        for _ in range(3):
            assert server.asked.acquire(timeout=10)
        time.sleep(0.3)  # the answer's one token is on its way
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    rows = dict(line.split(maxsplit=1) for line in rest.splitlines())
    assert rows["hangs"].startswith("open          waited ")
    assert rows["hangs"].endswith(" s, connected, no first token")
    assert " s, 1 output chunk, the last " in rows["slow"]
    asked = f"{server.url}/404/chat/completions?key=***"
    assert f"llmtop: lost: asked POST {asked}\n" in errors
    assert f"base_url has no /v1, below which most servers answer: try {server.url}/404/v1" in (
        errors
    )
    assert "hidden" not in errors
    assert f"llmtop: hangs: asked POST {server.url}/v1/chat/completions\n" in errors


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_once_tells_how_far_it_came(
    tmp_path: Path, settings: Path, server: Server, number: signal.Signals, status: int
) -> None:
    with started(tmp_path, "once", "hangs", "--config", str(settings)) as process:
        assert server.asked.acquire(timeout=10)
        time.sleep(0.3)  # what was sent is stamped
        process.send_signal(number)
        out, errors = process.communicate(timeout=10)
    assert process.returncode == status
    assert "  connect " in out
    assert "  given up " in out
    assert "llmtop: hangs: stopped: waited 0." in errors
    assert " s, connected, no first token\n" in errors


def test_json_rows_are_lines_and_say_of_open_ones_what_they_waited_for(
    tmp_path: Path, settings: Path, server: Server
) -> None:
    with started(tmp_path, "check", "--json", "--config", str(settings)) as process:
        (line,) = first_lines(process, 1)
        for _ in range(3):
            assert server.asked.acquire(timeout=10)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=10)
    assert process.returncode == 143
    rows = {row["route"]: row for row in map(json.loads, [line, *rest.splitlines()])}
    assert (rows["lost"]["outcome"], rows["lost"]["reason"]) == ("client_error", "not_found")
    assert {rows[name]["outcome"] for name in ("hangs", "slow")} == {"open"}
    assert rows["hangs"]["waited"].startswith("waited ")


def test_a_terminal_has_one_line_that_is_written_over(
    tmp_path: Path, settings: Path, server: Server
) -> None:
    # Some seconds of wall time: a terminal says nothing of the first.
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "once", "hangs", "--config", str(settings)],
        stdin=end,
        stdout=end,
        stderr=end,
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "COLUMNS": "60"},
    )
    os.close(end)
    shown, deadline = b"", time.monotonic() + 20
    while shown.count(b"connected, no first token") < 3 and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    while select.select([terminal], [], [], 10)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    os.close(terminal)
    assert process.wait(10) == 130
    before = shown.split(b"given up")[0]
    assert before.count(b"\rhangs: waited ") >= 3
    assert b"\n" not in before.split(b"\r      ")[0]
    assert b"Traceback" not in shown


class Waits:
    """A probe of some seconds."""

    def __init__(self, seconds: float) -> None:
        self.waited_s = seconds
        self.stage = "connected, no first token"


@pytest.mark.anyio
async def test_a_file_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import anyio

    monkeypatch.setattr("tui.commands.waiting._SAY_S", 0.01)
    probes = [(f"r{number}\x1b[2J", Waits(12.34)) for number in range(5)]
    with anyio.move_on_after(0.05):
        await WaitingLine(lambda: probes).run()
    line, *_ = capsys.readouterr().err.splitlines()
    assert line.startswith("llmtop: r0")
    assert ": waited 12.3 s, connected, no first token; r1" in line
    assert line.endswith("; and 2 more")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("steps", "chunks", "silent_s", "streamed", "words"),
    [
        ((), 0, None, True, "not begun"),
        (("started",), 0, None, True, "not connected"),
        (("started", "dns"), 0, None, True, "not connected"),
        (("started", "dns", "tcp"), 0, None, True, "connected, the request is not sent"),
        (("started", "tcp", "tls"), 0, None, True, "connected, the request is not sent"),
        (("started", "sent"), 0, None, True, "connected, no first token"),
        (("started", "tcp", "sent"), 0, None, False, "connected, no whole answer"),
        (("started", "sent", "headers"), 0, None, True, "headers came, no first token"),
        (
            ("started", "sent", "headers", "first_token"),
            7,
            1.24,
            True,
            "7 output chunks, the last 1.2 s ago",
        ),
    ],
)
def test_an_attempt_is_told_by_the_last_step_that_it_reached(
    steps: tuple[str, ...], chunks: int, silent_s: float | None, streamed: bool, words: str
) -> None:
    stamps = dict.fromkeys(steps, 1)
    assert stage_of(stamps, chunks=chunks, silent_s=silent_s, streamed=streamed) == words
