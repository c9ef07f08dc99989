"""Commands, marks and the mouse on a live screen: what is sent, what is shown, what is left."""

from pathlib import Path

import made
import pytest
from fakes import FakeBoard, FakeSession
from test_home_screen import Cockpit, cockpit
from textual.events import Key
from textual.widgets import Input, Static

from probes.board.views import PaceView
from probes.config.file import load_config
from probes.config.places import config_at
from probes.control.commands import MarkTime, Pause, SetKnob
from tui.panes.footer import footer_parts
from tui.screens.help import HelpScreen, HelpText
from tui.screens.prompt import PromptLine
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio


async def typed(it: Cockpit, text: str) -> None:
    """Type a command and Enter."""
    await it.press("colon")
    it.app.screen.query_one("#prompt Input", Input).value = text
    await it.pilot.pause()
    await it.press("enter")
    await it.pilot.pause()


def hint(it: Cockpit) -> str:
    return str(it.app.screen.query_one("#prompt .hint", Static).content)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("conc 4", SetKnob(route="busy-llama", knob="concurrency", value=4.0)),
        ("interval 2.5", SetKnob(route="busy-llama", knob="interval", value=2.5)),
        ("cap 128", SetKnob(route="busy-llama", knob="max_tokens", value=128.0)),
        ("pause", Pause(route="busy-llama", paused=True)),
        ("pause queue-eu", Pause(route="queue-eu", paused=True)),
        ("pause all", Pause(paused=True, cancel=True)),
        ("mark deploy of 14:03", MarkTime(text="deploy of 14:03")),
        ("mark", MarkTime(text="mark")),
    ],
)
async def test_a_command_is_sent(text: str, command: object) -> None:
    async with cockpit() as it:
        await it.press("j")
        await typed(it, text)
        assert it.session.commands == [command]
        assert not it.app.screen.query(PromptLine)
        assert it.app.focused is it.board.query_one("#routes")


async def test_a_command_changes_what_is_looked_at() -> None:
    async with cockpit() as it:
        await typed(it, "sort good")
        await typed(it, "filter eu")
        await typed(it, "window 1h")
        await typed(it, "only hurt")
        view = it.board.view
        assert (view.sort, view.filter, view.window, view.only_hurt) == ("good", "eu", "1h", True)
        await typed(it, "only all")
        await typed(it, "sort hurt")
        assert (it.board.view.sort, it.board.view.only_hurt) == ("", False)
        await typed(it, "theme llmtop-light")
        assert it.app.theme == "llmtop-light"
        assert it.session.commands == []


async def test_a_knob_that_was_set_is_undone() -> None:
    async with cockpit() as it:
        await it.press("j")
        await typed(it, "conc 4")
        await typed(it, "undo")
        await it.pilot.pause()
        assert it.session.commands[-1] == SetKnob(route="busy-llama", knob="concurrency", value=8.0)


async def test_what_cannot_be_done_is_said_and_the_line_stays() -> None:
    async with cockpit() as it:
        await it.press("j")
        await typed(it, "conc 4000")
        assert hint(it) == "conc: got 4000, expected a whole number from 1 to 1,000, or auto"
        await it.press("backspace", "backspace", "backspace", "enter")
        assert it.session.commands == [SetKnob(route="busy-llama", knob="concurrency", value=4.0)]
        await typed(it, "conc 4")
        assert hint(it) == "busy-llama: concurrency is 4 already"
        await it.press("escape")
        assert not it.app.screen.query(PromptLine)
        assert len(it.session.commands) == 1


async def test_a_rate_is_set_where_the_pace_is_open_and_refused_elsewhere() -> None:
    pace = PaceView(kind="constant", rate=3.0)
    rows = (made.route("busy-llama", pace=pace), made.route("queue-eu"))
    session = FakeSession(board=FakeBoard(made.snapshot(routes=rows, incidents=())))
    async with cockpit(session=session) as it:
        await it.press("g")
        await typed(it, "rate 2.5")
        assert it.session.commands == [SetKnob(route="busy-llama", knob="rate", value=2.5)]
        await typed(it, "interval 2")
        assert hint(it) == "busy-llama: its pace has no interval, it goes by the rate"
        await it.press("escape", "j")
        await typed(it, "rate 2")
        assert hint(it) == "queue-eu: its pace has no rate, it goes by the interval"
        assert len(it.session.commands) == 1


async def test_a_route_is_gone_to() -> None:
    async with cockpit() as it:
        await typed(it, "route queue")
        await it.pilot.pause()
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "queue-eu"
        await typed(it, "q")
        await it.pilot.pause()
        assert it.app._exit


async def test_names_are_completed_and_lines_come_back() -> None:
    async with cockpit() as it:
        await it.press("colon", "t", "h", "tab")
        line = it.app.screen.query_one("#prompt Input", Input)
        assert line.value == "theme "
        await it.press(*"llmtop-l", "tab")
        assert line.value == "theme llmtop-light"
        await it.press("enter", "colon", "up")
        line = it.app.screen.query_one("#prompt Input", Input)
        assert line.value == "theme llmtop-light"
        await it.press("down")
        assert line.value == ""
        await it.press(*"window ", "tab", "tab")
        assert line.value == "window 5m"
        await it.press("shift+tab")
        assert line.value == "window 1m"


