"""What the providers of known capacity can carry: what a found limit or knee is held to."""

import itertools
import math
from dataclasses import dataclass
from random import Random
from statistics import median

import anyio
import pytest
from simulator_kit import Client, VirtualClock, prompt

from probes.kit.clock import NS_PER_S
from probes.simulator import Serving, load_scenario, scenario_names
from probes.simulator.autoscaler import FULL, Autoscaler
from probes.simulator.model import ServingModel
from probes.simulator.sequence import SequenceCutError

EDGES = tuple(name for name in scenario_names() if name.startswith("edge-"))


@dataclass
class Load:
    """So many at a time, back to back, on a provider from its start on."""

    ended: list[tuple[float, float]]
    """Second of the end, and TTFT, of each whole answer."""
    refused: list[tuple[float, int]]

    def per_second(self, since_s: float, until_s: float) -> float:
        return sum(since_s <= at < until_s for at, _ in self.ended) / (until_s - since_s)

    def ttft(self, since_s: float, until_s: float) -> float:
        return median(ttft for at, ttft in self.ended if since_s <= at < until_s)

    def limited(self, since_s: float, until_s: float) -> int:
        return sum(status == 429 for at, status in self.refused if since_s <= at < until_s)


async def load(
    name: str, at_once: int, seconds: float, fewer: tuple[float, float] = (math.inf, math.inf)
) -> Load:
    """Play `at_once` workers, and a quarter of them from a second to another."""
    (hosted,) = load_scenario(name).models
    clock = VirtualClock()
    model = ServingModel(hosted, clock=clock, random=Random(5))
    began_ns = clock.monotonic_ns()
    seen = Load([], [])
    numbers = itertools.count()

    def now_s() -> float:
        return (clock.monotonic_ns() - began_ns) / NS_PER_S

    async def worker(place: int) -> None:
        tokens, cap = hosted.route.prompt_tokens or 20, hosted.route.max_tokens
        while True:
            if fewer[0] <= now_s() < fewer[1] and place >= at_once / 4:
                await clock.sleep(fewer[1] - now_s())
            client = Client(model, clock, prompt(tokens, cap, b"%d" % next(numbers)))
            try:
                await client.run()
            except SequenceCutError:
                continue
            if client.refusal is not None:
                seen.refused.append((now_s(), client.refusal.status))
                await clock.sleep(1.0)
            else:
                seen.ended.append((now_s(), client.times_s[0]))

    async with anyio.create_task_group() as group:
        group.start_soon(model.run)
        for place in range(at_once):
            group.start_soon(worker, place)
        await clock.advance(seconds)
        group.cancel_scope.cancel()
    return seen


@pytest.mark.parametrize("name", EDGES)
def test_a_provider_of_known_capacity_is_noisy_and_says_nothing_is_wrong(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.incidents(10_000) == ()
    for phase in scenario.models[0].timeline.phases:
        conditions = phase.conditions
        assert conditions.serving.jitter >= 0.15
        assert conditions.serving.answer_spread >= 0.2
        assert 0 < conditions.faults.error_share < 0.01
        assert 0 < conditions.faults.stall_share < 0.05


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["edge-concurrency", "edge-concurrency-silent"])
async def test_a_hard_limit_lets_twenty_in_and_not_one_more(name: str) -> None:
    within, beyond = await load(name, 20, 30), await load(name, 21, 30)
    assert within.limited(0, 30) == 0
    assert beyond.limited(0, 30) >= 10
    assert within.per_second(5, 30) > 1.15 * (await load(name, 16, 30)).per_second(5, 30)


@pytest.mark.anyio
async def test_a_token_bucket_lets_sixty_thousand_a_minute_in() -> None:
    seen = await load("edge-tokens", 40, 150)
    charged = 183 + 64
    assert seen.per_second(30, 150) * 60 * charged == pytest.approx(60_000, rel=0.03)
    assert seen.limited(30, 150) > 50
    assert (await load("edge-tokens", 16, 90)).limited(0, 90) == 0


