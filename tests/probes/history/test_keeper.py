"""The history of a run while it runs: written soon, warm at the start, never in the way."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from board_streams import route_info
from history_streams import NOON_S, Run, S, probed

from probes.events import Event, Hello, Reference, SeenBefore, SeriesReference
from probes.history import keeper as keeping
from probes.history.database import EmptyHistoryError, HistoryFile
from probes.history.fold import HistoryFold
from probes.history.keeper import HistoryKeeper
from probes.history.records import PastIncident, Told, identity_of

WAIT = SeriesReference(figure="ttft", values=(0.1, 0.2, 0.3), n=200)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


def keeper(path: Path, **changes: object) -> HistoryKeeper:
    settings: dict[str, object] = {"max_mb": 100, "max_days": 400, "wall_ns": lambda: NOON_S * S}
    return HistoryKeeper(path, **(settings | changes))  # type: ignore[arg-type]


def reference(**changes: object) -> Reference:
    values: dict[str, object] = {"at_ns": 5, "route": "chat", "cohort": "64/256"}
    values |= {"wall_ns": (NOON_S - 3600) * S, "series": (WAIT,)}
    return Reference(**(values | changes))  # type: ignore[arg-type]


def probes(path: Path) -> int:
    with HistoryFile(path, writes=False) as file, suppress(EmptyHistoryError):
        return sum(one.row.counts[0] for one in file.rows(file.series(), 0, 1e11))
    return 0


def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_run_was_is_written_at_its_end(path: Path) -> None:
    one = keeper(path)
    one.start(pytest.fail)
    one.receive(probed([1, 2, 3]).events, b"")
    one.close()
    assert probes(path) == 3


def test_open_slots_are_written_while_it_runs(path: Path) -> None:
    one = keeper(path, write_s=0.05)
    one.start(pytest.fail)
    one.receive(probed([1, 2]).events, b"")
    until(lambda: path.exists() and probes(path) == 2)
    one.close()


def test_what_was_usual_is_kept_at_the_end_and_given_to_the_next_run(path: Path) -> None:
    first = keeper(path)
    first.start(pytest.fail, lambda: (reference(), reference(route="unknown")))
    first.receive(probed([1]).events, b"")
    first.close()
    second = keeper(path)
    second.start(pytest.fail)
    until(second._read.is_set)
    hello = Run().events[0]
    assert isinstance(hello, Hello)
    (given,) = second.warm(hello)
    assert given == reference(at_ns=hello.at_ns)
    second.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"cohort": "128/256"},  # answers of another length
        {"wall_ns": (NOON_S - 40 * 86_400) * S},  # a month old
    ],
)
def test_what_says_nothing_of_this_run_is_not_given(path: Path, changes: dict[str, object]) -> None:
    with HistoryFile(path, writes=True) as file:
        known = (identity_of(route_info("chat")), reference(**changes))
        file.write(Told({}, (), (known,)))
    one = keeper(path)
    one.start(pytest.fail)
    until(one._read.is_set)
    hello = Run().events[0]
    assert isinstance(hello, Hello)
    assert one.warm(hello) == []
    one.close()


@pytest.mark.parametrize("other", [{"model": "other"}, {"base_url": "http://elsewhere/v1"}])
def test_another_model_or_address_is_another_route(path: Path, other: dict[str, str]) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(Told({}, (), ((identity_of(route_info("chat")), reference()),)))
    one = keeper(path)
    one.start(pytest.fail)
    until(one._read.is_set)
    hello = Run(route_info("chat", **other)).events[0]
    assert isinstance(hello, Hello)
    assert one.warm(hello) == []
    one.close()


def test_the_first_run_of_all_starts_from_nothing_and_makes_no_file_before_it_writes(
    path: Path,
) -> None:
    one = keeper(path)
    one.start(pytest.fail)
    until(one._read.is_set)
    hello = Run().events[0]
    assert isinstance(hello, Hello)
    assert one.warm(hello) == []
    assert not path.exists()
    one.close()


def test_a_file_that_takes_nothing_is_told_once_and_tried_again(tmp_path: Path) -> None:
    folder, told = tmp_path / "folder", list[str]()
    folder.write_text("in the way")
    one = keeper(folder / "history.sqlite3", write_s=0.05)
    one.start(told.append)
    one.receive(probed([1, 2]).events, b"")
    until(lambda: told)
    time.sleep(0.3)  # some more tries
    (first,) = told
    assert "cannot be used" in first
    assert first.endswith("measuring goes on, tried again every 0.05 s")
    folder.unlink()
    until(lambda: len(told) == 2)
    assert told[1] == "the history is kept again; 0 events and slots lost"
    one.close()
    assert probes(folder / "history.sqlite3") == 2


def test_what_a_run_could_never_write_is_told_at_its_end_with_what_brings_it_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "in the way").write_bytes(b"")
    told: list[str] = []
    one = keeper(tmp_path / "in the way" / "history.sqlite3")
    one.start(told.append)
    one.receive(probed([1, 2]).events, b"")
    one.close()
    assert told[-1] == (
        "the history lacks 1 slot of this run, which `llmtop history import` of its recording"
        " brings back"
    )


def test_a_broken_file_is_told_and_the_run_is_kept_in_a_new_one(path: Path) -> None:
    path.write_bytes(b"junk" * 5000)
    told = list[str]()
    one = keeper(path)
    one.start(told.append)
    one.receive(probed([1]).events, b"")
    one.close()
    assert probes(path) == 1
    assert any("kept as" in text and "history import" in text for text in told)


def test_a_run_that_never_began_writes_nothing(path: Path) -> None:
    one = keeper(path)
    one.close()
    assert one.warm(Run().events[0]) == []  # type: ignore[arg-type]
    assert not path.exists()


def test_a_defect_in_folding_is_said_and_ends_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, first = HistoryFold.fold, []

    def broken(self: HistoryFold, event: Event) -> None:
        if not first:
            first.append(event)
            raise ArithmeticError("odd")
        fold(self, event)

    monkeypatch.setattr(HistoryFold, "fold", broken)
    told: list[str] = []
    one = keeper(path, write_s=0.05)
    one.start(told.append)
    one.receive(probed([1]).events, b"")
    one.receive(probed([2, 3]).events, b"")
    until(lambda: path.exists() and probes(path) == 2)
    one.close()
    assert "ArithmeticError: odd" in told[0]


def test_while_a_disk_hangs_what_finds_no_place_is_told_and_the_end_does_not_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_WAITING", 4)
    monkeypatch.setattr(keeping, "_CLOSE_S", 0.1)
    hangs, may = threading.Event(), threading.Event()

    def write(_self: HistoryFile, _told: Told) -> None:
        hangs.set()
        assert may.wait(10)

    monkeypatch.setattr(HistoryFile, "write", write)
    told: list[str] = []
    one = keeper(path, write_s=0.0)
    one.start(told.append)
    assert hangs.wait(10)
    one.receive(probed([1]).events, b"")
    for second in range(2, 6):
        one.receive(probed([second]).events[1:], b"")
    assert told == ["the history is too slow: 4 events wait for it, the next are left out"]
    one.close()
    assert told[1] == "the history ends: 11 events were left out"
    assert "was not written in 0.1 s, and is left" in told[2]
    may.set()
    one._aside._thread.join(10)


def seen_before(path: Path, *past: PastIncident) -> HistoryKeeper:
    with HistoryFile(path, writes=True) as file:
        file.write(Told({}, past))
    one = keeper(path)
    one.start(pytest.fail)
    return one


def past(since_s: float, **changes: object) -> PastIncident:
    values: dict[str, object] = {"id": str(since_s), "cause": "provider_queueing", "scope": ""}
    values |= {"names": ("chat",), "routes": ("chat",), "since_s": since_s}
    return PastIncident(**(values | {"ended_s": since_s + 600} | changes))  # type: ignore[arg-type]


def taken(one: HistoryKeeper, count: int) -> list[Event]:
    found: list[Event] = []

    def is_there() -> bool:
        found.extend(one.seen(77))
        return len(found) >= count

    until(is_there)
    return found


def test_what_is_suspected_is_looked_up_at_once_and_told_once(path: Path) -> None:
    one = seen_before(path, past(NOON_S - 9_000), past(NOON_S - 5_000, ended_s=NOON_S - 4_700))
    run = Run()
    run.diagnosis(20, "perhaps", 10)
    one.receive(run.events, b"")
    (told,) = taken(one, 1)
    assert told == SeenBefore(
        at_ns=77,
        cause="provider_queueing",
        routes=("chat",),
        times=2,
        first_wall_ns=(NOON_S - 9_000) * S,
        last_wall_ns=(NOON_S - 5_000) * S,
        typical_s=450.0,
    )
    again = Run()
    again.diagnosis(30, "named", 10)  # of the same: nothing new
    again.diagnosis(31, "named", 10, id="1-2", cause="dns")  # never seen
    again.diagnosis(32, "named", 10, id="1-3", routes=("chat", "other"))
    one.receive(again.events[1:], b"")
    (other,) = taken(one, 1)
    assert isinstance(other, SeenBefore)
    assert other.routes == ("chat", "other")
    one.close()
    assert one.seen(78) == []


def test_what_is_over_by_the_time_it_is_looked_up_is_not_told(path: Path) -> None:
    one = seen_before(path, past(NOON_S - 9_000))
    run = Run()
    run.diagnosis(20, "named", 10)
    run.diagnosis(50, "cleared", 10)
    run.diagnosis(60, "named", 55, id="1-2")
    one.receive(run.events, b"")
    assert len(taken(one, 1)) == 1
    one.close()


def test_an_incident_that_this_run_has_written_down_is_not_its_own_past(path: Path) -> None:
    one = keeper(path, write_s=0.05)
    one.start(pytest.fail)
    run = Run()
    run.probe(5)
    run.diagnosis(20, "named", 10)
    one.receive(run.events, b"")
    until(lambda: path.exists() and probes(path) == 1)
    more = Run()
    more.diagnosis(30, "named", 10, routes=("chat", "other"))
    one.receive(more.events[1:], b"")
    until(lambda: one._looked_up.get("1-1", ("", ()))[1] == ("chat", "other"))
    assert one.seen(1) == []
    one.close()


def test_looking_up_makes_no_file_and_one_that_cannot_be_read_is_told_once(path: Path) -> None:
    told: list[str] = []
    one = keeper(path)
    one.start(told.append)
    until(one._read.is_set)
    run = Run()
    run.diagnosis(20, "named", 10)
    one.receive(run.events, b"")
    until(lambda: one._looked_up)
    assert not path.exists()
    path.mkdir()
    more = Run()
    more.diagnosis(30, "named", 10, id="1-2")
    one.receive(more.events[1:], b"")
    until(lambda: told)
    assert "cannot be used" in told[0]
    one.close()
