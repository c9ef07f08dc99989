"""When Python's cyclic collector runs: between frames, in small passes, never on its own."""

import gc
from typing import Final

__all__ = ["Collector"]

_THRESHOLD: Final = 200_000
"""Allocations before the collector would run by itself: a net, should the passes not come."""
_FULL_PASS_EVERY: Final = 60


class Collector:
    """Owns the process's collector while the screen runs.

    A full pass over a screen's objects takes about a tenth of a second, so what lives as long as
    the screen is frozen out of it, and the young are swept at each call of `sweep`.
    """

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None
        self._passes = 0

    def start(self) -> None:
        """Take over: freeze what is alive and keep the collector from running by itself."""
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(_THRESHOLD, 50, 50)

    def sweep(self) -> None:
        """Run one bounded pass; call it about once a second, between frames."""
        self._passes += 1
        gc.collect(2 if self._passes % _FULL_PASS_EVERY == 0 else 1)

    def stop(self) -> None:
        """Give the collector back as it was."""
        if self._before is not None:
            gc.unfreeze()
            gc.set_threshold(*self._before)
            self._before = None
