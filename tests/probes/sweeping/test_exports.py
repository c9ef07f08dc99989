"""A sweep as JSON, CSV and SVG, and a former one read again."""

import json
import xml.etree.ElementTree as ET
from math import inf

import msgspec
import pytest
from sweeping.swept import kept, missed, plan, point

from probes.sweeping.estimates import Estimate
from probes.sweeping.exports import NoSweepError, csv_rows, sweep_fields, sweep_of
from probes.sweeping.picture import picture_of
from probes.sweeping.svg import svg_of
from probes.sweeping.sweep import Sweep
from probes.sweeping.views import SweepCost, SweepView


def view(route: str = "alpha", **changes: object) -> SweepView:
    """A sweep of four points, the last of which never ends."""
    sweep = Sweep(plan(), SweepCost(16, 3_000, 200_000, None, 480.0))
    endless = Estimate(inf, inf, inf)
    for one in (
        kept(point(1.0)),
        kept(point(2.0, ttft=0.2)),
        missed(point(4.0, ttft=0.9)),
        missed(point(8.0, ok=50, throttled=50, ttft_p95=endless), inf),
    ):
        sweep.take(one)
    sweep.end("done")
    return msgspec.structs.replace(sweep.view(), route=route, **changes)


def read_again(shown: SweepView) -> SweepView:
    return sweep_of(msgspec.json.encode(sweep_fields(shown)))


def test_it_is_read_again_as_it_was() -> None:
    shown, again = view(), read_again(view())
    assert again.sentence == shown.sentence
    assert again.edges == shown.edges
    assert [one.ttft_p95 for one in again.points] == [one.ttft_p95 for one in shown.points]
    assert picture_of([again]) == picture_of([shown])


def test_json_has_null_where_there_is_no_number_and_no_samples() -> None:
    text = json.dumps(sweep_fields(view()), allow_nan=False)
    fields = json.loads(text)
    assert fields["schema"] == 1
    assert fields["points"][3]["ttft_p95"] == {"value": None, "low": None, "high": None}
    assert "samples" not in fields["points"][0]
    assert "doing" not in fields


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"schema": 2}',
        b'{"schema": 1}',
        b'{"schema": 1, "route": 7}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_sweep_is_refused(text: bytes) -> None:
    with pytest.raises(NoSweepError, match="it is no "):
        sweep_of(text)


def test_csv_has_a_row_for_each_point_and_blanks_where_there_is_no_number() -> None:
    head, *rows = csv_rows(view())
    assert len(rows) == 4
    assert {len(row) for row in rows} == {len(head)}
    last = dict(zip(head, rows[3], strict=True))
    assert (last["load"], last["n"], last["throttled"]) == ("8", "100", "50")
    assert (last["ttft_p95"], last["ttft_p95_high"]) == ("", "")
    assert last["goals"] == "ttft_p95:missed"


def test_the_picture_has_goal_knee_and_each_load() -> None:
    text = svg_of(view(knee=3.0))
    ET.fromstring(text)  # noqa: S314
    for words in ("goal 1.00 s", "knee at 3", ">1<", ">2<", ">4<", ">8 429<", "TTFT p95"):
        assert words in text


def test_a_former_one_is_drawn_beside_it() -> None:
    text = svg_of(view(), view("beta"))
    ET.fromstring(text)  # noqa: S314
    assert "grey: beta, swept before" in text
    assert text.count("<circle") == 2 * svg_of(view()).count("<circle")


def test_names_are_escaped_and_made_harmless() -> None:
    text = svg_of(view('<script>"&\x1b[31m'))
    ET.fromstring(text)  # noqa: S314
    assert "<script" not in text
    assert "\x1b" not in text


def test_a_sweep_without_a_point_is_a_picture_of_nothing() -> None:
    text = svg_of(view(points=()))
    ET.fromstring(text)  # noqa: S314
    assert "nothing was measured" in text


@pytest.mark.parametrize("ttft", [0.000_001, 0.003, 0.5, 7.0, 90_000.0])
def test_scales_hold_whatever_was_measured(ttft: float) -> None:
    shown = view(points=(point(1.0, ttft=ttft), point(900.0, ttft=ttft * 3)))
    picture = picture_of([shown])
    assert picture is not None
    axes = picture.axes
    assert axes.y_low <= ttft < axes.y_top
    assert axes.x_top >= 40 * 900
    assert 2 <= len(axes.x_ticks) <= 7


def test_what_answers_nothing_is_drawn_at_the_top() -> None:
    endless = Estimate(inf, inf, inf)
    shown = view(points=(point(1.0, ttft_p95=endless, ok=0, tokens_per_s=Estimate(0.0)),))
    picture = picture_of([shown])
    assert picture is not None
    assert picture.axes.y_share(inf) == 1.0
