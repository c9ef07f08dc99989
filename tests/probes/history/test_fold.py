"""From events to slots: each thing once, in the slot of wall time in which it ended."""

from collections.abc import Iterable, Sequence

import pytest
from board_streams import route_info
from history_streams import NOON_S, Run, probed

from probes.events import Diagnosis, Event, Gap, RetryPlan
from probes.events.placing import at_place
from probes.history.fold import HistoryFold
from probes.history.packed import unpack
from probes.history.records import COUNTS, SLOT_S, RouteIdentity, SlotKey, SlotRow, Told

NOON = NOON_S // SLOT_S


def folded(events: Iterable[Event]) -> Told:
    fold = HistoryFold()
    for event in events:
        fold.fold(event)
    return fold.told()


def only(told: Told) -> SlotRow:
    (row,) = told.slots.values()
    return row


def counted(row: SlotRow) -> dict[str, int]:
    return {name: n for name, n in zip(COUNTS, row.counts, strict=True) if n}


def samples(row: SlotRow) -> tuple[int, ...]:
    return tuple(int(sum(one[1] for one in unpack(digest))) for digest in row.digests)


def test_a_probe_is_counted_with_its_tokens_its_cost_and_its_times() -> None:
    row = only(folded(probed([10]).events))
    assert counted(row) == {
        "probes": 1,
        "probes_ok": 1,
        "attempts": 1,
        "ok": 1,
        "input_tokens": 20,
        "input_counted": 1,
        "output_tokens": 11,
        "output_counted": 1,
        "cached_tokens": 5,
    }
    assert row.usd == 0.001
    ttft, e2e, per_token = (unpack(digest)[0][0] for digest in row.digests)
    assert (ttft, e2e, per_token) == pytest.approx((0.5, 1.0, 0.05), rel=1e-3)


def test_the_key_says_whose_it_is_and_when() -> None:
    run = Run(route_info("chat@eu", place="eu"), place="eu")
    run.probe(10, route="chat@eu")
    (key,) = folded(run.events).slots
    identity = RouteIdentity("chat", "http://localhost:1/v1", "m", "eu")
    assert key == SlotKey("life-1", identity, "64/256", NOON)
    assert identity.full_name == "chat@eu"


def test_failures_429s_and_retries_have_counts_of_their_own() -> None:
    run = Run()
    run.probe(1, outcome="throttled", retry=RetryPlan(reason="rate_limit", wait_s=1, number=1))
    run.probe(2, outcome="server_error", attempt=1)
    run.probe(3, outcome="cancelled")
    row = only(folded(run.events))
    assert counted(row) == {
        "probes": 2,
        "probes_cancelled": 1,
        "attempts": 3,
        "retries": 1,
        "throttled": 1,
        "server_error": 1,
        "cancelled": 1,
    }
    assert samples(row) == (0, 0, 0)


@pytest.mark.parametrize(("began_s", "place", "n"), [(3.5, "", 0), (3.5, "us", 1), (1.0, "", 1)])
def test_a_probe_in_whose_wait_the_engine_slept_is_counted_and_not_measured(
    began_s: float, place: str, n: int
) -> None:
    """None of its attempts is flagged: it slept between them."""
    run = Run(place="eu")
    gap = Gap(at_ns=run.at(began_s + 1), started_ns=run.at(began_s), place=place)
    run.events.append(gap)
    run.probe(6, route="chat", e2e_s=3.0)
    row = only(folded(run.events))
    assert counted(row)["probes_ok"] == 1
    assert samples(row)[:2] == (n, n)


def test_a_retry_counts_when_it_was_made_as_in_the_report_of_the_run() -> None:
    """One that is planned and never begins, since the run ends, was none."""
    run = Run()
    run.probe(1, outcome="throttled", retry=RetryPlan(reason="rate_limit", wait_s=1, number=1))
    assert "retries" not in counted(only(folded(run.events)))


def test_what_a_gap_has_spoilt_is_counted_and_not_measured() -> None:
    row = only(folded(probed([5], flagged="local_gap").events))
    assert counted(row)["probes_ok"] == 1
    assert samples(row) == (0, 0, 0)


