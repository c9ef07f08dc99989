"""Streams of several engines as one."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from probes.events import Batch, Event, Fault, Health, Held, Hello, decode_event, encode_event
from probes.sources.time_merge import PATIENCE_NS, Heard, TimeMerge

MS = 1_000_000


def hello(at_ns: int) -> Hello:
    """Return an engine's first event."""
    return Hello(at_ns=at_ns, wall_ns=0, engine="1", version="0", routes=(), schema=1)


def batch(at_ns: int) -> Batch:
    """Return what ends all that an engine writes at once."""
    return Batch(at_ns=at_ns, seq=0, health=Health())


def event(at_ns: int, name: str = "x") -> Fault:
    """Return a durable event with a name."""
    return Fault(at_ns=at_ns, route=name, error="", traceback="", restart_in_s=0)


def add(merge: TimeMerge, source: int, events: list[Event]) -> None:
    """Hand events over with the lines of the durable ones."""
    lines = b"".join(encode_event(one) for one in events if not isinstance(one, Batch))
    merge.add(source, events, lines)


def names(items: list[Heard]) -> list[str]:
    """Return the names of the events among other things."""
    return [item.event.route for item in items if isinstance(item.event, Fault)]


def living(sources: int = 2) -> TimeMerge:
    """Return a merge whose engines have all said hello at 0."""
    merge = TimeMerge(sources)
    for source in range(sources):
        add(merge, source, [hello(0)])
    merge.take(0)
    return merge


def test_an_event_waits_until_the_other_engine_has_told_what_lies_before_it() -> None:
    merge = living()
    add(merge, 0, [event(30 * MS, "a"), batch(40 * MS)])
    assert not merge.is_complete(41 * MS)
    add(merge, 1, [event(20 * MS, "b"), batch(35 * MS)])
    assert merge.is_complete(42 * MS)
    assert names(merge.take(42 * MS)) == ["b", "a"]


def test_what_came_after_the_last_word_of_the_other_waits_on() -> None:
    merge = living()
    add(merge, 0, [event(30 * MS, "a"), batch(40 * MS)])
    add(merge, 1, [event(10 * MS, "b"), batch(20 * MS)])
    assert names(merge.take(42 * MS)) == ["b"]
    add(merge, 1, [batch(31 * MS)])
    assert names(merge.take(50 * MS)) == ["a"]


def test_an_engine_that_lags_holds_the_others_back_for_two_batches_only() -> None:
    merge = living()
    add(merge, 1, [batch(5 * MS)])
    add(merge, 0, [event(30 * MS, "a"), batch(40 * MS)])
    assert merge.patience_s(41 * MS) == 0.164
    assert names(merge.take(5 * MS + PATIENCE_NS - 1)) == []
    add(merge, 0, [batch(200 * MS)])
    assert names(merge.take(5 * MS + PATIENCE_NS)) == ["a"]
    add(merge, 1, [event(20 * MS, "b"), batch(25 * MS)])
    assert names(merge.take(240 * MS)) == ["b"]


def test_an_engine_that_has_ended_holds_nobody_back() -> None:
    merge = living()
    ended = Held(at_ns=6 * MS, reason="restarting")
    add(merge, 1, [event(6 * MS, "b"), ended])
    add(merge, 0, [event(30 * MS, "a"), batch(40 * MS)])
    assert merge.is_complete(41 * MS)
    assert names(merge.take(41 * MS)) == ["b", "a"]
    merge.end(0)
    add(merge, 0, [event(50 * MS, "c")])
    assert merge.patience_s(51 * MS) == 0.2
    assert names(merge.take(51 * MS)) == ["c"]


def test_events_of_one_engine_keep_their_order_whatever_their_stamps() -> None:
    merge = living(1)
    add(merge, 0, [event(9 * MS, "a"), event(7 * MS, "b"), batch(10 * MS)])
    items = merge.take(10 * MS)
    assert names(items) == ["a", "b"]
    assert [item.key_ns for item in items] == [9 * MS, 9 * MS, 10 * MS]


def test_lines_stay_with_their_events() -> None:
    merge = living(1)
    add(merge, 0, [event(1, "a"), batch(2), event(3, "b"), batch(4)])
    items = merge.take(5)
    assert [item.line and decode_event(item.line) for item in items] == [
        event(1, "a"),
        None,
        event(3, "b"),
        None,
    ]


