"""What probes took that began with few open beside them."""

from typing import Any

from board_streams import ProbeScript, diagnosis, hello, route_info
from test_page import folded, page_of

from probes.board.open_load import LEAST, load_at
from probes.board.views import ProbeView
from probes.events import Advice
from probes.kit.clock import NS_PER_S


def ran(begin_s: float, end_s: float, ttft_s: float | None = 0.5, **changes: Any) -> ProbeView:
    fields: dict[str, Any] = {
        "probe": f"1-{begin_s}",
        "started_ns": round(begin_s * NS_PER_S),
        "at_ns": round(end_s * NS_PER_S),
        "outcome": "ok",
        "ttft_s": ttft_s,
        "e2e_s": end_s - begin_s,
        "cohort": "64/256",
    }
    return ProbeView(**{**fields, **changes})


def crowd() -> list[ProbeView]:
    """Return 30 that began alone, then 30 pairs of which the second began beside the first."""
    alone = [ran(second, second + 0.9, 0.3) for second in range(30)]
    pairs = [
        ran(second + late, second + 0.9, 0.3 + late)
        for second in range(30, 60)
        for late in (0, 0.4)
    ]
    return sorted([*alone, *pairs], key=lambda one: -one.at_ns)


def test_those_count_that_found_no_more_open() -> None:
    load = load_at(1, crowd(), False, (), "64/256")
    assert load is not None
    assert (load.open, load.n, load.ttft_p50, load.throttled) == (1, 60, 0.3, 0)
    both = load_at(2, crowd(), False, (), "64/256")
    assert both is not None
    assert both.n == 90


def test_what_is_still_open_was_open_beside_those_that_began_after_it() -> None:
    load = load_at(1, crowd(), False, [round(29.5 * NS_PER_S)], "64/256")
    assert load is not None
    assert load.n == 30


def test_beside_whom_the_oldest_began_is_not_known_where_others_are_forgotten() -> None:
    kept = [one for one in crowd() if one.at_ns > 4 * NS_PER_S]
    whole, cut = (load_at(1, kept, forgotten, (), "64/256") for forgotten in (False, True))
    assert whole is not None
    assert cut is not None
    assert cut.n == whole.n - 1


def test_of_few_or_of_another_cohort_or_cancelled_nothing_is_said() -> None:
    few = [ran(second, second + 0.5) for second in range(LEAST - 1)]
    assert load_at(1, few, False, (), "64/256") is None
    enough = [ran(second, second + 0.5) for second in range(LEAST)]
    assert load_at(1, enough, False, (), "64/256") is not None
    assert load_at(1, enough, False, (), "128/256") is None
    cancelled = [ran(second, second + 0.5, outcome="cancelled") for second in range(LEAST)]
    assert load_at(1, cancelled, False, (), "64/256") is None
    assert load_at(1, [], False, (), "64/256") is None


def test_what_never_came_took_for_ever_and_429s_are_counted() -> None:
    probes = [
        ran(second, second + 0.5, None if second % 2 else 0.4, throttled=second % 2)
        for second in range(21)
    ]
    load = load_at(1, probes, False, (), "64/256")
    assert load is not None
    assert (load.ttft_p50, load.throttled) == (0.4, 10)
    worse = load_at(1, [*probes, ran(30, 31, None), ran(32, 33, None)], False, (), "64/256")
    assert worse is not None
    assert worse.ttft_p50 is None


def test_it_stands_on_the_page_while_fewer_at_once_are_advised() -> None:
    probes = [
        event
        for number in range(LEAST + 2)
        for event in ProbeScript(
            f"e1-{number}", start_s=1.0 + number, ttft_s=0.3, e2e_s=0.8
        ).events()
    ]
    board = folded([hello(route_info("alpha")), *probes])
    assert page_of(board).loads == ()
    advice = Advice(act="set_knob", knob="concurrency", value=1.0)
    board.fold(diagnosis(40.0, "own_load", 20.0, advice=advice))
    (load,) = page_of(board).loads
    assert (load.open, load.n) == (1, LEAST + 2)
