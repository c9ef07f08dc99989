"""The page of the transport says how many, how far apart and how often."""

from pages import Page, each_of, number

from probes.engine.health import BEAT_S
from probes.engine.outbox import BATCH_S
from probes.transport.dial import ATTEMPT_DELAY_S
from probes.transport.resolve import LOOKUPS_AT_ONCE

PAGE = Page("probes/transport/README.md")
TENS = {10: "ten", 40: "forty"}

NUMBERS = {
    "Connections": (
        f"at most {number(LOOKUPS_AT_ONCE)} a name",
        f"{ATTEMPT_DELAY_S:g} s apart",
    ),
    "How exact it is": (
        f"{TENS.get(round(1 / BATCH_S))} batches and {TENS.get(round(1 / BEAT_S))} beats a second",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, measured=("How exact it is",)) == []
