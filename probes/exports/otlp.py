"""`--otlp`: what a run measures, sent to a receiver of OpenTelemetry's by its SDK.

Rule 1: who gives us events only queues them. A thread of ours makes metrics and spans of them, the
SDK's own sends metrics, and another one of ours sends spans: a receiver that hangs holds up itself.
Rule 2: metrics are sums that grow, so what a receiver misses the next export tells it; where the
environment wants deltas in their place, those that are not taken are lost, counted and told. Spans
wait in a bounded queue; those that find no place, or are not taken, are lost, counted and told.
Rule 3: stamps are moved to wall time by one constant a probe, the newest that its place has told:
every span is as long as what it tells of.
Rule 4: nothing is followed elsewhere (no redirects), little is read of an answer, and nothing that
the SDK logs reaches the terminal.
Rule 5: headers with credentials come from the environment alone (`OTEL_EXPORTER_OTLP_HEADERS`); a
URL with a user or a password is refused, and values in its query are masked.
"""

import io
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from probes import __version__
from probes.config.goals import cap_of
from probes.config.urls import UrlError, mask_url, read_url
from probes.events import (
    AttemptFinished,
    Event,
    FirstToken,
    Gap,
    Hello,
    ProbeFinished,
    RouteInfo,
    Tick,
)
from probes.events.placing import offset_of
from probes.exports import genai
from probes.exports.open_probes import OpenProbe, OpenProbes
from probes.exports.otlp_environment import check_environment
from probes.kit.aside import Aside, Report, WorkError
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted

QUEUED_MOST: Final = 10_000
"""Events: some seconds of the busiest run, of a few KB each where answers are long."""
SPANS_QUEUED: Final = 4_096
"""Spans that wait for the receiver."""
EXPORT_S: Final = 15
"""Between two exports of metrics where the environment says nothing: the SDK's minute is long for
somebody who watches, and for who must learn that nobody takes them."""
_INTERVAL_VARIABLE: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_SPANS_AT_ONCE: Final = 512
_SPANS_WAIT_S: Final = 2.0
"""A span waits for others for so long at most."""
_ATTEMPTS_KEPT: Final = 16
"""Of a probe: more than the retries that can be set."""
_LEAVING_S: Final = 2.0
"""What a receiver has to take the last of a run."""
_LONGEST_S: Final = 30.0
"""What a receiver has for one request in all, however it fills that: three times what the SDK waits
for each part of it."""
_ANSWER_BYTES: Final = 64 << 10
"""As much as is read of an answer: a receiver has little to say."""
_LADDER: Final = (
    *("dns", "tcp", "tls", "sent", "headers", "first_event", "first_token", "first_answer"),
    "last_token",
)
"""Stamps of an attempt that become events of its span."""
_TAKEN: Final = (Hello, Tick, FirstToken, Gap, AttemptFinished, ProbeFinished)
_HEADERS_VARIABLES: Final = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
)


_ROUTES_KEPT: Final = 10_000
"""Names of routes, each again where its settings changed: years of any run of ours."""


class OtlpUrlError(ValueError):
    """A text is no URL of a receiver; it says why, without a secret."""


class Receiver:
    """Where everything is sent."""

    def __init__(self, text: str) -> None:
        """Read a URL up to and without the signal's path.

        Raises:
            OtlpUrlError: it is none.
        """
        try:
            url = read_url(text)
        except UrlError as error:
            words = str(error)
            if "user or password" in words:
                words = "has a user or password in it; use OTEL_EXPORTER_OTLP_HEADERS"
            raise OtlpUrlError(words.replace("https://api.example.com/v1", _EXAMPLE)) from None
        path = url.path.rstrip("/")
        for signal in ("metrics", "traces"):
            if path.endswith(f"/v1/{signal}"):
                raise OtlpUrlError(f"ends in /v1/{signal}, which is added by itself: leave it out")
        query = "" if url.query is None else f"?{url.query}"
        self.is_clear = not url.is_tls and not url.is_loopback
        """Whether what is sent can be read on its way."""
        self.is_loopback = url.is_loopback
        """Whether it is on this machine."""
        self.metrics = f"{url.scheme}://{url.authority}{path}/v1/metrics{query}"
        self.traces = f"{url.scheme}://{url.authority}{path}/v1/traces{query}"
        self.shown = mask_url(text)
        """Fit for an eye."""


