"""Two samples compared: against published figures, and against chance."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stats.comparison import LOOKS, SURE, SURE_OVER_ALL, fisher_exact, mann_whitney

TIED = (1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 5, 6, 7, 8, 8, 9, 9, 9, 10, 10)
TIED_TOO = (2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 11, 12, 12, 13, 13)

samples = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("first", "second", "p", "larger"),
    [
        # Of the documentation of SciPy's `mannwhitneyu`: U = 17 of 20, p = 0.11134688653314041.
        ((19, 22, 16, 29, 24), (20, 11, 17, 12), 0.11134688653314041, 0.15),
        # By SciPy 1.17.1.
        (range(1, 21), [one + 0.5 for one in range(8, 33)], 8.95328972730657e-05, 0.844),
        (TIED, TIED_TOO, 0.05594093748629351, 0.675),
        ((1, 1, 1), (1, 1), 1.0, 0.5),
        ((1, 2), (1, 2), 1.0, 0.5),
    ],
)
def test_the_rank_test_says_what_scipy_says(first, second, p, larger):
    found = mann_whitney(first, second)
    assert found.p == pytest.approx(p, rel=1e-12)
    assert found.larger == pytest.approx(larger)


@pytest.mark.parametrize(
    ("table", "p"),
    [
        # Of the documentation of SciPy's `fisher_exact`.
        ((8, 10, 1, 6), 0.034965034965034975),
        # Fisher's lady tasting tea.
        ((3, 4, 1, 4), 0.48571428571428565),
        # By SciPy 1.17.1.
        ((0, 112, 36, 117), 1.6036025647431606e-12),
        ((5, 20, 1, 20), 0.1817641817641818),
        ((100, 112, 106, 117), 0.827391383525232),
        ((0, 20, 0, 20), 1.0),
        ((20, 20, 20, 20), 1.0),
        ((20, 20, 0, 20), 2 / 137846528820),  # 2 of the ways to choose 20 of 40
        ((0, 0, 3, 9), 1.0),
    ],
)
def test_the_exact_test_says_what_scipy_says(table, p):
    assert fisher_exact(*table) == pytest.approx(p, rel=1e-9)


def test_shares_of_thousands_are_compared_without_overflow():
    assert fisher_exact(200, 600, 900, 2560) == pytest.approx(0.4184256495305191)
    assert fisher_exact(0, 600, 2560, 2560) < 1e-300


@given(samples, samples)
def test_the_rank_test_does_not_mind_which_is_which_nor_the_unit(first, second):
    one, other = mann_whitney(first, second), mann_whitney(second, first)
    assert one.p == pytest.approx(other.p)
    assert one.larger == pytest.approx(1 - other.larger)
    scaled = mann_whitney([3 * value + 1 for value in first], [3 * value + 1 for value in second])
    assert scaled == one
    assert 0 <= one.p <= 1


@given(st.integers(0, 40), st.integers(0, 40), st.data())
def test_the_exact_test_does_not_mind_which_is_which(n, other_n, data):
    hits, other_hits = data.draw(st.integers(0, n)), data.draw(st.integers(0, other_n))
    p = fisher_exact(hits, n, other_hits, other_n)
    assert 0 < p <= 1
    assert p == pytest.approx(fisher_exact(other_hits, other_n, hits, n))
    assert p == pytest.approx(fisher_exact(n - hits, n, other_n - other_hits, other_n))


@pytest.mark.parametrize(("first", "second"), [((), (1.0,)), ((1.0,), ())])
def test_nothing_is_compared_with_nothing(first, second):
    with pytest.raises(ValueError, match="empty"):
        mann_whitney(first, second)


def test_each_look_has_twice_the_samples_of_the_one_before():
    assert LOOKS[0] == 20
    assert all(later == 2 * sooner for sooner, later in pairwise(LOOKS))


def sure_at_any_look(source: random.Random, factor: float, before: int = 200) -> bool:
    """Return whether latencies that grow by `factor` are told from those before, at any look."""
    first = [source.lognormvariate(-1.0, 0.3) for _ in range(before)]
    second = [factor * source.lognormvariate(-1.0, 0.3) for _ in range(LOOKS[-1])]
    return any(mann_whitney(first, second[:n]).p < SURE for n in LOOKS)


def test_where_nothing_differs_less_than_one_in_a_hundred_is_sure_over_all_looks():
    source = random.Random(1)
    wrong = sum(sure_at_any_look(source, 1.0) for _ in range(600))
    assert wrong / 600 < 1 - SURE_OVER_ALL  # 0.4 % of 10,000


def test_shares_that_do_not_differ_are_sure_less_often_than_that():
    source = random.Random(2)
    wrong = 0
    for _ in range(400):
        before = sum(source.random() < 0.3 for _ in range(200))
        after = [source.random() < 0.3 for _ in range(LOOKS[5])]
        wrong += any(fisher_exact(before, 200, sum(after[:n]), n) < SURE for n in LOOKS[:6])
    assert wrong / 400 < 1 - SURE_OVER_ALL


def test_what_grew_by_half_is_seen_at_the_first_look():
    source = random.Random(3)
    first = [source.lognormvariate(-1.0, 0.3) for _ in range(100)]
    second = [1.5 * source.lognormvariate(-1.0, 0.3) for _ in range(LOOKS[0])]
    found = mann_whitney(first, second)
    assert found.p < SURE
    assert found.larger > 0.7
