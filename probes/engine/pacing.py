"""When a worker sends next: closed loop with an interval."""

from random import Random
from typing import Final

from probes.kit.clock import NS_PER_S

JITTER: Final = 0.1
FAILURE_PAUSE_S: Final = 0.5
MIN_STAGGER_S: Final = 0.05


def next_start_ns(
    start_ns: int, end_ns: int, interval_s: float, random: Random, *, failed: bool = False
) -> int:
    """Return when a worker's next probe is due: max(its end, its start + interval ± 10 %).

    An interval of 0 is back to back; but after a failed probe a worker pauses half a second, for a
    server that refuses at once would be hammered.
    """
    factor = 1 + JITTER * (2 * random.random() - 1)
    earliest_ns = end_ns + round(FAILURE_PAUSE_S * NS_PER_S) if failed else end_ns
    return max(earliest_ns, start_ns + round(interval_s * factor * NS_PER_S))


def first_start_ns(now_ns: int, worker: int, concurrency: int, interval_s: float) -> int:
    """Return when a worker begins: spread over the interval, for starts all at once add their own
    queueing to everybody's first figures."""
    share_s = interval_s / max(1, concurrency)
    return now_ns + round(worker * max(share_s, MIN_STAGGER_S) * NS_PER_S)
