"""The base of the panes: exact widths, no markup, only changed rows."""

import made
import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from tui.draw.text import Line
from tui.draw.theme import DARK, LIGHT, role_styles
from tui.panes.pane import Pane, PaneSpec, paint
from tui.panes.view import DEFAULT_VIEW

STYLES = role_styles(DARK)


class Sample(Pane):
    """Shows what a test puts into it."""

    def __init__(self) -> None:
        self.content: list[Line] = [(("one", "text"),), (("two", "missed"),)]
        super().__init__(
            PaneSpec("retries", 3, lambda *_: self.content, lambda *_: "[b]sample[/b]")
        )


class SampleApp(App[None]):
    CSS = "Sample { border: round white; }"

    def compose(self) -> ComposeResult:
        yield Sample()


@pytest.mark.parametrize("text", ["short", "much longer than there is room for", "漢字" * 9, ""])
def test_a_painted_line_fills_its_width(text: str) -> None:
    strip = paint(((text, "text"),), STYLES, 11, ground=Style.null())
    assert sum(segment.cell_length for segment in strip) == 11


def test_text_is_never_read_as_markup() -> None:
    strip = paint((("[red]x[/red]", "text"),), STYLES, 20, ground=Style.null())
    assert strip.text == "[red]x[/red]        "


def test_a_roles_colours_win_over_the_ground() -> None:
    strip = paint((("x", "alert"), ("y", "text")), STYLES, 2, ground=Style.parse("on blue"))
    alert, text = (segment.style for segment in strip)
    assert alert is not None
    assert alert.bgcolor == STYLES["alert"].bgcolor
    assert text is not None
    assert text.bgcolor is not None
    assert text.bgcolor.name == "blue"


@pytest.mark.anyio
async def test_the_title_has_its_number_and_no_markup() -> None:
    app = SampleApp()
    async with app.run_test() as pilot:
        pane = app.query_one(Sample)
        pane.show(made.snapshot(), DEFAULT_VIEW)
        await pilot.pause()
        assert "³" in str(pane.border_title)
        assert "\\[b]sample" in str(pane.border_title)


@pytest.mark.anyio
async def test_rows_that_are_gone_are_blank() -> None:
    app = SampleApp()
    async with app.run_test(size=(20, 8)) as pilot:
        pane = app.query_one(Sample)
        pane.show(made.snapshot(), DEFAULT_VIEW)
        assert pane.render_line(1).text.strip() == "two"
        pane.content = pane.content[:1]
        pane.show(made.snapshot(), DEFAULT_VIEW)
        await pilot.pause()
        assert pane.render_line(0).text.strip() == "one"
        assert not pane.render_line(1).text.strip()


@pytest.mark.anyio
async def test_a_new_theme_is_drawn_at_once() -> None:
    app = SampleApp()
    async with app.run_test(size=(20, 8)) as pilot:
        for theme in (DARK, LIGHT):
            app.register_theme(theme)
            app.theme = theme.name
            await pilot.pause()
            pane = app.query_one(Sample)
            pane.show(made.snapshot(), DEFAULT_VIEW)
            style = next(iter(pane.render_line(1))).style
            assert style is not None
            assert style.color == role_styles(theme)["missed"].color
