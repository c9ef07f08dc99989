"""What may be concluded of a comparison, in sentences; pure.

Rule 1: a difference is claimed only where the whole interval lies on one side; what is not known is
said to be not known, with how large the difference can be at most.
Rule 2: an interval and the number of pairs stand with every claim.
Rule 3: what follows from a claim is said only where nothing but that can have made it: of one route
with one thing changed it is that thing, of two routes it is not the machine they were asked from.
Rule 4: names may be anything a file can hold, so they are made harmless here.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from probes.comparing.arms import ChangeKind
from probes.comparing.plan import ComparisonPlan
from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonFigure,
    ComparisonState,
)
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import NO_FIGURE, counted, three_digits

_LONGEST_NAME: Final = 60
_NEAR_ONE: Final = 0.0095
"""A ratio so near to 1 has a third digit: `×1.00` would be none."""
_FARTHEST: Final = 99.5
_WHAT: Final[dict[ComparisonFigure, str]] = {
    "ttft": "to the first token",
    "e2e": "to the end of the answer",
    "tokens_per_s": "in writing",
}
_CLAIMS: Final[dict[ComparisonFigure, tuple[str, str]]] = {
    "ttft": ("faster", "slower"),
    "e2e": ("faster", "slower"),
    "tokens_per_s": ("faster", "slower"),
    "good": ("good more often", "good less often"),
    "throttled": ("throttled less often", "throttled more often"),
}
_SHARES: Final[tuple[ComparisonFigure, ...]] = ("good", "throttled")
_ROUTES_DIFFER: Final = (
    "All were asked in turns from this machine, so what differs is the routes or the way to them"
)
_CAUSES: Final[dict[ChangeKind, tuple[str, str]]] = {
    "fresh": ("It is whether connections are kept", "It is not whether connections are kept"),
    "stream": ("It is whether answers are streamed", "It is not whether answers are streamed"),
    "prompt": ("It is the length of the prompt", "It is not the length of the prompt"),
    "base-url": (
        "It is the base URL: the way there, or what stands in front of the model",
        "It is not the base URL",
    ),
}
"""What follows where a difference is known, and where there is surely none above the margin."""


def verdict_words(told: ComparedFigure, margin: float, *, is_over: bool = False) -> str:
    """Return a verdict as people say it: `slower`, `no difference larger than 5 %`, `not known`.

    `is_over` tells that nothing more will come.
    """
    match told.verdict:
        case "better":
            return _CLAIMS[told.figure][0]
        case "worse":
            return _CLAIMS[told.figure][1]
        case "same":
            unit = "points" if told.figure in _SHARES else "%"
            return f"no difference larger than {margin * 100:.3g} {unit}"
        case "unknown":
            return "not known" if is_over else "not known yet"


def ratio_words(ratio: float | None) -> str:
    """Return a ratio as `×1.27`, near 1 as `×1.004`; `–` where there is none."""
    if ratio is None:
        return NO_FIGURE
    if ratio >= _FARTHEST:
        return f"×{three_digits(ratio)}"
    return f"×{ratio:.3f}" if 0 < abs(ratio - 1) < _NEAR_ONE else f"×{ratio:.2f}"


def estimate_words(told: ComparedFigure) -> str:
    """Return the middle of a figure: a ratio, or of a share the difference in points."""
    if told.figure not in _SHARES:
        return ratio_words(told.estimate)
    return NO_FIGURE if told.estimate is None else f"{told.estimate * 100:+.0f}"


def interval_words(told: ComparedFigure) -> str:
    """Return where a figure lies: `×1.10 to ×1.48`, of a share in points; `–` where it is open."""
    low, high = told.low, told.high
    if low is None and high is None:
        return NO_FIGURE
    if told.figure in _SHARES:
        return f"{(low or 0.0) * 100:+.0f} to {(high or 0.0) * 100:+.0f} points"
    if low is None:
        return f"at most {ratio_words(high)}"
    if high is None:
        return f"at least {ratio_words(low)}"
    return f"{ratio_words(low)} to {ratio_words(high)}"


def sentence(
    arms: Sequence[ArmView],
    state: ComparisonState,
    pairs: int,
    plan: ComparisonPlan,
    why: str = "",
) -> str:
    """Return what may be concluded by now, or at all where it is over; `why` it ended, where that
    is not that it knows."""
    told = "; ".join(_clause(arms[0], arm, plan) for arm in arms[1:]) if pairs else ""
    match state:
        case "waiting":
            return "Nothing is asked yet."
        case "running":
            return f"{told}." if told else "Nothing is known yet."
        case "failed":
            head = f"It cannot be compared: {why}"
        case "decided":
            head = ""
        case "budget":
            head = why or f"All {counted(pairs, 'pair')} are asked"
        case "stopped":
            head = f"Stopped after {counted(pairs, 'pair')}" + (f": {why}" if why else "")
    if not told:
        return f"{head}. Nothing is known." if state != "failed" else f"{head}."
    parts = [head, told, _cause(arms, plan), _sure(plan)]
    return "".join(f"{part}. " for part in parts if part).rstrip()


def _clause(first: ArmView, arm: ArmView, plan: ComparisonPlan) -> str:
    """Return what is known of one arm against the first."""
    name, than = _name(arm), _name(first)
    deciding = next(one for one in arm.figures if one.decides)
    what = _WHAT[deciding.figure]
    match deciding.verdict:
        case "better" | "worse":
            word = verdict_words(deciding, plan.margin)
            head = f"{name} is {word} {what} than {than}, {_measured(deciding)}"
        case "same":
            word = verdict_words(deciding, plan.margin)
            head = f"Between {name} and {than} there is {word} {what}, {_measured(deciding)}"
        case _:
            head = _not_known(name, than, deciding, what)
    return ", and ".join([head, *_further(first, arm, plan)])


def _further(first: ArmView, arm: ArmView, plan: ComparisonPlan) -> Iterator[str]:
    """Yield what is known beside the figure that decides."""
    than = _name(first)
    for told in arm.figures:
        if told.decides or told.verdict not in ("better", "worse"):
            continue
        word = verdict_words(told, plan.margin)
        if told.figure == "good":
            counts = f"{arm.good:,} of {arm.probes:,}, {than} {first.good:,} of {first.probes:,}"
            yield f"it is {word}: {counts}"
        elif told.figure == "throttled":
            of_first = f"{than} {first.throttled:,} of {first.probes:,}"
            yield f"it is {word}: {arm.throttled:,} of {arm.probes:,}, {of_first}"
        else:
            yield f"it is {word} {_WHAT[told.figure]}, {_measured(told)}"


def _not_known(name: str, than: str, told: ComparedFigure, what: str) -> str:
    """Return in words that it is not known, and how large the difference can be."""
    if not told.pairs:
        return f"{name} and {than} never both answered, so nothing is known of the time {what}"
    head = f"It is not known whether {name} or {than} is faster {what}"
    if told.low is None or told.high is None:
        return f"{head}: {counted(told.pairs, 'pair is', 'pairs are')} too few"
    most = max(told.high, 1 / told.low) - 1
    return f"{head}, {_measured(told)}: if one is, by {most * 100:.0f} % at most"


def _measured(told: ComparedFigure) -> str:
    return f"{ratio_words(told.estimate)} ({interval_words(told)}, {counted(told.pairs, 'pair')})"


def _cause(arms: Sequence[ArmView], plan: ComparisonPlan) -> str:
    """Return what follows of what is known by the figure that decides; empty where nothing does."""
    verdicts = {told.verdict for arm in arms[1:] for told in arm.figures if told.decides}
    differs = verdicts & {"better", "worse"}
    if plan.change is None:
        return _ROUTES_DIFFER if differs else ""
    is_it, is_not_it = _CAUSES[plan.change.kind]
    if differs:
        return is_it
    return is_not_it if verdicts == {"same"} else ""


def _sure(plan: ComparisonPlan) -> str:
    return f"Of such comparisons {plan.alpha * 100:.3g} % at most claim what is not so"


def _name(arm: ArmView) -> str:
    return neutralise(arm.name, _LONGEST_NAME)