def test_answers_that_come_whole_have_no_ttft() -> None:
    run = Run(route_info("chat", streamed=False))
    run.probe(5)
    assert samples(only(folded(run.events)))[:2] == (0, 1)


def test_slots_are_those_of_wall_time_by_the_last_tick() -> None:
    run = probed([1, SLOT_S - 1])
    run.probe(SLOT_S + 1)
    run.tick(SLOT_S + 2, ahead_s=SLOT_S)  # the clock was set
    run.probe(SLOT_S + 3)
    told = folded(run.events)
    assert [(key.slot - NOON, row.counts[0]) for key, row in told.slots.items()] == [
        *((0, 2), (1, 1), (2, 1)),
    ]


def test_cohorts_never_mix() -> None:
    run = probed([1])
    run.probe(2, cohort="128/256")
    assert sorted(key.cohort for key in folded(run.events).slots) == ["128/256", "64/256"]


def test_an_open_slot_is_given_whole_again_as_it_grows_and_only_then() -> None:
    fold, run = HistoryFold(), probed([1, 2])
    for event in run.events:
        fold.fold(event)
    assert only(fold.told()).counts[0] == 2
    assert fold.told() == Told({}, ())
    run = probed([3])
    for event in run.events[1:]:
        fold.fold(event)
    assert only(fold.told()).counts[0] == 3


def test_a_probe_that_ends_out_of_order_still_finds_its_slot() -> None:
    run = probed([1, SLOT_S + 1, SLOT_S - 1])
    assert [row.counts[0] for row in folded(run.events).slots.values()] == [2, 1]


def test_a_route_that_nobody_announced_is_left_out() -> None:
    run = probed([1])
    run.probe(2, route="other")
    assert [key.route.name for key in folded(run.events).slots] == ["chat"]


def test_parts_of_a_recording_repeat_their_hello_without_a_new_beginning() -> None:
    run = probed([1])
    again = [*run.events, run.events[0], *probed([2]).events[1:]]
    assert only(folded(again)).counts[0] == 2


def test_an_engine_that_is_started_anew_has_rows_of_its_own() -> None:
    first, second = probed([1]), Run(life="life-2")
    second.probe(2)
    told = folded([*first.events, *second.events])
    assert sorted((key.life, row.counts[0]) for key, row in told.slots.items()) == [
        *(("life-1", 1), ("life-2", 1)),
    ]


def test_what_an_older_version_wrote_has_a_life_by_its_hello() -> None:
    run = Run(life="")
    run.probe(1)
    (key,), (again,) = folded(run.events).slots, folded(run.events).slots
    assert key == again
    other = Run(life="", pid=7)
    other.probe(1)
    assert list(folded(other.events).slots) != [key]


def test_a_place_says_hello_for_its_own_routes_alone_and_its_stamps_are_unix_time() -> None:
    streams: list[Sequence[Event]] = []
    for place, life in (("eu", "a"), ("us", "b")):
        run = Run(route_info(f"chat@{place}", place=place), life=life)
        run.probe(5, route=f"chat@{place}")
        by_ns = run.events[0].wall_ns - run.events[0].at_ns  # type: ignore[union-attr]
        streams.append([at_place(event, place, by_ns) for event in run.events])
    mixed = [*streams[0][:1], *streams[1][:1], *streams[0][1:], *streams[1][1:]]
    told = folded(mixed)
    assert {(key.life, key.route.place, key.slot) for key in told.slots} == {
        *(("a", "eu", NOON), ("b", "us", NOON)),
    }


def test_what_is_of_a_life_that_is_not_known_is_kept_by_who_heard_it_begin() -> None:
    run = Run(route_info("chat@eu", place="eu"), place="eu", life="")
    run.probe(5, route="chat@eu")
    assert folded(run.events).slots == {}


def test_tokens_that_are_told_wrong_take_nothing_away() -> None:
    run = Run()
    run.probe(1, input_tokens=-7, output_tokens=1 << 60)
    row = counted(only(folded(run.events)))
    assert (row.get("input_tokens"), row["output_tokens"]) == (None, 1 << 40)


