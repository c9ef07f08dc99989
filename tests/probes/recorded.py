"""What stands in a recording, for tests."""

from pathlib import Path

from probes.events import Event
from probes.store.recording_reader import Report, read_recording, recorded_parts


def recorded_events(path: Path, report: Report = str) -> list[Event]:
    """Return the events of a recording; of a part of a rotated run, those of the later ones too."""
    batches = read_recording(recorded_parts([path], report), report)
    return [event for events, _ in batches for event in events]
