"""The figures as a Markdown table, and as plain data for JSON. Pure functions."""

from collections.abc import Iterable, Sequence
from typing import Any

from .matching import quantile
from .measuring import Measurement

NS_PER_MS = 1e6
MIB = 1 << 20
HEAD = (
    "streams",
    "client",
    "TTFTs",
    "TTFT error ms p50 / p99 (median signed)",
    "flagged TTFTs; p99 of the others",
    "chunk error ms p50 / p99",
    "merged chunks %",
    "E2E error ms p50 / p99",
    "CPU ms / 1,000 chunks",
    "peak RSS MiB",
    "first request s",
    "loop lag p99 ms",
    "server late / send p99 ms",
    "others / stolen %",
)


def figures(measured: Measurement) -> dict[str, Any]:
    """Return all figures of a row; None where there were no samples."""
    errors = measured.errors
    thousands = measured.chunks / 1000
    return {
        "client": measured.client,
        "streams": measured.streams,
        "ttfts": len(errors.ttft),
        "cold": measured.always_cold,
        "unmatched": errors.unmatched,
        "merged_chunks": errors.merged,
        "merged_percent": 100 * errors.merged / len(errors.chunks) if errors.chunks else None,
        "ttft_error_ms": _spread(errors.ttft),
        "flagged_ttfts": len(errors.ttft) - len(errors.unflagged_ttft),
        "unflagged_ttft_error_ms": _spread(errors.unflagged_ttft),
        "chunk_error_ms": _spread(errors.chunks),
        "e2e_error_ms": _spread(errors.e2e),
        "chunks": measured.chunks,
        "cpu_ms_per_1000_chunks": {
            role: used / NS_PER_MS / thousands if thousands else None
            for role, used in measured.cpu_ns.items()
        },
        "peak_rss_mib": {role: size / MIB for role, size in measured.rss_bytes.items()},
        "first_request_s": quantile(measured.start_s, 0.5),
        "loop_lag_p99_ms": quantile(measured.loop_lag_ms, 0.5),
        "server_late_p99_ms": _worst_ms(measured.server_late_ns),
        "server_send_p99_ms": _worst_ms(measured.server_send_ns),
        "others_percent": 100 * max(measured.others) if measured.others else None,
        "stolen_percent": 100 * max(measured.stolen) if measured.stolen else None,
    }


def _spread(errors_ns: Sequence[int]) -> dict[str, float | None]:
    """Return quantiles of how wrong, and the median of which way."""
    sizes = [abs(error) / NS_PER_MS for error in errors_ns]
    signed = [error / NS_PER_MS for error in errors_ns]
    return {
        "p50": quantile(sizes, 0.5),
        "p99": quantile(sizes, 0.99),
        "median_signed": quantile(signed, 0.5),
    }


def _worst_ms(durations_ns: Sequence[int]) -> float | None:
    return max(durations_ns) / NS_PER_MS if durations_ns else None


def markdown(rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows, each made by `figures`, as a table."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: dict[str, Any]) -> list[str]:
    ttft, chunk, e2e = row["ttft_error_ms"], row["chunk_error_ms"], row["e2e_error_ms"]
    return [
        str(row["streams"]),
        row["client"],
        f"{row['ttfts']} cold" if row["cold"] else str(row["ttfts"]),
        f"{_number(ttft['p50'])} / {_number(ttft['p99'])} ({_number(ttft['median_signed'])})",
        f"{row['flagged_ttfts']}; {_number(row['unflagged_ttft_error_ms']['p99'])}",
        f"{_number(chunk['p50'])} / {_number(chunk['p99'])}",
        _number(row["merged_percent"]),
        f"{_number(e2e['p50'])} / {_number(e2e['p99'])}",
        _by_role(row["cpu_ms_per_1000_chunks"]),
        _by_role(row["peak_rss_mib"]),
        _number(row["first_request_s"]),
        _number(row["loop_lag_p99_ms"]),
        f"{_number(row['server_late_p99_ms'])} / {_number(row['server_send_p99_ms'])}",
        f"{_number(row['others_percent'])} / {_number(row['stolen_percent'])}",
    ]


def _by_role(values: dict[str, float | None]) -> str:
    if len(values) < 2:
        return _number(next(iter(values.values()), None))
    return " + ".join(f"{_number(value)} {role}" for role, value in values.items())


def _number(value: float | None) -> str:
    """Return three significant digits, or a dash for what is not known."""
    if value is None:
        return "–"
    size = abs(value)
    places = 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:.{places}f}"
