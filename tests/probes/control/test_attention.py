"""What is muted is told to nobody; what was told is told to its end, and nothing is told twice."""

import pytest
from board_streams import at
from changed import replace
from clocks import ManualClock
from hypothesis import given
from hypothesis import strategies as st

from probes.control.attention import CALMS_S, MUTED_S, AlertCalls, Attention
from probes.events import Alert, Harm
from probes.kit.clock import NS_PER_S

FIRES = Alert(
    at_ns=at(30),
    id="a1",
    state="firing",
    kind="incident",
    routes=("alpha",),
    since_ns=at(10),
    harm=Harm("nothing_answered", "alpha"),
)
OVER = replace(FIRES, at_ns=at(90), state="over")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def attention(clock: ManualClock) -> Attention:
    return Attention(clock)


def test_what_is_not_muted_is_told_at_once(attention: Attention) -> None:
    calls = AlertCalls(attention)
    assert calls.due([FIRES]) == [FIRES]
    assert calls.due([]) == []
    assert calls.due([OVER]) == [OVER]


def test_what_begins_and_ends_while_it_is_muted_is_told_to_nobody(attention: Attention) -> None:
    calls = AlertCalls(attention)
    attention.mute(["alpha"])
    assert calls.due([FIRES]) == []
    assert calls.due([OVER]) == []
    attention.unmute(["alpha"])
    assert calls.due([]) == []


def test_the_end_of_what_was_told_is_told_though_it_is_muted(attention: Attention) -> None:
    calls = AlertCalls(attention)
    assert calls.due([FIRES]) == [FIRES]
    attention.mute(["alpha"])
    assert calls.due([OVER]) == [OVER]


def test_what_still_fires_when_the_hour_is_over_is_told_then_and_once(
    attention: Attention, clock: ManualClock
) -> None:
    calls = AlertCalls(attention)
    attention.mute(["alpha"])
    assert calls.due([FIRES]) == []
    clock.now_ns += MUTED_S * NS_PER_S - 1
    assert calls.due([]) == []
    clock.now_ns += 1
    assert calls.due([]) == [FIRES]
    assert calls.due([]) == []
    assert calls.due([OVER]) == [OVER]


def test_what_was_acknowledged_while_it_was_muted_is_not_told_afterwards(
    attention: Attention,
) -> None:
    calls = AlertCalls(attention)
    attention.mute(["alpha"])
    assert calls.due([FIRES]) == []
    attention.acknowledge(FIRES)
    attention.unmute(["alpha"])
    assert calls.due([]) == []
    assert calls.due([OVER]) == []


def test_one_that_hits_a_route_that_is_not_muted_is_told(attention: Attention) -> None:
    attention.mute(["alpha"])
    wide = replace(FIRES, routes=("alpha", "bravo"))
    assert attention.muted_until_ns(wide) is None
    assert AlertCalls(attention).due([wide]) == [wide]
    of_none = replace(FIRES, routes=())
    assert AlertCalls(attention).due([of_none]) == [of_none]


def test_it_is_muted_until_the_first_of_its_routes_is_no_more(
    attention: Attention, clock: ManualClock
) -> None:
    attention.mute(["alpha"])
    first_ns = clock.wall_ns() + MUTED_S * NS_PER_S
    clock.now_ns += NS_PER_S
    attention.mute(["bravo"])
    assert attention.muted_until_ns(replace(FIRES, routes=("alpha", "bravo"))) == first_ns


def test_two_who_are_told_are_told_the_same(attention: Attention) -> None:
    bell, pager = AlertCalls(attention), AlertCalls(attention)
    attention.mute(["alpha"])
    assert bell.due([FIRES]) == pager.due([FIRES]) == []
    attention.unmute(["alpha"])
    assert bell.due([]) == pager.due([]) == [FIRES]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["mute", "unmute", "later"]),
            st.tuples(st.sampled_from("abc"), st.sampled_from(["fire", "over", "see"])),
        ),
        max_size=40,
    )
)
def test_whatever_is_pressed_each_is_told_at_most_once_and_its_end_after_it(
    steps: list[str | tuple[str, str]],
) -> None:
    clock = ManualClock()
    attention = Attention(clock)
    calls = AlertCalls(attention)
    begun, told = dict[str, str](), list[tuple[str, str]]()
    for step in steps:
        events = list[Alert]()
        if step == "mute":
            attention.mute(["alpha"])
        elif step == "unmute":
            attention.unmute(["alpha"])
        elif step == "later":
            clock.now_ns += MUTED_S * NS_PER_S // 2
        else:
            name, what = step
            alert = replace(FIRES, id=name)
            if what == "see":
                attention.acknowledge(alert)
            elif what == "fire" and name not in begun:
                begun[name] = "firing"
                events = [alert]
            elif what == "over" and begun.get(name) == "firing":
                begun[name] = "over"
                events = [replace(OVER, id=name)]
        told += [(one.id, one.state) for one in calls.due(events)]
    for name in begun:
        mine = [state for told_of, state in told if told_of == name]
        assert mine in ([], ["firing"], ["firing", "over"])
        assert (mine[-1:] == ["over"]) == (begun[name] == "over" and bool(mine))


def test_an_end_of_what_nobody_was_told_is_told_to_nobody(attention: Attention) -> None:
    assert AlertCalls(attention).due([OVER]) == []


def test_what_never_ends_is_not_kept_for_ever(attention: Attention) -> None:
    calls = AlertCalls(attention)
    attention.mute(["alpha"])
    for number in range(3_000):
        calls.due([replace(FIRES, id=f"{number}", routes=("alpha",) if number % 2 else ("b",))])
    assert len(calls._held) <= 1_000
    assert len(calls._told) <= 1_000
    assert [one.id for one in calls.due([replace(OVER, id="2998")])] == ["2998"]


def test_what_a_route_suffers_of_our_own_load_calls_nobody(attention: Attention) -> None:
    calls = AlertCalls(attention)
    attention.load("alpha", 60)
    assert calls.due([FIRES]) == []
    assert calls.due([OVER]) == []


def test_what_still_fires_well_after_our_load_is_told(
    attention: Attention, clock: ManualClock
) -> None:
    calls = AlertCalls(attention)
    attention.load("alpha", 600)
    assert calls.due([FIRES]) == []
    attention.load("alpha", 0)  # it has ended early
    clock.now_ns += (CALMS_S - 1) * NS_PER_S
    assert calls.due([]) == []
    clock.now_ns += 2 * NS_PER_S
    assert calls.due([]) == [FIRES]


def test_the_end_of_our_load_ends_no_mute(attention: Attention, clock: ManualClock) -> None:
    attention.mute(["alpha"])
    attention.load("alpha", 0)
    clock.now_ns += (MUTED_S - 1) * NS_PER_S
    assert attention.muted_until_ns(FIRES) is not None


def test_load_on_one_route_holds_back_no_alert_of_another(attention: Attention) -> None:
    attention.load("alpha", 60)
    assert AlertCalls(attention).due([replace(FIRES, routes=("alpha", "beta"))]) != []
