"""The page of the exports says what is sent, under which names, and what bounds it."""

import json
import re

import pytest
from pages import Page, each_of, first_cells, minute, per_cent

from probes.config.goals import P95_SHARE
from probes.exports import alert_documents, alert_sink, alert_webhook, genai, otlp
from probes.exports import prometheus_server as server
from probes.exports.metrics import METRICS, TTFT_BUCKETS, table
from probes.run.with_past import WAITS_S
from probes.transport import poster
from tui.cli import parser

PAGE = Page("probes/exports/README.md")
WAITS = [alert_webhook.FIRST_WAIT_S * 2**tried for tried in range(alert_webhook.TRIES - 1)]
NUMBERS = {
    "Every metric": (
        f"so many ok, and {per_cent(P95_SHARE)} of these within the goals",
        f"of TTFT from {TTFT_BUCKETS[0] * 1e3:g} ms to {TTFT_BUCKETS[-1]:g} s",
    ),
    "Prometheus": (
        f"At most {server._AT_ONCE} scrapes at once",
        f"Only `{server.PATH}` is served",
    ),
    "OpenTelemetry": (
        f"out every {otlp.EXPORT_S} s and at the end",
        f"the first {genai._MODELS_KEPT} that its server names",
        f"at most {otlp.SPANS_QUEUED:,} wait",
        f"`{genai.OPT_IN_VARIABLE}={genai.OPT_IN}`",
    ),
    "Alerts": (
        f"at most {alert_documents.CHANGES_MOST} changes are told",
        f"the first {alert_documents._NAMED_MOST} of those that are hit",
        "at " + ", ".join(map(str, sorted(poster._AGAIN))) + ", 5xx",
        f"{alert_webhook.TRIES} times in all",
        ", ".join(f"{wait_s:g}" for wait_s in WAITS[:-1]) + f" and {WAITS[-1]:g} s apart",
        f"up to {minute(alert_webhook.LONGEST_WAIT_S)}",
        f"{alert_sink.QUEUED_MOST} may wait",
        f"tried again after {minute(alert_sink.AGAIN_S)}",
        f"a call waits for it, {WAITS_S:g} s at most",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, measured=("What it costs",)) == []


def test_every_metric_stands_there_as_the_code_has_it() -> None:
    assert table() in PAGE.text, "python -m probes.exports.metrics prints it"
    assert first_cells([row[:1] for row in PAGE.rows("Every metric")]) == [
        metric.name for metric in METRICS
    ]


def test_every_metric_of_opentelemetry_stands_there() -> None:
    rows = PAGE.rows("OpenTelemetry")
    assert first_cells(rows) == [genai.DURATION, genai.FIRST_CHUNK, genai.TOKENS]
    text = PAGE.section("OpenTelemetry")
    assert genai.LATEST_DURATION in text
    assert "gen_ai.server" not in text.replace("`gen_ai.server.…`", "")


@pytest.mark.parametrize("option", ["--prometheus", "--otlp", "--otlp-traces"])
def test_every_option_stands_there_and_is_one(option: str) -> None:
    assert option in PAGE.text
    assert option in parser().format_help()


def test_the_commands_that_it_shows_can_be_read() -> None:
    shown = re.findall(r"^llmtop (-.*?|deploy \w+)(?: +#.*| >.*)?$", PAGE.text, re.MULTILINE)
    assert len(shown) == 6
    for line in shown:
        parser().parse_args(line.split())


def test_the_alert_that_it_shows_has_the_fields_there_are() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.section("Alerts"), re.DOTALL)
    told = json.loads(shown)
    named = {*first_cells(PAGE.rows("Alerts"))}
    assert named <= {*told}
    assert told["state"] == "changed"
