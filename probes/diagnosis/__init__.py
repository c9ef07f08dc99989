"""What is wrong, since when and why: a pure fold of the event stream into `diagnosis` events."""

from probes.diagnosis.diagnostician import Diagnostician

__all__ = ["Diagnostician"]
