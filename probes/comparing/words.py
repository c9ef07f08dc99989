"""What may be concluded of a comparison, in sentences; pure.

Rule 1: a difference is claimed only where the whole interval lies on one side; what is not known is
said to be not known, with how large the difference can be at most.
Rule 2: an interval and the number of pairs stand with every claim.
Rule 3: names may be anything a file can hold, so they are made harmless here.
"""

from collections.abc import Sequence
from typing import Final

from probes.comparing.plan import ComparisonPlan
from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonFigure,
    ComparisonState,
    ComparisonVerdict,
)
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted

_LONGEST_NAME: Final = 60
_WHAT: Final[dict[ComparisonFigure, str]] = {
    "ttft": "to the first token",
    "e2e": "to the end of the answer",
    "tokens_per_s": "in writing",
    "good": "good probes",
    "throttled": "throttled probes",
}
_CLAIMS: Final[dict[ComparisonFigure, tuple[str, str]]] = {
    "ttft": ("faster", "slower"),
    "e2e": ("faster", "slower"),
    "tokens_per_s": ("faster", "slower"),
    "good": ("good more often", "good less often"),
    "throttled": ("throttled less often", "throttled more often"),
}


def verdict_words(figure: ComparisonFigure, verdict: ComparisonVerdict, margin: float) -> str:
    """Return a verdict as people say it: `faster`, `no difference larger than 5 %`, `not known`."""
    match verdict:
        case "better":
            return _CLAIMS[figure][0]
        case "worse":
            return _CLAIMS[figure][1]
        case "same":
            unit = "points" if figure in ("good", "throttled") else "%"
            return f"no difference larger than {margin * 100:.3g} {unit}"
        case "unknown":
            return "not known yet"


def ratio_words(ratio: float | None) -> str:
    """Return a ratio as `×1.27`, `–` where there is none."""
    if ratio is None:
        return "–"
    return f"×{ratio:.2f}" if ratio < 99.5 else f"×{ratio:.3g}"


def interval_words(told: ComparedFigure) -> str:
    """Return where a figure lies: `×1.10 to ×1.48`, of a share in points."""
    if told.figure in ("good", "throttled"):
        if told.low is None or told.high is None:
            return "not known yet"
        return f"{told.low * 100:+.0f} to {told.high * 100:+.0f} points"
    if told.low is None and told.high is None:
        return "not known yet"
    if told.low is None:
        return f"at most {ratio_words(told.high)}"
    if told.high is None:
        return f"at least {ratio_words(told.low)}"
    return f"{ratio_words(told.low)} to {ratio_words(told.high)}"


def sentence(
    arms: Sequence[ArmView],
    state: ComparisonState,
    pairs: int,
    plan: ComparisonPlan,
    failure: str = "",
) -> str:
    """Return what may be concluded by now, or at all where it is over."""
    if state == "waiting":
        return "nothing is asked yet"
    clauses = [_clause(arms[0], arm, plan) for arm in arms[1:] if arm.figures]
    told = "; ".join(clause for clause in clauses if clause)
    match state:
        case "failed":
            return f"it cannot be compared: {failure}" + (f"; {told}" if told and pairs else "")
        case "running" if not pairs:
            return "nothing is known yet"
        case "running":
            return told
        case "decided":
            return f"{told}. {_sure(plan)}"
        case "budget":
            why = failure or f"all {counted(pairs, 'pair')} are asked"
        case "stopped":
            why = failure or f"stopped after {counted(pairs, 'pair')}"
    return f"{why}: {told}. {_sure(plan)}" if pairs else f"{why}: nothing is known"


def _clause(first: ArmView, arm: ArmView, plan: ComparisonPlan) -> str:
    """Return what is known of one arm against the first."""
    name, than = _name(arm), _name(first)
    deciding = next(one for one in arm.figures if one.decides)
    what = _WHAT[deciding.figure]
    parts = []
    match deciding.verdict:
        case "better" | "worse":
            word = _CLAIMS[deciding.figure][deciding.verdict == "worse"]
            parts.append(f"{name} is {word} {what} than {than}: {_measured(deciding)}")
        case "same":
            word = verdict_words(deciding.figure, "same", plan.margin)
            parts.append(f"{name} and {than} have {word} {what}: {_measured(deciding)}")
        case _:
            parts.append(_open(name, than, deciding, what))
    for one in arm.figures:
        if one.decides or one.verdict not in ("better", "worse"):
            continue
        word = _CLAIMS[one.figure][one.verdict == "worse"]
        if one.figure == "good":
            parts.append(
                f"it is {word} ({arm.good} of {arm.probes}, {than}: {first.good} of {first.probes})"
            )
        elif one.figure == "throttled":
            parts.append(
                f"it is {word} ({arm.throttled} of {arm.probes},"
                f" {than}: {first.throttled} of {first.probes})"
            )
        else:
            parts.append(f"it is {word} {_WHAT[one.figure]} ({_measured(one)})")
    return ", and ".join(parts)


def _open(name: str, than: str, told: ComparedFigure, what: str) -> str:
    """Return in words that it is not known, and how large the difference can be."""
    if told.pairs == 0:
        return f"no pair in which both {name} and {than} answered: nothing is known {what}"
    head = f"whether {name} or {than} is faster {what} is not known"
    if told.low is None or told.high is None:
        return f"{head}: {counted(told.pairs, 'pair')} are too few"
    most = max(told.high, 1 / told.low) - 1
    return f"{head}: {_measured(told)}, so no difference larger than {most * 100:.0f} %"


def _measured(told: ComparedFigure) -> str:
    return f"{ratio_words(told.estimate)} ({interval_words(told)}, {counted(told.pairs, 'pair')})"


def _sure(plan: ComparisonPlan) -> str:
    return f"All that is claimed here is wrong in {plan.alpha * 100:.3g} % of comparisons at most"


def _name(arm: ArmView) -> str:
    return neutralise(arm.name, _LONGEST_NAME)
