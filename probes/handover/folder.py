"""A hand-over written: a folder that a colleague who was not there understands.

Rule 1: the folder is there whole or not at all: it is written under another name beside its place,
and takes its own once all of it is on the disk.
Rule 2: what is there stays: a name that is taken gets a number.
Rule 3: it is private: the folder 0700, its files 0600. Whoever hands it on decides to.
Rule 4: what cannot be written is one error, and leaves nothing behind.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Final, NamedTuple

from probes import __version__
from probes.handover.document import Document, document, summary_text
from probes.handover.facts import Facts, HandoverProgress, gather
from probes.handover.markdown_text import markdown_page
from probes.handover.page import html_page
from probes.handover.recording_of_window import WindowRecording, recording_of
from probes.handover.settings_text import redacted_settings
from probes.handover.tables import COLUMNS, attempts_csv, request_ids
from probes.handover.window import Stretch
from probes.kit.paths import state_folder
from probes.kit.short_figures import local_moment
from probes.run.incidents import IncidentRecord
from probes.run.timeline import RunTimeline
from probes.store.recording_reader import RecordingError

_NAMES_LIMIT: Final = 40
_MOST_OF_A_NAME: Final = 1_000
"""Hand-overs of one minute and one incident: nobody makes more, and a loop must end."""
_WRITING: Final = "writing {}"
"""Of the progress: what, in words."""
_NO_SLUG: Final = re.compile(r"[^a-z0-9]+")


class HandoverError(Exception):
    """A hand-over cannot be written; its message is for a person."""


class WrittenHandover(NamedTuple):
    """A hand-over that was written."""

    folder: Path
    summary: str
    """The paragraph at its head."""


def bundles_folder() -> Path:
    """Return where the cockpit puts hand-overs."""
    return state_folder() / "bundles"


def hand_over(
    timeline: RunTimeline,
    stretch: Stretch,
    parent: Path,
    *,
    incident: str = "",
    known: Iterable[IncidentRecord] = (),
    missing: Iterable[str] = (),
    progress: HandoverProgress = lambda _words, _share: None,
) -> WrittenHandover:
    """Write a stretch of a run into a new folder in `parent`.

    Args:
        timeline: of the run.
        stretch: in ns of its stream.
        parent: made where it is not there.
        incident: id of the one that is handed over; empty for none.
        known: incidents of the run that may have begun before the stretch.
        missing: what is known to be absent from the recording.
        progress: takes what is being done and how far it is, in the thread that this runs in.

    Raises:
        HandoverError: it cannot be written.
        RecordingError: what is recorded cannot be read.
    """
    facts = gather(
        timeline,
        stretch,
        incident=incident,
        known=known,
        missing=tuple(missing),
        progress=progress,
    )
    progress("writing the pages", None)
    pages = document(facts)
    try:
        recording = recording_of(timeline, stretch)
    except OSError as error:  # a part was deleted meanwhile
        raise RecordingError(f"{error.filename}: {error.strerror or error}") from error

    def table_made(share: float) -> None:
        progress(_WRITING.format("attempts.csv"), share)

    files: dict[str, Iterable[bytes]] = {
        "report.html": [html_page(pages).encode()],
        "report.md": [markdown_page(pages).encode()],
        "attempts.csv": (piece.encode() for piece in attempts_csv(facts, table_made)),
        "request-ids.txt": [request_ids(facts).encode()],
        "routes.redacted.toml": [redacted_settings(facts).encode()],
        "README.txt": [_readme(pages, recording).encode()],
        "recording.jsonl": recording.lines,
    }
    try:
        folder = _write(parent, folder_name(facts), files, progress)
    except OSError as error:
        path = error.filename or parent
        raise HandoverError(
            f"{path}: the hand-over cannot be written: {error.strerror or error}"
        ) from error
    return WrittenHandover(folder, pages.summary)


def summary_of(
    timeline: RunTimeline,
    stretch: Stretch,
    *,
    incident: str = "",
    known: Iterable[IncidentRecord] = (),
    progress: HandoverProgress = lambda _words, _share: None,
) -> str:
    """Return the paragraph at the head of a hand-over, without writing one. Raises
    RecordingError."""
    facts = gather(timeline, stretch, incident=incident, known=known, progress=progress)
    return summary_text(facts)


def folder_name(facts: Facts) -> str:
    """Return a name such as `llmtop-20261130T0512Z-kimi-k2-outage`: ASCII, for any disk."""
    record = facts.incident
    moment = local_moment(facts.wall_ns(facts.since_ns), UTC)
    stamp = "unknown" if moment is None else moment.strftime("%Y%m%dT%H%MZ")
    if record is None:
        return f"llmtop-{stamp}-window"
    who = _slug(record.routes[0]) if record.routes else "all"
    more = f"-and-{len(record.routes) - 1}" if len(record.routes) > 1 else ""
    return f"llmtop-{stamp}-{who}{more}-{_slug(record.word.cause)}"


def _slug(name: str) -> str:
    return _NO_SLUG.sub("-", name.lower()).strip("-")[:_NAMES_LIMIT].strip("-") or "route"


def _write(
    parent: Path,
    name: str,
    files: dict[str, Iterable[bytes]],
    progress: HandoverProgress,
) -> Path:
    """Write files into a new folder. Raises OSError."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=".unfinished", dir=parent))
    try:
        for file, pieces in files.items():
            progress(_WRITING.format(file), None)
            path = unfinished / file
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                for piece in pieces:
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
        return _named(unfinished, parent, name)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(unfinished)
        raise


def _named(unfinished: Path, parent: Path, name: str) -> Path:
    """Give a folder its name, or the next that is free. Raises OSError."""
    for number in range(1, _MOST_OF_A_NAME):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        if os.path.lexists(folder):
            continue
        try:
            # Where another took the name meanwhile, this fails: his folder is not empty.
            return unfinished.rename(folder)
        except OSError:
            if not os.path.lexists(folder):
                raise
    raise FileExistsError(17, "every name like it is taken", str(parent / name))


def _readme(pages: Document, recording: WindowRecording) -> str:
    begins = (
        "recording.jsonl is the run from its beginning up to the end of this time."
        if recording.is_whole
        else "recording.jsonl begins some time before this time: figures of windows that reach\n"
        "further back, and of the run, are of this part alone, and what was usual before it is\n"
        "not known to a replay at first."
    )
    width = max(len(column.name) for column in COLUMNS)
    columns = "\n".join(f"  {column.name:<{width}}  {column.meaning}" for column in COLUMNS)
    files = next(section for section in pages.sections if section.id == "files").blocks[0]
    width = max(len(name) for name, _ in files.rows)  # type: ignore[union-attr]
    index = "\n".join(f"  {name:<{width}}  {text}" for name, text in files.rows)  # type: ignore[union-attr]
    return f"""{pages.title}

{pages.summary}

How to open it
  report.html opens in any browser, on a phone too; it needs no network. It can be printed.
  To look into it with llmtop:
    llmtop report recording.jsonl
    llmtop replay recording.jsonl

What is in it
{index}

{begins}

Columns of attempts.csv (RFC 4180, UTF-8, a line an attempt; an apostrophe stands before a cell
that a spreadsheet would take for a formula)
{columns}

Written by llmtop {__version__}. Keys, prompts and answers are in none of these files; names of
routes and hosts, error messages and ids of requests are. Look before you hand it on.
"""
