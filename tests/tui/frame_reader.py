"""Reads the home screen as a person does: texts of panes in, what contradicts what out.

Nothing here knows of a snapshot: only what stands on the screen is read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tui.panes.routes import STATE_GLYPHS

_GLYPHS: Final = "".join(STATE_GLYPHS.values())
_CALM: Final = ("ok", "starting", "paused")
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}
_SPAN: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_VERDICT: Final = re.compile(rf"^ [{_GLYPHS}◌] (?P<who>\S+).* since [\d:]+ \((?P<for>[\dhms]+)\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the routes table, each cell as it is written."""

    name: str
    state: str
    cells: dict[str, str]

    def number(self, head: str) -> float | None:
        """Return a cell as a number, marks left out; None where it has none."""
        found = re.search(r"\d+(?:\.\d+)?", self.cells.get(head, ""))
        return float(found[0]) if found else None

    @property
    def since_s(self) -> float | None:
        """For how long it has been so, in seconds."""
        return seconds(self.cells.get("SINCE", ""))


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands on the home screen at one moment."""

    at_s: float
    header: str
    verdicts: list[tuple[str, float]]
    """Whom, and for how long."""
    rows: list[Row]
    totals: Row | None
    selected: str
    window: str
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    """Window → row of the percentiles pane (`TTFT p95`, `E2E n`) → figure."""


def seconds(text: str) -> float | None:
    """Return a span such as `1h02m` or `1m27s` in seconds; None where it is none."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not text.strip():
        return None
    return sum(
        int(number) * unit
        for number, unit in zip(found.groups(), _UNITS.values(), strict=True)
        if number
    )


def read(
    at_s: float,
    *,
    header: str,
    verdicts: Sequence[str],
    table: Sequence[str],
    percentiles: Sequence[str],
    window: str,
) -> Frame:
    """Read the lines of the panes of one frame."""
    heads = _places(table[0]) if table else []
    rows, totals, selected = [], None, ""
    for line in table[1:]:
        cells = {head: _cell(line, begin, end) for head, begin, end in heads}
        name = cells.get("ROUTE", "")
        if "all routes" in line:
            totals = Row(name, "", cells)
        elif line[1:2] and line[1] in _GLYPHS:
            rows.append(Row(name, cells.get("STATE", ""), cells))
            selected = name if line[0] == "▸" else selected
    # What may be chance does not yet make its routes' state.
    sure = [line for line in verdicts if " perhaps " not in line]
    told = [(found["who"], seconds(found["for"])) for one in sure if (found := _VERDICT.match(one))]
    return Frame(
        at_s,
        header,
        [(who, for_s) for who, for_s in told if for_s is not None],
        rows,
        totals,
        selected,
        window,
        _columns(percentiles),
    )


def _places(head: str) -> list[tuple[str, int, int]]:
    """Return each head with where its cell begins, and where it ends, 0 where it is flush left.

    What stands under a head that has no group of its own belongs to the group before it.
    """
    places, begin, group = [], 0, ""
    for found in re.finditer(r"\S+", head):
        word, end = found[0], found.end()
        if re.match(r"(TTFT|E2E)\d", word):
            group = word.rstrip("0123456789")
        name = f"{group}{word}" if re.fullmatch(r"\d\d|×", word) else word
        is_left = word in ("ROUTE", "STATE", "MODEL", "WHY")
        places.append((name, found.start() if is_left else begin, 0 if is_left else end + 1))
        begin = end + 1
    return places


def _cell(line: str, begin: int, end: int) -> str:
    """Return the word of a cell: the last one up to its end, or the first one where flush left."""
    words = (line[begin:end] if end else line[begin:]).split()
    if not words or (not end and line[begin : begin + 1] == " "):
        return ""
    return words[-1] if end else words[0]


def _columns(lines: Sequence[str]) -> dict[str, dict[str, str]]:
    if not lines:
        return {}
    heads = [
        (found[0], found.end())
        for found in re.finditer(r"(?<!\S)(\d+[mh]|run|now|usual)(?!\S)", lines[0])
    ]
    columns: dict[str, dict[str, str]] = {name: {} for name, _ in heads}
    group = ""
    for line in lines[1:]:
        label = re.match(r"\s*(?:(TTFT|E2E) )?\s*(p\d\d|max|n)\s", line)
        if label is None:
            continue
        group = label[1] or group
        for name, end in heads:
            figure = line[:end].split()[-1] if line[:end].split() else ""
            columns[name][f"{group} {label[2]}"] = figure
    return columns


