"""Is it true from where a fault is said to be seen? `python tests/bench/detector_places.py`

    python tests/bench/detector_places.py [--only NAME] [--seeds 10]   each case
    python tests/bench/detector_places.py --only NAME --seed 3 --verbose   one run, what was said
    python tests/bench/detector_places.py --cost                       what it costs the fold

Whole streams of three places and four routes are made up by `incident_streams.places`: clocks that
differ, batches that come late, a place that is cut off and sends what it kept. They go through the
judge that a run has; what it says is held against what was done. On as many processes as there are
cores, or `--jobs`.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from incident_streams.places import (  # noqa: E402
    CASES,
    LENGTH_S,
    PLACES,
    ROUTES,
    SCOPE_S,
    PlacesCase,
    PlacesFinding,
    events_of,
    judge_places,
    seconds_in,
)

from probes.diagnosis import Diagnostician  # noqa: E402
from probes.events import Alert, AttemptFinished, Diagnosis, Event  # noqa: E402
from probes.run.verdicts import Judge  # noqa: E402

DAY_S = 86_400.0


def say(text: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def judged(job: tuple[str, int]) -> tuple[str, int, PlacesFinding]:
    """Run one case with one seed."""
    name, seed = job
    return name, seed, judge_places(case_of(name), seed)


def case_of(name: str) -> PlacesCase:
    """Return the case of a name."""
    return next(case for case in CASES if case.name == name)


def table(names: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    """Print a row for each case, then each run that is not well told."""
    begin = time.monotonic()
    with Pool(jobs) as pool:
        found = pool.map(judged, [(name, seed) for name in names for seed in seeds], chunksize=2)
    say(
        "| case | named in time | s to the name: median / longest (limit) | from where, in time "
        "| s to that | s of another | false | alerts | as it should be |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for name in names:
        say(row(case_of(name), [one for of, _, one in found if of == name]))
    good = sum(not one.faults for _, _, one in found)
    false = sum(len(one.false) for _, _, one in found)
    days = len(found) * len(PLACES) * len(ROUTES) * LENGTH_S / DAY_S
    say(
        f"\n{good} of {len(found)} runs as they should be ({good / len(found):.1%}); "
        f"{false} false names in {days:.1f} route-days; {time.monotonic() - begin:.0f} s\n"
    )
    for name, seed, one in found:
        if one.faults:
            say(f"--only {name} --seed {seed}: {'; '.join(one.faults)}")


def row(case: PlacesCase, runs: Sequence[PlacesFinding]) -> str:
    """Return what became of several runs of a case, as a row of the table."""
    told = [one for run in runs for one in run.findings]
    named = [one.named_s for one in told if one.named_s is not None]
    scoped = [one.scope_s for one in told if one.scope_s is not None]
    limit_s = case.faults[0].limit_s if case.faults else 0.0
    fired = [sum(alert.state == "firing" for alert in run.alerts) for run in runs]
    wanted = "" if case.alerts is None else f" ({case.alerts} a run)"
    cells = (
        case.name,
        f"{sum(took <= limit_s for took in named)}/{len(told)}" if told else "–",
        f"{median(named):.0f} / {max(named):.0f} ({limit_s:.0f})" if named else "–",
        f"{sum(took <= limit_s + SCOPE_S for took in scoped)}/{len(told)}" if told else "–",
        f"{median(scoped):.0f} / {max(scoped):.0f}" if scoped else "–",
        f"{sum(one.wrong_scope_s for one in told):.0f}" if told else "–",
        f"{sum(len(run.false) for run in runs)}",
        f"{sum(fired)}{wanted}",
        f"{sum(not run.faults for run in runs)}/{len(runs)}",
    )
    return f"| {' | '.join(cells)} |"


def one_run(case: PlacesCase, seed: int) -> None:
    """Run one case; print what was said of it."""

    def see(_event: Event, said: Sequence[Event]) -> None:
        for one in said:
            if isinstance(one, Diagnosis):
                say(
                    f"{seconds_in(one.at_ns):7.1f} {one.id} {one.state} {one.cause} "
                    f"{'+'.join(one.routes)} {one.scope or '-'} since "
                    f"{seconds_in(one.since_ns):.1f} {one.text}"
                )
            elif isinstance(one, Alert):
                say(f"{seconds_in(one.at_ns):7.1f} {one.id} {one.state}: {one.text}")

    found = judge_places(case, seed, see)
    for fault in found.findings:
        say(
            f"{fault.fault.causes[0]} of {'+'.join(sorted(fault.fault.hit))}: named after "
            f"{fault.named_s}, of its routes after {fault.whole_s}, {fault.fault.scope} after "
            f"{fault.scope_s}, another scope for {fault.wrong_scope_s:.0f} s"
        )
    say("; ".join(found.faults) or "as it should be")


def costs() -> None:
    """Print what an attempt costs to judge, of several places and where each has a fold alone."""
    case = case_of("calm.late_batches")
    events = list(events_of(case, 1))
    attempts = sum(isinstance(event, AttemptFinished) for event in events)
    best: dict[str, float] = {}
    for _ in range(3):
        for title, folds in (("one fold of three places", 1), ("the fold without alerts", 0)):
            fold = Judge(Diagnostician()).fold if folds else Diagnostician().fold
            begin = time.process_time()
            for event in events:
                fold(event)
            took_s = time.process_time() - begin
            best[title] = min(best.get(title, took_s), took_s)
    for title, took_s in best.items():
        say(f"{title}: {took_s / attempts * 1e6:.1f} µs an attempt")


def main() -> None:
    """Do what was asked for."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", help="a case, or how it begins")
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--seed", type=int)
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--verbose", action="store_true")
    options.add_argument("--cost", action="store_true")
    asked = options.parse_args()
    if asked.cost:
        costs()
        return
    names = [case.name for case in CASES if case.name.startswith(asked.only or "")]
    if not names:
        raise SystemExit(f"detector_places.py: --only: {', '.join(case.name for case in CASES)}")
    if asked.verbose:
        if len(names) != 1:
            raise SystemExit("detector_places.py: --verbose wants --only with one name")
        one_run(case_of(names[0]), 1 if asked.seed is None else asked.seed)
        return
    seeds = range(1, asked.seeds + 1) if asked.seed is None else [asked.seed]
    table(names, list(seeds), asked.jobs)


if __name__ == "__main__":
    main()