_EXAMPLE: Final = "http://127.0.0.1:4318"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Session(requests.Session):
    """Sends without following anybody elsewhere, and says of a failure why."""

    def __init__(self, receiver: "Receiver") -> None:
        super().__init__()
        self.why = ""
        """Of the last request; empty where it was taken."""
        self._sending: threading.Thread | None = None
        # A loopback address is always reached directly, whatever proxies the environment names.
        self.trust_env = not receiver.is_loopback
        # Nor are passwords of ~/.netrc for it, which requests would send unasked.
        self.auth = _as_it_is

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; raise where it cannot be, is sent elsewhere, or has no end.

        A receiver that sends a byte now and then meets each of requests' time-outs: it is left
        alone then, and nothing more is sent until it has done with that.
        """
        if self._sending is not None and self._sending.is_alive():
            raise requests.Timeout(self.why)
        outcome: list[requests.Response | Exception] = []

        def send() -> None:
            try:
                outcome.append(self._send_now(method, url, *args, **kwargs))
            except Exception as error:  # it is raised below, where somebody waits for it
                outcome.append(error)

        self._sending = threading.Thread(target=send, name="otlp", daemon=True)
        self._sending.start()
        self._sending.join(_LONGEST_S)
        if not outcome:
            self.why = "no answer in time"
            raise requests.Timeout(self.why)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    def _send_now(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {"allow_redirects": False, "stream": True}
        try:
            answer = super().request(method, url, *args, **kwargs)
        except requests.RequestException as error:
            self.why = _why(error)
            raise
        # One of our own, with as much of the body as may be: it is read whole otherwise.
        bounded = requests.Response()
        bounded.status_code, bounded.reason = answer.status_code, answer.reason
        bounded.headers, bounded.url = answer.headers, answer.url
        try:
            bounded.raw = io.BytesIO(answer.raw.read(_ANSWER_BYTES, decode_content=False))
        except Exception as error:  # urllib3 raises what it likes when a body breaks
            self.why = _why(error)
            raise requests.ConnectionError(self.why) from None
        finally:
            answer.close()
        status = answer.status_code
        self.why = "" if status < 300 else f"answered {status}"
        if 300 <= status < 400:
            self.why = f"answered {status}, to be asked elsewhere: redirects are not followed"
            raise requests.TooManyRedirects(self.why)
        return bounded


def _why(error: Exception) -> str:
    """Return in a few words why nothing could be sent; a library's own hold addresses of memory,
    and URLs with their queries."""
    words = str(error).lower()
    for sign, told in (
        ("refused", "connection refused"),
        ("name or service not known", "no such name"),
        ("failed to resolve", "no such name"),
        ("certificate", "its certificate is not trusted"),
        ("timed out", "no answer in time"),
        ("timeout", "no answer in time"),
        ("reset", "the connection broke"),
        ("aborted", "the connection broke"),
        ("proxy", "the proxy does not let it through"),
    ):
        if sign in words:
            return told
    return type(error).__name__


class _Metrics(OTLPMetricExporter):
    """Sends metrics, and says once when they are not taken, and once when they are again."""

    def __init__(self, receiver: Receiver, report: Report) -> None:
        self._own_session = _Session(receiver)
        super().__init__(endpoint=receiver.metrics, session=self._own_session)
        self._shown, self._report, self._told = receiver.shown, report, ""
        asked = (self._preferred_temporality or {}).values()
        self._are_deltas = AggregationTemporality.DELTA in asked
        self._missed = 0
        """Exports that were not taken since one was."""

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send all metrics once."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            if self._missed:
                self._report(f"--otlp {self._shown}: metrics are taken again{self._lost()}")
            self._told, self._missed = "", 0
            return result
        self._missed += 1
        why = self._own_session.why or "not in time"
        if why != self._told:
            self._told = why
            self._report(f"--otlp {self._shown}: metrics are not taken: {why}")
        return result

    def ended(self) -> None:
        """Say at the end what no export will tell any more."""
        if self._missed and (lost := self._lost()):
            self._report(f"--otlp {self._shown} ends{lost}")

    def _lost(self) -> str:
        if not self._are_deltas:
            return ""
        return f": those of {counted(self._missed, 'export')} are lost, for they are deltas"


class OtlpExport:
    """Takes the events of a run, and sends what they measure until it is closed."""

    def __init__(
        self,
        receiver: Receiver,
        report: Report,
        *,
        traces: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Begin; `report` takes what a person should read, from any thread.

        Raises:
            OtlpEnvironmentError: the SDK would be told what it cannot read.
        """
        check_environment(environ)
        _silence()
        self._report, self._shown = report, receiver.shown
        resource = _resource(environ)
        interval_ms = None if environ.get(_INTERVAL_VARIABLE) else EXPORT_S * 1e3
        self._metrics = _Metrics(receiver, report)
        reader = PeriodicExportingMetricReader(self._metrics, interval_ms)
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._instruments = _Instruments(self._provider, latest=genai.wants_latest(environ))
        self._spans = _Spans(receiver, resource, report) if traces else None
        self._aside: Aside[list[Event]] = Aside(
            "--otlp", self._fold, most=QUEUED_MOST, pieces="events", report=report
        )
        self._routes: dict[str, RouteInfo] = {}
        self._attributes: dict[str, genai.Attributes] = {}
        self._named = 0
        """How many routes there were, each anew where its settings changed."""
        self._offsets: dict[str, int] = {}
        """By place, what moves its stamps to wall time, in ns."""
        self._open = OpenProbes()
        if receiver.is_clear and any(environ.get(name) for name in _HEADERS_VARIABLES):
            report(
                f"--otlp {receiver.shown}: OTEL_EXPORTER_OTLP_HEADERS go there in clear text; "
                "https:// would hide them"
            )

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Take a batch; return at once."""
        wanted = [event for event in events if isinstance(event, _TAKEN)]
        if wanted:
            self._aside.put(list[Event](wanted), len(wanted))

    def close(self) -> None:
        """Send what is left, in some seconds at most."""
        self._aside.close(1.0)
        # The SDK waits for a receiver as long as its own settings say; who quits does not.
        ending = threading.Thread(target=self._shut_down, daemon=True)
        ending.start()
        if self._spans is not None:
            self._spans.close()
        ending.join(_LEAVING_S)
        if ending.is_alive():
            self._report(f"--otlp {self._shown} ends: metrics were not taken in time")

    def _shut_down(self) -> None:
        try:
            self._provider.shutdown()
            self._metrics.ended()
        except Exception as error:  # it raises what its readers did, as a list of texts
            self._report(f"--otlp {self._shown} ends: {neutralise(str(error), 200)}")

    def _fold(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Hello | Tick):
                self._offsets[event.place] = offset_of(event)
            if isinstance(event, Hello):
                self._greeted(event)
            elif isinstance(event, FirstToken):
                self._open.probe(event).answered(event)
            elif isinstance(event, Gap):
                self._open.slept(event)
            elif isinstance(event, AttemptFinished):
                self._attempt_finished(event)
            elif isinstance(event, ProbeFinished):
                self._probe_finished(event)
        if self._spans is not None:
            self._spans.flush()

    def _greeted(self, event: Hello) -> None:
        for info in event.routes:
            if self._routes.get(info.name) == info:
                continue
            # The SDK keeps a series of whatever it was ever told: other places may name others
            # each time.
            if self._named < _ROUTES_KEPT:
                self._named += 1
                self._routes[info.name] = info
                self._attributes[info.name] = genai.attributes_of(info)
            elif self._named == _ROUTES_KEPT:
                self._named += 1
                self._report(f"--otlp {self._shown}: {_ROUTES_KEPT:,} routes were named: no others")

    def _attempt_finished(self, event: AttemptFinished) -> None:
        attributes = self._attributes.get(event.route)
        if attributes is None:
            return
        probe = self._open.probe(event)
        probe.served = event.served_model
        if self._spans is not None and len(probe.attempts) < _ATTEMPTS_KEPT:
            probe.attempts.append(event)
        self._instruments.used(genai.with_model(attributes, event.served_model), event)

    def _probe_finished(self, event: ProbeFinished) -> None:
        probe = self._open.ended(event)
        info, attributes = self._routes.get(event.route), self._attributes.get(event.route)
        if info is None or attributes is None:
            return
        told = genai.with_model(attributes, probe.served)
        # What we cancelled says nothing of the route, and stamps that do not hold nothing at all.
        if event.outcome != "cancelled" and self._open.is_measured(event, info.place):
            ended_ns = event.at_ns if event.done_ns is None else event.done_ns
            error = genai.error_type(event.outcome, event.reason)
            self._instruments.lasted(told, seconds(ended_ns - event.started_ns), error)
            if probe.felt_s is not None:
                self._instruments.began_to_answer(told, probe.felt_s)
        if self._spans is not None:
            offset_ns = self._offsets.get(info.place, self._offsets.get("", 0))
            self._spans.tell(event, info, told, probe, offset_ns)


class _Instruments:
    """The metrics, under the names that are asked for."""

    def __init__(self, provider: MeterProvider, *, latest: bool) -> None:
        schema_url = None if latest else genai.SCHEMA_URL
        meter = provider.get_meter("llmtop", __version__, schema_url)

        def histogram(name: str, unit: str, about: str) -> Histogram:
            buckets: Sequence[float] = genai.SECONDS_BUCKETS if unit == "s" else genai.TOKEN_BUCKETS
            return meter.create_histogram(
                name, unit, about, explicit_bucket_boundaries_advisory=buckets
            )

        self._duration = histogram(
            genai.LATEST_DURATION if latest else genai.DURATION, "s", "GenAI operation duration."
        )
        self._first_chunk = histogram(
            genai.LATEST_FIRST_CHUNK if latest else genai.FIRST_CHUNK,
            "s",
            "Time to receive the first chunk, from when the client issues the request.",
        )
        self._tokens: Histogram | None = None
        self._usage: dict[str, Counter] = {}
        self._each: dict[str, Histogram] = {}
        if latest:
            self._usage = {
                kind: meter.create_counter(name, "{token}", f"Tokens used: {kind}.")
                for kind, name in genai.LATEST_USAGE.items()
            }
            self._each = {
                "input": histogram(genai.LATEST_INPUT, "{token}", "Input tokens an operation."),
                "output": histogram(genai.LATEST_OUTPUT, "{token}", "Output tokens an operation."),
            }
        else:
            self._tokens = histogram(
                genai.TOKENS, "{token}", "Number of input and output tokens used."
            )

    def lasted(self, attributes: dict[str, str | int], time_s: float, error: str | None) -> None:
        """Take how long an operation took, and why it failed where it did."""
        told = attributes if error is None else attributes | {"error.type": error}
        self._duration.record(time_s, told)

    def began_to_answer(self, attributes: dict[str, str | int], time_s: float) -> None:
        """Take the time to the first chunk of an answer that was streamed."""
        self._first_chunk.record(time_s, attributes)

    def used(self, attributes: dict[str, str | int], event: AttemptFinished) -> None:
        """Take what an attempt used, by its server's count: billable tokens where that says so."""
        counts = {
            "input": event.input_tokens,
            "output": event.billed_tokens or event.output_tokens,
            "cached": event.cached_tokens,
            "reasoning": event.reasoning_tokens,
        }
        if self._tokens is not None:
            for kind in ("input", "output"):
                tokens = counts[kind]
                if tokens is not None:
                    self._tokens.record(tokens, attributes | {"gen_ai.token.type": kind})
            return
        # No server breaks the usage of these requests down by modality.
        unknown = attributes | {"gen_ai.token.modality": "unknown"}
        for kind, tokens in counts.items():
            if kind in self._each and tokens is not None:
                self._each[kind].record(tokens, attributes)
            if kind in self._each or tokens is not None:
                self._usage[kind].add(tokens or 0, unknown)  # as they want it: 0 where none came


