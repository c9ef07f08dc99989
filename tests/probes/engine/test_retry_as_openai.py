"""Retries decide as the official client does: both are sent to the same failing servers.

Neither waits here: what each asked its clock for is noted instead. Without jitter the two must be
equal to the digit. Where they differ on purpose the difference stands in `DIFFERENCES`, which is
the table under "Where our retries differ" in probes/answers/README.md.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from clocks import ManualClock
from official import (
    PATIENCE_S,
    Counted,
    HastyClock,
    KeptTransport,
    call,
    official_client,
    officially,
    ours,
    probe_at,
    route_to,
)
from openai import _base_client, _constants
from pages import Page
from probing import probe_once
from stream_cases import CASES, cases_of
from transports import stamping
from wire import Play, Wire, chat_answer, play_case, serve

from probes.answers.retry_after import LONGEST_WAIT_S
from probes.config import Route
from probes.engine.gate import STAGGER_S, Gate
from probes.engine.retry import FIRST_BACK_OFF_S, JITTER, LONGEST_BACK_OFF_S
from probes.events import AttemptFinished, Event, StampLadder
from probes.kit.clock import Clock
from probes.money.spending import Spending

pytestmark = pytest.mark.anyio

STALLED_S = 0.3


@dataclass(frozen=True)
class Difference:
    """Where ours and the official client's retries differ on purpose."""

    ours: str
    official: str
    reason: str
    applies: Callable[[dict[str, Any]], bool] = lambda _case: False
    """Whether a case shows it; the others have a test of their own below."""


def would_insist(status: int) -> bool:
    """Whether the official client retries what comes with a status that may be a bill's."""
    return status == 429 or status >= 500


def would_pass(case: dict[str, Any]) -> bool:
    """Whether a case says that the same request would be tried again."""
    expected = case["expect"]
    return bool(expected.get("retryable", expected["outcome"] in ("throttled", "server_error")))


def is_bill(case: dict[str, Any]) -> bool:
    """Whether the official client would insist, and we say that it is no use."""
    insists = would_insist(case["status"]) or case["headers"].get("x-should-retry") == "true"
    is_final = case["expect"]["outcome"] == "client_error" and not would_pass(case)
    return bool(insists and is_final)


def asks_in_body(case: dict[str, Any]) -> bool:
    asked = {"retry_after_ms", "retry_after_s"} & case["expect"].keys()
    return bool(asked) and not any(name.startswith("retry-after") for name in case["headers"])


def is_spelt_otherwise(case: dict[str, Any]) -> bool:
    """Whether a `Retry-After` is a Unix time, has a unit, or is in quotes."""
    given = case["headers"].get("retry-after", "")
    spelt = r"[0-9]{10,19}|@unix\+[0-9]+|\".*\"|P.*|.*[0-9] ?[a-z]+|[0-9]{4}-.*Z"
    return bool(re.fullmatch(spelt, given))


def is_told_otherwise(case: dict[str, Any]) -> bool:
    """Whether what passes is told with a status at which the official client gives up."""
    passes = would_pass(case) and "x-should-retry" not in case["headers"]
    return passes and case["status"] in (400, 401, 403, 422, 424)


