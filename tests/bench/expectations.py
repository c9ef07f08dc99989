"""What does it cost to hold answers against what is expected? `python tests/bench/expectations.py`

Two tables. The first: CPU time of one search by RE2, as llmtop has it, and by Python's `re`, of a
pattern that goes back, as the text grows; `re` is given up where a search would take longer than a
second. The second: how late an event loop wakes that only ticks every millisecond, while answers
are held against a schema that takes some milliseconds of Python each: on the loop itself, in a
thread beside it, and in llmtop's process beside it.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2])]

import anyio  # noqa: E402
import anyio.to_thread  # noqa: E402

from probes.answers.right_answer import Expectation  # noqa: E402
from probes.config import Expect  # noqa: E402
from probes.engine.answer_checks import AnswerChecks  # noqa: E402
from probes.kit.clock import SystemClock  # noqa: E402
from probes.kit.linear_patterns import LinearPattern  # noqa: E402

PATTERN = r"^(\w+[ .]*)+$"
LENGTHS = (16, 20, 24, 1_000, 10_000, 100_000)
SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
}
ANSWER = json.dumps([{"n": number} for number in range(300)])
TICK_S = 0.001


def _search_s(search: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    search(text)
    return time.thread_time() - began


def patterns() -> list[str]:
    """Return the first table."""
    lines = ["| characters | RE2 | Python's `re` |", "|---|---|---|"]
    linear, backtracking = LinearPattern(PATTERN).is_in, re.compile(PATTERN).search
    is_given_up = False
    for length in LENGTHS:
        text = "a" * length + "!"
        ours = min(_search_s(linear, text) for _ in range(5))
        theirs = "given up"
        if not is_given_up:
            took_s = _search_s(backtracking, text)
            theirs = f"{took_s * 1e6:,.0f} µs"
            is_given_up = took_s > 0.1  # four characters more take 16 times as long
        lines.append(f"| {length:,} | {ours * 1e6:,.0f} µs | {theirs} |")
    return lines


async def _lateness(check: Callable[[], Awaitable[object]] | None, seconds: float) -> list[float]:
    """Return by how much a loop woke late, in s, while answers are checked one after the other."""
    late: list[float] = []
    number = 0

    async def go_on() -> None:
        nonlocal number
        while check is not None:
            await check()
            number += 1
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        group.start_soon(go_on)
        ends_s = time.monotonic() + seconds
        while (began_s := time.monotonic()) < ends_s:
            await anyio.sleep(TICK_S)
            late.append(time.monotonic() - began_s - TICK_S)
        group.cancel_scope.cancel()
    return [*sorted(late), float(number)]


async def lateness(seconds: float) -> list[str]:
    """Return the second table."""
    expect = Expect(json_schema=SCHEMA)
    expectation, checks = Expectation(expect), AnswerChecks(SystemClock())
    began_s = time.thread_time()
    assert expectation.judge(ANSWER).finding == "right"
    took_s = time.thread_time() - began_s

    async def on_the_loop() -> object:
        return expectation.judge(ANSWER)

    async def in_a_thread() -> object:
        return await anyio.to_thread.run_sync(expectation.judge, ANSWER)

    async def in_a_process() -> object:
        reply = await checks.check(expect, ANSWER, is_cut=False)
        assert reply.finding == "right"
        return reply

    await in_a_process()  # it is started by the first
    ways: dict[str, Callable[[], Awaitable[object]] | None] = {
        "nothing is checked": None,
        "on the loop": on_the_loop,
        "in a thread": in_a_thread,
        "in a process": in_a_process,
    }
    lines = [
        f"A check takes {took_s * 1000:.1f} ms of Python.",
        "",
        "| checked | checks a second | the loop is late by: p50 | p99 | most |",
        "|---|---|---|---|---|",
    ]
    for name, check in ways.items():
        *late, number = await _lateness(check, seconds)
        figures = (late[len(late) // 2], late[int(len(late) * 0.99)], late[-1])
        told = " | ".join(f"{value * 1000:.2f} ms" for value in figures)
        lines.append(f"| {name} | {number / seconds:.0f} | {told} |")
    await checks.aclose()
    return lines


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="for each way (default: 8)")
    options = parser.parse_args()
    sys.stdout.write("\n".join(patterns()) + "\n\n")
    sys.stdout.write("\n".join(anyio.run(lateness, options.seconds)) + "\n")


if __name__ == "__main__":
    main()
