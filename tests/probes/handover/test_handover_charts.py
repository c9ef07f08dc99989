"""Charts of a hand-over: what is in the picture, and that it stays in its frame."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from handed import facts_of_recording, recorded

from probes.board.views import HURT_STATES, RouteState
from probes.handover.charts import (
    _LOOKS,
    WIDTH,
    ChartAxis,
    ChartMark,
    Curve,
    _nice_top,
    arrivals_chart,
    bars_chart,
    curves_chart,
    states_chart,
)
from probes.handover.facts import ChartSlice, Facts, worst_probes
from probes.handover.window import Stretch
from probes.kit.clock import NS_PER_S

STRETCH = Stretch(0, 600 * NS_PER_S)
AXIS = ChartAxis(STRETCH, 1_790_000_000 * NS_PER_S, band=(200 * NS_PER_S, 300 * NS_PER_S))


def slices(values: list[float | None]) -> list[ChartSlice]:
    return [
        ChartSlice(at * 10 * NS_PER_S, value, value, value, value, 1, 1, 0, 0, 0, None)
        for at, value in enumerate(values)
    ]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of_recording(recorded(tmp_path_factory.mktemp("run") / "run.jsonl"))


def elements(picture: str, look: str) -> list[ElementTree.Element]:
    tree = ElementTree.fromstring(picture)  # noqa: S314 - our own, and without entities
    return [one for one in tree.iter() if look in one.get("class", "").split()]


def assert_within(picture: str) -> None:
    """Every place of a path, a rectangle and a word lies in the frame."""
    tree = ElementTree.fromstring(picture)  # noqa: S314
    _, _, width, height = map(float, tree.get("viewBox", "").split())
    for one in tree.iter():
        x, y = float(one.get("x", 0)), float(one.get("y", 0))
        assert 0 <= x <= width
        assert 0 <= y <= height
        assert x + float(one.get("width", 0)) <= width + 0.2
        for command, first, second in re.findall(r"([ML])(-?[\d.]+) (-?[\d.]+)", one.get("d", "")):
            assert 0 <= float(first) <= width, command
            assert 0 <= float(second) <= height, command


def test_where_nothing_was_measured_there_is_a_hole() -> None:
    values = [1.0, 2.0, None, 3.0, 4.0, None, 5.0]
    picture = curves_chart("t", "s", slices(values), (Curve("p50", "p50", values),), AXIS)
    (line,) = elements(picture, "p50")
    assert line.get("d", "").count("M") == 3
    assert_within(picture)


def test_the_incident_is_a_band_with_its_onset_and_end_and_marks_have_numbers() -> None:
    axis = ChartAxis(STRETCH, AXIS.anchor_ns, AXIS.band, marks=(ChartMark(100 * NS_PER_S, 1),))
    picture = bars_chart("t", "", slices([1.0]), (Curve("refused", "bar-429", [3.0]),), axis)
    (band,), (onset,), (end,) = (elements(picture, look) for look in ("band", "onset", "end"))
    assert f"M{float(band.get('x', 0)):.1f} " in onset.get("d", "")
    assert onset.get("d") != end.get("d")
    assert [one.text for one in elements(picture, "mark-word")] == ["1"]
    still = ChartAxis(STRETCH, AXIS.anchor_ns, AXIS.band, is_open=True)
    assert elements(bars_chart("t", "", slices([1.0]), (), still), "end") == []


def test_no_bar_is_said() -> None:
    zeros = slices([1.0, 1.0])
    picture = bars_chart("t", "", zeros, (Curve("refused", "bar-429", [0.0, 0.0]),), AXIS)
    assert "none in this time" in picture


@pytest.mark.parametrize("lasts_s", [0, 1, 9, 61, 600, 3600, 86_400, 604_800])
def test_the_axis_of_time_has_a_few_words_that_do_not_touch(lasts_s: int) -> None:
    axis = ChartAxis(Stretch(0, lasts_s * NS_PER_S), AXIS.anchor_ns)
    picture = curves_chart("t", "", slices([1.0]), (Curve("a", "p50", [1.0]),), axis)
    words = [one for one in elements(picture, "tick") if ":" in (one.text or "")]
    places = sorted(float(one.get("x", 0)) for one in words)
    assert len(words) <= 8
    assert all(after - before > 40 for before, after in pairwise(places))


def test_every_picture_of_a_run_lies_in_its_frame(facts: Facts) -> None:
    axis = ChartAxis(facts.stretch, facts.anchor_ns, (facts.since_ns, facts.end_ns))
    assert_within(states_chart("states", facts.routes, axis))
    for story in worst_probes(facts):
        assert_within(arrivals_chart("probe", story, story.lasted_s))


def test_every_state_has_a_look_and_what_hurts_is_high(facts: Facts) -> None:
    looks: dict[RouteState, str] = {state: look for look, all_ in _LOOKS.items() for state in all_}
    assert set(looks) == {*HURT_STATES, "ok"}
    axis = ChartAxis(facts.stretch, facts.anchor_ns)
    picture = states_chart("states", facts.routes[:1], axis)
    heights = {look: elements(picture, look)[0].get("height") for look in ("s-dead", "s-ok")}
    assert heights == {"s-dead": "12", "s-ok": "3"}
    assert "down" in [one.text for one in elements(picture, "in-band")]


@pytest.mark.parametrize("value", [1e-9, 0.003, 0.99, 1.0, 1.01, 9.9, 97.0, 12345.0])
def test_a_scale_ends_little_above_what_is_in_it(value: float) -> None:
    top = _nice_top(value)
    assert value <= top
    assert value < 1e-5 or top <= value * 1.4
    assert WIDTH == 400


def test_what_took_a_minute_does_not_press_the_usual_onto_the_axis() -> None:
    values = [0.3, 0.4, 60.0, 0.3]
    picture = curves_chart("t", "s", slices(values), (Curve("p50", "p50", values),), AXIS, goal=1.0)
    assert "s, log scale" in picture
    (line,) = elements(picture, "p50")
    heights = [float(place) for place in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", line.get("d", ""))]
    bottom = max(heights)
    assert bottom - min(heights) > 50
    (goal,) = elements(picture, "goal")
    assert min(heights) < float(goal.get("d", "").split()[1].split("H")[0]) < bottom
    assert "log scale" not in curves_chart(
        "t", "s", slices([0.3, 2.0]), (Curve("p50", "p50", [0.3, 2.0]),), AXIS
    )
