"""The observer's badge: calm readings are dim, what is wrong is red and says what it does."""

import made
import pytest
from fakes import FakeStatus
from hypothesis import given
from hypothesis import strategies as st

from tui.draw.text import Line, line_text, line_width
from tui.panes.header import Strips
from tui.panes.observer import CALM, Cockpit, observer_remarks
from tui.panes.view import ViewState

WRONG = {"loop_lag_p99_s": 0.048, "clock": "user"}


def strip(width: int = 200, cockpit: Cockpit = CALM, **changes: object) -> Line:
    snapshot = made.snapshot(header=made.header(**changes))
    strips = Strips(FakeStatus(), cockpit)  # type: ignore[arg-type]
    return strips.header(snapshot, ViewState(), width, 1)[0]


def told(cockpit: Cockpit = CALM, **changes: object) -> dict[str, str]:
    """Return what the badge says, by its text, with its role."""
    remarks = observer_remarks(made.header(**changes), cockpit)
    return {line_text(remark.line).strip(): remark.line[-1][1] for remark in remarks}


def test_a_well_observer_is_dim() -> None:
    calm = told(Cockpit(cpu_share=0.09))
    assert list(calm) == ["◉ exact", "lag 0.3ms", "cpu 7/9%", "drops 0"]
    assert set(calm.values()) == {"dim"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (WRONG, "✖ lag 48 ms: TTFT reads up to 48 ms high"),
        ({"engine_cpu": 0.98, "clock": "user"}, "✖ engine CPU 98 %: readings late"),
        ({"engine_cpu": 0.98}, "✖ engine CPU 98 %: probes leave late, token gaps blurred"),
        ({"drops": 12, "drops_shown": True}, "✖ drops 12: token arrival incomplete"),
        ({"short_of": "descriptors"}, "✖ no descriptors left: probes not sent"),
        ({"short_of": "ports"}, "✖ no ports left: probes not sent"),
    ],
)
def test_what_cannot_be_trusted_is_red_with_its_reason(
    changes: dict[str, object], words: str
) -> None:
    assert told(**changes)[words] == "missed"
    assert words in line_text(strip(**changes))


@pytest.mark.parametrize(
    ("changes", "cockpit", "words"),
    [
        ({"loop_lag_p99_s": 0.048}, CALM, "lag 48 ms: probes leave late"),
        ({"inexact_share": 0.35}, CALM, "inexact 35 %: token gaps blurred"),
        ({}, Cockpit(cpu_share=0.97), "screen CPU 97 %: figures shown late"),
        ({}, Cockpit(slowed_hz=2.5), "2.5 Hz: slow terminal"),
        ({}, Cockpit(slowed_hz=1.0), "1 Hz: slow terminal"),
    ],
)
def test_what_is_less_than_it_could_be_is_marked_but_not_red(
    changes: dict[str, object], cockpit: Cockpit, words: str
) -> None:
    assert told(cockpit, **changes)[words] == "slow"


def test_with_the_kernels_stamps_lag_does_not_make_figures_wrong() -> None:
    assert not any(role == "missed" for role in told(loop_lag_p99_s=0.5).values())


def test_drops_that_no_lane_can_show_any_more_are_calm() -> None:
    assert told(drops=12)["drops 12"] == "dim"


def test_few_inexact_stamps_are_not_worth_a_word() -> None:
    assert not any("inexact" in text for text in told(inexact_share=0.04))
    assert told(inexact_share=0.06)["inexact 6 %"] == "dim"


@pytest.mark.parametrize(
    ("changes", "cockpit", "words", "role"),
    [
        ({"loop_lag_p99_s": 0.020, "clock": "user"}, CALM, "lag 20.0ms", "dim"),
        ({"loop_lag_p99_s": 0.021, "clock": "user"}, CALM, "✖ lag 21 ms", "missed"),
        ({"loop_lag_p99_s": 0.020}, CALM, "lag 20.0ms", "dim"),
        ({"loop_lag_p99_s": 0.021}, CALM, "lag 21 ms", "slow"),
        ({"engine_cpu": 0.89}, CALM, "cpu 89/0%", "dim"),
        ({"engine_cpu": 0.90}, CALM, "✖ engine CPU 90 %", "missed"),
        ({}, Cockpit(cpu_share=0.89), "cpu 7/89%", "dim"),
        ({}, Cockpit(cpu_share=0.90), "screen CPU 90 %", "slow"),
        ({"inexact_share": 0.05}, CALM, "inexact 5 %", "dim"),
        ({"inexact_share": 0.249}, CALM, "inexact 25 %", "dim"),
        ({"inexact_share": 0.25}, CALM, "inexact 25 %", "slow"),
    ],
)
def test_a_reading_says_more_from_its_threshold_on_and_not_before(
    changes: dict[str, object], cockpit: Cockpit, words: str, role: str
) -> None:
    badge = told(cockpit, **changes)
    (found,) = (text for text in badge if text.partition(":")[0] == words)
    assert badge[found] == role
    alarmed = {role for text, role in badge.items() if text != found}
    assert alarmed <= {"dim", "good"}


def test_below_a_twentieth_nothing_is_said_of_inexact_stamps() -> None:
    assert not any("inexact" in text for text in told(inexact_share=0.0499))


def test_stamps_are_called_exact_only_where_all_that_is_shown_of_them_is() -> None:
    assert "◉ exact" in told()
    assert "◉ kernel" in told(inexact_share=0.06)
    assert "◉ kernel" in told(drops=3, drops_shown=True)
    assert "○ user" in told(clock="user")


def test_without_the_kernels_stamps_nothing_is_called_inexact() -> None:
    assert not any("inexact" in text for text in told(inexact_share=0.5, clock="user"))


@given(st.integers(min_value=14, max_value=320))
def test_red_stays_at_any_width_that_holds_it(width: int) -> None:
    line = strip(width, Cockpit(0.97, 2.5), inexact_share=0.35, **WRONG)
    assert line_width(line) <= width
    assert "✖ lag 48 ms" in line_text(line)


def test_words_go_before_figures_that_hurt_and_marks_lose_theirs_first() -> None:
    everything = {"engine_cpu": 0.98, "drops": 3, "drops_shown": True, "loop_lag_p99_s": 0.05}
    wide, middle, narrow = (line_text(strip(width, **everything)) for width in (215, 185, 100))
    assert "token arrival incomplete" in wide
    assert "lag 50 ms: probes leave late" in wide
    assert "token arrival incomplete" in middle
    assert "lag 50 ms" in middle
    assert "probes leave late  " not in middle
    assert "✖ engine CPU 98 %  ✖ drops 3" in narrow
    assert "14 429s" in narrow


def test_calm_readings_make_room_for_figures_that_hurt() -> None:
    text = line_text(strip(80))
    assert "38 failed" in text
    assert "cpu" not in text
