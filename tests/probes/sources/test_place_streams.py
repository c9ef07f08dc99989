"""Messages of several places become one stream: each event once, on one line of time."""

from typing import Any

import board_streams as made
import msgspec
import published
import pytest
from published import OFFSET_NS, hello, shared, tick

from probes.events import (
    Diagnosis,
    Event,
    Hello,
    Knob,
    Mark,
    Notice,
    PlaceReport,
    Preview,
    SeenBefore,
    Tick,
    decode_event,
)
from probes.kit.clock import NS_PER_S
from probes.sources.place_streams import (
    MOST_ROUTES,
    SILENT_AFTER_NS,
    PlaceMessage,
    PlaceStreams,
)


def message(
    *events: Event,
    place: str = "eu",
    first: int = 1,
    run: str = "1",
    offset_ns: int = OFFSET_NS,
    taken_s: float | None = None,
    lines: bytes | None = None,
) -> PlaceMessage:
    newest_ns = max((event.at_ns for event in events), default=made.START_NS)
    taken_ns = newest_ns + OFFSET_NS if taken_s is None else shared(taken_s)
    told = published.lines(events) if lines is None else lines
    return PlaceMessage(place, run, first, offset_ns, told, taken_ns)


def taken(streams: PlaceStreams, *messages: PlaceMessage, kept: Hello | None = None) -> list[Event]:
    """Return what a stream gives of messages, each event with its line."""
    for one in messages:
        streams.take(one, kept)
    events, lines = streams.drain()
    assert [decode_event(line) for line in lines.splitlines()] == events
    return events


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def there(_place: str) -> bool:
    return True


def away(_place: str) -> bool:
    return False


def test_stamps_are_moved_by_the_messages_own_offset() -> None:
    events = taken(PlaceStreams(), message(hello("eu"), tick("eu", 1.0)))
    assert [type(event) for event in events] == [Hello, Tick, PlaceReport]
    assert [event.at_ns for event in events] == [shared(0.0), shared(1.0), shared(1.0)]
    assert of(events, Tick)[0].place == "eu"


def test_a_place_that_floods_is_left_out_from_there_on_and_is_told_so() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 0.0)), message(hello("us"), place="us"))
    flood = (b"x" * 1_000 + b"\n") * 200
    number, events = 3, list[Event]()
    for _ in range(6_000):  # 1.2 GB within a second: a day of a busy place
        events += taken(streams, message(first=number, lines=flood, taken_s=1.0))
        number += 200
    notices = [event.text for event in of(events, Notice)]
    assert "left out: no event of this place" in notices[0]
    events = taken(streams, message(tick("eu", 12.0), first=number))
    # Some are read again as soon as there is room: 8 MB a second.
    (told,) = [event.text for event in of(events, Notice)]
    assert "events left out: it says more than 8 MB a second" in told
    assert "lost" not in told
    assert of(events, Tick)
    # Others are not touched by it.
    assert of(taken(streams, message(tick("us", 12.0), first=2, place="us")), Tick)


def test_what_was_said_in_an_earlier_life_is_not_heard_again() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0), run="2"))
    again = message(hello("eu"), tick("eu", 0.5), run="1", taken_s=2.0)
    (notice,) = taken(streams, again)
    assert isinstance(notice, Notice)
    assert notice.text == "2 lines left out: no event of this place"
    assert of(taken(streams, message(tick("eu", 3.0), run="2", first=3)), Tick)
    assert of(taken(streams, message(hello("eu"), tick("eu", 4.0), run="3")), Tick)


def test_what_was_seen_before_is_of_the_places_own_routes() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")))
    seen = SeenBefore(
        at_ns=made.at(1),
        cause="outage",
        routes=("chat@us",),
        times=3,
        first_wall_ns=1,
        last_wall_ns=2,
    )
    (notice,) = taken(streams, message(seen, first=2))
    assert isinstance(notice, Notice)
    own = msgspec.structs.replace(seen, routes=("chat@eu",))
    assert of(taken(streams, message(own, first=3)), SeenBefore)


