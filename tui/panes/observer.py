"""How far the figures can be trusted: the observer's own health in the header.

Calm readings are dim. What makes a figure on the screen wrong is red, with what it does to it in
plain words; what makes it less than it could be is marked, and says so too.
"""

from typing import Final

import msgspec

from probes.board.views import HeaderView
from tui.draw.text import Line, Span, count

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


class Cockpit(msgspec.Struct, frozen=True):
    """How the screen's own process is."""

    cpu_share: float = 0.0
    """Share of one core, 0 to 1 and above."""
    slowed_hz: float | None = None
    """Frames a second where a slow terminal holds them down; None where it does not."""


CALM: Final = Cockpit()


class Remark(msgspec.Struct, frozen=True):
    """One reading of the observer's health."""

    line: Line
    short: Line
    """The same without its words, for narrow terminals."""
    priority: float
    """The highest goes first where there is no room; 0 never goes: a figure is not to be trusted.
    Below 2 there is something to explain."""


def observer_remarks(header: HeaderView, cockpit: Cockpit) -> list[Remark]:
    """Return the badge's parts in their order: what cannot be trusted, what is marked, the rest.

    Of several places they tell of the worst, with its name where something is wrong.
    """
    kernel = header.clock == "kernel"
    at = f"{header.observer_place} " if header.observer_place else ""
    remarks = []
    if header.short_of:  # our own machine lacks it: no route's failure, but no reading of one
        remarks.append(_wrong(f"{at}no {header.short_of} left", "probes not sent"))

    lamp: Span = (" ◉", "good") if kernel else (" ○", "dim")
    is_exact = kernel and header.inexact_share < INEXACT_SHOWN and not header.drops_shown
    remarks.append(_calm((lamp, (" exact" if is_exact else f" {header.clock}", "dim")), 5.5))

    lag_ms = header.loop_lag_p99_s * 1000
    if header.loop_lag_p99_s <= LAG_HURTS_S:
        remarks.append(_calm(((f" lag {lag_ms:.1f}ms", "dim"),), 3.5))
    elif kernel:
        # The kernel stamped what came when it came: only what we send waits for the loop.
        remarks.append(_marked(f"{at}lag {lag_ms:.0f} ms", "probes leave late"))
    else:
        remarks.append(_wrong(f"{at}lag {lag_ms:.0f} ms", f"TTFT reads up to {lag_ms:.0f} ms high"))

    engine, screen = header.engine_cpu * 100, cockpit.cpu_share * 100
    if header.engine_cpu >= CPU_FULL:
        # With the kernel's stamps arrivals are right; but they are read in lumps.
        effect = "probes leave late, token gaps blurred" if kernel else "readings late"
        remarks.append(_wrong(f"{at}engine CPU {engine:.0f} %", effect))
    if cockpit.cpu_share >= DRAWING_LATE_CPU:
        remarks.append(_marked(f"screen CPU {screen:.0f} %", "figures shown late"))
    remarks.append(_calm(((f" cpu {engine:.0f}/{screen:.0f}%", "dim"),), 6.5))

    if header.drops and header.drops_shown:
        remarks.append(_wrong(f"drops {count(header.drops)}", "token arrival incomplete"))
    else:
        remarks.append(_calm(((f" drops {count(header.drops)}", "dim"),), 7.4))

    share = f"inexact {header.inexact_share * 100:.0f} %"
    if kernel and header.inexact_share >= INEXACT_BLURS:
        remarks.append(_marked(at + share, "token gaps blurred"))
    elif kernel and header.inexact_share >= INEXACT_SHOWN:
        remarks.append(_calm(((f" {share}", "dim"),), 4.5))

    if cockpit.slowed_hz is not None:
        remarks.append(_marked(f"{cockpit.slowed_hz:.2g} Hz", "slow terminal"))
    return sorted(remarks, key=lambda remark: min(remark.priority, 2))


def _wrong(what: str, effect: str) -> Remark:
    return Remark(((f"  ✖ {what}: {effect}", "missed"),), ((f"  ✖ {what}", "missed"),), 0)


def _marked(what: str, effect: str) -> Remark:
    return Remark(((f"  {what}: {effect}", "slow"),), ((f"  {what}", "slow"),), 1.5)


def _calm(line: Line, priority: float) -> Remark:
    return Remark(line, line, priority)
