"""Fuzz what places send: `python tests/fuzz/foreign_places.py --seconds 600 [--seed N]`

A place that was taken over says what it likes, over a bus or over ssh. Lines of a real stream are
changed in one or several values, doubled, swapped, cut or left out, put into messages with any
numbers, and given to all that takes events in a cockpit. Whatever comes, nobody raises, nothing
stands in the future, no line means another event than its own, no more routes are known than there
is room for, and no byte costs more than some microseconds. The exit code is 1 where that fails.
"""

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE.parent / "probes")]

import board_streams as made  # noqa: E402
import msgspec  # noqa: E402
import published  # noqa: E402
from clocks import ManualClock  # noqa: E402

from probes.board import Board  # noqa: E402
from probes.config.places import GivenPlace  # noqa: E402
from probes.diagnosis import Diagnostician  # noqa: E402
from probes.events import (  # noqa: E402
    Batch,
    Event,
    Fault,
    Gap,
    Held,
    Hello,
    Knob,
    Mark,
    Notice,
    decode_event,
    durable_lines,
    encode_event,
)
from probes.events.foreign import decode_foreign  # noqa: E402
from probes.exports.metrics_fold import MetricsFold  # noqa: E402
from probes.history.fold import HistoryFold  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402
from probes.run.verdicts import Judge, with_verdicts  # noqa: E402
from probes.sources.place_streams import (  # noqa: E402
    MOST_ROUTES,
    SILENT_AFTER_NS,
    PlaceMessage,
    PlaceStreams,
)
from probes.sources.places import SharedLine, _Feed  # noqa: E402
from probes.sources.supervised import LineSplitter, OpenWork  # noqa: E402

PLACES: Final = ("eu", "us")
AHEAD_NS: Final = 5 * NS_PER_S
"""More than any source lets a stamp lie in the future."""
FREE_CPU_S: Final = 1.5
CPU_S_PER_BYTE: Final = 30e-6
WHOLE: Final = (
    *(0, 1, -1, 7, 255, 2**31, -(2**31), 2**53, 2**61, -(2**61), 2**61 + 1, 2**63, -(2**63)),
    *(2**64, 10**18, 10**40, -(10**40), made.START_NS, published.UNIX_NS),
)
REAL: Final = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e18, 1e100, -1e100, 1e308, -1e308)
WORDS: Final = (
    *("", "chat@us", "chat@eu", "@eu", "eu", "us", "x" * 5_000, "ok", "timeout", "429", "429 x"),
    *("\x1b[2J\u202e\u009b", "漢字" * 200, "\ud7ff", "a: b: c", "64/256", "0/0", "/", "1-1"),
    *("running", "heard", "budget", "paused", "usual", "named", "firing", "CLOCK_REALTIME"),
)
NO_EVENTS: Final = (
    *(b"", b"{}", b"null", b"[" * 5_000, b"\xff"),
    *(b'{"type":"hello"}', b'{"type":"batch"}'),
)
OTHERS: Final = (None, True, False, [], {}, [[]], {"a": {"b": [1]}}, [None] * 50, ["x"] * 200)


class Broken(AssertionError):  # noqa: N818 - it is what the code under test is
    """Something that must be true is not."""


def stream(place: str, seconds: float = 60.0) -> list[dict[str, Any]]:
    """Return the events of a place as JSON objects, of every kind that it writes."""
    route = f"chat@{place}"
    events: list[Event] = [published.hello(place, "chat", "code")]
    for second in range(int(seconds)):
        outcome = {5: "timeout", 11: "server_error", 17: "throttled"}.get(second % 20, "ok")
        ttft_s = None if outcome != "ok" else 0.2 + 0.01 * (second % 7)
        script = made.ProbeScript(
            f"{place}1-{second}",
            float(second),
            ttft_s=ttft_s,
            e2e_s=0.6,
            outcome=outcome,
            reason="" if outcome == "ok" else "x",
            route=route,
            cost_usd=0.001,
        )
        events += script.events()
        events.append(published.tick(place, second + 0.9, "chat", "code"))
    events += [
        Knob(at_ns=made.at(9), route=route, knob="concurrency", before=1.0, after=3.0),
        Held(at_ns=made.at(10), route=route, reason="budget", detail="spent"),
        Held(at_ns=made.at(12), route=route, reason="budget", released=True),
        Gap(at_ns=made.at(15), started_ns=made.at(13)),
        Mark(at_ns=made.at(16), text="deploy"),
        Notice(at_ns=made.at(17), route=route, text="a notice"),
        Fault(at_ns=made.at(18), route=route, error="E: x", traceback="T", restart_in_s=1.0),
    ]
    events[1:] = sorted(events[1:], key=lambda event: event.at_ns)
    return [json.loads(encode_event(event)) for event in events]


