"""`on_alert`: a command of the user's that is told each word of an alert, as JSON on its standard
input.

Rule 1: who gives us events never waits for it: it runs aside, one at a time, in the order of the
alerts (`probes.kit.aside`).
Rule 2: no shell, a time to end in, and an end with ours however that comes (`tell_command`).
Rule 3: it has the environment of the user's shell without what was given to us as a secret
(`probes.kit.child_environment`), and the JSON has no secret either.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from probes.config.key_command import tell_command
from probes.events import Event
from probes.exports.alert_documents import AlertDocument, AlertDocuments
from probes.kit.aside import Aside, Report, WorkError

QUEUED_MOST: Final = 100
_LEAVING_S: Final = 2.0
"""What the last alerts of a run have to be told in: who quits does not wait for a pager."""

Tell = Callable[..., None]


class AlertCommand:
    """Takes the events of a run, and tells its alerts."""

    def __init__(
        self,
        argv: Sequence[str],
        documents: AlertDocuments,
        *,
        seconds: float,
        environ: Mapping[str, str],
        report: Report,
        tell: Tell = tell_command,
    ) -> None:
        """Prepare to run `argv`; `report` takes what a person should read, from any thread."""
        self._documents = documents
        self._argv = tuple(argv)
        self._seconds = seconds
        self._environ = environ
        self._tell = tell
        self._aside: Aside[AlertDocument] = Aside(
            "on_alert", self._run, most=QUEUED_MOST, pieces="alerts", report=report
        )

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Note a batch."""
        for document in self._documents.due(events):
            self._aside.put(document)

    def close(self) -> None:
        """Tell what waits, in two seconds at most. What runs on then ends with the process."""
        self._aside.close(_LEAVING_S)

    def _run(self, document: AlertDocument) -> None:
        try:
            self._tell(self._argv, document.body, seconds=self._seconds, environ=self._environ)
        except ValueError as error:
            raise WorkError(str(error)) from None
