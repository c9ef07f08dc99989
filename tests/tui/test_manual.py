"""The manual: the rooms' pages cut into topics, and found by what people type."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pages import ROOT, Page, all_pages

from tui import manual
from tui.manual import FRONT, find, topics


def test_every_page_of_the_rooms_is_in_it() -> None:
    rooms = {topic.room: topic for topic in topics() if topic.is_room}
    pages = [page for page in all_pages() if not page.name.startswith("tests/")]
    assert len(rooms) == len(pages)
    assert {topic.whole for topic in rooms.values()} == {
        page.text.rstrip() + "\n" for page in pages
    }


def test_every_heading_is_a_topic_once() -> None:
    names = [topic.name for topic in topics()]
    assert len(set(names)) == len(names)
    page = Page("tui/README.md")
    titles = {topic.title for topic in topics() if topic.room == "tui" and not topic.is_room}
    assert {"States", "Exit statuses", "--fail-on-goals", "once: a waterfall"} <= titles
    assert len(titles) == page.prose.count("\n## ") + page.prose.count("\n### ")


def test_a_topic_has_its_own_text_and_that_of_the_topics_below() -> None:
    (commands,) = find("tui/Commands")
    assert "### Exit statuses" not in commands.own
    assert "### Exit statuses" in commands.whole
    assert "## Where to look" not in commands.whole
    assert "".join(topic.own for topic in topics() if topic.room == "tui").split() == (
        Page("tui/README.md").text.split()
    )


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("states", ["tui/States"]),
        ("STATES", ["tui/States"]),
        ("config", ["config"]),
        ("fail-on-goals", ["tui/--fail-on-goals"]),
        ("--fail-on-goals", ["tui/--fail-on-goals"]),
        ("exit", ["tui/Exit statuses"]),
        ("keys", ["llmtop/Keys", "tui/Keys"]),
        ("tui/keys", ["tui/Keys"]),
        ("waterfall", ["tui/once: a waterfall"]),
        ("no such thing", []),
    ],
)
def test_a_topic_is_found(words: str, names: list[str]) -> None:
    assert [topic.name for topic in find(words)] == names


def test_every_topic_is_found_by_its_name() -> None:
    for topic in topics():
        assert topic in find(topic.name)


def test_most_topics_say_in_a_sentence_what_they_are_about() -> None:
    said = [topic for topic in topics() if topic.summary]
    assert len(said) > 0.8 * len(topics())
    for topic in said:
        assert "\n" not in topic.summary
        assert "](" not in topic.summary
        assert "`" not in topic.summary


def test_headings_in_code_are_none() -> None:
    text = "# Room\n\nWords.\n\n```sh\n# a comment\n```\n\n## Part\n"
    assert [topic.title for topic in manual._cut("room", text)] == ["Room", "Part"]


def test_a_page_that_was_taken_away_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        manual, "_pages", lambda: iter([("a", tmp_path / "none.md"), ("b", ROOT / "README.md")])
    )
    topics.cache_clear()
    try:
        assert {topic.room for topic in topics()} == {"b"}
    finally:
        monkeypatch.undo()
        topics.cache_clear()


@pytest.mark.long
def test_the_wheel_has_the_pages(tmp_path: Path) -> None:

    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "-q",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    pages = {page.name for page in all_pages() if page.name.startswith(("probes/", "tui/"))}
    assert pages <= names
    assert f"tui/{FRONT}" in names