def test_a_backlog_of_hours_is_no_flood() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 0.0)))
    number = 3
    lines = published.lines([tick("eu", 1.0)] * 100)
    for _ in range(40_000_000 // (len(lines) + 51_200)):
        events = taken(streams, message(first=number, lines=lines, taken_s=3600.0))
        assert len(of(events, Tick)) == 100
        assert not of(events, Notice)
        number += 100


def test_what_is_known_by_its_number_is_dropped() -> None:
    streams = PlaceStreams()
    first = message(hello("eu"), tick("eu", 1.0))
    taken(streams, first)
    assert taken(streams, first) == []
    overlapping = message(tick("eu", 1.0), tick("eu", 2.0), first=2)
    (event,) = taken(streams, overlapping)
    assert event.at_ns == shared(2.0)


def test_what_is_missing_is_told_once_with_its_number() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")))
    events = taken(streams, message(tick("eu", 3.0), first=8), message(tick("eu", 4.0), first=9))
    (notice,) = of(events, Notice)
    assert (notice.place, notice.text) == ("eu", "6 events lost on the way here")
    assert len(of(events, Tick)) == 2


def test_of_many_holes_there_is_a_notice_each_ten_seconds_with_their_sum() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")))
    holes = [message(tick("eu", float(at_s)), first=2 + 2 * at_s) for at_s in range(1, 22)]
    told = [notice.text for notice in of(taken(streams, *holes), Notice)]
    assert told == [
        "2 events lost on the way here",
        "10 events lost on the way here",
        "10 events lost on the way here",
    ]


def test_no_place_has_more_routes_than_can_be_shown() -> None:
    streams = PlaceStreams()
    names = [f"r{number}" for number in range(MOST_ROUTES + 5)]
    events = taken(streams, message(hello("eu", *names)), message(hello("us"), place="us"))
    assert [len(event.routes) for event in of(events, Hello)] == [MOST_ROUTES, 0]
    assert [notice.text.split(":")[0] for notice in of(events, Notice)] == [
        "5 routes left out",
        "1 route left out",
    ]


@pytest.mark.parametrize("name", ["", "\x1b[2Jchat", "chat\n"])
def test_a_route_with_no_name_of_ours_is_not_greeted(name: str) -> None:
    events = taken(PlaceStreams(), message(hello("eu", name)), message(hello("us"), place="us"))
    assert [event.place for event in of(events, Hello)] == ["us"]


def test_a_kept_greeting_of_another_places_routes_is_none() -> None:
    foreign = hello("us")
    assert taken(PlaceStreams(), message(tick("eu", 90.0), first=500), kept=foreign) == []


def test_a_message_of_very_many_lines_costs_no_more_than_a_batch() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")))
    events = taken(streams, message(lines=b"\n" * 50_000, first=2, taken_s=20.0))
    assert "50,000 lines left out" in of(events, Notice)[0].text


def test_who_comes_late_has_missed_nothing_of_the_life_that_goes_on() -> None:
    streams = PlaceStreams()
    events = taken(streams, message(tick("eu", 90.0), first=500), kept=hello("eu"))
    assert of(events, Notice) == []


def test_a_new_life_of_an_agent_is_counted_from_its_first_event() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0)))
    again = message(hello("eu", at_s=5.0, engine="eu2"), run="2", first=1)
    later = message(tick("eu", 9.0), run="3", first=4)
    events = taken(streams, again, later, kept=hello("eu"))
    assert [notice.text for notice in of(events, Notice)] == ["3 events lost on the way here"]


def test_what_an_earlier_life_kept_is_still_known_by_its_number() -> None:
    streams = PlaceStreams()
    early = message(hello("eu"), tick("eu", 1.0))
    taken(streams, early, message(hello("eu", at_s=5.0), run="2"))
    assert taken(streams, early) == []


def test_in_the_middle_of_a_life_its_kept_greeting_comes_first() -> None:
    streams = PlaceStreams()
    late = message(tick("eu", 90.0), tick("eu", 91.0), first=500)
    assert streams.needs_hello(late)
    events = taken(streams, late, kept=hello("eu", at_s=-4000.0))
    assert [type(event) for event in events] == [Hello, Tick, Tick, PlaceReport]
    assert events[0].at_ns == events[1].at_ns == shared(90.0)
    assert not streams.needs_hello(late)


def test_without_any_greeting_nothing_is_given_until_there_is_one() -> None:
    streams = PlaceStreams()
    assert taken(streams, message(tick("eu", 90.0), first=500)) == []
    events = taken(streams, message(tick("eu", 91.0), first=501), kept=hello("eu"))
    assert [type(event) for event in events] == [Hello, Tick, PlaceReport]


def test_a_message_that_greets_needs_no_other() -> None:
    assert not PlaceStreams().needs_hello(message(hello("eu")))


