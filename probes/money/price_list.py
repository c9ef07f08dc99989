"""Prices from the providers' own lists: what a route costs that has no `price` of its own.

Rule 1. Asked is the models list beside the route's own URL, once an engine and once for all routes
        that share it; on loopback only with `price_list = true`, never with `price_list = false`.
Rule 2. It is asked on a connection of its own, with the route's TLS and proxy, without a key. Only
        a server that refuses that is asked again with the route's key: it is the route's own
        origin. Redirects are not followed.
Rule 3. Whatever a list says or does costs a probe nothing: 5 seconds, 4 MB, one decoding that skips
        what it does not need; then there is no price, and one notice says why.
Rule 4. A price is read by the shape of the answer: DeepInfra's `metadata.pricing` (USD per million
        tokens), OpenRouter's `pricing.prompt` and `.completion` (USD per token, in strings) and
        Together's `pricing.input` and `.output` (per million, in numbers). What is negative, absurd
        or 0 is no price, but for OpenRouter's free models.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

import anyio
import msgspec

from probes.answers.body import Inflater, UnknownEncodingError
from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import endpoint
from probes.answers.lenient import mapping, quantity
from probes.answers.request_headers import request_headers
from probes.config import Price, Route
from probes.money.pricing import PER_MILLION, USD_A_TOKEN
from probes.transport import Request, Transport
from probes.transport.failures import NETWORK_ERRORS

PATIENCE_S: Final = 5.0
MOST_BYTES: Final = 4 * 1024 * 1024
"""OpenRouter's list of some 400 models is well below 1 MB."""
_MOST_PRICE: Final = USD_A_TOKEN * PER_MILLION
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "llmtop",
}
_FREE: Final = ":free"
_NEEDS_KEY: Final = (401, 403)
_NO_LIST: Final = (404, 405)


NO_PRICE: Final = "what it tells of the model can be no price"


class PriceListError(Exception):
    """There is no list to be read; the text says why, without a secret."""


class _Model(msgspec.Struct, gc=False):
    """What is needed of a model; the rest of it is skipped."""

    id: Any = None
    pricing: Any = None
    metadata: Any = None


class _Listed(msgspec.Struct, gc=False):
    """A list in its envelope."""

    data: list[_Model]


_listed: Final = msgspec.json.Decoder(_Listed)
_models: Final = msgspec.json.Decoder(list[_Model])


def list_url(route: Route) -> str:
    """Return where the models of a route's server are listed."""
    return endpoint(route.base_url, "/models")


async def ask_prices(
    route: Route, headers: Mapping[str, str], transport: Transport, models: Collection[str]
) -> dict[str, Price | None]:
    """Return what a route's list tells of the prices of some models; the transport is closed.

    None is what it tells where that can be no price. `headers` are the route's with its key. A
    server that has no list tells no price.

    Raises:
        PriceListError: no list came, or none that can be read.
    """
    try:
        with anyio.fail_after(PATIENCE_S):
            body = await _list_of(route, headers, transport)
    except TimeoutError:
        raise PriceListError(f"no answer within {PATIENCE_S:g} s") from None
    except NETWORK_ERRORS as error:
        raise PriceListError(f"it cannot be reached ({type(error).__name__})") from None
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()
    return prices_in(body, models) if body else {}


async def _list_of(route: Route, headers: Mapping[str, str], transport: Transport) -> bytes:
    """Return the list's bytes; none where the server has no list."""
    url = list_url(route)
    status, body = await _get(url, _HEADERS, transport)
    if status in _NEEDS_KEY and headers:
        keyed = request_headers(headers, dialect_for("chat"), route.key_header)
        status, body = await _get(url, keyed, transport)
    if status in _NO_LIST:
        return b""
    if not 200 <= status < 300:
        raise PriceListError(f"the server answered {status}")
    return body


async def _get(url: str, headers: Mapping[str, str], transport: Transport) -> tuple[int, bytes]:
    """Return the status and the whole body of an answer."""
    body = bytearray()

    def take(data: bytes, *_: object) -> None:
        if len(body) + len(data) > MOST_BYTES:
            raise PriceListError(f"it is longer than {MOST_BYTES >> 20} MB")
        body.extend(data)

    request = Request(url, headers, b"", method="GET")
    async with transport.exchange(request, _Unheard()) as exchange:
        await exchange.read_body(take)
        encoding = exchange.headers.get("content-encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return exchange.status, bytes(body)
        try:
            return exchange.status, Inflater(encoding, MOST_BYTES).feed(bytes(body))
        except (UnknownEncodingError, OverflowError):
            raise PriceListError("its encoding cannot be undone") from None


class _Unheard:
    """A list's steps are nobody's figures."""

    def reached(self, step: str, at_ns: int) -> None:
        """Let it pass."""


def prices_in(body: bytes, models: Collection[str]) -> dict[str, Price | None]:
    """Return the prices that a list tells of some models, None for one that can be none (rule 4).

    Raises:
        PriceListError: the body is no list of models.
    """
    try:
        listed = _models.decode(body) if body.lstrip()[:1] == b"[" else _listed.decode(body).data
    except (ValueError, RecursionError):
        raise PriceListError("what came is no list of models") from None
    found: dict[str, Price | None] = {}
    for model in listed:
        if isinstance(model.id, str) and model.id in models and _tells_price(model):
            found[model.id] = found.get(model.id) or _price_of(model)
    return found


def _tells_price(model: _Model) -> bool:
    return bool(mapping(mapping(model.metadata).get("pricing")) or mapping(model.pricing))


def _price_of(model: _Model) -> Price | None:
    """Return a model's price in USD per million tokens, by whichever shape tells it."""
    own = mapping(mapping(model.metadata).get("pricing"))
    if own:
        listed = (own.get("input_tokens"), own.get("output_tokens"), own.get("cache_read_tokens"))
        return _price(*map(_per_million, listed))
    pricing = mapping(model.pricing)
    if "prompt" in pricing:
        listed = (pricing.get("prompt"), pricing.get("completion"), pricing.get("input_cache_read"))
        return _price(*map(_per_token, listed), free=str(model.id).endswith(_FREE))
    listed = (pricing.get("input"), pricing.get("output"), pricing.get("cached_input"))
    return _price(*map(_per_million, listed))


def _price(
    given: float | None, answered: float | None, cached: float | None, *, free: bool = False
) -> Price | None:
    if given is None or answered is None or not (given or answered or free):
        return None
    if cached is not None and cached > given:  # a cache that is dearer than none is no price
        cached = None
    return Price(input=given, output=answered, cached_input=cached)


def _per_million(value: object) -> float | None:
    """Return a number of USD per million; a string is of no known unit."""
    return None if isinstance(value, str) else _sane(quantity(value))


def _per_token(value: object) -> float | None:
    listed = quantity(value)
    return None if listed is None else _sane(round(listed * PER_MILLION, 9))


def _sane(price: float | None) -> float | None:
    """Return a price that can be one: no token is as dear as `pricing.USD_A_TOKEN`."""
    return price if price is not None and math.isfinite(price) and price <= _MOST_PRICE else None
