"""One client at work for some seconds, held to the truth."""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from truth import MetronomePage

from .client import Client, RunningClient, Task
from .machine import Placement
from .matching import Errors, compare, keys_of, output_stamps
from .processes import core_time, cpu_ns, favour, peak_rss_bytes
from .provider import Provider

WARM_UP_S = 1.5
"""From the first request to the measured span: connections are made meanwhile."""
WARM_UP_OF_A_STREAM_S = 1 / 120
"""And so much for each stream: llmtop opens some 150 a second."""
PATIENCE_S = 120.0
"""GuideLLM takes 20 s to its first request on an idle machine."""


@dataclass
class Measurement:
    """What one client did at one number of streams."""

    client: str
    streams: int
    errors: Errors = field(default_factory=Errors)
    always_cold: bool = False
    """The errors are those of cold connections: the client keeps none."""
    chunks: int = 0
    """Output chunks the server sent during the measured spans."""
    cpu_ns: dict[str, int] = field(default_factory=dict)
    """CPU time during the same spans, by what processes do."""
    rss_bytes: dict[str, int] = field(default_factory=dict)
    """Largest resident sizes, the largest of all rounds."""
    start_s: list[float] = field(default_factory=list)
    """From the spawn to the arrival of the first request, of each round."""
    loop_lag_ms: list[float] = field(default_factory=list)
    server_late_ns: list[int] = field(default_factory=list)
    """p99 of the server's own lateness, of each round."""
    server_send_ns: list[int] = field(default_factory=list)
    """p99 of the duration of its send calls."""
    stolen: list[float] = field(default_factory=list)
    """Share of the cores' time that the host took away, of each round."""
    others: list[float] = field(default_factory=list)
    """Share of the cores' time that went to what is no part of this."""

    def add(self, other: "Measurement") -> None:
        """Take another round of the same as well."""
        self.errors.add(other.errors)
        self.always_cold |= other.always_cold
        self.chunks += other.chunks
        for role, used in other.cpu_ns.items():
            self.cpu_ns[role] = self.cpu_ns.get(role, 0) + used
        for role, size in other.rss_bytes.items():
            self.rss_bytes[role] = max(self.rss_bytes.get(role, 0), size)
        self.start_s += other.start_s
        self.loop_lag_ms += other.loop_lag_ms
        self.server_late_ns += other.server_late_ns
        self.server_send_ns += other.server_send_ns
        self.stolen += other.stolen
        self.others += other.others


@dataclass(frozen=True)
class _Span:
    """A stretch of a run, and what was used in it."""

    began_ns: int
    ended_ns: int
    cpu_ns: Mapping[str, int]
    rss_bytes: Mapping[str, int]
    stolen: float
    others: float


def measure(
    client: Client,
    provider: Provider,
    streams: int,
    seconds: float,
    placement: Placement,
    *,
    warm_up_s: float | None = None,
) -> Measurement:
    """Let a client stream, and return what it was worth.

    Raises:
        RuntimeError: the client failed.
        TimeoutError: it never sent a request.
    """
    provider.clear()
    if warm_up_s is None:
        warm_up_s = WARM_UP_S + streams * WARM_UP_OF_A_STREAM_S
    with tempfile.TemporaryDirectory(prefix="llmtop-bench-") as folder:
        task = Task(
            base_url=provider.base_url,
            streams=streams,
            tokens=provider.pace.tokens,
            folder=Path(folder),
            seconds=warm_up_s + seconds,
            cores=placement.clients,
            nice=placement.nice,
        )
        spawned_ns = time.monotonic_ns()
        with client.start(task) as running:
            first_ns = provider.wait_for_request(running.process, PATIENCE_S)
            for pids in running.processes().values():
                favour(pids, placement.nice)
            time.sleep(warm_up_s)
            span = _watch(running, provider, seconds)
            running.stop()
            report = running.report(span.began_ns)
    page = provider.truth()
    records = {key: record for record in page.records for key in keys_of(record)}
    return Measurement(
        client=client.name,
        streams=streams,
        errors=compare(report.readings, records, cold=report.always_cold),
        always_cold=report.always_cold,
        chunks=_chunks_between(page, span.began_ns, span.ended_ns),
        cpu_ns=dict(span.cpu_ns),
        rss_bytes=dict(span.rss_bytes),
        start_s=[(first_ns - spawned_ns) / 1e9],
        loop_lag_ms=[] if report.loop_lag_ms is None else [report.loop_lag_ms],
        server_late_ns=[page.late_ns.p99],
        server_send_ns=[page.send_ns.p99],
        stolen=[span.stolen],
        others=[span.others],
    )


def _watch(running: RunningClient, provider: Provider, seconds: float) -> _Span:
    processes = running.processes()
    ours = [provider.pid, os.getpid()]
    began_ns, machine = time.monotonic_ns(), core_time()
    before = {role: cpu_ns(pids) for role, pids in processes.items()}
    ours_before = cpu_ns(ours)
    time.sleep(seconds)
    used = {role: cpu_ns(pids) - before[role] for role, pids in processes.items()}
    known_s = (sum(used.values()) + cpu_ns(ours) - ours_before) / 1e9
    ended, cores_s = core_time(), seconds * (os.cpu_count() or 1)
    return _Span(
        began_ns,
        time.monotonic_ns(),
        used,
        {role: peak_rss_bytes(pids) for role, pids in processes.items()},
        stolen=(ended.stolen_s - machine.stolen_s) / cores_s,
        others=max(0.0, ended.busy_s - machine.busy_s - known_s) / cores_s,
    )


def _chunks_between(page: MetronomePage, began_ns: int, ended_ns: int) -> int:
    return sum(
        began_ns <= stamp < ended_ns for record in page.records for stamp in output_stamps(record)
    )
