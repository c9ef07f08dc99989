"""The comparison as Markdown: one row for each case, a count of what each client gets wrong."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from comparison.clients import Verdict

MARK = "<!-- made by: python tests/compare.py --write -->"
_WIDEST_WHY = 110


@dataclass(frozen=True)
class Row:
    """What happened in one case, and what the official client, AIPerf and llmtop say of it."""

    case: dict[str, Any]
    verdicts: tuple[Verdict | None, Verdict | None, Verdict]

    @property
    def succeeded(self) -> bool:
        """Whether it was a success."""
        return bool(self.case["expect"]["outcome"] == "ok")

    def is_wrong(self, verdict: Verdict | None) -> bool:
        """Whether a client took a failure for a success, or the other way round."""
        return verdict is not None and verdict.is_ok != self.succeeded


def truth_of(case: dict[str, Any]) -> str:
    """Return what a case is about, without its links."""
    why = re.sub(r":? https?://\S+|: [a-z0-9-]+(\.[a-z0-9-]+)+/\S+", "", case.get("why", ""))
    short = why if len(why) <= _WIDEST_WHY else why[: _WIDEST_WHY - 1].rstrip() + "…"
    told = f"`{case['expect']['outcome']}`"
    return f"{told} {short}".strip().replace("|", "\\|").replace("<", "&lt;")


def _cell(row: Row, verdict: Verdict | None) -> str:
    if verdict is None:
        return "–"
    return f"**{verdict.words}**" if row.is_wrong(verdict) else verdict.words


def rows_of(rows: Iterable[Row]) -> list[str]:
    """Return the lines of the table; what is wrong is bold."""
    lines = [
        "| case | what happened | official client | AIPerf | llmtop |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [_cell(row, verdict) for verdict in row.verdicts]
        name = row.case["name"]
        lines.append(f"| `{name}` | {truth_of(row.case)} | {' | '.join(cells)} |")
    return lines


def told_by_llmtop(table: str) -> dict[tuple[str, str], str]:
    """Return llmtop's cell of each row of a table, by the case's name and what happened."""
    found = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            name, truth, *_, told = re.split(r"(?<!\\)\|", line)[1:-1]
            found[name.strip().strip("`"), truth.strip()] = told.strip()
    return found


def totals(rows: Sequence[Row], versions: Sequence[str]) -> list[str]:
    """Return how many failures each client tells as success, and successes as failures."""
    lines = [
        "| client | failures told as success | successes told as failures |",
        "|---|---|---|",
    ]
    for number, version in enumerate(versions):
        asked = [row for row in rows if row.verdicts[number] is not None]
        wrong = [row for row in asked if row.is_wrong(row.verdicts[number])]
        good = sum(row.succeeded for row in asked)
        missed = sum(not row.succeeded for row in wrong)
        if asked:
            lines.append(
                f"| {version} | {missed} of {len(asked) - good} | {len(wrong) - missed} of {good} |"
            )
    return lines
