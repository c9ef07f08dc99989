"""Metrics and spans reach a receiver under the conventions' names, with the run's own figures."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from board_streams import ProbeScript, at, hello, route_info, tick
from changed import replace
from exported import PATIENCE_S, Receiver, receiving, several_probes
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from probes.board import Board
from probes.events import Event, Gap
from probes.exports import genai, otlp
from probes.exports.otlp import OtlpExport, OtlpUrlError
from probes.exports.otlp import Receiver as Address

ALPHA = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "llmtop.route": "alpha",
    "server.address": "localhost",
    "server.port": 1,
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave in a moment where nobody takes anything, and never by a proxy."""
    monkeypatch.setattr(otlp, "_LEAVING_S", 1.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes of the protocol as values."""
    found: dict[str, Any] = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        value = getattr(one.value, kind)
        found[one.key] = (
            [inner.string_value for inner in value.values] if kind == "array_value" else value
        )
    return found


class Metrics:
    """An export of metrics, by default the last one, decoded."""

    def __init__(self, receiver: Receiver, number: int = -1) -> None:
        bodies = [one.body for one in receiver.sent if one.path == "/v1/metrics"]
        request = ExportMetricsServiceRequest.FromString(bodies[number])
        (resource,) = request.resource_metrics
        self.resource = plain(resource.resource.attributes)
        self.schemas = {one.schema_url for one in resource.scope_metrics}
        self.by_name = {
            metric.name: metric
            for scope in resource.scope_metrics
            if scope.scope.name == "llmtop"
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        metric = self.by_name[name]
        data = getattr(metric, metric.WhichOneof("data"))
        return [(plain(point.attributes), point) for point in data.data_points]

    def counts(self, name: str, **labels: Any) -> tuple[int, float]:
        """Return how many and their sum, of the points that have these attributes."""
        wanted = {key.replace("__", "."): value for key, value in labels.items()}
        found = [point for told, point in self.points(name) if wanted.items() <= told.items()]
        return sum(point.count for point in found), sum(point.sum for point in found)


def spans_of(receiver: Receiver) -> list[Any]:
    return [
        span
        for one in receiver.sent
        if one.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def exported(
    receiver: Receiver, events: list[Event], environ: dict[str, str] | None = None, **more: Any
) -> list[str]:
    """Send what events tell, to the end of the run; return what was reported."""
    said: list[str] = []
    export = OtlpExport(Address(receiver.url), said.append, environ=environ or {}, **more)
    export.receive(events, b"")
    export.close()
    return said


def test_the_figures_are_those_of_the_run(receiver: Receiver) -> None:
    events = several_probes()
    board = Board()
    for event in events:
        board.fold(event)
    told = board.summary()["alpha"]
    assert exported(receiver, events) == []
    metrics = Metrics(receiver)
    assert {*metrics.by_name} == {genai.DURATION, genai.FIRST_CHUNK, genai.TOKENS}
    assert metrics.schemas == {"https://opentelemetry.io/schemas/1.41.0"}
    assert metrics.resource["service.name"] == "llmtop"
    # All that ended and was measured: 3 that are ok and one that failed.
    assert metrics.counts(genai.DURATION) == (4, pytest.approx(2 + 2 + 7 + 1))
    assert metrics.counts(genai.DURATION, error__type="overloaded") == (1, pytest.approx(1.0))
    assert metrics.counts(genai.FIRST_CHUNK) == (3, pytest.approx(0.4 + 1.4 + 5.4))
    for kind in ("input", "output"):
        _, tokens = metrics.counts(genai.TOKENS, gen_ai__token__type=kind)
        assert tokens == told[f"{kind}_tokens"]


def test_what_the_engine_slept_through_is_no_duration(receiver: Receiver) -> None:
    """A machine that was suspended for a night would else be a probe of eight hours."""
    slept = Gap(at_ns=at(28_000.0), started_ns=at(1.5))
    through = ProbeScript("e1-1", 1.0, e2e_s=28_000.0).events()
    exported(receiver, [hello(), slept, *through, *ProbeScript("e1-2", 28_002.0).events()])
    metrics = Metrics(receiver)
    assert metrics.counts(genai.DURATION)[0] == 1
    assert metrics.counts(genai.FIRST_CHUNK)[0] == 1
    assert metrics.counts(genai.TOKENS, gen_ai__token__type="input")[0] == 2


@pytest.mark.parametrize(
    ("name", "unit", "buckets"),
    [
        ("gen_ai.client.operation.duration", "s", genai.SECONDS_BUCKETS),
        ("gen_ai.client.operation.time_to_first_chunk", "s", genai.SECONDS_BUCKETS),
        ("gen_ai.client.token.usage", "{token}", genai.TOKEN_BUCKETS),
    ],
)
def test_names_units_and_buckets_are_the_conventions(
    receiver: Receiver, name: str, unit: str, buckets: tuple[float, ...]
) -> None:
    exported(receiver, several_probes())
    metrics = Metrics(receiver)
    metric = metrics.by_name[name]
    assert (metric.unit, metric.WhichOneof("data")) == (unit, "histogram")
    for _, point in metrics.points(name):
        assert tuple(point.explicit_bounds) == buckets


def test_the_buckets_are_those_that_the_conventions_name() -> None:
    """As semantic-conventions 1.41 has them: times double from 10 ms, tokens grow by four."""
    assert tuple(round(0.01 * 2**n, 2) for n in range(14)) == genai.SECONDS_BUCKETS
    assert tuple(4**n for n in range(14)) == genai.TOKEN_BUCKETS


def test_attributes_are_the_conventions(receiver: Receiver) -> None:
    exported(receiver, several_probes())
    metrics = Metrics(receiver)
    durations = [told for told, _ in metrics.points(genai.DURATION)]
    assert ALPHA in durations
    assert ALPHA | {"error.type": "overloaded"} in durations
    assert [told for told, _ in metrics.points(genai.FIRST_CHUNK)] == [ALPHA]
    kinds = [told for told, _ in metrics.points(genai.TOKENS)]
    assert ALPHA | {"gen_ai.token.type": "input"} in kinds
    assert ALPHA | {"gen_ai.token.type": "output"} in kinds


def test_a_prober_never_speaks_for_a_server(receiver: Receiver) -> None:
    exported(receiver, several_probes(), traces=True)
    for one in receiver.sent:
        assert b"gen_ai.server" not in one.body


def test_the_newest_names_are_sent_where_the_environment_asks_for_them(receiver: Receiver) -> None:
    asked = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup, gen_ai_latest_experimental"}
    exported(receiver, several_probes(), environ=asked)
    metrics = Metrics(receiver)
    assert {*metrics.by_name} == {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
    }
    assert metrics.schemas == {""}
    assert metrics.counts(genai.LATEST_DURATION)[0] == 4
    ((told, point),) = metrics.points("gen_ai.client.inference.usage.cache_read.input_tokens")
    assert point.as_int == 8
    assert told == ALPHA | {"gen_ai.token.modality": "unknown"}


def test_models_that_a_server_names_are_few_and_short(receiver: Receiver) -> None:
    events: list[Event] = [hello()]
    for number in range(50):
        script = ProbeScript(f"e1-{number}", number, finished={"served_model": f"m{number}" * 200})
        events += script.events()
    exported(receiver, events)
    points = Metrics(receiver).points(genai.DURATION)
    models = {told.get("gen_ai.response.model", "") for told, _ in points}
    assert len(models) == 9
    assert max(map(len, models)) == 200
    assert sum(point.count for _, point in points) == 50


def test_places_are_told_apart(receiver: Receiver) -> None:
    eu, us = (route_info(f"alpha@{place}", place=place) for place in ("eu", "us"))
    events: list[Event] = [hello(eu, place="eu"), hello(us, place="us")]
    for place in ("eu", "us"):
        events += ProbeScript(f"{place}-1", 1.0, route=f"alpha@{place}").events()
    exported(receiver, events)
    told = [one for one, _ in Metrics(receiver).points(genai.DURATION)]
    assert {one["llmtop.place"] for one in told} == {"eu", "us"}
    assert {one["llmtop.route"] for one in told} == {"alpha"}


# Spans.


def test_without_being_asked_for_there_are_no_spans(receiver: Receiver) -> None:
    exported(receiver, several_probes())
    assert {one.path for one in receiver.sent} == {"/v1/metrics"}


def test_a_probe_is_a_span_and_its_attempts_are_its_children(receiver: Receiver) -> None:
    exported(receiver, several_probes(), traces=True)
    spans = spans_of(receiver)
    parents = {
        plain(one.attributes)["llmtop.probe"]: one for one in spans if not one.parent_span_id
    }
    assert {*parents} == {f"e1-{number}" for number in range(1, 7)}
    retried = parents["e1-3"]
    children = sorted(
        (one for one in spans if one.parent_span_id == retried.span_id),
        key=lambda one: one.start_time_unix_nano,
    )
    assert {one.trace_id for one in children} == {retried.trace_id}
    # Wall time: the hello and the tick say that it is 7 ns ahead of the engine's clock.
    assert (retried.start_time_unix_nano, retried.end_time_unix_nano) == (at(20) + 7, at(27) + 7)
    assert [(one.start_time_unix_nano, one.end_time_unix_nano) for one in children] == [
        (at(20) + 7, at(20.2) + 7),
        (at(24.2) + 7, at(27) + 7),
    ]
    assert retried.name == "chat m"
    told = plain(retried.attributes)
    assert ALPHA.items() <= told.items()
    assert told["gen_ai.response.time_to_first_chunk"] == pytest.approx(5.4)
    assert told["gen_ai.request.max_tokens"] == 64
    assert told["llmtop.attempts"] == 2
    refused, answered = (plain(one.attributes) for one in children)
    assert (refused["error.type"], refused["http.response.status_code"]) == ("rate_limit", 429)
    assert "http.request.resend_count" not in refused
    assert answered["http.request.resend_count"] == 1
    events = {one.name: one.time_unix_nano for one in children[1].events}
    assert events["llmtop.first_token"] == at(25.4) + 7


def test_how_a_span_ended_is_its_status(receiver: Receiver) -> None:
    exported(receiver, several_probes(), traces=True)
    ended = {
        plain(one.attributes)["llmtop.probe"]: (one.status.code, plain(one.attributes))
        for one in spans_of(receiver)
        if not one.parent_span_id
    }
    error, unset = 2, 0
    assert ended["e1-4"][0] == error
    assert ended["e1-4"][1]["error.type"] == "overloaded"
    # What we cancelled is no error of anybody's.
    assert (ended["e1-5"][0], ended["e1-5"][1]["llmtop.outcome"]) == (unset, "cancelled")
    assert "error.type" not in ended["e1-5"][1]
    assert ended["e1-6"][1]["llmtop.flagged"] == "local_gap"


def test_an_error_that_is_none_of_ours_is_its_outcome() -> None:
    assert genai.error_type("server_error", "a server made it up") == "server_error"
    assert genai.error_type("timeout", "timeout.stall") == "timeout.stall"
    assert genai.error_type("ok", "") is None


def test_what_a_server_wrote_is_made_harmless_in_spans(receiver: Receiver) -> None:
    hostile = {
        "response_id": "\x1b[2J" + "x" * 999,
        "finish_reason": "a\nb",
        "request_id": "\u202e",
    }
    script = ProbeScript("e1-1", 1.0, finished=hostile)
    exported(receiver, [hello(), *script.events()], traces=True)
    for span in spans_of(receiver):
        for value in plain(span.attributes).values():
            text = "".join(value) if isinstance(value, list) else str(value)
            assert text.isprintable()
            assert len(text) <= 200


# A receiver that does not take it.


def reported(said: list[str], words: str) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if any(words in one for one in said):
            return True
        time.sleep(0.01)
    return False


def test_a_receiver_that_is_away_is_said_and_costs_nothing_else() -> None:
    said: list[str] = []
    export = OtlpExport(Address("http://127.0.0.1:9"), said.append, traces=True, environ={})
    began = time.monotonic()
    export.receive(several_probes(), b"")
    assert time.monotonic() - began < 0.5
    export.close()
    assert any("metrics are not taken: connection refused" in one for one in said)
    assert any("spans are not taken: connection refused" in one for one in said)
    assert "--otlp http://127.0.0.1:9: 13 spans in all were not taken" in said


def test_a_receiver_that_fails_is_said_once_until_it_takes_it_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_SPANS_WAIT_S", 0.0)
    receiver.answers = [(400, {}), (400, {}), (200, {}), (400, {})]
    said: list[str] = []
    export = OtlpExport(Address(receiver.url), said.append, traces=True, environ={})
    export.receive([hello()], b"")
    for number in range(4):
        export.receive(ProbeScript(f"e1-{number}", 1.0).events(), b"")
        receiver.wait()
    assert reported(said, "spans are not taken")
    export.close()
    words = f"--otlp {receiver.url}: spans are not taken: answered 400"
    assert said.count(words) == 2


@pytest.mark.parametrize(
    ("preference", "lost"),
    [("cumulative", ""), ("delta", ": those of 2 exports are lost, for they are deltas")],
)
def test_metrics_that_are_taken_again_say_what_of_them_is_lost(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, preference: str, lost: str
) -> None:
    """Sums that grow tell with the next export what a receiver has missed; differences do not."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
    receiver.answers = [(400, {}), (400, {}), (200, {}), (200, {})]
    said: list[str] = []
    export = OtlpExport(Address(receiver.url), said.append, environ={})
    export._fold([hello()])
    for number in range(3):
        export._fold(ProbeScript(f"e1-{number}", 1.0).events())
        export._provider.force_flush()
    export.close()
    assert said == [
        f"--otlp {receiver.url}: metrics are not taken: answered 400",
        f"--otlp {receiver.url}: metrics are taken again{lost}",
    ]
    counts = [Metrics(receiver, number).counts(genai.DURATION)[0] for number in range(3)]
    assert counts == ([1, 1, 1] if lost else [1, 2, 3])


def test_differences_that_are_never_taken_are_said_to_be_lost(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    receiver.answers = [(400, {})]
    said = exported(receiver, several_probes())
    assert said[-1] == (
        f"--otlp {receiver.url} ends: those of 1 export are lost, for they are deltas"
    )


def test_a_receiver_that_hangs_fills_the_queue_and_no_more(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_SPANS_WAIT_S", 0.0)
    monkeypatch.setattr(otlp, "SPANS_QUEUED", 8)
    receiver.may_answer.clear()
    said: list[str] = []
    export = OtlpExport(Address(receiver.url), said.append, traces=True, environ={})
    export.receive([hello()], b"")
    for number in range(40):
        export.receive(ProbeScript(f"e1-{number}", 1.0).events(), b"")
    assert reported(said, "is too slow: 8 spans wait for it, the next are left out")
    receiver.may_answer.set()
    export.close()
    assert export._spans is not None
    assert export._spans._aside.dropped > 0
    assert any("spans were left out" in one for one in said)


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_receiver_that_never_ends_what_it_says_is_left_alone(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_LONGEST_S", 0.3)
    ends = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(begun)
            while not ends.wait(0.02):
                connection.sendall(b"x")

    threading.Thread(target=drip, daemon=True).start()
    said: list[str] = []
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    export = OtlpExport(Address(url), said.append, environ={})
    export.receive(several_probes(), b"")
    began_s = time.monotonic()
    export.close()
    ends.set()
    listener.close()
    assert time.monotonic() - began_s < 3.0
    assert f"--otlp {url}: metrics are not taken: no answer in time" in said


def test_an_answer_that_is_garbage_logs_no_url(caplog: pytest.LogCaptureFixture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 20)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\x00bad\r\n no: x\r\n: :\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    said: list[str] = []
    url = f"http://127.0.0.1:{listener.getsockname()[1]}?token=t0ken-t0ken"
    export = OtlpExport(Address(url), said.append, environ={}, traces=True)
    export.receive(several_probes(), b"")
    export.close()
    listener.close()
    assert "t0ken" not in f"{caplog.text}{said}"
    assert caplog.text == ""  # it would be written over the screen


def test_nobody_is_followed_elsewhere(receiver: Receiver) -> None:
    receiver.answers = [(307, {"Location": f"{receiver.url}/elsewhere"})] * 4
    said = exported(receiver, several_probes())
    assert {one.path for one in receiver.sent} == {"/v1/metrics"}
    assert any("redirects are not followed" in one for one in said)


def test_of_an_answer_little_is_read(receiver: Receiver) -> None:
    receiver.body = b"x" * 5_000_000
    assert exported(receiver, several_probes()) == []


def test_nothing_of_the_sdk_is_logged_to_the_terminal(
    capfd: pytest.CaptureFixture[str], receiver: Receiver
) -> None:
    receiver.answers = [(500, {}), (503, {}), (500, {}), (500, {})]
    exported(receiver, several_probes(), traces=True)
    logging.getLogger("opentelemetry.sdk").error("something")
    assert capfd.readouterr() == ("", "")


# Where it is sent.


def test_headers_come_from_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a-key-of-mine")
    exported(receiver, several_probes())
    assert receiver.sent[-1].headers["api-key"] == "a-key-of-mine"


def test_each_run_is_a_writer_of_its_own(receiver: Receiver) -> None:
    names = set()
    for _ in range(2):
        exported(receiver, several_probes())
        resource = Metrics(receiver).resource
        assert resource["service.name"] == "llmtop"
        names.add(resource["service.instance.id"])
    assert len(names) == 2


def test_who_sends_is_what_the_environment_says(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "OTEL_SERVICE_NAME": "prober",
        "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=seven,deployment.environment.name=prod",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    exported(receiver, several_probes(), environ=environ)
    resource = Metrics(receiver).resource
    assert resource["service.name"] == "prober"
    assert resource["service.instance.id"] == "seven"
    assert resource["deployment.environment.name"] == "prod"


def test_this_machine_is_reached_without_any_proxy(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert exported(receiver, several_probes()) == []
    assert Metrics(receiver).counts(genai.DURATION)[0] == 4


def test_no_password_of_a_netrc_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine example.com login me password a-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session = otlp._Session(Address("https://example.com"))
    request = session.prepare_request(requests.Request("POST", "https://example.com/v1/metrics"))
    assert "Authorization" not in request.headers


def test_headers_in_clear_text_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a-key-of-mine"}
    export = OtlpExport(Address("http://192.0.2.1:4318"), said.append, environ=headers)
    monkeypatch.setattr(otlp, "_LEAVING_S", 0.1)
    export.close()
    assert any("clear text" in one for one in said)
    assert not any("a-key-of-mine" in one for one in said)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://me:a-password@127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("127.0.0.1:4318", "did you mean http://127.0.0.1:4318"),
        ("grpc://127.0.0.1:4317", "expected a URL such as http://127.0.0.1:4318"),
        ("http://127.0.0.1:4318/v1/metrics", "is added by itself"),
        ("", "expected a URL"),
    ],
)
def test_what_is_no_url_of_a_receiver_is_refused_without_a_secret(url: str, words: str) -> None:
    with pytest.raises(OtlpUrlError) as caught:
        Address(url)
    assert words in str(caught.value)
    assert "a-password" not in str(caught.value)


def test_a_query_is_masked_where_it_is_shown() -> None:
    address = Address("https://example.com/otlp/?token=a-secret")
    assert address.metrics == "https://example.com/otlp/v1/metrics?token=a-secret"
    assert "a-secret" not in address.shown


@pytest.mark.parametrize(
    ("host", "dialect", "name"),
    [
        ("api.openai.com", "chat", "openai"),
        ("eu-api.openai.com", "chat", "openai"),
        ("me.openai.azure.com", "azure", "azure.ai.openai"),
        ("europe-west1-aiplatform.googleapis.com", "chat", "gcp.vertex_ai"),
        ("api.x.ai", "chat", "x_ai"),
        ("notapi.x.ai.example.com", "chat", "openai"),
        ("api.deepinfra.com", "chat", "openai"),
        ("127.0.0.1", "messages", "anthropic"),
        ("127.0.0.1", "ollama", "ollama"),
    ],
)
def test_the_provider_is_told_by_host_else_by_what_is_spoken(
    host: str, dialect: str, name: str
) -> None:
    assert genai.provider_name(host, dialect) == name


def test_an_engine_that_starts_again_has_another_offset(receiver: Receiver) -> None:
    again = replace(hello(at_s=50.0, engine="e2"), wall_ns=at(50.0) + 500)
    events = [hello(), *ProbeScript("e1-1", 1.0).events(), again]
    later = replace(tick(51.0), wall_ns=at(51.0) + 500)
    exported(receiver, [*events, later, *ProbeScript("e2-1", 60.0).events()], traces=True)
    starts = {
        plain(one.attributes)["llmtop.probe"]: one.start_time_unix_nano
        for one in spans_of(receiver)
        if not one.parent_span_id
    }
    assert starts == {"e1-1": at(1.0) + 7, "e2-1": at(60.0) + 500}
