"""The judge of diagnoses is just: what it holds against whom."""

from typing import Any

from bench.incident_streams.judge import Judge, Report
from bench.incident_streams.nature import Nature
from bench.incident_streams.stream import START_NS
from bench.incident_streams.trouble import Outline, Trouble

from probes.events import Diagnosis
from probes.kit.clock import NS_PER_S

QUEUEING = Trouble(
    causes=("provider_queueing",), routes=("alpha", "beta"), onset_s=300.0, end_s=400.0
)


def outline(*troubles: Trouble) -> Outline:
    natures = tuple(Nature(name=name) for name in ("alpha", "beta", "gamma"))
    return Outline(natures=natures, troubles=troubles, length_s=600.0)


def line(
    at_s: float, state: Any = "named", cause: Any = "provider_queueing", **more: Any
) -> Diagnosis:
    routes = more.pop("routes", ("alpha", "beta"))
    since_s = more.pop("since_s", 301.0)
    return Diagnosis(
        at_ns=START_NS + round(at_s * NS_PER_S),
        id=more.pop("id", "e1-1"),
        state=state,
        cause=cause,
        routes=routes,
        since_ns=START_NS + round(since_s * NS_PER_S),
    )


def judged(*lines: Diagnosis, troubles: tuple[Trouble, ...] = (QUEUEING,)) -> Report:
    judge = Judge(outline(*troubles))
    for one in lines:
        judge.hear(one)
    return judge.report()


def test_what_is_named_in_time_and_cleared_is_as_it_should_be() -> None:
    report = judged(line(310.0, "perhaps"), line(320.0), line(430.0, "cleared"))
    assert report.faults == []
    (finding,) = report.findings
    assert (finding.named_s, finding.whole_s, finding.cleared_s) == (20.0, 20.0, 30.0)
    assert finding.since_off_s == 1.0
    assert (report.wrong_s, report.false) == (0.0, 0)


def test_perhaps_names_nothing() -> None:
    assert judged(line(310.0, "perhaps"), line(430.0, "cleared")).faults == ["not named"]


def test_unknown_is_neither_right_nor_wrong_where_something_is() -> None:
    report = judged(line(310.0, cause="unknown"), line(430.0, "cleared"))
    assert report.faults == ["not named"]
    assert report.wrong_s == 0.0
    assert report.findings[0].unknown_s == 90.0


def test_what_comes_late_and_goes_late_is_told() -> None:
    report = judged(line(335.0), line(480.0, "cleared"))
    assert report.faults == ["named after 35 s, not 30", "cleared after 80 s, not 60"]
    assert report.wrong_s == 0.0


def test_what_is_never_cleared_is_told() -> None:
    assert judged(line(320.0)).faults == ["not cleared"]


def test_another_cause_is_wrong_for_as_long_as_it_stands() -> None:
    wrong = line(310.0, cause="network_path"), line(325.0), line(430.0, "cleared")
    report = judged(*wrong)
    assert report.wrong_s == 15.0
    assert report.faults == ["wrong for 15 s: network_path of alpha+beta"]
    assert report.false == 0


def test_a_cause_that_changes_after_the_end_is_wrong() -> None:
    report = judged(line(320.0), line(405.0, cause="provider_errors"), line(430.0, "cleared"))
    assert report.wrong_s == 25.0


def test_a_well_route_beside_those_that_are_hit_is_wrong_at_once() -> None:
    report = judged(
        line(320.0),
        line(325.0, routes=("alpha", "beta", "gamma")),
        line(330.0),
        line(430.0, "cleared"),
    )
    assert report.faults == ["on a well route for 5 s"]


def test_part_of_the_routes_is_right_but_not_enough() -> None:
    report = judged(line(320.0, routes=("alpha",)), line(430.0, "cleared", routes=("alpha",)))
    assert report.faults == ["never of its routes alone"]
    assert report.wrong_s == 0.0


def test_what_is_named_before_anything_is_wrong_is_false() -> None:
    report = judged(
        line(100.0),
        line(112.0, "cleared"),
        line(320.0, id="e1-2"),
        line(430.0, "cleared", id="e1-2"),
    )
    assert report.false == 1
    assert report.wrong_s == 12.0


def test_a_name_of_a_route_that_is_well_is_false_even_while_others_are_ill() -> None:
    report = judged(
        line(320.0), line(330.0, id="e1-2", routes=("gamma",)), line(430.0, "cleared"),
        line(431.0, "cleared", id="e1-2"),
    )  # fmt: skip
    assert report.false == 1


def test_a_fault_that_is_named_twice_at_once_has_two_ids() -> None:
    report = judged(
        line(320.0), line(325.0, id="e1-2", routes=("alpha",)), line(430.0, "cleared"),
        line(430.0, "cleared", id="e1-2"),
    )  # fmt: skip
    assert report.faults == ["2 ids"]


def test_what_is_cleared_while_it_lasts_and_named_again_is_a_flap() -> None:
    report = judged(
        line(320.0),
        line(340.0, "cleared"),
        line(360.0, id="e1-2"),
        line(430.0, "cleared", id="e1-2"),
    )
    assert report.faults == ["1 flaps"]


def test_a_since_that_is_off_is_told() -> None:
    report = judged(line(320.0, since_s=340.0), line(430.0, "cleared"))
    assert report.faults == ["since off by +40 s"]


def test_a_since_may_be_corrected_later() -> None:
    report = judged(line(320.0, since_s=340.0), line(330.0, since_s=302.0), line(430.0, "cleared"))
    assert report.faults == []


def test_what_is_late_is_not_wrong_even_where_it_loses_a_route() -> None:
    report = judged(line(320.0), line(470.0, routes=("alpha",)), line(480.0, "cleared"))
    assert report.faults == ["cleared after 80 s, not 60"]
    assert report.wrong_s == 0.0


def test_either_of_two_causes_or_both_may_be_told_of_what_has_both() -> None:
    both = Trouble(
        causes=("provider_queueing", "provider_slow_decode"),
        routes=("alpha", "beta"),
        onset_s=300.0,
        end_s=400.0,
    )
    slow = {"id": "e1-2", "cause": "provider_slow_decode"}
    lines = [
        line(320.0),
        line(321.0, **slow),
        line(430.0, "cleared"),
        line(430.0, "cleared", **slow),
    ]
    assert judged(*lines, troubles=(both,)).faults == []
    assert judged(lines[0], lines[2], troubles=(both,)).faults == []


def test_health_has_nothing_to_be_named() -> None:
    report = judged(line(100.0), line(130.0, "settled"), troubles=())
    assert (report.false, report.wrong_s) == (1, 30.0)


def test_two_troubles_are_judged_each_for_itself() -> None:
    errors = Trouble(causes=("provider_errors",), routes=("gamma",), onset_s=310.0, end_s=400.0)
    report = judged(
        line(320.0),
        line(321.0, id="e1-2", cause="provider_errors", routes=("gamma",), since_s=311.0),
        line(430.0, "cleared"),
        line(431.0, "cleared", id="e1-2"),
        troubles=(QUEUEING, errors),
    )
    assert report.faults == []
    assert [one.named_s for one in report.findings] == [20.0, 11.0]
