"""What holds for every page: its links lead somewhere, its files exist, a test holds it."""

import re
import subprocess
import tomllib

import pytest
from pages import ROOT, Page, all_pages, first_cells

PAGES = all_pages()
BY_PATH = {page.path: page for page in PAGES}
ROOMS = [page for page in PAGES if page.path.parent != ROOT]
WITH_FILES = [page for page in ROOMS if "\n## Where to look\n" in page.text]
TABLED = "tests/comparison/README.md"
"""It is a table that a program writes, and another test holds to the cases."""
OLD = ("tests/attacks/README.md", TABLED)
"""Pages of one folder of tests: they promise nothing to a user."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links:
        if link.startswith("https:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), link
        if target.is_dir():
            continue
        if anchor:
            assert target in BY_PATH, f"{link}: no page of ours"
            assert anchor in BY_PATH[target].anchors, link


@every_page
def test_no_two_headings_of_a_page_have_one_anchor(page: Page) -> None:
    titles = re.findall(r"^#+ .+$", page.prose, re.MULTILINE)
    assert len(titles) == len(page.anchors)


@pytest.mark.parametrize("page", ROOMS, ids=lambda page: page.name)
def test_a_page_of_a_room_says_first_what_it_is(page: Page) -> None:
    title, blank, first = page.text.split("\n", 2)
    assert title.startswith("# ")
    assert blank == ""
    assert not first.startswith(("#", "|", "`"))
    if page.name not in OLD:
        assert "This page is for" in " ".join(first.split("\n\n")[0].split())


@pytest.mark.parametrize("page", WITH_FILES, ids=lambda page: page.name)
def test_every_file_that_a_page_points_to_is_there(page: Page) -> None:
    names = first_cells(page.rows("Where to look"))
    assert [name for name in names if not (page.path.parent / name).is_file()] == []


def test_every_page_is_held_by_a_test() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    loose = [
        page.name
        for page in PAGES
        if page.name not in OLD and not any(f'Page("{page.name}")' in text for text in tests)
    ]
    assert loose == []


def test_the_front_page_leads_to_every_room_that_has_a_page() -> None:
    front = BY_PATH[ROOT / "README.md"]
    led = {(ROOT / link.partition("#")[0]).resolve() for link in front.links}
    missing = {page.path for page in ROOMS if page.name not in OLD} - led
    assert missing == set()


def test_the_front_page_is_short_enough_for_a_newcomer() -> None:
    assert len(BY_PATH[ROOT / "README.md"].text.splitlines()) <= 250


def test_the_package_has_the_front_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["readme"] == "README.md"


def test_the_test_command_is_where_ci_looks_for_it() -> None:
    script = r"sed -n '/<!-- test command -->/,/```$/p' README.md | sed '1,2d;$d'"
    assert script.partition(" | ")[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = subprocess.run(
        ["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert command.count("\n") == 1
    assert command.endswith(".venv/bin/pytest -n 6\n")
