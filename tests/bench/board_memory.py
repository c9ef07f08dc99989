"""What does a board of many routes keep, and cost? `python tests/bench/board_memory.py [ROUTES]`.

`ROUTES` (8) routes over `--places` (4) are probed once a second each for `--minutes` (60), and
their durable events are folded as a screen folds them that looks at all rows `--frames` (2) times a
second, at one of them whole. Then each route is weighed by its parts, in KB a route: all that is
reached from there and from no part before it. What the process has grown by is all of it, with what
is not Python's. Costs are CPU: of a probe with all that the board does beside, of a frame, and with
`--judge` of a probe in the diagnosis. Each full hour is told by what it had grown by then: from the
second on nothing grows. Twenty routes tell of four hundred; what those four hundred
come to together says `400 --minutes 3`.
"""

import argparse
import gc
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from flat import Traffic, rss_mb
from msgspec.structs import replace

from probes.board import Board
from probes.board.checkpoint import Checkpoint
from probes.diagnosis import Diagnostician
from probes.events import DURABLE_TYPES, Event, Hello, RouteInfo, Tick
from probes.events.placing import at_place
from probes.kit.clock import NS_PER_S
from probes.run.verdicts import Judge

_DURABLE = frozenset(DURABLE_TYPES)
_BY_PLACE_NS = 1_700_000_000 * NS_PER_S
"""From the made-up clock to about now."""


def moved(traffic: Traffic, places: int) -> Iterator[list[Event]]:
    """Yield the durable events of a second, as several places tell them."""
    hello = traffic.hello()
    by_place: dict[str, list[RouteInfo]] = {}
    for info in hello.routes:
        place = info.name.partition("@")[2]
        by_place.setdefault(place, []).append(replace(info, place=place))
    yield [
        at_place(
            Hello(
                at_ns=0, wall_ns=0, engine=f"e-{place}", version="0", schema=1, routes=tuple(infos)
            ),
            place,
            _BY_PLACE_NS,
        )
        for place, infos in by_place.items()
    ]
    for events in traffic.slots():
        told: list[Event] = []
        for event in events:
            if isinstance(event, Tick):
                for place in by_place:
                    counts = tuple(one for one in event.routes if one.route.endswith(f"@{place}"))
                    mine = Tick(
                        at_ns=event.at_ns, wall_ns=event.at_ns, health=event.health, routes=counts
                    )
                    told.append(at_place(mine, place, _BY_PLACE_NS))
            elif type(event) in _DURABLE:
                told.append(at_place(event, "", _BY_PLACE_NS))
        yield told


def weighed(root: object, seen: set[int]) -> int:
    """Return the bytes of all that is reached from an object, but what was before."""
    size, waiting = 0, [root]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type) or callable(found):
            continue
        seen.add(id(found))
        size += sys.getsizeof(found)
        waiting.extend(gc.get_referents(found))
    return size


def parts(board: Board) -> Iterator[tuple[str, int]]:
    """Yield the parts of all routes, and their bytes."""
    routes = list(board._routes.values())
    run, places = board._run, board._places
    seen = {id(one) for one in (board, run, places, *places.values(), *routes)}
    whole: dict[str, int] = {}
    for route in routes:
        seen.add(id(route.info))
        whole["info"] = whole.get("info", 0) + weighed(route.info, {*map(id, [route])})
        for cohort in route.cohorts.values():
            for name in ("ttft", "e2e", "speed", "lost", "ladders"):
                part = getattr(cohort, name)
                key = f"cohort.{name}"
                whole[key] = whole.get(key, 0) + weighed(part, seen)
        for name, part in vars(route).items():
            if part is not run and name not in ("run", "place"):
                whole[name] = whole.get(name, 0) + weighed(part, seen)
    yield from sorted(whole.items(), key=lambda one: -one[1])
    yield "figures that are shown", weighed(board._figures, seen)
    yield "the run", weighed(run, seen)
    yield "the places", weighed(places, seen)
    yield "the rest", weighed(vars(board), seen)


def timed(work: Iterable[Event], fold: object) -> int:
    """Return the CPU ns of folding."""
    begin = time.thread_time_ns()
    for event in work:
        fold(event)  # type: ignore[operator]
    return time.thread_time_ns() - begin


def tell_hour(second: int, before_mb: float) -> None:
    """Print what is kept at the end of an hour."""
    if second % 3600 == 0:
        grown_mb, objects = rss_mb() - before_mb, len(gc.get_objects())
        sys.stdout.write(f"hour {second // 3600}: {grown_mb:.1f} MB, {objects:,} objects\n")
        sys.stdout.flush()


def main() -> None:
    """Fold, weigh and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("routes", nargs="?", type=int, default=8)
    parser.add_argument("--places", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--frames", type=float, default=2)
    parser.add_argument("--judge", action="store_true")
    options = parser.parse_args()
    names = [
        f"route{number // options.places}@p{number % options.places}"
        for number in range(options.routes)
    ]
    traffic, board = Traffic(0, 1.0, slot_ns=NS_PER_S, names=names), Board()
    judge = Judge(Diagnostician()) if options.judge else None
    gc.collect()
    before_mb, fold_ns, judge_ns, frame_ns, frames, probes, owed = rss_mb(), 0, 0, 0, 0, 0, 0.0
    for second, events in enumerate(
        islice(moved(traffic, options.places), round(options.minutes * 60))
    ):
        probes += sum(event.tag == "probe_finished" for event in map(_Tagged, events))
        if judge is not None:
            told: list[Event] = []
            begin = time.thread_time_ns()
            for event in events:
                told.append(event)
                told += judge.fold(event)
            judge_ns += time.thread_time_ns() - begin
            events = told
        fold_ns += timed(events, board.fold)
        owed += options.frames
        while owed >= 1:
            owed -= 1
            begin = time.thread_time_ns()
            board.snapshot("5m", names[:1])
            frame_ns += time.thread_time_ns() - begin
            frames += 1
        if second % 30 == 0:
            gc.collect()
        tell_hour(second + 1, before_mb)
    gc.collect()
    grown_mb = rss_mb() - before_mb
    out, count = sys.stdout, options.routes
    out.write(f"{count} routes, {options.minutes:g} minutes, {probes:,} probes\n")
    total = 0
    for name, size in parts(board):
        total += size
        if size / count >= 500:
            out.write(f"{name:26} {size / count / 1e3:9.1f} KB a route\n")
    out.write(
        f"{'all of the board':26} {total / count / 1e3:9.1f} KB a route, {total / 1e6:.1f} MB\n"
    )
    out.write(f"the process has grown by {grown_mb:.1f} MB, {grown_mb / count:.3f} a route\n")
    out.write(f"a probe {fold_ns / max(1, probes) / 1e3:.0f} µs of CPU in the board")
    if judge is not None:
        out.write(f", {judge_ns / max(1, probes) / 1e3:.0f} in the diagnosis")
    if frames:
        out.write(f"; a frame {frame_ns / frames / 1e6:.2f} ms")
    begin = time.thread_time_ns()
    checkpoint = Checkpoint(board)
    took_ms = (time.thread_time_ns() - begin) / 1e6
    size = checkpoint.size_beside(None)
    checkpoint.compress()
    out.write(
        f"\na checkpoint {took_ms:.0f} ms, {size / 1e6:.1f} MB, "
        f"{checkpoint.size_beside(Checkpoint(board)) / 1e6:.2f} beside the next\n"
    )


class _Tagged:
    """An event by the name of its type."""

    def __init__(self, event: Event) -> None:
        self.tag = type(event).__struct_config__.tag


if __name__ == "__main__":
    main()
