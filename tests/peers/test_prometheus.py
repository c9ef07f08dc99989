"""A real Prometheus scrapes a real llmtop, and its rules raise what goes wrong there.

It takes some 25 s of wall time: the incident is real, and is judged as any other.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from programs import program

import probes.deploying

RULES = Path(probes.deploying.__file__).with_name("rules.yaml")
CASES = Path(__file__).with_name("rules_cases.yaml")
PATIENCE_S = 60.0
SCENARIO = """
title = "Is well for six seconds, then gone"
repeat_s = 600
[serving]
decode_tokens_per_s = 200
answer_tokens = 10
[[phases]]
start_s = 0
name = "up"
[[phases]]
start_s = 6
name = "gone"
faults = { down = "unavailable" }
"""
CONFIG = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: llmtop
    static_configs: [{{ targets: ["{target}"] }}]
"""
T = TypeVar("T")


def promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [program("promtool", "prometheus"), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def test_promtool_accepts_the_rules() -> None:
    ended = promtool("check", "rules", str(RULES))
    assert ended.returncode == 0, ended.stderr
    assert "SUCCESS" in ended.stdout


def test_the_rules_raise_what_they_should_and_nothing_else() -> None:
    ended = promtool("test", "rules", str(CASES))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_has_a_case() -> None:
    def named(text: str, key: str) -> set[str]:
        return {line.split()[-1] for line in text.splitlines() if f"{key}: Llmtop" in line}

    cases = CASES.read_text("utf-8")
    assert named(RULES.read_text("utf-8"), "alert") == named(cases, "alertname")


@dataclass(frozen=True)
class Watching:
    """A running llmtop and the Prometheus that scrapes it."""

    metrics_url: str
    prometheus_url: str
    llmtop: "subprocess.Popen[str]"

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.prometheus_url}/api/v1/query", params={"query": expression}, trust_env=False
        )
        result: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return result

    def firing(self) -> dict[str, dict[str, str]]:
        """Return the labels of alerts that fire, by their names."""
        answer = httpx.get(f"{self.prometheus_url}/api/v1/alerts", trust_env=False)
        return {
            alert["labels"]["alertname"]: alert["labels"]
            for alert in answer.raise_for_status().json()["data"]["alerts"]
            if alert["state"] == "firing"
        }


def until(holds: Callable[[], T]) -> T:
    """Return what is true at last."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := holds():
                return found
        except httpx.TransportError:  # it is only starting
            pass
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(*command: str, **options: Any) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    server = program("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    scenario = folder / "gone.toml"
    scenario.write_text(SCENARIO)
    port, own_port = free_port(), free_port()
    command = (
        *(sys.executable, "-P", "-m", "tui.cli", "demo", "--headless", "--no-record"),
        *("--scenario", str(scenario), "--prometheus", f"127.0.0.1:{port}", "--duration", "120"),
    )
    environ = os.environ | {"XDG_STATE_HOME": str(folder)}
    config = folder / "prometheus.yaml"
    config.write_text(CONFIG.format(rules=RULES, target=f"127.0.0.1:{port}"))
    with (
        (folder / "events.jsonl").open("w") as events,
        running(*command, stdout=events, env=environ) as llmtop,
        running(
            server,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{own_port}",
            "--log.level=error",
            cwd=folder,
        ),
    ):
        yield Watching(f"http://127.0.0.1:{port}/metrics", f"http://127.0.0.1:{own_port}", llmtop)


def test_promtool_finds_nothing_wrong_with_what_is_served(watching: Watching) -> None:
    until(lambda: httpx.get(watching.metrics_url, trust_env=False).status_code == 200)
    text = until(lambda: _with_probes(watching.metrics_url))
    ended = promtool("check", "metrics", given=text)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def _with_probes(url: str) -> str:
    text = httpx.get(url, trust_env=False).text
    return text if "llmtop_probe_duration_seconds_bucket" in text else ""


def test_it_scrapes_the_figures_of_the_run(watching: Watching) -> None:
    until(lambda: watching.query('up{job="llmtop"} == 1'))
    found = until(lambda: watching.query('llmtop_probes_total{outcome="ok"} > 0'))
    assert found[0]["metric"]["route"] == "gone"
    p95 = until(
        lambda: watching.query(
            "histogram_quantile(0.95, sum by (le, route) "
            "(rate(llmtop_time_to_first_token_seconds_bucket[30s]))) > 0"
        )
    )
    assert 0 < float(p95[0]["value"][1]) < 5
    assert watching.query("time() - llmtop_engine_last_tick_timestamp_seconds < 5")
    assert watching.query("llmtop_build_info")[0]["metric"]["version"]


def test_an_incident_raises_the_alert(watching: Watching) -> None:
    labels = until(lambda: watching.firing().get("LlmtopAlert"))
    assert labels["route"] == "gone"
    assert (labels["kind"], labels["cause"]) == ("incident", "outage")
    assert labels["severity"] == "page"
    assert watching.query('llmtop_incidents_open{cause="outage"} == 1')


def test_each_query_of_the_shipped_dashboard_finds_what_there_is(watching: Watching) -> None:
    dashboard = json.loads(RULES.with_name("dashboard.json").read_text("utf-8"))
    queries = {
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    }

    def silent() -> set[str]:
        return {title for title, expression in queries if not watching.query(asked(expression))}

    # Nothing of it has happened here: the server tells of no limits, and refuses nobody by one.
    # Nor is there a budget in USD, beside the one in tokens.
    never = {"429s a minute by limit", "Left of each limit", "Probes skipped a minute"}
    until(lambda: silent() <= never | {"Held back", "Budget used"})


def asked(expression: str) -> str:
    """Return a query as Grafana asks it where all of everything is chosen."""
    for variable in ("route", "place", "instance"):
        expression = expression.replace(f"${variable}", ".*")
    return expression.replace("$__rate_interval", "1m").replace("$__interval", "1m")


def test_when_llmtop_ends_prometheus_sees_it_gone(watching: Watching) -> None:
    """Not figures that stand still: this one is the last, it ends the run."""
    watching.llmtop.terminate()
    until(lambda: watching.query('up{job="llmtop"} == 0'))
    assert watching.llmtop.wait(10) == 0
