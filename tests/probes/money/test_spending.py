"""What the engine may still spend."""

from probes.control.commands import Allowance
from probes.events import Committed, MoneyReport
from probes.money.spending import AttemptReservation, Spending


def test_without_allowances_nothing_is_limited() -> None:
    assert Spending().reserve("a", 10**9) == AttemptReservation("a", 10**9, 0.0)


def test_spent_and_reserved_together_stay_within_the_allowance() -> None:
    spending = Spending()
    spending.allow((Allowance(route="a", tokens=250),))
    first = spending.reserve("a", 100)
    assert first is not None
    assert spending.reserve("a", 100) is not None
    assert spending.reserve("a", 100) is None
    spending.settle(first, 40, 0.0)
    assert spending.reserve("a", 100) is not None
    assert spending.reserve("a", 100) is None


def test_the_overall_allowance_binds_all_routes() -> None:
    spending = Spending()
    spending.allow((Allowance(route="", tokens=150), Allowance(route="a", tokens=1_000)))
    assert spending.reserve("a", 100) is not None
    assert spending.reserve("b", 100) is None
    assert spending.reserve("b", 50) is not None


def test_a_refused_reservation_leaves_no_trace() -> None:
    spending = Spending()
    spending.allow((Allowance(route="", tokens=100), Allowance(route="a", tokens=1_000)))
    assert spending.reserve("a", 101) is None
    assert spending.reserve("a", 100) is not None


def test_dollars_bind_where_they_are_limited() -> None:
    spending = Spending()
    spending.allow((Allowance(route="a", tokens=10**9, usd=1.0),))
    held = spending.reserve("a", 1, 0.9)
    assert held is not None
    assert spending.reserve("a", 1, 0.2) is None
    spending.settle(held, 1, 0.5)
    assert spending.reserve("a", 1, 0.2) is not None


def test_budgets_are_told_as_the_host_sent_them() -> None:
    spending = Spending()
    spending.allow(
        (Allowance(route="a", tokens=5, used_tokens=7, used_usd=0.5, limit_tokens=9, limit_usd=2),)
    )
    (state,) = spending.states()
    assert (state.route, state.used_tokens, state.limit_tokens) == ("a", 7, 9)
    assert (state.used_usd, state.limit_usd) == (0.5, 2)


def test_a_shortage_names_the_budgets_in_figures() -> None:
    spending = Spending()
    assert spending.shortage("a") == ""
    route = Allowance(route="a", tokens=0, used_tokens=480_000, limit_tokens=500_000)
    spending.allow((route, Allowance(route="", tokens=0, used_tokens=9, limit_tokens=10)))
    assert spending.shortage("a") == (
        "a: 480,000 of 500,000 tokens in the last hour; all routes: 9 of 10 tokens in the last hour"
    )


def test_what_is_spent_and_reserved_is_reported_where_allowances_are_numbered() -> None:
    spending = Spending()
    spending.allow((Allowance(route="a", tokens=250, usd=1.0),))
    assert spending.report() is None
    spending.allow((Allowance(route="a", tokens=250, usd=1.0),), number=3)
    assert spending.report() == MoneyReport(allow=3)
    first = spending.reserve("a", 100, 0.5)
    assert first is not None
    assert spending.reserve("a", 50, 0.25) is not None
    spending.settle(first, 40, 0.125)
    assert spending.report() == MoneyReport(allow=3, committed=(Committed("a", 90, 0.375),))


def test_a_route_whose_lease_is_dry_awaits_more_where_it_was_given_all_it_wanted() -> None:
    spending = Spending()
    assert not spending.awaits_more("a")
    spending.allow((Allowance(route="a", tokens=100, more=True), Allowance(route="b", tokens=100)))
    assert spending.awaits_more("a")
    assert not spending.awaits_more("b")


def test_a_doubt_is_told_with_the_budgets_and_with_a_shortage() -> None:
    spending = Spending()
    told = Allowance(route="", tokens=1, used_tokens=5, limit_tokens=7, doubt="nobody knows")
    spending.allow((told, Allowance(route="a", tokens=1)))
    assert [budget.doubt for budget in spending.states()] == ["nobody knows", ""]
    assert spending.shortage("a").startswith("nobody knows; a: 0 of ")


def test_the_words_of_a_shortage_tell_of_usd_where_they_bind() -> None:
    spending = Spending()
    told = {"tokens": 10, "used_tokens": 7, "limit_tokens": 9, "used_usd": 0.0123}
    spending.allow((
        Allowance(route="a", usd=0.1, limit_usd=0.5, **told),
        Allowance(route="", limit_usd=2.0, **told),
    ))  # fmt: skip
    assert spending.shortage("a") == (
        "a: 7 of 9 tokens and 0.0123 of 0.5 USD in the last hour; "
        "all routes: 7 of 9 tokens in the last hour"
    )
