"""The recording of a hand-over: events that replay by themselves.

Rule 1: a `hello` is first. Where the run is small it is the whole run up to the end of the stretch,
so that its figures and verdicts are those of the run.
Rule 2: of a large run it begins before the stretch, and figures of longer windows are of the part
alone: that is said.
Rule 3: an answer's text, which a user may have had recorded, is left out: it is nobody's business
to whom this is handed. User and query values of an address are masked once more, for whoever wrote
the recording may not have done it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from probes.config.urls import mask_url
from probes.events import AttemptFinished, Event, Hello, encode_event
from probes.handover.window import Stretch
from probes.run.timeline import RunTimeline, StretchEnd
from probes.store.hellos import HELLO_PREFIX
from probes.store.recording_reader import Piece, RecordingError, read_on, read_pieces

WHOLE_BYTES: Final = 32 << 20
"""A run up to here is handed over from its beginning: packed it is what a mail still takes."""
_TEXT: Final = b'"text":"'
_REASONING: Final = b'"reasoning_text":"'
_TO_LOOK_AT: Final = (_TEXT, _REASONING, HELLO_PREFIX)


class WindowRecording(NamedTuple):
    """The lines of a hand-over's recording."""

    lines: Iterator[bytes]
    is_whole: bool
    """It begins where the run, or what is left of it, begins."""


def recording_of(timeline: RunTimeline, stretch: Stretch) -> WindowRecording:
    """Return the recording up to the end of a stretch.

    Raises:
        RecordingError: what is recorded cannot be read; also while the lines are read.
    """
    parts = [part for part in timeline.parts if part.exists()]
    moment = timeline.before(stretch.begin_ns)
    place = None if moment is None else moment.locate()
    if not parts or place is None:
        raise RecordingError("nothing is recorded that could be handed over")
    if sum(part.stat().st_size for part in parts) <= WHOLE_BYTES:
        return WindowRecording(_lines(read_pieces(parts, str), b"", stretch.end_ns), True)
    later = read_on([place.part] if place.part not in parts else parts, place)
    return WindowRecording(_lines(later, place.hellos, stretch.end_ns), False)


def _lines(pieces: Iterator[Piece], hellos: bytes, end_ns: int) -> Iterator[bytes]:
    end = StretchEnd(end_ns)
    for hello in end.greeted(hellos):
        yield encode_event(_for_others(hello))
    for piece in pieces:
        is_cut = any(event.at_ns > end_ns for event in piece.events)
        is_read = is_cut or any(told in piece.lines for told in _TO_LOOK_AT)
        for event in piece.events if is_read else ():
            if not end.is_before(event):
                yield encode_event(_for_others(event))
            elif end.is_reached:
                return
        if not is_read:
            yield piece.lines


def _for_others(event: Event) -> Event:
    if isinstance(event, AttemptFinished):
        return replace(event, text=None, reasoning_text=None)
    if isinstance(event, Hello):
        routes = (replace(info, base_url=mask_url(info.base_url)) for info in event.routes)
        return replace(event, routes=tuple(routes))
    return event
