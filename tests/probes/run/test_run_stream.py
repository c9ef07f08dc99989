"""What becomes of the events of a run, from whoever gives them to all that takes them."""

from pathlib import Path
from typing import Any

import pytest
from clocks import ManualClock
from recorded import recorded_events

from probes.diagnosis import Diagnostician
from probes.events import Event, Hello, Mark, Notice, durable_lines
from probes.kit.clock import NS_PER_S
from probes.run.run_stream import RunStream, own_hello
from probes.store.recording import Recorder

pytestmark = pytest.mark.anyio

HELLO = own_hello(10 * NS_PER_S, 20 * NS_PER_S, ())


class Run:
    """A stream, its clock, and what was heard of it."""

    def __init__(self, recorder: Recorder | None = None, follow: Any = None) -> None:
        self.clock = ManualClock(start_ns=10 * NS_PER_S)
        self.heard: list[Event] = []
        self.lines = b""
        self.stream = RunStream(
            Diagnostician(),
            clock=self.clock,
            recorder=recorder,
            history=None,
            goes_back=False,
            begins_from_history=False,
            learn=lambda _events, _lines: None,
            follow=follow or (lambda _events, _lines: None),
        )
        self.stream.subscribe(self._hear)

    def _hear(self, events: list[Event], lines: bytes) -> None:
        self.heard += events
        self.lines += lines

    def told(self) -> list[str]:
        """Return the texts of what stands behind the hello."""
        assert isinstance(self.heard[0], Hello)
        return [one.text for one in self.heard if isinstance(one, Notice | Mark)]


def test_what_comes_before_the_hello_stands_behind_it_and_notes_behind_that() -> None:
    run = Run()
    run.stream.note("of the recorder", "r")
    run.stream.receive([Mark(at_ns=3, text="early")], b"not read: it is encoded anew")
    run.stream.emit("ours")
    assert run.heard == []
    later = Mark(at_ns=11 * NS_PER_S, text="later")
    before: list[Event] = [Mark(at_ns=12 * NS_PER_S, text="of another place"), HELLO, later]
    run.stream.receive(before, durable_lines(before))
    assert run.told() == ["later", "early", "ours", "of another place", "of the recorder"]
    hello_s = HELLO.at_ns // NS_PER_S
    assert [one.at_ns // NS_PER_S for one in run.heard] == [hello_s, 11, hello_s, hello_s, 12, 12]
    assert run.lines == durable_lines(run.heard)


def test_a_hello_keeps_the_fields_that_are_not_known_here() -> None:
    run = Run()
    run.stream.receive([Mark(at_ns=3, text="early")], b"")
    line = durable_lines([HELLO]).replace(b"}\n", b',"later":1}\n')
    run.stream.receive([HELLO], line)
    assert run.lines.startswith(line)


def test_what_follows_from_a_batch_comes_before_notes_and_is_heard_by_all() -> None:
    def follow(events: list[Event], _lines: bytes) -> None:
        if HELLO in events:
            run.stream.deliver([Mark(at_ns=HELLO.at_ns, text="follows")])

    run = Run(follow=follow)
    run.stream.note("note")
    run.stream.receive([HELLO], durable_lines([HELLO]))
    assert run.told() == ["follows", "note"]


async def test_the_present_goes_on_while_nothing_newer_is_told() -> None:
    run = Run()
    run.stream.receive([HELLO], durable_lines([HELLO]))
    await run.clock.advance(5.0)
    # Such as the end of an engine that was silent: its stamp is the last that it gave.
    run.stream.emit("restarting")
    await run.clock.advance(1.0)
    assert run.stream.newest_ns == HELLO.at_ns
    assert run.stream.now_ns == HELLO.at_ns + 6 * NS_PER_S


class Export:
    """An export that has something to say at its end."""

    def __init__(self, stream: RunStream) -> None:
        self._stream = stream

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take nothing."""

    def close(self) -> None:
        self._stream.note("3 were not sent")


async def test_a_run_that_nobody_introduced_has_a_hello_of_ours_and_all_that_was_told(
    tmp_path: Path,
) -> None:
    recorder = Recorder.to_folder(tmp_path, max_mb=1, max_days=1, flush_s=0.01)
    run = Run(recorder)
    run.stream.close_with_it(Export(run.stream))
    run.stream.start()
    run.stream.note("no engine came")
    await run.stream.close(lambda: HELLO)
    assert run.told() == ["no engine came", "3 were not sent"]
    assert recorded_events(recorder.path) == run.heard
