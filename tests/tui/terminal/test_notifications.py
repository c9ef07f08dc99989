"""A person who looks at another window is called, and nothing that is said ends a sequence."""

import pytest

from tui.terminal.capabilities import is_in_tmux, notifies_by
from tui.terminal.notifications import notification

HOSTILE = "a;b\x1b\\\x07\x1b]52;c;eA==\x07\u202e" + "x" * 999


def test_a_notification_is_one_sequence() -> None:
    assert notification("down", "osc9", in_tmux=False) == "\x1b]9;llmtop: down\x1b\\"
    assert notification("down", "osc777", in_tmux=False) == "\x1b]777;notify;llmtop;down\x1b\\"
    assert notification("down", "", in_tmux=True) == ""


def test_tmux_is_asked_to_hand_it_on() -> None:
    told = notification("down", "osc9", in_tmux=True)
    assert told == "\x1bPtmux;\x1b\x1b]9;llmtop: down\x1b\x1b\\\x1b\\"


@pytest.mark.parametrize("by", ["osc9", "osc777"])
@pytest.mark.parametrize("in_tmux", [False, True])
def test_what_a_name_holds_ends_nothing_and_is_cut(by: str, in_tmux: bool) -> None:
    told = notification(HOSTILE, by, in_tmux=in_tmux)  # type: ignore[arg-type]
    plain = notification("", by, in_tmux=in_tmux)  # type: ignore[arg-type]
    assert told.count("\x1b") == plain.count("\x1b")
    assert "\x07" not in told
    assert "\u202e" not in told
    assert len(told) < 300
    assert told.count(";") == plain.count(";")


@pytest.mark.parametrize(
    ("environ", "by"),
    [
        ({"TERM": "xterm-256color"}, "osc9"),
        ({"TERM": "foot"}, "osc777"),
        ({"TERM": "rxvt-unicode-256color"}, "osc777"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "osc777"),
        ({"TERM": "tmux-256color", "TMUX": "/x", "WEZTERM_PANE": "0"}, "osc777"),
        ({"TERM": "linux"}, ""),
        ({"TERM": "screen", "STY": "1.x"}, ""),
        ({"TERM": "dumb"}, ""),
        ({}, ""),
    ],
)
def test_the_terminal_decides_how(environ: dict[str, str], by: str) -> None:
    assert notifies_by(environ) == by
    assert is_in_tmux(environ) == ("TMUX" in environ)
