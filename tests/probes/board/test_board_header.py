"""What the header tells of the observer, from the engine's own health."""

from board_streams import ProbeScript, at, hello

from probes.board import Board
from probes.board.views import HeaderView
from probes.events import Batch, BudgetState, Health, Tick


def after(*readings: tuple[float, Health], tick_s: float | None = None) -> HeaderView:
    """Return the header after batches with these healths, and a tick with the last of them."""
    board = Board()
    board.fold(hello())
    for seq, (at_s, health) in enumerate(readings):
        board.fold(Batch(at_ns=at(at_s), seq=seq, health=health))
    if tick_s is not None:
        board.fold(Tick(at_ns=at(tick_s), wall_ns=0, health=readings[-1][1], routes=()))
    return board.snapshot().header


def test_the_observers_readings_are_the_newest() -> None:
    old = Health(clock="user", inexact_share=0.5, reads_per_s=9.0)
    new = Health(clock="kernel", inexact_share=0.35, reads_per_s=812.0)
    header = after((1.0, old), (1.1, new))
    assert (header.clock, header.inexact_share, header.reads_per_s) == ("kernel", 0.35, 812.0)


def test_drops_are_shown_for_as_long_as_a_lane_may_miss_them() -> None:
    drops = Health(drops=12)
    assert not after((1.0, Health())).drops_shown
    assert after((1.0, Health()), (2.0, drops)).drops_shown
    assert after((2.0, drops), tick_s=61.9).drops_shown
    assert not after((2.0, drops), tick_s=62.1).drops_shown
    assert after((2.0, drops), (60.0, Health(drops=13)), tick_s=100.0).drops_shown


def test_a_new_engine_counts_its_drops_from_zero() -> None:
    before, fresh, again = Health(drops=12), Health(), Health(drops=3)
    assert not after((1.0, before), (90.0, fresh)).drops_shown
    assert after((1.0, before), (90.0, again)).drops_shown


def test_the_tokens_of_answers_that_came_whole_are_in_the_live_rate() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=None, tokens=50, finished={"chunks": 0})
    board = Board()
    for event in (hello(), *probe.events(), Batch(at_ns=at(4.0), seq=1, health=Health())):
        board.fold(event)
    assert board.snapshot().header.tokens_per_s > 0


def test_why_only_the_emergency_part_may_be_spent_is_in_the_header_until_it_is_over() -> None:
    board = Board()
    for second, doubt in ((1.0, ""), (2.0, "locked"), (3.0, "")):
        budgets = (
            BudgetState(route="", used_tokens=1, limit_tokens=9, doubt=doubt),
            BudgetState(route="r", used_tokens=1, limit_tokens=9),
        )
        for event in (
            *((hello(),) if second == 1.0 else ()),
            Tick(at_ns=at(second), wall_ns=0, health=Health(), routes=(), budgets=budgets),
        ):
            board.fold(event)
        assert board.snapshot().header.budget_doubt == doubt


def test_a_shortage_is_shown_at_once_and_goes_with_the_engines_word() -> None:
    short = Health(short_of="descriptors")
    assert after((1.0, Health()), (2.0, short)).short_of == "descriptors"
    assert after((1.0, short), (2.0, Health())).short_of == ""
