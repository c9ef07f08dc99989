"""What holds a route back that is asked on purpose: its server asks to wait, or a budget is dry.

Both are told by the engine, as `held`; how long they may hold is for whoever asks to say.
"""

from typing import Final

from probes.events import Held
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise

_WORDS: Final = 200


class HeldBack:
    """Folds what is told of one route. Times are monotonic ns of ours."""

    def __init__(self) -> None:
        """Begin with nothing that holds it."""
        self.cool_until_ns = 0
        self._dry_since_ns: int | None = None
        self.dry_words = ""
        """Which budget holds it, or did so last; neutralised."""

    def hear(self, event: Held, now_ns: int) -> None:
        """Take what is told now."""
        match event:
            case Held(reason="cool_down", released=False, until_ns=int(until_ns)):
                # What is left of it: its end is on the engine's clock.
                self.cool_until_ns = now_ns + until_ns - event.at_ns
            case Held(reason="cool_down"):
                self.cool_until_ns = 0
            case Held(reason="budget", released=True):
                self._dry_since_ns = None
            case Held(reason="budget"):
                if self._dry_since_ns is None:
                    self._dry_since_ns = now_ns
                self.dry_words = neutralise(event.detail, _WORDS)

    def asked_s(self, now_ns: int) -> float:
        """Return for how many seconds its server still asks to wait; none is 0 or less."""
        return seconds(self.cool_until_ns - now_ns)

    def dry_s(self, now_ns: int) -> float:
        """Return for how many seconds a budget has let nothing go; 0 where one does."""
        return 0.0 if self._dry_since_ns is None else seconds(now_ns - self._dry_since_ns)
