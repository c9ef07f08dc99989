"""Which goal a route has at which answer cap. The one place for it.

Rule 1: a goal of the user's own holds at any cap.
Rule 2: without one, E2E p95 ≤ 3 s is the goal of answers up to 200 tokens: a longer one takes long,
and how long nobody can say beforehand, so a route that is configured for longer ones has none.
Rule 3: a knob takes no goal away, or raising the cap would silence the alarm. Where the configured
cap has a goal and a knob goes beyond 200 tokens, the goal grows with the cap.
"""

from typing import Final

DEFAULT_E2E_GOAL_S: Final = 3.0
E2E_GOAL_CAP: Final = 200
"""Tokens up to which the default holds as it is."""


def configured_e2e_goal_s(own_s: float | None, cap: int) -> float | None:
    """Return the E2E goal of a route as it is configured, in seconds; None where it has none."""
    if own_s is not None:
        return own_s
    return DEFAULT_E2E_GOAL_S if cap <= E2E_GOAL_CAP else None


def e2e_goal_s(
    goal_s: float | None, cap: int, *, is_own: bool, configured_cap: int
) -> float | None:
    """Return the E2E goal at the answer cap `cap`, in seconds; None where it has none.

    `goal_s` is the goal at the configured cap, `is_own` tells whether the user has set it.

    >>> e2e_goal_s(3.0, 400, is_own=False, configured_cap=64)
    6.0
    """
    if is_own or cap == configured_cap:
        return goal_s
    if cap <= E2E_GOAL_CAP:
        return DEFAULT_E2E_GOAL_S if goal_s is None else goal_s
    return None if goal_s is None else goal_s * cap / E2E_GOAL_CAP
