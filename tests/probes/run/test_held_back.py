"""What holds a route back that is asked on purpose."""

from probes.events import Held
from probes.kit.clock import NS_PER_S
from probes.run.held_back import HeldBack


def test_what_is_left_of_a_cool_down_is_reckoned_on_our_clock() -> None:
    held = HeldBack()
    assert held.asked_s(5) <= 0
    told = Held(at_ns=700, reason="cool_down", route="r", until_ns=700 + 9 * NS_PER_S)
    held.hear(told, 100 * NS_PER_S)
    assert held.asked_s(103 * NS_PER_S) == 6.0
    held.hear(Held(at_ns=701, reason="cool_down", route="r", released=True), 104 * NS_PER_S)
    assert held.asked_s(104 * NS_PER_S) <= 0


def test_a_budget_is_dry_from_when_it_was_told_first_until_it_lets_go() -> None:
    held = HeldBack()
    for at_s, words in ((10, "route"), (12, "\x1b[31mall of them")):
        held.hear(Held(at_ns=1, reason="budget", route="r", detail=words), at_s * NS_PER_S)
    assert held.dry_s(17 * NS_PER_S) == 7.0
    assert held.dry_words.endswith("all of them")
    assert "\x1b" not in held.dry_words
    held.hear(Held(at_ns=2, reason="budget", route="r", released=True), 18 * NS_PER_S)
    assert held.dry_s(30 * NS_PER_S) == 0.0


def test_a_pause_holds_nobody_who_asks_on_purpose() -> None:
    held = HeldBack()
    held.hear(Held(at_ns=1, reason="paused", route="r"), NS_PER_S)
    assert (held.asked_s(NS_PER_S) <= 0, held.dry_s(9 * NS_PER_S)) == (True, 0.0)