DIFFERENCES = {
    "money": Difference(
        "a bill is not retried, be it a 429, a 5xx or sent with `x-should-retry: true`",
        "retries it twice",
        "money does not come back in a second, and a probe that insists looks like an attack",
        is_bill,
    ),
    "capacity": Difference(
        "a 498 is retried",
        "does not",
        "Groq documents it as out of capacity, to be tried again",
        lambda case: case["status"] == 498,
    ),
    "body": Difference(
        "a wait in a field of the body is obeyed: `google.rpc.RetryInfo`, `retry_after`,"
        " `resets_in_seconds`",
        "reads no body",
        "Google and Cloudflare send no `Retry-After`, and their own clients obey this",
        asks_in_body,
    ),
    "told": Difference(
        "a rate told with 400 or 403, and a 424, are retried",
        "looks at the status, and gives up",
        "AWS and gateways say a rate under other statuses; a 424 is a model that failed",
        is_told_otherwise,
    ),
    "quoted": Difference(
        "a 5xx that quotes a 400, 401, 403 or 404 of its provider is not retried",
        "looks at the status, and retries it twice",
        "the same request fails there again",
        lambda case: (
            case["status"] >= 500
            and case["expect"]["outcome"] == "client_error"
            and case["expect"].get("reason") not in ("quota", "blocked")
        ),
    ),
    "blocked": Difference(
        "a bot check before the API is not tried again, be it a 503",
        "retries it twice",
        "it never lets a program through, and insisting makes it worse",
        lambda case: case["expect"].get("reason") == "blocked" and would_insist(case["status"]),
    ),
    "spelling": Difference(
        "a `Retry-After` that is a Unix time, an RFC 3339 moment or has a unit (`30s`) is"
        " understood",
        "takes a Unix time for a wait beyond 120 s, the others for none",
        "gateways send them, and mean them",
        is_spelt_otherwise,
    ),
    "clock": Difference(
        "a `Retry-After` that is a date is read by the server's own `Date`",
        "reads it by the local clock",
        "a wait is right although one of the two clocks is wrong",
        lambda case: {"date", "retry-after"} <= case["headers"].keys(),
    ),
    "stale": Difference(
        "a kept connection that was closed while it lay idle is replaced at once, with the reason"
        " `stale_connection`",
        "backs off first",
        "nobody refused anything: a wait would be ours, not the route's",
    ),
    "redirect": Difference(
        "a redirect is not followed: its target is shown",
        "follows it",
        "a key is not sent to where it was not meant for",
    ),
    "parameter": Difference(
        "a 400 that names a parameter of ours it does not know is asked again without it, once",
        "gives up",
        "the user would have asked otherwise; it is said, and it counts as no retry",
    ),
    "route": Difference(
        "a 429 with a wait holds the whole route back, and its probes come back one after another,"
        f" {STAGGER_S:g} s apart",
        "each call waits for itself",
        "the limit is the route's, and all at once would hit it again",
    ),
}


@pytest.fixture
def jitter(request: pytest.FixtureRequest) -> float:
    return getattr(request, "param", 0.0)


