"""What of a run goes to other programs as it happens: asked for, opened before it, closed with it.

Rule 1: what is asked for must be had: a port that is taken, an address that is none and a package
that is missing end the run before it begins, in one line that names the option.
Rule 2: nothing of it is imported until it is asked for.
Rule 3: an export never touches measuring; what it cannot do is a notice (`probes.kit.aside`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import msgspec
from anyio import to_thread

from probes.config.settings import Alerting
from probes.config.urls import Url, UrlError
from probes.config.webhooks import webhook_url
from probes.control.attention import ALONE, Attention
from probes.events import Alert, Diagnosis, Event, Held, Hello, PlaceReport
from probes.kit.child_environment import child_environment
from probes.kit.listen import ListenAddress

if TYPE_CHECKING:
    from probes.run.on_call import OnCall

_STANDING: Final = (Hello, PlaceReport, Held, Diagnosis, Alert)
"""What holds until something else is told. Ticks and limits come again in a moment, and an hour of
them would only fill the queues."""


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
    from probes.exports.otlp_environment import OtlpEnvironmentError

    try:
        from probes.exports.otlp import OtlpExport, OtlpUrlError, Receiver
    except ModuleNotFoundError as error:
        packages = "the SDK of OpenTelemetry with its exporter"
        raise _missing("--otlp", packages, "otlp", error) from None
    try:
        return OtlpExport(Receiver(url), report, traces=traces)
    except OtlpUrlError as error:
        raise ExportError(f"--otlp {error}") from None
    except OtlpEnvironmentError as error:
        raise ExportError(f"--otlp: {error}") from None


def _missing(option: str, package: str, extra: str, error: ModuleNotFoundError) -> ExportError:
    if error.name is not None and error.name.partition(".")[0] in ("probes", "tui"):
        raise error  # a defect of ours
    return ExportError(f"{option}: {package} is missing: pip install 'llmtop-tui[{extra}]'")


def calls_people(alerts: Alerting) -> bool:
    """Return whether a run tells somebody of its alerts who does not look at its screen."""
    return bool(alerts.on_alert) or alerts.webhook is not None


def alert_exports(
    alerts: Alerting,
    *,
    environ: Mapping[str, str],
    secrets: frozenset[str],
    scrub: Callable[[str], str],
    report: Callable[[str], object],
    attention: Attention,
    on_call: "OnCall | None" = None,
) -> list[Export]:
    """Return what tells somebody of the alerts of a run, by its settings.

    Args:
        alerts: the settings.
        environ: of this process.
        secrets: what nobody is told.
        scrub: takes them out of a text.
        report: takes notices, from any thread.
        attention: what somebody does about the alerts.
        on_call: knows whether it is on this run to call; None where nobody else watches the same.
    """
    if on_call is not None:
        on_call.attend(attention, report)
    if not calls_people(alerts):
        return []
    from uuid import uuid4  # few have a need

    from probes.exports.alert_documents import AlertDocuments, untold
    from probes.exports.alert_sink import AlertSink, nobody_hears

    run = uuid4().hex[:16] if on_call is None else on_call.run_id
    duty = ALONE if on_call is None else on_call
    ended = nobody_hears if on_call is None else on_call.ended
    told_before = untold if on_call is None else on_call.told_before

    def documents() -> AlertDocuments:
        return AlertDocuments(attention, scrub, run, duty=duty, told_before=told_before)

    exports: list[AlertSink] = []
    url = _webhook_url(alerts.webhook, environ, report)
    if alerts.on_alert:
        from probes.exports.alert_command import AlertCommand

        hidden = secrets if url is None else secrets | {str(url)}
        exports.append(
            AlertCommand(
                alerts.on_alert,
                documents(),
                seconds=alerts.timeout_s,
                environ=child_environment(environ, hidden),
                report=report,
                duty=duty,
                ended=ended,
            )
        )
    if url is not None:
        from probes.exports.alert_webhook import AlertWebhook

        exports.append(
            AlertWebhook(
                url,
                documents(),
                seconds=alerts.timeout_s,
                environ=environ,
                report=report,
                duty=duty,
                ended=ended,
            )
        )
    if on_call is not None:
        on_call.feed(exports)
    return [*exports]


def _webhook_url(
    setting: str | None, environ: Mapping[str, str], report: Callable[[str], object]
) -> Url | None:
    if setting is None:
        return None
    try:
        return webhook_url(setting, environ)
    except UrlError as error:  # its variable was judged when the file was read, or is another's
        report(f"webhook: its environment variable {error}: nobody is told of alerts there")
        return None


def standing(events: Iterable[Event]) -> list[Event]:
    """Return what of a batch of the past still says how things stand: nothing that counts."""
    return [event for event in events if isinstance(event, _STANDING)]


async def close_exports(exports: Iterable[Export]) -> None:
    """Close all at once: each takes seconds at most, and together no longer than the slowest."""
    async with anyio.create_task_group() as tasks:
        for export in exports:
            tasks.start_soon(to_thread.run_sync, export.close)
