"""A workload of the leaderboard is what its name says, as the embedded provider counts it."""

import json
from pathlib import Path
from random import Random

import pytest

from probes.config.file import parse_config
from probes.config.scrubbing import Scrubber
from probes.config.workloads import WORKLOADS, WorkloadName
from probes.engine.health import GapWatch
from probes.engine.probe import Probe, ProbeTools
from probes.engine.route import default_transport
from probes.events import AttemptFinished
from probes.kit.clock import SystemClock
from probes.simulator import Conditions, Serving, serve, steady

pytestmark = pytest.mark.anyio

WRITES_ON = Conditions(
    serving=Serving(
        gateway_s=0.0,
        prefill_tokens_per_s=10_000_000,
        prefill_chunk=100_000,
        decode_tokens_per_s=1_000_000,
        chunk_tokens=100,
        answer_tokens=5_000,
        answer_spread=0.0,
        jitter=0.0,
    )
)
"""A model that writes until its cap, and quickly."""


class OpenGate:
    async def admit(self, *_: object, **__: object) -> bool:
        return True

    def settle(self, event: AttemptFinished) -> None:
        """Nobody spends here."""


async def asked(
    workload: str, conditions: Conditions, *, probes: int, seed: int = 1
) -> tuple[list[AttemptFinished], list[str]]:
    """Return the attempts of some probes of a route, and the prompts they sent."""
    clock, events, prompts = SystemClock(), [], []
    async with serve(steady("m", conditions), clock=clock, random=Random(1)) as server:
        text = f'[routes.r]\nbase_url = "{server.base_url}/v1"\nmodel = "m"\n{workload}\n'
        (route,) = parse_config(text, Path("routes.toml"), {}).routes
        tools = ProbeTools(
            route=route,
            headers={},
            clock=clock,
            random=Random(seed),
            gaps=GapWatch(clock.monotonic_ns()),
            scrub=Scrubber(frozenset()),
            emit=events.append,
            gate=OpenGate(),
        )
        write = tools.request_builder.request

        def request(*args: object, **named: object) -> object:
            made = write(*args, **named)
            prompts.append(json.loads(made.body)["messages"][-1]["content"])
            return made

        tools.request_builder.request = request
        transport = default_transport(route, clock)
        for number in range(probes):
            await Probe(f"1-{number}", tools, transport, scheduled_ns=0).run()
        await transport.aclose()
    return [event for event in events if isinstance(event, AttemptFinished)], prompts


@pytest.mark.parametrize("name", ["aa-100", "aa-1k", "aa-10k"])
async def test_sizes_are_within_a_tenth_no_two_are_alike_and_nothing_is_cached(
    name: WorkloadName,
) -> None:
    attempts, prompts = await asked(f'workload = "{name}"', WRITES_ON, probes=8)
    workload = WORKLOADS[name]
    assert workload.prompt is not None
    assert [one.outcome for one in attempts] == ["ok"] * 8
    sizes = [one.input_tokens for one in attempts]
    assert sizes == pytest.approx([workload.prompt.fresh_tokens] * 8, rel=0.1)
    assert [one.output_tokens for one in attempts] == [workload.max_tokens] * 8
    assert [one.cached_tokens for one in attempts] == [0] * 8
    assert len({prompt[:24] for prompt in prompts}) == 8
    assert all(one.reserved_tokens >= one.charged_tokens for one in attempts[1:])


async def test_the_same_randomness_gives_the_same_prompts_and_another_gives_others() -> None:
    _, first = await asked('workload = "aa-100"', WRITES_ON, probes=3)
    _, again = await asked('workload = "aa-100"', WRITES_ON, probes=3)
    _, other = await asked('workload = "aa-100"', WRITES_ON, probes=3, seed=2)
    assert first == again
    assert not {*first} & {*other}


async def test_a_server_that_counts_three_times_as_many_is_asked_by_its_own_count() -> None:
    dear = Conditions(serving=Serving(**{**as_dict(WRITES_ON.serving), "prompt_factor": 3.0}))
    attempts, _ = await asked('workload = "aa-1k"', dear, probes=6)
    first, *others = (one.input_tokens for one in attempts)
    assert first == pytest.approx(3_000, rel=0.05)  # told for what it was
    assert others == pytest.approx([1_000] * 5, rel=0.1)


async def test_a_cap_of_its_own_makes_another_cohort() -> None:
    ours, _ = await asked('workload = "aa-1k"', WRITES_ON, probes=1)
    other, _ = await asked('workload = "aa-1k"\nmax_tokens = 50', WRITES_ON, probes=1)
    assert [one.cohort for one in ours + other] == ["1000/1k/aa-1k", "50/1k/aa-1k"]


async def test_the_chat_is_always_the_same_and_comes_from_the_cache() -> None:
    attempts, prompts = await asked('workload = "chat"', WRITES_ON, probes=3)
    assert len({*prompts}) == 1
    assert [bool(one.cached_tokens) for one in attempts] == [False, True, True]
    assert {one.cohort for one in attempts} == {"200/1k/chat"}


def as_dict(serving: Serving) -> dict[str, object]:
    return {name: getattr(serving, name) for name in serving.__struct_fields__}
