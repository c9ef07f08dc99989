"""`--prometheus`: the figures of a run, served for Prometheus to scrape, by its official client.

Rule 1: who gives us events only queues them: they are folded in a thread, and served by others. A
scrape copies the figures of one moment, and nobody who measures waits for it.
Rule 2: at most `_AT_ONCE` scrapes at once: who asks beside them is told 503. Connections are
bounded, too, and each has some seconds: who sends nothing, or little, keeps nobody out.
Rule 3: on loopback, requests must name it. A page that a browser has loaded from elsewhere can
have its own name resolved to this machine (DNS rebinding) and would read routes, models and costs:
its requests carry that name in `Host`, and get 403. Where another address was asked for, whoever
reaches it may read it under any name: Prometheus may know us by one.
Rule 4: nothing is changed by any request, and no other site is let read an answer.
"""

import errno
import io
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from probes.events import Event
from probes.exports.metrics import METRICS, MetricFamily
from probes.exports.metrics_fold import HistogramCounts, Labels, MetricsFold
from probes.kit.aside import Aside, Report
from probes.kit.listen import ListenAddress

QUEUED_MOST: Final = 10_000
"""Events: some seconds of the busiest run, of a few KB each where answers are long."""
PATH: Final = "/metrics"
_AT_ONCE: Final = 4
"""A pair of Prometheus servers, somebody with curl, and one more."""
_CONNECTIONS: Final = 32
"""Each has a thread while its request comes, and that may be slow."""
_PATIENCE_S: Final = 5.0
"""What a scraper has to send its request, and to take each piece of the answer."""
_LONGEST_S: Final = 15.0
"""What a connection has in all: somewhat more than Prometheus waits by default. Whoever sends a
byte now and then would else hold its place for ever."""
_LEAVING_S: Final = 1.0
_OWN_NAMES: Final = frozenset({"localhost", "host.docker.internal", "host.containers.internal"})
"""Names of this machine; the latter two are what containers on it call it. Nobody can have a page
at one of them: `.internal` is in no public DNS."""
_PLAIN: Final = ("Content-Type", "text/plain; charset=utf-8")

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class ListenError(ValueError):
    """The address cannot be listened at; the text says why."""


class PrometheusExport:
    """Takes the events of a run, and serves its figures until it is closed."""

    def __init__(self, address: ListenAddress, report: Report) -> None:
        """Listen at once; `report` takes what a person should read, from any thread.

        Raises:
            ListenError: the port is taken, or there is no such address here.
        """
        self._aside: Aside[list[Event]] = Aside(
            "--prometheus", self._fold, most=QUEUED_MOST, pieces="events", report=report
        )
        self._figures = MetricsFold(dropped=lambda: self._aside.dropped)
        registry = CollectorRegistry()
        registry.register(_Figures(self._figures))
        ProcessCollector(registry=registry)  # `process_…` of ours, as every exporter has it
        try:
            self._server = _server(address, _guarded(make_wsgi_app(registry), address))
        except OSError as error:
            raise ListenError(f"{address}: {_why(error)}") from None
        self.address: Final = ListenAddress(address.host, self._server.server_port)
        """Where it listens; with the port that was found where any would do."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="prometheus", daemon=True
        )
        self._thread.start()
        if address.port == 0:
            report(f"Prometheus: {self.url}")
        if not address.is_loopback:
            report(
                f"--prometheus {address}: whoever reaches it reads routes, models and costs; "
                "it has no password and no TLS"
            )

    @property
    def url(self) -> str:
        """What is to be scraped."""
        return f"http://{self.address}{PATH}"

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Take a batch; return at once."""
        wanted = [event for event in events if self._figures.wants(event)]
        if wanted:
            self._aside.put(wanted, len(wanted))

    def close(self) -> None:
        """Stop serving: who scrapes now sees the run end, not figures that stand still."""
        self._aside.close(_LEAVING_S)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_LEAVING_S)

    def _fold(self, events: list[Event]) -> None:
        self._figures.fold(events)


