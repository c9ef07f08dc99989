"""What the leaderboard shows: routes that were asked alike, in one table, the best first.

Rule 1. A table is of one shape and one answer cap, and says which: no two shapes share a column.
Rule 2. Each figure stands with the interval that its true median lies in, and n; where there are
too few samples to tell one, that is said, and the figure is dim. What is not known is `–`.
Rule 3. Where there is no room whole columns go, intervals before figures.
Rule 4. The best of a column is bold; the number before a route is its place in the order.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from probes.board.standings import ANSWER_TOKENS, KEPT, LeaderOrder, leader_groups
from probes.board.views import LeaderFigure, LeaderGroup, LeaderView, RouteView, Snapshot
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from tui.draw.table import Cell, Column, Table, fit
from tui.draw.text import (
    NO_FIGURE,
    Line,
    Role,
    age,
    cells,
    count,
    counted,
    fold,
    three_digits,
)
from tui.panes.percentiles import cohort_words

ORDER_WORDS: Final[dict[LeaderOrder, str]] = {
    "e2e": f"E2E for {ANSWER_TOKENS} tokens",
    "ttft": "time to the first token",
    "speed": "output speed",
    "price": "price",
    "name": "name",
}
NOTHING: Final = "No probe has ended yet."
_NAME_LIMIT: Final = 120
_LEAST_NAME: Final = 10
_VALUE: Final = 6
_RANGE: Final = 14  # "0.812 to 0.934"
_BOLD: Final[tuple[LeaderOrder, ...]] = ("ttft", "speed", "e2e", "price")
_REASONED: Final = "*"
"""Marks an E2E that begins with the first token of the answer, not of the reasoning."""


class _Row(NamedTuple):
    """A row of one table, with its place."""

    place: int
    leader: LeaderView
    route: RouteView | None
    now_ns: int
    best: frozenset[str]
    """Figures in which it is the best of its table."""


def leaderboard_lines(
    snapshot: Snapshot, width: int, order: LeaderOrder = "e2e", *, reverse: bool = False
) -> list[Line]:
    """Return all lines of the page."""
    if not snapshot.standings:
        return [((NOTHING, "dim"),)]
    routes = {route.name: route for route in snapshot.routes}
    lines: list[Line] = []
    reasoned = False
    for group in leader_groups(snapshot.standings, order, reverse=reverse):
        best = _best_of(group)
        rows = [
            _Row(place, leader, routes.get(leader.route), snapshot.now_ns, best[leader.route])
            for place, leader in enumerate(group.rows, 1)
        ]
        table = _table(rows, width)
        lines += [*([()] if lines else []), *_head(group, width)]
        lines += [table.head_line(order), *(table.line(row) for row in rows)]
        reasoned = reasoned or any(row.reasoned for row in group.rows)
    return [*lines, (), *_foot(width, reasoned=reasoned)]


def _best_of(group: LeaderGroup) -> dict[str, frozenset[str]]:
    """Return by route the figures in which it is the best; of one route alone nothing is."""
    best: dict[str, set[str]] = {row.route: set() for row in group.rows}
    for order in _BOLD if len(group.rows) > 1 else ():
        (ordered,) = leader_groups(group.rows, order)
        best[ordered.rows[0].route].add(order)
    return {route: frozenset(figures) for route, figures in best.items()}


def _head(group: LeaderGroup, width: int) -> list[Line]:
    """Return what a table's routes were asked."""
    counts = [row.input_tokens for row in group.rows if row.input_tokens]
    parts = [cohort_words(group.cohort), counted(len(group.rows), "route")]
    if counts:
        told = counted(max(counts), "token")
        if min(counts) != max(counts):
            told = f"{min(counts):,} to {told}"
        parts.append(f"prompts of {told}, as the servers count them")
    if not group.shape and len(group.rows) > 1:
        parts.append("each its own prompt: like with like only where these are alike")
    name, *rest = parts
    line: Line = ((neutralise(name, _NAME_LIMIT), "title"), (" · " + " · ".join(rest), "dim"))
    return fold(line, width, 2)


def _foot(width: int, *, reasoned: bool) -> list[Line]:
    """Return what the figures are."""
    words = [
        f"Medians of the last {KEPT} probes of a route and shape, from where you stand, with the"
        " interval that holds the true median with 95 %. tok/s: output tokens a second after the"
        f" first came. E2E{ANSWER_TOKENS}: TTFT + {ANSWER_TOKENS} / tok/s of each probe. $/M: USD a"
        " million tokens, three of input to one of output. AGE: of the newest probe."
    ]
    if reasoned:
        words.append(
            f"{_REASONED} Reasoning was streamed: E2E begins with the first token of the answer."
        )
    return [line for text in words for line in fold(((text, "dim"),), width)]


