"""The serving model under an injected clock: what load, prompts, limits and faults do."""

import anyio
import pytest
from simulator_kit import EXACT, Client, VirtualClock, ask_all, drain, hosted, prompt, running

from probes.simulator.model import Refusal, step_seconds
from probes.simulator.scenario import (
    Conditions,
    Faults,
    HostedModel,
    Limits,
    Phase,
    Serving,
    Timeline,
)
from probes.simulator.sequence import SequenceCutError

pytestmark = pytest.mark.anyio


def tuned(**fields: object) -> Serving:
    return Serving(**{**{f: getattr(EXACT, f) for f in EXACT.__struct_fields__}, **fields})


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def test_one_request_alone_gets_its_tokens_at_full_speed(clock: VirtualClock) -> None:
    async with running(hosted(), clock) as model:
        (client,) = await ask_all(model, clock, [prompt(tokens=50)])
    # The first step computes the prompt (50 × 1 ms) beside an empty decode step (100 ms).
    assert client.times_s[0] == pytest.approx(0.15)
    assert client.gaps_s == [0.1] * 9


class LateClock(VirtualClock):
    """Wakes everybody 4 ms late, as a busy machine does."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + 0.004 if seconds > 0 else seconds)


async def test_answers_are_as_fast_as_they_should_be_though_every_timer_is_late() -> None:
    clock = LateClock()
    async with running(hosted(), clock) as model:
        (client,) = await ask_all(model, clock, [prompt(tokens=50)])
    assert client.times_s[0] == pytest.approx(0.154)
    assert client.times_s[-1] == pytest.approx(0.154 + 0.9)


async def test_a_bigger_batch_decodes_slower_for_everyone(clock: VirtualClock) -> None:
    async with running(hosted(), clock) as model:
        clients = await ask_all(model, clock, [prompt(fill=b"%d" % n) for n in range(3)])
    assert [client.gaps_s for client in clients] == [[0.2] * 9] * 3


def test_a_step_grows_with_batch_prompt_tokens_and_tokens_per_chunk() -> None:
    assert step_seconds(EXACT, 1, 0) == pytest.approx(0.1)
    assert step_seconds(EXACT, 3, 0) == pytest.approx(0.2)
    assert step_seconds(EXACT, 0, 200) == pytest.approx(0.3)
    assert step_seconds(tuned(chunk_tokens=2), 1, 0) == pytest.approx(0.2)


async def test_beyond_the_batch_requests_queue_and_ttft_grows(clock: VirtualClock) -> None:
    model = hosted(tuned(max_batch=1, batch_penalty=0.0))
    async with running(model, clock) as served:
        clients = await ask_all(served, clock, [prompt(fill=b"%d" % n) for n in range(4)])
    first_tokens = [client.times_s[0] for client in clients]
    # Each waits for the whole answers (10 steps and a prompt) of those before it.
    assert first_tokens == pytest.approx([0.11, 1.12, 2.13, 3.14], abs=0.001)


async def test_the_queue_of_others_delays_the_first_token_and_nothing_else(
    clock: VirtualClock,
) -> None:
    async with running(hosted(tuned(queue_s=2.0)), clock) as model:
        (client,) = await ask_all(model, clock, [prompt(tokens=50)])
    assert client.times_s[0] == pytest.approx(2.15)
    assert client.gaps_s == [0.1] * 9


async def test_background_load_takes_slots_and_slows_steps(clock: VirtualClock) -> None:
    async with running(hosted(tuned(max_batch=3, background=2)), clock) as model:
        clients = await ask_all(model, clock, [prompt(fill=b"a"), prompt(fill=b"b")])
    assert clients[0].gaps_s == [0.2] * 9
    assert clients[1].times_s[0] > clients[0].times_s[-1]


async def test_a_long_prompt_costs_prefill_and_holds_others_up(clock: VirtualClock) -> None:
    async with running(hosted(tuned(prefill_chunk=100)), clock) as model:
        short = Client(model, clock, prompt(fill=b"a"))
        async with anyio.create_task_group() as group:
            group.start_soon(short.run)
            await clock.advance(0.3)
            (long,) = await ask_all(model, clock, [prompt(tokens=250, fill=b"b")])
    # Three chunks of its prompt, of 100, 100 and 50 ms, each beside a decode step of the other.
    assert short.gaps_s.count(0.2) == 2
    assert 0.15 in short.gaps_s
    assert long.times_s[0] > 0.5


async def test_an_identical_prefix_is_cached_and_prefilled_faster(clock: VirtualClock) -> None:
    async with running(hosted(tuned(cached_token_cost=0.1)), clock) as model:
        (first,) = await ask_all(model, clock, [prompt(tokens=160)])
        (again,) = await ask_all(model, clock, [prompt(tokens=160)])
        (other,) = await ask_all(model, clock, [prompt(tokens=160, fill=b"y")])
    cached = [client.sequence.cached_tokens for client in (first, again, other)]
    assert cached == [0, 159, 0]
    assert first.times_s[0] == pytest.approx(0.26)
    # One token computed, 159 at a tenth of the cost.
    assert again.times_s[0] == pytest.approx(0.1 + 0.001 + 0.0159)


async def test_without_blocks_the_prefix_cache_is_off(clock: VirtualClock) -> None:
    async with running(hosted(tuned(prefix_cache_blocks=0)), clock) as model:
        await ask_all(model, clock, [prompt(tokens=160)])
        (again,) = await ask_all(model, clock, [prompt(tokens=160)])
    assert again.sequence.cached_tokens == 0


async def test_a_request_that_misses_the_cache_is_computed_whole(clock: VirtualClock) -> None:
    always = hosted(tuned(cached_token_cost=0.1), faults=Faults(miss_share=1.0))
    async with running(always, clock) as model:
        await ask_all(model, clock, [prompt(tokens=160)])
        (again,) = await ask_all(model, clock, [prompt(tokens=160)])
    assert again.sequence.cached_tokens == 0
    assert again.times_s[0] == pytest.approx(0.26)


async def test_a_refusal_comes_before_any_limit_is_charged(clock: VirtualClock) -> None:
    model = hosted(limits=Limits(requests_per_min=1), faults=Faults(refuse_share=1.0))
    async with running(model, clock) as served:
        refusals = [client.refusal for client in await ask_all(served, clock, [prompt()] * 3)]
    assert {(one.status, one.code) for one in refusals} == {(503, "overloaded")}


async def test_a_cold_model_is_loaded_first_and_again_after_idling(clock: VirtualClock) -> None:
    model = hosted(tuned(cold_start_s=5.0, cold_after_s=30.0))
    async with running(model, clock) as served:
        firsts = []
        for wait_s in (10.0, 50.0, 10.0):
            (client,) = await ask_all(served, clock, [prompt(tokens=10)], seconds=wait_s)
            firsts.append(client.times_s[0])
    assert firsts == pytest.approx([5.11, 0.11, 5.11], abs=0.01)


async def test_the_answer_cap_ends_an_answer_with_length(clock: VirtualClock) -> None:
    async with running(hosted(), clock) as model:
        capped, free = await ask_all(model, clock, [prompt(cap=4), prompt(cap=100)])
    assert len(capped.times_s) == 4
    assert capped.sequence.fate.finish_reason == "length"
    assert free.sequence.fate.finish_reason == "stop"


async def test_speculative_decoding_gives_several_tokens_a_chunk(clock: VirtualClock) -> None:
    async with running(hosted(tuned(chunk_tokens=4)), clock) as model:
        (client,) = await ask_all(model, clock, [prompt()])
    assert len(client.times_s) == 3
    assert client.sequence.produced == 10


async def test_concurrency_above_the_limit_is_a_429_and_free_slots_are_reused(
    clock: VirtualClock,
) -> None:
    model = hosted(limits=Limits(concurrency=2, retry_after_s=1.5))
    async with running(model, clock) as served:
        clients = await ask_all(served, clock, [prompt(), prompt(), prompt()])
        (later,) = await ask_all(served, clock, [prompt()])
    refusal = clients[2].refusal
    assert (refusal.status, refusal.code, refusal.kind) == (
        429,
        "rate_limit_exceeded",
        "concurrency",
    )
    assert refusal.headers == (("retry-after", "2"), ("retry-after-ms", "1500"))
    assert later.refusal is None
    assert served.in_flight == 0


async def test_requests_per_minute_run_out_and_refill(clock: VirtualClock) -> None:
    async with running(hosted(limits=Limits(requests_per_min=2)), clock) as served:
        clients = await ask_all(served, clock, [prompt()] * 3, seconds=15.0)
        assert dict(served.limit_headers())["x-ratelimit-remaining-requests"] == "0"
        (early,) = await ask_all(served, clock, [prompt()], seconds=15.0)
        (late,) = await ask_all(served, clock, [prompt()], seconds=15.0)
    assert [client.refusal is None for client in clients] == [True, True, False]
    # One request is worth 30 s.
    assert dict(clients[2].refusal.headers)["retry-after-ms"] == "30000"
    assert dict(early.refusal.headers)["retry-after-ms"] == "15000"
    assert late.refusal is None


async def test_a_full_queue_answers_503(clock: VirtualClock) -> None:
    model = hosted(tuned(max_batch=1), limits=Limits(max_queue=1))
    async with running(model, clock) as served:
        slow = [Client(served, clock, prompt()) for _ in range(2)]
        async with anyio.create_task_group() as group:
            for client in slow:
                group.start_soon(client.run)
                await clock.advance(0.01)
            (refused,) = await ask_all(served, clock, [prompt()])
    assert (refused.refusal.status, refused.refusal.code) == (503, "overloaded")


async def test_a_released_sequence_frees_its_place_at_once(clock: VirtualClock) -> None:
    async with running(hosted(tuned(max_batch=1), Limits(concurrency=2)), clock) as served:
        async with anyio.create_task_group() as group:
            group.start_soon(Client(served, clock, prompt()).run)
            await clock.advance(0.35)
            assert served.in_flight == 1
            group.cancel_scope.cancel()
        assert served.in_flight == 0
        (next_one,) = await ask_all(served, clock, [prompt()])
    assert next_one.times_s[0] < 0.3


async def test_a_stalled_stream_stops_once_while_others_go_on(clock: VirtualClock) -> None:
    timeline = Timeline(
        phases=(
            Phase(
                conditions=Conditions(serving=EXACT, faults=Faults(stall_share=1.0, stall_s=3.0))
            ),
            Phase(start_s=0.05, name="calm", conditions=Conditions(serving=EXACT)),
        )
    )
    async with running(HostedModel(name="m", timeline=timeline), clock) as served:
        stalled = Client(served, clock, prompt(fill=b"a"))
        async with anyio.create_task_group() as group:
            group.start_soon(stalled.run)
            await clock.advance(0.1)
            (other,) = await ask_all(served, clock, [prompt(fill=b"b")])
    assert sum(gap > 1.0 for gap in stalled.gaps_s) == 1
    assert max(stalled.gaps_s) > 1.8
    assert max(other.gaps_s) <= 0.15


async def test_going_down_cuts_streams_refuses_and_starts_cold(clock: VirtualClock) -> None:
    def phase(start_s: float, down: str) -> Phase:
        serving = tuned(cold_start_s=2.0)
        faults = Faults(down=down)
        return Phase(start_s=start_s, conditions=Conditions(serving=serving, faults=faults))

    timeline = Timeline(
        phases=(phase(0, "no"), phase(10, "closed"), phase(20, "unavailable"), phase(30, "no"))
    )
    async with running(HostedModel(name="m", timeline=timeline), clock) as served:
        await ask_all(served, clock, [prompt()], seconds=9.5)
        cut = served.admit(prompt())
        await served.enqueue(cut)
        await clock.advance(1.0)
        with pytest.raises(SequenceCutError, match="down"):
            await drain(cut)
        served.release(cut)
        closed = served.admit(prompt())
        await clock.advance(10.0)
        unavailable = served.admit(prompt())
        await clock.advance(10.0)
        (back,) = await ask_all(served, clock, [prompt()])
    assert closed == Refusal("close")
    assert (unavailable.how, unavailable.status) == ("answer", 503)
    assert back.times_s[0] == pytest.approx(2.1, abs=0.02)


async def test_faults_come_in_their_shares(clock: VirtualClock) -> None:
    faults = Faults(error_share=0.3, error_statuses=(502,), reset_share=0.2)
    async with running(hosted(faults=faults), clock) as served:
        drawn = [served.admit(prompt()) for _ in range(2_000)]
    refusals = [item for item in drawn if isinstance(item, Refusal)]
    errors = sum(item.status == 502 for item in refusals)
    resets = sum(item.how == "reset" for item in refusals)
    assert len(refusals) == errors + resets
    assert errors / 2_000 == pytest.approx(0.3, abs=0.04)
    assert resets / 2_000 == pytest.approx(0.2, abs=0.04)


async def test_a_cut_stream_ends_in_its_middle(clock: VirtualClock) -> None:
    async with running(hosted(faults=Faults(cut_share=1.0)), clock) as served:
        sequence = served.admit(prompt())
        await served.enqueue(sequence)
        await clock.advance(60.0)
        with pytest.raises(SequenceCutError, match="cut"):
            await drain(sequence)
    assert 1 <= sequence.produced < 10


async def test_the_same_seed_repeats_a_run_and_another_does_not() -> None:
    async def play(seed: int) -> list[list[float]]:
        clock = VirtualClock()
        model = hosted(Serving(), faults=Faults(stall_share=0.5, error_share=0.2))
        async with running(model, clock, seed) as served:
            clients = await ask_all(served, clock, [prompt(fill=b"%d" % n) for n in range(8)])
        return [client.times_s for client in clients]

    first = await play(1)
    assert await play(1) == first
    assert await play(2) != first
