"""Which share of the lines under test a corpus reaches."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from sample import Sample
from target import check

import probes

ROOM = Path(probes.__file__).parent
WANTED = {
    str(file)
    for file in (
        *(ROOM / "answers").rglob("*.py"),
        *(ROOM / "kit" / f"{name}.py" for name in ("charset", "durations", "tolerant_json")),
        ROOM / "engine" / "retry.py",
        ROOM / "transport" / "http1.py",
    )
}


def coverage_of(samples: Iterable[Sample]) -> str:
    """Return a table: lines inside functions, those reached, and the lines that were not."""
    reached: dict[str, set[int]] = {}
    sys.settrace(_tracer(reached))
    try:
        for sample in samples:
            check(sample)
    finally:
        sys.settrace(None)
    rows = []
    for file in sorted(WANTED):
        lines = set(_lines_of(compile(Path(file).read_text(), file, "exec")))
        missing = sorted(lines - reached.get(file, set()))
        name = str(Path(file).relative_to(ROOM))
        share = 100 * (1 - len(missing) / max(1, len(lines)))
        rows.append(f"{name:28} {len(lines):4} lines {share:4.0f} %  not: {missing[:14]}")
    return "\n".join(rows)


def _tracer(reached: dict[str, set[int]]) -> Any:
    def on_call(frame: FrameType, _event: str, _given: object) -> Any:
        file = frame.f_code.co_filename
        if file not in WANTED:
            return None
        lines = reached.setdefault(file, set())

        def on_line(frame: FrameType, event: str, _given: object) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
            return on_line

        return on_line

    return on_call


def _lines_of(code: CodeType) -> Iterator[int]:
    """Yield the lines of the functions in a module or class, without their first."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if "__module__" not in inner.co_names:  # a class body runs at import
                starts = (line for _, _, line in inner.co_lines() if line is not None)
                yield from (line for line in starts if line > inner.co_firstlineno)
            yield from _lines_of(inner)
