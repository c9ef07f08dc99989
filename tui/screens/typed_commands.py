"""What comes of a line that was typed behind `:`: how to read one is `command_line.py`'s to say.

Rule 1. A command with a key of its own does what the key does, through the screen's action.
Rule 2. What cannot be done is answered by one line, and the line stays as it was typed.
"""

from typing import TYPE_CHECKING, Final, cast

from msgspec.structs import replace

from probes.board.views import WindowName
from probes.control.commands import Adapt, SetKnob
from probes.events.knob_turns import BY_ITSELF
from tui.panes.routes import SORT_KEYS
from tui.panes.view import ViewState
from tui.screens import knobs
from tui.screens.command_line import (
    ALL_ROUTES,
    ONLY,
    VERBS,
    WORST_FIRST,
    CommandError,
    Known,
    TypedCommand,
    read,
)
from tui.screens.glossary import HELP_PAGES

if TYPE_CHECKING:
    from tui.screens.live import LiveScreen

_WITH_TEXT: Final = ("help", "manual", "tag", "compare", "sweep")
"""Commands whose action takes what was typed after them."""


class TypedCommands:
    """Does on a screen what is typed there."""

    def __init__(self, screen: "LiveScreen") -> None:
        self._screen = screen

    def known(self) -> Known:
        """Return what there is to name on the screen now."""
        screen = self._screen
        sorts = {WORST_FIRST: "", **{each.replace("_", "-"): each for each in SORT_KEYS if each}}
        return Known(
            routes={screen.called(route.name): route.name for route in screen.latest.routes},
            themes=tuple(sorted(screen.app.available_themes)),
            sorts=sorts,
            help_pages=HELP_PAGES,
        )

    def take(self, text: str) -> str | None:
        """Do what a line asks for; return what is wrong with it."""
        if not text.strip():
            return None
        try:
            asked = read(text, self.known())
        except CommandError as error:
            return str(error)
        self._screen.cockpit.typed.append(text.strip())
        return self._obey(asked)

    def _obey(self, asked: TypedCommand) -> str | None:
        """Do what was asked for; return why it cannot be done."""
        screen, text = self._screen, asked.text
        match asked.verb:
            case "conc" | "interval" | "rate" | "cap":
                return self._set_knob(asked)
            case "window" if screen.view.frozen:
                return screen.frozen_words()
            case "window" | "filter" | "only" | "sort":
                screen.look(_asked_view(screen.view, asked))
            case "pause":
                if text == ALL_ROUTES:
                    screen.action_panic()
                elif name := text or self._selected():
                    screen.send(knobs.paused(screen.cockpit.session.wanted, name))
            case "route":
                screen.go_to(text)
            case "theme":
                screen.app.theme = text
            case "mark" | "seek":
                return screen.mark(text) if asked.verb == "mark" else screen.seek(text)
            case _:
                with_text = f"{asked.verb}({text!r})"
                actions = dict.fromkeys(_WITH_TEXT, with_text) | {"q": "app.quit"}
                screen.call_later(screen.run_action, actions.get(asked.verb, asked.verb))
        return None

    def _selected(self) -> str:
        route = self._screen.route()
        return route.name if route is not None else ""

    def _set_knob(self, asked: TypedCommand) -> str | None:
        """Set a knob of the selected route to a value."""
        screen, name = self._screen, self._selected()
        if refusal := screen.refusal():
            return refusal
        knob = next(verb.knob for verb in VERBS if verb.name == asked.verb)
        if not name or knob is None:
            return "no route is selected"
        wanted = screen.cockpit.session.wanted.routes[name]
        if asked.text == BY_ITSELF:
            if wanted.adaptive:
                return f"{screen.called(name)}: {knob} finds itself already"
            screen.send(Adapt(route=name, on=True))
            return None
        if knob in ("interval", "rate") and wanted.is_open != (knob == "rate"):
            other = "rate" if wanted.is_open else "interval"
            return f"{screen.called(name)}: its pace has no {knob}, it goes by the {other}"
        now: float = getattr(wanted, knob)
        if now == asked.value and not (knob == "concurrency" and wanted.adaptive):
            return f"{screen.called(name)}: {knob} is {now:g} already"
        screen.send(SetKnob(route=name, knob=knob, value=asked.value))
        return None


def _asked_view(view: ViewState, asked: TypedCommand) -> ViewState:
    """Return a view with other routes, in another order or over another window."""
    match asked.verb:
        case "filter":
            return replace(view, filter=asked.text.lower())
        case "only":
            return replace(view, only_hurt=asked.text == ONLY[0])
        case "window":
            return replace(view, window=cast(WindowName, asked.text))
        case _:
            return replace(view, sort=asked.text, reversed=False)
