"""What probes took that began with few open beside them: what fewer at once would bring.

Rule 1: how many were open as a probe began is counted in what the route keeps: the probes that
ended last, and those that are open. Who began before the oldest of those ended may have had others
beside it that are forgotten, and is not counted.
Rule 2: it is of the cohort that is shown, and of at least `LEAST` probes: else it is not known.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from probes.board.views import OpenLoad, ProbeView

LEAST: Final = 20
"""Probes below which nothing is said: as few as an effect of a knob is judged on."""


def load_at(
    most: int, ended: Sequence[ProbeView], forgotten: bool, open_ns: Iterable[int], cohort: str
) -> OpenLoad | None:
    """Return what probes took that began as one of at most so many; None where too few did.

    Args:
        most: probes open at once, the one that begins among them.
        ended: those that ended last, newest first.
        forgotten: others ended before.
        open_ns: when those began that are open.
        cohort: what is counted.
    """
    if not ended:
        return None
    known_ns = min(one.at_ns for one in ended) if forgotten else 0
    # Where a probe ends as another begins, the slot is one.
    moves = [(one.started_ns, 1, one) for one in ended] + [(at_ns, 1, None) for at_ns in open_ns]
    ends = [(one.at_ns, 0, None) for one in ended]
    found: list[ProbeView] = []
    still_open = 0
    for at_ns, begins, probe in sorted([*moves, *ends], key=lambda move: move[:2]):
        still_open += 1 if begins else -1
        if probe is None or at_ns < known_ns or probe.cohort not in ("", cohort):
            continue
        if still_open <= most and probe.outcome != "cancelled":
            found.append(probe)
    if len(found) < LEAST:
        return None
    return OpenLoad(
        open=most,
        n=len(found),
        ttft_p50=_median([one.ttft_s for one in found]),
        e2e_p50=_median([one.e2e_s for one in found]),
        throttled=sum(one.throttled > 0 for one in found),
    )


def _median(values: Sequence[float | None]) -> float | None:
    """Return the median of all that was asked: what never came took for ever."""
    ordered = sorted(inf if value is None else value for value in values)
    median = ordered[(len(ordered) - 1) // 2]
    return None if median == inf else median
