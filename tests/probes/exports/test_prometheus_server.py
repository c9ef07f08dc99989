"""Figures are served to Prometheus, and to no page of another site."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any

import pytest
from board_streams import ProbeScript, hello, tick
from prometheus_client.parser import text_string_to_metric_families

from probes.exports import prometheus_server
from probes.exports.metrics import METRICS
from probes.exports.prometheus_server import ListenError, PrometheusExport
from probes.kit.listen import ListenAddress

ANY = ListenAddress("127.0.0.1", 0)
PATIENCE_S = 5.0


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def export(said: list[str]) -> Iterator[PrometheusExport]:
    one = PrometheusExport(ANY, said.append)
    yield one
    one.close()


def asked(
    export: PrometheusExport, path: str = "/metrics", method: str = "GET", **headers: str
) -> tuple[int, str]:
    connection = HTTPConnection(export.address.host, export.address.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, headers={"Host": "localhost", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def scraped(export: PrometheusExport) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return all samples, by name and labels, as Prometheus reads them."""
    _, text = asked(export)
    return {
        (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if v))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def settled(export: PrometheusExport, name: str, value: float) -> bool:
    """Return whether a metric comes to a value: events are folded aside."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if any(key[0] == name and found == value for key, found in scraped(export).items()):
            return True
        time.sleep(0.01)
    return False


def test_a_run_is_served(export: PrometheusExport) -> None:
    export.receive([hello(), *ProbeScript("e1-1", 1.0).events(), tick(4.0)], b"")
    assert settled(export, "llmtop_engine_last_tick_timestamp_seconds", 1004.000000007)
    told = scraped(export)
    labels = (("model", "m"), ("outcome", "ok"), ("route", "alpha"))
    assert told["llmtop_probes_total", labels] == 1
    assert told["llmtop_time_to_first_token_seconds_count", labels] == 1
    assert told["llmtop_time_to_first_token_seconds_sum", labels] == pytest.approx(0.4)
    below = {
        dict(key[1])["le"]: count
        for key, count in told.items()
        if key[0] == "llmtop_time_to_first_token_seconds_bucket"
    }
    assert (below["0.3"], below["0.45"], below["+Inf"]) == (0, 1, 1)
    assert ("process_cpu_seconds_total", ()) in told


def test_each_family_has_its_type_and_its_meaning(export: PrometheusExport) -> None:
    export.receive([hello(), *ProbeScript("e1-1", 1.0).events(), tick(4.0)], b"")
    assert settled(export, "llmtop_engine_open_sockets", 0)
    families = {family.name: family for family in text_string_to_metric_families(asked(export)[1])}
    for metric in METRICS:
        family = families.get(metric.name.removesuffix("_total"))
        if family is not None:
            assert (family.type, family.documentation) == (metric.kind, metric.help)
    assert len(families) > 25


def test_openmetrics_is_spoken_to_who_asks_for_it(export: PrometheusExport) -> None:
    export.receive([hello()], b"")
    assert settled(export, "llmtop_engine_starts_total", 1)
    accept = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    status, text = asked(export, Accept=accept)
    assert status == 200
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9464", 200),
        ("127.0.0.1:9464", 200),
        ("127.1.2.3", 200),
        ("[::1]:9464", 200),
        ("host.docker.internal:9464", 200),
        ("", 403),
        ("example.com", 403),
        ("127.0.0.1.example.com:9464", 403),
        ("localhost.example.com", 403),
        ("10.0.0.1", 403),
        ("0.0.0.0", 403),  # noqa: S104 - a header
        ("evil@localhost", 403),
    ],
)
def test_on_loopback_a_request_has_to_name_it(
    export: PrometheusExport, host: str, status: int
) -> None:
    assert asked(export, Host=host)[0] == status


def test_no_other_site_may_read_an_answer(export: PrometheusExport) -> None:
    connection = HTTPConnection(export.address.host, export.address.port, timeout=PATIENCE_S)
    connection.request("GET", "/metrics", headers={"Origin": "https://example.com"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert not any(name.lower().startswith("access-control") for name, _ in answer.getheaders())


def test_elsewhere_any_name_is_ours_and_a_notice_says_who_can_read(said: list[str]) -> None:
    export = PrometheusExport(ListenAddress("0.0.0.0", 0), said.append)  # noqa: S104 - what is asked for
    try:
        local: Any = export
        local.address = ListenAddress("127.0.0.1", export.address.port)
        assert asked(export, Host="agent-eu:9464")[0] == 200
    finally:
        export.close()
    assert any("whoever reaches it reads routes, models and costs" in one for one in said)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/metrics/x", "GET", 404),
        ("/metrics", "POST", 405),
        ("/metrics", "DELETE", 405),
        ("/metrics", "HEAD", 200),
        ("/metrics?x=1", "GET", 200),
    ],
)
def test_only_reading_the_metrics_does_anything(
    export: PrometheusExport, path: str, method: str, status: int
) -> None:
    assert asked(export, path, method)[0] == status


def test_more_scrapes_at_once_than_it_takes_are_refused(
    export: PrometheusExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, begun = threading.Event(), threading.Semaphore(0)
    read = export._figures.read

    def slow() -> Any:
        begun.release()
        assert may.wait(PATIENCE_S)
        return read()

    monkeypatch.setattr(export._figures, "read", slow)
    scrapes = [threading.Thread(target=asked, args=(export,)) for _ in range(4)]
    for scrape in scrapes:
        scrape.start()
    for _ in scrapes:
        assert begun.acquire(timeout=PATIENCE_S)
    assert asked(export)[0] == 503
    may.set()
    for scrape in scrapes:
        scrape.join(PATIENCE_S)
    assert asked(export)[0] == 200


def test_who_holds_connections_open_and_says_nothing_keeps_nobody_out_for_long(
    export: PrometheusExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_server._Handler, "timeout", 0.2)
    idle = [socket.create_connection((export.address.host, export.address.port)) for _ in range(40)]
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if asked(export)[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        pytest.fail("nobody was answered")
    finally:
        for one in idle:
            one.close()


def test_a_defect_is_a_500_and_nothing_on_the_terminal(
    export: PrometheusExport, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(export._figures, "read", fail)
        assert asked(export)[0] == 500
    assert asked(export)[0] == 200
    assert capfd.readouterr() == ("", "")


def test_who_sends_a_byte_now_and_then_is_hung_up_on(
    export: PrometheusExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_server, "_LONGEST_S", 0.3)
    with socket.create_connection((export.address.host, export.address.port)) as one:
        one.settimeout(PATIENCE_S)
        sent = 0
        with suppress(OSError):
            while sent < 200:
                one.sendall(b"G")
                sent += 1
                time.sleep(0.02)
        assert sent < 200
    assert asked(export)[0] == 200


def test_a_scrape_holds_up_nobody_who_gives_events(
    export: PrometheusExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What folds may wait for a reader; what receives never does."""
    with export._figures._lock:
        for _ in range(100):
            export.receive([tick(1.0)], b"")
    assert settled(export, "llmtop_engine_open_sockets", 0)


def test_a_port_that_is_taken_is_one_line(export: PrometheusExport) -> None:
    with pytest.raises(ListenError) as caught:
        PrometheusExport(export.address, print)
    assert (
        str(caught.value)
        == f"{export.address}: the port is taken; is another llmtop running with it?"
    )


def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(ListenError, match="is no address of this machine"):
        PrometheusExport(ListenAddress("192.0.2.1", 0), print)


def test_ipv6_is_served() -> None:
    try:
        export = PrometheusExport(ListenAddress("::1", 0), lambda _: None)
    except ListenError:
        pytest.skip("this machine has no IPv6")
    assert asked(export)[0] == 200
    export.close()


def test_nothing_is_served_after_the_end_and_the_port_is_free(said: list[str]) -> None:
    export = PrometheusExport(ANY, said.append)
    assert said == [f"Prometheus: http://127.0.0.1:{export.address.port}/metrics"]
    export.close()
    with pytest.raises(ConnectionRefusedError):
        asked(export)
    again = PrometheusExport(export.address, said.append)
    again.close()