def test_an_incident_is_remembered_once_it_was_named_and_then_when_it_ended() -> None:
    run = Run()
    run.diagnosis(20, "perhaps", 10)
    assert folded(run.events).incidents == ()
    run.diagnosis(30, "named", 10, size=3.0, text="chat is slow")
    (named,) = folded(run.events).incidents
    assert (named.cause, named.names, named.scope) == ("provider_queueing", ("chat",), "")
    assert (named.since_s, named.ended_s, named.size) == (NOON_S + 10, None, 3.0)
    run.diagnosis(90, "cleared", 10)
    (ended,) = folded(run.events).incidents
    assert (ended.id, ended.ended_s, ended.until_s) == (named.id, NOON_S + 90, NOON_S + 90)


def test_an_incident_that_is_open_is_remembered_for_as_long_as_its_route_was_heard() -> None:
    run = Run(route_info("chat"), route_info("other"))
    run.diagnosis(30, "named", 10)
    fold = HistoryFold()
    for event in run.events:
        fold.fold(event)
    assert [one.until_s for one in fold.told().incidents] == [NOON_S + 30]
    assert fold.told().incidents == ()
    later = Run(route_info("chat"), route_info("other"))
    later.probe(200)
    later.probe(300, route="other")
    for event in later.events[1:]:
        fold.fold(event)
    (open_one,) = fold.told().incidents
    assert (open_one.until_s, open_one.ended_s) == (NOON_S + 200, None)


def test_what_was_open_when_another_engine_began_is_told_to_where_it_was_heard() -> None:
    run = Run()
    run.diagnosis(30, "named", 10)
    run.probe(200)
    run.events.append(Run(began_s=NOON_S + 900, life="life-2", boot_id="another").events[0])
    assert [one.until_s for one in folded(run.events).incidents] == [NOON_S + 200]


def test_what_is_wrong_can_be_asked_for_before_it_is_named_and_is_not_remembered_for_that() -> None:
    run = Run()
    fold = HistoryFold()
    run.diagnosis(20, "perhaps", 10)
    for event in run.events:
        fold.fold(event)
    word = run.events[-1]
    assert isinstance(word, Diagnosis)
    present = fold.incident_of(word)
    assert (present.cause, present.routes, present.since_s) == (
        *("provider_queueing", ("chat",), NOON_S + 10),
    )
    assert fold.told().incidents == ()


def test_where_it_was_seen_from_is_part_of_an_incident() -> None:
    routes = [route_info(f"chat@{place}", place=place) for place in ("eu", "us")]
    for hit, scope in ((("chat@eu",), "from eu"), (("chat@eu", "chat@us"), "from everywhere")):
        run = Run(*routes)
        run.diagnosis(30, "named", 10, routes=hit)
        (one,) = folded(run.events).incidents
        assert (one.names, one.scope, one.routes) == (("chat",), scope, hit)


def test_places_that_recover_one_by_one_do_not_make_it_the_last_ones_alone() -> None:
    both = ("chat@eu", "chat@us")
    run = Run(*(route_info(name, place=name[-2:]) for name in both))
    run.diagnosis(30, "named", 10, routes=both[:1], size=2.0)
    run.diagnosis(31, "named", 10, routes=both, size=3.0, text="from everywhere")
    run.diagnosis(80, "named", 25, routes=both[1:], size=1.1, text="from us")
    run.diagnosis(90, "cleared", 25, routes=both[1:])
    (one,) = folded(run.events).incidents
    assert (one.scope, one.routes, one.text) == ("from everywhere", both, "from everywhere")
    assert one.ended_s is not None
    assert (one.size, one.ended_s - one.since_s) == (3.0, 80)


def test_two_screens_of_one_stream_give_an_incident_one_id() -> None:
    run = Run()
    run.diagnosis(30, "named", 10)
    other = Run()
    other.diagnosis(30, "named", 10, id="7-3")
    assert folded(run.events).incidents[0].id == folded(other.events).incidents[0].id


def test_counts_that_no_server_means_stay_within_a_column() -> None:
    row = only(folded(probed([1], input_tokens=10**30).events))
    assert row.counts[COUNTS.index("input_tokens")] < 2**63
