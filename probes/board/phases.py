"""Where the time of a route's probes went: phase by phase, over time, and now against usual.

Rule 1: of probes that ended ok and were measured, by the cohort that charts show: answers of other
lengths never mix.
Rule 2: the phases of a probe add up to its felt E2E, to the nanosecond; their medians need not.
Rule 3: usual is the median of the closed slices of the last 15 minutes in which no incident was
open on the route.
"""

from typing import Final

from probes.board.figures import RouteAt
from probes.board.views import PHASES, PhaseName, PhaseRow, PhaseSlice
from probes.kit.clock import NS_PER_S
from probes.stats.ladders import SliceLadders, medians_of
from probes.stats.windows import SLICE_NS, Slices, first_slice, slice_index

_STREAMED_ONLY: Final[PhaseName] = "first_token"


def phase_slices(at: RouteAt) -> tuple[PhaseSlice, ...]:
    """Return the phases of the last 15 minutes, oldest first, the open slice last."""
    origin_ns, index = at.route.run.origin_ns, slice_index(at.offset_ns)
    found = []
    for number in range(max(0, first_slice("15m", index)), index + 1):
        ladders = _charted(at, number)
        found.append(
            PhaseSlice(
                start_ns=origin_ns + number * SLICE_NS,
                n=0 if ladders is None else ladders.n,
                p50_s=() if ladders is None else _seconds(ladders.medians()),
            )
        )
    return tuple(found)


def _charted(at: RouteAt, index: int) -> SliceLadders | None:
    """Return one slice of the present cohort, or what was measured instead."""
    cohorts = at.route.cohorts
    here = cohorts.get(at.route.cohort)
    found = None if here is None else here.ladders.get(index)
    if found is not None:
        return found
    others = [samples.ladders.get(index) for samples in cohorts.values()]
    return max(filter(None, others), key=lambda other: other.n, default=None)


def phase_rows(at: RouteAt) -> tuple[PhaseRow, ...]:
    """Return each phase now against usual."""
    samples, index = at.route.cohorts.get(at.route.cohort), slice_index(at.offset_ns)
    if samples is None:
        return tuple([PhaseRow(phase, None, None, 0, 0) for phase in PHASES])
    now = samples.ladders.between(at.first_now(), index + 1)
    now_s, n_now = _seconds(medians_of([part.spans() for part in now])), sum([p.n for p in now])
    usual_s, n_usual = _usual(at, samples.ladders, index)
    rows = []
    for place, phase in enumerate(PHASES):
        if phase == _STREAMED_ONLY and not at.route.info.streamed:
            rows.append(PhaseRow(phase, None, None, 0, 0))
            continue
        values = [medians[place] if medians else None for medians in (now_s, usual_s)]
        rows.append(PhaseRow(phase, values[0], values[1], n_now, n_usual))
    return tuple(rows)


def _usual(at: RouteAt, ladders: Slices[SliceLadders], index: int) -> tuple[tuple[float, ...], int]:
    """Return the usual medians, put together anew only where there is more to them."""
    numbers = at.well_slices(first_slice("15m", index), index)
    parts = [part for part in map(ladders.get, numbers) if part is not None]
    n = sum([part.n for part in parts])
    key = (at.route.cohort, *numbers[:1], *numbers[-1:], len(parts), n)
    if at.route.usual_phases[0] != key:
        medians_s = _seconds(medians_of([part.spans() for part in parts]))
        at.route.usual_phases = (key, medians_s)
    return at.route.usual_phases[1], n


def _seconds(spans_ns: tuple[int, ...]) -> tuple[float, ...]:
    return tuple([span / NS_PER_S for span in spans_ns])
