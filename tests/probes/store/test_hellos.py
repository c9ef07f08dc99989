"""The `hello` lines without which nothing can be read."""

from probes.events import Event, Hello, Mark, encode_event
from probes.store.hellos import hellos_after, hellos_before


def hello(engine: str, place: str = "") -> Hello:
    return Hello(at_ns=1, wall_ns=1, engine=engine, version="0", routes=(), schema=1, place=place)


def lines(*events: Event) -> bytes:
    return b"".join(map(encode_event, events))


NOTE = Mark(at_ns=2, text="note")
EU, EU_AGAIN, US = hello("eu1", "eu"), hello("eu2", "eu"), hello("us1", "us")
ALONE, ALONE_AGAIN = hello("1"), hello("2")


def test_without_places_the_last_is_enough() -> None:
    assert hellos_after(lines(ALONE), lines(NOTE)) == lines(ALONE)
    assert hellos_after(lines(ALONE), lines(NOTE, ALONE_AGAIN)) == lines(ALONE_AGAIN)


def test_of_several_places_the_last_of_each_is_needed() -> None:
    assert hellos_after(b"", lines(EU, NOTE, US)) == lines(EU, US)
    assert hellos_after(lines(EU, US), lines(NOTE, EU_AGAIN)) == lines(EU_AGAIN, US)


def test_one_that_speaks_of_all_takes_the_place_of_all() -> None:
    assert hellos_after(lines(EU, US), lines(ALONE)) == lines(ALONE)
    assert hellos_after(lines(ALONE), lines(EU)) == lines(EU)


def test_before_lines_that_begin_with_a_hello_stands_what_that_does_not_say() -> None:
    assert hellos_before(lines(ALONE), lines(NOTE, ALONE_AGAIN)) == lines(ALONE)
    assert hellos_before(lines(ALONE), lines(ALONE_AGAIN)) == b""
    assert hellos_before(lines(EU, US), lines(EU_AGAIN)) == lines(US)


def test_a_hello_that_cannot_be_read_is_one_without_a_place() -> None:
    torn = b'{"type":"hello","place":\n'
    assert hellos_after(b"", torn) == torn
    assert hellos_after(lines(EU), torn) == torn
