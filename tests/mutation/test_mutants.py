"""What counts as a small fault, and that exactly one is made."""

import ast

import pytest

from mutation.mutants import Mutant, mutants_of, mutated

SOURCE = '''
LIMIT: Final = 3
__all__ = ["f"]

def f(row, count: int = 1) -> str:
    """Words."""
    note(row)
    if row.p95 < LIMIT and not row.p99:
        raise ValueError(f"below {7}")
    return "a" + "b" if count - 1 else row.name
'''


def test_every_kind_of_fault_is_found_and_words_are_left_alone() -> None:
    assert {mutant.change for mutant in mutants_of(SOURCE)} == {
        "3 -> 4",
        "note(row) -> pass",
        "row.p95 < LIMIT and (not row.p99) -> row.p95 < LIMIT or not row.p99",
        "row.p95 < LIMIT -> row.p95 <= LIMIT",
        "not row.p99 -> not not row.p99",
        "row.p95 -> row.name",
        "row.p99 -> row.p95",
        "row.name -> row.p99",
        "'a' + 'b' if count - 1 else row.name -> row.name if count - 1 else 'a' + 'b'",
        "count - 1 -> count + 1",
        "1 -> 2",
    }


@pytest.mark.parametrize("mutant", mutants_of(SOURCE), ids=lambda mutant: mutant.change)
def test_one_mutant_differs_in_one_line(mutant: Mutant) -> None:
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    after = ast.unparse(mutated(SOURCE, mutant.number)).splitlines()
    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_a_fault_that_is_not_there_cannot_be_made() -> None:
    with pytest.raises(IndexError):
        mutated(SOURCE, 10_000)
