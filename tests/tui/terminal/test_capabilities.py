"""What a terminal can show, told by the environment."""

import pytest

from tui.terminal.capabilities import colours, no_screen_because, theme_for

TRUE = {"COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "screen"}, "16"),
        ({"TERM": "tmux"}, "16"),
        ({"TERM": "something-new"}, "16"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "tmux-256color"}, "256"),
        ({"TERM": "screen-256color-bce"}, "256"),
        ({"TERM": "xterm-256color", "COLORTERM": "yes"}, "256"),
        ({"TERM": "xterm-256color", **TRUE}, "truecolor"),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "alacritty"}, "truecolor"),
        ({"TERM": "screen-256color", "STY": "1.pts", **TRUE}, "256"),
        ({"TERM": "screen", "STY": "1.pts", **TRUE}, "16"),
        ({"TERM": "tmux-256color", "TMUX": "x,1,0", **TRUE}, "truecolor"),
        ({"TERM": "vt100", **TRUE}, "none"),
        ({"TERM": "xterm-mono"}, "none"),
        ({"TERM": "dumb", **TRUE}, "none"),
        ({**TRUE}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", **TRUE}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "0"}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "256"),
        ({"TERM": "xterm-256color", "CLICOLOR": "0"}, "none"),
        ({"TERM": "xterm-256color", "CLICOLOR": "1"}, "256"),
        ({"TERM": "xterm-256color", "CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, "none"),
    ],
)
def test_how_many_colours(environ: dict[str, str], expected: str) -> None:
    assert colours(environ) == expected


@pytest.mark.parametrize(
    ("wanted", "environ", "expected"),
    [
        ("llmtop", {"TERM": "xterm-256color"}, "llmtop"),
        ("llmtop", {"TERM": "xterm"}, "llmtop-ansi"),
        ("llmtop", {"TERM": "rxvt", "COLORFGBG": "0;15"}, "llmtop-ansi-light"),
        ("llmtop", {"TERM": "rxvt", "COLORFGBG": "0;default;7"}, "llmtop-ansi-light"),
        ("llmtop", {"TERM": "rxvt", "COLORFGBG": "15;0"}, "llmtop-ansi"),
        ("llmtop-light", {"TERM": "xterm"}, "llmtop-light"),
        ("dracula", {"TERM": "xterm-256color"}, "dracula"),
        ("dracula", {"TERM": "xterm-256color", "NO_COLOR": "1"}, "llmtop-plain"),
        ("llmtop", {"TERM": "vt220"}, "llmtop-plain"),
    ],
)
def test_the_theme_is_what_the_terminal_can_show(
    wanted: str, environ: dict[str, str], expected: str
) -> None:
    assert theme_for(wanted, environ) == expected


@pytest.mark.parametrize("term", ["dumb", "DUMB", "unknown", "", " "])
def test_a_terminal_that_moves_no_cursor_shows_no_screen(term: str) -> None:
    assert "TERM" in no_screen_because({"TERM": term})
    assert "TERM" in no_screen_because({})


@pytest.mark.parametrize("term", ["xterm", "screen", "vt100", "linux", "something-new"])
def test_any_other_does(term: str) -> None:
    assert no_screen_because({"TERM": term}) == ""
