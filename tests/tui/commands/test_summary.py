"""What is printed after the screen is gone."""

import made

from probes.board.views import EMPTY_SNAPSHOT
from tui.commands.summary import summary_text


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


def test_a_hostile_name_is_printed_harmlessly() -> None:
    text = summary_text(made.snapshot(routes=(made.route(made.HOSTILE),)))
    assert "\x1b" not in text


def test_nothing_measured_prints_nothing() -> None:
    assert summary_text(EMPTY_SNAPSHOT) == ""
