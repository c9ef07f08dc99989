"""A recording told as its incidents: what was measured, what was wrong, what it cannot tell."""

from pathlib import Path
from typing import Any

import pytest
from board_streams import ProbeScript, at, hello, route_info, tick
from changed import replace
from judges import ListedDiagnostician

from probes.events import Diagnosis, Event, Gap, RouteCounts, encode_event
from probes.run.report import USUAL_FROM, IncidentReport, RouteCount, read_report
from probes.store.recording_reader import RecordingError


def word(at_s: float, state: Any = "named", **changes: Any) -> Diagnosis:
    given: dict[str, Any] = {
        "id": "e1-1",
        "cause": "provider_slow_decode",
        "routes": ("alpha",),
        "since_ns": at(100),
    }
    return Diagnosis(at_ns=at(at_s), state=state, **(given | changes))


def probes(first_s: int, last_s: int, **changes: Any) -> list[Event]:
    """Return a probe a second, with all that a new llmtop tells of it."""
    seconds = range(first_s, last_s)
    changes = {"finished": {"rtt_to": "server", "rtt_ns": 9}} | changes
    return [
        event
        for second in seconds
        for event in ProbeScript(
            f"1-{changes.get('route', 'alpha')}-{second}", second, e2e_s=0.9, **changes
        ).events()
    ]


