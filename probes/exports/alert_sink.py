"""What the two ways of telling an alert have in common: words of a run's alerts, told aside.

Rule 1: who gives us events never waits: each word is told aside, one at a time, in the order of the
alerts (`probes.kit.aside`).
Rule 2: where it is on another run by now to tell that an alert fires, what still waits for its turn
is left to that one: each of both would tell it.
Rule 3: whoever shares that duty hears what became of each word (`Outcome`).
Rule 4: that an alert fires is told until somebody has it: what was given up is tried again
`AGAIN_S` later, for as long as the alert fires. Of what nobody was told no change is told.
"""

import queue
from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from probes.control.attention import ALONE, Duty
from probes.events import Alert, Event
from probes.exports.alert_documents import AlertDocument, AlertDocuments, AlertName
from probes.kit.aside import Aside, Report

QUEUED_MOST: Final = 100
AGAIN_S: Final = 60.0
"""A receiver that is away for longer than all tries of a word is so for minutes."""
_LEAVING_S: Final = 2.0
"""What the last alerts of a run have to be told in: who quits does not wait for a pager."""

Outcome: TypeAlias = Literal["told", "failed", "left"]
"""Of a word: somebody was told; it was given up; it is on another run by now to tell it."""


Ended: TypeAlias = "Callable[[AlertSink, AlertDocument, Outcome], object]"
"""Hears what became of a word, from any thread."""


def nobody_hears(_sink: "AlertSink", _document: AlertDocument, _outcome: Outcome) -> None:
    """Hear what became of a word where nobody else calls."""


class AlertSink:
    """Takes the events of a run, and tells its alerts."""

    def __init__(
        self,
        name: str,
        documents: AlertDocuments,
        *,
        report: Report,
        duty: Duty = ALONE,
        ended: Ended = nobody_hears,
    ) -> None:
        """Prepare; `name` begins each report, and `ended` hears what became of a word, from any
        thread."""
        self._documents = documents
        self._duty = duty
        self._ended = ended
        self._given_up: queue.SimpleQueue[Alert] = queue.SimpleQueue()
        self._untold: set[AlertName] = set()
        """Of which it was given up to tell that they fire; for the thread alone."""
        self._aside: Aside[AlertDocument] = Aside(
            name, self._work, most=QUEUED_MOST, pieces="alerts", report=report
        )

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Note a batch."""
        while not self._given_up.empty():
            self._documents.take_back(self._given_up.get(), AGAIN_S)
        for document in self._documents.due(events):
            self._put(document)

    def end(self, alert: Alert, name: AlertName) -> None:
        """Tell that an alert is over which another run has told people of."""
        self._put(self._documents.end(alert, name))

    def take_back(self, alert: Alert) -> None:
        """Know that it came to nobody that an alert fires: it is told again when it is due."""
        self._documents.take_back(alert)

    def close(self) -> None:
        """Tell what waits, in two seconds at most."""
        self._aside.close(_LEAVING_S)

    def is_left(self, document: AlertDocument) -> bool:
        """Return whether it is on another run by now to tell a word; from any thread."""
        return document.state == "firing" and not self._duty.is_ours(document.alert)

    @abstractmethod
    def _deliver(self, document: AlertDocument) -> Outcome:
        """Tell one word, in a thread. Raises WorkError where it is given up."""

    def _put(self, document: AlertDocument) -> None:
        if not self._aside.put(document):
            self._settle(document, "failed")

    def _work(self, document: AlertDocument) -> None:
        name = document.name
        outcome: Outcome = "failed"
        try:
            if self.is_left(document) or (name in self._untold and document.state == "changed"):
                outcome = "left"
            else:
                outcome = self._deliver(document)
        finally:
            if document.state == "firing" and outcome == "failed":
                self._untold.add(name)
            elif document.state != "changed":
                self._untold.discard(name)
            self._settle(document, outcome)

    def _settle(self, document: AlertDocument, outcome: Outcome) -> None:
        # Where others may tell it, it is not for us alone to see to it that somebody does.
        if outcome == "failed" and document.state == "firing" and self._duty is ALONE:
            self._given_up.put(document.alert)
        self._ended(self, document, outcome)
