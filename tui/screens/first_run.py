"""What `llmtop` shows where nothing is configured: three ways to begin, none of them a dead end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias, get_args

import anyio
from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen

from probes.kit.sanitise import neutralise
from tui.draw.text import Line, Role
from tui.screens.page import Page, wrapped_entry
from tui.terminal.leaving import Leaving, terminal_state
from tui.terminal.terminal_app import TerminalApp

Choice: TypeAlias = Literal["demo", "write", "quit"]
_Option: TypeAlias = Literal["demo", "write", "by_hand"]

_OPTIONS: Final[tuple[_Option, ...]] = get_args(_Option)
_KEYS: Final[dict[_Option, str]] = {"demo": "d", "write": "w", "by_hand": "h"}
_HEADS: Final[dict[_Option, str]] = {
    "demo": "try the demo",
    "write": "write a config",
    "by_hand": "write one by hand",
}
_INDENT: Final = 6
_SCROLL_STEP: Final = 4
_LONGEST: Final = 500
_DEMO: Final = (
    "Six simulated routes on this machine that tell a story in two minutes. "
    "Costs nothing, needs no key, asks nobody."
)
_NO_KEYS: Final = "No provider's key is set: a commented template to fill in, at"
_EXAMPLE: Final = (
    "[routes.deepseek]",
    'base_url = "https://api.deepinfra.com/v1/openai"',
    'model = "deepseek-ai/DeepSeek-V3"',
    'api_key_env = "DEEPINFRA_API_KEY"',
    "concurrency = 1",
    "interval = 5            # seconds from one probe to the next",
    "",
    "[routes.deepseek.goals]",
    "ttft_s = 1.0",
)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What the screen says, and where the cursor is on it."""

    config_path: Path
    """Where a configuration would be read from."""
    found_keys: tuple[str, ...]
    """Names of the environment variables that hold keys; never the keys."""
    option: _Option = "demo"
    example: bool = False

    def moved(self, by: int) -> "FirstRun":
        """Return it with the cursor `by` options further, round the end."""
        index = (_OPTIONS.index(self.option) + by) % len(_OPTIONS)
        return replace(self, option=_OPTIONS[index])


def first_run_lines(state: FirstRun, width: int) -> list[Line]:
    """Return the page for `width` cells; what does not fit a line is wrapped, nothing is cut.

    The example takes the place of the words on the other options, so that both pages fit a
    terminal of 80×24.
    """
    lines: list[Line] = [
        *_wrapped("top for LLM routes", width, role="title"),
        *_wrapped("No configuration yet. Nothing is sent until you choose.", width),
        (),
    ]
    for option in _OPTIONS:
        lines.append(_option_line(state, option))
        if not state.example or option == "by_hand":
            lines += [*_about_option(state, option, width), ()]
    return lines[:-1]


def _about_option(state: FirstRun, option: _Option, width: int) -> Iterator[Line]:
    if option == "demo":
        yield from _wrapped(_DEMO, width)
    elif option == "write":
        yield from _write_lines(state, width)
    elif state.example:
        yield from _path_lines(state.config_path, width)
        yield ()
        yield from _example_lines(width)
    else:
        yield from _wrapped("In the same place; h shows a short example.", width)


def _write_lines(state: FirstRun, width: int) -> Iterator[Line]:
    if not state.found_keys:
        yield from _wrapped(_NO_KEYS, width)
    else:
        names = ", ".join(neutralise(name, _LONGEST) for name in state.found_keys)
        yield from _wrapped("A route for each key found; only the key's name is written:", width)
        yield from _wrapped(names, width, role="good")
    yield from _path_lines(state.config_path, width)


def _example_lines(width: int) -> Iterator[Line]:
    for text in _EXAMPLE:
        yield from _wrapped(text, width, role="accent" if text.startswith("[") else "text")


def _option_line(state: FirstRun, option: _Option) -> Line:
    chosen = state.option == option
    return (
        (" ▸ " if chosen else "   ", "accent"),
        (_KEYS[option], "accent"),
        ("  ", "text"),
        (_HEADS[option], "title" if chosen else "text"),
    )


def _wrapped(text: str, width: int, *, role: Role = "dim") -> Iterator[Line]:
    yield from wrapped_entry(("", "text"), text, indent=_indent(width), width=width, role=role)


