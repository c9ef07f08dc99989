"""The cases in tests/cases: what servers really send, and what must be told of it."""

import json
from pathlib import Path
from typing import Any, get_args

from probes.config import Dialect

__all__ = ["CASES", "cases_of"]

_FOLDER = Path(__file__).parent / "cases"


def cases_of(file: str) -> list[dict[str, Any]]:
    """Return the cases of one file, a JSON object a line, of all dialects that there are."""
    lines = (_FOLDER / file).read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    return [case for case in cases if case["api"] in get_args(Dialect)]


CASES = [case for file in sorted(_FOLDER.glob("*.jsonl")) for case in cases_of(file.name)]
