"""What a route is to keep while it carries more: goals as a sweep judges them.

Rule 1: they are the route's own, unless others are asked for by name.
Rule 2: a goal is met or missed surely where the whole interval lies on one side of it; else it is
told by the figure alone, as what it is.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from probes.config import Route
from probes.kit.sanitise import neutralise
from probes.sweeping.estimates import Estimate

GoalName: TypeAlias = Literal["ttft_p95", "e2e_p95", "success", "tokens_per_s"]
"""`tokens_per_s` is of one stream, in the median."""
GoalState: TypeAlias = Literal["met", "within", "beyond", "missed", "unknown"]
"""`met` and `missed` are sure; `within` and `beyond` are where the figure alone lies."""
_AT_LEAST: Final[frozenset[GoalName]] = frozenset(("success", "tokens_per_s"))
_MOST: Final[dict[GoalName, float]] = {
    "ttft_p95": 86_400.0,
    "e2e_p95": 86_400.0,
    "success": 1.0,
    "tokens_per_s": 1e6,
}


class GoalError(Exception):
    """No such goal; the text is for a person."""


class SweepGoal(msgspec.Struct, frozen=True):
    """One goal: seconds, a share, or tokens a second."""

    name: GoalName
    value: float

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.name in _AT_LEAST

    def state(self, figure: Estimate | None) -> GoalState:
        """Return how a figure stands against it."""
        if figure is None:
            return "unknown"
        if self.at_least:
            sure_met, sure_missed = figure.low >= self.value, figure.high < self.value
            is_within = figure.value >= self.value
        else:
            sure_met, sure_missed = figure.high <= self.value, figure.low > self.value
            is_within = figure.value <= self.value
        if sure_met or sure_missed:
            return "met" if sure_met else "missed"
        return "within" if is_within else "beyond"


def goals_of(route: Route) -> tuple[SweepGoal, ...]:
    """Return the goals that a route has."""
    goals = route.goals
    found: list[SweepGoal] = []
    if route.stream:
        found.append(SweepGoal("ttft_p95", goals.ttft_s))
    if route.e2e_goal_s is not None:
        found.append(SweepGoal("e2e_p95", route.e2e_goal_s))
    found.append(SweepGoal("success", goals.success))
    if goals.tokens_per_s is not None and route.stream:
        found.append(SweepGoal("tokens_per_s", goals.tokens_per_s))
    return tuple(found)


def read_goals(words: Sequence[str], route: Route) -> tuple[SweepGoal, ...]:
    """Return the goals that were typed, such as `ttft_p95=1.0`; those of the route where none were.

    Raises:
        GoalError: one of them is none, or the route can never meet it.
    """
    if not words:
        return goals_of(route)
    found: dict[GoalName, SweepGoal] = {}
    for word in words:
        name, _, value = word.partition("=")
        known = next((one for one in get_args(GoalName) if one == name), None)
        if known is None:
            names = ", ".join(get_args(GoalName))
            raise GoalError(f"goal: got {neutralise(name, 40)!r}, expected one of {names}")
        found[known] = SweepGoal(known, _number(known, value))
        if known in ("ttft_p95", "tokens_per_s") and not route.stream:
            raise GoalError(f"goal: {name}: {route.name} is not streamed, so it has none")
    return tuple(found.values())


def _number(name: GoalName, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    most = _MOST[name]
    if not 0 < value <= most:  # nan too
        unit = "a share" if name == "success" else "a number"
        got = neutralise(text, 40) or "nothing"
        raise GoalError(f"goal: {name}: got {got}, expected {unit} above 0, at most {most:g}")
    return value
