"""The page of the tests names folders and commands that are there."""

import re

from pages import ROOT, Page, first_cells

PAGE = Page("tests/README.md")
TESTS = ROOT / "tests"


def test_no_quantity_is_left_out() -> None:
    examples = ("up to 200 MB of the worst inputs", "up to 500 streams of 50 tokens/s")
    assert PAGE.loose({}, examples, measured=("Benchmarks", "What it costs to keep running")) == []


def test_every_folder_of_the_tests_is_named() -> None:
    there = {
        f"{path.name}/"
        for path in TESTS.iterdir()
        if (path.is_dir() and any(path.rglob("*.py"))) or path.name == "cases"
    }
    assert set(first_cells(PAGE.rows("The tests"))) == there


def test_every_program_that_is_named_is_there() -> None:
    programs = re.findall(r"((?:tests|screenshots)/[a-z_/]+\.py)", PAGE.text)
    assert [name for name in programs if not (ROOT / name).is_file()] == []


def test_every_benchmark_is_named() -> None:
    told = "\n".join(" ".join(row) for row in PAGE.rows("Benchmarks"))
    runnable = {
        path.name
        for path in (TESTS / "bench").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
        and "_" not in path.name  # the others are processes that these start
    }
    assert {name for name in runnable if f"tests/bench/{name}`" not in told} == set()
