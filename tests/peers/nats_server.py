"""A real `nats-server -js` on loopback, which a test may kill, stop and start again.

Debian has it in `nats-server`; see `programs` for what becomes of the tests without it.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from programs import program

START_S: Final = 20.0


def free_port() -> int:
    """Return a port of the loopback that nobody has now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class NatsServer:
    """One server with its store in a folder and a port that stays its own over restarts."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        jetstream: bool = True,
        scheme: str = "nats",
        userinfo: str = "",
    ) -> None:
        self.port = free_port()
        at = f"{userinfo}@" if userinfo else ""
        self.url = f"{scheme}://{at}127.0.0.1:{self.port}"
        store = ["-js", "-sd", str(folder / "store")] if jetstream else []
        address = ["-a", "127.0.0.1", "-p", str(self.port)]
        self.log = folder / "nats.log"
        self._command = [
            program("nats-server", "nats-server"),
            *store,
            *address,
            "-l",
            str(self.log),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        assert self._process is None, "it runs"
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"nats-server did not start: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a power cut would, but for what the kernel holds of its files."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def stop(self) -> None:
        """Stop it where it stands: it keeps its connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `stop`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def nats_server(
    folder: Path,
    *options: str,
    jetstream: bool = True,
    scheme: str = "nats",
    userinfo: str = "",
) -> Iterator[NatsServer]:
    """Run a server until the block ends; `options` are more of its command line."""
    folder.mkdir(parents=True, exist_ok=True)
    server = NatsServer(folder, *options, jetstream=jetstream, scheme=scheme, userinfo=userinfo)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def with_users(folder: Path, *users: Sequence[str]) -> list[str]:
    """Return the options of a server that takes those (user, password) alone."""
    lines = ", ".join(f'{{user: "{user}", password: "{password}"}}' for user, password in users)
    path = folder / "users.conf"
    path.write_text(f"authorization {{ users: [{lines}] }}\n", encoding="utf-8")
    return ["-c", str(path)]
