"""What an attempt is charged and what it costs."""

from typing import Any

import pytest
from changed import replace

from probes.answers.dialects.usage import billed_output, read_cost, read_usage
from probes.config import Price
from probes.events import AttemptFinished, StampLadder
from probes.money.pricing import (
    LEAST_HIDDEN,
    MOST_ADDED_INPUT,
    Asked,
    LearnedUse,
    Reported,
    Seen,
    charge_of,
    output_limit,
    priced_later,
    seen_tokens,
)

ASKED = Asked(reserved_tokens=84, prompt_tokens=20, max_tokens=64, sent_bytes=200)
SEEN = Seen(pieces=10, characters=40)
PRICE = Price(input=1.0, output=10.0)


@pytest.mark.parametrize(
    ("given", "output", "reasoning", "total", "billed"),
    [
        (9, 22, 20, 31, 22),  # OpenAI: the output holds the reasoning
        (9, 22, 20, None, 22),
        (12, 2, 317, 331, 319),  # xAI: it stands beside, and in the total
        (12, 1, 386, 399, 387),
        (9, 2, 20, None, 22),  # more reasoning than output cannot be in it
        (9, 12, 40, 21, 52),  # nor by this much, whatever the total leaves out
        (1366, 494, 522, 1860, 494),  # OpenRouter: the same words by another tokeniser
        (6, 0, None, 70, 64),  # Gemini: in the total alone
        (21, 0, 60, 81, 60),
        (20, 151, None, 553, 533),
        (9, 2, 0, 11, 2),
        (9, 7, 4, 3, 7),  # a total that is too small takes nothing away
        (None, 7, None, 40, 7),
        (9, None, None, None, None),
        (9, None, None, 30, 21),
        (9, None, None, 10, 1),
        (9, None, None, 9, None),
    ],
)
def test_billed_output_is_told_by_the_total(
    given: int | None, output: int | None, reasoning: int | None, total: int | None, billed: int
) -> None:
    assert billed_output(given, output, reasoning, total) == billed


def test_a_cached_part_beside_the_input_is_no_output() -> None:
    assert billed_output(5, 7, None, 9012, cached=9000) == 7


