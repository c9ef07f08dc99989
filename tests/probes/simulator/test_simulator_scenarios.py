"""Scenario files: strict, found by name, composed; and the story the demo tells."""

import math
from pathlib import Path

import pytest
from simulator_kit import Story, VirtualClock

from probes.simulator import (
    Phase,
    Scenario,
    ScenarioError,
    Timeline,
    TrueIncident,
    UnknownScenarioError,
    demo_routes,
    load_scenario,
    scenario_names,
)
from probes.simulator.library import parse_scenario

INCIDENTS = ("flaky", "healthy", "outage", "queueing", "stalling", "throttling")


def test_every_incident_of_the_catalogue_ships() -> None:
    assert set(scenario_names()) >= {"demo", *INCIDENTS}


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads_and_can_be_watched(name: str) -> None:
    scenario = load_scenario(name)
    routes = demo_routes("http://127.0.0.1:1/", name)
    assert scenario.title
    assert [route.model for route in routes] == [model.name for model in scenario.models]
    urls = {"chat": "http://127.0.0.1:1/v1", "ollama": "http://127.0.0.1:1"}
    assert [route.base_url for route in routes] == [urls[route.dialect] for route in routes]
    assert len({route.name for route in routes}) == len(routes)


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_is_one_model_of_its_own_name(name: str) -> None:
    assert [model.name for model in load_scenario(name).models] == [name]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownScenarioError, match=r"no scenario is named \"nope\".*healthy"):
        load_scenario("nope")
    with pytest.raises(UnknownScenarioError):
        load_scenario("../healthy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "mine: Invalid value (at end of document)"),
        ('title = "\xff"', "mine: 'utf-8' codec can't decode"),
        ('titel = "t"', "mine: titel: unknown field `titel`, did you mean title?"),
        ('title = "t"\nspeed = 1', "mine: speed: unknown field `speed`"),
        (
            'title = "t"\n[serving]\njiter = 1',
            "mine: serving.jiter: unknown field `jiter`, did you mean jitter?",
        ),
        (
            'title = "t"\n[faults]\nerror_share = 2',
            "mine: faults.error_share is 2: Expected `float` <= 1.0",
        ),
        (
            'title = "t"\n[limits]\nconcurrency = "4"',
            'mine: limits.concurrency is "4": Expected `int`, got `str`',
        ),
        (
            'title = "t"\n[faults]\nswap_share = 0.5',
            "mine: faults: swap_share needs swap_model, swap_fingerprint or both",
        ),
        (
            'title = "t"\n[faults]\nerror_share = 0.5\nerror_statuses = []',
            "mine: faults: error_share needs one of error_statuses at least",
        ),
        ('title = "t"\nmodels = 3', "mine: models is 3: Expected `array`, got `int`"),
        (
            'title = "t"\n[[phases]]\nstart_s = 5\nname = "p"',
            "mine: phases: the first phase must start at 0 seconds",
        ),
        (
            'title = "t"\n[[phases]]\nstart_s = 0\nname = "a"\n'
            '[[phases]]\nstart_s = 9\nname = "b"\nfaults.hang_at = "nowhere"',
            'mine: phases[1].faults.hang_at is "nowhere": expected one of request, headers, stream',
        ),
        (
            'title = "t"\n[[phases]]\nstart_s = 0\nname = "a"\ntruth = [{ cause = "gremlins" }]',
            'mine: phases[0].truth[0].cause is "gremlins": expected one of no_answer, outage, ',
        ),
        (
            'title = "t"\n[[models]]\nname = "m"\nincident = "demo"',
            "mine: models[0].incident: demo is composed itself",
        ),
        (
            'title = "t"\n[[models]]\nname = "m"\nincident = "healty"',
            'mine: models[0].incident: no scenario is named "healty", did you mean healthy?',
        ),
        (
            'title = "t"\n[[models]]\nname = "m"\nincident = "healthy"\n'
            "[[models.phases]]\nstart_s = 0\nname = 'p'\nlimits.requests_per_min = -1",
            "mine: models[0].phases[0].limits.requests_per_min is -1: Expected `float` >= 0.0",
        ),
        (
            'title = "t"\n[[models]]\nname = "m"\nincident = "healthy"\n'
            '[[models]]\nname = "m"\nincident = "flaky"',
            "mine: two models of a scenario have the same name",
        ),
        (
            'title = "t"\nrepeat_s = 9\n[[models]]\nname = "m"\nincident = "healthy"',
            "mine: beside [[models]], phases, repeat_s and route are not read",
        ),
        (
            'title = "t"\n[[turns]]\nat_s = 1\nroute = "r"\nknob = "interval"\nvalue = 2',
            'mine: turns: there is no route "r"; there are: mine',
        ),
    ],
)
def test_a_mistake_is_told_by_file_key_value_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario("mine", text.encode("latin-1"))
    assert str(caught.value).startswith(f"scenario {message}")


