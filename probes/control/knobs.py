"""The knobs of a route, for whoever turns them."""

from probes.config.knob_ranges import KNOBS as KNOBS
from probes.config.knob_ranges import MAX_BURST as MAX_BURST
from probes.config.knob_ranges import KnobName as KnobName
from probes.config.knob_ranges import KnobRange as KnobRange
from probes.config.knob_ranges import Move as Move
