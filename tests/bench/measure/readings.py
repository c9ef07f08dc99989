"""What a client says of the requests it made; all stamps are monotonic ns of this machine."""

from pathlib import Path

import msgspec


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was read to its end."""

    request_id: str
    """Or the id of its chunks, where the client knows only that."""
    started_ns: int
    first_ns: int
    """Arrival of the first output."""
    done_ns: int
    chunks_ns: list[int]
    """Arrivals of output, in order; fewer than the server sent where reads were merged, none
    where the client does not keep them."""
    flagged: bool = False
    """The client says itself that its first stamp is only an upper bound."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a client has to say after a run."""

    readings: list[Reading]
    loop_lag_ms: float | None = None
    """p99 of the lag of its event loop, where it knows."""
    always_cold: bool = False
    """It makes a connection for every request, so that there are no warm ones to take."""


def save_report(path: Path, report: Report) -> None:
    """Write a report for the benchmark to read."""
    path.write_bytes(msgspec.json.encode(report))


def load_report(path: Path) -> Report:
    """Read what `save_report` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
