"""What a good probe is: the default goals, and the E2E goal at each answer cap.

Rule 1: a goal of the user's own holds at any cap.
Rule 2: without one, E2E p95 ≤ 3 s is the goal of answers up to 200 tokens: a longer one takes long,
and how long nobody can say beforehand, so a route that is configured for longer ones has none.
Rule 3: a knob takes no goal away, or raising the cap would silence the alarm. Where the configured
cap has a goal and a knob goes beyond 200 tokens, the goal grows with the cap.
"""

from typing import Annotated, Final, TypeAlias

from probes.config.fields import Range, Settings, Unset

DEFAULT_E2E_GOAL_S: Final = 3.0
E2E_GOAL_CAP: Final = 200
"""Tokens up to which the default holds as it is."""

_CAP_DIGITS: Final = 19
"""As many as 2 ** 63 has."""

DAY_S: Final = 86_400
"""Longest time that can be set: what takes longer is nobody's intention."""

Seconds: TypeAlias = Annotated[
    float,
    Range("a number of seconds", 0, DAY_S, exclusive=True, bounds="above 0, at most a day"),
]
Usd: TypeAlias = Annotated[float, Range("a number of USD", 0, exclusive=True)]


class Goals(Settings, frozen=True, kw_only=True):
    """Bands follow a goal: great ≤ 0.6 × goal < fine ≤ goal < slow ≤ 1.5 × goal < sluggish."""

    ttft_s: Seconds = 1.0
    """TTFT p95, and TTFT of a good probe, in seconds."""
    e2e_s: Annotated[Seconds | None, Unset(f"{DEFAULT_E2E_GOAL_S}")] = None
    """The same for E2E; without a value only where `max_tokens` is at most 200, and growing with
    the cap where a knob goes beyond that."""
    success: Annotated[float, Range("a share", 0, 1)] = 0.99
    """Share of probes that must be ok."""
    tokens_per_s: Annotated[
        float | None, Range("a number of tokens per second", 0, exclusive=True)
    ] = None
    """Output tokens that a stream must write each second, in the median."""
    cost_usd_per_probe: Usd | None = None
    """USD that a good probe may cost, and that probes may cost on average."""


P95_SHARE: Final = 0.95
"""The goals of TTFT and E2E are of a p95: so many of the answers that are ok must be within."""


def goodput_goal(success: float) -> float:
    """Return the share of probes that must be good, where so many must be ok.

    >>> goodput_goal(1.0)
    0.95
    """
    return success * P95_SHARE


def cap_of(cohort: str) -> int | None:
    """Return the answer cap that a cohort such as `64/256` is named after; None where it has none.

    A recording may have been edited: more digits than a count has are no cap of ours.
    """
    cap = cohort.partition("/")[0]
    return int(cap) or None if cap.isdecimal() and len(cap) < _CAP_DIGITS else None


def band_of(cohort: str) -> str:
    """Return the band of input tokens that a cohort such as `64/256` is of, by its upper end.

    Of one that has a shape's name too (`1000/1k/aa-1k`), the band with it: shapes never mix.
    """
    return cohort.partition("/")[2]


def shape_of(cohort: str) -> str:
    """Return the shape that a cohort such as `1000/1k/aa-1k` is named after; empty where none."""
    return band_of(cohort).partition("/")[2]


def configured_e2e_goal_s(own_s: float | None, cap: int) -> float | None:
    """Return the E2E goal of a route as it is configured, in seconds; None where it has none."""
    if own_s is not None:
        return own_s
    return DEFAULT_E2E_GOAL_S if cap <= E2E_GOAL_CAP else None


def is_e2e_goal_scaled(
    goal_s: float | None, cap: int, *, is_own: bool, configured_cap: int
) -> bool:
    """Return whether the E2E goal at an answer cap is one that has grown with it (rule 3)."""
    return not (goal_s is None or is_own or cap == configured_cap or cap <= E2E_GOAL_CAP)


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