class _Spans:
    """Makes a span of each probe with its attempts as children, and sends them in batches."""

    def __init__(self, receiver: Receiver, resource: Resource, report: Report) -> None:
        self._ended: list[ReadableSpan] = []
        self._shown = receiver.shown
        self._report = report
        self._lost = 0
        self._session = _Session(receiver)
        self._exporter = OTLPSpanExporter(endpoint=receiver.traces, session=self._session)
        self._aside: Aside[list[ReadableSpan]] = Aside(
            f"--otlp {receiver.shown}:",
            self._send,
            most=SPANS_QUEUED,
            pieces="spans",
            report=report,
        )
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(_Ended(self._ended.append))
        self._tracer = provider.get_tracer("llmtop", __version__, schema_url=genai.SCHEMA_URL)
        self._flushed_s = time.monotonic()

    def tell(
        self,
        event: ProbeFinished,
        info: RouteInfo,
        attributes: dict[str, str | int],
        probe: OpenProbe,
        offset_ns: int,
    ) -> None:
        """Make the spans of a probe; stamps are moved by `offset_ns`."""
        # A probe ends with its last attempt, whose end may be reported a little before or after.
        ended_ns = max([event.at_ns, *(attempt.at_ns for attempt in probe.attempts)])
        span = self._tracer.start_span(
            f"{attributes['gen_ai.operation.name']} {info.model}",
            kind=SpanKind.CLIENT,
            attributes={**attributes, **_of_probe(event, info, probe)},
            start_time=event.started_ns + offset_ns,
        )
        _end(span, event.outcome, genai.error_type(event.outcome, event.reason), None)
        parent = set_span_in_context(span)
        for attempt in probe.attempts:
            began_ns = attempt.stamps_ns.started or event.started_ns
            child = self._tracer.start_span(
                "POST",
                context=parent,
                kind=SpanKind.CLIENT,
                attributes=_of_attempt(attempt, attributes),
                start_time=began_ns + offset_ns,
            )
            for name in _LADDER:
                stamp_ns = getattr(attempt.stamps_ns, name)
                if stamp_ns is not None:
                    child.add_event(f"llmtop.{name}", timestamp=stamp_ns + offset_ns)
            error = genai.error_type(attempt.outcome, attempt.reason)
            _end(child, attempt.outcome, error, attempt.at_ns + offset_ns)
        span.end(ended_ns + offset_ns)

    def flush(self, *, anyway: bool = False) -> None:
        """Queue what is ended, where it is much or has waited."""
        now_s = time.monotonic()
        is_due = len(self._ended) >= _SPANS_AT_ONCE or now_s - self._flushed_s >= _SPANS_WAIT_S
        if not self._ended or not (is_due or anyway):
            return
        self._flushed_s = now_s
        ended = list(self._ended)
        self._ended.clear()
        for at in range(0, len(ended), _SPANS_AT_ONCE):
            piece = ended[at : at + _SPANS_AT_ONCE]
            self._aside.put(piece, len(piece))

    def close(self) -> None:
        """Send what is left, in some seconds at most."""
        self.flush(anyway=True)
        self._aside.close(_LEAVING_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        if self._lost:
            self._report(
                f"--otlp {self._shown}: {counted(self._lost, 'span')} in all were not taken"
            )

    def _send(self, spans: list[ReadableSpan]) -> None:
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            raise WorkError(f"spans are not taken: {self._session.why or 'not in time'}")


class _Ended(SpanProcessor):
    """Hands on each span that has ended."""

    def __init__(self, take: Callable[[ReadableSpan], None]) -> None:
        self._take = take

    def on_end(self, span: ReadableSpan) -> None:
        """Hand one on, where it is sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._take(span)


def _end(span: Span, outcome: str, error: str | None, at_ns: int | None) -> None:
    """Say how what a span tells of ended; end it where a moment is given."""
    span.set_attribute("llmtop.outcome", outcome)
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))
    if at_ns is not None:
        span.end(at_ns)


def _of_probe(
    event: ProbeFinished, info: RouteInfo, probe: OpenProbe
) -> dict[str, str | int | float | bool | Sequence[str]]:
    """Return what is known of a probe beyond its route."""
    found: dict[str, str | int | float | bool | Sequence[str] | None] = {
        "gen_ai.request.stream": info.streamed,
        "gen_ai.request.max_tokens": cap_of(event.cohort) or info.max_tokens,
        "gen_ai.usage.input_tokens": event.input_tokens,
        "gen_ai.usage.output_tokens": event.output_tokens,
        "gen_ai.response.time_to_first_chunk": probe.felt_s,
        "llmtop.probe": event.probe,
        "llmtop.attempts": event.attempts,
        "llmtop.cost_usd": event.cost_usd,
        "llmtop.flagged": event.flagged or None,
    }
    if probe.attempts:
        last = probe.attempts[-1]
        found |= {
            "gen_ai.response.id": _word(last.response_id),
            "gen_ai.response.finish_reasons": (
                [_word(last.finish_reason) or ""] if last.finish_reason else None
            ),
            "gen_ai.usage.cache_read.input_tokens": last.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": last.reasoning_tokens,
        }
    return {name: value for name, value in found.items() if value is not None}


def _of_attempt(
    attempt: AttemptFinished, attributes: dict[str, str | int]
) -> dict[str, str | int | float | bool]:
    """Return what is known of an attempt, in the words for an HTTP client."""
    version = attempt.http_version.partition("/")[2]
    found: dict[str, str | int | float | bool | None] = {
        "http.request.method": "POST",
        "http.response.status_code": attempt.status,
        "http.request.resend_count": attempt.attempt or None,
        "network.protocol.version": version or None,
        "server.address": attributes.get("server.address"),
        "server.port": attributes.get("server.port"),
        "llmtop.attempt": attempt.attempt,
        "llmtop.reason": attempt.reason[:80] or None,
        "llmtop.request_id": _word(attempt.request_id),
        "llmtop.retry_after_s": attempt.retry_after_s,
        "llmtop.cold": attempt.cold,
        "llmtop.chunks": attempt.chunks,
        "llmtop.stalls": attempt.stalls or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _word(text: str | None) -> str | None:
    """Return what a server said, made harmless and short."""
    return neutralise(text, 200) if text else None


def _resource(environ: Mapping[str, str]) -> Resource:
    """Return who sends; what the environment says of it outweighs what we say."""
    own = {
        "service.name": "llmtop",
        "service.version": __version__,
        # Two runs are two writers: under one name they would be taken for one that jumps about.
        "service.instance.id": str(uuid4()),
    }
    told = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named = {pair.partition("=")[0].strip() for pair in told.split(",")}
    if environ.get("OTEL_SERVICE_NAME"):
        named.add("service.name")
    return Resource.create({name: value for name, value in own.items() if name not in named})


def _silence() -> None:
    """Keep what the SDK logs off the terminal, which is the screen's; we say it ourselves. What it
    sends by logs whole URLs where an answer is garbage."""
    for name in ("opentelemetry", "urllib3"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
