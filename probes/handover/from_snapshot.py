"""What a cockpit shows handed over: which incident that is, and how it is told.

Rule 1: it ends where the snapshot stands: whoever looks at the past hands over that past.
Rule 2: nothing is raised: who asked is told in a line why it failed.
"""

from typing import NamedTuple

from probes.board.views import Snapshot
from probes.events import Diagnosis
from probes.handover.facts import HandoverProgress
from probes.handover.folder import HandoverError, bundles_folder, hand_over, summary_of
from probes.handover.window import AFTER_NS, BEFORE_NS, Stretch, stretch_without_incident
from probes.kit.paths import NOWHERE
from probes.run.timeline import RunTimeline, TimeSpan
from probes.store.recording_reader import RecordingError


class ToldHandover(NamedTuple):
    """What came of it."""

    summary: str = ""
    folder: str = ""
    failure: str = ""
    """Why there is neither."""


def hand_over_snapshot(
    timeline: object,
    snapshot: Snapshot,
    route: str,
    *,
    writes: bool,
    progress: HandoverProgress = lambda _words, _share: None,
) -> ToldHandover:
    """Hand over the incident of a route, or the last quarter of an hour where it has none.

    Args:
        timeline: of the run; None where nothing is recorded.
        snapshot: what is shown.
        route: the one that is selected; empty for none.
        writes: a folder is written among the bundles; else there is the summary alone.
        progress: takes what is being done and how far it is, in the thread that this runs in.
    """
    if not isinstance(timeline, RunTimeline):
        return ToldHandover(failure="Nothing is recorded that could be handed over.")
    span = timeline.recorded_span
    shown_ns = min(span.end_ns, snapshot.now_ns)
    span = TimeSpan(span.begin_ns, max(span.begin_ns, shown_ns), span.is_cut)
    word = incident_of(snapshot, route)
    stretch = stretch_without_incident(span) if word is None else _stretch(word, span)
    incident = "" if word is None else word.id
    missing = ["the run began earlier: that part of its recording was deleted"]
    try:
        if not writes:
            told = summary_of(timeline, stretch, incident=incident, progress=progress)
            return ToldHandover(told)
        parent = bundles_folder()
        if parent.is_relative_to(NOWHERE):
            return ToldHandover(failure="Without a home folder there is no place for a bundle.")
        written = hand_over(
            timeline,
            stretch,
            parent,
            incident=incident,
            missing=missing if span.is_cut else (),
            progress=progress,
        )
    except (HandoverError, RecordingError) as error:
        return ToldHandover(failure=str(error))
    return ToldHandover(written.summary, str(written.folder))


def incident_of(snapshot: Snapshot, route: str) -> Diagnosis | None:
    """Return the worst that is open on a route, else what was over last; None where there is
    neither."""
    words = [
        *(view.diagnosis for view in snapshot.incidents),
        *(view.diagnosis for view in snapshot.recoveries),
    ]
    return next((word for word in words if not route or route in word.routes), None)


def _stretch(word: Diagnosis, span: TimeSpan) -> Stretch:
    is_over = word.state in ("cleared", "settled")
    end_ns = min(span.end_ns, word.at_ns + AFTER_NS) if is_over else span.end_ns
    return Stretch(min(max(span.begin_ns, word.since_ns - BEFORE_NS), end_ns), end_ns)
