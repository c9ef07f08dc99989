"""How far the figures can be trusted: the observer's own health in the header.

Calm readings are dim. What makes a figure on the screen wrong is red, with what it does to it in
plain words; what makes it less than it could be is marked, and says so too.
"""

from dataclasses import dataclass
from typing import Final

from probes.board.views import HeaderView
from tui.draw.text import Line, Role, Span, count

LAG_HURTS_S: Final = 0.02
"""Loop lag p99 from which it is said what it does: 2 % of the default TTFT goal of 1 s, which is
the least that moves the second digit of a figure near its goal."""
CPU_FULL: Final = 0.9
"""Share of a core from which the engine is called full. A loop that is busy nine tenths of the time
has about ten pieces of work in its queue, and its lag grows without bound from there."""
DRAWING_LATE_CPU: Final = 0.9
"""The same of the cockpit: the figures are right, and on the screen too late."""
INEXACT_SHOWN: Final = 0.05
"""Share of inexact arrival stamps that is worth a word: below it no percentile up to p95 of the
gaps between chunks can rest on one."""
INEXACT_BLURS: Final = 0.25
"""Share from which the gaps between chunks are blurred: then every second gap, which has a stamp at
either end, may rest on one."""


@dataclass(frozen=True, slots=True)
class Cockpit:
    """How the screen's own process is."""

    cpu_share: float = 0.0
    """Share of one core, 0 to 1 and above."""
    slowed_hz: float | None = None
    """Frames a second where a slow terminal holds them down; None where it does not."""


CALM: Final = Cockpit()


@dataclass(frozen=True, slots=True)
class Remark:
    """One reading of the observer's health."""

    line: Line
    short: Line
    """The same without its words, for narrow terminals."""
    priority: float
    """The highest goes first where there is no room; 0 never goes: a figure is not to be trusted.
    Below 2 there is something to explain."""


def observer_remarks(header: HeaderView, cockpit: Cockpit) -> list[Remark]:
    """Return the badge's parts in their order: what cannot be trusted, what is marked, the rest."""
    remarks = [
        *_short(header),
        _clock(header),
        _lag(header),
        *_full(header, cockpit),
        _cpu(header, cockpit),
        _drops(header),
        *_inexact(header),
        *_slowed(cockpit),
    ]
    return sorted(remarks, key=lambda remark: min(remark.priority, 2))


def _wrong(what: str, effect: str) -> Remark:
    return Remark(_spans(f"✖ {what}: {effect}", "missed"), _spans(f"✖ {what}", "missed"), 0)


def _marked(what: str, effect: str) -> Remark:
    return Remark(_spans(f"{what}: {effect}", "slow"), _spans(what, "slow"), 1.5)


def _calm(line: Line, priority: float) -> Remark:
    return Remark(line, line, priority)


def _spans(text: str, role: Role) -> Line:
    return ((f"  {text}", role),)


def _short(header: HeaderView) -> list[Remark]:
    """Return what our own machine lacks: no route's failure, but no reading of one either."""
    if not header.short_of:
        return []
    return [_wrong(f"no {header.short_of} left", "probes not sent")]


def _clock(header: HeaderView) -> Remark:
    lamp: Span = (" ◉", "good") if header.clock == "kernel" else (" ○", "dim")
    return _calm((lamp, (f" {header.clock}", "dim")), 5.5)


def _lag(header: HeaderView) -> Remark:
    lag_ms = header.loop_lag_p99_s * 1000
    if header.loop_lag_p99_s <= LAG_HURTS_S:
        return _calm(((f" lag {lag_ms:.1f}ms", "dim"),), 3.5)
    if header.clock == "kernel":
        # The kernel stamped what came when it came: only what we send waits for the loop.
        return _marked(f"lag {lag_ms:.0f} ms", "probes leave late")
    return _wrong(f"lag {lag_ms:.0f} ms", f"TTFT reads up to {lag_ms:.0f} ms high")


def _cpu(header: HeaderView, cockpit: Cockpit) -> Remark:
    shares = f"{header.engine_cpu * 100:.0f}/{cockpit.cpu_share * 100:.0f}%"
    return _calm(((f" cpu {shares}", "dim"),), 6.5)


def _full(header: HeaderView, cockpit: Cockpit) -> list[Remark]:
    """Return which of the two processes has more to do than its core can."""
    remarks = []
    if header.engine_cpu >= CPU_FULL:
        # With the kernel's stamps arrivals are right; but they are read in lumps.
        kernel = header.clock == "kernel"
        effect = "probes leave late, token gaps blurred" if kernel else "readings late"
        remarks.append(_wrong(f"engine CPU {header.engine_cpu * 100:.0f} %", effect))
    if cockpit.cpu_share >= DRAWING_LATE_CPU:
        share = f"screen CPU {cockpit.cpu_share * 100:.0f} %"
        remarks.append(_marked(share, "figures shown late"))
    return remarks


def _drops(header: HeaderView) -> Remark:
    if header.drops and header.drops_shown:
        return _wrong(f"drops {count(header.drops)}", "token arrival incomplete")
    return _calm(((f" drops {count(header.drops)}", "dim"),), 7.4)


def _inexact(header: HeaderView) -> list[Remark]:
    """Return what the kernel could not tell; without its stamps nothing is exact to begin with."""
    if header.clock != "kernel" or header.inexact_share < INEXACT_SHOWN:
        return []
    share = f"inexact {header.inexact_share * 100:.0f} %"
    if header.inexact_share < INEXACT_BLURS:
        return [_calm(((f" {share}", "dim"),), 4.5)]
    return [_marked(share, "token gaps blurred")]


def _slowed(cockpit: Cockpit) -> list[Remark]:
    if cockpit.slowed_hz is None:
        return []
    return [_marked(f"{cockpit.slowed_hz:.2g} Hz", "slow terminal")]