class Mutator:
    """Changes lines of a place."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def line(self, event: dict[str, Any]) -> bytes:
        """Return an event, mostly as it is, or something in its place."""
        chance = self._random.random()
        if chance < 0.45:
            return json.dumps(event).encode()
        if chance < 0.5:
            data = bytearray(json.dumps(event).encode())
            data[self._random.randrange(len(data))] = self._random.randrange(256)
            return bytes(data).replace(b"\n", b" ")
        if chance < 0.52:
            return self._random.choice(
                (
                    b"",
                    b"{}",
                    b"null",
                    b"[" * 5_000,
                    b'{"type":"hello"}',
                    b'{"type":"batch"}',
                    b"\xff",
                )
            )
        event = json.loads(json.dumps(event))
        for _ in range(self._random.choice((1, 1, 1, 2, 5))):
            self._change(event)
        return json.dumps(event).encode()

    def _change(self, event: dict[str, Any]) -> None:
        if not event:
            return
        holder: Any = event
        key: Any = self._random.choice(list(event))
        while isinstance(holder[key], dict | list) and holder[key] and self._random.random() < 0.8:
            holder = holder[key]
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            key = self._random.choice(list(keys))
        value, chance = holder[key], self._random.random()
        if key == "type" and self._random.random() < 0.9:
            return
        if chance < 0.1:
            del holder[key]
        elif chance < 0.2 and isinstance(holder, list):
            holder += holder * self._random.choice((1, 3, 60))
        elif chance < 0.35 and isinstance(value, int) and not isinstance(value, bool):
            holder[key] = value + self._random.choice((-1, 1)) * self._random.choice(WHOLE)
        elif chance < 0.85:
            same: Any = WORDS if isinstance(value, str) else WHOLE + REAL
            holder[key] = self._random.choice(same)
        else:
            holder[key] = self._random.choice((*OTHERS, *WORDS, *WHOLE, *REAL))


@dataclass
class Taking:
    """All that takes events in a cockpit."""

    board: Board = field(default_factory=Board)
    judge: Judge = field(default_factory=lambda: Judge(Diagnostician()))
    metrics: MetricsFold = field(default_factory=MetricsFold)
    history: HistoryFold = field(default_factory=HistoryFold)
    batches: int = 0

    def take(self, events: list[Event], lines: bytes) -> None:
        """Fold a batch, and look at what came of it."""
        decoded = [decode_event(line) for line in lines.splitlines()]
        if encoded(decoded) != encoded(events):
            raise Broken("a line means another event than the one it is of")
        events, lines = with_verdicts(self.judge, events, lines)
        for event in events:
            self.board.fold(event)
            self.history.fold(event)
        self.metrics.fold(events)
        self.batches += 1
        if self.batches % 5 == 0:
            shown = self.board.snapshot(window="1m", anew=True)
            if len(shown.routes) > MOST_ROUTES:
                raise Broken(f"{len(shown.routes)} routes")
            for row in shown.routes:
                if any(math.isnan(value) for value in (row.n, row.in_flight)):
                    raise Broken("a figure is none")
            self.metrics.read()
            self.history.told()
            msgspec.json.encode(self.board.summary())


def encoded(events: list[Event]) -> list[bytes]:
    return [encode_event(event) for event in events]


class Fuzzer:
    """Places that say what they like, one after the other."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._mutator = Mutator(self._random)
        self._streams = {place: stream(place) for place in PLACES}
        self.inputs = self.size = 0
        self.wrong: dict[str, str] = {}

    def run_one(self) -> None:
        """Play one life of places over a bus, and one over ssh."""
        for way in (self._over_bus, self._over_ssh):
            self.inputs += 1
            began_s, size = time.process_time(), self.size
            try:
                way()
                spent_s = time.process_time() - began_s
                if spent_s > FREE_CPU_S + CPU_S_PER_BYTE * (self.size - size):
                    raise Broken(f"slow: {spent_s:.1f} s for {self.size - size} bytes")
            except Exception as error:  # the very thing that is looked for
                told = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(told.filename).name}:{told.name} {type(error).__name__}"
                self.wrong.setdefault(where, "".join(traceback.format_exception(error)))

    def _pieces(self, place: str) -> Iterator[list[bytes]]:
        """Give what a place says, some lines at a time."""
        events = list(self._streams[place])
        if self._random.random() < 0.3:
            self._random.shuffle(events)
        while events:
            count = self._random.choice((1, 3, 12, 40))
            some, events = events[:count], events[count:]
            if self._random.random() < 0.1:
                some.insert(0, self._streams[place][0])  # says hello again
            yield [self._mutator.line(event) for event in some]

    def _over_bus(self) -> None:
        streams, taking = PlaceStreams(), Taking()
        kept = decode_event(json.dumps(self._streams["eu"][0]).encode())
        assert isinstance(kept, Hello)
        sayings = {place: self._pieces(place) for place in PLACES}
        next_of = dict.fromkeys(PLACES, 1)
        now_s = 0.0
        while sayings:
            place = self._random.choice(list(sayings))
            lines = next(sayings[place], None)
            if lines is None:
                del sayings[place]
                continue
            first = next_of[place]
            next_of[place] += len(lines)
            run = "1"
            if self._random.random() < 0.1:
                first = self._random.choice((1, first - 1, first + 5, 2**60, 2**61))
                run = self._random.choice(("1", "2", "0", "x" * 64, ""))
            offset_ns = published.OFFSET_NS
            if self._random.random() < 0.1:
                offset_ns += self._random.choice((-(2**61), 2**60, -NS_PER_S, 10**12))
            now_s += self._random.choice((0.0, 0.5, 1.0, 6.0))
            data = b"\n".join(lines) + b"\n"
            self.size += len(data)
            taken_ns = published.shared(now_s)
            message = PlaceMessage(place, run, max(1, first), offset_ns, data, taken_ns)
            streams.take(message, kept if place == "eu" and self._random.random() < 0.5 else None)
            streams.listened(self._random.choice((0, SILENT_AFTER_NS)))
            streams.look(taken_ns, lambda place: place == "eu")
            events, drained = streams.drain()
            self._look(events, taken_ns)
            taking.take(events, drained)

    def _over_ssh(self) -> None:
        clock, taking = ManualClock(), Taking()
        line = SharedLine(clock)
        feeds = {
            place: _Feed(GivenPlace(place, "ssh", f"{place}.example"), line, {f"chat@{place}"})
            for place in PLACES
        }
        work = {place: OpenWork() for place in PLACES}
        splitters = {place: LineSplitter(1 << 20) for place in PLACES}
        sayings = {place: self._pieces(place) for place in PLACES}
        while sayings:
            place = self._random.choice(list(sayings))
            lines = next(sayings[place], None)
            if lines is None:
                del sayings[place]
                continue
            clock.now_ns += round(self._random.choice((0.0, 0.1, 1.0)) * NS_PER_S)
            data = b"\n".join(lines) + b"\n"
            self.size += len(data)
            heard: list[Event] = []
            for one in splitters[place].feed(data):
                try:
                    event = decode_foreign(one)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
                work[place].fold(event)
                heard.append(event)
            if self._random.random() < 0.5 and heard:
                health = made.batch(0.0)
                heard.append(msgspec.structs.replace(health, at_ns=heard[-1].at_ns))
            if self._random.random() < 0.05:
                heard += work[place].end_all("engine_died")
            events = [one for one in feeds[place].hear(heard) if not isinstance(one, Batch)]
            self._look(events, line.now_ns)
            taking.take(events, durable_lines(events))

    @staticmethod
    def _look(events: list[Event], now_ns: int) -> None:
        for event in events:
            if event.at_ns > now_ns + AHEAD_NS:
                raise Broken(f"{type(event).__name__} stands in the future")


def main() -> int:
    """Run, and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    fuzzer, ends_s = Fuzzer(given.seed), time.monotonic() + given.seconds
    while time.monotonic() < ends_s:
        fuzzer.run_one()
    megabytes = fuzzer.size / 1e6
    sys.stdout.write(f"seed {given.seed}  {fuzzer.inputs} lives  {megabytes:.0f} MB\n")
    for where, told in fuzzer.wrong.items():
        sys.stdout.write(f"WRONG {where}\n{told}\n")
    return int(bool(fuzzer.wrong))


if __name__ == "__main__":
    sys.exit(main())
