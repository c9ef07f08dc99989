"""The knobs of a route, for whoever turns them."""

from probes.config.knob_ranges import KNOBS, MAX_BURST, KnobName, KnobRange, Move

__all__ = ["KNOBS", "MAX_BURST", "KnobName", "KnobRange", "Move"]
