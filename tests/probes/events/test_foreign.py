"""Lines of other machines: what is an event, and what no number of it may be."""

from typing import Any

import board_streams as made
import msgspec
import pytest

from probes.events import AttemptFinished, Event, Notice, PriceInfo, decode_event, encode_event
from probes.events.foreign import decode_foreign

PROBE = made.ProbeScript("e1-1", 1.0, cost_usd=0.25)
EVENTS: list[Event] = [made.hello(), made.tick(1.0), *PROBE.events()]


def changed(**fields: Any) -> bytes:
    """Return the end of an attempt with some fields as somebody else wrote them."""
    told = msgspec.json.decode(encode_event(PROBE.attempt_finished()))
    return msgspec.json.encode(told | fields)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_we_write_is_read_as_it_is(event: Event) -> None:
    assert decode_foreign(encode_event(event)) == event


def test_what_servers_say_of_themselves_may_be_large() -> None:
    line = changed(server_timing={"created_ns": 1.8e18, "eval_duration": 5_000_000_000})
    assert isinstance(decode_foreign(line), AttemptFinished)


@pytest.mark.parametrize(
    "number",
    [b"1e308", b"-1e308", b"2305843009213693953", b"-2305843009213693953", b"1" + b"0" * 400],
)
@pytest.mark.parametrize("field", [b"at_ns", b"retry_after_s", b"of_the_future"])
def test_a_number_beyond_all_bounds_is_none(field: bytes, number: bytes) -> None:
    line = encode_event(PROBE.attempt_finished()).rstrip()[:-1] + b',"' + field + b'":' + number
    with pytest.raises(msgspec.DecodeError):
        decode_foreign(line + b"}")


def test_a_number_deep_inside_is_bounded_too() -> None:
    line = changed(limits=[{"kind": "requests", "reset_s": 1e300}])
    assert isinstance(decode_event(line), AttemptFinished)
    with pytest.raises(msgspec.DecodeError):
        decode_foreign(line)


@pytest.mark.parametrize(
    "used",
    [
        {"charged_tokens": -1},
        {"charged_usd": -0.01},
        {"reserved_tokens": -1},
        {"output_tokens": -5},
        {"input_tokens": 1 << 50},
        {"cost_usd": -1.0},
    ],
)
def test_nobody_has_used_less_than_nothing(used: dict[str, float]) -> None:
    with pytest.raises(msgspec.DecodeError, match="less than nothing"):
        decode_foreign(changed(**used))


def test_no_price_is_below_nothing() -> None:
    price = PriceInfo(input=-1.0, output=1.0)
    with pytest.raises(msgspec.DecodeError, match="less than nothing"):
        decode_foreign(encode_event(Notice(at_ns=1, route="chat", text="", price=price)))
