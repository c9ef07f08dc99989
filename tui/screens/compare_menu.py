"""The menu of what can be compared: tagged routes, one route with one thing changed, two routes.

Rule 1. What is chosen here sends nothing: what it may cost is asked next.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from textual.events import Key

from probes.board.views import RouteView
from probes.comparing.arms import ArmChange
from probes.comparing.views import ComparisonView
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, cells, clip, counted, left
from tui.panes.comparison import STATE_WORDS
from tui.screens.list_menu import ListMenu, ListPage

LONG_PROMPT: Final = 4_000
"""Tokens: what a page or two of documents in front of a question take."""
SHORT_PROMPT: Final = 100
_LONG_FROM: Final = 1_000
"""Tokens from which a prompt is a long one, and the other arm's is short."""
_HEAD_LIMIT: Final = 120
_LEAST_HEADS: Final = 30
"""Cells that what is compared has at least, where it is so long: it is what is chosen by."""
_DIGITS: Final = 9


class CompareChoice(msgspec.Struct, frozen=True):
    """One thing to compare."""

    head: str
    meaning: str
    routes: tuple[str, ...] = ()
    change: ArmChange | None = None

    @property
    def is_last(self) -> bool:
        """Whether it is to look at the last comparison again."""
        return not self.routes


def choices_for(
    tagged: Sequence[str],
    route: RouteView | None,
    others: Sequence[RouteView],
    last: ComparisonView | None,
) -> tuple[CompareChoice, ...]:
    """Return what can be compared, what is likeliest first.

    Args:
        tagged: names of the tagged routes.
        route: the one that is compared with itself, or with another one.
        others: all routes; those of the same model are most alike, and come first.
        last: the comparison that ended last.
    """
    found: list[CompareChoice] = []
    if len(tagged) > 1:
        found.append(
            CompareChoice(" against ".join(tagged), "the routes that are tagged", tuple(tagged))
        )
    if route is not None:
        found.extend(_changes(route))
    if last is not None:
        names = " against ".join(arm.name for arm in last.arms)
        words = f"{STATE_WORDS[last.state]}: {names}"
        found.append(CompareChoice("the last comparison", words))
    if route is not None:
        rest = [other for other in others if other.name != route.name]
        rest.sort(key=lambda other: (other.model != route.model, other.name))
        found.extend(
            CompareChoice(
                f"against {other.name}",
                "the same model at another base URL"
                if other.model == route.model
                else f"another model, {other.model}",
                (route.name, other.name),
            )
            for other in rest
        )
    return tuple(found)


def _changes(route: RouteView) -> list[CompareChoice]:
    """Return the one things of a route that can be changed."""
    is_long = (route.input_tokens or 0) >= _LONG_FROM
    tokens = SHORT_PROMPT if is_long else LONG_PROMPT
    told = (
        (
            "fresh against kept connection",
            "what connecting costs: name, TCP, TLS, a cold path",
            ArmChange("fresh"),
        ),
        (
            "streamed against whole",
            "whether asking for a stream delays the end of the answer",
            ArmChange("stream"),
        ),
        (
            "short against long prompt",
            f"as it is against {counted(tokens, 'token')}: what reading the prompt costs",
            ArmChange("prompt", str(tokens)),
        ),
    )
    return [CompareChoice(head, meaning, (route.name,), change) for head, meaning, change in told]


def menu_lines(choices: Sequence[CompareChoice], width: int, at: int) -> list[Line]:
    """Return a line for each choice; `at` is the cursor's, the first have a digit that takes them.

    Names in `choices` are as they may be shown.
    """
    heads = [neutralise(choice.head, _HEAD_LIMIT) for choice in choices]
    room = min(max(map(cells, heads), default=0), max(_LEAST_HEADS, width // 2))
    lines: list[Line] = []
    for row, (choice, head) in enumerate(zip(choices, heads, strict=True)):
        is_current = row == at
        line: Line = (
            ("▸" if is_current else " ", "accent"),
            (f"{row + 1} " if row < _DIGITS else "  ", "dim"),
            (left(head, room) + "  ", "title" if is_current else "accent"),
            (neutralise(choice.meaning, _HEAD_LIMIT), "text" if is_current else "dim"),
        )
        lines.append(clip(line, width))
    return lines


class ChoicesPage(ListPage):
    """The menu's text."""

    def __init__(self, choices: Sequence[CompareChoice]) -> None:
        super().__init__(len(choices))
        self.choices = choices

    def draw(self, width: int) -> Sequence[Line]:
        """Return the menu."""
        return menu_lines(self.choices, width, self.at)


class CompareMenu(ListMenu[int]):
    """Asks what to compare; gives the place of the choice."""

    def __init__(self, route: str, choices: Sequence[CompareChoice]) -> None:
        """Prepare to ask about a route; all names are as they may be shown."""
        super().__init__(
            ChoicesPage(choices),
            f"compare {route}",
            "j k Enter, or the digit · asks before it sends · Esc",
        )

    def chosen(self, at: int) -> int:
        """Return the place itself: the caller knows what it stands for by its true names."""
        return at

    def on_key(self, event: Key) -> None:
        """Take the choice of a digit."""
        digit = event.character or ""
        if digit in "123456789"[: self.lines.length] and digit:
            event.stop()
            self.lines.at = int(digit) - 1
            self.action_take()
