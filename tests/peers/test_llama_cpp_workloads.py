"""A workload of the leaderboard is what its name says, as servers that others wrote count it."""

from pathlib import Path

import msgspec
import pytest
from peer_processes import llama_cpp, missing_packages
from watched import Watched, watched

from probes.config.file import parse_config

pytestmark = [pytest.mark.anyio, missing_packages("xllamacpp", "gguf", "numpy")]

PROBES = 6
SLOT_TOKENS = 8_192
"""The tiny model reads every byte as a token, and a blank as three: the first prompt has nearly six
times as many as models that know English would count."""
TEMPLATE_TOKENS = 1 + len("▁user:▁".encode())
"""What the tiny model's template puts before a prompt: the token that begins every text, and the
role in bytes."""


async def test_aa_1k_on_llama_cpp_is_within_a_tenth_of_its_shape_and_nothing_is_cached(
    tmp_path: Path,
) -> None:
    with llama_cpp(tmp_path, SLOT_TOKENS) as url:
        text = f'[routes.r]\nbase_url = "{url}"\nmodel = "tiny"\nworkload = "aa-1k"\ninterval = 0\n'
        (route,) = parse_config(text, Path("routes.toml"), {}).routes
        # It offers to keep a connection and closes it after each streamed answer.
        route = msgspec.structs.replace(route, connection="fresh")

        def enough(run: Watched) -> bool:
            return len(run.probes("r")) >= PROBES

        run = await watched(route, until=enough)
    attempts = run.attempts("r")
    assert {(one.outcome, one.cohort) for one in attempts} == {("ok", "1000/1k/aa-1k")}
    assert {one.token_source for one in attempts} == {"usage"}
    first, *others = (one.input_tokens for one in attempts)
    assert first is not None
    assert first > 4_000
    assert others == pytest.approx([1_000] * len(others), rel=0.1)
    assert [one.output_tokens for one in attempts] == [1_000] * len(attempts)
    # It shares, byte by byte, whatever two prompts begin with: of the prompt itself that is by
    # chance a letter or two.
    assert all((one.cached_tokens or 0) <= TEMPLATE_TOKENS + 2 for one in attempts)
