"""What the user turned, told once for all engines."""

from probes.config import Route
from probes.control.commands import Burst, EndCoolDown, MarkTime, Pause, SetKnob
from probes.events import Event, Held, Knob
from probes.kit.clock import NS_PER_S
from probes.run.several.wishes import Wishes

ROUTES = (
    Route(name="a", base_url="http://x", model="m", concurrency=4),
    Route(name="b", base_url="http://x", model="m", paused=True),
)
S = NS_PER_S


def told(events: list[Event]) -> list[tuple[str, str, float, float]]:
    """Return route, knob, before and after of each change."""
    return [(one.route, one.knob, one.before, one.after) for one in events if isinstance(one, Knob)]


def cooling(until_ns: int, at_ns: int = 0, asked_s: float | None = 1.0) -> Held:
    """Return an engine's word that route a cools down."""
    return Held(at_ns=at_ns, reason="cool_down", route="a", until_ns=until_ns, asked_s=asked_s)


def test_a_turned_knob_is_told_with_its_totals() -> None:
    wishes = Wishes(ROUTES)
    turned = wishes.turn(SetKnob(route="a", knob="concurrency", value=6), 9)
    assert turned == [Knob(at_ns=9, route="a", knob="concurrency", before=4, after=6)]
    assert wishes.concurrency("a") == 6
    assert wishes.turn(SetKnob(route="a", knob="concurrency", value=6), 9) == []


def test_knobs_are_kept_within_their_range() -> None:
    wishes = Wishes(ROUTES)
    assert told(wishes.turn(SetKnob(route="a", knob="interval", value=-1), 0)) == [
        ("a", "interval", 5, 0)
    ]
    assert told(wishes.turn(SetKnob(route="a", knob="concurrency", value=5_000), 0)) == [
        ("a", "concurrency", 4, 1_000)
    ]
    assert told(wishes.turn(SetKnob(route="a", knob="max_tokens", value=0), 0)) == [
        ("a", "max_tokens", 64, 1)
    ]
    assert wishes.max_tokens("a") == 1


def test_a_pause_of_all_is_told_of_those_that_were_not_paused() -> None:
    wishes = Wishes(ROUTES)
    assert told(wishes.turn(Pause(paused=True), 0)) == [("a", "paused", 0, 1)]
    assert told(wishes.turn(Pause(route="b", paused=False), 0)) == [("b", "paused", 1, 0)]


def test_a_burst_is_told_whole_and_bounded() -> None:
    wishes = Wishes(ROUTES)
    assert told(wishes.turn(Burst(route="a", count=7), 0)) == [("a", "burst", 0, 7)]
    assert told(wishes.turn(Burst(route="a", count=7_000), 0)) == [("a", "burst", 0, 1_000)]


def test_what_is_no_change_of_a_known_route_is_not_told() -> None:
    wishes = Wishes(ROUTES)
    for command in (
        SetKnob(route="gone", knob="concurrency", value=2),
        SetKnob(route="a", knob="no such knob", value=2),
        Pause(route="gone", paused=True),
        Burst(route="gone", count=2),
        EndCoolDown(route="a"),
        MarkTime(text="x"),
    ):
        assert wishes.turn(command, 0) == []


def test_a_cool_down_is_news_to_the_others_once_and_when_it_grows() -> None:
    wishes = Wishes(ROUTES)
    assert wishes.cooled(cooling(10 * S))
    assert not wishes.cooled(cooling(10 * S))
    assert not wishes.cooled(cooling(11 * S, asked_s=None))  # the host itself had said so
    assert wishes.cooled(cooling(12 * S))


def test_a_cool_down_that_the_user_ends_is_told_once_with_what_was_left() -> None:
    wishes = Wishes(ROUTES)
    wishes.cooled(cooling(10 * S))
    released, knob = wishes.turn(EndCoolDown(route="a"), 4 * S)
    assert isinstance(released, Held)
    assert (released.released, released.detail) == (True, "ended by user")
    assert told([knob]) == [("a", "cool_down", 6, 0)]


def test_a_cool_down_of_before_its_end_is_no_news_any_more() -> None:
    wishes = Wishes(ROUTES)
    wishes.turn(EndCoolDown(route="a"), 4 * S)
    assert not wishes.cooled(cooling(10 * S, at_ns=3 * S))
    assert wishes.cooled(cooling(10 * S, at_ns=5 * S))
