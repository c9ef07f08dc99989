"""The last probes of a route as strips: their order, the cursor that stays, one scale of time."""

from datetime import UTC
from typing import Any

import made
import made_page
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import ProbeView, Snapshot
from tui.draw.text import line_text, line_width
from tui.panes.page.probes import (
    Probes,
    Scale,
    moved_probe,
    open_cells,
    probe_name,
    probes_cursor,
    probes_title,
    scale_for,
    selected_probe,
    strip_cells,
)
from tui.panes.view import PageView, ViewState

PROBES = Probes(UTC)
SCALE = Scale(40, 4.0)
"""A cell a tenth of a second."""


def told(
    shown: Snapshot | None = None,
    view: ViewState = made_page.VIEW,
    width: int = 100,
    height: int = 20,
) -> list[str]:
    lines = PROBES.lines(shown or made_page.snapshot(), view, width, height)
    return [line_text(line).rstrip() for line in lines]


def page(**fields: Any) -> ViewState:
    return replace(made_page.VIEW, page=PageView(**fields))


def strip(probe: ProbeView, scale: Scale = SCALE) -> str:
    return "".join(text for text, _ in strip_cells(probe, scale)).rstrip()


def names(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if "#" in line and "open" not in line]


def listed(number: int, newest: int = 300) -> tuple[ProbeView, ...]:
    return tuple(
        made_page.probe(newest - at, at, is_good=at % 3 > 0, lasted_s=1 + at % 5)
        for at in range(number)
    )


def frame(probes: tuple[ProbeView, ...]) -> Snapshot:
    shown = made_page.snapshot(probes=probes, ended=5_000)
    detail = replace(shown.details[made_page.NAME], lanes=())
    return replace(shown, details={made_page.NAME: detail})


def test_a_strip_waits_begins_writes_and_ends() -> None:
    probe = made_page.probe(ttft_s=1.0, lasted_s=1.6, cells=(*[0] * 10, 1, 8, 4, 0, 2))
    assert strip(probe) == "▕·········▶█▄·▂·┤"


def test_each_end_has_a_glyph_of_its_own() -> None:
    def ended(outcome: Any) -> str:
        return strip(made_page.failed(1, outcome, "x", None, 1.0, lasted_s=0.5))

    assert ended("throttled") == "▕····⊘"
    assert ended("server_error") == "▕····✕"
    assert ended("truncated") == "▕····╱"
    assert ended("timeout") == "▕····◷"
    assert ended("cancelled") == "▕····○"


def test_waits_between_attempts_are_seen_where_they_lie() -> None:
    probe = made_page.probe(ttft_s=2.0, lasted_s=2.2, cells=(), attempts=2, waits_s=((0.5, 1.45),))
    assert strip(probe) == "▕····↻↻↻↻↻↻↻↻↻↻·····▶·┤"


def test_stalls_are_the_longest_silences_of_the_answer() -> None:
    cells = (*[0] * 5, 2, 2, *[0] * 8, 2, 0, 0, 2)
    stalled = made_page.probe(ttft_s=0.5, lasted_s=2.0, cells=cells, stalls=1)
    assert strip(stalled) == "▕····▶▂⋯⋯⋯⋯⋯⋯⋯⋯▂··▂·┤"
    for_ever = made_page.failed(
        2, "timeout", "timeout.stall", 200, 1.0,
        ttft_s=0.5, lasted_s=3.0, cells=(*[0] * 5, 2, 2),
    )  # fmt: skip
    assert strip(for_ever) == "▕····▶▂" + "⋯" * 23 + "◷"


def test_what_lasts_far_longer_than_the_others_ends_in_a_mark() -> None:
    long = made_page.failed(1, "timeout", "timeout", None, 1.0, lasted_s=60.0)
    assert strip(long) == "▕" + "·" * 37 + "…◷"
    assert scale_for([2.0] * 20, [60.0], 40).top_s == 6.0
    assert scale_for([], [60.0] * 20, 40).top_s == 64.0
    assert scale_for([], [], 40).top_s == 1.0


def test_what_fails_at_once_does_not_make_the_scale() -> None:
    assert scale_for([0.9, 1.0, 1.1], [0.01] * 30, 40).top_s == 1.5
    assert scale_for([], [0.01] * 30, 40).top_s == 0.5


