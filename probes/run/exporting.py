"""What of a run goes to other programs as it happens: asked for, opened before it, closed with it.

Rule 1: what is asked for must be had: a port that is taken, an address that is none and a package
that is missing end the run before it begins, in one line that names the option.
Rule 2: nothing of it is imported until it is asked for.
Rule 3: an export never touches measuring; what it cannot do is a notice (`probes.exports.aside`).
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import anyio
import msgspec
from anyio import to_thread

from probes.events import Event
from probes.kit.listen import ListenAddress


class ExportError(ValueError):
    """What was asked for cannot be had; the text names the option."""


class Export(Protocol):
    """A sink that has to be closed."""

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch of events in order, and the lines of its durable ones; return at once."""
        ...

    def close(self) -> None:
        """Give what waits some seconds, and end; called in a thread."""
        ...


class AskedExports(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    prometheus: ListenAddress | None = None
    """Where to serve metrics."""
    otlp: str | None = None
    """URL of a receiver."""
    otlp_traces: bool = False
    """Send spans, too."""


def open_exports(asked: AskedExports, report: Callable[[str], object]) -> list[Export]:
    """Open what is asked for; `report` takes notices, from any thread.

    Raises:
        ExportError: something cannot be had; what was opened before is closed again.
    """
    exports: list[Export] = []
    try:
        if asked.prometheus is not None:
            exports.append(_prometheus(asked.prometheus, report))
        if asked.otlp is not None:
            exports.append(_otlp(asked.otlp, report, traces=asked.otlp_traces))
        elif asked.otlp_traces:
            raise ExportError("--otlp-traces goes with --otlp URL")
    except ExportError:
        for export in exports:
            export.close()
        raise
    return exports


def _prometheus(address: ListenAddress, report: Callable[[str], object]) -> Export:
    try:
        from probes.exports.prometheus_server import ListenError, PrometheusExport
    except ModuleNotFoundError as error:
        raise _missing("--prometheus", "prometheus-client", "prometheus", error) from None
    try:
        return PrometheusExport(address, report)
    except ListenError as error:
        raise ExportError(f"--prometheus {error}") from None


def _otlp(url: str, report: Callable[[str], object], *, traces: bool) -> Export:
    try:
        from probes.exports.otlp import OtlpExport, OtlpUrlError, Receiver
    except ModuleNotFoundError as error:
        packages = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
        raise _missing("--otlp", packages, "otlp", error) from None
    try:
        return OtlpExport(Receiver(url), report, traces=traces)
    except OtlpUrlError as error:
        raise ExportError(f"--otlp {error}") from None


def _missing(option: str, package: str, extra: str, error: ModuleNotFoundError) -> ExportError:
    if error.name is not None and error.name.partition(".")[0] in ("probes", "tui"):
        raise error  # a defect of ours
    return ExportError(f"{option} needs {package}: pip install 'llmtop-tui[{extra}]'")


async def close_exports(exports: Iterable[Export]) -> None:
    """Close all at once: each takes seconds at most, and together no longer than the slowest."""
    async with anyio.create_task_group() as tasks:
        for export in exports:
            tasks.start_soon(to_thread.run_sync, export.close)
