"""What do the official clients, AIPerf and llmtop say of answers that servers really send?

`python tests/compare.py [--write]` plays every case of tests/cases over a loopback socket to three
clients, each without retries, and prints a Markdown table: what really happened, and what each
client tells of it.

- The official clients, `openai` and, where it is installed, `anthropic` (both are in the extra
  `bench`), are asked to stream, and say "ok" by returning without an exception.
- AIPerf, where its command is on the PATH, says it by a record that it counts as valid. It wants an
  environment of its own: `pip install aiperf`, 1.2 GB.
- llmtop says it by the outcome that `llmtop once --json` tells.

A client that is not installed, or that does not speak an API, has a dash. `--write` puts the table
into tests/comparison/README.md and its totals into the page of the answers.

It takes some three minutes of CPU time, most of them AIPerf's, and some more to wait for stalls.
What AIPerf does not judge in 8 s of CPU time is counted as told to be a failure.
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from comparison.clients import (
    aiperf_version,
    by_aiperf,
    by_llmtop,
    by_official_client,
    official_version,
)
from comparison.serving import served
from comparison.table import MARK, Row, rows_of, totals
from stream_cases import CASES

from probes import __version__

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "tests" / "comparison" / "README.md"
TOTALS = ROOT / "probes" / "answers" / "README.md"
BLOCK = re.compile(re.escape(MARK) + r"\n.*?(?=\n\n|\Z)", re.DOTALL)


def ask(cases: Sequence[dict[str, object]]) -> list[Row]:
    """Return what the clients say of each case."""
    with served(cases) as address, ThreadPoolExecutor(1) as beside:
        urls = [address(number) for number in range(len(cases))]
        by_tool = beside.submit(by_aiperf, cases, urls)
        others = [
            (by_official_client(case, url), by_llmtop(case, url))
            for case, url in zip(cases, urls, strict=True)
        ]
        return [
            Row(case, (official, tool, llmtop))
            for case, (official, llmtop), tool in zip(cases, others, by_tool.result(), strict=True)
        ]


def versions() -> tuple[str, str, str]:
    """Name the clients as the table of totals does."""
    return official_version(), f"AIPerf {aiperf_version()}", f"llmtop {__version__}"


def page(rows: Sequence[Row]) -> str:
    """Return the whole page."""
    failed = [row for row in rows if not row.succeeded]
    doubted = [row for row in rows if row.succeeded and any(map(row.is_wrong, row.verdicts))]
    lines = [
        "# What clients say of answers that servers really send",
        "",
        f"{len(rows)} cases, {len(failed)} of them failures. How it is made, and what counts as",
        "success: [compare.py](../compare.py). AIPerf refuses chunks without `object`, which",
        "several servers send so. What is wrong is **bold**.",
        "",
        MARK,
        *totals(rows, versions()),
        "",
        "## Failures",
        "",
        *rows_of(failed),
        "",
        "## Successes that a client tells as failures",
        "",
        *rows_of(doubted),
    ]
    return "\n".join(lines) + "\n"


def write(rows: Sequence[Row]) -> None:
    """Put the page and the totals where they stand."""
    PAGE.write_text(page(rows), encoding="utf-8")
    block = "\n".join([MARK, *totals(rows, versions())])
    text, found = BLOCK.subn(block, TOTALS.read_text(encoding="utf-8"))
    assert found == 1, f"{TOTALS} has no place for the totals"
    TOTALS.write_text(text, encoding="utf-8")


def main() -> None:
    """Compare, and print or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into the two pages")
    options = parser.parse_args()
    started = time.monotonic()
    rows = ask(CASES)
    sys.stderr.write(f"{len(rows)} cases in {time.monotonic() - started:.0f} s\n")
    if options.write:
        write(rows)
    else:
        sys.stdout.write(page(rows))


if __name__ == "__main__":
    main()
