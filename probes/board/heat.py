"""Heat maps of a route: how many took how long, over the last 15 minutes.

Of TTFT it has each probe whose first output came, of gaps each time between two chunks of an
attempt whose stamps hold, of all cohorts. What failed before any output or never answered is in
neither: it has no such time, and is seen among the probes.
"""

from probes.board.figures import RouteAt
from probes.board.views import HeatSlice
from probes.stats.log_buckets import LogBuckets
from probes.stats.windows import SLICE_NS, Slices, first_slice, slice_index


def heat_slices(at: RouteAt, slices: Slices[LogBuckets]) -> tuple[HeatSlice, ...]:
    """Return a heat map, oldest slice first, the open one last."""
    origin_ns, index = at.route.run.origin_ns, slice_index(at.offset_ns)
    found = []
    for number in range(max(0, first_slice("15m", index)), index + 1):
        buckets = slices.get(number)
        rows = () if buckets is None else buckets.rows()
        found.append(HeatSlice(origin_ns + number * SLICE_NS, rows))
    return tuple(found)
