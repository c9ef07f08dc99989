"""The first-run screen: three ways to begin, each one key away."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import HOSTILE
from textual.containers import VerticalScroll

from tui.draw.text import line_text, line_width
from tui.screens.first_run import FirstRun, FirstRunApp, first_run_lines

pytestmark = pytest.mark.anyio

CONFIG = Path("/home/ada/.config/llmtop/routes.toml")
KEYS = ("OPENAI_API_KEY", "GROQ_API_KEY")


def page(state: FirstRun, width: int = 72) -> str:
    return "\n".join(line_text(line) for line in first_run_lines(state, width))


def test_it_names_the_keys_it_found_and_the_path():
    text = page(FirstRun(CONFIG, KEYS))
    assert "OPENAI_API_KEY, GROQ_API_KEY" in text
    assert str(CONFIG) in text
    assert "d  try the demo" in text
    assert "w  write a config" in text


def test_without_a_key_it_says_what_would_be_written_instead():
    assert "commented template" in page(FirstRun(CONFIG, ()))


def test_the_example_is_a_configuration():
    lines = page(FirstRun(CONFIG, KEYS, "by_hand", example=True)).splitlines()
    start = next(index for index, line in enumerate(lines) if "[routes." in line)
    tables = tomllib.loads("\n".join(line.strip() for line in lines[start:]))
    route = tables["routes"]["deepseek"]
    assert route["api_key_env"] == "DEEPINFRA_API_KEY"
    assert route["goals"]["ttft_s"] == 1.0


@pytest.mark.parametrize("example", [False, True])
def test_both_pages_fit_a_small_terminal(example: bool):
    state = FirstRun(CONFIG, KEYS, example=example)
    assert len(first_run_lines(state, 70)) <= 20


def test_the_cursor_goes_round():
    state = FirstRun(CONFIG, KEYS)
    assert [state.moved(by).option for by in (1, 2, 3, -1)] == [
        *("write", "by_hand", "demo", "by_hand")
    ]


def test_a_hostile_variable_name_and_path_are_neutralised():
    text = page(FirstRun(Path(HOSTILE), (HOSTILE,)))
    assert "\x1b" not in text
    assert "\u202e" not in text


@settings(deadline=None)
@given(
    st.text(min_size=1, max_size=120),
    st.lists(st.from_regex("[A-Z_]{1,30}", fullmatch=True), max_size=3),
    st.booleans(),
)
def test_a_path_is_wrapped_and_never_cut(path, keys, example):
    for width in (2, 9, 31, 70):
        lines = first_run_lines(FirstRun(Path(path), tuple(keys), example=example), width)
        assert not any("…" in line_text(line) for line in lines if "…" not in path)
        if width > 20:
            assert all(line_width(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("pressed", "choice"),
    [
        (("d",), "demo"),
        (("w",), "write"),
        (("q",), "quit"),
        (("escape",), "quit"),
        (("enter",), "demo"),
        (("j", "enter"), "write"),
        (("up", "up", "enter"), "write"),
        (("h", "w"), "write"),
    ],
)
async def test_a_key_leaves_with_a_choice(pressed: tuple[str, ...], choice: str):
    app = FirstRunApp(CONFIG, KEYS)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*pressed)
        await pilot.pause()
        assert app.return_value == choice


async def test_h_shows_the_example_and_stays():
    app = FirstRunApp(CONFIG, KEYS)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h")
        await pilot.pause()
        assert "base_url" in app.export_screenshot()
        await pilot.press("j", "k", "enter")
        await pilot.pause()
        assert "base_url" not in app.export_screenshot()
        assert app.return_value is None


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5), (200, 50)])
async def test_it_lives_in_any_terminal(size: tuple[int, int]):
    app = FirstRunApp(CONFIG, KEYS)
    async with app.run_test(size=size) as pilot:
        await pilot.press("h", "j")
        await pilot.resize_terminal(30, 8)
        await pilot.pause()
        box = app.screen.query_one(VerticalScroll)
        assert box.size.width <= 30
        assert box.region.bottom <= 8
