"""An alert calls once; who has seen it is called no more, and a muted route calls nobody."""

import pytest
from board_streams import at
from changed import replace
from clocks import ManualClock

from probes.board.views import AlertView
from probes.control.attention import MUTED_S
from probes.events import Alert, Harm
from tui.screens.alert_desk import AlertDesk
from tui.terminal.notifications import BELL

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


class Written:
    """A terminal that keeps what it is given."""

    busy = gone = False

    def __init__(self) -> None:
        self.text = ""

    def write(self, data: str) -> None:
        self.text += data

    def slowest_s(self) -> float:
        return 0.0

    def title(self, text: str) -> None:
        raise AssertionError(text)

    def taken(self) -> str:
        text, self.text = self.text, ""
        return text


@pytest.fixture
def terminal() -> Written:
    return Written()


def desk(terminal: Written | None, clock: ManualClock | None = None, **how: object) -> AlertDesk:
    made = AlertDesk(clock or ManualClock(), **({"notifies_by": "osc9"} | how))  # type: ignore[arg-type]
    made.attach(terminal, str)
    return made


def test_it_calls_when_it_fires_and_tells_when_it_is_over(terminal: Written) -> None:
    it = desk(terminal)
    it.receive([BURN], b"")
    assert terminal.taken() == f"\x1b]9;llmtop: {BURN.text}\x1b\\{BELL}"
    it.receive([OVER], b"")
    assert terminal.taken() == f"\x1b]9;llmtop: {OVER.text}\x1b\\"


def test_each_way_can_be_turned_off(terminal: Written) -> None:
    desk(terminal, bell=False, notifies_by="").receive([BURN], b"")
    assert terminal.taken() == ""
    desk(terminal, notifies_by="").receive([BURN, OVER], b"")
    assert terminal.taken() == BELL
    desk(None).receive([BURN], b"")  # there is no terminal: nobody to call


def test_many_at_once_are_one_call(terminal: Written) -> None:
    it = desk(terminal)
    it.receive([replace(BURN, id=f"a{n}") for n in range(50)], b"")
    told = terminal.taken()
    assert told == f"\x1b]9;llmtop: 50 alerts: {BURN.text}\x1b\\{BELL}"


def test_what_is_masked_on_the_screen_is_masked_there(terminal: Written) -> None:
    it = desk(terminal)
    it.attach(terminal, lambda text: text.replace("alpha", "route 1"))
    it.receive([BURN], b"")
    assert "alpha" not in terminal.taken()


def test_the_newest_that_nobody_has_seen_is_acknowledged_first() -> None:
    it = desk(None)
    newer = replace(BURN, id="e1-a2")
    views = (AlertView(newer), AlertView(BURN))
    assert it.newest(views) == newer
    it.take(newer)
    assert it.newest(views) == BURN
    assert it.newest((AlertView(BURN, OVER),)) is None
    assert it.acknowledged == {"e1-a2"}


def test_a_muted_route_calls_nobody_for_an_hour(terminal: Written) -> None:
    clock = ManualClock()
    it = desk(terminal, clock)
    assert it.mute_last() is None
    it.take(BURN)
    assert it.mute_last() == BURN
    assert it.mute_last() is None
    until_ns = it.muted_until_ns(BURN)
    assert until_ns == clock.wall_ns() + MUTED_S * 10**9
    it.receive([replace(BURN, id="e1-a2", at_ns=at(90)), OVER], b"")
    assert terminal.taken() == ""
    # One that hits another route, too, calls.
    it.receive([replace(BURN, id="e1-a3", routes=("alpha", "bravo"))], b"")
    assert terminal.taken() != ""
    clock.now_ns += MUTED_S * 10**9
    assert it.muted_until_ns(BURN) is None
    it.receive([], b"")
    assert BELL in terminal.taken(), "what began meanwhile fires yet"
    it.receive([replace(BURN, id="e1-a4")], b"")
    assert terminal.taken() != ""
    it.mute(BURN)
    it.unmute(BURN)
    assert it.muted_until_ns(BURN) is None