def contradictions(frame: Frame, before: Frame | None = None) -> Iterator[str]:
    """Give what a frame says otherwise than itself, or than the frame before it."""
    yield from _of_windows(frame)
    yield from _of_totals(frame)
    yield from _of_selected(frame)
    yield from _of_header(frame)
    yield from _of_verdicts(frame)
    if before is not None:
        yield from _of_time(before, frame)


def _of_windows(frame: Frame) -> Iterator[str]:
    spans = [name for name in frame.columns if name != "usual"]
    for one, other in pairwise(spans):
        for row in ("TTFT n", "E2E n"):
            few, many = (_count(frame.columns[name].get(row, "")) for name in (one, other))
            if few is not None and many is not None and few > many:
                yield f"n falls: {row} {few:g} in {one}, {many:g} in {other}"


def _of_totals(frame: Frame) -> Iterator[str]:
    if frame.totals is None:
        return
    for place, what in ((0, "in flight"), (1, "target")):
        told = [
            row.cells.get("CONC", "").strip("⇡ ").split("/") for row in (*frame.rows, frame.totals)
        ]
        if all(len(one) == 2 for one in told):
            *parts, whole = (int(one[place]) for one in told)
            if sum(parts) != whole:
                yield f"{what}: {whole} in all, {sum(parts)} in the rows"
    parts = [row.number("429/m") or 0.0 for row in frame.rows]
    whole = frame.totals.number("429/m")
    if whole is not None and abs(sum(parts) - whole) > 0.5 * len(parts) + 0.5:
        yield f"429/m: {whole:g} in all, {sum(parts):g} in the rows"


def _of_selected(frame: Frame) -> Iterator[str]:
    row = next((row for row in frame.rows if row.name == frame.selected), None)
    column = frame.columns.get(frame.window)
    if row is None or column is None:
        return
    for head, label in (("TTFT50", "TTFT p50"), ("TTFT95", "TTFT p95"), ("E2E95", "E2E p95")):
        there, here = row.cells.get(head), column.get(label)
        if there and here and _bare(there) != _bare(here):
            yield f"{head} of {row.name}: {there} in the table, {here} in the percentiles"


def _of_header(frame: Frame) -> Iterator[str]:
    found = re.search(r"(\d+) routes?(?:: (\d+) hurt)?", frame.header)
    if found is None:
        return
    if int(found[1]) != len(frame.rows):
        yield f"header: {found[1]} routes, {len(frame.rows)} rows"
    hurt = sum(row.state not in (*_CALM, "held") for row in frame.rows)
    if found[2] is not None and int(found[2]) != hurt:
        yield f"header: {found[2]} hurt, {hurt} rows are"


def _of_verdicts(frame: Frame) -> Iterator[str]:
    told: set[str] = set()
    for who, for_s in frame.verdicts:
        row = next((row for row in frame.rows if row.name == who), None)
        if row is None or who in told or row.state in _CALM:
            continue
        told.add(who)
        since_s = row.since_s
        if since_s is not None and abs(since_s - for_s) > (60 if max(since_s, for_s) > 599 else 1):
            yield f"since of {who}: {for_s:g} s in the verdict, {since_s:g} in its row"


def _of_time(before: Frame, frame: Frame) -> Iterator[str]:
    """Give where an onset moves to a later time while the route stays ill."""
    known = {row.name: row for row in before.rows}
    for row in frame.rows:
        old = known.get(row.name)
        if old is None or old.state in _CALM or row.state in _CALM:
            continue
        if row.since_s is None or old.since_s is None:
            continue
        slack_s = 60 if row.since_s > 599 else 1
        onset_s, old_onset_s = frame.at_s - row.since_s, before.at_s - old.since_s
        if onset_s > old_onset_s + slack_s:
            yield (
                f"SINCE of {row.name} jumps from {old.since_s:g} to {row.since_s:g} s "
                f"({old.state}, {row.state})"
            )


def _count(text: str) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(k?)", text)
    return None if found is None else float(found[1]) * (1000 if found[2] else 1)


def _bare(text: str) -> str:
    return text.strip("△▲°! ")
