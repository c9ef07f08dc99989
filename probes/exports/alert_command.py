"""`on_alert`: a command of the user's that is told each word of an alert, as JSON on its standard
input.

Rule 1: who gives us events never waits for it: it runs aside, one at a time, in the order of the
alerts (`probes.exports.alert_sink`).
Rule 2: no shell, a time to end in, and an end with ours however that comes (`tell_command`).
Rule 3: it has the environment of the user's shell without what was given to us as a secret
(`probes.kit.child_environment`), and the JSON has no secret either.
"""

from collections.abc import Callable, Mapping, Sequence

from probes.config.key_command import tell_command
from probes.control.attention import ALONE, Duty
from probes.exports.alert_documents import AlertDocument, AlertDocuments
from probes.exports.alert_sink import AlertSink, Ended, Outcome, nobody_hears
from probes.kit.aside import Report, WorkError

Tell = Callable[..., None]


class AlertCommand(AlertSink):
    """Runs a command for each word of the alerts of a run."""

    def __init__(
        self,
        argv: Sequence[str],
        documents: AlertDocuments,
        *,
        seconds: float,
        environ: Mapping[str, str],
        report: Report,
        tell: Tell = tell_command,
        duty: Duty = ALONE,
        ended: Ended = nobody_hears,
    ) -> None:
        """Prepare to run `argv`; `report` takes what a person should read, from any thread;
        `duty` and `ended` as of `AlertSink`."""
        super().__init__("on_alert", documents, report=report, duty=duty, ended=ended)
        self._argv = tuple(argv)
        self._seconds = seconds
        self._environ = environ
        self._tell = tell

    def _deliver(self, document: AlertDocument) -> Outcome:
        try:
            self._tell(self._argv, document.body, seconds=self._seconds, environ=self._environ)
        except ValueError as error:
            raise WorkError(str(error)) from None
        return "told"
