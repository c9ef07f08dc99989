"""What servers say that intervals took: found in headers, and told in one vocabulary."""

from typing import Any

import pytest

from probes.answers.server_timing import claims_of, stages_of, timings_of_headers


def told(figures: dict[str, float]) -> list[tuple[str, float, str]]:
    return [(claim.interval, claim.seconds, claim.source) for claim in claims_of(figures)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("db;dur=53, app;dur=47.2", {"db": 53.0, "app": 47.2}),
        ('cache;desc="Cache Read";dur=23.2', {"cache": 23.2}),
        ('cache;dur=23.2;desc="a, b;dur=9"', {"cache": 23.2}),
        ('total;DUR="12.5"', {"total": 12.5}),
        ("total ; dur = 7 , x", {"total": 7.0}),
        ("miss, db", {}),
        ("a;dur=1;dur=2", {"a": 1.0}),
        ("a;dur=1, a;dur=5", {"a": 1.0}),
        ("a;dur=x;dur=3", {"a": 3.0}),
        ("a;dur=-3, b;dur=nan, c;dur=1e400", {}),
        (";dur=1, =;dur=2, , ;, b;dur=4", {"b": 4.0}),
        ('a;desc="open, b;dur=2', {}),
        ('a;desc="x\\"y, z";dur=2', {"a": 2.0}),
    ],
)
def test_server_timing_is_read_by_its_grammar(header: str, expected: dict[str, float]) -> None:
    found = timings_of_headers({"server-timing": header})
    assert found == {f"server_timing.{name}": value for name, value in expected.items()}


def test_a_server_timing_of_a_thousand_metrics_is_bounded() -> None:
    header = ",".join(f"m{number};dur=1" for number in range(5_000))
    assert len(timings_of_headers({"server-timing": header})) == 16


@pytest.mark.parametrize(
    ("header", "value", "claim"),
    [
        ("openai-processing-ms", "412", ("headers", 0.412)),
        ("x-envoy-upstream-service-time", "55", ("headers", 0.055)),
        ("x-kong-upstream-latency", "3", ("headers", 0.003)),
        ("x-kong-proxy-latency", "1", ("overhead", 0.001)),
        ("x-litellm-response-duration-ms", "812.5", ("headers", 0.8125)),
        ("x-litellm-overhead-duration-ms", "2.5", ("overhead", 0.0025)),
        ("fireworks-server-time-to-first-token", "0.25", ("first_token", 0.25)),
        ("fireworks-server-processing-time", "1.25", ("total", 1.25)),
        ("llm_provider-openai-processing-ms", "256", ("headers", 0.256)),
        ("ms-azureml-model-time", "549", ("headers", 0.549)),
        ("server-timing", "gfet4t7; dur=9", ("other", 0.009)),
    ],
)
def test_a_header_says_which_interval_it_is_about(
    header: str, value: str, claim: tuple[str, float]
) -> None:
    (found,) = claims_of(timings_of_headers({header: value}))
    assert (found.interval, found.seconds) == pytest.approx(claim)
    assert header in found.source or found.interval == "other"


@pytest.mark.parametrize("value", ["soon", "-3", "", "1,2", "0x10"])
def test_a_header_that_is_no_number_says_nothing(value: str) -> None:
    assert timings_of_headers({"openai-processing-ms": value}) == {}


def test_the_unit_is_brought_to_seconds_and_the_raw_figure_is_kept() -> None:
    (claim,) = claims_of({"eval_ns": 1_500_000.0})
    assert (claim.seconds, claim.raw, claim.unit) == (0.0015, 1_500_000.0, "ns")


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (
            {"queue_s": 0.25, "prompt_s": 0.5, "completion_s": 1.0, "total_s": 1.5},
            [("queue", 0.25), ("prompt", 0.5), ("decode", 1.0), ("total", 1.5)],
        ),
        ({"prompt_ms": 500.0, "predicted_ms": 250.0}, [("prompt", 0.5), ("decode", 0.25)]),
        (
            {"load_ns": 5e8, "prompt_ns": 25e7, "eval_ns": 1e9, "total_ns": 2e9},
            [("load", 0.5), ("prompt", 0.25), ("decode", 1.0), ("total", 2.0)],
        ),
        (
            {
                "queue_time_ms": 500.0,
                "time_to_first_token_ms": 250.0,
                "generation_time_ms": 1000.0,
                "mean_itl_ms": 3.0,
            },
            [("queue", 0.5), ("prompt", 0.25), ("decode", 1.0)],
        ),
        ({"arrival_time": 1.7e9, "time_in_queue": 0.5}, [("queue", 0.5)]),
        (
            {"usage.time_to_first_token": 0.125, "usage.total_latency": 0.5},
            [("first_token", 0.125), ("total", 0.5)],
        ),
        ({"meta_info.e2e_latency": 0.5}, [("total", 0.5)]),
        ({"inference_status.runtime_ms": 500.0}, [("total", 0.5)]),
    ],
)
def test_each_engines_figures_have_one_vocabulary(
    figures: dict[str, float], expected: list[Any]
) -> None:
    assert [(interval, seconds) for interval, seconds, _ in told(figures)] == expected


def test_what_header_and_body_both_say_is_said_once() -> None:
    figures = {"fireworks-server-time-to-first-token": 0.25, "server-time-to-first-token": 0.25}
    assert told(figures) == [("first_token", 0.25, "fireworks-server-time-to-first-token")]


def test_metrics_of_the_same_length_are_told_apart() -> None:
    figures = {"server_timing.db": 5.0, "server_timing.app": 5.0}
    assert [source for _, _, source in told(figures)] == ["server-timing db", "server-timing app"]


def test_a_total_beside_its_stages_is_no_figure_of_its_own() -> None:
    assert stages_of({"completion_s": 1.0, "total_s": 1.5}) == {"completion_s": 1.0}
    assert stages_of({"total_s": 1.5}) == {"total_s": 1.5}
