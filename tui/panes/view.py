"""What the user chose to look at. The board screen owns it; panes only read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from probes.board.views import WindowName

PaneName: TypeAlias = Literal[
    "header",
    "banner",
    "verdicts",
    "routes",
    "arrival",
    "percentiles",
    "throttling",
    "retries",
    "footer",
]


@dataclass(frozen=True, slots=True)
class Freeze:
    """The screen stands still while collection goes on."""

    for_s: float
    """How long it has stood."""
    versions: int
    """Changes of the board it has not shown since."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """Selection, order, filter, window and scroll: nothing of it changes what is measured."""

    selected: str | None = None
    """Route the lower panes show; None while there is none."""
    sort: str = ""
    """Key of the column the table is sorted by; empty is worst first."""
    reversed: bool = False
    filter: str = ""
    """Lower-case words that a route's name, model, tags or state must all contain."""
    window: WindowName = "5m"
    preview: bool = False
    """The token arrival pane shows the text as it comes."""
    maximised: int | None = None
    """Number of the pane that has the whole screen."""
    freeze: Freeze | None = None
    offsets: Mapping[PaneName, int] = field(default_factory=dict)
    """Pane → lines scrolled down."""

    @property
    def frozen(self) -> bool:
        """Whether the screen stands still."""
        return self.freeze is not None

    def offset(self, pane: PaneName) -> int:
        """Return how many lines a pane is scrolled down."""
        return self.offsets.get(pane, 0)


DEFAULT_VIEW: Final = ViewState()
