"""Prices from the providers' own lists."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import anyio
import pytest
from probing import probe_once
from transports import TRANSPORTS
from wire import Play, Served, Wire, chat_answer, serve

from probes.config import Budget, Config, Price, Route
from probes.events import AttemptFinished, Event, Held, Notice, PriceInfo
from probes.kit.clock import SystemClock
from probes.money import price_list
from probes.money.budget_lease import unenforceable_budgets
from probes.money.ledger import Ledger
from probes.money.price_list import MOST_BYTES, NO_PRICE, PriceListError, ask_prices, prices_in
from probes.money.pricing import wants_list
from probes.run.session import Session

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-value-of-the-route"
HEADERS = {"Authorization": f"Bearer {KEY}"}
DEEPINFRA = {"input_tokens": 0.02, "output_tokens": 0.05, "cache_read_tokens": 0.01}
OPENROUTER = {"prompt": "0.00000015", "completion": "0.0000006", "request": "0"}
TOGETHER = {"hourly": 0, "input": 0.18, "output": 0.18, "base": 0, "finetune": 0}
GZIP = "content-encoding: gzip\r\n"
LISTED = Price(input=0.02, output=0.05, cached_input=0.01)


def listed(**model: object) -> bytes:
    others = [{"id": "other", "pricing": {"prompt": "1"}}, {"id": None}, {"metadata": None}]
    return json.dumps({"object": "list", "data": [*others, {"id": "m", **model}]}).encode()


DEEPINFRA_LIST = listed(object="model", metadata={"context_length": 131_072, "pricing": DEEPINFRA})


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ({"metadata": {"pricing": DEEPINFRA}}, LISTED),
        ({"metadata": {"pricing": {"input_tokens": 1, "output_tokens": 2}}},
         Price(input=1, output=2)),
        ({"pricing": OPENROUTER}, Price(input=0.15, output=0.6)),
        ({"pricing": {**OPENROUTER, "input_cache_read": "0.000000003"}},
         Price(input=0.15, output=0.6, cached_input=0.003)),
        ({"pricing": TOGETHER}, Price(input=0.18, output=0.18)),
        # told, and no price
        ({"metadata": {"pricing": {"per_image_unit": 0.0005}}}, None),
        ({"metadata": {"pricing": {**DEEPINFRA, "output_tokens": -1}}}, None),
        ({"metadata": {"pricing": {**DEEPINFRA, "input_tokens": 1e9}}}, None),
        ({"pricing": {"prompt": "-1", "completion": "-1"}}, None),  # "it depends"
        ({"pricing": {"prompt": "0", "completion": "0"}}, None),
        ({"pricing": {"prompt": "nan", "completion": "0.1"}}, None),
        ({"pricing": {**TOGETHER, "input": 0, "output": 0}}, None),  # by the hour
        ({"pricing": {"input": "0.000003", "output": "0.000015"}}, None),  # of which unit?
        ({"metadata": {"pricing": {**DEEPINFRA, "cache_read_tokens": 5}}},
         Price(input=0.02, output=0.05)),
    ],
)  # fmt: skip
def test_a_price_is_read_by_the_shape_of_the_list(
    model: dict[str, object], price: Price | None
) -> None:
    found = prices_in(listed(**model), {"m"})
    assert found == {"m": price}


@pytest.mark.parametrize(
    "model",
    [{}, {"pricing": None, "metadata": None}, {"pricing": "0.1", "metadata": []}, {"pricing": {}}],
)
def test_a_model_without_any_price_is_passed_over(model: dict[str, object]) -> None:
    assert prices_in(listed(**model), {"m"}) == {}


def test_a_free_model_costs_nothing() -> None:
    free = {"id": "x:free", "pricing": {"prompt": "0", "completion": "0"}}
    found = prices_in(json.dumps({"data": [free]}).encode(), {"x:free"})
    assert found == {"x:free": Price(input=0, output=0)}


def test_a_list_without_an_envelope_is_one_too() -> None:
    body = json.dumps([{"id": "m", "pricing": TOGETHER}]).encode()
    assert prices_in(body, {"m"}) == {"m": Price(input=0.18, output=0.18)}


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b"<html>", b'{"data":null}', b'{"data":[1]}', b"[" * 2_000_000,
     b'{"data":' + b"[" * 1_000_000, b'{"data":[{"id":"m"', b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_list_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(PriceListError, match="no list of models"):
        prices_in(body, {"m"})


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, True),
        ({"price_list": True}, True),
        ({"price_list": False}, False),
        ({"price": Price(input=1, output=2)}, False),
        ({"price": Price(input=1, output=2), "price_list": True}, False),
        ({"base_url": "http://127.0.0.1:8000/v1"}, False),
        ({"base_url": "http://localhost:8000/v1"}, False),
        ({"base_url": "http://[::1]:8000/v1", "price_list": True}, True),
        ({"unix_socket": "/run/llm.sock"}, False),
        ({"dialect": "auto"}, True),
        ({"dialect": "responses"}, True),
        ({"dialect": "messages"}, False),
        ({"dialect": "ollama"}, False),
        ({"dialect": "azure"}, False),
    ],
)
def test_who_asks_a_list(settings: dict[str, object], wanted: bool) -> None:
    known = {"base_url": "https://api.example.com/v1", "model": "m", **settings}
    assert wants_list(Route(name="r", **known)) is wanted  # type: ignore[arg-type]


@dataclass
class Provider:
    """Serves a list and answers; keeps what it was asked."""

    answer: bytes = DEEPINFRA_LIST
    status: int = 200
    headers: str = ""
    needs_key: bool = False
    wait_s: float = 0.0
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    async def play(self, wire: Wire) -> bool:
        method, path, _ = wire.head.decode().split(" ", 2)
        self.asked.append((f"{method} {path}", wire.head))
        if not path.endswith("/models"):
            await wire.send(*chat_answer("Hel", "lo"))
            return True
        await anyio.sleep(self.wait_s)
        status = 401 if self.needs_key and KEY.encode() not in wire.head else self.status
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(self.answer)}\r\n{self.headers}\r\n"
        await wire.send(head.encode() + self.answer)
        return True

    @property
    def lists(self) -> list[bytes]:
        return [head for what, head in self.asked if what.startswith("GET ")]


def route_to(server: Served, **settings: object) -> Route:
    known: dict[str, object] = {"model": "m", "price_list": True, "retries": 0, **settings}
    return Route(name="r", base_url=server.url, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_a_public_list_is_asked_without_the_key(transport: Callable[..., object]) -> None:
    provider = Provider()
    async with serve(provider.play) as server:
        route = route_to(server)
        asking = transport(route, SystemClock())
        assert await ask_prices(route, HEADERS, asking, {"m", "n"}) == {"m": LISTED}  # type: ignore[arg-type]
    ((what, head),) = provider.asked
    assert what == "GET /v1/models"
    assert KEY.encode() not in head
    assert b"content-length" not in head.lower()


async def ask(
    provider: Provider, headers: dict[str, str] = HEADERS
) -> dict[str, Price | None] | str:
    """Return the prices that a list tells, or why there are none."""
    async with serve(provider.play) as server:
        route = route_to(server)
        transport = TRANSPORTS["stamping"](route, SystemClock())
        try:
            return await ask_prices(route, headers, transport, {"m"})
        except PriceListError as error:
            return str(error)


async def test_a_list_that_wants_a_key_gets_the_route_s_own() -> None:
    provider = Provider(needs_key=True)
    assert await ask(provider) == {"m": LISTED}
    without, with_key = provider.lists
    assert KEY.encode() not in without
    assert f"Authorization: Bearer {KEY}".encode() in with_key


async def test_a_compressed_list_is_read() -> None:
    provider = Provider(gzip.compress(DEEPINFRA_LIST), headers=GZIP)
    assert await ask(provider) == {"m": LISTED}


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (Provider(status=500), "answered 500"),
        (Provider(needs_key=True), "answered 401"),
        (Provider(status=302, headers="location: http://127.0.0.1:1/models\r\n"), "answered 302"),
        (Provider(b" " * (MOST_BYTES + 1)), "longer than 4 MB"),
        (Provider(gzip.compress(b" " * 9_000_000), headers=GZIP), "encoding"),
        (Provider(headers="content-encoding: br\r\n"), "encoding"),
        (Provider(b"<html>no</html>"), "no list of models"),
        (Provider(wait_s=30), "no answer within 0.2 s"),
    ],
    ids=["error", "no key", "redirect", "long", "bomb", "brotli", "html", "hangs"],
)  # fmt: skip
async def test_a_list_that_cannot_be_had_says_why(
    provider: Provider, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_list, "PATIENCE_S", 0.2 if provider.wait_s else 5.0)
    told = await ask(provider, {} if provider.needs_key else HEADERS)
    assert said in str(told)


async def test_a_server_without_a_list_tells_no_price() -> None:
    assert await ask(Provider(b"nothing here", status=404)) == {}


async def test_nobody_listens() -> None:
    route = Route(name="r", base_url="http://127.0.0.1:9/v1", model="m")
    transport = TRANSPORTS["stamping"](route, SystemClock())
    with pytest.raises(PriceListError, match="cannot be reached"):
        await ask_prices(route, {}, transport, {"m"})


@pytest.mark.parametrize("wait_s", [0.0, 0.3], ids=["before", "after"])
async def test_one_probe_costs_what_the_list_says(wait_s: float) -> None:
    provider = Provider(wait_s=wait_s)
    async with serve(provider.play) as server:
        record = await probe_once(route_to(server), {}, clock=SystemClock(), random=Random(1))
    (attempt,) = record.attempts
    cost = (9 * 0.02 + 2 * 0.05) / 1e6
    assert (attempt.cost_usd, attempt.cost_source) == (pytest.approx(cost), "list")
    assert attempt.charged_usd == record.probe.cost_usd == pytest.approx(cost)
    assert record.notices == (
        "price from the provider's list: 0.02 USD in (0.01 from its cache), 0.05 USD out,"
        " per million tokens",
    )


async def test_a_list_that_hangs_holds_a_single_probe_up_for_a_second_at_most() -> None:
    provider = Provider(wait_s=30)
    async with serve(provider.play) as server:
        with anyio.fail_after(3):
            record = await probe_once(route_to(server), {}, clock=SystemClock(), random=Random(1))
    assert record.probe.outcome == "ok"
    assert record.attempts[0].cost_source == "unknown"


async def run(
    play: Play, until: Callable[[list[Event]], bool], budget: Budget, **settings: object
) -> list[Event]:
    heard: list[Event] = []
    async with serve(play) as server:
        route = route_to(server, **{"interval": 0.02, **settings})
        config = Config(routes=(route,), budget=budget)
        ledger = Ledger(None)
        session = Session(config, {"r": HEADERS}, recorder=None, ledger=ledger, in_process=True)
        session.subscribe(lambda events, _lines: heard.extend(events))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            with anyio.fail_after(10):
                while not until(heard):  # noqa: ASYNC110 - sockets bring it about
                    await anyio.sleep(0.01)
            info = next(iter(session.board.snapshot().routes), None)
            assert info is not None
            session.stop()
        ledger.close()
    return heard


async def test_a_run_reckons_with_the_list_and_its_usd_budget_binds() -> None:
    def held(heard: list[Event]) -> bool:
        return any(isinstance(event, Held) and event.reason == "budget" for event in heard)

    budget = Budget(route_usd_per_hour=400e-6)
    answer = listed(metadata={"pricing": {"input_tokens": 1.0, "output_tokens": 1.0}})
    heard = await run(Provider(answer).play, held, budget)
    notices = [event for event in heard if isinstance(event, Notice)]
    first, second = sorted(notices, key=lambda notice: notice.price is not None)
    assert "cannot be enforced until the provider's list tells one" in first.text
    assert second.price == PriceInfo(input=1.0, output=1.0, source="list")
    attempts = [event for event in heard if isinstance(event, AttemptFinished)]
    by_list = [event for event in attempts if event.cost_source == "list"]
    assert by_list
    assert sum(event.charged_usd or 0.0 for event in by_list) <= 400e-6


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "what came is no list of models"),
        (listed(pricing={"prompt": "-1", "completion": "-1"}), NO_PRICE),
        (listed(pricing={"input": 1e12, "output": 1}), NO_PRICE),
    ],
    ids=["fails", "negative", "absurd"],
)
async def test_a_list_that_fails_or_lies_is_one_notice_and_no_failure(
    answer: bytes, said: str
) -> None:
    def enough(heard: list[Event]) -> bool:
        return sum(isinstance(event, AttemptFinished) for event in heard) >= 5

    provider = Provider(answer, wait_s=0.05)
    heard = await run(provider.play, enough, Budget())
    assert [event.text for event in heard if isinstance(event, Notice)] == [
        f"no price from the provider's list: {said}"
    ]
    assert len(provider.lists) == 1
    assert {e.outcome for e in heard if isinstance(e, AttemptFinished)} <= {"ok", "cancelled"}


async def test_a_list_that_hangs_delays_no_probe_and_shares_no_connection() -> None:
    def enough(heard: list[Event]) -> bool:
        return sum(isinstance(event, AttemptFinished) for event in heard) >= 5

    provider = Provider(wait_s=30)
    heard = await run(provider.play, enough, Budget())
    firsts = [event for event in heard if isinstance(event, AttemptFinished)][:5]
    assert sum(event.cold for event in firsts) == 1
    assert not any(isinstance(event, Notice) for event in heard)


def test_the_words_of_an_unpriced_budget_tell_of_the_list() -> None:
    budget = Budget(usd_per_hour=1.0)
    far = Route(name="far", base_url="https://h/v1", model="m")
    near = Route(name="near", base_url="http://127.0.0.1/v1", model="m")
    told = dict(unenforceable_budgets([far, near], budget))
    assert "until the provider's list tells one" in told["far"]
    assert "until" not in told["near"]