def test_a_file_of_ones_own_is_a_scenario_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "My own"\n[faults]\ndown = "closed"')
    assert [model.name for model in load_scenario(str(path)).models] == ["mine"]
    assert [route.name for route in demo_routes("http://127.0.0.1:1", str(path))] == ["mine"]


def test_a_file_of_ones_own_that_is_wrong_or_away_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(path))
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
    path.write_text('title = "My own"\nfaults = { down = "up" }')
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(path))
    assert str(caught.value).startswith(f'{path}: faults.down is "up": expected one of no, unavail')


def test_overrides_of_a_composition_are_those_of_all_its_models() -> None:
    text = """
        title = "t"
        serving = { gateway_s = 0.5, jitter = 0.0 }
        [[models]]
        name = "a"
        incident = "healthy"
        [[models]]
        name = "b"
        incident = "healthy"
        serving = { jitter = 0.3 }
    """
    models = parse_scenario("mine", text.encode()).models
    servings = [model.timeline.at(0).conditions.serving for model in models]
    assert [(one.gateway_s, one.jitter) for one in servings] == [(0.5, 0.0), (0.5, 0.3)]
    assert {model.timeline.at(0).conditions.limits.requests_per_min for model in models} == {600}


def test_phases_override_the_files_conditions_not_each_other() -> None:
    text = """
        title = "t"
        repeat_s = 100
        serving = { max_batch = 3 }
        [[phases]]
        start_s = 0
        name = "calm"
        [[phases]]
        start_s = 10
        name = "crowd"
        serving = { background = 2 }
        [[phases]]
        start_s = 20
        name = "faults"
        faults = { error_share = 0.5 }
    """
    timeline = parse_scenario("mine", text.encode()).models[0].timeline
    servings = [phase.conditions.serving for phase in timeline.phases]
    assert [(s.max_batch, s.background) for s in servings] == [(3, 0), (3, 2), (3, 0)]
    assert timeline.at(25).conditions.faults.error_share == 0.5


def test_a_composed_model_overrides_its_incident_and_may_replace_its_timeline() -> None:
    text = """
        title = "t"
        [[models]]
        name = "kept"
        incident = "outage"
        serving = { decode_tokens_per_s = 7 }
        [[models]]
        name = "replaced"
        incident = "outage"
        phases = []
    """
    kept, replaced = parse_scenario("mine", text.encode()).models
    assert {phase.conditions.serving.decode_tokens_per_s for phase in kept.timeline.phases} == {7}
    assert len(kept.timeline.phases) == len(load_scenario("outage").models[0].timeline.phases)
    assert [phase.conditions.faults.down for phase in replaced.timeline.phases] == ["no"]


def test_a_timeline_holds_its_last_phase_or_repeats() -> None:
    phases = (Phase(name="a"), Phase(start_s=10, name="b"))
    times = (0, 9.9, 10, 29.9, 30, 45)
    assert [Timeline(phases=phases).at(t).name for t in times] == ["a", "a", "b", "b", "b", "b"]
    repeated = Timeline(phases=phases, repeat_s=30)
    assert [repeated.at(t).name for t in times] == ["a", "a", "b", "b", "a", "b"]


@pytest.mark.parametrize(
    ("phases", "repeat_s"),
    [
        ((), 0),
        ((Phase(start_s=1),), 0),
        ((Phase(), Phase(start_s=5), Phase(start_s=5)), 0),
        ((Phase(), Phase(start_s=5)), 5),
    ],
)
def test_a_timeline_with_a_hole_is_refused(phases: tuple[Phase, ...], repeat_s: float) -> None:
    with pytest.raises(ValueError, match=r"phase|repeat"):
        Timeline(phases=phases, repeat_s=repeat_s)


def test_a_scenario_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one model"):
        Scenario(name="empty", models=())


