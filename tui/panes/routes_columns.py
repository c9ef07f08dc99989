"""The columns of the routes table: head, width, how much each is missed, and what a cell says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from probes.board.views import Figure, RouteState, RouteView
from probes.kit.sanitise import neutralise
from tui.draw.text import (
    NO_SAMPLE,
    NOT_STREAMED,
    Role,
    Span,
    age,
    count,
    seconds,
    share,
    three_digits,
    usd,
)

SortValue: TypeAlias = float | str | None

STATE_GLYPHS: Final[dict[RouteState, str]] = {
    "down": "✖",
    "failing": "▼",
    "throttled": "⊘",
    "sluggish": "▲",
    "slow": "△",
    "ok": "·",
    "held": "■",
    "paused": "‖",
    "starting": "○",
}
STATE_ROLES: Final[dict[RouteState, Role]] = {
    "down": "alert",
    "failing": "missed",
    "throttled": "throttled",
    "sluggish": "sluggish",
    "slow": "slow",
    "ok": "good",
    "held": "alert",
    "paused": "dim",
    "starting": "dim",
}

_TOO_FEW: Final = "°"
_GRADE_MARKS: Final = {"slow": "△", "sluggish": "▲"}
_GOOD_ENOUGH: Final = 0.95
_NOTICEABLE_AMPLIFICATION: Final = 1.005


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `cell` gives its text, a one-cell mark that goes with it, and their role."""

    key: str
    head: str
    width: int
    priority: int
    """The highest are dropped first where the terminal is narrow; 0 never is."""
    cell: Callable[[RouteView], Span]
    value: Callable[[RouteView], SortValue]
    """What it is sorted by, largest first; text sorts from A to Z."""
    group: str = ""
    """Written before the head of the first shown column of the group."""
    mark: Callable[[RouteView], str] | None = None
    flush_left: bool = False

    @property
    def marked(self) -> bool:
        """Whether it keeps one more cell for a mark."""
        return self.mark is not None


def figure_role(figure: Figure) -> Role:
    """Return how a percentile is shown: graded, plain, or faint where it has too few samples."""
    if not figure.enough:
        return "faint"
    return "dim" if figure.grade == "none" else figure.grade


def column_named(key: str) -> Column | None:
    """Return the column of a sort key, None for no such column."""
    return next((column for column in COLUMNS if column.key == key), None)


def _percentile(
    group: str, head: str, priority: int, pick: Callable[[RouteView], Figure]
) -> Column:
    """Return the column of a percentile, its grade told by a mark beside its colour."""

    def cell(route: RouteView) -> Span:
        figure = pick(route)
        if group == "TTFT" and head == "p95" and not route.streamed:
            return NOT_STREAMED, "faint"
        return seconds(figure.value), figure_role(figure)

    return Column(
        f"{group}_{head}".lower(),
        head,
        5,
        priority,
        cell,
        lambda route: pick(route).value,
        group,
        lambda route: _figure_mark(pick(route)),
    )


def _figure_mark(figure: Figure) -> str:
    if figure.value is not None and not figure.enough:
        return _TOO_FEW
    return _GRADE_MARKS.get(figure.grade, " ")


def _rate(pick: Callable[[RouteView], float], role: Role) -> Callable[[RouteView], Span]:
    def cell(route: RouteView) -> Span:
        rate = pick(route)
        return ("0", "faint") if rate <= 0 else (_rate_text(rate), role)

    return cell


def _rate_text(rate: float) -> str:
    return f"{rate:.1f}" if rate < 9.95 else count(rate)


def _concurrency(route: RouteView) -> Span:
    role: Role = "text" if route.in_flight <= route.target else "slow"
    return f"{route.in_flight}/{route.target}", role


def _success(route: RouteView) -> Span:
    if route.success is None:
        return NO_SAMPLE, "faint"
    return share(route.success), "missed" if route.success_missed else "dim"


def _goodput(route: RouteView) -> Span:
    if route.goodput is None:
        return NO_SAMPLE, "faint"
    return share(route.goodput), "dim" if route.goodput >= _GOOD_ENOUGH else "text"


def _amplification(route: RouteView) -> Span:
    factor = route.amplification
    if factor is None:
        return NO_SAMPLE, "faint"
    return f"×{factor:.2f}", "slow" if factor >= _NOTICEABLE_AMPLIFICATION else "faint"


def _tokens(route: RouteView) -> Span:
    if route.input_tokens is None and route.output_tokens is None:
        return NO_SAMPLE, "faint"
    return f"{count(route.input_tokens)}/{count(route.output_tokens)}", "dim"


def _cost(route: RouteView) -> Span:
    if route.usd_per_hour is None:
        return NO_SAMPLE, "faint"
    return ("~" if route.cost_estimated else "") + usd(route.usd_per_hour), "dim"


def _state(route: RouteView) -> Span:
    why = f" {neutralise(route.why, 80)}" if route.why else ""
    if route.cool_down_s:
        return f"cooling {age(route.cool_down_s)}{why}", "throttled"
    return route.state + why, STATE_ROLES[route.state] if route.state != "ok" else "faint"


def _model(route: RouteView) -> Span:
    return neutralise(route.model, 80), "dim"


def _stream_speed(route: RouteView) -> Span:
    speed = route.stream_tokens_per_s
    return three_digits(speed), "faint" if speed is None else "dim"


COLUMNS: Final[tuple[Column, ...]] = (
    Column("model", "MODEL", 6, 13, _model, lambda r: r.model.lower(), flush_left=True),
    Column("state", "STATE", 14, 19, _state, lambda r: r.goal_ratio, flush_left=True),
    Column("conc", "CONC", 5, 2, _concurrency, lambda r: r.target),
    Column(
        "per_min",
        "/min",
        5,
        5,
        _rate(lambda r: r.probes_per_min, "dim"),
        lambda r: r.probes_per_min,
    ),
    _percentile("TTFT", "p50", 10, lambda r: r.ttft_p50),
    _percentile("TTFT", "p95", 1, lambda r: r.ttft_p95),
    _percentile("TTFT", "p99", 14, lambda r: r.ttft_p99),
    _percentile("E2E", "p50", 15, lambda r: r.e2e_p50),
    _percentile("E2E", "p95", 8, lambda r: r.e2e_p95),
    Column("speed", "tok/s", 5, 11, _stream_speed, lambda r: r.stream_tokens_per_s),
    Column(
        "ok",
        "OK%",
        4,
        3,
        _success,
        lambda r: r.success,
        mark=lambda r: "▼" if r.success_missed else " ",
    ),
    Column("good", "GOOD%", 5, 6, _goodput, lambda r: r.goodput),
    Column(
        "throttled",
        "429/m",
        5,
        4,
        _rate(lambda r: r.throttled_per_min, "throttled"),
        lambda r: r.throttled_per_min,
    ),
    Column(
        "timeouts",
        "TOUT/m",
        6,
        16,
        _rate(lambda r: r.timeouts_per_min, "missed"),
        lambda r: r.timeouts_per_min,
    ),
    Column("retry", "RETRY", 5, 9, _amplification, lambda r: r.amplification),
    Column("tokens", "IN/OUT", 9, 17, _tokens, lambda r: r.output_tokens),
    Column("usd", "$/h", 6, 12, _cost, lambda r: r.usd_per_hour),
)
"""All but the name, which comes first, and the trend, which comes last."""

SORT_KEYS: Final[tuple[str, ...]] = ("", "name", *(column.key for column in COLUMNS))
"""What `s` goes through; empty is worst first."""
