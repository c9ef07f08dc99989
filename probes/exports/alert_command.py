"""`on_alert`: a command of the user's that is told each alert, as JSON on its standard input.

Rule 1: who gives us events never waits for it: it runs in a thread of its own, one at a time, in
the order of the alerts; of more than `QUEUED_MOST` that wait the next ones are left out, and said.
Rule 2: no shell, a time to end in, and an end with ours however that comes (`tell_command`).
Rule 3: it has the environment of the user's shell without the values of API keys, and the JSON has
no secret either.
Rule 4: that it fails is said once, and once more when it fails in another way.
Rule 5: what is muted on the screen calls nobody here either (`AlertCalls`).
"""

import queue
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from probes.config.key_command import tell_command
from probes.control.attention import AlertCalls, Attention
from probes.events import Alert, Event, Hello, Tick
from probes.exports.json_lines import ascii_json

QUEUED_MOST: Final = 100
_LEAVING_S: Final = 2.0
"""What the last alerts of a run have to be told in: who quits does not wait for a pager."""
_NAMED_MOST: Final = 50
"""Routes in the JSON: an alert of more names these, and how many there are."""

Tell = Callable[..., None]


def without_secrets(environ: Mapping[str, str], secrets: Collection[str]) -> dict[str, str]:
    """Return an environment without the variables that hold one of `secrets`."""
    return {
        name: value
        for name, value in environ.items()
        if not any(secret in value for secret in secrets if secret)
    }


def alert_fields(alert: Alert, anchor_ns: int | None) -> dict[str, Any]:
    """Return an alert as its command reads it: the fields of the event, and its moments in UTC."""
    fields: dict[str, Any] = msgspec.to_builtins(alert)
    routes = alert.routes
    return {
        **fields,
        "routes": list(routes[:_NAMED_MOST]),
        "routes_count": len(routes),
        "at": _utc(alert.at_ns, anchor_ns),
        "since": _utc(alert.since_ns, anchor_ns),
        "ended": None if alert.ended_ns is None else _utc(alert.ended_ns, anchor_ns),
    }


class AlertCommand:
    """Takes the events of a run, and tells its alerts."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        seconds: float,
        environ: Mapping[str, str],
        scrub: Callable[[str], str],
        report: Callable[[str], object],
        attention: Attention,
        tell: Tell = tell_command,
    ) -> None:
        """Prepare to run `argv`; `report` takes what a person should read, from any thread."""
        self._calls = AlertCalls(attention)
        self._argv = tuple(argv)
        self._seconds = seconds
        self._environ = environ
        self._scrub = scrub
        self._report = report
        self._tell = tell
        self._anchor_ns: int | None = None
        self._queue: queue.Queue[Alert | None] = queue.Queue()
        self._reported = ""
        # A daemon: where the process ends otherwise, nothing waits for a command that hangs; its
        # life-line ends that.
        self._thread = threading.Thread(target=self._run, name="on_alert", daemon=True)
        self._is_running = False

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Note a batch."""
        for event in events:
            if isinstance(event, (Hello, Tick)):
                self._anchor_ns = event.wall_ns - event.at_ns
        for alert in self._calls.due(event for event in events if isinstance(event, Alert)):
            self._take(alert)

    def _take(self, alert: Alert) -> None:
        if self._queue.qsize() >= QUEUED_MOST:
            self._fail(f"is too slow: {QUEUED_MOST} alerts wait for it, the next are left out")
            return
        self._queue.put(alert)
        if not self._is_running:
            self._is_running = True
            self._thread.start()

    def close(self) -> None:
        """Tell what waits, in two seconds at most. What runs on then ends with the process."""
        if self._is_running:
            self._queue.put(None)
            self._thread.join(_LEAVING_S)

    def _run(self) -> None:
        while (alert := self._queue.get()) is not None:
            fields = _scrubbed(alert_fields(alert, self._anchor_ns), self._scrub)
            given = ascii_json(msgspec.json.encode(fields)) + b"\n"
            try:
                self._tell(self._argv, given, seconds=self._seconds, environ=self._environ)
            except ValueError as error:
                self._fail(str(error))
            else:
                self._reported = ""

    def _fail(self, why: str) -> None:
        if why != self._reported:
            self._reported = why
            self._report(f"on_alert {why}")


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    """Return a value of JSON with each of its texts scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(inner, scrub) for key, inner in value.items()}
    return [_scrubbed(inner, scrub) for inner in value] if isinstance(value, list) else value


def _utc(at_ns: int, anchor_ns: int | None) -> str | None:
    """Return a stamp as `2026-11-29T14:17:31.250Z`; None where no calendar holds it."""
    if anchor_ns is None:
        return None
    try:
        moment = datetime.fromtimestamp((at_ns + anchor_ns) // 1_000_000 / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
