"""An incident from its first symptom to the report: real processes, a real server, real time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKED_OUT = """
title = "The key is refused from the third second on"

[[models]]
name = "hit"
incident = "healthy"

[[models.phases]]
start_s = 0
name = "well"

[[models.phases]]
start_s = 3
name = "locked out"
faults = { refuse_share = 1.0, refuse = "auth" }

[[models]]
name = "well"
incident = "healthy"
"""
ONLY = "--only hello,diagnosis,summary --fail-on-incident"


def llmtop(command: str, folder: Path, hash_seed: int) -> "subprocess.CompletedProcess[str]":
    """Run a command in `folder`; the order of sets is another with each seed."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "tui.cli", *command.split()],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": str(hash_seed),
            "XDG_STATE_HOME": str(folder / "state"),
            "TZ": "UTC",
        },
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("engines", [1, 2])
def test_an_incident_is_named_live_replayed_and_reported_alike(
    tmp_path: Path, engines: int
) -> None:
    # Seconds of the wall: a fault that is there all the time is no onset.
    if engines > (os.cpu_count() or 1):
        pytest.skip("needs as many cores")
    (tmp_path / "locked-out.toml").write_text(LOCKED_OUT, encoding="utf-8")
    options = f"--headless --duration 9 --seed 1 --engines {engines} --record run.jsonl {ONLY}"
    live = llmtop(f"demo --scenario ./locked-out.toml {options}", tmp_path, 1)
    assert live.returncode == 4, live.stderr
    (remark,) = live.stderr.splitlines()
    assert remark.startswith("llmtop: hit: auth_failure since 20")
    hello, *verdicts, summary = map(json.loads, live.stdout.splitlines())
    assert (hello["type"], summary["type"]) == ("hello", "summary")
    assert {verdict["type"] for verdict in verdicts} == {"diagnosis"}
    assert (verdicts[-1]["state"], verdicts[-1]["cause"]) == ("named", "auth_failure")
    assert {tuple(verdict["routes"]) for verdict in verdicts} == {("hit",)}

    again = llmtop(f"replay run.jsonl --headless {ONLY}", tmp_path, 2)
    assert (again.returncode, again.stdout, again.stderr) == (4, live.stdout, live.stderr)
    lines = (tmp_path / "run.jsonl").read_bytes().splitlines(keepends=True)
    bare = [line for line in lines if not line.startswith(b'{"type":"diagnosis"')]
    assert len(lines) - len(bare) == len(verdicts)
    (tmp_path / "bare.jsonl").write_bytes(b"".join(bare))
    assert llmtop(f"replay bare.jsonl --headless {ONLY}", tmp_path, 3).stdout == live.stdout

    told = llmtop("report run.jsonl", tmp_path, 4)
    assert told.returncode == 0, told.stderr
    assert "I would have paged you once:\n" in told.stdout
    assert "\n1. hit: refuses our key\n" in told.stdout
    report = json.loads(llmtop("report run.jsonl --json", tmp_path, 5).stdout)
    (incident,) = report["incidents"]
    assert (incident["id"], incident["cause"]) == (verdicts[-1]["id"], "auth_failure")
    # What was in flight at the onset may yet end well.
    assert incident["probes"] >= incident["failed"] > 2
    assert incident["since_ns"] == verdicts[-1]["since_ns"]
