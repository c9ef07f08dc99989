"""What this machine has too little of never fails a route."""

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
