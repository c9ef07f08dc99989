"""Hand-made lines of the log, hostile ones among them, for the tests of what happened."""

from typing import Any

from made import HOSTILE, NOW_NS

from probes.board.views import Happening, HappeningKind, Judged, KnobComparison, KnobEffect
from probes.kit.clock import NS_PER_S


def compared(
    figure: Any, before: float | None, after: float | None, judged: Judged = "unclear"
) -> KnobComparison:
    """Return one figure before and after a turn."""
    n_after = 0 if after is None else 117
    return KnobComparison(figure, before, after, 112, n_after, judged, p=0.001)


WORSE = KnobEffect(
    (
        compared("throttled_share", 0.0, 0.31, "worse"),
        compared("ttft_p95", 0.35, 1.31, "worse"),
        compared("tokens_per_s", 37.2, 37.9),
        compared("good_share", 1.0, 0.91, "worse"),
    ),
    "worse",
)
"""What a turn did that a provider throttles us for."""
WAITING = KnobEffect(
    (
        KnobComparison("throttled_share", 0.0, None, 112, 0),
        KnobComparison("ttft_p95", 0.35, None, 112, 0),
    ),
    "waiting",
)
CAP = KnobEffect(
    (
        compared("throttled_share", 0.25, 0.0, "better"),
        compared("good_share", 0.75, 0.999, "better"),
    ),
    "better",
    until_ns=NOW_NS,
)


def happening(ago_s: float, kind: HappeningKind, text: str, *routes: str, **more: Any) -> Happening:
    """Return one line of something that happened so many seconds ago."""
    at_ns = NOW_NS - round(ago_s * NS_PER_S)
    return Happening(at_ns=at_ns, kind=kind, text=text, routes=routes, **more)


def turned(ago_s: float, text: str, effect: KnobEffect | None, *routes: str) -> Happening:
    """Return a turn of a knob."""
    return happening(ago_s, "knob", text, *routes or ("busy-llama",), effect=effect)


HAPPENINGS = (
    turned(2.0, "you: cap 256→64", WAITING),
    turned(20.0, "you: CONC 3→6", WORSE),
    happening(
        50.0,
        "onset",
        'provider is down · 41 of 41 attempts fail: 503 "The engine is currently overloaded"',
        "kimi",
        state="down",
        incident="e1-2",
    ),
    happening(
        60.0, "throttled", "429 ×14 in 14s · concurrency · left 0/8 · asked 1.00 s", "busy-llama"
    ),
    happening(90.0, "recovered", "recovered, was slow 1m12s, 3 probes lost", "kimi", state="slow"),
    happening(
        120.0, "cause", "now seen as: streams pause · 5 of 12 answers pause", "a", "b", state="slow"
    ),
    happening(150.0, "settled", "slow to the first token: the usual from now on", "kimi"),
    happening(160.0, "onset", "our machine is busy · our loop late by 48 ms", until_ns=NOW_NS),
    happening(200.0, "mark", HOSTILE),
    happening(210.0, "notice", "asked without stream_options " + HOSTILE, HOSTILE, "b", count=7),
    happening(240.0, "held", "held, nothing is left to spend", "kimi", count=3),
    happening(260.0, "gap", "we did not run for 12s"),
    happening(270.0, "fault", "KeyError: 'x'; restarts in 1 s", "kimi"),
    happening(280.0, "engine", "another engine took over: e2"),
    turned(300.0, "you: paused", None, "a", "b", "c", "d"),
    turned(320.0, "you: cap 256→64", CAP),
)
"""Newest first."""