class _Figures(Collector):
    """The figures of a fold as the client's families, made anew for each scrape."""

    def __init__(self, figures: MetricsFold) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Return the families without their series, so that registering reads nothing."""
        return [_family(metric, {}, {}) for metric in METRICS]

    def collect(self) -> Iterator[Metric]:
        """Yield all families that have any series."""
        values, spreads = self._figures.read()
        for metric in METRICS:
            family = _family(metric, values.get(metric.name, {}), spreads.get(metric.name, {}))
            if family.samples:
                yield family


def _family(
    metric: MetricFamily, values: Mapping[Labels, float], spreads: Mapping[Labels, HistogramCounts]
) -> Metric:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        ends = [*map(floatToGoString, metric.buckets), "+Inf"]
        for labels, spread in spreads.items():
            so_far, buckets = 0, []
            for end, count in zip(ends, spread.counts, strict=True):
                so_far += count
                buckets.append((end, so_far))
            histogram.add_metric(labels, buckets, spread.sum)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _guarded(metrics: WsgiApp, address: ListenAddress) -> WsgiApp:
    """Return what serves the metrics at their path, to whom rules 2 to 4 let have them."""
    places = threading.BoundedSemaphore(_AT_ONCE)

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def refuse(status: str, why: str) -> Iterable[bytes]:
            start_response(status, [_PLAIN])  # a list of its own: the server adds to it
            return [f"{why}\n".encode()]

        if address.is_loopback and not _names_loopback(environ.get("HTTP_HOST", "")):
            return refuse("403 Forbidden", "Host does not name this machine's loopback")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return refuse("405 Method Not Allowed", "GET it")
        if environ.get("PATH_INFO") != PATH:
            return refuse("404 Not Found", f"metrics are at {PATH}")
        if not places.acquire(blocking=False):
            return refuse("503 Service Unavailable", f"{_AT_ONCE} scrapes are under way")
        try:
            is_head = environ["REQUEST_METHOD"] == "HEAD"
            body = metrics({**environ, "REQUEST_METHOD": "GET"}, start_response)
            return [] if is_head else body
        finally:
            places.release()

    return app


def _names_loopback(host: str) -> bool:
    """Return whether a Host header names this machine: by a loopback address, or by name."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").lower().removesuffix(".")
    if name in _OWN_NAMES:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class _Handler(WSGIRequestHandler):
    """Answers one request, in silence: the terminal is the screen's."""

    timeout = _PATIENCE_S

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def get_stderr(self) -> io.StringIO:
        """Take the traceback of a defect, which Prometheus sees as a 500."""
        return io.StringIO()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request, none of which keeps the process from ending."""

    daemon_threads = True
    # What another run left in TIME_WAIT does not matter; what listens there does.
    allow_reuse_address = os.name == "posix"
    # With socketserver's 5 a burst of connections makes the next one wait for seconds.
    request_queue_size = 2 * _CONNECTIONS

    def server_bind(self) -> None:
        """Bind without asking a resolver for our own name, which HTTPServer does: it may hang."""
        TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])
        self.setup_environ()
        self._began_s: dict[socket.socket, float] = {}
        """Connections that are being answered, and since when."""

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; hang up on whoever comes while too many are there."""
        if len(self._began_s) >= _CONNECTIONS:
            self.shutdown_request(request)
            return
        self._began_s[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread: it is hung up on by who called
            self._began_s.pop(request, None)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._began_s.pop(request, None)

    def service_actions(self) -> None:
        """Hang up on whoever has been here for too long."""
        now_s = time.monotonic()
        for request, began_s in list(self._began_s.items()):
            if now_s - began_s > _LONGEST_S:
                with suppress(OSError):  # it has just gone by itself
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a scraper that hangs up in the middle."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server(address: ListenAddress, app: WsgiApp) -> WSGIServer:
    kind = _Server6 if address.is_ipv6 else _Server
    server = kind((address.host, address.port), _Handler)
    server.set_app(app)
    return server


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken; is another llmtop running with it?"
    if error.errno == errno.EACCES:
        return "this port is not for every user; take one from 1024 on"
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this machine"
    return error.strerror or type(error).__name__
