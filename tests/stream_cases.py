"""The cases in tests/cases: what servers really send, and what must be told of it.

What is expected of a case stands under the names of `AttemptFinished`, one that ends in `~` means
contains, in `<` less, in `>` more. `message~` looks into the message, the reason and the notices.
What a case does not name may be anything. `retries` is how often it may be tried again, `attempts`
how many exchanges there are then; `limits_told` says that some limit is read. `@unix+N` in a header
is the Unix time N seconds from now.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from probes.config import Dialect

_FOLDER = Path(__file__).parent / "cases"
_CLOSE_TO = {"cost_usd": 1e-9, "retry_after_s": 1.0}
"""What is not to be met exactly, and how far from it is right."""


def cases_of(file: str) -> list[dict[str, Any]]:
    """Return the cases of one file, a JSON object a line, of all dialects that there are."""
    lines = (_FOLDER / file).read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    return [case for case in cases if case["api"] in get_args(Dialect)]


CASES = [case for file in sorted(_FOLDER.glob("*.jsonl")) for case in cases_of(file.name)]


def dated(headers: Mapping[str, str], now_s: float) -> dict[str, str]:
    """Return the headers of a case as they are sent now."""

    def moment(found: re.Match[str]) -> str:
        return str(int(now_s) + int(found[1]))

    return {name: re.sub(r"@unix\+(\d+)", moment, value) for name, value in headers.items()}


def mismatches(
    expect: Mapping[str, Any], told: Mapping[str, Any], names: Iterable[str] | None = None
) -> list[str]:
    """Return where what is told is not what is expected, of these names or of all that are told."""
    wanted = set(told if names is None else names)
    return [
        f"{name}: {told[name.rstrip('~<>')]!r}, not {value!r}"
        for name, value in expect.items()
        if name.rstrip("~<>") in wanted and not _is_met(name, value, told)
    ]


def _is_met(name: str, value: Any, told: Mapping[str, Any]) -> bool:
    found = told[name.rstrip("~<>")]
    if name == "message~":
        found = "\n".join(map(str, (found, told["reason"], *told.get("notices", ()))))
    if name.endswith("~"):
        return value is not None and str(value).lower() in str(found).lower()
    if name.endswith("<"):
        return found is not None and bool(found < value)
    if name.endswith(">"):
        return found is not None and bool(found > value)
    if name in _CLOSE_TO and value is not None:
        return found == pytest.approx(value, abs=_CLOSE_TO[name])
    return bool(found == value)
