"""What was said of a run is held to what was true of it."""

from typing import Any

import pytest

from wires.playing import Line
from wires.verdicts import Truth, judge, standings

S = 1_000_000_000
END = 300 * S
QUEUE = Truth("provider_queueing", frozenset({"a"}), 100 * S, 175 * S)
HANG = Truth("no_answer", frozenset({"b"}), 110 * S, 170 * S, 20.0, frozenset({"outage"}))


def said(at_s: float, state: str = "named", **fields: Any) -> Line:
    event = {
        "type": "diagnosis",
        "id": "1-1",
        "state": state,
        "cause": "provider_queueing",
        "routes": ["a"],
        "since_ns": 101 * S,
        **fields,
    }
    return Line(round(at_s * S), event)


def test_what_was_named_in_time_and_cleared_is_right() -> None:
    lines = [said(110, "perhaps"), said(120), said(200, "cleared")]
    judgement = judge(lines, [QUEUE], END)
    (verdict,) = judgement.verdicts
    assert (verdict.perhaps_after_s, verdict.named_after_s, verdict.routes_after_s) == (10, 20, 20)
    assert (verdict.since_off_s, verdict.cleared_after_s, verdict.ids) == (1, 25, ["1-1"])
    assert verdict.mistakes == []
    assert (judgement.is_right, judgement.wrong_s) == (True, 0)


@pytest.mark.parametrize(
    ("lines", "mistakes"),
    [
        ([], ["not named"]),
        ([said(110, "perhaps")], ["not named"]),
        ([said(131), said(200, "cleared")], ["late"]),
        ([said(120), said(236, "cleared")], ["cleared late"]),
        ([said(120)], ["not cleared"]),
        ([said(120), said(150, "cleared")], ["cleared too soon"]),
        ([said(120, since_ns=80 * S), said(200, "cleared")], ["since off"]),
        (
            [said(120), said(130, "cleared"), said(140, id="1-2"), said(200, "cleared", id="1-2")],
            ["2 incidents"],
        ),
    ],
)
def test_what_went_wrong_is_said_in_words(lines: list[Line], mistakes: list[str]) -> None:
    judgement = judge(lines, [QUEUE], END)
    assert judgement.verdicts[0].mistakes == mistakes
    assert not judgement.is_right


def test_a_later_line_of_an_incident_may_know_better() -> None:
    lines = [said(120, since_ns=60 * S), said(125, since_ns=99 * S), said(190, "cleared")]
    (verdict,) = judge(lines, [QUEUE], END).verdicts
    assert (verdict.named_after_s, verdict.since_off_s, verdict.mistakes) == (20, -1, [])


def test_a_wrong_cause_counts_for_as_long_as_it_stands() -> None:
    lines = [said(110, cause="dns"), said(122), said(200, "cleared")]
    judgement = judge(lines, [QUEUE], END)
    assert judgement.wrong_s == 12
    assert judgement.wrong == ["dns on a for 12 s"]
    assert judgement.verdicts[0].named_after_s == 22
    assert not judgement.is_right


def test_ten_seconds_of_a_wrong_cause_are_forgiven() -> None:
    lines = [said(110, cause="dns"), said(119), said(200, "cleared")]
    assert judge(lines, [QUEUE], END).is_right


def test_a_well_route_in_a_verdict_makes_it_wrong() -> None:
    lines = [said(120, routes=["a", "c"]), said(126, routes=["a"]), said(200, "cleared")]
    judgement = judge(lines, [QUEUE], END)
    assert judgement.wrong == ["provider_queueing on a, c for 6 s"]
    assert judgement.verdicts[0].named_after_s == 26


def test_routes_that_are_found_one_after_the_other_are_right_once_all_are() -> None:
    both = Truth("dns", frozenset({"a", "b"}), 100 * S, 175 * S)
    lines = [
        said(110, cause="dns"),
        said(114, cause="dns", routes=["a", "b"]),
        said(180, "cleared", cause="dns", routes=["a", "b"]),
    ]
    (verdict,) = judge(lines, [both], END).verdicts
    assert (verdict.named_after_s, verdict.routes_after_s, verdict.mistakes) == (10, 14, [])
    late = [lines[0], said(141, cause="dns", routes=["a", "b"]), lines[2]]
    assert judge(late, [both], END).verdicts[0].mistakes == ["routes late"]
    (verdict,) = judge([lines[0], said(180, "cleared")], [both], END).verdicts
    assert verdict.mistakes == ["other routes"]


def test_unknown_is_no_mistake_beside_a_truth_and_names_nothing() -> None:
    judgement = judge([said(120, cause="unknown"), said(200, "cleared")], [QUEUE], END)
    assert judgement.wrong == []
    assert judgement.verdicts[0].mistakes == ["not named"]
    assert judgement.verdicts[0].beside == ["unknown"]
    assert judge([said(120, cause="unknown")], [], END).wrong_s == 180


def test_a_cause_that_is_allowed_beside_another_is_told() -> None:
    lines = [
        said(118, cause="outage", routes=["b"]),
        said(125, cause="no_answer", routes=["b"]),
        said(190, "cleared", routes=["b"]),
    ]
    judgement = judge(lines, [HANG], END)
    assert judgement.wrong_s == 0
    assert judgement.verdicts[0].beside == ["outage"]
    assert judgement.verdicts[0].named_after_s == 15


def test_an_incident_may_end_under_a_name_that_is_allowed_beside_it() -> None:
    hang: dict[str, Any] = {"routes": ["b"], "since_ns": 110 * S}
    lines = [
        said(125, cause="no_answer", **hang),
        said(160, cause="outage", **hang),
        said(180, "cleared", cause="outage", **hang),
    ]
    (verdict,) = judge(lines, [HANG], END).verdicts
    assert (verdict.cleared_after_s, verdict.mistakes) == (10, [])


def test_two_faults_are_judged_apart() -> None:
    hang: dict[str, Any] = {"cause": "no_answer", "routes": ["b"], "id": "1-2", "since_ns": 110 * S}
    lines = [said(120), said(122, **hang), said(180, "cleared", **hang), said(200, "cleared")]
    judgement = judge(lines, [QUEUE, HANG], END)
    assert [verdict.named_after_s for verdict in judgement.verdicts] == [20, 12]
    assert [verdict.cleared_after_s for verdict in judgement.verdicts] == [25, 10]
    assert judgement.is_right


def test_what_is_said_before_the_onset_or_long_after_the_end_is_wrong() -> None:
    assert judge([said(99)], [QUEUE], END).wrong_s == 201
    assert judge([said(236)], [QUEUE], END).wrong_s == 64
    assert judge([said(234)], [QUEUE], END).wrong_s == 0


def test_lines_that_are_no_diagnosis_are_passed_over() -> None:
    lines = [Line(S, {"type": "hello"}), said(120), Line(END, {"type": "summary"})]
    (one,) = standings(lines, END)
    assert (one.from_ns, one.to_ns, one.ended) == (120 * S, END, "")