async def test_what_is_typed_turns_no_knob_and_filters_nothing() -> None:
    async with cockpit() as it:
        await it.press("j", "colon", "p", "P", "space", "q", "plus", "escape")
        assert it.session.commands == []
        assert it.board.view.filter == ""
        assert not it.app._exit


@pytest.mark.parametrize("opening", [("colon", ":"), ("m", "m"), ("slash", "/")])
async def test_what_is_typed_in_one_go_is_typed_on_the_line(opening: tuple[str, str]) -> None:
    async with cockpit() as it:
        for key in (opening, *((letter, letter) for letter in "cpb")):
            it.app.post_message(Key(*key))
        for _ in range(5):
            await it.pilot.pause()
        assert it.session.commands == []
        line = it.app.focused
        assert isinstance(line, Input)
        assert line.value == "cpb"


async def press_in_one_go(it: Cockpit, *keys: str) -> None:
    """Press keys faster than anything is done of them, as a terminal pastes them."""
    names = {":": "colon", " ": "space", ".": "full_stop", "⏎": "enter", "⎋": "escape"}
    for key in keys:
        character = {"⏎": "\r", "⎋": "\x1b"}.get(key, key)
        it.app.post_message(Key(names.get(key, key), character))
    for _ in range(12):
        await it.pilot.pause()


async def test_commands_in_one_go_are_obeyed_one_after_the_other() -> None:
    async with cockpit() as it:
        await it.press("j")
        await press_in_one_go(it, *":conc 4⏎:interval 2.5⏎p")
        assert it.session.commands == [
            SetKnob(route="busy-llama", knob="concurrency", value=4.0),
            SetKnob(route="busy-llama", knob="interval", value=2.5),
            Pause(route="busy-llama", paused=True),
        ]
        assert not it.app.screen.query(PromptLine)
        assert it.app.screen is it.board


async def test_what_is_left_in_one_go_leaves_nothing_behind() -> None:
    async with cockpit() as it:
        await it.press("j")
        await press_in_one_go(it, *":conc 4⎋mdeploy⏎:conc 4000⏎")
        assert it.session.commands == [MarkTime(text="deploy")]
        assert hint(it) == "conc: got 4000, expected a whole number from 1 to 1,000, or auto"


async def test_frames_go_on_above_the_line() -> None:
    async with cockpit() as it:
        await it.press("colon")
        before = len(it.session.board.asked)
        it.board.pull()
        assert len(it.session.board.asked) > before


@pytest.mark.parametrize("size", [(20, 5), (60, 20), (160, 50)])
async def test_the_line_stays_on_the_screen(size: tuple[int, int]) -> None:
    async with cockpit(size) as it:
        await it.press("colon")
        region = it.app.screen.query_one(PromptLine).region
        assert region.right <= size[0]
        assert region.bottom == size[1]
        assert region.height == 2


async def test_a_mark_has_the_text_that_was_typed() -> None:
    async with cockpit() as it:
        await it.press("m", *"deploy", "enter")
        await it.press("m", "x", "escape")
        await it.press("m", "enter")
        assert it.session.commands == [MarkTime(text="deploy"), MarkTime(text="mark")]


async def test_an_entry_of_the_footer_does_what_it_says() -> None:
    async with cockpit() as it:
        await it.press("j")
        footer = it.board.panes["footer"]
        parts = footer_parts(it.board.view, footer.region.width, "home")
        at = 0
        for part in parts:
            if part.id == "more":
                break
            at += len(part.text)
        await it.pilot.hover("#footer", offset=(at + 1, 0))
        assert it.board.view.lit == "more"
        await it.pilot.click("#footer", offset=(at + 1, 0))
        await it.pilot.pause()
        assert it.session.commands == [SetKnob(route="busy-llama", knob="concurrency", value=9.0)]
        await it.pilot.hover("#routes")
        assert it.board.view.lit == ""


async def test_tab_goes_round_the_panes() -> None:
    async with cockpit() as it:
        numbers = sorted(pane.spec.number for pane in it.board.panes.values() if pane.spec.number)
        seen = [it.board.current]
        for _ in numbers:
            await it.press("tab")
            seen.append(it.board.current)
        assert seen == [*numbers, 1]
        await it.press("shift+tab")
        assert it.board.current == numbers[-1]
        assert it.app.focused is it.board.pane(numbers[-1])


async def test_tab_reaches_panes_that_have_no_room_beside_others() -> None:
    async with cockpit((80, 24)) as it:
        await it.press("tab", "tab", "tab")
        assert it.board.current == 4
        assert 4 in it.shown()
        await it.press("z", "tab")
        assert it.shown() == {5}


