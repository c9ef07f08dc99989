"""Events on their way out."""

from clocks import NS, ManualClock

from probes.answers.progress import Progress
from probes.engine.outbox import MAX_OPEN, MAX_PREVIEW, OpenStream, Outbox
from probes.engine.stamp_recorder import StampRecorder
from probes.events import Arrivals, Event, Health, Mark, Preview, Tick, decode_event


def taken(outbox: Outbox) -> list[Event]:
    return [decode_event(line) for line in outbox.batch().splitlines()]


def follow(outbox: Outbox, probe: str = "p") -> OpenStream:
    return outbox.follow("r", probe, 0, StampRecorder(NS))


def count_chunk(stream: OpenStream, characters: int, at_ns: int, tokens: int = 0) -> None:
    stream.recorder.output(Progress(characters=characters, tokens=tokens), at_ns)


def tick(at_ns: int) -> Tick:
    return Tick(at_ns=at_ns, wall_ns=0, health=Health(), routes=())


def test_durable_events_keep_their_order_and_come_once() -> None:
    outbox = Outbox(ManualClock())
    for number in range(3):
        outbox.emit(Mark(at_ns=number, text=""))
    assert [event.at_ns for event in taken(outbox)] == [0, 1, 2]
    assert taken(outbox) == []


def test_arrivals_of_one_attempt_merge_and_those_of_two_do_not() -> None:
    outbox = Outbox(ManualClock())
    one, two = follow(outbox, "p1"), follow(outbox, "p2")
    count_chunk(one, 4, 10)
    count_chunk(one, 3, 20)
    count_chunk(two, 1, 30)
    (event,) = taken(outbox)
    assert isinstance(event, Arrivals)
    assert [(a.probe, a.chunks, a.characters, a.last_ns) for a in event.arrivals] == [
        ("p1", 2, 7, 20),
        ("p2", 1, 1, 30),
    ]


def test_the_newest_count_of_the_server_goes_along_until_output_comes_without_one() -> None:
    outbox = Outbox(ManualClock())
    stream = follow(outbox)
    for tokens in (3, 7, 0):
        count_chunk(stream, 4, 10, tokens)
        (event,) = taken(outbox)
        assert [arrival.tokens for arrival in event.arrivals] == [tokens]


def test_a_slot_begins_where_the_one_before_ended() -> None:
    clock = ManualClock()
    outbox = Outbox(clock)
    began_ns = clock.now_ns
    clock.now_ns += NS // 10
    stream = follow(outbox)
    count_chunk(stream, 1, clock.now_ns)
    (first,) = taken(outbox)
    count_chunk(stream, 1, clock.now_ns)
    (second,) = taken(outbox)
    assert (first.at_ns, second.at_ns) == (began_ns, began_ns + NS // 10)


def test_the_last_chunks_of_a_closed_attempt_are_told_and_then_it_is_forgotten() -> None:
    outbox = Outbox(ManualClock())
    stream = follow(outbox)
    count_chunk(stream, 1, 10)
    stream.closed = True
    (event,) = taken(outbox)
    assert isinstance(event, Arrivals)
    count_chunk(stream, 1, 20)
    assert taken(outbox) == []


def test_output_of_more_streams_than_can_be_drawn_is_dropped_and_counted() -> None:
    outbox = Outbox(ManualClock())
    streams = [follow(outbox, f"p{number}") for number in range(MAX_OPEN + 2)]
    count_chunk(streams[-1], 1, 10)
    assert (taken(outbox), outbox.drops) == ([], 2)


def test_preview_text_is_bounded_and_what_is_dropped_is_counted() -> None:
    outbox = Outbox(ManualClock())
    outbox.preview("r", "p", 0, "a" * MAX_PREVIEW, False)
    outbox.preview("r", "p", 0, "b", False)
    (event,) = taken(outbox)
    assert isinstance(event, Preview)
    assert len(event.text) == MAX_PREVIEW
    assert event.text.endswith("ab")
    assert outbox.drops == 1


def test_a_reader_that_takes_nothing_for_a_minute_is_stalled_until_it_does() -> None:
    clock, told = ManualClock(), []
    outbox = Outbox(clock, told.append)
    outbox.emit(Mark(at_ns=0, text=""))
    outbox.batch()
    clock.now_ns += 60 * NS - 1
    outbox.emit(Mark(at_ns=1, text=""))
    assert not outbox.stalled
    clock.now_ns += 2
    outbox.emit(Mark(at_ns=1, text=""))
    assert outbox.stalled
    outbox.delivered()
    assert told == [True, False]


def test_too_many_waiting_events_are_a_stalled_reader() -> None:
    outbox = Outbox(ManualClock())
    for number in range(10_000):
        assert not outbox.stalled
        outbox.emit(Mark(at_ns=number, text=""))
    outbox.emit(Mark(at_ns=10_000, text=""))
    assert outbox.stalled


def test_while_stalled_ticks_do_not_pile_up() -> None:
    clock = ManualClock()
    outbox = Outbox(clock)
    outbox.emit(tick(0))
    clock.now_ns += 61 * NS
    for number in range(1, 100):
        outbox.emit(tick(number))
    assert outbox.waiting <= 3
    assert outbox.drops >= 97
