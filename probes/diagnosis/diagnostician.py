"""The fold of the stream into verdicts.

Rule 1: no clock, no I/O, no randomness: the same durable events give the same verdicts, live and
replayed. `diagnosis` events among them are passed over.
Rule 2: memory is bounded, whatever comes.
"""

from probes.events import Diagnosis, Event


class Diagnostician:
    """Says of a run what is wrong with its routes."""

    def fold(self, _event: Event) -> tuple[Diagnosis, ...]:
        """Take one event, in the order of the stream; return what it decided, mostly nothing.

        What is returned belongs in the stream right after `event`.
        """
        return ()

    @property
    def suspects(self) -> frozenset[str]:
        """Routes of which more probes would tell more, now."""
        return frozenset()