def test_chunks_are_as_high_on_any_scale() -> None:
    probe = made_page.probe(ttft_s=0.0, lasted_s=3.9, cells=(4,) * 39)
    for cells in (20, 40, 80, 160):
        drawn = set(strip(probe, Scale(cells, 4.0))[2:-3])
        assert drawn <= {"▄", "·", "▅", "▃", "▂"}, cells
        assert "▄" in drawn


def test_an_open_attempt_has_a_strip_that_goes_on() -> None:
    lane = made.lane("1-9", 3.0, first_token_ns=made.NOW_NS - 2 * 10**9, cells=())
    drawn = "".join(text for text, _ in open_cells(lane, made.NOW_NS, SCALE)).rstrip()
    assert drawn == "▕·········▶····················"
    hangs = made.lane("1-9", 41.0, first_token_ns=None, cells=())
    drawn = "".join(text for text, _ in open_cells(hangs, made.NOW_NS, SCALE)).rstrip()
    assert drawn == "▕" + "·" * 38 + "…"


def test_probes_are_listed_newest_first_with_their_figures() -> None:
    lines = told(frame(made_page.probes()), width=120)
    assert lines[0].split()[:7] == ["TIME", "PROBE", "ENDED", "TTFT", "E2E", "TOK", "tok/s"]
    assert names(lines)[:3] == ["#1690", "#1689", "#1688"]
    assert lines[1].split()[:7] == ["22:26:00", "#1690", "△", "ok", "2.61", "3.92", "40"]
    assert lines[2].split()[2:4] == ["⊘", "429"]
    assert "3 +2.1s" in lines[2]
    assert lines[4].split()[2:4] == ["✕", "503"]


def test_the_slowest_come_first_where_that_is_asked_for() -> None:
    lines = told(frame(listed(9)), page(slowest=True))
    assert names(lines)[:2] == ["#296", "#297"]  # 5 s and 4 s
    assert probes_title(made_page.snapshot(), page(slowest=True)).endswith("slowest first")


def test_only_those_that_were_not_good() -> None:
    lines = told(frame(listed(9)), page(only_failed=True))
    assert names(lines) == ["#300", "#297", "#294"]
    good = tuple(one for one in listed(9) if one.is_good)
    assert "all of the last probes were good" in " ".join(told(frame(good), page(only_failed=True)))


def test_how_many_are_hidden_is_told() -> None:
    assert told(frame(listed(100)), height=12)[-1].startswith("1–10 of 100 (5,000 ended)")
    assert told(frame(listed(4)), height=12)[-1].startswith("1–4 of 4 (5,000 ended)")
    crowd = tuple(made.lane(f"1-{at}", at) for at in range(2, 22))
    shown = frame(listed(100))
    detail = replace(shown.details[made_page.NAME], lanes=crowd)
    lines = told(replace(shown, details={made_page.NAME: detail}), height=14)
    assert sum("open" in line for line in lines[:-1]) == 4
    assert "+16 open" in lines[-1]


def test_the_cursor_stays_on_its_probe_while_new_ones_come() -> None:
    view = moved_probe(frame(listed(50)), made_page.VIEW, 3)
    assert view.page.probe == "1-297"
    later = frame(listed(50, newest=310))
    probe = selected_probe(later, view)
    assert probe is not None
    assert probe.probe == "1-297"
    row = probes_cursor(later, view, 30)
    assert row is not None
    assert "#297" in told(later, view, height=30)[row]


def test_the_cursor_goes_with_the_newest_until_it_is_moved_and_again_at_the_top() -> None:
    newest = selected_probe(frame(listed(50, newest=310)), made_page.VIEW)
    assert newest is not None
    assert newest.probe == "1-310"
    view = moved_probe(frame(listed(50)), made_page.VIEW, 1)
    assert moved_probe(frame(listed(50)), view, -1).page.probe == ""


def test_a_cursor_whose_probe_has_left_the_list_is_on_its_last_row() -> None:
    probe = selected_probe(frame(listed(50, newest=900)), page(probe="1-297"))
    assert probe is not None
    assert probe.probe == "1-851"