@dataclass(frozen=True)
class Delivery:
    """What one engine wrote at once, and when it reached the host."""

    source: int
    events: list[Event]
    now_ns: int


@st.composite
def deliveries(draw: st.DrawFn, sources: int, prompt: bool) -> list[Delivery]:
    """Draw batches of several engines, each some time on its way, late or not."""
    made: list[Delivery] = []
    for source in range(sources):
        now_ns, number = 0, 0
        made.append(Delivery(source, [hello(0)], 0))
        for _ in range(draw(st.integers(0, 12))):
            ended_ns = now_ns + draw(st.integers(1, 60 if prompt else 400)) * MS
            stamps = sorted(draw(st.lists(st.integers(now_ns, ended_ns), max_size=4)))
            events: list[Event] = []
            for stamp in stamps:
                events.append(event(stamp, f"{source}-{number}"))
                number += 1
            delay_ns = draw(st.integers(0, 30)) * MS
            arrived_ns = max(ended_ns + delay_ns, made[-1].now_ns)
            made.append(Delivery(source, [*events, batch(ended_ns)], arrived_ns))
            now_ns = ended_ns
    return sorted(made, key=lambda one: one.now_ns)


def played(
    sources: int, plan: list[Delivery], seen: Callable[[int, list[Heard]], None]
) -> list[Heard]:
    """Play deliveries, and take whenever a round is complete or patience ends."""
    merge = TimeMerge(sources)
    taken: list[Heard] = []

    def take(now_ns: int) -> int:
        """Take, and return when to take again at the latest."""
        items = merge.take(now_ns)
        seen(now_ns, items)
        taken.extend(items)
        return now_ns + round(merge.patience_s(now_ns) * 1e9)

    due_ns = take(0)
    for delivery in plan:
        while due_ns < delivery.now_ns:
            due_ns = take(due_ns)
        add(merge, delivery.source, delivery.events)
        if merge.is_complete(delivery.now_ns):
            due_ns = take(delivery.now_ns)
    taken.extend(merge.take_all())
    return taken


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 4), st.booleans())
def test_nothing_is_lost_and_nothing_doubled(
    data: st.DataObject, sources: int, prompt: bool
) -> None:
    plan = data.draw(deliveries(sources, prompt))
    taken = played(sources, plan, lambda _now, _items: None)
    told = [one for delivery in plan for one in delivery.events if isinstance(one, Fault)]
    assert sorted(names(taken)) == sorted(one.route for one in told)
    for source in range(sources):
        own = [name for name in names(taken) if name.startswith(f"{source}-")]
        assert own == [f"{source}-{number}" for number in range(len(own))]


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_engines_that_are_heard_in_time_give_one_stream_in_order(
    data: st.DataObject, sources: int
) -> None:
    plan = data.draw(deliveries(sources, prompt=True))
    last_ns = [
        max(one.events[-1].at_ns for one in plan if one.source == source)
        for source in range(sources)
    ]
    lively_ns = min(last_ns) + PATIENCE_NS  # afterwards one of them says nothing any more
    taken: list[Heard] = []
    lively = [one for one in plan if one.now_ns < lively_ns]
    everything = played(sources, lively, lambda _now, items: taken.extend(items))
    stamps = [item.event.at_ns for item in taken]
    assert stamps == sorted(stamps)
    assert everything[: len(taken)] == taken


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(2, 4))
def test_no_event_is_held_for_longer_than_two_batches(data: st.DataObject, sources: int) -> None:
    plan = data.draw(deliveries(sources, prompt=False))
    arrived = {
        one.route: delivery.now_ns
        for delivery in plan
        for one in delivery.events
        if isinstance(one, Fault)
    }

    def seen(now_ns: int, items: list[Heard]) -> None:
        for name in names(items):
            assert now_ns - arrived[name] <= PATIENCE_NS
            taken.add(name)

    taken: set[str] = set()
    played(sources, plan, seen)
    until_ns = max(one.now_ns for one in plan)
    overdue = {name for name, at_ns in arrived.items() if until_ns - at_ns > PATIENCE_NS}
    assert overdue <= taken
