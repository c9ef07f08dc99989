"""Several places, one case of each kind: the short form of `tests/bench/detector_places.py`."""

import pytest
from bench.incident_streams.places import CASES, events_of, judge_places

from probes.diagnosis import Diagnostician
from probes.events import Event, decode_event, encode_event
from probes.run.verdicts import Judge

SEED = 1
TRIED = (
    "way.loss",
    "way.silent",
    "network.dns",
    "everywhere.provider_x3",
    "everywhere.429",
    "only.key",
    "machine.late",
    "two.networks",
    "away.everywhere_x3",
    "away.over_by_then",
    "calm.away",
)
BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("name", TRIED)
def test_a_fault_is_one_incident_with_its_routes_and_said_from_where(name: str) -> None:
    assert judge_places(BY_NAME[name], SEED).faults == []


def test_a_recording_of_several_places_says_the_same_as_the_run() -> None:
    def told(events: list[Event]) -> list[bytes]:
        judge = Judge(Diagnostician())
        return [encode_event(one) for event in events for one in judge.fold(event)]

    events = list(events_of(BY_NAME["way.silent"], SEED))
    again = [decode_event(encode_event(event)) for event in events]
    assert told(again) == told(events) != []


def test_each_place_says_what_it_has_in_its_own_order() -> None:
    """Or the cases would try what no source gives."""
    for name in ("calm.late_batches", "away.over_by_then"):
        newest: dict[str, int] = {}
        backwards = 0
        last_ns = 0
        for event in events_of(BY_NAME[name], SEED):
            place = getattr(event, "place", "") or getattr(event, "route", "").rpartition("@")[2]
            if event.__class__.__name__ in ("PlaceReport", "ProbeFinished"):
                continue  # its stamp is that of an attempt that ended with it
            assert event.at_ns >= newest.get(place, 0) or place == ""
            newest[place] = event.at_ns
            backwards += event.at_ns < last_ns
            last_ns = event.at_ns
        assert backwards > 1_000
