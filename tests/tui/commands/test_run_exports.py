"""A real run, its engine a process of its own, gives other programs the figures of its summary.

It takes some 10 s of wall time: the provider, the engine and the run are real.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exported import receiving
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from probes.events import decode_event
from probes.exports.metrics_fold import MetricsFold

COMMAND = (
    *(sys.executable, "-P", "-m", "tui.cli", "demo", "--headless", "--no-record"),
    *("--duration", "5"),
)


def run(tmp_path: Path, *options: str, **environ: str) -> tuple[list[dict[str, Any]], str]:
    """Return the lines of a demo with these options, and what it said on stderr."""
    given = os.environ | {"XDG_STATE_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"} | environ
    ended = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, env=given, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run once; keep what was printed and what was sent."""
    with receiving() as receiver:
        options = ("--otlp", receiver.url, "--otlp-traces", "--prometheus", "127.0.0.1:0")
        lines, said = run(
            tmp_path_factory.mktemp("state"), *options, OTEL_METRIC_EXPORT_INTERVAL="1000"
        )
        return {"lines": lines, "said": said, "sent": receiver.sent}


def of_type(told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [line for line in told["lines"] if line["type"] == kind]


def test_metrics_end_with_the_figures_of_the_run(told: dict[str, Any]) -> None:
    bodies = [one.body for one in told["sent"] if one.path == "/v1/metrics"]
    assert len(bodies) > 3
    request = ExportMetricsServiceRequest.FromString(bodies[-1])
    points: dict[str, list[Any]] = {}
    for scope in request.resource_metrics[0].scope_metrics:
        for metric in scope.metrics:
            data = getattr(metric, metric.WhichOneof("data"))
            points[metric.name] = list(data.data_points)
    routes = told["lines"][-1]["routes"].values()
    ended = sum(point.count for point in points["gen_ai.client.operation.duration"])
    assert ended == sum(route["probes"] for route in routes) > 20
    used = {"input": 0.0, "output": 0.0}
    for point in points["gen_ai.client.token.usage"]:
        (kind,) = (
            one.value.string_value for one in point.attributes if one.key == "gen_ai.token.type"
        )
        used[kind] += point.sum
    assert used["input"] == sum(route["input_tokens"] for route in routes)
    assert used["output"] == sum(route["output_tokens"] for route in routes)


def test_what_prometheus_is_served_of_the_same_events_is_the_summary(told: dict[str, Any]) -> None:
    fold = MetricsFold()
    fold.fold(decode_event(json.dumps(line).encode()) for line in told["lines"][:-1])
    values, spreads = fold.read()
    for name, route in told["lines"][-1]["routes"].items():

        def total(metric: str, *wanted: str, name: str = name) -> float:
            return sum(
                value
                for labels, value in values[f"llmtop_{metric}"].items()
                if labels[0] == name and set(wanted) <= set(labels)
            )

        assert total("probes_total") == route["probes"] + route["cancelled"]
        assert total("probes_total", "ok") == route["ok"]
        assert total("good_probes_total") == route["good"]
        assert total("attempts_total") == sum(route["outcomes"].values())
        assert total("input_tokens_total") == route["input_tokens"]
        assert total("output_tokens_total") == route["output_tokens"]
        assert total("cost_usd_total") == pytest.approx(route["cost_usd"])
        assert total("retries_total") == route["retries"]
        lasted = spreads["llmtop_probe_duration_seconds"]
        measured = sum(sum(one.counts) for labels, one in lasted.items() if labels[0] == name)
        assert measured == route["probes"]


def test_every_probe_of_the_run_is_a_span_with_its_attempts(told: dict[str, Any]) -> None:
    spans = [
        span
        for one in told["sent"]
        if one.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    parents = [span for span in spans if not span.parent_span_id]
    probes, attempts = of_type(told, "probe_finished"), of_type(told, "attempt_finished")
    assert len(parents) == len(probes)
    assert len(spans) - len(parents) == len(attempts)
    lasted = {
        next(one.value.string_value for one in span.attributes if one.key == "llmtop.probe"): (
            span.end_time_unix_nano - span.start_time_unix_nano
        )
        for span in parents
    }
    for probe in probes:
        if probe["outcome"] == "ok":
            assert lasted[probe["probe"]] == probe["at_ns"] - probe["started_ns"]


def test_nothing_is_said_but_where_the_metrics_are(told: dict[str, Any]) -> None:
    texts = [line["text"] for line in of_type(told, "notice")]
    assert [text for text in texts if "Prometheus" in text or "otlp" in text] == [
        next(text for text in texts if text.startswith("Prometheus: http://127.0.0.1:"))
    ]
    assert told["said"] == ""


def test_a_receiver_that_is_away_is_a_notice_and_the_run_is_as_any(tmp_path: Path) -> None:
    quick = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    lines, said = run(tmp_path, "--otlp", "http://127.0.0.1:9", "--otlp-traces", **quick)
    texts = [line["text"] for line in lines if line["type"] == "notice"]
    assert "--otlp http://127.0.0.1:9: metrics are not taken: connection refused" in texts
    assert any("spans in all were not taken" in text for text in texts)
    assert sum(route["probes"] for route in lines[-1]["routes"].values()) > 20
    assert said == ""
