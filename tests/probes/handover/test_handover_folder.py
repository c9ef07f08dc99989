"""A hand-over on the disk: what is in it, whose it is, and what becomes of it when that fails."""

import csv
import io
import stat
import tomllib
from pathlib import Path

import pytest
from handed import LIMITED, OUTAGE, facts_of, recorded
from strict_html import StrictPage

from probes.events import AttemptFinished, Hello, Notice, ProbeFinished
from probes.handover import recording_of_window
from probes.handover.folder import HandoverError, WrittenHandover, hand_over
from probes.handover.recorded_run import ReadRun, read_run
from probes.handover.tables import COLUMNS
from probes.handover.window import Stretch, stretch_of_incident
from probes.run.report import read_report
from probes.store.recording_reader import read_recording

FILES = {
    *("report.html", "report.md", "attempts.csv", "request-ids.txt", "recording.jsonl"),
    *("routes.redacted.toml", "README.txt"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ReadRun:
    return read_run([recorded(tmp_path_factory.mktemp("run") / "run.jsonl")])


def written(run: ReadRun, parent: Path) -> WrittenHandover:
    record = next(one.record for one in run.report.incidents if one.record.named_ns is not None)
    stretch = stretch_of_incident(record, run.timeline.recorded_span)
    known = [one.record for one in run.report.incidents]
    return hand_over(run.timeline, stretch, parent, incident=record.word.id, known=known)


@pytest.fixture(scope="module")
def folder(run: ReadRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(run, tmp_path_factory.mktemp("bundles")).folder


def test_the_folder_has_a_telling_name_and_all_files_and_is_private(folder: Path) -> None:
    assert folder.name == "llmtop-20260921T1418Z-alpha-outage"
    assert {path.name for path in folder.iterdir()} == FILES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_overwritten(
    run: ReadRun, tmp_path: Path
) -> None:
    first = written(run, tmp_path).folder
    (first / "report.md").write_text("mine by now")
    second = written(run, tmp_path).folder
    assert second.name == f"{first.name}-2"
    assert (first / "report.md").read_text() == "mine by now"
    (tmp_path / f"{first.name}-3").symlink_to(tmp_path / "nowhere")
    assert written(run, tmp_path).folder.name == f"{first.name}-4"


def test_what_cannot_be_written_is_one_error_and_leaves_nothing(
    run: ReadRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(HandoverError, match=r"file: the hand-over cannot be written: "):
        written(run, tmp_path / "file")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("probes.handover.folder.os.fsync", full)
    with pytest.raises(HandoverError, match="cannot be written: No space left on device"):
        written(run, tmp_path / "full")
    assert list((tmp_path / "full").iterdir()) == []


def test_pages_and_paragraph_tell_what_happened(run: ReadRun, folder: Path) -> None:
    facts = facts_of(run)
    assert facts.incident is not None
    (alpha, *others) = facts.routes
    failed, finished = alpha.during.failed, alpha.during.finished
    page = StrictPage((folder / "report.html").read_text())
    text = (folder / "report.md").read_text()
    for part in (
        "alpha: provider is down",
        "Since 2026-09-21 14:18:22 UTC, named",
        "1m44s, until 14:20:06: over",
        "the provider's: every request ends in an error",
        f"{failed} of {finished} probes failed",
        "no knob was turned",
    ):
        assert part in page.text, part
        assert part in text.replace("\\", ""), part
    assert "503 “Service Unavailable”" in page.text
    assert failed > 50
    assert sum(route.during.failed for route in others) == 0


def test_attempts_are_read_back_as_they_were(run: ReadRun, folder: Path) -> None:
    facts = facts_of(run)
    raw = (folder / "attempts.csv").read_bytes().decode()
    assert raw.count("\r\n") == raw.count("\n") == len(facts.attempts) + 1
    rows = list(csv.DictReader(io.StringIO(raw, newline="")))
    assert list(rows[0]) == [column.name for column in COLUMNS]
    for row, attempt in zip(rows, facts.attempts, strict=True):
        assert (row["route"], row["probe"]) == (attempt.route, attempt.probe)
        assert row["status"] == ("" if attempt.status is None else str(attempt.status))
        first_ns, started_ns = attempt.stamps_ns.first_token, attempt.stamps_ns.started
        if first_ns is not None and started_ns is not None:
            assert float(row["first_token_s"]) == pytest.approx(
                (first_ns - started_ns) / 1e9, abs=1e-6
            )
    described = (folder / "README.txt").read_text()
    assert all(column.meaning in described for column in COLUMNS)


def test_the_recording_replays_by_itself_to_the_same_verdict(run: ReadRun, folder: Path) -> None:
    before, after = run.report, read_report([folder / "recording.jsonl"])
    assert [one for one in after.missing if "left out" in one] == []
    told = [
        [
            (one.record.word, one.record.named_ns, one.probes, one.failed)
            for one in report.incidents
            if one.record.named_ns is not None
        ]
        for report in (before, after)
    ]
    assert told[0] == told[1]
    assert [page.alert.at_ns for page in before.pages] == [page.alert.at_ns for page in after.pages]


def test_a_recording_of_a_large_run_begins_before_the_stretch_with_its_hello(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.run.timeline.EVENTS_APART", 500)
    run = read_run([recorded(tmp_path / "run.jsonl")])
    monkeypatch.setattr(recording_of_window, "WHOLE_BYTES", 1000)
    end_ns = run.timeline.span.end_ns
    stretch = Stretch(end_ns - 60 * 10**9, end_ns - 30 * 10**9)
    folder = hand_over(run.timeline, stretch, tmp_path / "out").folder
    assert "begins some time before this time" in (folder / "README.txt").read_text()
    (batch, *more) = read_recording([folder / "recording.jsonl"], pytest.fail)
    events = [event for events, _ in (batch, *more) for event in events]
    assert isinstance(events[0], Hello)
    assert events[1].at_ns <= stretch.begin_ns
    assert max(event.at_ns for event in events) <= stretch.end_ns
    assert (folder / "recording.jsonl").stat().st_size < (tmp_path / "run.jsonl").stat().st_size / 2


def test_texts_of_answers_are_not_handed_on(tmp_path: Path) -> None:
    def told(event: object) -> object:
        if isinstance(event, AttemptFinished):
            from changed import replace

            return replace(event, text="the secret plan", reasoning_text="of a secret")
        return event

    run = read_run([recorded(tmp_path / "run.jsonl", OUTAGE, told)])  # type: ignore[arg-type]
    folder = written(run, tmp_path / "out").folder
    assert all(b"secret plan" not in path.read_bytes() for path in folder.iterdir())
    assert b"of a secret" not in (folder / "recording.jsonl").read_bytes()


def test_settings_are_read_back_without_a_key(folder: Path) -> None:
    routes = tomllib.loads((folder / "routes.redacted.toml").read_text())["routes"]
    assert set(routes) == {"alpha", "beta", "gamma"}
    assert all("key" not in name for route in routes.values() for name in route)


def test_ids_of_bad_and_of_good_requests_stand_apart(tmp_path: Path) -> None:
    from changed import replace

    def with_id(event: object) -> object:
        if isinstance(event, AttemptFinished):
            return replace(event, request_id=f"req-{event.probe}-{event.attempt}")
        return event

    run = read_run([recorded(tmp_path / "run.jsonl", OUTAGE, with_id)])  # type: ignore[arg-type]
    folder = written(run, tmp_path / "out").folder
    _, bad, good = (folder / "request-ids.txt").read_text().split("\n\n")
    bad_ids = {line.split()[-1].split("-", 1)[1].rsplit("-", 1)[0] for line in bad.split("\n")[1:]}
    good_ids = {
        line.split()[-1].split("-", 1)[1].rsplit("-", 1)[0] for line in good.strip().split("\n")[1:]
    }
    stories = facts_of(run).probes
    ended: dict[str, ProbeFinished] = {one.probe.probe: one.probe for one in stories}
    assert bad_ids
    assert good_ids
    assert bad_ids.isdisjoint(good_ids)
    assert {ended[name].outcome for name in good_ids} == {"ok"}
    assert {ended[name].route for name in bad_ids | good_ids} == {"alpha"}


def test_a_limit_of_our_own_doing_lies_on_our_side(tmp_path: Path) -> None:
    run = read_run([recorded(tmp_path / "run.jsonl", LIMITED)])
    told = written(run, tmp_path / "out")
    assert "On whose side: ours: we ask more at once than its limit allows" in told.summary


def test_what_is_missing_of_the_recording_is_said(run: ReadRun, tmp_path: Path) -> None:
    span = run.timeline.recorded_span
    stretch = Stretch(span.begin_ns, span.begin_ns + 30 * 10**9)
    lost = "1 line is left out: line 7 is unreadable"
    folder = hand_over(run.timeline, stretch, tmp_path, missing=[lost]).folder
    assert lost in StrictPage((folder / "report.html").read_text()).text
    assert lost in (folder / "report.md").read_text()


def test_nothing_but_a_notice_is_no_reason_to_fail(tmp_path: Path) -> None:
    """A stretch may have no probe at all."""
    path = recorded(tmp_path / "run.jsonl")
    lines = path.read_bytes().split(b"\n")
    from probes.events import encode_event

    later = Notice(at_ns=10**15, route="", text="much later")
    path.write_bytes(b"\n".join(lines[:2000]) + b"\n" + encode_event(later))
    run = read_run([path])
    stretch = Stretch(10**15 - 60 * 10**9, 10**15)
    folder = hand_over(run.timeline, stretch, tmp_path / "out").folder
    assert "no probe finished in it" in (folder / "report.md").read_text()


def test_each_file_is_told_as_it_is_written_and_how_much_of_the_table(
    run: ReadRun, tmp_path: Path
) -> None:
    told: list[tuple[str, float | None]] = []
    span = run.timeline.recorded_span
    stretch = Stretch(span.begin_ns, span.end_ns)
    hand_over(run.timeline, stretch, tmp_path, progress=lambda *one: told.append(one))
    words = list(dict.fromkeys(words for words, _ in told))
    assert words[:2] == ["reading the recording", "writing the pages"]
    assert {f"writing {name}" for name in FILES} == set(words[2:])
    shares = [share for one, share in told if one == "writing attempts.csv" and share is not None]
    assert shares == sorted(shares)
    assert shares
    assert shares[-1] <= 1.0