@pytest.fixture
def official_waits(monkeypatch: pytest.MonkeyPatch, jitter: float) -> list[float]:
    """Let the official client note its waits rather than sleep; with a jitter that is given."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(_base_client, "anyio", SimpleNamespace(sleep=note))
    monkeypatch.setattr(_base_client, "random", lambda: jitter)
    return waits


SAMPLE = cases_of("stream_cases.jsonl")


def is_compared(case: dict[str, Any]) -> bool:
    """Failures of the chat dialect, where headers stand by themselves.

    Redirects have a test of their own, and bombs are not fed. Once a 200 began nobody tries again:
    of those the sample is enough.
    """
    coded = "content-encoding" in case["headers"] and case["status"] == 200
    raw = case.get("framing") == "raw" and case["status"] > 0
    redirects = 300 <= case["status"] < 400
    failed = case["api"] == "chat" and case["expect"]["outcome"] != "ok"
    failed &= case["status"] != 200 or case in SAMPLE
    return failed and not (coded or raw or redirects)


FAILING = [case for case in CASES if is_compared(case)]


def difference_of(case: dict[str, Any]) -> Difference | None:
    return next((found for found in DIFFERENCES.values() if found.applies(case)), None)


@pytest.mark.parametrize("case", FAILING, ids=[case["name"] for case in FAILING])
async def test_a_failing_case_is_retried_as_the_official_client_does(
    case: dict[str, Any], official_waits: list[float]
) -> None:
    timeout_s = STALLED_S if case["close"] == "stall" else PATIENCE_S
    official = await officially(play_case(case), official_waits, timeout_s)
    probe = await ours(play_case(case), timeout_s=timeout_s)
    assert official.requests == len(official.waits) + 1
    assert probe.requests == len(probe.waits) + 1
    if difference_of(case) is None:
        assert probe == official
    else:
        assert probe != official
        assert bool(probe.waits) == would_pass(case)
    if "sdk_retries" in case["expect"]:
        assert bool(official.waits) == case["expect"]["sdk_retries"]


def test_every_difference_by_case_is_shown_by_one() -> None:
    by_case = ("money", "capacity", "body", "told", "quoted", "blocked", "spelling", "clock")
    assert [name for name in by_case if not any(map(DIFFERENCES[name].applies, FAILING))] == []


def refusal(status: int, body: str = '{"error": {"message": "no"}}', **headers: str) -> Play:
    """Answer all requests with a refusal."""
    given = "".join(f"{name.replace('_', '-')}: {told}\r\n" for name, told in headers.items())

    async def play(wire: Wire) -> bool:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{given}"
        await wire.send(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        return True

    return play


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0], indirect=True)
async def test_the_back_off_is_the_same_at_every_jitter(
    jitter: float, official_waits: list[float]
) -> None:
    official = await officially(refusal(500), official_waits)
    probe = await ours(refusal(500), jitter)
    assert probe == official
    assert probe.waits == pytest.approx([0.5 * (1 - jitter / 4), 1.0 * (1 - jitter / 4)])


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after_ms": "644", "retry_after": "9"},
        {"retry_after_ms": "soon", "retry_after": "9"},
        {"retry_after_ms": "-1", "retry_after": "9"},
        {"retry_after_ms": "0", "retry_after": "9"},
        {"retry_after_ms": "nan", "retry_after": "9"},
        {"retry_after_ms": "inf"},
        {"retry_after_ms": "120000"},
        {"retry_after_ms": "120001"},
        {"retry_after": "1.5"},
        {"retry_after": " 2 "},
        {"retry_after": "+3"},
        {"retry_after": "1e1"},
        {"retry_after": "1_0"},
        {"retry_after": "120"},
        {"retry_after": "120.5"},
        {"retry_after": "0"},
        {"retry_after": "-0.0"},
        {"retry_after": "-9"},
        {"retry_after": "inf"},
        {"retry_after": "9" * 400},
        {"retry_after": ""},
        {"retry_after": "2, 3"},
        {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"retry_after": "Wed, 21 Oct 2099 07:28:00 GMT"},
        {"retry_after": "Wed, 99 Oct 2099 07:28:00 GMT"},
        {"x_should_retry": "true"},
        {"x_should_retry": "false"},
        {"x_should_retry": "FALSE"},
        {"x_should_retry": "0"},
        {"x_should_retry": "true", "retry_after": "121"},
        {"x_should_retry": "false", "retry_after": "1"},
        {"x_should_retry": "true", "retry_after": "2"},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 429, 503])
async def test_the_headers_are_obeyed_as_the_official_client_does(
    status: int, headers: dict[str, str], official_waits: list[float]
) -> None:
    official = await officially(refusal(status, **headers), official_waits)
    assert await ours(refusal(status, **headers)) == official


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 501, 599])
async def test_a_status_decides_as_it_does_there(status: int, official_waits: list[float]) -> None:
    official = await officially(refusal(status), official_waits)
    assert await ours(refusal(status)) == official


async def test_a_refused_connection_is_tried_again(official_waits: list[float]) -> None:
    async with serve(refusal(500)) as server:
        url = server.url
    async with official_client(url) as client:
        await call(client)
    assert (await probe_at(url)).waits == official_waits == [0.5, 1.0]


def test_the_constants_are_those_of_the_official_client() -> None:
    assert FIRST_BACK_OFF_S == _constants.INITIAL_RETRY_DELAY
    assert LONGEST_BACK_OFF_S == _constants.MAX_RETRY_DELAY
    assert LONGEST_WAIT_S == _constants.MAX_RETRY_AFTER_DELAY
    assert route_to("http://127.0.0.1/v1").retries == _constants.DEFAULT_MAX_RETRIES


async def test_the_jitter_is_that_of_the_official_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base_client, "random", lambda: 1.0)
    async with official_client("http://127.0.0.1/v1") as client:
        options = _base_client.FinalRequestOptions(method="post", url="/")
        most = client._calculate_retry_timeout(client.max_retries, options)
    assert most == pytest.approx(FIRST_BACK_OFF_S * (1 - JITTER))


async def test_a_stale_connection_is_replaced_at_once(official_waits: list[float]) -> None:
    """`DIFFERENCES["stale"]`: the server closes the kept connection as it is used again."""

    def closing_on_reuse() -> Play:
        answered: list[Wire] = []  # held, so that no new one is taken for one that has gone

        async def play(wire: Wire) -> bool:
            if any(wire is one for one in answered):
                return False
            answered.append(wire)
            await wire.send(*chat_answer("a"))
            return True

        return play

    async with serve(closing_on_reuse()) as server, official_client(server.url) as client:
        await call(client)
        await call(client)
    assert official_waits == [0.5]
    clock = HastyClock()
    async with serve(closing_on_reuse()) as server:
        route = route_to(server.url)
        transport = stamping(route, clock)

        def kept(_route: Route, _clock: Clock) -> Any:
            return KeptTransport(transport)

        for _ in range(2):
            record = await probe_once(route, {}, clock=clock, random=Random(1), transport=kept)
        await transport.aclose()
    assert [attempt.reason for attempt in record.attempts] == ["stale_connection", ""]
    assert clock.asked == []


async def test_a_redirect_is_not_followed(official_waits: list[float]) -> None:
    """`DIFFERENCES["redirect"]`."""

    async def play(wire: Wire) -> bool:
        if wire.path.endswith("elsewhere"):
            await wire.send(*chat_answer("a"))
            return True
        return bool(await refusal(307, location="/elsewhere")(wire))

    assert (await officially(play, official_waits)).requests == 2
    assert (await ours(play)).requests == 1


async def test_an_unknown_parameter_is_left_out_once(official_waits: list[float]) -> None:
    """`DIFFERENCES["parameter"]`."""
    words = "Unsupported parameter: 'max_tokens' is not supported with this model."
    play = refusal(400, f'{{"error": {{"message": "{words}"}}}}')
    assert (await officially(play, official_waits)).requests == 1
    assert await ours(play) == Counted([], requests=2)


async def test_a_wait_is_the_whole_routes() -> None:
    """`DIFFERENCES["route"]`: those who ask later wait too, and come back one after another."""
    clock, events = ManualClock(), list[Event]()
    gate = Gate(
        "r",
        clock=clock,
        random=Random(1),
        spending=Spending(),
        emit=events.append,
        reader_stalled=lambda: False,
    )
    throttled = AttemptFinished(
        at_ns=clock.now_ns,
        route="r",
        probe="1-1",
        attempt=0,
        outcome="throttled",
        stamps_ns=StampLadder(),
        retry_after_s=2.0,
    )
    gate.settle(throttled)
    admitted: list[float] = []

    async def admit() -> None:
        await gate.admit(lambda: 1, lambda: False)
        admitted.append((clock.now_ns - throttled.at_ns) / 1e9)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(admit)
        await clock.advance(3)
    first, *_, last = sorted(admitted)
    assert first == pytest.approx(2.0, abs=STAGGER_S)
    assert first >= 2.0
    assert last - first == pytest.approx(2 * STAGGER_S, abs=STAGGER_S)


def test_the_differences_are_those_that_the_page_lists() -> None:
    told = Page("probes/answers/README.md").rows("Where our retries differ")
    assert told == [[one.ours, one.official, one.reason] for one in DIFFERENCES.values()]
