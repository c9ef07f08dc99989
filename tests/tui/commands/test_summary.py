"""What is printed after the screen is gone."""

import made
import pytest

from probes.board.views import EMPTY_SNAPSHOT
from tui.commands.summary import summary_text
from tui.draw.text import cells


def test_every_route_has_its_line() -> None:
    lines = summary_text(made.snapshot(window="run")).splitlines()
    assert lines[0] == "llmtop ran 12m41s · figures: run"
    assert len(lines) == 2 + len(made.routes())
    figures = "busy-llama 480 97.2 61.0 1.75 2.91 12.8 14 ×1.31 0.09 throttled"
    assert " ".join(lines[3].split()) == figures


def test_the_recording_is_named_last_where_there_is_one() -> None:
    assert summary_text(made.snapshot(), "/state/x.jsonl").endswith(
        "\nrecorded in /state/x.jsonl\n"
    )
    assert "recorded" not in summary_text(made.snapshot())


def test_columns_stand_under_their_heads() -> None:
    lines = summary_text(made.snapshot()).splitlines()
    assert lines[1].index("OK%") + 3 == lines[3].index("97.2") + 4


@pytest.mark.parametrize("width", [60, 80, 100, 120, 300])
def test_no_line_of_the_table_is_wider_than_the_terminal(width: int) -> None:
    rows = (
        *made.routes(),
        made.route("a-name-that-is-as-long-as-names-are@eu-west-1", "throttled"),
    )
    lines = summary_text(made.snapshot(routes=rows), width=width).splitlines()
    assert max(map(cells, lines)) <= width
    assert all(line.split()[-1] == row.state for line, row in zip(lines[2:], rows, strict=True))
    heads = lines[1].split()
    assert "GOOD%" in heads
    assert ("$/h" in heads) == (width >= 120)
    assert (heads[heads.index("p95") - 1] == "TTFT") == (width < 100)


def test_a_hostile_name_is_printed_harmlessly() -> None:
    text = summary_text(made.snapshot(routes=(made.route(made.HOSTILE),)))
    assert "\x1b" not in text


def test_nothing_measured_prints_nothing() -> None:
    assert summary_text(EMPTY_SNAPSHOT) == ""
