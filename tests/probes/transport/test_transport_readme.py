"""The page of the transport says how many, how far apart and how often."""

from dataclasses import fields

from pages import Page, each_of, first_cells, number

from probes.engine.health import BEAT_S
from probes.engine.outbox import BATCH_S
from probes.transport import PathReading
from probes.transport.dial import ATTEMPT_DELAY_S
from probes.transport.path import HELD_BACK_US, LINUX_HOLDS_US, NEAR_SHARE, NEAR_US
from probes.transport.resolve import LOOKUPS_AT_ONCE

PAGE = Page("probes/transport/README.md")
SHARES = {4: "quarter"}
TENS = {10: "ten", 40: "forty"}

NUMBERS = {
    "Connections": (
        f"at most {number(LOOKUPS_AT_ONCE)} a name",
        f"{ATTEMPT_DELAY_S:g} s apart",
    ),
    "The path": (
        f"Linux for up to {LINUX_HOLDS_US / 1000:g} ms",
        f"up to {NEAR_US / 1000:g} ms (or a {SHARES[NEAR_SHARE]}) above the shortest round trip,"
        f" and from {HELD_BACK_US / 1000:g} ms above it on",
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


def test_every_figure_of_the_path_is_told() -> None:
    assert first_cells(PAGE.rows("The path")) == [field.name for field in fields(PathReading)]
