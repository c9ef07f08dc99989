"""A recording as a source: like an engine, but that everything has happened."""

from pathlib import Path

import anyio
import pytest
from clocks import settle

from probes.control.commands import MarkTime
from probes.events import Event, Hello, Mark, encode_event
from probes.sources.recording import RecordingSource
from probes.sources.source import Source
from probes.store.recording_reader import RecordingError

pytestmark = pytest.mark.anyio

HELLO = Hello(at_ns=1, wall_ns=2, engine="1", version="0", routes=(), schema=1)
MARKS = tuple(Mark(at_ns=number, text="x" * 1_000) for number in range(300))
"""More than come in one batch."""


class Heard:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.lines = b""

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    def receive(self, events: list[Event], lines: bytes) -> None:
        self.batches.append(events)
        self.lines += lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording of some batches."""
    made = tmp_path / "run.jsonl"
    made.write_bytes(b"".join(map(encode_event, (HELLO, *MARKS))))
    return made


async def test_it_gives_everything_and_ends(path: Path) -> None:
    heard = Heard()
    source: Source = RecordingSource([path], heard.receive, str)
    assert source.status.state == "starting"
    await source.run()
    assert heard.events == [HELLO, *MARKS]
    assert heard.lines == b"".join(map(encode_event, heard.events))
    assert len(heard.batches) > 2
    assert source.status.state == "stopped"


async def test_what_has_happened_cannot_be_commanded(path: Path) -> None:
    heard = Heard()
    source = RecordingSource([path], heard.receive, str)
    source.send(MarkTime(text="too late"))
    source.retry()
    await source.run()
    assert heard.events == [HELLO, *MARKS]


async def test_held_it_waits_and_released_it_goes_on(path: Path) -> None:
    heard = Heard()
    source = RecordingSource([path], heard.receive, str)
    source.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        await settle()
        assert (len(heard.batches), source.status.state) == (1, "running")
        source.release()
    assert heard.events == [HELLO, *MARKS]


async def test_stopped_it_gives_no_more_even_where_it_is_held(path: Path) -> None:
    heard = Heard()
    source = RecordingSource([path], heard.receive, str)
    source.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        await settle()
        source.stop()
        source.hold()
    assert (len(heard.batches), source.status.state) == (1, "stopped")


async def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"?\n")
    source = RecordingSource([tmp_path / "none.jsonl"], Heard().receive, str)
    with pytest.raises(RecordingError):
        await source.run()
    assert source.status.state == "stopped"
