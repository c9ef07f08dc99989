"""What an attempt is charged and what it costs: one rule for budgets, commands and screens.

Rule 1. Billed output = max(output + reasoning where that is counted apart, total − input).
        OpenAI's `completion_tokens` holds the reasoning, xAI's and Gemini's do not: the total
        decides.
Rule 2. A count is believed as far as the bytes can carry it: the prompt that was sent and what a
        gateway may add to it, the characters that came and reasoning that is hidden. Beyond that,
        and far below what came, it is unknown.
Rule 3. Charged are the believed counts; where one is unknown, the whole reservation, or what was
        seen to come where that passes it by half; nothing where the server refused or was never
        asked.
Rule 4. Cost is the provider's figure. One that cannot be true is none, and a told 0 beside tokens
        does not beat a price. Else it is the believed counts by the price.
Rule 5. In USD an attempt is charged its cost; where that is unknown, what it is charged in tokens,
        by the price. Whoever keeps a budget takes that figure from the event and works out none.
"""

from math import ceil
from typing import Final, Literal, TypeAlias

import msgspec

from probes.config import Price, Route
from probes.config.urls import UrlError, read_url
from probes.events import AttemptFinished, CostSource, PriceInfo
from probes.kit.short_figures import counted

PriceSource: TypeAlias = Literal["price", "list"]
"""Where a price is from: the settings, or the provider's own list."""

PER_MILLION: Final = 1_000_000
USUAL_CHARACTERS: Final = 4
"""Characters a token of ordinary text, in most tokenisers."""
MOST_CHARACTERS: Final = 16
"""No text has more characters a token on average; runs of blanks and rules are the exception."""
TOKENS_A_CHARACTER: Final = 4
"""A tokeniser that falls back to bytes makes at most so many of one character."""
MOST_ADDED_INPUT: Final = 32_768
"""Input tokens that gateways and servers may add to the bytes we sent: system prompts, tools, what
a picture behind a URL counts for."""
HIDDEN_FACTOR: Final = 8
"""Reasoning nobody saw may be so many times the answer cap, which some servers hold to the answer
alone: grok-3-mini thought 386 tokens under a cap of 64."""
LEAST_HIDDEN: Final = 16_384
"""Hidden reasoning that is believed under the smallest cap."""
LEAST_SEEN: Final = 32
"""Tokens that must have come before a count is called too low."""
USD_A_TOKEN: Final = 0.01
"""No token is so dear: the dearest list price there is, 600 USD a million, is a sixteenth of it."""
USD_A_REQUEST: Final = 1.0
"""What a request may cost beside its tokens: search, tools, pictures."""
OVER_RESERVATION: Final = 1.5
"""Part of its reservation at which a stream is cut."""
_WITH_LISTS: Final = ("chat", "completions", "responses", "auto")
"""Dialects beside whose URL a list of models stands that was seen to tell prices."""
FORGETS: Final = 8
"""A route forgets this part of what it used beyond an attempt, with each attempt that uses less."""


class Asked(msgspec.Struct, frozen=True):
    """What an attempt sent and what it may use."""

    reserved_tokens: int
    prompt_tokens: int = 0
    """Our estimate."""
    max_tokens: int = 0
    """The answer cap that was sent."""
    sent_bytes: int = 0
    """Of the request's body; a token is at least one."""


