"""What became of something that was tried, in two words of the stream."""

from dataclasses import dataclass

from probes.events.parts import Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with its precise reason."""

    outcome: Outcome
    reason: str = ""
    retryable: bool = False
