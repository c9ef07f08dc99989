"""Events moved to a line of time that several places share."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from probes.events import Event, Hello, Reference, SeenBefore, Tick
from probes.events.parts import Arrival, Health, Limit, StampLadder
from probes.events.placing import SHARED_CLOCK, at_place, offset_of

BY_NS = 1_000_000_000_000
DURATIONS = {
    "felt_ns",
    "longest_gap_ns",
    "retry_wait_ns",
    "rtt_ns",
    "rtt_min_ns",
    "chunk_offsets_ns",
    "oldest_open_ns",
    "loop_lag_p50_ns",
    "loop_lag_p99_ns",
    "loop_lag_max_ns",
}
"""Fields in ns that are no stamps of an engine's clock."""
OF_ANOTHER_RUN = {
    (Reference, "wall_ns"),
    (SeenBefore, "first_wall_ns"),
    (SeenBefore, "last_wall_ns"),
}
"""Unix time of what was before this run."""
KINDS = get_args(Event)
NEEDED: dict[str, Any] = {
    "int": 7,
    "str": "x",
    "float": 1.0,
}


def filled(kind: type[Any]) -> Any:
    """A record of which every field in ns has a value, however deep."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        name = field.name
        if name == "stamps_ns":
            values[name] = StampLadder(**dict.fromkeys(StampLadder.__struct_fields__, 7))
        elif name == "chunk_offsets_ns":
            values[name] = (1, 2)
        elif name.endswith("_ns"):
            values[name] = 7
        elif name == "limits":
            values[name] = (Limit(kind="requests", told_ns=7),)
        elif name == "arrivals":
            values[name] = (Arrival("p", 0, 1, 1, 7),)
        elif name == "health":
            values[name] = Health(loop_lag_max_ns=7)
        elif field.required:
            values[name] = sample(field.type)
    return kind(**values)


def sample(of: Any) -> Any:
    if of in (int, float, str, bool):
        return of()
    choices = get_args(of)
    if choices and isinstance(choices[0], str):
        return choices[0]
    if getattr(of, "__origin__", None) is tuple:
        return ()
    return msgspec.convert({}, of) if not issubclass(of, msgspec.Struct) else filled(of)


def stamps(record: Any, path: str = "") -> Iterator[tuple[str, int]]:
    """Every field in ns with its path."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, msgspec.Struct):
            ladder = name == "stamps_ns"
            for part in value.__struct_fields__ if ladder else ():
                yield f"{path}{name}.{part}", getattr(value, part)
            if not ladder:
                yield from stamps(value, f"{path}{name}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            yield from stamps(value[0], f"{path}{name}.")
        elif name.endswith("_ns") and isinstance(value, int):
            yield f"{path}{name}", value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_stamp_of_an_event_is_moved_and_no_duration_is(kind: type[Any]) -> None:
    before = filled(kind)
    after = at_place(before, "eu", BY_NS)
    moved = dict(stamps(after))
    for path, value in stamps(before):
        is_duration = path.rpartition(".")[2] in DURATIONS or (kind, path) in OF_ANOTHER_RUN
        assert moved[path] == (value if is_duration else value + BY_NS), path


def test_what_is_of_no_route_is_marked_with_the_place() -> None:
    marked = {kind.__name__ for kind in KINDS if "place" in kind.__struct_fields__}
    assert marked == {"Hello", "Held", "Gap", "Notice", "Tick", "Batch", "PlaceReport"}
    for kind in KINDS:
        if kind.__name__ in marked:
            assert at_place(filled(kind), "eu", BY_NS).place == "eu"  # type: ignore[union-attr]


def test_all_places_have_one_clock_in_their_hellos() -> None:
    moved = at_place(filled(Hello), "eu", BY_NS)
    assert isinstance(moved, Hello)
    assert (moved.clock_name, moved.boot_id) == (SHARED_CLOCK, "")


@pytest.mark.parametrize("kind", [Hello, Tick])
def test_wall_time_is_what_the_stamp_is_moved_to_whatever_the_place_takes_for_it(
    kind: type[Any],
) -> None:
    # One line of time has one wall clock: of two whose clocks differ each would turn it back.
    before = msgspec.structs.replace(filled(kind), wall_ns=123)
    after = at_place(before, "eu", BY_NS)
    assert isinstance(after, Hello | Tick)
    assert after.wall_ns == after.at_ns == before.at_ns + BY_NS


def test_an_absent_stamp_stays_absent() -> None:
    before = msgspec.structs.replace(
        filled(next(kind for kind in KINDS if kind.__name__ == "ProbeFinished")),
        first_token_ns=None,
    )
    assert at_place(before, "eu", BY_NS).first_token_ns is None  # type: ignore[union-attr]


def test_the_offset_takes_a_stamp_to_unix_time() -> None:
    tick = Tick(at_ns=5, wall_ns=1_005, health=Health(), routes=())
    assert at_place(tick, "eu", offset_of(tick)).at_ns == 1_005
