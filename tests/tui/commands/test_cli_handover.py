"""`llmtop report --out`: a hand-over of a recording, from a shell."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from handed import recorded

from probes.kit.exit_status import ExitStatus
from tui.cli import main


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from 13:13:20 to 13:23:00 UTC on 2026-09-21, alpha down from 14:18:22 on."""
    return recorded(tmp_path_factory.mktemp("run") / "run.jsonl")


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["report", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["report", *arguments]) == ExitStatus.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_it_says_where_it_is_and_what_happened(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, gap, summary = told(capsys, str(recording), "--out", str(tmp_path / "new" / "out"))
    assert Path(where).is_dir()
    assert Path(where).parent == tmp_path / "new" / "out"
    assert gap == ""
    assert summary.startswith("alpha: provider is down. Since 2026-09-21 14:18:22 UTC")


def test_an_incident_has_the_number_that_the_report_gives_it(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, str(recording))
    assert "1. alpha: provider is down" in lines
    (where, *_) = told(capsys, str(recording), "--incident", "1", "--out", str(tmp_path))
    assert where.endswith("-alpha-outage")
    words = refused(capsys, str(recording), "--incident", "2", "--out", str(tmp_path))
    assert "--incident: got 2, expected 1 to 1" in words


@pytest.mark.parametrize(
    ("begin", "end"),
    [("14:14", "14:15:30"), ("2026-09-21T14:14:00Z", "2026-09-21T16:15:30+02:00")],
)
def test_a_time_is_handed_over(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], begin: str, end: str
) -> None:
    where, _, summary = told(
        capsys, str(recording), "--from", begin, "--to", end, "--out", str(tmp_path)
    )
    assert where.endswith("llmtop-20260921T1414Z-window")
    assert "2026-09-21 14:14:00 UTC to 14:15:30" in summary
    assert "No incident was named in it." in summary


def test_what_is_asked_for_and_is_not_there_is_refused(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(tmp_path / "out"))
    for arguments, words in (
        (("--from", "noon", *out), "--from: got noon, expected a time such as 14:03"),
        (("--from", "14:20", "--to", "14:19", *out), "nothing is recorded there"),
        (("--from", "14:14", "--incident", "1", *out), "exclude each other"),
        (("--json", *out), "--json and --out exclude each other"),
        (("--incident", "1"), "--incident is of --out DIR"),
        (("--to", "14:15"), "--to is of --out DIR"),
    ):
        assert words in refused(capsys, str(recording), *arguments)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_is_one_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = refused(capsys, str(recording), "--out", str(tmp_path / "file"))
    assert words.count("\n") == 1
    assert "the hand-over cannot be written" in words
