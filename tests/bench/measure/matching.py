"""Readings held to the truth: how wrong is each of them? Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from truth import MetronomeRecord

from .readings import Reading

SLACK_NS = 100_000
"""A kernel's stamp, mapped from another clock, may seem so much earlier than the send."""


@dataclass
class Errors:
    """Errors of warm requests in ns: what the client says less what the server did."""

    ttft: list[int] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    e2e: list[int] = field(default_factory=list)
    unmatched: int = 0
    """Readings of requests the server does not know, or did not stream to the end."""
    unflagged_ttft: list[int] = field(default_factory=list)
    """Of `ttft`, those that the client does not itself call upper bounds."""
    merged: int = 0
    """Chunks for which the client had no stamp of their own."""

    def add(self, other: "Errors") -> None:
        """Take the errors of another round as well."""
        self.ttft += other.ttft
        self.chunks += other.chunks
        self.e2e += other.e2e
        self.unmatched += other.unmatched
        self.unflagged_ttft += other.unflagged_ttft
        self.merged += other.merged


def keys_of(record: MetronomeRecord) -> tuple[str, str]:
    """Return the ids by which a client may know a request."""
    return record.request_id, record.response_id


def output_stamps(record: MetronomeRecord) -> list[int]:
    """Return when each output chunk was sent."""
    writes = zip(record.chunks_ns, record.chunk_tokens, strict=True)
    return [stamp for stamp, tokens in writes if tokens]


def chunk_errors(sent: Sequence[int], arrived: Sequence[int]) -> list[int]:
    """Return arrival − send of each chunk.

    Where reads were merged there are fewer arrivals than chunks: a chunk then came with the first
    read that ended no earlier than it was sent, and not before the read of the chunk before it.
    """
    if len(sent) == len(arrived):
        return [late - early for early, late in zip(sent, arrived, strict=True)]
    errors, at = [], 0
    for stamp in sent:
        while at < len(arrived) - 1 and arrived[at] < stamp - SLACK_NS:
            at += 1
        errors.append(arrived[at] - stamp)
    return errors


def compare(
    readings: Iterable[Reading], truth: Mapping[str, MetronomeRecord], *, cold: bool = False
) -> Errors:
    """Return the errors of the readings whose connection was there before; with `cold`, of all."""
    errors = Errors()
    for reading in readings:
        record = truth.get(reading.request_id)
        if record is None or record.ending != "streamed":
            errors.unmatched += 1
        elif cold or not record.first_of_connection:
            _add(errors, reading, record)
    return errors


def _add(errors: Errors, reading: Reading, record: MetronomeRecord) -> None:
    sent = output_stamps(record)
    assert record.ended_ns is not None
    felt_ns = reading.first_ns - reading.started_ns
    error_ns = felt_ns - (sent[0] - record.read_ns)
    errors.ttft.append(error_ns)
    if not reading.flagged:
        errors.unflagged_ttft.append(error_ns)
    whole_ns = reading.done_ns - reading.started_ns
    errors.e2e.append(whole_ns - (record.ended_ns - record.read_ns))
    if reading.chunks_ns:
        errors.chunks += chunk_errors(sent, reading.chunks_ns)
        errors.merged += len(sent) - len(reading.chunks_ns)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which a share of the values lies; None of no values."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