class Reported(msgspec.Struct, frozen=True):
    """What the server says was used."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    billed_tokens: int | None = None
    """Output by rule 1, where it was told more than `output_tokens`."""
    cached_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def output(self) -> int | None:
        """The output that is billed; None where nobody counted."""
        if self.output_tokens is None:
            return self.billed_tokens
        return max(self.output_tokens, self.billed_tokens or 0)


class Seen(msgspec.Struct, frozen=True):
    """What came, whatever the server says of it."""

    pieces: int = 0
    """Events of its stream; 0 where it came whole."""
    characters: int = 0
    """Of all output."""
    worked: bool = True
    """The server took the request and did not refuse it: it may have worked on it to the end."""
    passed: bool = False
    """It was cut because it passed its reservation."""

    @property
    def tokens(self) -> int:
        """The output tokens that surely came; of a stream that was cut all that may have."""
        if self.passed:
            return max(self.pieces, ceil(self.characters / USUAL_CHARACTERS))
        return seen_tokens(self.pieces, self.characters)


class LearnedUse:
    """What a route's attempts were seen to use, which it reserves where that is more than it asks.

    The most one was charged, less an eighth of the difference with each that was charged less; one
    that cost nothing teaches nothing. Engine and host learn from the same events, so that what the
    one reserves the other has leased.
    """

    __slots__ = ("tokens",)

    def __init__(self) -> None:
        self.tokens = 0

    def learn(self, charged: int) -> None:
        """Take what an attempt was charged."""
        if charged > 0:
            excess = max(0, self.tokens - charged)
            self.tokens = max(charged, self.tokens - ceil(excess / FORGETS))


class Charge(msgspec.Struct, frozen=True):
    """What an attempt is charged, and what it cost."""

    tokens: int
    usd: float | None
    """None where neither a cost nor a price is known."""
    cost_usd: float | None
    """What it cost, as far as that is known."""
    cost_source: CostSource
    counted: bool = True
    """The server's counts can be true; where not, they are shown to nobody."""
    doubt: str = ""
    """What was not believed and what was charged instead, for a notice."""


def seen_tokens(pieces: int, characters: int) -> int:
    """Return the least number of tokens that so much output can be.

    By its characters at the usual length; but some send a character a piece, so not more than
    pieces; and some a page a piece, so not less than the longest tokens make of it.
    """
    usual = ceil(characters / USUAL_CHARACTERS)
    return min(usual, max(pieces, ceil(characters / MOST_CHARACTERS)))


def output_limit(prompt_tokens: int, max_tokens: int) -> int:
    """Return the output tokens with which an attempt passes its reservation by half."""
    return ceil(OVER_RESERVATION * (prompt_tokens + max_tokens)) - prompt_tokens


def most_input_tokens(asked: Asked) -> int:
    """Return the input count that is believed at most (rule 2)."""
    return max(asked.sent_bytes, asked.prompt_tokens) + MOST_ADDED_INPUT


def most_output_tokens(asked: Asked, seen: Seen) -> int:
    """Return the output count that is believed at most (rule 2)."""
    hidden = max(HIDDEN_FACTOR * asked.max_tokens, LEAST_HIDDEN)
    return seen.characters * TOKENS_A_CHARACTER + hidden


def dearest_usd_per_token(price: Price | None) -> float:
    """Return the dearer of a price's two figures for one token: what a lease must cover."""
    return 0.0 if price is None else max(price.input, price.output) / PER_MILLION


def reserved_usd(price: Price | None, prompt_tokens: int, tokens: int) -> float:
    """Return what so many tokens cost, of which `prompt_tokens` are input; 0 without a price."""
    if price is None:
        return 0.0
    given = min(prompt_tokens, tokens)
    return (price.input * given + price.output * (tokens - given)) / PER_MILLION


def most_tokens(route: Route) -> int:
    """Return what one probe of a route may use at most: its prompt and its answer cap."""
    return route.input_tokens + route.max_tokens


def most_usd(route: Route, tokens: int) -> float:
    """Return what so many tokens of a route cost at most, as the budgets reckon it."""
    return reserved_usd(route.price, route.input_tokens, tokens)


def usd_charged(event: AttemptFinished) -> float:
    """Return what a budget in USD is charged for an attempt, 0 where nobody knows (rule 5).

    Events of before they carried it have the cost alone.
    """
    usd = event.cost_usd if event.charged_usd is None else event.charged_usd
    return usd or 0.0


def wants_list(route: Route) -> bool:
    """Return whether a route's price is looked up in its provider's own list.

    Servers on loopback have no prices, and are asked only where the settings say so.
    """
    if route.price is not None or route.price_list is False or route.dialect not in _WITH_LISTS:
        return False
    try:
        local = route.unix_socket is not None or read_url(route.base_url).is_loopback
    except UrlError:  # its probes will say so
        return False
    return route.price_list is True or not local


def price_info(price: Price, source: PriceSource) -> PriceInfo:
    """Return a price as it is told in an event."""
    return PriceInfo(
        input=price.input, output=price.output, cached_input=price.cached_input, source=source
    )


