"""A real sshd on the loopback, with keys of its own, for whoever runs the tests: root or anybody.

Nothing of the machine's own ssh is read or changed: host key, user key, known hosts, settings of
both ends are files of the test, and `ssh` is a script of its own, the first on the PATH.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from programs import program

STARTS_S: Final = 10.0
HOSTS: Final = ("eu.test", "us.test")
"""Names that the test's ssh leads here."""


class SshServer:
    """One sshd; `start` it, `cut` its connections, `kill` it, and start it again."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Prepare keys and settings; `environment` is that of whoever logs in."""
        self._sshd = program("sshd", "openssh-server")
        self._ssh = program("ssh", "openssh-client")
        self._keygen = program("ssh-keygen", "openssh-client")
        self.folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host", "user", "stranger"):
            self._new_key(name)
        self.let_in("user")
        self.know_host()
        told = " ".join(f"{name}={value}" for name, value in environment.items())
        self._write(
            "sshd.conf",
            f"""
            ListenAddress 127.0.0.1
            Port {self._port}
            HostKey {folder}/host
            PidFile none
            AuthorizedKeysFile {folder}/authorized
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            SetEnv {told}
            """,
        )
        self._write(
            "ssh.conf",
            f"""
            Host {" ".join(HOSTS)}
            HostName 127.0.0.1
            Port {self._port}
            User {getpass.getuser()}
            IdentityFile {folder}/identity
            IdentitiesOnly yes
            UserKnownHostsFile {folder}/known
            GlobalKnownHostsFile none
            """,
        )
        shutil.copy(folder / "user", folder / "identity")
        self.path.mkdir()
        self._write_ssh(f'exec {self._ssh} -F {folder}/ssh.conf "$@"')

    @property
    def path(self) -> Path:
        """The folder of the test's `ssh`."""
        return self.folder / "bin"

    def let_in(self, key: str) -> None:
        """Let whoever has a key log in, and nobody else."""
        shutil.copy(self.folder / f"{key}.pub", self.folder / "authorized")

    def know_host(self, key: str = "host") -> None:
        """Have ssh believe that the server's key is this one; any other is another machine's."""
        public = " ".join((self.folder / f"{key}.pub").read_text().split()[:2])
        (self.folder / "known").write_text(f"[127.0.0.1]:{self._port} {public}\n")

    def forget_host(self) -> None:
        """Have ssh know no host."""
        (self.folder / "known").write_text("")

    def overhear(self) -> None:
        """Keep what goes through ssh from now on, in `to_engines` and `from_engines`."""
        to, of = self.folder / "to_engines", self.folder / "from_engines"
        self._write_ssh(f'tee -a {to} | {self._ssh} -F {self.folder}/ssh.conf "$@" | tee -a {of}')

    def start(self) -> None:
        """Listen."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a service would have it
        log = (self.folder / "sshd.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._sshd, "-D", "-e", "-f", str(self.folder / "sshd.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTS_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, (self.folder / "sshd.log").read_text()
                assert time.monotonic() < deadline, (self.folder / "sshd.log").read_text()
                time.sleep(0.05)
            else:
                return

    def cut(self) -> None:
        """Kill what serves the connections; what it has started is left to notice that."""
        self._signal(signal.SIGKILL)

    def stall(self) -> None:
        """Let nothing through, as a way does on which all is lost."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let through again what comes, and what has waited."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the server with all its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)  # it lets in nobody meanwhile
            self.cut()
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        for pid in _descendants(self._process.pid):
            if _name(pid).startswith("sshd"):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _new_key(self, name: str) -> None:
        command = [self._keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def _write_ssh(self, script: str) -> None:
        path = self.path / "ssh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def _write(self, name: str, text: str) -> None:
        lines = (line.strip() for line in text.strip().splitlines())
        (self.folder / name).write_text("\n".join(lines) + "\n")


def ssh_server(folder: Path, environment: dict[str, str]) -> Iterator[SshServer]:
    """Give a server that runs until the test is over."""
    folder.mkdir()
    server = SshServer(folder, environment)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {pid})


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
