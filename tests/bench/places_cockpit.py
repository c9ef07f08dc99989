"""The cockpit that `places.py --screen` measures: `places_cockpit.py ARGUMENT…` are llmtop's own.

Beside what it always does it notes how long after its stamp each end of a probe stood in the tables
that the terminal was given, and writes that to the file named by DELAYS_TO at its end: how many of
each hundredth of a second, as JSON.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from probes.events import Event, ProbeFinished
from probes.kit.clock import NS_PER_S
from probes.run.places_session import PlacesSession
from tui.cli import main
from tui.screens.canvas import Canvas

STEP_NS = NS_PER_S // 100


class Gauge:
    """Notes when what was folded is drawn."""

    def __init__(self) -> None:
        self.delays: Counter[int] = Counter()
        self._folded: list[int] = []
        """Stamps of what the next drawn tables show."""

    def attach(self) -> None:
        """Put the gauge behind the session's board and the canvas's tables."""
        folded_of, drawn_of = PlacesSession.__init__, Canvas.show

        def begin(session: PlacesSession, *args: object, **options: object) -> None:
            folded_of(session, *args, **options)  # type: ignore[arg-type]
            session.subscribe(self._fold)

        def show(canvas: Canvas, *args: object, **options: object) -> None:
            before = canvas._tabled_ns
            drawn_of(canvas, *args, **options)  # type: ignore[arg-type]
            if canvas._tabled_ns != before:
                self._draw()

        PlacesSession.__init__ = begin  # type: ignore[assignment, method-assign]
        Canvas.show = show  # type: ignore[assignment, method-assign]

    def _fold(self, events: list[Event], _: bytes) -> None:
        self._folded += [one.at_ns for one in events if isinstance(one, ProbeFinished)]

    def _draw(self) -> None:
        now_ns = time.time_ns()
        self.delays.update((now_ns - at_ns) // STEP_NS for at_ns in self._folded)
        self._folded.clear()


if __name__ == "__main__":
    gauge = Gauge()
    gauge.attach()
    status = main()
    Path(os.environ["DELAYS_TO"]).write_text(json.dumps(gauge.delays))
    sys.exit(status)
