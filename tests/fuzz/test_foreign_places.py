"""A little of the fuzzing of places in every run of the tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import foreign_places  # noqa: E402
from foreign_places import Fuzzer  # noqa: E402

from probes.events import decode_event  # noqa: E402
from probes.sources import place_streams, places  # noqa: E402

LIVES = 12
"""Of each way."""


@pytest.mark.parametrize("seed", [1, 2])
def test_what_places_make_up_comes_to_nothing_wrong(seed: int) -> None:
    fuzzer = Fuzzer(seed)
    for _ in range(LIVES):
        fuzzer.run_one()
    assert fuzzer.wrong == {}
    assert fuzzer.size > 1_000_000


def test_numbers_without_a_bound_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place_streams, "decode_foreign", decode_event)
    monkeypatch.setattr(foreign_places, "decode_foreign", decode_event)
    fuzzer = Fuzzer(1)
    for _ in range(LIVES):
        fuzzer.run_one()
    assert fuzzer.wrong


def test_stamps_of_the_future_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "DRIFT_NS", 1 << 62)
    fuzzer = Fuzzer(1)
    for _ in range(LIVES):
        fuzzer.run_one()
    assert any("Broken" in where for where in fuzzer.wrong)
