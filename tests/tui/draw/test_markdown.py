"""Markdown as lines: readable in 80 columns, and nothing lost at any width."""

import re

import pytest

from tui.draw.markdown import markdown_lines
from tui.draw.text import line_text, line_width
from tui.manual import plain, topics


def drawn(text: str, width: int = 40) -> list[str]:
    return [line_text(line) for line in markdown_lines(text, width)]


def test_headings_paragraphs_and_links() -> None:
    text = "# Head\n\nSome **bold** words\nand a [link](x.md#y) with `code`.\n\nMore.\n"
    assert drawn(text) == ["Head", "", "Some bold words and a link with code.", "", "More.", ""]
    roles = {text.strip(): role for line in markdown_lines(text, 80) for text, role in line}
    assert roles["Head"] == "head"
    assert roles["bold"] == "title"
    assert roles["code"] == "accent"


def test_lists() -> None:
    text = "- one two three four five six seven\n- two\n  - inner\n\n3. third\n4. fourth\n"
    assert drawn(text, 20) == [
        "- one two three four",
        "  five six seven",
        "- two",
        "",
        "  - inner",
        "",
        "3. third",
        "4. fourth",
        "",
    ]


def test_code_stands_as_it_is_and_goes_on_where_it_is_too_long() -> None:
    text = "```sh\nllmtop  # x\n\n1234567890123\n```\n"
    assert drawn(text, 12) == ["  llmtop  # ", "  x", "", "  1234567890", "  123", ""]


def test_a_table_that_fits_has_its_columns_side_by_side() -> None:
    text = "| key | what |\n|---|---|\n| `a` | one |\n| `bc` | two |\n"
    assert drawn(text) == ["key  what", "───  ────", "a    one", "bc   two", ""]


def test_cells_of_a_table_are_flowed() -> None:
    text = "| key | what it does |\n|---|---|\n| `a` | one two three four five |\n"
    assert drawn(text, 21) == [
        "key  what it does",
        "───  ────────────────",
        "a    one two three",
        "     four five",
        "",
    ]


def test_a_table_without_room_is_a_list_of_its_rows() -> None:
    text = (
        "| name | first column | second column |\n|---|---|---|\n"
        "| `one` | words of the first | words of the second |\n| two | | b |\n"
    )
    assert drawn(text, 30) == [
        "name",
        "",
        "one",
        "  first column: words of the",
        "  first",
        "  second column: words of the",
        "  second",
        "",
        "two",
        "  second column: b",
        "",
    ]


def test_comments_are_left_out_and_pictures_have_their_words() -> None:
    assert drawn("<!-- x -->\n\n![A screen](a.svg)\n") == ["[A screen]", ""]


def test_quotes_and_rules() -> None:
    assert drawn("> said\n\n---\n", 10) == ["│ said", "│ ", "─" * 10, ""]


@pytest.mark.parametrize("width", [18, 40, 76, 80, 100, 140])
def test_no_page_of_ours_is_wider_than_it_may_be(width: int) -> None:
    for topic in topics():
        for line in markdown_lines(topic.own, width):
            assert line_width(line) <= width, topic.name


@pytest.mark.parametrize("width", [40, 80])
def test_no_word_of_ours_is_lost(width: int) -> None:
    for topic in topics():
        shown = "".join(
            "".join(line_text(line).split()) for line in markdown_lines(topic.own, width)
        )
        prose = re.sub(r"```.*?```", "", topic.own, flags=re.DOTALL)
        prose = re.sub(r"<!--.*?-->", "", prose)
        for word in re.findall(r"[A-Za-z]{5,}", plain(prose.replace("|", " "))):
            assert word in shown, (topic.name, word)


def test_code_of_ours_stands_in_lines_as_it_is() -> None:
    for topic in topics():
        shown = {line_text(line).strip() for line in markdown_lines(topic.own, 200)}
        for block in re.findall(r"^```\w*\n(.*?)^```", topic.own, flags=re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                assert line.strip() in shown, topic.name
