"""The page of a sweep; what it shares with others that run beside a cockpit: `beside_page`."""

from collections.abc import Sequence
from typing import Final

from probes.kit.sanitise import neutralise
from probes.sweeping.views import SweepView
from tui.draw.text import Line
from tui.keys import bindings
from tui.panes.sweep import sweep_lines
from tui.screens.beside_page import COPIED_WIDTH, BesidePage
from tui.screens.masking import Mask
from tui.screens.sweeps import SweepDesk

_NAME: Final = 32
_COPIED_HEIGHT: Final = 44
"""Lines of what is copied: the chart takes what the table leaves."""


class SweepScreen(BesidePage[SweepView]):
    """The sweep of the cockpit: the one that runs, or the last."""

    NAME = "sweep"
    PAGE = "sweep"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#sweep"
    NOTHING = "Nothing is swept yet."
    WORKING_KEYS = (("stop_sweeping", "stops it"), ("leave", "leaves it running"))
    OVER_KEYS = (("sweep_again", "sweeps again"), ("copy_sweep", "copies this"), ("leave", "back"))

    @property
    def desk(self) -> SweepDesk:
        """What sweeps."""
        return self.cockpit.sweeps

    def masked(self, shown: SweepView, mask: Mask) -> SweepView:
        """Return it with the names that a masked screen shows."""
        return mask.sweep(shown)

    def untold(self) -> None:
        """Take its line off the header."""
        self.cockpit.strips.sweep = None

    def about(self, shown: SweepView) -> Sequence[tuple[Line, float]]:
        """Return which route is swept."""
        name = f" {neutralise(shown.route, _NAME)}"
        return [(((" ▸", "dim"), (name, "title")), 1)]

    def title_words(self, shown: SweepView) -> str:
        """Return what is raised."""
        return f" · by {shown.by}"

    def lines_of(self, shown: SweepView, width: int, height: int, *, is_live: bool) -> list[Line]:
        """Return the page for a size."""
        return sweep_lines(shown, width, height, is_live=is_live)

    def copied(self, shown: SweepView) -> list[Line]:
        """Return the page as it is copied."""
        return sweep_lines(shown, COPIED_WIDTH, _COPIED_HEIGHT)

    def action_stop_sweeping(self) -> None:
        """Have no more sent."""
        self.stop()

    def action_copy_sweep(self) -> None:
        """Copy the page as text."""
        self.copy()
