"""What became of each incident, and what a run that was to have none ends with."""

from datetime import datetime
from typing import Any

import pytest
from board_streams import at, hello, tick

from probes.events import Diagnosis, Mark, SeenBefore
from probes.kit.exit_status import ExitStatus
from probes.kit.short_figures import date_and_time
from probes.run.incidents import _KEPT, RunIncidents, incident_remarks, incidents_status
from probes.run.pass_or_fail import PassOrFail

MISSED = {"goals_met": False, "goals_missed": ["ttft"], "goals_unknown": []}
MET = {"goals_met": True, "goals_missed": [], "goals_unknown": []}
UNKNOWN = {"goals_met": None, "goals_missed": [], "goals_unknown": ["no probe finished"]}


def word(at_s: float, state: Any = "named", **changes: Any) -> Diagnosis:
    """Return a word on an incident that began 20 s before it."""
    given: dict[str, Any] = {
        "id": "e1.1",
        "cause": "provider_slow_decode",
        "routes": ("alpha",),
        "since_ns": at(at_s - 20),
    }
    return Diagnosis(at_ns=at(at_s), state=state, **(given | changes))


def wall(at_s: float) -> str:
    """Return a moment of the run as the clock on the wall had it."""
    moment = datetime.fromtimestamp((at(at_s) + 7) // 10**9)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def log_of(*words: Diagnosis | SeenBefore) -> RunIncidents:
    log = RunIncidents()
    log.receive([hello(), tick(0.5), Mark(at_ns=at(1), text="m"), *words], b"")
    return log


def seen(at_s: float, times: int, **changes: Any) -> SeenBefore:
    given: dict[str, Any] = {"cause": "provider_slow_decode", "routes": ("alpha",)}
    given |= {"first_wall_ns": 1, "last_wall_ns": 2}
    return SeenBefore(at_ns=at(at_s), times=times, **(given | changes))


def test_an_incident_keeps_what_was_told_of_those_before_it() -> None:
    log = log_of(
        word(40),
        seen(41, 3),
        seen(42, 2),  # another who knows less
        seen(42, 9, cause="dns"),
        seen(42, 9, routes=("beta",)),
        word(90, "cleared"),
        seen(95, 9),
    )
    assert [record.seen and record.seen.times for record in log.records] == [3]


def test_what_was_told_of_one_cause_is_not_kept_for_another() -> None:
    (record,) = log_of(word(40), seen(41, 3), word(50, cause="outage")).records
    assert record.seen is None


def test_an_incident_keeps_what_it_was_when_it_is_over() -> None:
    log = log_of(
        word(30, "perhaps", cause="unknown"),
        word(40, since_ns=at(11)),
        word(50, size=4.0, since_ns=at(12)),
        word(90, "cleared", size=1.0, since_ns=at(12)),
    )
    (record,) = log.records
    assert (record.begun_ns, record.named_ns) == (at(30), at(40))
    assert (record.word.size, record.word.cause) == (4.0, "provider_slow_decode")
    assert record.end is not None
    assert record.end.at_ns == at(90)


def test_routes_that_recover_one_by_one_do_not_change_what_it_was() -> None:
    three = word(40, routes=("alpha", "bravo", "carol"), size=0.85, since_ns=at(18))
    log = log_of(
        word(30, "perhaps", routes=("alpha", "zulu")),
        three,
        word(60, routes=("bravo", "carol"), size=0.7, since_ns=at(19)),
        word(61, routes=("carol",), size=0.6, since_ns=at(20)),
        word(70, "cleared", routes=("carol",), since_ns=at(20)),
    )
    (record,) = log.records
    assert record.word == three
    assert (record.routes, record.since_ns) == (("alpha", "bravo", "carol"), at(18))
    (remark,) = incident_remarks(log)
    assert remark.startswith(f"alpha, bravo, carol: provider_slow_decode since {wall(18)}, until")


def test_fewer_routes_of_another_cause_are_news_and_all_that_were_hit_are_kept() -> None:
    news = word(60, routes=("bravo",), cause="dns")
    (record,) = log_of(word(40, routes=("alpha", "bravo")), news).records
    assert (record.word, record.routes) == (news, ("alpha", "bravo"))
    assert [cause for _, cause in record.causes] == ["provider_slow_decode", "dns"]


def test_what_was_never_named_is_kept_and_not_counted() -> None:
    log = log_of(word(30, "perhaps"), word(45, "cleared"))
    assert len(log.records) == 1
    assert (log.named, list(incident_remarks(log))) == ((), [])
    assert incidents_status(log) == ExitStatus.OK


def test_an_incident_that_comes_back_is_open_again() -> None:
    (record,) = log_of(word(30), word(60, "cleared"), word(80)).records
    assert (record.named_ns, record.end) == (at(30), None)


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        ([word(40)], f"alpha: provider_slow_decode since {wall(20)}, not over"),
        (
            [word(40), word(99, "cleared", since_ns=at(21))],
            f"alpha: provider_slow_decode since {wall(21)}, until {wall(99)}",
        ),
        (
            [word(40), word(3700, "settled", since_ns=at(20))],
            f"alpha: provider_slow_decode since {wall(20)}, the usual since {wall(3700)}",
        ),
        (
            [word(40, cause="dns", routes=("alpha", "bravo"))],
            f"alpha, bravo: dns since {wall(20)}, not over",
        ),
        (
            [word(40, cause="local_observer", routes=())],
            f"all routes: local_observer since {wall(20)}, not over",
        ),
    ],
)
def test_a_remark_says_where_what_since_when_and_until_when(
    words: list[Diagnosis], remark: str
) -> None:
    log = log_of(*words)
    assert list(incident_remarks(log)) == [remark]
    assert incidents_status(log) == ExitStatus.INCIDENT