def test_verdicts_of_a_place_are_left_out_and_count_in_its_numbers() -> None:
    streams = PlaceStreams()
    verdict = made.diagnosis(1.0, routes=("chat@eu",))
    events = taken(streams, message(hello("eu"), verdict, tick("eu", 1.0)))
    events += taken(streams, message(tick("eu", 2.0), first=4))
    assert of(events, Diagnosis) == of(events, Notice) == []
    assert len(of(events, Tick)) == 2


@pytest.mark.parametrize(
    "odd",
    [
        b"no event\n",
        b'{"type":"tick"}\n',
        b'{"type":"of another version","at_ns":1}\n',
        b"[" * 100_000 + b"\n",
        b'{"type":"mark","at_ns":1,"text":"' + b"x" * (1 << 20) + b'"}\n',
        published.lines([Preview(at_ns=1, route="chat@eu", probe="p", attempt=0, text="t")]),
        published.lines([PlaceReport(at_ns=1, place="us", state="gone", since_ns=1)]),
        published.lines([Knob(at_ns=1, route="chat@us", knob="interval", before=5.0, after=2.0)]),
        published.lines([tick("us", 1.0)]),
        published.lines([hello("us")]),
        published.lines([made.hello(made.route_info("chat@eu"))]),
    ],
    ids=lambda odd: odd[:40],
)
def test_a_line_that_is_no_event_of_the_place_costs_itself_alone(odd: bytes) -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")))
    lines = odd + published.lines([tick("eu", 1.0)])
    events = taken(streams, message(first=2, lines=lines, taken_s=1.0))
    assert len(of(events, Tick)) == 1
    (notice,) = of(events, Notice)
    assert notice.text == "1 line left out: no event of this place"


def test_a_schema_of_the_future_is_refused_by_name_until_another_engine_speaks() -> None:
    streams = PlaceStreams()
    future = msgspec.structs.replace(hello("eu"), schema=9)
    events = taken(streams, message(future, tick("eu", 1.0)))
    assert of(events, Tick) == of(events, Hello) == []
    assert "schema 9" in of(events, Notice)[0].text
    events = taken(streams, message(hello("eu", at_s=2.0), tick("eu", 2.0), run="2"))
    assert [type(event) for event in events] == [Hello, Tick]


def test_stamps_beyond_the_present_are_moved_back_by_one_constant_and_that_is_told() -> None:
    streams = PlaceStreams()
    ahead_ns = 60 * NS_PER_S
    first = message(hello("eu"), tick("eu", 1.0), offset_ns=OFFSET_NS + ahead_ns)
    second = message(tick("eu", 1.5), first=3, offset_ns=OFFSET_NS + ahead_ns, taken_s=2.0)
    events = taken(streams, first, second)
    assert [event.at_ns for event in of(events, Tick)] == [shared(1.0), shared(1.5)]
    assert [notice.text for notice in of(events, Notice)] == [
        "its clock is 60.0 s ahead of the bus's: its stamps are moved back"
    ]


def test_a_little_ahead_is_the_drift_of_a_clock() -> None:
    moved_ns = OFFSET_NS + NS_PER_S // 2
    events = taken(PlaceStreams(), message(hello("eu"), tick("eu", 1.0), offset_ns=moved_ns))
    assert of(events, Tick)[0].at_ns == shared(1.5)


def test_a_backlog_keeps_its_own_stamps_whatever_others_have_told_meanwhile() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")), message(hello("us"), place="us"))
    taken(streams, message(tick("us", 60.0), place="us", first=2))
    backlog = message(tick("eu", 1.0), tick("eu", 2.0), first=2, taken_s=60.0)
    events = taken(streams, backlog)
    assert [event.at_ns for event in of(events, Tick)] == [shared(1.0), shared(2.0)]
    assert streams.newest_ns == shared(60.0)


def test_silence_of_the_past_is_known_by_when_the_bus_took_what() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0)), message(hello("us"), place="us"))
    events = taken(streams, message(tick("us", 9.0), place="us", first=2))
    reports = of(events, PlaceReport)
    assert [(one.place, one.state, one.since_ns) for one in reports] == [
        ("eu", "silent", shared(1.0)),
        ("us", "silent", shared(0.0)),
        ("us", "heard", shared(9.0)),
    ]
    events = taken(streams, message(tick("eu", 10.0), first=3))
    assert [(one.place, one.state) for one in of(events, PlaceReport)] == [("eu", "heard")]


