"""What this machine has too little of never fails a route."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from counting_server import Behaviour, CountingServer
from running import HEADLESS, LLMTOP, events_of, home_of, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")

SETTINGS = """
[budget]
tokens_per_hour = 100_000_000
route_tokens_per_hour = 100_000_000

[routes.well]
base_url = "{url}"
model = "m"
max_tokens = 5
concurrency = {workers}
interval = 0.5
"""


def limited(limit: int, *argv: str) -> list[str]:
    return ["bash", "-c", f'ulimit -Sn {limit}; ulimit -Hn {limit}; exec "$@"', "limited", *argv]


@pytest.mark.parametrize("in_process", [False, True])
def test_too_few_descriptors_leave_the_route_ok_and_the_observer_red(
    tmp_path: Path, in_process: bool
) -> None:
    with CountingServer(Behaviour(rate=50, first_after_s=0.05)) as server:
        settings = tmp_path / "routes.toml"
        settings.write_text(SETTINGS.format(url=server.base_url, workers=100))
        argv = [*HEADLESS, "--duration", "8", "--config", str(settings)]
        argv += ["--in-process"] * in_process
        with running(limited(64, *argv), home_of(tmp_path)) as process:
            printed, said = process.communicate(timeout=40)
    events = events_of(printed)
    (summary,) = (event for event in events if event["type"] == "summary")
    well = summary["routes"]["well"]
    assert process.returncode == 0, said
    assert well["state"] in ("ok", "slow", "sluggish"), well
    assert well["success"] == 1.0
    assert well["ok"] > 50
    ended = [event for event in events if event["type"] == "attempt_finished"]
    outcomes = {(event["outcome"], event.get("reason", "")) for event in ended}
    assert outcomes <= {("ok", ""), ("cancelled", "local.descriptors"), ("cancelled", "cancelled")}
    short = [event for event in ended if event.get("reason") == "local.descriptors"]
    assert 30 < len(short) < 1_000
    ticks = [event["health"].get("short_of", "") for event in events if event["type"] == "tick"]
    assert ticks.count("descriptors") >= 3
    notices = [event["text"] for event in events if event["type"] == "notice"]
    assert any("100 workers, but this process may have" in text for text in notices)
    assert not [event for event in events if event["type"] == "fault"]


def test_a_soft_limit_that_is_too_low_is_raised(tmp_path: Path) -> None:
    with CountingServer(Behaviour(rate=50)) as server:
        settings = tmp_path / "routes.toml"
        settings.write_text(SETTINGS.format(url=server.base_url, workers=100))
        argv = [*HEADLESS, "--duration", "4", "--config", str(settings)]
        soft = ["bash", "-c", 'ulimit -Sn 64; exec "$@"', "limited", *argv]
        with running(soft, home_of(tmp_path)) as process:
            printed, _ = process.communicate(timeout=40)
    ended = [event for event in events_of(printed) if event["type"] == "attempt_finished"]
    assert len(ended) > 50
    assert {event.get("reason", "") for event in ended} <= {"", "cancelled"}


FEW_PORTS = """
set -e
ip link set lo up
echo '40000 40007' > /proc/sys/net/ipv4/ip_local_port_range
exec "$@"
"""


def _may_unshare() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    tried = ["unshare", "-rn", "ip", "link", "set", "lo", "up"]
    return subprocess.run(tried, capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_unshare(), reason="needs a network namespace")
def test_too_few_ports_are_no_failure_of_the_route(tmp_path: Path) -> None:
    settings = tmp_path / "routes.toml"
    settings.write_text(SETTINGS.format(url="http://127.0.0.1:PORT/v1", workers=20))
    settings.chmod(0o600)
    argv = ["unshare", "-rn", "sh", "-c", FEW_PORTS, "network", sys.executable]
    argv += [str(Path(__file__).with_name("other_machine.py")), str(tmp_path)]
    argv += ["--headless", "--no-record", "--duration", "5", "--config", str(settings)]
    with running(argv, home_of(tmp_path, ADDRESS="127.0.0.1")) as process:
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    events = events_of(json.loads(printed)["said"].encode())
    (summary,) = (event for event in events if event["type"] == "summary")
    well = summary["routes"]["well"]
    assert (well["success"], well["ok"] > 10) == (1.0, True), well
    reasons = {e.get("reason", "") for e in events if e["type"] == "attempt_finished"}
    assert "local.ports" in reasons
    assert reasons <= {"", "cancelled", "local.ports"}
    assert "ports" in {e["health"].get("short_of", "") for e in events if e["type"] == "tick"}


@pytest.mark.parametrize("command", ["once", "check"])
def test_one_probe_that_cannot_be_sent_says_whose_fault_it_is(tmp_path: Path, command: str) -> None:
    with CountingServer() as server:
        settings = tmp_path / "routes.toml"
        settings.write_text(SETTINGS.format(url=server.base_url, workers=1))
        argv = limited(10, *LLMTOP, command, "--config", str(settings))
        with running(argv, home_of(tmp_path)) as process:
            printed, said = process.communicate(timeout=40)
    words = (printed + said).decode()
    assert process.returncode == 1, words
    assert "cancelled" in words
    assert "local.descriptors" in words
    assert "ulimit -n" in words
