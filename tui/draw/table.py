"""Tables of every kind: which columns fit, how wide they are, and the lines they make.

Rule 1. A column says all of itself in one declaration: head, width, priority, and what a cell says.
Rule 2. Where there is no room whole columns go, the highest priority first; those of 0 never go.
Rule 3. No column stands where a more needed one had no room, so that a terminal of one width always
shows the same ones.
Rule 4. On a live screen no width follows the figures of a moment: nothing jumps. Only what is
printed once may be as wide as its rows (`printed`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Final, Generic, NamedTuple, TypeVar

from tui.draw.text import Line, Role, Span, cells, left, parted, right

Row = TypeVar("Row")


class Cell(NamedTuple):
    """What a column says of one row."""

    text: str
    role: Role = "text"
    mark: str = " "
    """One character right beside the text, in columns that are `marked`."""


BLANK: Final = Cell("")
"""Of a row that a column says nothing of."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column of a table whose rows are `Row`s."""

    head: str
    width: int
    """Cells it takes at least, without gap and mark; never fewer than its head."""
    cell: Callable[[Row], Cell] | None
    """None leaves its place, which is then the last, to whoever draws something else there."""
    priority: int = 0
    """Where there is no room the highest goes first; 0 never does."""
    _: KW_ONLY
    key: str = ""
    """What it is called within its table by those who sort by it, widen it or leave it blank."""
    group: str = ""
    """Written right before the head of the first column of the group that is shown."""
    marked: bool = False
    """It keeps one more cell for a mark, so that its figures stay in line."""
    flush_left: bool = False
    gap: int | None = None
    """Blank cells before it; None is the table's own."""
    gap_like_before: bool = False
    """Those blanks look like the cell before them, not like the column's own."""
    room: int = 0
    """Cells that must be free for it to be shown, where that is more than it takes: others that
    grow come first."""


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """Columns that fit, with their widths: makes heads and rows of one shape."""

    columns: tuple[Column[Row], ...]
    heads: tuple[str, ...]
    widths: tuple[int, ...]
    """Without gaps and marks."""
    gaps: tuple[str, ...]
    """Blanks before each column."""
    spare: int
    """Cells that are left of the width it was made for."""

    def width(self, key: str) -> int:
        """Return how wide a column is; 0 where it is not shown."""
        widths = zip(self.columns, self.widths, strict=True)
        return next((width for column, width in widths if column.key == key), 0)

    def grown(self, *limits: tuple[str, int]) -> "Table[Row]":
        """Return the table with what is spare given to columns: (key, width up to which), in turn.

        One that is not shown gets nothing.
        """
        widths, spare = list(self.widths), self.spare
        places = {column.key: place for place, column in enumerate(self.columns)}
        for key, most in limits:
            if key in places:
                more = max(0, min(spare, most - widths[places[key]]))
                widths[places[key]] += more
                spare -= more
        return replace(self, widths=tuple(widths), spare=spare)

    def head_line(self, lit: str = "", sign: str = "") -> Line:
        """Return the heads; that of the column `lit` stands out, and has a sign beside it.

        The sign of one cell takes the place of a blank: no column moves for it.
        """
        line = self._line(
            Cell(head, "accent" if lit and column.key == lit else "head")
            for column, head in zip(self.columns, self.heads, strict=True)
            if column.cell
        )
        return tuple(
            (_signed(text, sign), role) if sign and role == "accent" else (text, role)
            for text, role in line
        )

    def line(self, row: Row, instead: Mapping[str, Cell] | None = None) -> Line:
        """Return a row; `instead` has the cells that stand for its own, by key."""
        other = instead or {}
        return self._line(
            other[column.key] if column.key in other else column.cell(row)
            for column in self.columns
            if column.cell
        )

    def _line(self, row: Iterable[Cell]) -> Line:
        spans: list[Span] = []
        places = zip(self.columns, self.widths, self.gaps, row, strict=False)
        for column, width, gap, (text, role, mark) in places:
            placed = left(text, width) if column.flush_left else right(text, width)
            if column.marked:
                placed += mark
            if gap and column.gap_like_before and spans:
                before, its_role = spans[-1]
                spans[-1] = (before + gap, its_role)
                spans.append((placed, role))
            else:
                spans.append((gap + placed, role))
        return tuple(spans)

    def head_text(self) -> str:
        """Return the heads for a stream of plain text."""
        return self._text(self.heads)

    def text(self, row: Row) -> str:
        """Return a row for a stream of plain text.

        What is too long for a column that is flush left is not cut: it takes from the blanks of the
        next ones.
        """
        return self._text([_text_of(column, row) for column in self.columns])

    def _text(self, texts: Sequence[str]) -> str:
        line, end = "", 0
        places = zip(self.columns, self.widths, self.gaps, texts, strict=True)
        for column, width, gap, text in places:
            begin = end + len(gap)
            line += " " * max(len(gap), begin - cells(line))
            line += text if column.flush_left else right(text, width)
            end = begin + width
        return line.rstrip()


def _signed(text: str, sign: str) -> str:
    """Return a head with a sign for the blank behind it, or else for the one before it."""
    before, core, after = parted(text)
    if after:
        return before + core + sign + after[1:]
    return before[:-1] + sign + core if before else text


def fit(columns: Sequence[Column[Row]], width: int, *, gap: int = 0) -> Table[Row]:
    """Return the table of those columns that fit into `width` cells, `gap` apart.

    One at least has priority 0: a table is never without columns.
    """
    shown = list(columns)
    while (spare := width - _taken(shown, gap)) < _wanted(shown):
        worst = max(shown, key=lambda column: column.priority)
        if not worst.priority:
            break
        shown.remove(worst)
    return _made(shown, [column.width for column in shown], gap, max(0, spare))


def printed(
    columns: Sequence[Column[Row]], rows: Sequence[Row] = (), *, gap: int = 2
) -> Table[Row]:
    """Return the table of all columns, each wide enough for its cells of `rows`.

    No column goes: a terminal wraps what is too long, and a pipe has no width.
    """
    widths = [
        max([column.width, *(cells(_text_of(column, row)) for row in rows)]) for column in columns
    ]
    return _made(columns, widths, gap, 0)


def _made(shown: Sequence[Column[Row]], widths: Sequence[int], gap: int, spare: int) -> Table[Row]:
    heads = _heads(shown)
    least = tuple(max(width, cells(head)) for width, head in zip(widths, heads, strict=True))
    return Table(tuple(shown), heads, least, _gaps(shown, gap), spare)


def _taken(shown: Sequence[Column[Row]], gap: int) -> int:
    """Return the cells that columns take at least, gaps and marks included."""
    places = zip(shown, _heads(shown), _gaps(shown, gap), strict=True)
    return sum(
        max(column.width, cells(head)) + column.marked + len(blanks)
        for column, head, blanks in places
    )


def _wanted(shown: Sequence[Column[Row]]) -> int:
    """Return the cells that must be left over beside columns that are shown."""
    return max((column.room - column.width for column in shown if column.room), default=0)


def _gaps(shown: Sequence[Column[Row]], gap: int) -> tuple[str, ...]:
    gaps = [" " * (gap if column.gap is None else column.gap) for column in shown]
    return ("", *gaps[1:]) if gaps else ()


def _text_of(column: Column[Row], row: Row) -> str:
    return column.cell(row).text if column.cell else ""


def _heads(shown: Sequence[Column[Row]]) -> tuple[str, ...]:
    seen = {""}
    heads = []
    for column in shown:
        first = column.group not in seen
        seen.add(column.group)
        heads.append(f"{column.group}{column.head}" if first else column.head)
    return tuple(heads)
