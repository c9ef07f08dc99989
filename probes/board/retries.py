"""The retry table: reason × number, what it rescued and what it cost in time."""

from probes.board.views import RetryRow, RetryView
from probes.stats.tally import Tally


def amplification(tally: Tally) -> float | None:
    """Return attempts per finished probe; None without one."""
    return tally.probe_attempts / tally.finished if tally.finished else None


def retry_view(tally: Tally) -> RetryView:
    """Return the retry table of one window, the most frequent reason first."""
    reasons = {reason for reason, _ in tally.retried}
    reasons |= tally.recovered_by.keys() | tally.exhausted_by.keys() | tally.waited_by.keys()
    rows = [_row(reason, tally) for reason in reasons]
    rows.sort(key=lambda row: (-sum(row.by_number), row.reason))
    return RetryView(
        rows=tuple(rows),
        amplification=amplification(tally),
        recovered=tally.recovered,
        exhausted=tally.exhausted,
        added_wait_s=sum(tally.waited_by.values()),
        hidden=tally.hidden_retries,
    )


def _row(reason: str, tally: Tally) -> RetryRow:
    numbers = {number: count for (name, number), count in tally.retried.items() if name == reason}
    return RetryRow(
        reason=reason,
        by_number=tuple(numbers.get(n, 0) for n in range(1, max(numbers, default=0) + 1)),
        recovered=tally.recovered_by.get(reason, 0),
        exhausted=tally.exhausted_by.get(reason, 0),
        added_wait_s=tally.waited_by.get(reason, 0.0),
    )
