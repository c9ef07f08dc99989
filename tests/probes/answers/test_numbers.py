"""Numbers as servers write them."""

import pytest

from probes.answers.dialects.numbers import count, quantity


@pytest.mark.parametrize("written", ["7", " 7 ", "7.0", "7e0", "7\x1d", "\x1c7\n", 7, 7.0])
def test_a_number_is_taken_however_it_is_written(written: object) -> None:
    assert quantity(written) == 7.0
    assert count(written) == 7


@pytest.mark.parametrize(
    "written", ["", "x", "-1", "7 8", "nan", "0x7", True, None, [7], -1, 1e999]
)
def test_what_is_none_is_unknown(written: object) -> None:
    assert quantity(written) is None