def test_without_a_probe_there_is_no_cursor() -> None:
    shown = made_page.calm()
    assert selected_probe(shown, made_page.VIEW) is None
    assert probes_cursor(shown, made_page.VIEW, 20) is None
    assert moved_probe(shown, made_page.VIEW, 5) == made_page.VIEW
    assert "no probe has ended yet" in " ".join(told(shown))


@pytest.mark.parametrize("down", [0, 1, 9, 10, 11, 60, 199])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 6, 20, 45])
def test_the_row_of_the_cursor_is_in_sight_wherever_it_is(down: int, height: int) -> None:
    shown = made_page.snapshot()
    view = moved_probe(shown, made_page.VIEW, down)
    probe, row = selected_probe(shown, view), probes_cursor(shown, view, height)
    assert probe is not None
    assert row is not None
    assert probe_name(probe.probe) in told(shown, view, 160, height)[row]


def test_where_another_model_answers_it_is_told_of_each() -> None:
    changed = replace(
        made.incidents()[2],
        diagnosis=made.diagnosis("model_changed", routes=(made_page.NAME,)),
    )
    probes = (made_page.probe(9, served_by="qwen3-8b fp_1"), *made_page.probes()[:20])
    lines = told(replace(frame(probes), incidents=(changed,)), width=100)
    assert "ANSWERED BY" in lines[0]
    assert "qwen3-8b fp_1" in lines[1]
    assert "qwen3-235b fp_7a" in lines[2]
    assert "ANSWERED BY" not in told(frame(probes), width=200)[0]


def test_a_wrong_answer_is_called_one() -> None:
    wrong = made_page.failed(1, "content_error", "wrong_answer", 200, 1.0, ttft_s=0.4)
    other = made_page.failed(2, "content_error", "refusal", 200, 2.0, ttft_s=0.4)
    lines = told(frame((wrong, other)), width=100)
    assert "✕ wrong" in lines[1]
    assert "✕ content" in lines[2]


def test_a_servers_words_are_harmless() -> None:
    bad = made_page.failed(1, "server_error", made.HOSTILE, None, 1.0, probe=made.HOSTILE)
    text = "".join(told(frame((bad,)), width=200))
    assert not {"\x1b", "\u202e", "\u200b"} & set(text)


@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 220), st.sampled_from(range(4)))
def test_nothing_is_wider_or_more_than_there_is_room(
    width: int, height: int, down: int, which: int
) -> None:
    shown = made_page.calm() if which == 3 else made_page.snapshot()
    view = page(slowest=which == 1, only_failed=which == 2)
    view = moved_probe(shown, view, down)
    lines = PROBES.lines(shown, view, width, height)
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


@given(
    st.floats(0, 100),
    st.lists(st.integers(0, 9), max_size=200),
    st.integers(1, 120),
    st.floats(0.1, 64),
    st.integers(0, 5),
)
def test_a_strip_has_as_many_cells_as_its_scale(
    lasted_s: float, cells: list[int], width: int, top_s: float, stalls: int
) -> None:
    probe = made_page.probe(lasted_s=lasted_s, cells=tuple(cells), stalls=stalls, ttft_s=0.3)
    drawn = strip_cells(probe, Scale(width, top_s))
    assert len(drawn) == width
    assert all(line_width((cell,)) == 1 for cell in drawn)


def test_the_legend_explains_what_is_in_sight() -> None:
    calm = told(frame(tuple(made_page.probe(at) for at in range(9, 0, -1))), width=100)
    assert calm[-1].endswith("▶ first token  ▁█ chunks  ┤ end")
    failed = made_page.failed(10, "timeout", "timeout", None, 1.0, lasted_s=60.0)
    rare = told(frame((failed, *(made_page.probe(at) for at in range(9, 0, -1)))), width=100)
    assert "◷ timeout" in rare[-1]
    assert "… goes on" in rare[-1]


def test_where_the_legend_has_no_room_the_least_needed_goes_first() -> None:
    narrow = told(frame(made_page.probes()), width=70)[-1]
    assert "▶ first token" in narrow
    assert "chunks" not in narrow


def test_a_name_of_another_engine_is_whole() -> None:
    lines = told(frame((made_page.probe(9, probe="2-12345"),)), width=120)
    assert "#2-12345 " in lines[1]
