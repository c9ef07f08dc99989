"""The page of the money says what is reserved, believed, leased and forgiven."""

import pytest
from pages import MB, SHARES, Page, each_of, number, per_cent

from probes.config import Budget, Route
from probes.engine.single import _LIST_GRACE_S
from probes.money import pricing
from probes.money.bus_book import GRACE_S
from probes.money.bus_ledger import AHEAD_S, FENCE_S, RENEW_S, SETTLE_S
from probes.money.lease_rules import EMERGENCY_SHARE, LEASE_S, emergency_part
from probes.money.price_list import _MOST_PRICE, MOST_BYTES, PATIENCE_S
from probes.money.run_ledger import RETRY_S

PAGE = Page("probes/money/README.md")
ROUTE = Route(name="r", base_url="https://h", model="m")
CENTS = {0.01: "a cent"}
INTRODUCTION = "Money: what probing costs, and what may still be spent"

NUMBERS = {
    INTRODUCTION: (
        f"an answer of at most {ROUTE.max_tokens}, {number(ROUTE.concurrency)} worker, every "
        f"{ROUTE.interval:g} s",
    ),
    "What an attempt is charged": (
        f"{pricing.MOST_ADDED_INPUT:,} tokens that gateways may add",
        f"{number(pricing.USUAL_CHARACTERS)} characters",
        f"in {pricing.MOST_CHARACTERS} characters",
        f"{number(pricing.TOKENS_A_CHARACTER)} tokens a character",
        f"{number(pricing.HIDDEN_FACTOR)} times the answer cap",
        f"{pricing.LEAST_HIDDEN:,} tokens",
        f"the reservation by {SHARES.get(pricing.OVER_RESERVATION - 1)}",
        f"{SHARES.get(1 / pricing.FORGETS)} of the difference",
    ),
    "Cost and prices": (
        f"above {number(pricing.USD_A_REQUEST)} USD and {CENTS.get(pricing.USD_A_TOKEN)} a token",
        f"{PATIENCE_S:g} s and {MOST_BYTES // MB} MB",
        f"wait for it {_LIST_GRACE_S:g} s after",
        f"above {_MOST_PRICE:,.0f} USD a million",
    ),
    "The ledger and its leases": (
        f"it is tried again every {RETRY_S:g} s",
        f"{per_cent(EMERGENCY_SHARE)} of each budget, the *emergency part*: "
        f"{emergency_part(Budget()).route_tokens_per_hour:,} tokens a route and "
        f"{emergency_part(Budget()).tokens_per_hour:,} in all by default",
    ),
    "Budgets of several places": (
        f"some {AHEAD_S:g} seconds ahead",
        f"tells every {SETTLE_S:g} seconds what",
        f"{LEASE_S} seconds after its last word",
        f"stops after {FENCE_S:g} seconds in any case",
        f"first {GRACE_S} seconds of a new book",
        f"told again within {RENEW_S:g} seconds",
    ),
}
EXAMPLES = ("(a prompt of about 10 tokens", "uses about 50,000 tokens an hour")
"""Quantities that limit nothing."""


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, EXAMPLES) == []


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_still_one(words: str) -> None:
    assert words in PAGE.line("")


def test_no_price_is_above_what_a_token_may_cost() -> None:
    assert pricing.USD_A_TOKEN * pricing.PER_MILLION == _MOST_PRICE
