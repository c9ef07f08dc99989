"""A child that speaks the engine's protocol and misbehaves on demand: `fake_engine.py MODE`."""

import json
import os
import signal
import sys
import threading
import time
from typing import Any


def say(**event: Any) -> None:
    """Write one event line."""
    os.write(1, json.dumps(event, separators=(",", ":")).encode() + b"\n")


def hello(commands: list[dict[str, Any]], version: str = "0", schema: int = 1) -> None:
    """Introduce ourselves, and say what we were told before `go`."""
    now = time.monotonic_ns()
    say(
        type="hello",
        at_ns=now,
        wall_ns=time.time_ns(),
        engine=str(commands[0]["engine"]),
        version=version,
        routes=[],
        schema=schema,
        pid=os.getpid(),
    )
    told = [command for command in commands if command["type"] not in ("configure", "go")]
    say(type="mark", at_ns=now, text=json.dumps(told))


def start_probe(name: str) -> None:
    """Leave a probe open."""
    now = time.monotonic_ns()
    say(
        type="attempt_started",
        at_ns=now,
        route="r",
        probe=name,
        attempt=0,
        scheduled_ns=now,
        admitted_ns=now,
        cohort="64/256",
        reserved_tokens=80,
    )


def beat() -> None:
    """Send a batch line ten times a second."""
    sequence = 0
    while True:
        say(type="batch", at_ns=time.monotonic_ns(), seq=sequence, health={})
        sequence += 1
        time.sleep(0.1)


def read_commands() -> list[dict[str, Any]]:
    """Read up to and with `go`."""
    commands = []
    for line in sys.stdin:
        commands.append(json.loads(line))
        if commands[-1]["type"] == "go":
            break
    return commands


def spend() -> None:
    """Finish a probe twenty times a second, each of which is charged what it had reserved."""
    for number in range(10_000):
        name = f"1-{number}"
        start_probe(name)
        time.sleep(0.05)
        now = time.monotonic_ns()
        say(
            type="attempt_finished",
            at_ns=now,
            route="r",
            probe=name,
            attempt=0,
            outcome="ok",
            stamps_ns={"started": now, "ended": now},
            charged_tokens=80,
            reserved_tokens=80,
        )


def obey(*, tell_allowances: bool = False) -> None:
    """Answer marks, and allowances where asked to; end on `stop` and at the end of our input."""
    for line in sys.stdin:
        command = json.loads(line)
        if command["type"] == "stop":
            say(type="mark", at_ns=time.monotonic_ns(), text="stopping")
            return
        if command["type"] == "mark":
            say(type="mark", at_ns=time.monotonic_ns(), text=command["text"])
        if command["type"] == "allow" and tell_allowances:
            say(type="mark", at_ns=time.monotonic_ns(), text=json.dumps([command]))


def before_hello(mode: str) -> None:
    """Die, or take our time, before we introduce ourselves."""
    if mode == "mute_crash":
        sys.exit(3)
    if mode == "late":
        time.sleep(0.5)
    while mode == "babble":
        os.write(1, b"Welcome!\n")
        time.sleep(0.01)


def main(mode: str) -> None:
    """Behave as `mode` says."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    commands = read_commands()
    before_hello(mode)
    hello(commands, *(("99.0", 99) if mode == "newer" else ()))
    if mode == "crash":
        sys.stderr.write("boom \x1b[31mred hunter2\n")
        sys.exit(3)
    if mode == "die_open":
        start_probe("1-1")
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "noise":
        os.write(1, b"not json \x1b[2J\n" + b"x" * 5000 + b"\n")
        sys.stderr.write("chatter\n" * 40_000)
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        start_probe("1-1")
        while True:
            time.sleep(1)
    if mode == "flood":
        number = 0
        while True:
            say(type="mark", at_ns=time.monotonic_ns(), text="x" * 1000 + str(number))
            number += 1
    if mode == "silent":
        time.sleep(600)
    threading.Thread(target=beat, daemon=True).start()
    threading.Thread(target={"spend": spend}.get(mode), daemon=True).start()
    obey(tell_allowances=mode == "spend")


if __name__ == "__main__":
    main(sys.argv[1])
