"""On a terminal of ASCII every glyph is still told from the others, in as many cells."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tui.draw.glyphs import STAND_INS, encoding_for, make_readable, stand_in
from tui.draw.text import line_text
from tui.panes.routes import STATE_GLYPHS
from tui.screens.glossary import GLOSSARY, HELP_PAGES, sections_of
from tui.screens.help import help_lines

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "tui").rglob("*.py"))
LANES = "▶·⋯┤⊘✕╱◷○▁▂▃▄▅▆▇█"
TRENDS = "▁▂▃▄▅▆▇█✕⊘·"
TIMELINE = "┄┊▾│└⠒⣿"
OTHERS_SCRIPTS = range(0x3000, 0xFFFF)
"""Words of servers in other languages, which are read and never shown as glyphs."""


@pytest.mark.parametrize("glyph", STAND_INS)
def test_a_stand_in_is_ascii_of_the_same_width(glyph: str) -> None:
    assert stand_in(glyph).isascii()
    assert len(stand_in(glyph)) == cell_len(glyph)
    assert "?" not in stand_in(glyph)


@pytest.mark.parametrize(
    "glyphs",
    [
        "".join(STATE_GLYPHS.values()),
        LANES,
        TRENDS,
        "●○✖",
        "◉○",
        "△▲",
        "━─",
    ],
)
def test_what_stands_in_one_place_differs(glyphs: str) -> None:
    assert len(set(stand_in(glyphs))) == len(set(glyphs))


def test_whatever_stands_in_the_code_has_a_stand_in() -> None:
    """Comments included: then there is nothing to be forgotten."""
    characters = {character for path in SOURCES for character in path.read_text("utf-8")}
    unknown = {
        character
        for character in characters
        if not character.isascii()
        and ord(character) not in OTHERS_SCRIPTS
        and "?" in stand_in(character)
    }
    assert not unknown


def test_every_braille_cell_is_as_high_as_its_dots() -> None:
    assert stand_in("\u2800") == " "
    assert stand_in("⠉⠒⠤⣀⣶⣿") == "'--.:#"
    assert all(len(stand_in(chr(code))) == 1 for code in range(0x2800, 0x2900))


@pytest.mark.parametrize("text", ["é", "ü", "漢", "🦙", "e\u0301"])
def test_letters_lose_their_accents_and_nothing_loses_its_cells(text: str) -> None:
    assert len(stand_in(text)) == cell_len(text)
    assert stand_in(text).isascii()


def test_the_whole_help_is_readable_in_ascii() -> None:
    sections = [section for page in HELP_PAGES for section in sections_of(page)]
    text = "\n".join(line_text(line) for line in help_lines(sections, 120))
    marks = {
        character for section in GLOSSARY for term in section.terms for character in term.shown
    }
    assert not [mark for mark in marks if stand_in(mark) == "?"]
    assert stand_in(text).count("?") == text.count("?")


@pytest.mark.parametrize(
    ("encoding", "environ", "utf8_mode", "expected"),
    [
        ("utf-8", {"LANG": "de_DE.UTF-8"}, False, "utf-8"),
        ("iso8859-1", {"LANG": "de_DE"}, False, "iso8859-1"),
        ("utf-8", {}, True, "utf-8"),  # a container: nobody has chosen
        ("utf-8", {"LANG": "", "LC_ALL": ""}, True, "utf-8"),
        ("utf-8", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, "ascii"),
        ("utf-8", {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True, "ascii"),
        ("utf-8", {"LANG": "C.UTF-8"}, False, "utf-8"),
        ("utf-8", {"LANG": "de_DE.ISO-8859-1"}, True, "iso8859-1"),
        ("utf-8", {"LANG": "ja_JP.eucJP"}, True, "euc_jp"),
        ("utf-8", {"LANG": "de_DE.UTF-8"}, True, "utf-8"),  # a locale that is not installed
        ("utf-8", {"LANG": "x.nonsense"}, True, "ascii"),
        ("utf-8", {"LANG": "C", "PYTHONUTF8": "1"}, True, "utf-8"),
        ("utf-8", {"LANG": "C", "PYTHONIOENCODING": "utf-8"}, True, "utf-8"),
        ("ascii", {"PYTHONIOENCODING": "ascii"}, True, "ascii"),
    ],
)
def test_the_terminal_has_the_encoding_that_its_other_programs_take_it_for(
    encoding: str, environ: dict[str, str], utf8_mode: bool, expected: str
) -> None:
    assert encoding_for(encoding, environ, utf8_mode=utf8_mode) == expected


def test_a_stream_writes_what_its_encoding_has_and_stand_ins_for_the_rest() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    make_readable(stream, {}, utf8_mode=False)
    stream.write("a · b × 2 ✖ down…")
    stream.flush()
    assert raw.getvalue() == "a · b × 2 X down>".encode("latin-1")


def test_a_stream_that_cannot_be_configured_is_left_alone() -> None:
    stream = io.StringIO()
    make_readable(stream, {}, utf8_mode=False)
    stream.write("✖")
    assert stream.getvalue() == "✖"


@pytest.mark.parametrize("wish", [{"LANG": "C"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_command_writes_ascii_where_that_is_asked_for(wish: dict[str, str]) -> None:
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    told = subprocess.run(
        [sys.executable, "-m", "tui.cli", "--base-url", "http://é/…×▲", "--nonsense▲✖"],
        capture_output=True,
        cwd=ROOT,
        env=kept | wish,
    )
    assert told.stderr.isascii()
    assert b"--nonsense" in told.stderr
