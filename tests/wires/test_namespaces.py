"""Who cannot have a namespace is told why; who has one changes nothing outside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wires import namespaces
from wires.namespaces import missing

TESTS = Path(__file__).parents[1]


def in_child(code: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    argv = [sys.executable, "-P", "-c", code]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(bool(missing("network")), reason=missing("network"))
def test_a_network_of_ones_own_has_its_loopback_and_nothing_else() -> None:
    code = "import socket; from wires.namespaces import enter; enter(network=True); "
    code += "print(sorted(name for _, name in socket.if_nameindex())); "
    code += "s = socket.create_server(('127.0.0.1', 53)); s.close()"
    names = in_child(code)
    assert "'lo'" in names
    assert "eth" not in names


@pytest.mark.skipif(bool(missing("mounts")), reason=missing("mounts"))
def test_another_file_is_found_inside_alone(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.write_text("ours")
    before = Path("/etc/passwd").read_text()
    code = "from pathlib import Path; from wires.namespaces import enter, instead_of; "
    code += "enter(mounts=True); "
    code += f"instead_of('/etc/passwd', Path({str(ours)!r})); "
    code += "print(Path('/etc/passwd').read_text())"
    assert in_child(code) == "ours"
    assert Path("/etc/passwd").read_text() == before


def test_why_not_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    why_not = missing.__wrapped__
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert why_not("network") == "needs root"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(namespaces, "TUN", tmp_path / "tun")
    assert why_not("tun") == f"there is no {tmp_path / 'tun'}"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert why_not("network") == "namespaces are Linux's"


def test_what_the_kernel_refuses_is_said_in_its_words() -> None:
    code = "from wires.namespaces import lift\n"
    code += "try:\n    lift('none0')\nexcept OSError as error:\n    print(error)"
    assert "No such device" in in_child(code)