def test_a_remark_is_one_line_however_many_routes_there_are() -> None:
    names = tuple(f"route-{number:03}" for number in range(200))
    (remark,) = incident_remarks(log_of(word(40, routes=names)))
    assert remark.startswith("route-000, ")
    assert "route-007 and 192 more: provider_slow_decode" in remark


def test_where_no_wall_time_was_told_none_is_made_up() -> None:
    log = RunIncidents()
    log.fold(word(40))
    assert list(incident_remarks(log)) == ["alpha: provider_slow_decode since –, not over"]
    assert date_and_time(10**30) == "–"


def test_memory_is_bounded_and_what_is_open_stays() -> None:
    first = word(1, id="first")
    later = [word(2, id=f"{number}") for number in range(_KEPT + 5)]
    ended = [word(3, "cleared", id=f"{number}") for number in range(_KEPT - 1)]
    log = log_of(first, *later[: _KEPT - 1], *ended, *later[_KEPT - 1 :])
    assert len(log.records) == _KEPT
    assert log.records[0].word.id == "first"
    assert log.records[1].word.id == "6"


@pytest.mark.parametrize(
    ("on_goals", "on_incident", "summary", "named", "status", "remarks"),
    [
        (False, False, {"a": MISSED}, True, 0, 0),
        (False, True, {"a": MISSED}, False, 0, 0),
        (False, True, {"a": MISSED}, True, 4, 1),
        (True, True, {"a": MET}, True, 4, 1),
        (True, True, {"a": MISSED}, True, 1, 2),
        (True, True, {"a": UNKNOWN}, True, 3, 2),
        (True, True, {"a": UNKNOWN}, False, 3, 1),
        (True, False, {"a": MET}, True, 0, 0),
    ],
)
def test_everything_wrong_is_said_and_the_first_is_the_status(
    on_goals: bool,
    on_incident: bool,
    summary: dict[str, Any],
    named: bool,
    status: int,
    remarks: int,
) -> None:
    told: list[str] = []
    asked = PassOrFail(on_goals=on_goals, on_incident=on_incident)
    asked.receive([hello(), word(30, "named" if named else "perhaps")], b"")
    assert asked.status(summary, told.extend) == status
    assert len(told) == remarks
