"""The board has the alerts of a run as they were told, and a copy of it has them too."""

from board_streams import at, hello, tick
from changed import replace

from probes.board import Board
from probes.board.alert_log import _KEPT, AlertLog
from probes.board.checkpoint import Checkpoint
from probes.events import Alert, Harm

BURN = Alert(
    at_ns=at(30),
    id="e1-a1",
    state="firing",
    kind="burn",
    routes=("alpha",),
    since_ns=at(10),
    harm=Harm("burns", "alpha", "success", 0.99, 5, 20),
    text="alpha: misses its success goal",
)
OVER = replace(BURN, at_ns=at(60), state="over", text="alpha: misses its success goal no more")


def test_the_newest_is_first_and_an_end_belongs_to_its_beginning() -> None:
    log = AlertLog()
    other = replace(BURN, id="e1-a2", at_ns=at(40))
    assert [log.alerted(one) for one in (BURN, other, OVER)] == [True, True, True]
    assert [(one.alert.id, one.over) for one in log.view()] == [("e1-a2", None), ("e1-a1", OVER)]
    assert log.view() is log.view()


def test_what_is_told_twice_or_never_began_is_no_news() -> None:
    log = AlertLog()
    assert not log.alerted(OVER)
    log.alerted(BURN)
    log.alerted(OVER)
    assert not log.alerted(BURN)
    assert not log.alerted(replace(OVER, at_ns=at(70)))
    assert log.view()[0].over == OVER


def test_so_many_are_kept() -> None:
    log = AlertLog()
    for number in range(_KEPT + 5):
        log.alerted(replace(BURN, id=f"a{number}"))
    assert [one.alert.id for one in log.view()][:: _KEPT - 1] == [f"a{_KEPT + 4}", "a5"]


def test_a_frame_has_them_and_the_log_the_goals_that_no_incident_explains() -> None:
    board = Board()
    incident = replace(BURN, id="e1-a2", kind="incident", incident="e1-1")
    for event in (hello(), BURN, incident, OVER, tick(61.0)):
        board.fold(event)
    frame = board.snapshot(window="5m")
    assert [one.alert.id for one in frame.alerts] == ["e1-a2", "e1-a1"]
    assert [
        (one.kind, one.text, one.routes) for one in frame.happenings if one.kind == "notice"
    ] == [
        ("notice", "misses its success goal no more", ("alpha",)),
        ("notice", "misses its success goal", ("alpha",)),
    ]
    assert Checkpoint(board).board().snapshot(window="5m").alerts == frame.alerts
