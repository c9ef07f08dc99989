"""What is wrong, since when and why: a pure fold of the event stream into `diagnosis` events, and
of these into alerts."""

from probes.diagnosis.alerts import Alerts
from probes.diagnosis.diagnostician import Diagnostician

__all__ = ["Alerts", "Diagnostician"]
