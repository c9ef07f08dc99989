"""The retries pane as lines: reason × retry number, what it brought and what it cost."""

from collections.abc import Sequence
from typing import Final

from probes.board.views import RetryRow, RetryView, WindowName
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, Role, age, clip, count, left, right, three_digits

_LONGEST: Final = 500
"""Characters of a reason that are looked at."""
_REASON: Final = (8, 28)
"""Least and most cells of the reason."""
_NUMBER: Final = 6
_FEWEST: Final = 2
_MOST: Final = 6
"""Retry numbers with a column of their own; the last one takes the rest."""
_ORDINALS: Final = ("1st", "2nd", "3rd", "4th", "5th", "6th")
_TAIL: Final = (("RECOVERED", 11), ("EXHAUSTED", 11), ("ADDED WAIT", 12))


def retries_lines(
    view: RetryView, *, window: WindowName, width: int, height: int
) -> tuple[Line, ...]:
    """Return the pane; its last line holds the totals. Calm and short where nothing was retried."""
    if width <= 0 or height <= 0:
        return ()
    if not view.rows:
        return _calm(view, window, width)
    numbers, tail = _columns(view.rows, width)
    fixed = _NUMBER * numbers + sum(cells for _, cells in tail)
    reason = max(_REASON[0], min(_REASON[1], width - fixed))
    room = height - 2
    rows = view.rows if len(view.rows) <= room else view.rows[: max(0, room - 1)]
    lines = [_head(reason, numbers, _most(view.rows), tail)]
    lines += [_row(row, reason, numbers, len(tail)) for row in rows]
    if len(rows) < len(view.rows) and room > 0:
        lines.append(((f"… {len(view.rows) - len(rows)} more reasons", "faint"),))
    lines = [*lines[: height - 1], _totals(view)]
    return tuple(clip(line, width) for line in lines)


def _calm(view: RetryView, window: WindowName, width: int) -> tuple[Line, ...]:
    when = "since start" if window == "run" else f"in the last {window}"
    lines: list[Line] = [((f"nothing retried {when}", "dim"),)]
    if view.hidden:
        lines.append(((_behind(view), "text"),))
    return tuple(clip(line, width) for line in lines)


def _behind(view: RetryView) -> str:
    """Tell of tries that are in no other figure of the pane: a gateway made them."""
    return f"{count(view.hidden)} behind the gateway"


def _most(rows: Sequence[RetryRow]) -> int:
    return max((len(row.by_number) for row in rows), default=0)


def _columns(rows: Sequence[RetryRow], width: int) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Return how many retry numbers and which columns after them fit beside the reason."""
    numbers = max(_FEWEST, min(_MOST, _most(rows)))
    for kept in range(len(_TAIL), -1, -1):
        tail = _TAIL[:kept]
        room = width - _REASON[0] - sum(cells for _, cells in tail)
        if room >= _NUMBER * _FEWEST:
            return min(numbers, room // _NUMBER), tail
    return 1, ()


def _head(reason: int, numbers: int, most: int, tail: Sequence[tuple[str, int]]) -> Line:
    names = list(_ORDINALS[:numbers])
    if most > numbers:
        names[-1] += "+"
    cells = [right(name, _NUMBER) for name in names] + [right(name, cells) for name, cells in tail]
    return ((left("REASON", reason) + "".join(cells), "head"),)


def _row(row: RetryRow, reason: int, numbers: int, tail: int) -> Line:
    """Return one reason; what was not recovered stands out."""
    first, last = row.by_number[: numbers - 1], row.by_number[numbers - 1 :]
    counts = [*first, *[0] * (numbers - 1 - len(first)), sum(last)]
    exhausted: Role = "missed" if row.exhausted else "faint"
    ends: Line = (
        (right(count(row.recovered), _TAIL[0][1]), "good" if row.recovered else "faint"),
        (right(count(row.exhausted), _TAIL[1][1]), exhausted),
        (right(age(row.added_wait_s), _TAIL[2][1]), "text"),
    )
    numbered: Line = tuple((right(count(n), _NUMBER), "text" if n else "faint") for n in counts)
    return ((left(neutralise(row.reason, _LONGEST), reason), "text"), *numbered, *ends[:tail])


def _totals(view: RetryView) -> Line:
    """Return the pane in one sentence: attempts a probe, and what they were good for."""
    amplification = f"×{three_digits(view.amplification)}"
    return (
        (amplification, "title"),
        (" attempts a probe · ", "dim"),
        (f"{count(view.recovered)} recovered", "text"),
        (" · ", "dim"),
        (f"{count(view.exhausted)} exhausted", "missed" if view.exhausted else "text"),
        (" · ", "dim"),
        (f"{age(view.added_wait_s)} waited", "text"),
        *(((" · ", "dim"), (_behind(view), "text")) if view.hidden else ()),
    )