def _indent(width: int) -> int:
    return _INDENT if width > _INDENT * 3 else 0


def _path_lines(path: Path, width: int) -> Iterator[Line]:
    """Yield the path, broken anywhere: a path has no spaces to break at, and is never cut."""
    text = neutralise(str(path))
    indent = _indent(width)
    while text:
        head = set_cell_size(text, max(2, width - indent)).rstrip(" ")
        yield ((" " * indent, "text"), (head, "text"))
        text = text[len(head) or 1 :]


class _FirstRunPage(Page):
    """The page and its cursor."""

    def __init__(self, state: FirstRun) -> None:
        super().__init__()
        self._state = state

    @property
    def state(self) -> FirstRun:
        """What is shown."""
        return self._state

    @state.setter
    def state(self, state: FirstRun) -> None:
        self._state = state
        self.redraw()

    def draw(self, width: int) -> Sequence[Line]:
        """Return the page."""
        return first_run_lines(self._state, width)


class FirstRunScreen(Screen[Choice]):
    """Dismisses with what the user chose; the caller acts upon it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "choose('demo')", "demo"),
        Binding("w", "choose('write')", "write"),
        Binding("h", "example", "by hand"),
        Binding("q,escape,ctrl+c", "choose('quit')", "quit"),
        Binding("j,down", "move(1)", show=False, priority=True),
        Binding("k,up", "move(-1)", show=False, priority=True),
        Binding("enter", "take", show=False),
    ]
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    FirstRunScreen { align: center middle; background: $background; }
    FirstRunScreen VerticalScroll {
        width: 96%;
        max-width: 78;
        height: auto;
        max-height: 100%;
        background: $background;
        border: round $border;
        border-title-color: $accent;
        border-title-style: bold;
        border-subtitle-color: $foreground 50%;
        border-subtitle-align: right;
        padding: 1 2;
        scrollbar-size-vertical: 1;
        scrollbar-color: $border;
        scrollbar-background: $background;
    }
    """

    def __init__(self, config_path: Path, found_keys: Sequence[str]) -> None:
        super().__init__()
        self._page = _FirstRunPage(FirstRun(config_path, tuple(found_keys)))

    def compose(self) -> ComposeResult:
        """Return the page in a box that scrolls where the terminal is low."""
        box = VerticalScroll(self._page)
        box.border_title = "llmtop"
        box.border_subtitle = "↑ ↓ Enter choose · q quit"
        yield box

    def action_choose(self, choice: Choice) -> None:
        """Leave with a choice."""
        self.dismiss(choice)

    def action_move(self, by: int) -> None:
        """Move the cursor, and the page with it."""
        self._page.state = self._page.state.moved(by)
        self.query_one(VerticalScroll).scroll_relative(y=by * _SCROLL_STEP, animate=False)

    def action_take(self) -> None:
        """Do what the cursor is on."""
        option = self._page.state.option
        if option == "by_hand":
            self.action_example()
        else:
            self.dismiss(option)

    def action_example(self) -> None:
        """Show the example, or hide it again."""
        state = self._page.state
        self._page.state = replace(state, option="by_hand", example=not state.example)
        self.call_after_refresh(self.query_one(VerticalScroll).scroll_end, animate=False)


class FirstRunApp(TerminalApp[Choice]):
    """The first-run screen alone."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        config_path: Path,
        found_keys: Sequence[str],
        on_leaving: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(on_leaving)
        self._screen = FirstRunScreen(config_path, found_keys)

    def on_mount(self) -> None:
        """Show the screen and leave with its choice."""
        self.push_screen(self._screen, self._leave)

    def _leave(self, choice: Choice | None) -> None:
        self.exit(choice or "quit")


def run_first_run(config_path: Path, found_keys: Sequence[str]) -> Choice:
    """Show the screen on the terminal and return what was chosen; `quit` where it was closed.

    Raises:
        SystemExit: a signal asked for the end.
    """

    async def shown(leaving: Leaving) -> FirstRunApp:
        app = FirstRunApp(config_path, found_keys, leaving.ask)
        with leaving.screen(lambda status: app.exit(return_code=status)):
            await app.run_async()
        return app

    with Leaving(terminal_state()) as leaving:
        app = anyio.run(shown, leaving)
    if app.return_code:
        raise SystemExit(app.return_code)
    return app.return_value or "quit"
