"""The tests' own resolver is asked by the C library, and answers as its schedule says."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wires.namespaces import missing
from wires.resolver import ADDRESS, NOBODY, answer_to

TESTS = Path(__file__).parents[1]

LOOK_UP = """
import asyncio, json, socket, sys, time
from pathlib import Path
from wires.namespaces import enter
from wires.resolver import Names, Resolver, use

async def main(schedule):
    async with Resolver(schedule, lambda: 1.0) as resolver:
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo("far.test", 80, type=socket.SOCK_STREAM)
            said = sorted({place[4][0] for place in found})
        except socket.gaierror as error:
            said = error.errno
        told = {"said": said, "asked": resolver.asked, "took": time.monotonic() - begun}
        print(json.dumps(told))

enter(network=True, mounts=True)
use(Path(sys.argv[1]))
asyncio.run(main([Names(from_s=0, to_s=9, **json.loads(sys.argv[2]))]))
"""

needs_mounts = pytest.mark.skipif(
    bool(missing("network", "mounts")), reason=missing("network", "mounts")
)


def looked_up(folder: Path, **names: Any) -> dict[str, Any]:
    argv = [sys.executable, "-P", "-c", LOOK_UP, str(folder), json.dumps(names)]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@needs_mounts
def test_a_name_is_this_machines_and_was_asked_of_us(tmp_path: Path) -> None:
    told = looked_up(tmp_path)
    assert told["said"] == [ADDRESS]
    assert set(told["asked"]) == {"far.test"}
    assert "far.test" not in Path("/etc/resolv.conf").read_text(), "outside, nothing changed"


@needs_mounts
@pytest.mark.parametrize(
    ("answer", "error"), [("no_such_name", "EAI_NONAME"), ("server_failure", "EAI_AGAIN")]
)
def test_a_name_that_is_not_known_or_not_told(tmp_path: Path, answer: str, error: str) -> None:
    assert looked_up(tmp_path, answer=answer)["said"] == getattr(socket, error)


@needs_mounts
def test_a_resolver_can_be_slow_and_can_lie(tmp_path: Path) -> None:
    assert looked_up(tmp_path, delay_s=0.4)["took"] >= 0.4
    assert looked_up(tmp_path, answer="wrong_address")["said"] == [NOBODY]


def test_a_question_is_answered_in_its_own_words() -> None:
    head = bytes.fromhex("1234 0100 0001 0000 0000 0000")
    question = head + b"\x03far\x04test\x00" + bytes.fromhex("0001 0001")
    name, answer = answer_to(question, "right")
    assert name == "far.test"
    assert answer[:8] == bytes.fromhex("1234 8180 0001 0001")
    assert answer[-4:] == bytes((127, 0, 0, 1))
    sixes = question[:-4] + bytes.fromhex("001c 0001")
    assert (
        answer_to(sixes, "right")[1] == bytes.fromhex("1234 8180 0001 0000 0000 0000") + sixes[12:]
    )
    assert answer_to(question, "silence") == ("far.test", b"")
    assert answer_to(question, "no_such_name")[1][3] == 0x83
    assert answer_to(question, "server_failure")[1][3] == 0x82
