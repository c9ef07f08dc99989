"""llama.cpp's own server, on a tiny model of random weights, probed end to end.

It takes some 5 s of wall time: a real server, a real engine, real tokens.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from peer_processes import llama_cpp, missing_packages, simulated
from watched import Watched, assert_ladder, probed, watched

from probes.answers.comparison import comparisons
from probes.config import Dialect, Route
from probes.events import FirstToken
from tui.draw.server_lines import server_lines

pytestmark = [pytest.mark.anyio, missing_packages("xllamacpp", "gguf", "numpy")]

CAP = 16
PROBES = 120


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_cpp(tmp_path_factory.mktemp("model")) as url:
        yield url


@pytest.fixture
def route(base_url: str) -> Route:
    return Route(name="llama.cpp", base_url=base_url, model="tiny", max_tokens=CAP)


def changed(route: Route, **fields: object) -> Route:
    return msgspec.structs.replace(route, **fields)


async def test_a_probe_is_ok_with_real_text_and_the_exact_counts_of_the_usage(route: Route) -> None:
    record = await probed(route)
    (attempt,) = record.attempts
    assert (record.probe.outcome, attempt.outcome, attempt.reason) == ("ok", "ok", "")
    assert attempt.token_source == "usage"
    assert attempt.output_tokens == record.probe.output_tokens == CAP
    assert attempt.finish_reason == "length"
    assert attempt.ttft_kind == "content"
    assert attempt.text is not None
    assert len(attempt.text.split()) == CAP
    assert attempt.input_tokens is not None
    assert attempt.charged_tokens == attempt.input_tokens + CAP


@pytest.mark.parametrize(
    ("dialect", "finish_reason"), [("completions", "length"), ("responses", "completed")]
)
async def test_other_dialects_give_the_same_words_and_counts(
    route: Route, dialect: Dialect, finish_reason: str
) -> None:
    (attempt,) = (await probed(changed(route, dialect=dialect, system="be brief"))).attempts
    assert (attempt.outcome, attempt.reason) == ("ok", "")
    assert (attempt.finish_reason, attempt.ttft_kind) == (finish_reason, "content")
    assert (attempt.token_source, attempt.output_tokens) == ("usage", CAP)
    assert attempt.text is not None
    assert len(attempt.text.split()) == CAP
    assert attempt.server_timing["predicted_ms"] > 0
    assert_ladder(attempt.stamps_ns)


@pytest.mark.parametrize("dialect", ["completions", "responses"])
async def test_a_prompt_above_the_context_is_told_by_other_dialects_too(
    route: Route, dialect: Dialect
) -> None:
    (attempt,) = (await probed(changed(route, dialect=dialect, prompt="sea " * 1000))).attempts
    assert (attempt.status, attempt.outcome, attempt.reason) == (
        400,
        "client_error",
        "context_length",
    )


async def test_the_prompts_count_and_its_cached_part_are_the_servers(route: Route) -> None:
    new = changed(route, prompt="gulls carry a prompt that no other test sends")
    (first,) = (await probed(new)).attempts
    (again,) = (await probed(new)).attempts
    assert first.input_tokens == again.input_tokens
    assert first.cached_tokens is not None
    assert again.cached_tokens is not None
    assert first.input_tokens is not None
    assert first.cached_tokens < again.cached_tokens < first.input_tokens


async def test_the_stamps_are_in_order_and_hold_the_servers_own_timing(route: Route) -> None:
    (attempt,) = (await probed(route)).attempts
    stamps, timing = attempt.stamps_ns, attempt.server_timing
    assert_ladder(stamps)
    assert attempt.cold
    assert timing["prompt_ms"] > 0
    assert timing["predicted_ms"] > 0
    assert stamps.first_token is not None
    assert stamps.done is not None
    assert stamps.started is not None
    assert timing["prompt_ms"] < (stamps.first_token - stamps.started) / 1e6
    assert sum(timing.values()) < (stamps.done - stamps.started) / 1e6


async def test_counts_while_streaming_say_how_much_came_at_once(route: Route) -> None:
    (attempt,) = (await probed(changed(route, extra_body={"timings_per_token": True}))).attempts
    assert attempt.token_source == "usage"
    assert attempt.output_tokens == CAP
    # Tokens that shared a read are told together: how many did is the kernel's to decide.
    assert attempt.first_chunk_tokens is not None
    assert 1 <= attempt.first_chunk_tokens <= CAP - (attempt.chunks - 1)


async def test_what_it_says_of_its_own_time_is_less_than_what_passed_here(route: Route) -> None:
    (attempt,) = (await probed(route)).attempts
    stamps = attempt.stamps_ns
    found = {comparison.span: comparison for comparison in comparisons(attempt)}
    assert "total" in found
    assert stamps.first_token is not None
    assert stamps.sent is not None
    # On one machine the first token may be there before the send's system call has returned.
    assert ("first_token" in found) == (stamps.first_token >= stamps.sent)
    if "first_token" in found:
        assert found["first_token"].claimed_s < found["total"].claimed_s
    assert {comparison.excess_s for comparison in found.values()} == {0.0}
    assert [words for _, words in server_lines(attempt) if "network" in words]


async def test_reports_of_the_prompts_progress_are_no_output(route: Route) -> None:
    told = changed(route, prompt="waves of salt " * 20, extra_body={"return_progress": True})
    (attempt,) = (await probed(told)).attempts
    assert attempt.outcome == "ok"
    assert attempt.stamps_ns.first_event is not None
    assert attempt.stamps_ns.first_token is not None
    assert attempt.stamps_ns.first_event <= attempt.stamps_ns.first_token  # they may share a read
    assert attempt.output_tokens == CAP


async def test_a_prompt_above_the_context_is_told_and_not_tried_again(route: Route) -> None:
    record = await probed(changed(route, prompt="sea " * 1000, retries=2))
    (attempt,) = record.attempts
    assert (attempt.status, attempt.outcome) == (400, "client_error")
    assert attempt.reason == record.probe.reason == "context_length"
    assert "exceeds the available context size (512 tokens)" in attempt.message
    assert attempt.output_tokens is None


async def test_a_context_that_fills_up_before_the_cap_gives_fewer_tokens(route: Route) -> None:
    (attempt,) = (await probed(changed(route, max_tokens=2000))).attempts
    assert (attempt.outcome, attempt.finish_reason) == ("ok", "length")
    assert attempt.output_tokens is not None
    assert attempt.input_tokens is not None
    assert attempt.input_tokens + attempt.output_tokens == pytest.approx(512, abs=1)


async def test_a_wrong_path_is_not_found(route: Route) -> None:
    wrong = changed(route, base_url=route.base_url.removesuffix("/v1") + "/v2")
    (attempt,) = (await probed(wrong)).attempts
    assert (attempt.status, attempt.outcome, attempt.reason) == (404, "client_error", "not_found")
    assert attempt.message == "File Not Found"


async def test_a_run_shows_it_beside_the_simulator(route: Route) -> None:
    """More workers than the server has slots, back to back: its own queue is at work.

    It offers to keep a connection and closes it after each streamed answer; what is sent on it in
    that moment is lost. Here each request has a connection of its own, so that none may be.
    """
    real = changed(route, name="real", concurrency=4, interval=0.0, connection="fresh")

    def enough(run: Watched) -> bool:
        return len(run.probes("real")) >= PROBES and len(run.probes("imitated")) >= 4

    with simulated("healthy") as url:
        imitated = changed(real, name="imitated", base_url=f"{url}/v1", model="healthy")
        run = await watched(real, imitated, until=enough)
    attempts = run.attempts("real")
    assert len(attempts) >= PROBES
    assert {attempt.outcome for attempt in attempts} == {"ok"}
    assert {attempt.output_tokens for attempt in attempts} == {CAP}
    assert {attempt.token_source for attempt in attempts} == {"usage"}
    assert len(run.of(FirstToken, "real")) >= PROBES
    for name in ("real", "imitated"):
        row = run.row(name)
        assert (row.success, row.amplification) == (1.0, 1.0)
        assert row.output_tokens == CAP
        assert row.ttft_p50.value is not None
        assert row.n == len(run.probes(name))


async def test_a_server_that_dies_cuts_its_streams_and_then_refuses(tmp_path: Path) -> None:
    with ExitStack() as server:
        url = server.enter_context(llama_cpp(tmp_path))
        route = Route(
            name="real",
            base_url=url,
            model="tiny",
            max_tokens=400,
            concurrency=4,
            interval=0.05,
            retries=0,
            connection="fresh",  # busy, it drops kept ones between two requests
        )

        def enough(run: Watched) -> bool:
            if len(run.probes("real")) >= route.concurrency:
                server.close()
            return any(attempt.reason == "connect.refused" for attempt in run.attempts("real"))

        run = await watched(route, until=enough)
    told = [(attempt.outcome, attempt.reason) for attempt in run.attempts("real")]
    assert told[: route.concurrency] == [("ok", "")] * route.concurrency
    assert set(told) - {("truncated", "cut"), ("protocol_error", "reset")} == {
        ("ok", ""),
        ("protocol_error", "connect.refused"),
    }
