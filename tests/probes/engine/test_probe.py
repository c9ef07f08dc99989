"""One logical request with its attempts."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import anyio
import httpx
import pytest
from clocks import NS, ManualClock
from scripted import Network, Script, chat, refusal

from probes.config import Price, Route
from probes.config.scrubbing import Scrubber
from probes.engine.health import GapWatch
from probes.engine.probe import Probe, ProbeTools
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Notice,
    ProbeFinished,
)

pytestmark = pytest.mark.anyio

SECRET = "sk-very-secret-value"


class Desk:
    """A probe with everything around it."""

    def __init__(self, *scripts: Script, evidence: bool = False, **route: object) -> None:
        self.clock = ManualClock()
        self.network = Network(list(scripts))
        self.events: list[Event] = []
        self.admit_answers = [True] * 10
        self.settled: list[AttemptFinished] = []
        self.hold: anyio.Event | None = None
        settings = {"base_url": "http://127.0.0.1/v1", "model": "m", **route}
        self.route = Route(name="r", **settings)
        self.tools = ProbeTools(
            route=self.route,
            headers={"Authorization": f"Bearer {SECRET}"},
            clock=self.clock,
            random=Random(1),
            gaps=GapWatch(self.clock.now_ns, asleep_ns=lambda: 0),
            scrub=Scrubber(frozenset({SECRET})),
            emit=self.events.append,
            gate=self,
            prompt_tokens=20,
            max_tokens=64,
        )
        transport = self.network.transport(self.route, self.clock)
        self.admitted_as: list[bool] = []
        self.probe = Probe(
            "1-1", self.tools, transport, scheduled_ns=self.clock.now_ns, evidence=evidence
        )

    async def admit(
        self,
        tokens: Callable[[], int],
        cancelled: Callable[[], bool],
        *,
        evidence: bool = False,
        gives_way: bool = False,
    ) -> bool:
        self.admitted_as.append(evidence)
        if self.hold is not None:
            await self.hold.wait()
        return self.admit_answers.pop(0) and not cancelled()

    def settle(self, event: AttemptFinished) -> None:
        self.settled.append(event)

    async def run(self, seconds: float = 60) -> ProbeFinished | None:
        results: list[ProbeFinished | None] = []

        async def work() -> None:
            results.append(await self.probe.run())

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            for _ in range(round(seconds / 0.5)):
                self.tools.gaps.beat(self.clock.now_ns)
                await self.clock.advance(0.5)
                if results:
                    break
        return results[0]

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


async def test_a_good_probe_tells_its_story_in_order() -> None:
    desk = Desk(chat("a", "b", wait_s=0.1, gap_s=0.02))
    finished = await desk.run()
    kinds = [AttemptStarted, FirstToken, AttemptFinished, ProbeFinished]
    assert [type(event) for event in desk.events] == kinds
    assert finished is not None
    assert (finished.outcome, finished.attempts) == ("ok", 1)
    assert finished.first_token_ns is not None
    assert finished.first_token_ns - finished.started_ns == round(0.12 * NS)
    (attempt,) = desk.of(AttemptFinished)
    assert (attempt.input_tokens, attempt.output_tokens) == (9, 2)
    assert attempt.cohort == "64/256"
    assert attempt.charged_tokens == 11
    assert attempt.text is None


async def test_felt_ttft_counts_failed_attempts_and_their_waits() -> None:
    desk = Desk(refusal(503), chat("a"))
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.attempts) == ("ok", 2)
    first, second = desk.of(AttemptFinished)
    assert (first.outcome, first.retry.number) == ("server_error", 1)
    assert second.retry is None
    (token,) = desk.of(FirstToken)
    assert token.felt_ns == second.stamps_ns.first_token - first.stamps_ns.started
    assert finished.retry_wait_ns == second.stamps_ns.started - first.at_ns
    assert finished.retry_wait_ns > 0.3 * NS


async def test_retries_end_with_the_policy() -> None:
    desk = Desk(refusal(500), retries=2)
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.attempts) == ("server_error", 3)
    assert [event.attempt for event in desk.of(AttemptFinished)] == [0, 1, 2]


async def test_a_network_failure_is_an_attempt_with_a_reason() -> None:
    desk = Desk(Script(error=httpx.ConnectError("All connection attempts failed")), retries=0)
    finished = await desk.run()
    assert finished is not None
    assert finished.outcome == "protocol_error" or finished.reason.startswith("connect")
    (attempt,) = desk.of(AttemptFinished)
    assert attempt.status is None


async def test_a_cancelled_wait_ends_the_probe_at_once_as_cancelled() -> None:
    desk = Desk(refusal(503), chat("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(desk.probe.run)
        await desk.clock.advance(0.2)
        desk.probe.cancel()
        await desk.clock.advance(0)
        (finished,) = desk.of(ProbeFinished)
    assert (finished.outcome, finished.reason) == ("cancelled", "user")
    assert len(desk.of(AttemptFinished)) == 1


async def test_a_probe_that_is_never_admitted_leaves_no_trace() -> None:
    desk = Desk(chat("a"))
    desk.admit_answers = [False]
    assert await desk.run() is None
    assert desk.events == []


async def test_a_probe_beside_the_pace_is_marked_in_all_that_is_told_of_it() -> None:
    desk = Desk(refusal(500), chat("a"), evidence=True)
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.attempts) == ("ok", 2)
    told = [*desk.of(AttemptStarted), *desk.of(AttemptFinished), *desk.of(ProbeFinished)]
    assert [event.evidence for event in told] == [True] * 5
    assert desk.admitted_as == [True, True]
    usual = Desk(chat("a"))
    await usual.run()
    told = [*usual.of(AttemptStarted), *usual.of(AttemptFinished), *usual.of(ProbeFinished)]
    assert [event.evidence for event in told] == [False] * 3
    assert usual.admitted_as == [False]


@pytest.mark.parametrize(
    "answer",
    [
        refusal(429),
        refusal(429, "the model is overloaded"),
        refusal(529),
        refusal(402),
        refusal(503, retry_after="1"),
    ],
)
async def test_a_probe_beside_the_pace_does_not_ask_again_who_asked_for_less(
    answer: Script,
) -> None:
    desk = Desk(answer, evidence=True)
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.attempts) == (desk.settled[0].outcome, 1)
    assert finished.outcome in ("throttled", "server_error", "client_error")
    assert desk.settled[0].retry is None


async def test_a_retry_beside_the_pace_that_may_not_go_ends_its_probe() -> None:
    desk = Desk(refusal(500), evidence=True)
    desk.admit_answers = [True, False]
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.reason) == ("cancelled", "evidence")
    assert len(desk.network.requests) == 1


async def test_a_defect_of_ours_beside_the_pace_stays_marked() -> None:
    desk = Desk(Script(error=RuntimeError("ours")), evidence=True)
    with pytest.raises(ExceptionGroup):
        await desk.run(2)
    told = [*desk.of(AttemptStarted), *desk.of(AttemptFinished), *desk.of(ProbeFinished)]
    assert [event.evidence for event in told] == [True] * 3


async def test_an_unsupported_cap_field_is_changed_once_and_said() -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    )
    desk = Desk(refusal(400, message), chat("a"))
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.attempts) == ("ok", 2)
    assert b'"max_tokens":64' in desk.network.requests[0].body
    assert b'"max_completion_tokens":64' in desk.network.requests[1].body
    assert len(desk.of(Notice)) == 1


async def test_counts_with_every_chunk_are_not_asked_for_twice_of_a_server_that_refuses() -> None:
    message = "body.stream_options.continuous_usage_stats: Extra inputs are not permitted"
    desk = Desk(refusal(422, message), chat("a"), continuous_usage=True)
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.attempts) == ("ok", 2)
    assert b'"continuous_usage_stats":true' in desk.network.requests[0].body
    assert b'"stream_options":{"include_usage":true}' in desk.network.requests[1].body
    (notice,) = desk.of(Notice)
    assert notice.text == ("continuous_usage_stats is not sent, so tokens are counted at the end")


async def test_what_gateways_tell_of_a_request_is_on_its_attempt() -> None:
    told = {
        "x_litellm_attempted_retries": "2",
        "x_litellm_call_id": "call_1",
        "x_request_id": "req_1",
        "x_litellm_model_api_base": "https://b.example",
        "x_envoy_upstream_service_time": "55",
    }
    desk = Desk(refusal(400, "no", **told))
    await desk.run()
    (attempt,) = desk.of(AttemptFinished)
    assert attempt.hidden_retries == 2
    assert attempt.request_id == "req_1"
    assert attempt.request_ids == {"x-request-id": "req_1", "x-litellm-call-id": "call_1"}
    assert attempt.headers["x-litellm-model-api-base"] == "https://b.example"
    (claim,) = attempt.server_claims
    assert (claim.interval, claim.raw, claim.unit) == ("headers", 55.0, "ms")


async def test_the_servers_words_are_scrubbed_of_our_key() -> None:
    said = {"x_request_id": SECRET, "x_litellm_call_id": SECRET}
    desk = Desk(refusal(401, f"Incorrect API key provided: {SECRET}", **said))
    await desk.run()
    assert SECRET not in repr(desk.events)
    (attempt,) = desk.of(AttemptFinished)
    assert "Incorrect API key provided: [secret]" in attempt.message
    assert attempt.reason == "auth"


async def test_a_price_gives_the_cost_where_the_provider_says_none() -> None:
    desk = Desk(chat("a", "b"), price=Price(input=1.0, output=10.0))
    finished = await desk.run()
    assert finished is not None
    assert finished.cost_usd == pytest.approx((9 * 1.0 + 2 * 10.0) / 1e6)
    assert desk.of(AttemptFinished)[0].cost_source == "price"


async def test_a_refused_attempt_costs_no_tokens_but_a_lost_one_costs_its_reservation() -> None:
    refused = Desk(refusal(500), retries=0)
    await refused.run()
    assert refused.of(AttemptFinished)[0].charged_tokens == 0
    lost = Desk(Script(parts=((0.1, b": hello\n\n"),)), retries=0)
    await lost.run()
    assert lost.of(AttemptFinished)[0].charged_tokens == 84


async def test_a_cache_is_missed_by_a_nonce_that_differs() -> None:
    bodies = []
    for seed in (1, 2):
        desk = Desk(chat("a"), cache="bust")
        desk.tools.random = Random(seed)
        await desk.run()
        bodies.append(desk.network.requests[0].body)
    assert bodies[0] != bodies[1]


async def test_a_defect_of_ours_closes_the_books_and_is_not_hidden() -> None:
    desk = Desk(Script(error=RuntimeError("ours")))
    with pytest.raises(ExceptionGroup) as caught:
        await desk.run(2)
    assert "ours" in repr(caught.value.exceptions)
    (attempt,) = desk.of(AttemptFinished)
    (finished,) = desk.of(ProbeFinished)
    assert attempt.outcome == finished.outcome == "cancelled"


async def test_a_probe_that_was_sent_before_another_learned_asks_again_as_that_one_does() -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    )
    desk = Desk(refusal(400, message), chat("a"))
    asked = desk.tools.request_builder.way
    learned = replace(asked.adaptation, cap_field="max_completion_tokens", cap_switched=True)
    async with anyio.create_task_group() as group:
        group.start_soon(desk.probe.run)
        await desk.clock.advance(0.05)
        desk.tools.request_builder.way = replace(asked, adaptation=learned)
        await desk.clock.advance(5)
    assert desk.of(ProbeFinished)[0].outcome == "ok"
    assert b'"max_completion_tokens":64' in desk.network.requests[1].body
    assert desk.of(Notice) == []
    assert desk.tools.request_builder.way.adaptation == learned


async def test_a_cap_that_changes_while_a_retry_waits_is_told_with_its_own_cohort() -> None:
    desk = Desk(refusal(503), chat("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(desk.probe.run)
        await desk.clock.advance(0.2)
        desk.hold = anyio.Event()
        await desk.clock.advance(2)
        desk.tools.max_tokens = 128
        desk.hold.set()
        await desk.clock.advance(2)
    second = desk.of(AttemptStarted)[1]
    assert b'"max_tokens":128' in desk.network.requests[1].body
    assert (second.cohort, second.reserved_tokens) == ("128/256", 148)


async def test_a_request_that_cannot_be_written_gives_its_reservation_back() -> None:
    desk = Desk(chat("a"), prompt="\ud800")
    with pytest.raises(ExceptionGroup):
        await desk.run(2)
    (settled,) = desk.settled
    assert (settled.reserved_tokens, settled.charged_tokens) == (84, 0)
    assert desk.events == []


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1/v1/", "http://127.0.0.1/v1/chat/completions"),
        ("http://[::1]:8/v1?api-version=1", "http://[::1]:8/v1/chat/completions?api-version=1"),
        ("http://127.0.0.1", "http://127.0.0.1/chat/completions"),
    ],
)
async def test_the_path_goes_before_the_query_of_a_base_url(base_url: str, expected: str) -> None:
    desk = Desk(chat("a"), base_url=base_url)
    await desk.run()
    assert desk.network.requests[0].url == expected