@pytest.mark.anyio
async def test_a_batch_of_sixteen_has_its_knee_there() -> None:
    at = {count: await load("edge-batching", count, 60) for count in (12, 16, 20, 32)}
    rate = {count: seen.per_second(10, 60) for count, seen in at.items()}
    assert rate[16] > 1.2 * rate[12]
    assert rate[20] == pytest.approx(rate[16], rel=0.05)
    assert rate[32] == pytest.approx(rate[16], rel=0.05)
    assert at[16].ttft(10, 60) < 1.5 * at[12].ttft(10, 60)
    assert at[20].ttft(10, 60) > 1.5 * at[16].ttft(10, 60)
    assert at[32].ttft(10, 60) > 4 * at[16].ttft(10, 60)
    assert not at[32].limited(0, 60)


@pytest.mark.anyio
async def test_an_autoscaler_doubles_after_a_minute_of_load_and_halves_after_two_of_less() -> None:
    seen = await load("edge-autoscaler", 24, 360, fewer=(120, 260))
    first, second, again, last = ((10, 60), (75, 120), (262, 318), (330, 360))
    assert seen.per_second(*second) == pytest.approx(2 * seen.per_second(*first), rel=0.1)
    assert seen.ttft(*second) < 0.5 * seen.ttft(*first)
    # Six at a time were few enough for one replica; then it begins anew.
    assert seen.per_second(*again) == pytest.approx(seen.per_second(*first), rel=0.1)
    assert seen.per_second(*last) == pytest.approx(seen.per_second(*second), rel=0.1)


@pytest.mark.anyio
async def test_a_neighbour_takes_half_in_bursts() -> None:
    seen = await load("edge-neighbour", 16, 240)
    alone = seen.per_second(10, 60)
    for begins, ends in ((65, 90), (120, 150)):
        assert seen.per_second(begins, ends) == pytest.approx(alone / 2, rel=0.15)
    for begins, ends in ((95, 115), (155, 240)):
        assert seen.per_second(begins, ends) == pytest.approx(alone, rel=0.1)


@pytest.mark.anyio
async def test_a_limit_moves_from_twenty_to_eight_and_back() -> None:
    seen = await load("edge-moving", 20, 300)
    assert not seen.limited(0, 120)
    assert seen.limited(122, 240) > 100
    assert not seen.limited(241, 300)
    assert (await load("edge-moving", 8, 240)).limited(0, 240) == 0


SERVING = Serving(max_batch=10, replicas=3, scale_up_s=60, scale_down_s=120)


def replicas(*told: tuple[float, int], serving: Serving = SERVING) -> list[int]:
    """What an autoscaler says that is told of requests in hand, at seconds."""
    one = Autoscaler()
    return [one.replicas(in_hand, serving, round(at_s * NS_PER_S)) for at_s, in_hand in told]


def test_replicas_come_one_by_one_while_all_are_full() -> None:
    assert replicas((0, 30), (59, 30), (60, 30), (61, 30), (121, 30)) == [1, 1, 2, 2, 3]
    assert replicas((0, 8), (60, 8)) == [1, 2], FULL
    assert replicas((0, 7), (60, 7)) == [1, 1]


def test_a_break_in_the_load_begins_the_wait_anew() -> None:
    assert replicas((0, 10), (30, 0), (31, 10), (60, 10), (90, 10), (91, 10)) == [1] * 5 + [2]


def test_replicas_go_one_by_one_once_fewer_are_enough_and_one_stays() -> None:
    up = [(0, 30), (60, 30), (61, 30), (121, 30)]
    down = [(122, 0), (241, 0), (242, 0), (243, 0), (363, 0), (500, 0), (900, 0)]
    assert replicas(*up, *down) == [1, 2, 2, 3, 3, 3, 2, 2, 1, 1, 1]


def test_there_are_never_more_than_a_phase_allows() -> None:
    assert replicas((0, 99), (600, 99), serving=Serving(max_batch=10)) == [1, 1]
