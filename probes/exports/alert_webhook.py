"""`[alerts] webhook`: each word of an alert posted as JSON, the same that `on_alert` is given.

Rule 1: who gives us events never waits for it: it is posted aside, one at a time, in the order of
the alerts (`probes.exports.alert_sink`): what is over never comes before what fires.
Rule 2: what another try may mend is tried again, `TRIES` times in all, after waits that double or
that the server asks for. `Idempotency-Key` is the same each time: who has it, has it.
Rule 3: what is given up is said, each by its name: nobody must take silence for health.
Rule 4: at the end of a run what waits has a moment: who quits does not wait for a pager.
Rule 5: the URL is shown nowhere but for scheme, host and port (`probes.config.webhooks`).
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from probes import __version__
from probes.answers.retry_after import read_retry_after_s
from probes.config.urls import Url
from probes.config.webhooks import shown_webhook
from probes.control.attention import ALONE, Duty
from probes.exports.alert_documents import AlertDocument, AlertDocuments
from probes.exports.alert_sink import AlertSink, Ended, Outcome, nobody_hears
from probes.kit.aside import Report, WorkError
from probes.kit.back_off import waits
from probes.transport.poster import Posted, post

TRIES: Final = 6
FIRST_WAIT_S: Final = 1.0
"""1, 2, 4, 8, 16 s are as long as a receiver takes to be started anew."""
LONGEST_WAIT_S: Final = 60.0
"""Also where a server asks for more: other alerts wait behind this one."""

Post = Callable[..., Posted]


class AlertWebhook(AlertSink):
    """Posts each word of the alerts of a run."""

    def __init__(
        self,
        url: Url,
        documents: AlertDocuments,
        *,
        seconds: float,
        environ: Mapping[str, str],
        report: Report,
        post: Post = post,
        first_wait_s: float = FIRST_WAIT_S,
        duty: Duty = ALONE,
        ended: Ended = nobody_hears,
    ) -> None:
        """Prepare to post to `url`; `report` takes what a person should read, from any thread.

        Args:
            url: of the receiver.
            documents: what is told of the alerts.
            seconds: what one try may take.
            environ: names the proxies.
            report: takes what a person should read.
            post: sends one request.
            first_wait_s: seconds between the first two tries.
            duty: knows what is on us to tell.
            ended: hears what became of a word, from any thread.
        """
        super().__init__(
            f"webhook {shown_webhook(url)}", documents, report=report, duty=duty, ended=ended
        )
        self._url = str(url)
        self._seconds = seconds
        self._environ = environ
        self._post = post
        self._first_wait_s = first_wait_s

    def _deliver(self, document: AlertDocument) -> Outcome:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": document.key,
            "User-Agent": f"llmtop/{__version__}",
        }
        tries, is_last = waits(self._first_wait_s, LONGEST_WAIT_S), False
        for left in reversed(range(TRIES)):
            posted = self._post(
                self._url, document.body, headers, seconds=self._seconds, environ=self._environ
            )
            if not posted.why:
                return "told"
            if not posted.may_pass or not left or is_last:
                break
            asked_s = read_retry_after_s(posted.headers, None, wall_ns=time.time_ns()) or 0.0
            # At the end of the run there is no waiting, but one more try.
            is_last = not self._aside.rest(min(max(next(tries), asked_s), LONGEST_WAIT_S))
            if self.is_left(document):
                return "left"
        raise WorkError(f"has not taken {document.about}: {posted.why}")
