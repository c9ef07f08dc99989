"""The page of a comparison; what it shares with others that run beside a cockpit: `beside_page`."""

from collections.abc import Sequence
from typing import Final

from probes.comparing.views import ComparisonView
from probes.kit.sanitise import neutralise
from tui.draw.text import Line
from tui.keys import bindings
from tui.panes.comparison import comparison_lines
from tui.panes.view import ARM_LETTERS
from tui.screens.beside_page import COPIED_WIDTH, BesidePage
from tui.screens.comparisons import ComparisonDesk
from tui.screens.masking import Mask

_NAME: Final = 32


class ComparisonScreen(BesidePage[ComparisonView]):
    """The comparison of the cockpit: the one that runs, or the last."""

    NAME = "comparison"
    PAGE = "comparison"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#comparison"
    NOTHING = "Nothing is compared yet."
    WORKING_KEYS = (("stop_comparing", "stops it"), ("leave", "leaves it running"))
    OVER_KEYS = (
        ("compare_again", "compares something else"),
        ("copy_comparison", "copies this"),
        ("leave", "back"),
    )

    @property
    def desk(self) -> ComparisonDesk:
        """What compares."""
        return self.cockpit.comparisons

    def masked(self, shown: ComparisonView, mask: Mask) -> ComparisonView:
        """Return it with the names that a masked screen shows."""
        return mask.comparison(shown)

    def untold(self) -> None:
        """Take its line off the header."""
        self.cockpit.strips.comparison = None

    def about(self, shown: ComparisonView) -> Sequence[tuple[Line, float]]:
        """Return which arms are compared."""
        parts: list[tuple[Line, float]] = []
        for place, arm in enumerate(shown.arms):
            between = " against" if place else " ▸"
            name = f" {ARM_LETTERS[place]} {neutralise(arm.name, _NAME)}"
            parts.append((((between, "dim"), (name, "title")), 1 + place / 10))
        return parts

    def title_words(self, shown: ComparisonView) -> str:
        """Return what differs between the arms."""
        return f" · what differs: {shown.changed}"

    def lines_of(
        self, shown: ComparisonView, width: int, height: int, *, is_live: bool
    ) -> list[Line]:
        """Return the page for a size."""
        return comparison_lines(shown, width, height, is_live=is_live)

    def copied(self, shown: ComparisonView) -> list[Line]:
        """Return the page as it is copied."""
        return comparison_lines(shown, COPIED_WIDTH)

    def action_stop_comparing(self) -> None:
        """Have no more sent."""
        self.stop()

    def action_copy_comparison(self) -> None:
        """Copy the page as text."""
        self.copy()
