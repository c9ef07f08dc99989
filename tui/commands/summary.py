"""What is left on the terminal after the screen is gone."""

from probes.board.views import RouteView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import age, count, left, right, seconds, share, usd

_HEADS = ("probes", "OK%", "GOOD%", "TTFT p50", "p95", "E2E p95", "429/m", "RETRY", "$/h")
_WIDTH = 9
_NAME_WIDTH = 24


def summary_text(snapshot: Snapshot, recording: str = "") -> str:
    """Return the run in one line per route, worst first; empty where nothing was measured.

    `recording` is the file that has the whole of it, if any.
    """
    if not snapshot.routes:
        return ""
    head = left("ROUTE", _NAME_WIDTH) + "".join(right(name, _WIDTH) for name in _HEADS)
    title = f"llmtop ran {age(snapshot.header.elapsed_s)} · figures: {snapshot.window}"
    kept = (f"recorded in {neutralise(recording)}",) if recording else ()
    return "\n".join((title, head, *(_row(route) for route in snapshot.routes), *kept)) + "\n"


def _row(route: RouteView) -> str:
    factor = f"×{route.amplification:.2f}" if route.amplification is not None else "–"
    cells = (
        count(route.n),
        share(route.success),
        share(route.goodput),
        seconds(route.ttft_p50.value),
        seconds(route.ttft_p95.value),
        seconds(route.e2e_p95.value),
        count(route.throttled_per_min),
        factor,
        usd(route.usd_per_hour),
    )
    name = left(neutralise(route.name, 80), _NAME_WIDTH)
    return f"{name}{''.join(right(cell, _WIDTH) for cell in cells)}  {route.state}"