def test_what_was_silent_at_the_end_of_the_past_is_told_at_once() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0)))
    taken(streams, message(hello("us", at_s=6.0), place="us"))
    streams.caught_up(shared(7.0))
    streams.look(shared(7.0), away)
    reports = of(taken(streams), PlaceReport)
    assert [(one.place, one.state) for one in reports] == [("eu", "gone")]


def test_a_place_that_says_nothing_is_told_to_be_silent_since_its_last_event() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0)))
    streams.listened(SILENT_AFTER_NS - 1)
    streams.look(shared(6.0), there)
    assert taken(streams) == []
    streams.listened(1)
    streams.look(shared(7.0), there)
    streams.look(shared(8.0), there)
    (report,) = taken(streams)
    assert report == PlaceReport(
        at_ns=shared(7.0), place="eu", state="silent", since_ns=shared(1.0)
    )


def test_a_silent_place_that_no_longer_says_that_it_probes_is_gone() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0)))
    streams.listened(SILENT_AFTER_NS)
    streams.look(shared(7.0), there)
    streams.look(shared(9.0), away)
    assert [report.state for report in of(taken(streams), PlaceReport)] == ["silent", "gone"]
    assert [report.state for report in streams.reports] == ["gone"]


def test_it_is_heard_again_at_the_present_of_the_bus_however_old_what_it_says_is() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 1.0)))
    streams.listened(SILENT_AFTER_NS)
    streams.look(shared(7.0), there)
    taken(streams)
    events = taken(streams, message(tick("eu", 2.0), first=3, taken_s=60.0))
    assert [type(event) for event in events] == [Tick, PlaceReport]
    report = events[1]
    assert isinstance(report, PlaceReport)
    assert (report.state, report.at_ns, report.since_ns) == ("heard", shared(60.0), shared(2.0))


def test_what_is_read_twice_is_no_sign_of_life() -> None:
    streams = PlaceStreams()
    told = message(hello("eu"), tick("eu", 1.0))
    taken(streams, told)
    streams.lost(shared(3.0), shared(2.0), "why")
    streams.heard_again()
    events = taken(streams, told)
    assert [report.state for report in of(events, PlaceReport)] == ["unknown"]


def test_of_a_lost_way_every_place_is_unknown_since_then_and_that_is_told_once() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")), message(hello("us"), place="us"))
    streams.lost(shared(9.0), shared(7.0), "refused")
    streams.lost(shared(10.0), shared(7.0), "refused")
    reports = of(taken(streams), PlaceReport)
    assert [(one.place, one.state, one.since_ns, one.detail) for one in reports] == [
        ("eu", "unknown", shared(7.0), "refused"),
        ("us", "unknown", shared(7.0), "refused"),
    ]
    streams.heard_again()
    streams.look(shared(11.0), there)
    assert taken(streams) == []  # it has had no time to be heard
    streams.listened(SILENT_AFTER_NS)
    streams.look(shared(17.0), there)
    assert [one.state for one in of(taken(streams), PlaceReport)] == ["silent", "silent"]


def test_a_report_never_stands_before_what_was_given() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu"), tick("eu", 9.0)))
    streams.lost(shared(3.0), shared(2.0), "why")
    (report,) = taken(streams)
    assert report.at_ns == shared(9.0)


def test_a_place_that_was_never_heard_is_told_with_the_routes_it_is_known_to_have() -> None:
    streams = PlaceStreams()
    streams.expect("eu", shared(10.0), hello("eu"))
    streams.look(shared(10.0), away)
    events = taken(streams)
    assert [type(event) for event in events] == [Hello, PlaceReport]
    assert events[0].at_ns == shared(10.0)
    assert isinstance(events[1], PlaceReport)
    assert (events[1].state, events[1].detail != "") == ("gone", True)
    events = taken(streams, message(hello("eu", at_s=20.0), tick("eu", 20.0)))
    assert [type(event) for event in events] == [Hello, Tick, PlaceReport]


def test_a_place_that_is_heard_is_not_expected_anew() -> None:
    streams = PlaceStreams()
    taken(streams, message(hello("eu")))
    streams.expect("eu", shared(10.0), hello("eu"))
    streams.look(shared(10.0), away)
    assert taken(streams) == []


def test_events_of_our_own_stand_in_their_order() -> None:
    streams = PlaceStreams()
    streams.take(message(hello("eu")))
    streams.tell(Mark(at_ns=shared(1.0), text="here"))
    assert isinstance(taken(streams)[-1], Mark)
