"""Fuzz all from bytes to outcome: `python tests/fuzz/fuzz.py --seconds 600 [--seed N]`

Samples are made from the cases of tests/cases in every dialect, and from those among their
offspring that came to something new. Each is read in several cuts and held to what must be true of
any answer (see target.py). What is wrong is made small, written to tests/fuzz/found and replayed by
the test suite from then on; the exit code is 1 then. `--coverage` also tells which share of the
lines of the code under test the corpus reaches.
"""

import argparse
import hashlib
import re
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]

from coverage_of import coverage_of  # noqa: E402
from minimise import minimised  # noqa: E402
from mutate import Mutator  # noqa: E402
from sample import Sample, save, seeds  # noqa: E402
from target import DIALECTS, Reading, check  # noqa: E402

FOUND = HERE / "found"
HANGS_AFTER_S = 30.0
MOST_PER_KIND = 3
LARGEST_POOL = 12_000
MOST_KINDS = 40
MOST_GROWTH_MB = 64
WARM_UP = 0.1


@dataclass
class Fuzzer:
    """The pool, and what was found wrong with it."""

    seed: int
    pool: list[Sample] = field(default_factory=lambda: seeds(DIALECTS))
    inputs: int = 0
    size: int = 0
    kinds: dict[tuple[object, ...], int] = field(default_factory=dict)
    wrong: dict[str, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._mutator = Mutator(self._random, DIALECTS)
        self._seeds = list(self.pool)
        signal.signal(signal.SIGPROF, hangs)

    def run_seeds(self) -> None:
        """Check what all begins with."""
        for sample in self._seeds:
            self.try_one(sample)

    def run_one(self) -> None:
        """Make one more sample and check it."""
        self.try_one(self._mutator.next(self.pool))

    def try_one(self, sample: Sample) -> None:
        """Check a sample; keep it where it came to something new."""
        self.inputs += 1
        self.size += len(sample.body)
        try:
            reading = check_in_time(sample)
        except Exception as error:  # the very thing that is looked for
            self.wrong.setdefault(way_of(error), sample)
            return
        kind = kind_of(sample, reading)
        if self.kinds.get(kind, 0) < MOST_PER_KIND:
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            self._keep(sample)

    def _keep(self, sample: Sample) -> None:
        """Add to the pool; when it is full, in place of one that was made."""
        if len(self.pool) < LARGEST_POOL:
            self.pool.append(sample)
        else:
            self.pool[self._random.randrange(len(self._seeds), LARGEST_POOL)] = sample


def check_in_time(sample: Sample) -> Reading:
    """Check a sample; one that does not end is wrong."""
    signal.setitimer(signal.ITIMER_PROF, HANGS_AFTER_S)
    try:
        return check(sample)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def kind_of(sample: Sample, reading: Reading) -> tuple[object, ...]:
    """Return what an answer came to, coarsely: two of a kind take much the same way."""
    answer = reading.answer
    return (
        sample.dialect,
        None if reading.status is None else reading.status // 100,
        answer.outcome,
        answer.reason,
        answer.ttft_kind,
        answer.token_source,
        answer.finish_reason is None,
        answer.error_code is None,
        bool(answer.limits),
        bool(answer.server_timing),
        bool(answer.tool_calls),
        answer.retry_after_s is None,
    )


def way_of(error: BaseException) -> str:
    """Return what went wrong and where, the same for failures of one cause."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = re.sub(r"[0-9.]+", "N", str(error).split(":")[0])[:80]
    return f"{type(error).__name__} {Path(place.filename).name}:{place.name} {what}"


def is_wrong_as(way: str, sample: Sample) -> bool:
    """Whether a sample fails in that way."""
    try:
        check_in_time(sample)
    except Exception as error:  # as above
        return way_of(error) == way
    return False


def write_found(way: str, sample: Sample) -> None:
    """Make a failure small and keep it for the test suite."""
    small = minimised(sample, lambda one: is_wrong_as(way, one))
    name = hashlib.sha256(way.encode() + small.dialect.encode() + small.wire()).hexdigest()[:10]
    save(small, way, FOUND / f"{name}.json")
    say(f"WRONG {way}\n  found/{name}.json {small.wire()[:120]!r}")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def hangs(_number: int, _frame: FrameType | None) -> None:
    """Stop a sample that does not end."""
    raise TimeoutError(f"more than {HANGS_AFTER_S} s of CPU")


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def run(fuzzer: Fuzzer, seconds: float) -> tuple[float, float]:
    """Fuzz for so long; return the resident memory when warm, and at the end, in MB."""
    started_s = shown_s = time.monotonic()
    fuzzer.run_seeds()
    for way, sample in fuzzer.wrong.items():
        write_found(way, sample)
    warm_mb = 0.0
    while (now_s := time.monotonic()) < started_s + seconds and len(fuzzer.wrong) < MOST_KINDS:
        known = set(fuzzer.wrong)
        for _ in range(50):
            fuzzer.run_one()
        for way in fuzzer.wrong.keys() - known:
            write_found(way, fuzzer.wrong[way])
        if not warm_mb and now_s > started_s + WARM_UP * seconds:
            warm_mb = resident_mb()
        if now_s > shown_s + 30:
            shown_s = now_s
            say(line_of(fuzzer, now_s - started_s))
    say(line_of(fuzzer, time.monotonic() - started_s))
    return warm_mb, resident_mb()


def line_of(fuzzer: Fuzzer, seconds: float) -> str:
    """Return how far it is."""
    return (
        f"{seconds:6.0f} s  {fuzzer.inputs} inputs  {fuzzer.inputs / seconds:.0f}/s  "
        f"{fuzzer.inputs / time.process_time():.0f}/CPU s  "
        f"{fuzzer.size / 1e6:.0f} MB  corpus {len(fuzzer.pool)}  kinds {len(fuzzer.kinds)}  "
        f"wrong {len(fuzzer.wrong)}  {resident_mb():.0f} MB resident"
    )


def main() -> int:
    """Run, tell, and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--coverage", action="store_true")
    given = parser.parse_args()
    start_mb = resident_mb()
    fuzzer = Fuzzer(given.seed)
    say(f"seed {given.seed}  dialects {', '.join(DIALECTS)}  {len(fuzzer.pool)} seeds")
    warm_mb, end_mb = run(fuzzer, given.seconds)
    say(f"resident: {start_mb:.0f} MB at the start, {warm_mb:.0f} warm, {end_mb:.0f} at the end")
    if given.coverage:
        say(coverage_of(fuzzer.pool))
    grown = end_mb > warm_mb + MOST_GROWTH_MB
    if grown:
        say("WRONG memory grows")
    return int(bool(fuzzer.wrong) or grown)


if __name__ == "__main__":
    sys.exit(main())