def _table(rows: Sequence[_Row], width: int) -> Table[_Row]:
    longest = max(cells(neutralise(row.leader.route, _NAME_LIMIT)) for row in rows)
    widest_model = max(cells(_model(row).text) for row in rows)
    columns: list[Column[_Row]] = [
        Column("", len(str(len(rows))), lambda row: Cell(str(row.place), "dim")),
        Column("ROUTE", min(longest, _LEAST_NAME), _name, key="name", flush_left=True),
        Column("MODEL", 12, _model, 10, key="model", flush_left=True, room=20),
        Column("HOST", 12, _host, 11, key="host", flush_left=True, room=30),
        _figure("TTFT", "ttft", lambda leader: leader.ttft_s, 0),
        _interval(lambda leader: leader.ttft_s, 6),
        _figure("tok/s", "speed", lambda leader: leader.tokens_per_s, 0),
        _interval(lambda leader: leader.tokens_per_s, 7),
        _figure(f"E2E{ANSWER_TOKENS}", "e2e", lambda leader: leader.e2e_s, 0, marked=True),
        _interval(lambda leader: leader.e2e_s, 5),
        Column("$/M", _VALUE, _price, 2, key="price"),
        Column("n", 4, _samples, 1),
        Column("FAIL", 4, _failed, 3),
        Column("IN", 6, lambda row: Cell(_count(row.leader.input_tokens), "dim"), 8),
        Column("OUT", 6, lambda row: Cell(_count(row.leader.output_tokens), "dim"), 9),
        Column("AGE", 6, _age, 4),
    ]
    table = fit(columns, width, gap=1)
    return table.grown(("name", longest), ("model", widest_model), ("host", 30))


def _name(row: _Row) -> Cell:
    return Cell(neutralise(row.leader.route, _NAME_LIMIT), "title" if row.place == 1 else "text")


def _model(row: _Row) -> Cell:
    return Cell("" if row.route is None else neutralise(row.route.model, _NAME_LIMIT), "dim")


def _host(row: _Row) -> Cell:
    url = "" if row.route is None else row.route.base_url
    try:
        host = urlsplit(url).netloc or url
    except ValueError:  # what is masked, or was written into a recording by somebody else
        host = url
    return Cell(neutralise(host, _NAME_LIMIT), "dim")


def _figure(
    head: str,
    key: str,
    pick: Callable[[LeaderView], LeaderFigure],
    priority: int,
    *,
    marked: bool = False,
) -> Column[_Row]:
    def cell(row: _Row) -> Cell:
        figure = pick(row.leader)
        if figure.value is None:
            return Cell(NO_FIGURE, "dim")
        mark = _REASONED if marked and row.leader.reasoned else " "
        return Cell(three_digits(figure.value), _role(figure, key, row), mark)

    return Column(head, _VALUE, cell, priority, key=key, marked=marked)


def _role(figure: LeaderFigure, key: str, row: _Row) -> Role:
    if figure.low is None or figure.high is None:
        return "dim"
    return "title" if key in row.best else "text"


def _interval(pick: Callable[[LeaderView], LeaderFigure], priority: int) -> Column[_Row]:
    def cell(row: _Row) -> Cell:
        figure = pick(row.leader)
        if figure.value is None:
            return Cell("")
        if figure.low is None or figure.high is None:
            return Cell("too few", "dim")
        return Cell(f"{three_digits(figure.low)} to {three_digits(figure.high)}", "dim")

    return Column("", _RANGE, cell, priority, flush_left=True)


def _price(row: _Row) -> Cell:
    price = row.leader.price
    if price is None:
        return Cell(NO_FIGURE, "dim")
    return Cell(three_digits(price), "title" if "price" in row.best else "text")


def _samples(row: _Row) -> Cell:
    return Cell(count(row.leader.e2e_s.n or row.leader.ttft_s.n), "dim")


def _failed(row: _Row) -> Cell:
    failed = row.leader.failed
    return Cell(count(failed), "missed" if failed else "dim")


def _age(row: _Row) -> Cell:
    return Cell(age(seconds(max(0, row.now_ns - row.leader.newest_ns))), "dim")


def _count(value: int | None) -> str:
    return NO_FIGURE if value is None else f"{value:,}"