async def test_help_opens_on_the_pane_and_on_the_state_of_the_selected_route() -> None:
    async with cockpit() as it:
        await it.press("j", "4", "question_mark")
        screen = it.app.screen
        assert isinstance(screen, HelpScreen)
        titles = [section.title for section in screen.query_one(HelpText).sections]
        assert titles[:2] == ["the state of busy-llama", "columns of throttling"]
        await it.press("escape")
        await typed(it, "help marks")
        await it.pilot.pause()
        assert isinstance(it.app.screen, HelpScreen)
        assert it.app.screen.page == "marks"


ROUTES = """\
[routes.busy-llama]
base_url = "https://h"
model = "m"
concurrency = 8  # why eight
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.toml"
    path.write_text(ROUTES)
    path.chmod(0o600)
    return path


@pytest.fixture
def needy(file: Path) -> Path:
    file.write_text(ROUTES + 'api_key_env = "ONLY_SET_ELSEWHERE"\n')
    return file


def text_of(file: Path) -> str:
    return file.read_text()


def change(file: Path) -> None:
    file.write_text(ROUTES + "# mine\n")


def told(it: Cockpit) -> list[str]:
    return [each.message for each in it.app._notifications]


async def test_what_was_turned_is_saved_when_that_is_asked_for_and_confirmed(file: Path) -> None:
    async with cockpit(settings=load_config(file, {})) as it:
        await it.press("j")
        await typed(it, "conc 6")
        await typed(it, "theme llmtop-light")
        assert text_of(file) == ROUTES
        await typed(it, "w")
        assert hint(it).splitlines()[0] == "routes.busy-llama: concurrency 8 → 6"
        assert 'display: theme "llmtop" → "llmtop-light"' in hint(it)
        await it.press("x", "enter")
        assert text_of(file) == ROUTES
        await it.press("y")
        assert not it.app.screen.query(PromptLine)
        assert "concurrency = 6  # why eight" in text_of(file)
        assert load_config(file, {}).display.theme == "llmtop-light"
        assert told(it) == [f"Saved to {file}"]
        await typed(it, "write")
        assert told(it)[-1] == "Nothing to save: the file has what is set."


async def test_no_leaves_the_file_alone(file: Path) -> None:
    async with cockpit(settings=load_config(file, {})) as it:
        await it.press("j", "plus")
        for answer in ("n", "escape"):
            await typed(it, "write")
            await it.press(answer)
            assert not it.app.screen.query(PromptLine)
        assert text_of(file) == ROUTES


async def test_a_file_that_changed_meanwhile_is_refused(file: Path) -> None:
    async with cockpit(settings=load_config(file, {})) as it:
        await it.press("j", "plus")
        await typed(it, "write")
        change(file)
        await it.press("y")
        assert "has changed on disk" in told(it)[-1]
        assert text_of(file) == ROUTES + "# mine\n"


async def test_without_a_file_there_is_nothing_to_save_to() -> None:
    async with cockpit() as it:
        await it.press("j", "plus")
        await typed(it, "write")
        assert told(it) == ["there is no settings file: `llmtop init` writes one"]


async def test_knobs_of_places_are_not_saved_for_the_file_has_one_value_for_all(
    needy: Path,
) -> None:
    """Nor is this machine asked for what only others need."""
    settings = config_at(load_config(needy, None), "eu", "us")
    async with cockpit(settings=settings) as it:
        as_set = {"busy-llama@eu": {"concurrency": 8.0}, "busy-llama@us": {"concurrency": 8.0}}
        proposal = it.app._propose(as_set, {"theme": "llmtop-light"})
        assert proposal.lines == ('display: theme "llmtop" → "llmtop-light"',)
        assert proposal.write() == ""
        assert load_config(needy, None).display.theme == "llmtop-light"
        turned = {**as_set, "busy-llama@us": {"concurrency": 9.0}}
        assert it.app._propose(turned, {}).refusal == (
            "The settings have one value for all places: knobs of one place are not saved."
        )


async def test_what_the_terminal_made_of_the_theme_is_not_saved(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(settings=load_config(file, {})) as it:
        assert it.app.theme == "llmtop-plain"
        await it.press("j", "plus")
        await typed(it, "write")
        assert "concurrency 8 → 9" in hint(it)
        assert "theme" not in hint(it)


async def test_names_are_masked_where_somebody_looks_on(file: Path) -> None:
    async with cockpit(settings=load_config(file, {})) as it:
        await it.press("j", "M", "plus")
        await typed(it, "write")
        assert "busy-llama" not in hint(it)
        assert "concurrency 8 → 9" in hint(it)
        assert file.name not in str(it.app.screen.query_one("#prompt .lead", Static).content)
        await it.press("escape", "colon", *"route ")
        assert "busy-llama" not in hint(it)
        await it.press("tab", "enter")
        await it.pilot.pause()
        assert isinstance(it.app.screen, RouteScreen)
        await it.press("question_mark")
        assert isinstance(it.app.screen, HelpScreen)
        title = it.app.screen.query_one(HelpText).sections[0].title
        assert title == "the state of route 1"
