"""What server and gateway say of an attempt, under its bars."""

from typing import Any

import pytest

from probes.answers.server_timing import claims_of
from probes.config import Route
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from tui.commands.waterfall import waterfall
from tui.draw.server_lines import gateway_line, id_lines, model_line, server_lines

MS = 1_000_000


def attempt(figures: dict[str, float] | None = None, **changes: Any) -> AttemptFinished:
    values: dict[str, Any] = {
        "at_ns": 580 * MS,
        "route": "r",
        "probe": "1-1",
        "attempt": 0,
        "outcome": "ok",
        "status": 200,
        "stamps_ns": StampLadder(
            scheduled=0, admitted=0, started=0, sent=50 * MS, headers=90 * MS,
            first_token=150 * MS, last_token=560 * MS, done=580 * MS, ended=580 * MS,
        ),
        "server_claims": claims_of(figures or {}),
    }  # fmt: skip
    return AttemptFinished(**(values | changes))


def test_stages_stand_beside_our_own_figures_of_the_same_intervals() -> None:
    figures = {"queue_s": 0.012, "prompt_s": 0.06, "completion_s": 0.41}
    assert server_lines(attempt(figures)) == [
        ("server says", "queue 12 ms · prompt 60 ms · decode 410 ms"),
        (
            "· 1st token",
            "72 ms of our 100 ms; 28 ms network, gateway and what it does not count",
        ),
        ("· the end", "482 ms of our 530 ms; 48 ms network, gateway and what it does not count"),
    ]


def test_headers_are_named_for_support_will_ask_which() -> None:
    figures = {"openai_processing_ms": 12.0, "litellm_overhead_ms": 3.0, "server_timing.db": 5.0}
    assert server_lines(attempt(figures)) == [
        (
            "· headers",
            "12 ms (openai-processing-ms) of our 40 ms; "
            "28 ms network, gateway and what it does not count",
        ),
        ("gateway", "says that its own work took 3.0 ms (x-litellm-overhead-duration-ms)"),
        ("· besides", "5.0 ms (server-timing db)"),
    ]


def test_a_claim_above_our_figure_is_called_what_it_is() -> None:
    ((_, words),) = server_lines(attempt({"fireworks-server-processing-time": 0.6}))
    assert words == (
        "600 ms (fireworks-server-processing-time) of our 530 ms: "
        "70 ms more than we measured, its clock or its definition differs"
    )
    assert "-" not in words.replace("fireworks-server-processing-time", "")


def test_a_server_that_says_nothing_gives_no_line() -> None:
    assert server_lines(attempt()) == []
    assert (gateway_line(attempt()), id_lines(attempt())) == ("", [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"hidden_retries": 1, "headers": {"x-envoy-attempt-count": "2"}},
            "1 further try that we did not see (x-envoy-attempt-count 1)",
        ),
        (
            {
                "hidden_retries": 3,
                "headers": {
                    "x-litellm-attempted-retries": "2",
                    "x-litellm-model-api-base": "https://b.example\x1b[2J",
                },
            },
            "3 further tries that we did not see (x-litellm-attempted-retries 2, "
            "the answer itself 1), answered by https://b.example\ufffd",
        ),
    ],
)
def test_a_gateway_that_tried_again_is_told_of(changes: dict[str, Any], words: str) -> None:
    assert gateway_line(attempt(**changes)) == words


def test_every_id_is_there_to_be_copied() -> None:
    ids = {"x-request-id": "req_1", "x-litellm-call-id": "c\u202e1", "cf-ray": "8c1-FRA"}
    told = attempt(request_id="req_1", request_ids=ids, response_id="chatcmpl-1")
    assert id_lines(told) == ["ids: x-litellm-call-id c·1 · cf-ray 8c1-FRA · response chatcmpl-1"]


def test_the_waterfall_holds_them_under_the_bars_and_within_its_width() -> None:
    figures = {"prompt_ms": 60.0, "predicted_ms": 410.0, "envoy_upstream_ms": 31.0}
    told = attempt(figures, hidden_retries=2, headers={"cf-aig-step": "2"})
    probe = ProbeFinished(
        at_ns=580 * MS, route="r", probe="1-1", outcome="ok", attempts=1, started_ns=0,
        scheduled_ns=0, first_token_ns=150 * MS, done_ns=580 * MS,
    )  # fmt: skip
    route = Route(name="r", base_url="https://h.example", model="m")
    lines = waterfall(route, (told,), probe, 72)
    labels = [line[:13].strip() for line in lines]
    assert labels.index("server says") > labels.index("end of body")
    assert {"· headers", "· 1st token", "· the end", "gateway"} <= set(labels)
    assert max(map(len, lines)) <= 72


@pytest.mark.parametrize(
    ("model", "fingerprint", "words"),
    [
        ("", "", ""),
        ("m", "", ""),
        ("m-2024-08-06", "", "served by m-2024-08-06"),
        ("m-2024-08-06", "fp_1", "served by m-2024-08-06, fp_1"),
        ("m", "fp_1", "served by m, fp_1"),
        ("", "fp_1", "served by m, fp_1"),
        ("a\x1b[31mb\u202e", "f\np", "served by a�b·, f⏎p"),
    ],
)
def test_who_answered_is_told_where_it_is_not_just_what_was_asked(
    model: str, fingerprint: str, words: str
) -> None:
    assert model_line(attempt(served_model=model, fingerprint=fingerprint), "m") == words


def test_a_long_name_is_cut() -> None:
    assert len(model_line(attempt(served_model="m" * 200, fingerprint="f" * 200), "m")) < 180