def recorded(folder: Path, *events: Event, name: str = "run.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(map(encode_event, events)))
    return path


def in_order(*events: Event) -> list[Event]:
    return sorted(events, key=lambda event: event.at_ns)


def told(path: Path, *words: Diagnosis) -> IncidentReport:
    return read_report([path], diagnostician=ListedDiagnostician(*words))


def test_it_says_what_was_measured_and_when(tmp_path: Path) -> None:
    failed = probes(90, 93, outcome="timeout", ttft_s=None)
    cancelled = probes(95, 97, outcome="cancelled", ttft_s=None)
    path = recorded(
        tmp_path, hello(), *in_order(*probes(0, 90), *failed, *cancelled, tick(100), tick(120))
    )
    report = told(path)
    assert report.names == ("run.jsonl",)
    assert (report.version, report.lasted_s) == ("0", 120.0)
    assert (report.began_ns, report.ended_ns) == (at(0) + 7, at(120) + 7)
    assert report.routes == (RouteCount("alpha", 93, 3),)
    assert (report.probes, report.failed, report.slept_s) == (93, 3, 0.0)
    assert (report.incidents, report.pages, report.missing) == ((), (), ())


def test_a_stamp_that_no_clock_has_breaks_no_report(tmp_path: Path) -> None:
    begun, *_, ended = ProbeScript("1-alpha-1", 1.0, outcome="timeout").events()
    edited = [replace(ended, at_ns=stamp) for stamp in ((1 << 64) - 1, -(1 << 63))]
    report = told(recorded(tmp_path, hello(), begun, *edited))
    assert report.routes == (RouteCount("alpha", 2, 2),)


def test_an_incident_comes_with_the_probes_of_its_routes_while_it_stood(tmp_path: Path) -> None:
    alpha = [*probes(0, 100), *probes(100, 110, outcome="timeout"), *probes(110, 200)]
    bravo = probes(0, 200, route="bravo")
    path = recorded(
        tmp_path,
        hello(route_info(), route_info("bravo")),
        *in_order(*alpha, *bravo, *(tick(float(second)) for second in range(201))),
    )
    report = told(path, word(120), word(150, "cleared", evidence=()))
    (incident,) = report.incidents
    assert (incident.probes, incident.failed) == (50, 10)
    assert incident.record.named_ns == at(120)
    (page,) = report.pages
    assert page.wall_ns == at(120) + 7
    assert page.alert.harm.reason == "probes_fail"
    open_still = told(path, word(120))
    assert [(one.probes, one.failed) for one in open_still.incidents] == [(100, 10)]


def test_verdicts_of_the_recording_are_not_believed(tmp_path: Path) -> None:
    path = recorded(tmp_path, hello(), *in_order(*probes(0, 120), word(110, cause="dns")))
    assert told(path).incidents == ()


def test_time_in_which_the_engine_did_not_run_is_told_apart(tmp_path: Path) -> None:
    path = recorded(tmp_path, hello(), Gap(at_ns=at(50), started_ns=at(20)), tick(60))
    assert (told(path).lasted_s, told(path).slept_s) == (60.0, 30.0)


def test_spans_of_two_boots_add_up(tmp_path: Path) -> None:
    again = replace(hello(at_s=-900), boot_id="another", wall_ns=10**18)
    path = recorded(tmp_path, hello(), tick(50), again, tick(-870))
    report = told(path)
    assert report.lasted_s == 80.0
    assert report.began_ns == at(0) + 7


def test_an_engine_that_was_started_anew_goes_on_with_the_span(tmp_path: Path) -> None:
    path = recorded(tmp_path, hello(), tick(50), hello(at_s=60, engine="e2"), tick(90))
    assert told(path).lasted_s == 90.0


def test_parts_are_read_as_one_run(tmp_path: Path) -> None:
    stem = "20260101T000000Z-1-00000000"
    first = recorded(tmp_path, hello(), *probes(0, 70), name=f"{stem}.0001.jsonl")
    recorded(tmp_path, hello(), *probes(70, 90), tick(91), name=f"{stem}.0002.jsonl")
    report = told(first)
    assert report.names == (f"{stem}.0001.jsonl", f"{stem}.0002.jsonl")
    assert (report.probes, report.missing) == (90, ())
    (missing,) = told(tmp_path / f"{stem}.0002.jsonl").missing[:1]
    assert missing == f"{stem}.0002.jsonl: part 1 is left out: not named"


def missing_of(folder: Path, *events: Event) -> list[str]:
    return list(told(recorded(folder, *events)).missing)


def test_what_it_cannot_tell_is_said(tmp_path: Path) -> None:
    two = hello(route_info(), route_info("bravo"))
    assert missing_of(tmp_path, two, *probes(0, 10)) == [
        "no probe of bravo finished: nothing is known there",
        f"fewer than {USUAL_FROM} probes went well of alpha: what is usual there is not known, so "
        "that only failures and hangs were judged",
    ]
    for number, more in ((5, ""), (6, " and 1 more"), (9, " and 4 more")):
        many = hello(*(route_info(f"r{number}") for number in range(number)))
        (missing,) = missing_of(tmp_path, many)
        assert f"no probe of r0, r1, r2, r3, r4{more} finished" in missing


@pytest.mark.parametrize("number", [USUAL_FROM - 1, USUAL_FROM])
def test_what_is_usual_is_learned_from_probes_that_went_well(tmp_path: Path, number: int) -> None:
    failed = probes(200, 300, outcome="timeout", ttft_s=None)
    path = probes(0, number)
    told_so = missing_of(tmp_path, hello(), *path, *failed)
    assert bool(told_so and "fewer than" in told_so[0]) == (number < USUAL_FROM)


def busy(at_s: float, **changes: Any) -> Event:
    return tick(at_s, RouteCounts(route="alpha", in_flight=1, target=4, **changes))


def test_an_older_recording_says_what_it_does_not_tell(tmp_path: Path) -> None:
    ticks = [busy(float(second)) for second in range(100)]
    old = in_order(*probes(0, 100, finished={}), *ticks)
    assert missing_of(tmp_path, hello(), *old) == [
        "it does not tell the age of open requests (an older llmtop wrote it), so that a hang was "
        "known later",
        "it tells no round trips (an older llmtop wrote it, or not on Linux), so that the way "
        "there was judged by connects alone",
    ]
    newer = in_order(
        *probes(0, 100),
        *ticks[1:],
        busy(0.0, oldest_open_ns=5, oldest_phase="sent"),
    )
    assert missing_of(tmp_path, hello(), *newer) == []
    idle = in_order(*probes(0, 50, finished={}), *(tick(float(second)) for second in range(60)))
    assert all("older" not in one for one in missing_of(tmp_path, hello(), *idle))


def test_damage_and_a_missing_hello_are_said(tmp_path: Path) -> None:
    path = recorded(tmp_path, *probes(0, 3))
    path.write_bytes(path.read_bytes() + b"?\n")
    report = told(path)
    assert report.missing == (
        "run.jsonl: 1 line is left out: line 13 is unreadable",
        "no hello is in it, so that no route is known: nothing of it can be judged",
    )
    assert (report.began_ns, report.version, report.lasted_s) == (None, "", 2.9)


def test_what_is_no_recording_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(RecordingError, match="is empty: no recording of llmtop"):
        told(tmp_path / "empty")


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    path = recorded(tmp_path, hello(), *probes(0, 500))
    done: list[int] = []
    read_report([path], progress=done.append)
    assert done == sorted(done)
    assert len(done) > 3
    assert done[-1] == path.stat().st_size
