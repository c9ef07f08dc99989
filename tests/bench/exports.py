"""What do exports cost? `python tests/bench/exports.py [--json FILE]`

CPU time of an event on its way to Prometheus and to an OpenTelemetry receiver, in the thread that
gives events and in the ones aside, beside what the board takes of the same event; and CPU time of a
scrape with 8, 20 and 400 routes. The median of some turns; nothing leaves this process.
"""

import argparse
import gzip
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "probes")]

from board_streams import ProbeScript, hello, route_info, tick  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from prometheus_client import CollectorRegistry, generate_latest  # noqa: E402

from probes.board import Board  # noqa: E402
from probes.events import Event, RouteCounts  # noqa: E402
from probes.exports import otlp  # noqa: E402
from probes.exports.metrics_fold import MetricsFold  # noqa: E402
from probes.exports.otlp import OtlpExport, Receiver  # noqa: E402
from probes.exports.prometheus_server import _Figures  # noqa: E402

TURNS = 5
PROBES = 4_000
CHUNKS = 50
OUTCOMES = ("ok", "ok", "ok", "server_error")


def stream(routes: int, probes: int) -> list[Event]:
    """Return the hello of so many routes, then probes of 50 chunks, a tick for every four."""
    infos = [route_info(f"route-{number}", model=f"model-{number}") for number in range(routes)]
    events: list[Event] = [hello(*infos)]
    offsets = tuple(range(400_000_000, 400_000_000 + CHUNKS * 20_000_000, 20_000_000))
    for number in range(probes):
        script = ProbeScript(
            f"e1-{number}",
            number / 4,
            route=f"route-{number % routes}",
            outcome=OUTCOMES[number // routes % len(OUTCOMES)],
            finished={"chunk_offsets_ns": offsets, "chunks": CHUNKS},
        )
        events += script.events()
        if number % 4 == 3:
            counts = [RouteCounts(route=info.name, in_flight=1, target=2) for info in infos[:20]]
            events.append(tick(number / 4, *counts))
    return events


def cpu_s(turn: Callable[[], object]) -> float:
    """Return the CPU seconds of this thread that a turn takes, the median of some."""
    taken = []
    for _ in range(TURNS):
        began = time.thread_time()
        turn()
        taken.append(time.thread_time() - began)
    return statistics.median(taken)


def figures() -> dict[str, tuple[float, str]]:
    """Measure all of them."""
    events = stream(20, PROBES)
    n = len(events)
    batches = [events[at : at + 20] for at in range(0, n, 20)]
    found: dict[str, tuple[float, str]] = {}

    def board() -> None:
        one = Board()
        for event in events:
            one.fold(event)

    found["an event folded by the board"] = cpu_s(board) / n * 1e6, "µs"
    found["an event folded for Prometheus"] = (
        cpu_s(lambda: MetricsFold().fold(events)) / n * 1e6,
        "µs",
    )

    fold = MetricsFold()
    kept: list[list[Event]] = []

    def given() -> None:
        kept.clear()
        for batch in batches:
            kept.append([event for event in batch if fold.wants(event)])

    found["an event as it is given, in the thread that gives it"] = cpu_s(given) / n * 1e6, "µs"
    for traces in (False, True):
        found[f"an event made {'metrics and spans' if traces else 'metrics'} for OpenTelemetry"] = (
            cpu_s(lambda traces=traces: told_otlp(batches, traces=traces)) / n * 1e6,
            "µs",
        )
    for routes in (8, 20, 400):
        filled = MetricsFold()
        filled.fold(stream(routes, 8 * routes))
        registry = CollectorRegistry()
        registry.register(_Figures(filled))
        text = generate_latest(registry)
        series = sum(not line.startswith(b"#") for line in text.splitlines())
        found[f"a scrape of {routes} routes: {series:,} series, {len(text) >> 10:,} KB"] = (
            cpu_s(lambda registry=registry: generate_latest(registry)) * 1e3,
            "ms",
        )
        if routes == 20:
            found["the same, compressed as Prometheus asks"] = (
                cpu_s(lambda registry=registry: gzip.compress(generate_latest(registry))) * 1e3,
                "ms",
            )
    return found


def told_otlp(batches: list[list[Event]], *, traces: bool) -> None:
    """Make metrics, and spans, of a stream; nothing is sent."""
    otlp.PeriodicExportingMetricReader = lambda *_: InMemoryMetricReader()  # type: ignore[assignment]
    export = OtlpExport(Receiver("http://127.0.0.1:9"), lambda _: None, traces=traces, environ={})
    if export._spans is not None:
        export._spans._aside.put = lambda *_: True  # type: ignore[method-assign]
    for batch in batches:
        export._fold(batch)


def main() -> None:
    """Print the figures as rows of a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = figures()
    for what, (value, unit) in found.items():
        sys.stdout.write(f"| {what} | {value:.3g} {unit} |\n")
    if arguments.json is not None:
        told = {what: {"value": value, "unit": unit} for what, (value, unit) in found.items()}
        arguments.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