async def told(name: str, seconds: float = 60.0, concurrency: int | None = None) -> Story:
    models = {model.route.name: model for model in load_scenario("demo").models}
    story = Story(models[name], VirtualClock())
    await story.play(seconds, concurrency or models[name].route.concurrency)
    return story


def p95(samples: list[tuple[float, float]], since_s: float = 0.0) -> float:
    values = sorted(value for at, value in samples if at >= since_s)
    return values[math.ceil(0.95 * len(values)) - 1]


@pytest.mark.anyio
async def test_the_healthy_route_of_the_demo_is_well_within_its_goals() -> None:
    story = await told("llama-70b-eu")
    assert 0.15 < p95(story.ttfts) < 0.6
    assert p95(story.ends) < 2.5
    assert story.refused == []


@pytest.mark.anyio
async def test_the_queueing_route_becomes_sluggish_as_load_climbs() -> None:
    story = await told("qwen3-235b")
    assert p95(story.ttfts, since_s=25) > 2.0
    assert p95([sample for sample in story.ttfts if sample[0] < 20]) < 1.5


@pytest.mark.anyio
@pytest.mark.parametrize(("concurrency", "throttled"), [(2, False), (3, False), (6, True)])
async def test_the_throttling_route_says_429_only_when_its_concurrency_is_raised(
    concurrency: int, throttled: bool
) -> None:
    story = await told("deepseek-v3", 20.0, concurrency)
    assert (429 in {status for _, status in story.refused}) is throttled
    assert p95(story.ttfts) < 1.0


@pytest.mark.anyio
async def test_the_flaky_route_fails_often_but_not_so_often_that_retries_do_not_mask_it() -> None:
    story = await told("gpt-oss-120b", 120.0)
    share = len(story.refused) / (len(story.refused) + len(story.ttfts))
    assert 0.07 < share < 0.2


@pytest.mark.anyio
async def test_the_stalling_route_has_gaps_well_above_a_second_on_some_streams() -> None:
    story = await told("mistral-small")
    stalled = [gap for _, gap in story.longest_gaps if gap > 1.2]
    assert 0.1 < len(stalled) / len(story.longest_gaps) < 0.6
    assert p95(story.ttfts) < 1.0


@pytest.mark.anyio
async def test_the_outage_route_is_gone_from_40_to_75_seconds_and_again_two_minutes_later() -> None:
    story = await told("kimi-k2", 170.0)
    failed = [at for at, _ in story.refused]
    first = [at for at in failed if at < 120]
    assert 38 < min(first) < 42
    assert 70 < max(first) < 75
    assert [at for at in failed if 158 < at < 170]
    assert {status for _, status in story.refused} == {0, 503}
    assert not [at for at, _ in story.ttfts if 40 < at < 74]


TWO_FAULTS = """
    title = "t"
    [[phases]]
    start_s = 0
    name = "well"
    [[phases]]
    start_s = 60
    name = "slow"
    truth = [{ cause = "provider_slow_decode", within_s = 40, also = ["stream_stalls"] }]
    [[phases]]
    start_s = 90
    name = "slow, and errors"
    truth = [
        { cause = "provider_slow_decode", within_s = 40, also = ["stream_stalls"] },
        { cause = "provider_errors" },
    ]
    [[phases]]
    start_s = 150
    name = "errors"
    truth = [{ cause = "provider_errors" }]
"""


def test_what_is_wrong_lasts_as_long_as_phases_in_a_row_say_so() -> None:
    scenario = parse_scenario("mine", TWO_FAULTS.encode())
    slow = TrueIncident("mine", "provider_slow_decode", 60, 150, 40, ("stream_stalls",))
    assert scenario.incidents(300) == (slow, TrueIncident("mine", "provider_errors", 90, None, 30))
    assert scenario.incidents(60) == ()


def test_what_is_wrong_comes_again_with_the_timeline_under_the_routes_own_name() -> None:
    text = """
        title = "t"
        [[models]]
        name = "m"
        incident = "healthy"
        repeat_s = 100
        route.name = "r"
        phases = [
            { start_s = 0, name = "well" },
            { start_s = 80, name = "gone", truth = [{ cause = "outage" }] },
        ]
    """
    told = parse_scenario("mine", text.encode()).incidents(250)
    assert [(one.route, one.start_s, one.end_s) for one in told] == [
        ("r", 80, 100),
        ("r", 180, 200),
    ]
