"""`llmtop once --json` of cases of what servers send, over a socket.

All of the first file's, and of the others each fifth: below the command they are the same code that
reads every case over a socket elsewhere.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from comparison.clients import once_arguments, verdict_of
from comparison.serving import Address, served
from comparison.table import told_by_llmtop, truth_of
from stream_cases import CASES, cases_of, mismatches

from tui.cli import main

SAMPLE = cases_of("stream_cases.jsonl")
ASKED = SAMPLE + [case for case in CASES[::5] if case not in SAMPLE]
PAGE = Path(__file__).parents[2] / "comparison" / "README.md"
TABLED = told_by_llmtop(PAGE.read_text(encoding="utf-8"))
SAME = (
    *("outcome", "reason", "retryable", "message", "text", "reasoning_text", "finish_reason"),
    *("output_tokens", "input_tokens", "reasoning_tokens", "cached_tokens", "token_source"),
    *("cost_usd", "served_model", "fingerprint"),
)
OF_THE_LAST = ("message", "served_model", "fingerprint")


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with served(ASKED) as found:
        yield found


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each probe a budget of its own."""
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    monkeypatch.delenv("LLMTOP_CONFIG", raising=False)


def kinds(expect: dict[str, Any]) -> set[str]:
    """Return what may be told: a busy machine reads at once what came piece by piece."""
    told = expect["ttft_kind"]
    return {told} if told in ("none", "not_streamed") else {told, "buffered"}


@pytest.mark.parametrize("number", range(len(ASKED)), ids=[case["name"] for case in ASKED])
def test_once_tells_a_case_as_it_is_meant(
    number: int, address: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    case = ASKED[number]
    expect: dict[str, Any] = case["expect"]
    status = main(once_arguments(case, address(number)))
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    last = told["attempts"][-1]
    told |= {name: last[name] for name in OF_THE_LAST}
    assert status == (0 if expect["outcome"] == "ok" else 1)
    assert mismatches(expect, told, SAME) == []
    if "attempts" in expect:
        assert len(told["attempts"]) == expect["attempts"]
    if "ttft_kind" in expect:
        assert told["ttft_kind"] in kinds(expect)
    if "first_output_frame" in expect:
        assert (told["ttft_s"] is not None) == (expect["first_output_frame"] is not None)
    if "retry_after_ms" in expect:
        (attempt,) = told["attempts"]
        assert attempt["retry_after_s"] == pytest.approx(expect["retry_after_ms"] / 1000, abs=1.0)
    if (case["name"], truth_of(case)) in TABLED:
        shown = TABLED[case["name"], truth_of(case)]
        assert shown.strip("*") == verdict_of(told).words


def test_the_table_has_all_failures_and_llmtop_tells_each_as_one() -> None:
    failures = [case for case in CASES if case["expect"]["outcome"] != "ok"]
    assert {(case["name"], truth_of(case)) for case in failures} <= TABLED.keys()
    assert {cell for cell in TABLED.values() if cell.startswith("**")} == set()