BYOK = {"cost": 0, "cost_details": {"upstream_inference_cost": 0.036}}


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.00012}, 0.00012),
        ({"cost": "0.00012"}, 0.00012),
        ({"estimated_cost": 9.68e-05}, 9.68e-05),
        ({"total_cost": 1e-4}, 1e-4),
        ({"cost": 0}, 0.0),
        ({"cost": 0, "estimated_cost": 0.01}, 0.01),
        ({"cost": -0.5}, None),
        ({"cost": float("nan")}, None),
        ({"cost": float("inf")}, None),
        ({"cost": True}, None),
        ({"cost": "free"}, None),
        ({"cost": None}, None),
        ({"cost": []}, None),
        ({"cost": {"input_tokens_cost": 9e-6, "total_cost": 0.005011}}, 0.005011),
        ({"cost": {"total": "0.25"}}, 0.25),
        ({"cost": {"input_cost": 0.25, "output_cost": 0.5}}, 0.75),
        ({"cost": {"currency": "USD"}}, None),
        ({"cost_in_usd_ticks": 318_319_000}, 0.0318319),
        ({"cost_in_usd_ticks": -1}, None),
        ({**BYOK, "is_byok": True}, 0.036),
        (BYOK, 0.036),
        ({**BYOK, "cost": 0.0018}, 0.0378),
        ({"cost_details": {"upstream_inference_cost": 0.036}}, 0.036),
        ({**BYOK, "cost": 0.054, "is_byok": False}, 0.054),
        ({**BYOK, "cost": 0, "is_byok": False}, 0.0),
        ({**BYOK, "cost": 0.054}, 0.054),
        ({"cost": 0.054, "cost_details": {"upstream_inference_cost": 0.054}}, 0.054),
        ({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, 0.1),
        ({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": -3}}, 0.1),
    ],
)  # fmt: skip
def test_a_cost_is_read_with_what_was_billed_elsewhere(
    usage: dict[str, Any], cost: float | None
) -> None:
    assert read_cost(usage) == (None if cost is None else pytest.approx(cost))


def test_a_usage_tells_its_billed_output_where_that_is_more() -> None:
    usage = read_usage({"prompt_tokens": 6, "completion_tokens": 0, "total_tokens": 70})
    assert usage is not None
    assert (usage.output_tokens, usage.billed_tokens) == (0, 64)
    usage = read_usage({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
    assert usage is not None
    assert usage.billed_tokens is None
    assert read_usage({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}) is None


@pytest.mark.parametrize(
    ("told", "seen", "charged"),
    [
        (Reported(20, 5), SEEN, 25),
        (Reported(20, 5, billed_tokens=64), SEEN, 84),
        (Reported(None, 5), Seen(2, 10), 25),  # the input is what we estimate
        (Reported(), SEEN, 84),
        (Reported(), Seen(), 84),
        (Reported(90), SEEN, 90),
        (Reported(), Seen(500, 2000), 520),
        (Reported(), Seen(worked=False), 0),
        (Reported(30, 2), Seen(worked=False), 32),
        # honest: a gateway's system prompt, hidden reasoning, a cached prompt
        (Reported(6_000, 5), SEEN, 6_005),
        (Reported(20, 9_000), SEEN, 9_020),
        (Reported(20, 12, cached_tokens=16), SEEN, 32),
        # false: more than any bytes carry, less than half of what came
        (Reported(20, 10**9), SEEN, 84),
        (Reported(10**9, 5), SEEN, 84),
        (Reported(10**9), SEEN, 84),
        (Reported(20, 5, billed_tokens=10**9), SEEN, 84),
        (Reported(20, 0), Seen(500, 2000), 520),
        (Reported(20, 3), Seen(500, 2000), 520),
    ],
)
def test_budgets_are_charged_what_can_be_believed(told: Reported, seen: Seen, charged: int) -> None:
    assert charge_of(ASKED, told, seen, None).tokens == charged


def test_what_is_believed_ends_where_the_constants_say() -> None:
    most_in, most_out = 200 + MOST_ADDED_INPUT, 4 * SEEN.characters + LEAST_HIDDEN
    assert charge_of(ASKED, Reported(most_in, 5), SEEN, None).tokens == most_in + 5
    assert charge_of(ASKED, Reported(most_in + 1, 5), SEEN, None).doubt
    assert charge_of(ASKED, Reported(20, most_out), SEEN, None).tokens == 20 + most_out
    assert charge_of(ASKED, Reported(20, most_out + 1), SEEN, None).doubt
    wide = replace(ASKED, max_tokens=100_000, reserved_tokens=100_020)
    assert not charge_of(wide, Reported(20, 800_000), SEEN, None).doubt


def test_counts_that_cannot_be_are_shown_to_nobody_and_said() -> None:
    charge = charge_of(ASKED, Reported(20, 10**9), SEEN, None)
    assert not charge.counted
    assert "1,000,000,000 output tokens" in charge.doubt
    low = charge_of(ASKED, Reported(20, 0), Seen(500, 2000), None)
    assert low.counted
    assert "0 output tokens where at least 500 came" in low.doubt
    assert charge_of(ASKED, Reported(20, 5), SEEN, None).doubt == ""


@pytest.mark.parametrize(
    ("told", "price", "cost", "source", "charged"),
    [
        (Reported(20, 5, cost_usd=0.5), PRICE, 0.5, "provider", 0.5),
        (Reported(20, 5, cost_usd=0.5), None, 0.5, "provider", 0.5),
        (Reported(20, 5), PRICE, 70e-6, "price", 70e-6),
        (Reported(20, 5), None, None, "unknown", None),
        (Reported(20, 0, billed_tokens=64), PRICE, 660e-6, "price", 660e-6),
        # a told 0 beside tokens
        (Reported(20, 5, cost_usd=0.0), PRICE, 70e-6, "price", 70e-6),
        (Reported(20, 5, cost_usd=0.0), None, 0.0, "provider", 0.0),
        (Reported(cost_usd=0.0), PRICE, None, "unknown", 660e-6),
        # nobody counted: the reservation, by the price of its parts
        (Reported(), PRICE, None, "unknown", 660e-6),
        (Reported(), None, None, "unknown", None),
        # what cannot be true
        (Reported(20, 5, cost_usd=1e6), PRICE, 70e-6, "price", 70e-6),
        (Reported(20, 5, cost_usd=1e6), None, None, "unknown", None),
        (Reported(20, 10**9), PRICE, None, "unknown", 660e-6),
        (Reported(20, 10**9, cost_usd=0.02), PRICE, 0.02, "provider", 0.02),
        # what the provider had in its cache
        (Reported(20, 5, cached_tokens=10), Price(input=1, output=10, cached_input=0.5), 65e-6,
         "price", 65e-6),
        (Reported(20, 5, cached_tokens=10), PRICE, 70e-6, "price", 70e-6),
    ],
)  # fmt: skip
def test_an_attempt_costs_what_the_provider_says_or_its_price(
    told: Reported, price: Price | None, cost: float | None, source: str, charged: float | None
) -> None:
    charge = charge_of(ASKED, told, SEEN, price)
    assert charge.cost_usd == (None if cost is None else pytest.approx(cost))
    assert charge.cost_source == source
    assert charge.usd == (None if charged is None else pytest.approx(charged))


def test_a_price_from_a_list_says_so() -> None:
    assert charge_of(ASKED, Reported(20, 5), SEEN, PRICE, "list").cost_source == "list"


def test_what_never_reached_the_server_costs_nothing() -> None:
    charge = charge_of(ASKED, Reported(), Seen(worked=False), PRICE)
    assert (charge.tokens, charge.usd) == (0, 0.0)


@pytest.mark.parametrize(
    ("pieces", "characters", "tokens"),
    [
        (64, 256, 64),
        (64, 320, 64),  # long words: not more than pieces
        (320, 320, 80),  # a character a piece
        (1, 4_000, 250),  # a page a piece
        (0, 4_000, 250),
        (0, 0, 0),
    ],
)
def test_what_came_is_counted_as_the_least_it_can_be(
    pieces: int, characters: int, tokens: int
) -> None:
    assert seen_tokens(pieces, characters) == tokens


def test_the_limit_of_a_stream_is_its_reservation_and_a_half() -> None:
    assert output_limit(20, 64) == 106
    assert output_limit(0, 1) == 2


def test_a_route_reserves_what_it_was_seen_to_use_and_forgets_slowly() -> None:
    learned = LearnedUse()
    learned.learn(500)
    learned.learn(0)
    assert learned.tokens == 500
    learned.learn(100)
    assert learned.tokens == 450
    for _ in range(60):
        learned.learn(100)
    assert learned.tokens == 100


@pytest.mark.parametrize(
    ("counts", "cost_usd", "charged_usd"),
    [
        # What is billed, which may be more than the output that came, and the cheaper cached part.
        ({"input_tokens": 20, "output_tokens": 5, "billed_tokens": 15}, 170e-6, 170e-6),
        ({"input_tokens": 20, "output_tokens": 5, "cached_tokens": 10}, 65e-6, 65e-6),
        # No counts: what was charged, the prompt by the price of input, the rest by the output's.
        ({}, None, 660e-6),
    ],
)
def test_a_price_that_comes_later_prices_what_was_charged(
    counts: dict[str, Any], cost_usd: float | None, charged_usd: float
) -> None:
    event = AttemptFinished(
        at_ns=2,
        route="r",
        probe="p",
        attempt=1,
        outcome="ok",
        stamps_ns=StampLadder(started=1, ended=2),
        charged_tokens=84,
        **counts,
    )
    price = Price(input=1.0, output=10.0, cached_input=0.5)
    priced = priced_later(event, price, 20, "list")
    assert priced.cost_usd == (None if cost_usd is None else pytest.approx(cost_usd))
    assert priced.charged_usd == pytest.approx(charged_usd)
    assert priced.cost_source == ("unknown" if cost_usd is None else "list")


@pytest.mark.parametrize("changes", [{"charged_tokens": 0}, {"cost_usd": 0.5}])
def test_what_was_free_or_has_its_cost_is_not_priced_again(changes: dict[str, Any]) -> None:
    fields = {"at_ns": 2, "route": "r", "probe": "p", "attempt": 1, "outcome": "ok"}
    stamps = StampLadder(started=1, ended=2)
    event = AttemptFinished(**fields, stamps_ns=stamps, **{"charged_tokens": 84, **changes})
    assert priced_later(event, PRICE, 20, "list") is event
