"""Three clients that are asked the same: does this answer count as a success?

An official client says so by returning without an exception, AIPerf by a record that is valid,
llmtop by the outcome `ok`.
"""

import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

import httpx2
from openai import OpenAI

from tui.cli import main

FIRST_TOKEN_S: Final = 1.5
STALL_S: Final = 0.5
PATIENCE_S: Final = 20.0
"""Of clients with one clock: what passes between two reads."""
WORDS: Final = "Say hi."


@dataclass(frozen=True)
class Verdict:
    """Whether a client takes an answer for a success, and in which words."""

    is_ok: bool
    words: str


def _messages() -> list[dict[str, str]]:
    return [{"role": "user", "content": WORDS}]


@cache
def _http() -> httpx2.Client:
    """One for all, as it takes long to make; each case closes its connection anyway."""
    return httpx2.Client(trust_env=False)


def _openai(url: str, patience_s: float) -> OpenAI:
    return OpenAI(
        base_url=url, api_key="key", max_retries=0, timeout=patience_s, http_client=_http()
    )


def _chat(url: str, patience_s: float) -> Any:
    chat: Any = _openai(url, patience_s).chat.completions
    return chat.create(model="m", messages=_messages(), stream=True)


def _completions(url: str, patience_s: float) -> Any:
    return _openai(url, patience_s).completions.create(model="m", prompt=WORDS, stream=True)


def _responses(url: str, patience_s: float) -> Any:
    return _openai(url, patience_s).responses.create(model="m", input=WORDS, stream=True)


def _anthropic(url: str, patience_s: float) -> Any:
    from anthropic import Anthropic

    client = Anthropic(
        base_url=url, api_key="key", max_retries=0, timeout=patience_s, http_client=_http()
    )
    asked: Any = client.messages.create
    return asked(model="m", max_tokens=16, messages=_messages(), stream=True)


_OFFICIAL: Final[dict[str, Callable[[str, float], Any]]] = {
    "chat": _chat,
    "completions": _completions,
    "responses": _responses,
    **({"messages": _anthropic} if find_spec("anthropic") else {}),
}


def official_version() -> str:
    """Name the official clients and their versions."""
    names = ["openai", *(["anthropic"] if find_spec("anthropic") else [])]
    return ", ".join(f"{name}-python {version(name)}" for name in names)


def by_official_client(case: Mapping[str, Any], url: str) -> Verdict | None:
    """Stream a case with the official client of its API; None where there is none."""
    ask = _OFFICIAL.get(case["api"])
    if ask is None:
        return None
    patience_s = FIRST_TOKEN_S if case["close"] == "stall" else PATIENCE_S
    try:
        for _ in ask(url, patience_s):
            pass
    except Exception as error:  # whatever it raises, it has told of a failure
        return Verdict(False, type(error).__name__)
    return Verdict(True, "ok")


def once_arguments(case: Mapping[str, Any], url: str) -> list[str]:
    """Return the command line by which llmtop is asked of a case."""
    stalls = case["close"] == "stall"
    first_token, stall = (FIRST_TOKEN_S, STALL_S) if stalls else (PATIENCE_S, PATIENCE_S)
    return [
        *("once", "--json", "--include-text", "--retries", str(case.get("retries", 0))),
        *("--base-url", url, "--model", "m", "--dialect", case["api"]),
        *("--first-token-timeout", str(first_token), "--stall-timeout", str(stall)),
    ]


def verdict_of(told: Mapping[str, Any]) -> Verdict:
    """Return what the JSON of `llmtop once` says."""
    words = [told["outcome"], *([told["reason"]] if told["reason"] else [])]
    return Verdict(told["outcome"] == "ok", ": ".join(words))


def by_llmtop(case: Mapping[str, Any], url: str) -> Verdict:
    """Ask by the real command, with a budget and a state folder of its own."""
    output = io.StringIO()
    with (
        TemporaryDirectory() as home,
        patch.dict(os.environ, HOME=home, XDG_STATE_HOME=home, XDG_CONFIG_HOME=home),
        redirect_stdout(output),
    ):
        main(once_arguments(case, url))
    return verdict_of(json.loads(output.getvalue()))


def _aiperf() -> str | None:
    return shutil.which("aiperf")


def aiperf_version() -> str:
    """Return AIPerf's version; empty where it is not on the PATH."""
    command = _aiperf()
    if command is None:
        return ""
    ended = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def by_aiperf(cases: Sequence[Mapping[str, Any]], urls: Sequence[str]) -> list[Verdict | None]:
    """Ask AIPerf's own HTTP client, endpoint and record parser, in a process of its Python.

    None of each where it is not installed, and of cases in a dialect that it does not know.
    """
    command = _aiperf()
    if command is None:
        return [None] * len(cases)
    asked = "".join(
        json.dumps(
            {
                "url": url,
                "api": case["api"],
                "patience_s": FIRST_TOKEN_S if case["close"] == "stall" else PATIENCE_S,
            }
        )
        + "\n"
        for case, url in zip(cases, urls, strict=True)
    )
    python = Path(command).resolve().parent / "python"
    script = Path(__file__).with_name("aiperf_records.py")
    ended = subprocess.run(
        [str(python), "-P", str(script)], input=asked, capture_output=True, text=True, check=True
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(told) == len(cases)
    return [Verdict(**one) if one else None for one in told]
