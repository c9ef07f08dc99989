"""`llmtop deploy`: the files that ship, as they are."""

from pathlib import Path

import pytest

import probes.deploying
from tui.cli import DEPLOYED, main
from tui.commands.deploy import SHIPPED

FOLDER = Path(probes.deploying.__file__).parent


def test_what_can_be_asked_for_is_what_ships() -> None:
    assert tuple(SHIPPED) == DEPLOYED
    there = {path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "")}
    assert {one.file for one in SHIPPED.values()} == {*there, "Containerfile"}


def test_without_a_name_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(SHIPPED)
    assert all(one.file in line for one, line in zip(SHIPPED.values(), printed, strict=True))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", name]) == 0
    assert capsys.readouterr().out == (FOLDER / SHIPPED[name].file).read_text(encoding="utf-8")


def test_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "helm"]) == 2
    assert "helm" in capsys.readouterr().err