def price_of(info: PriceInfo) -> Price:
    """Return the price that an event told."""
    return Price(input=info.input, output=info.output, cached_input=info.cached_input)


def price_words(price: Price) -> str:
    """Return a price in words."""
    cached = "" if price.cached_input is None else f" ({price.cached_input:g} from its cache)"
    return f"{price.input:g} USD in{cached}, {price.output:g} USD out, per million tokens"


def priced_later(
    event: AttemptFinished, price: Price, prompt_tokens: int, source: PriceSource
) -> AttemptFinished:
    """Return an attempt that ended before its price was known, with its cost by it.

    Its counts were believed or are not told; so was its cost.
    """
    if event.cost_usd or not event.charged_tokens:
        return event
    reported = Reported(
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        billed_tokens=event.billed_tokens,
        cached_tokens=event.cached_tokens,
    )
    cost = _cost_by(price, reported)
    usd = reserved_usd(price, prompt_tokens, event.charged_tokens) if cost is None else cost
    return msgspec.structs.replace(
        event,
        cost_usd=cost,
        cost_source="unknown" if cost is None else source,
        charged_usd=usd,
    )


def charge_of(
    asked: Asked, reported: Reported, seen: Seen, price: Price | None, source: PriceSource = "price"
) -> Charge:
    """Return what an attempt is charged and what it cost (rules 3 to 5)."""
    unsaid = reported.output is None and not seen.worked
    tall = _too_much(asked, reported, seen)
    false = tall or _too_little(reported, seen)
    if unsaid:
        tokens = 0
    elif reported.output is not None and not false:
        given = asked.prompt_tokens if reported.input_tokens is None else reported.input_tokens
        tokens = given + reported.output
    else:
        given = 0 if tall or reported.input_tokens is None else reported.input_tokens
        given = max(given, asked.prompt_tokens)
        came = given + seen.tokens
        tokens = max(asked.reserved_tokens, given)
        # What came is an estimate: it outweighs the cap only where it is surely more.
        tokens = came if seen.passed or came > OVER_RESERVATION * tokens else tokens
    doubt = f"{false}: charged as reserved" if false else ""
    cost = reported.cost_usd
    if cost is not None and cost > USD_A_REQUEST + tokens * USD_A_TOKEN:
        doubt = doubt or f"a cost of {cost:,.4g} USD, which no answer of its size has: not counted"
        cost = None
    cost_source: CostSource = "unknown" if cost is None else "provider"
    if price is not None and tokens and not cost:
        cost = None if false else _cost_by(price, reported)
        cost_source = "unknown" if cost is None else source
    usd = cost
    if usd is None and price is not None:
        usd = reserved_usd(price, asked.prompt_tokens, tokens)
    return Charge(
        tokens=tokens,
        usd=usd,
        cost_usd=cost,
        cost_source=cost_source,
        counted=not tall,
        doubt=doubt and f"the server tells of {doubt}",
    )


def _too_much(asked: Asked, reported: Reported, seen: Seen) -> str:
    """Return the count that no bytes carry, in words; empty where there is none."""
    given, output = reported.input_tokens or 0, reported.output or 0
    if given > most_input_tokens(asked):
        return f"{counted(given, 'input token')}, more than {asked.sent_bytes:,} bytes sent can be"
    if output > most_output_tokens(asked, seen):
        characters = counted(seen.characters, "character")
        return f"{counted(output, 'output token')}, more than {characters} can be"
    return ""


def _too_little(reported: Reported, seen: Seen) -> str:
    """Return the output count that is less than half of what surely came, in words."""
    if reported.output is None or seen.tokens < LEAST_SEEN or 2 * reported.output >= seen.tokens:
        return ""
    return f"{counted(reported.output, 'output token')} where at least {seen.tokens:,} came"


def _cost_by(price: Price, reported: Reported) -> float | None:
    """Return what the counts cost by a price; None where one of them is unknown."""
    if reported.input_tokens is None or reported.output is None:
        return None
    cached = 0
    if price.cached_input is not None:
        cached = min(reported.cached_tokens or 0, reported.input_tokens)
    usd = price.input * (reported.input_tokens - cached) + price.output * reported.output
    return (usd + cached * (price.cached_input or 0.0)) / PER_MILLION
