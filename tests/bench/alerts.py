"""Is who must know told once, and is nobody woken for nothing? `python tests/bench/alerts.py`.

    python tests/bench/alerts.py --days 7 --routes 20 [--part 0.1]   a well fleet: alerts a week
    python tests/bench/alerts.py --incidents [--only NAME] [--seeds 3]   each scripted incident
    python tests/bench/alerts.py --incidents --only NAME --seed 2 --verbose   one, line by line

Event streams are made up by `incident_streams` on a clock of their own and go through the judge
that a run has: its diagnostician, then its alerts. `--part` runs so much of the week and says what
that allows to conclude. On as many processes as there are cores, or `--jobs`.

Of an incident is asked: one alert for each fault that hurts, and that it is over after the fault.
A fault that nobody is to be woken for, for it merely makes a route slower within its goals, has
none; these are listed.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pool
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from detector import poisson_interval  # noqa: E402
from incident_streams import healthy, scenarios  # noqa: E402
from incident_streams.alerting import alerts_of, run_of  # noqa: E402
from incident_streams.stream import START_NS  # noqa: E402

from probes.events import Alert, Derived, Diagnosis  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402


def say(text: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(told: Derived) -> None:
    """Print a verdict or an alert."""
    if isinstance(told, (Alert, Diagnosis)):
        at_s = (told.at_ns - START_NS) / NS_PER_S
        kind = type(told).__name__.lower()
        say(f"{at_s:8.1f} {kind:9} {told.state:8} {told.id:6} {told.text}")


# ---------------------------------------------------------------------- a well fleet


@dataclass(slots=True)
class Watched:
    """What a run of healthy routes alerted for."""

    kind: str
    route_days: float
    found: list[str] = field(default_factory=list)


def watched(job: tuple[str, int, float]) -> Watched:
    """Run one kind of health with one seed."""
    kind, seed, length_s = job
    outline = healthy.run_of(kind, seed, length_s)
    run = Watched(kind, len(outline.natures) * length_s / healthy.DAY_S)
    troubles = [one for one in outline.troubles if one.causes]
    for alert in alerts_of(outline, seed):
        at_s = (alert.at_ns - START_NS) / NS_PER_S
        # What really happened is no false alert: a machine without descriptors for a minute.
        is_real = any(one.onset_s <= at_s <= one.end_s + one.clear_s for one in troubles)
        if alert.state == "firing" and not is_real:
            run.found.append(f"{kind} {seed} at {at_s:.0f} s: {alert.text}")
    return run


def week(days: float, routes: int, part: float, jobs: int) -> None:
    """Print how often a well fleet alerts."""
    work = healthy.runs(list(healthy.KINDS), days * routes * part)
    begin = time.monotonic()
    runs: list[Watched] = []
    with Pool(jobs) as pool:
        for run in pool.imap_unordered(watched, work):
            runs.append(run)
            for text in run.found:
                say(text)
    count, length = sum(len(run.found) for run in runs), sum(run.route_days for run in runs)
    low, high = (bound * days * routes / length for bound in poisson_interval(count))
    say(
        f"\n{count} alerts in {length:.1f} route-days of {len(healthy.KINDS)} kinds of health: "
        f"{count * days * routes / length:.2f} in {days:g} days of {routes} routes, "
        f"with 95 % between {low:.2f} and {high:.2f}; {time.monotonic() - begin:.0f} s"
    )


# ---------------------------------------------------------------------- incidents


@dataclass(slots=True)
class Told:
    """How one run of a scripted incident was told."""

    name: str
    seed: int
    faults: int
    """That it has."""
    fired: int
    over: int
    wrong: list[str]
    """What is to be held against it, in words."""


def told(job: tuple[str, int]) -> Told:
    """Run one scenario with one seed."""
    name, seed = job
    outline = run_of(name, seed)
    alerts = alerts_of(outline, seed)
    faults = [one for one in outline.troubles if one.causes and not one.is_passing]
    fired = [one for one in alerts if one.state == "firing"]
    over = Counter(one.id for one in alerts if one.state == "over")
    wrong = []
    if len(fired) > len(faults):
        wrong.append(f"{len(fired)} alerts of {len(faults)} faults")
    wrong += [f"{one.id} never over" for one in fired if not over[one.id]]
    wrong += [f"{alert} over {times} times" for alert, times in over.items() if times > 1]
    return Told(name, seed, len(faults), len(fired), len(over), wrong)


def incidents(names: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    """Print what is not told as it should be, and how many are."""
    work = [(name, seed) for name in names for seed in seeds]
    begin = time.monotonic()
    with Pool(jobs) as pool:
        runs = pool.map(told, work, chunksize=1)
    for run in runs:
        for text in run.wrong:
            say(f"{run.name} {run.seed}: {text}")
    silent = Counter(run.name for run in runs if not run.fired)
    for name, times in sorted(silent.items()):
        say(f"{name}: no alert in {times} of {len(seeds)} runs")
    for run in runs:
        if 0 < run.fired < run.faults:
            say(f"{run.name} {run.seed}: {run.fired} alerts of {run.faults} faults, none worse")
    exact = sum(run.fired == run.faults == run.over for run in runs)
    none = sum(not run.fired for run in runs)
    say(
        f"\n{len(runs)} runs of {len(names)} scenarios: {exact} alert exactly once a fault and say "
        f"that it is over, {none} not at all, {sum(bool(run.wrong) for run in runs)} more than "
        f"once or without an end; {time.monotonic() - begin:.0f} s"
    )


def chosen(only: str) -> Iterator[str]:
    """Give the scenarios that are asked for: of a whole name that one, else those that hold it."""
    names = [name for name in scenarios.named() if "@" not in name or "@" in only]
    return iter([only] if only in names else [name for name in names if only in name])


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--incidents", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if not asked.incidents:
        week(asked.days, asked.routes, asked.part, asked.jobs)
        return
    names = list(chosen(asked.only))
    if asked.verbose:
        for name in names:
            seed = asked.seed or 1
            say(f"{name} {seed}")
            alerts_of(run_of(name, seed), seed, show)
        return
    seeds = [asked.seed] if asked.seed is not None else list(range(1, asked.seeds + 1))
    incidents(names, seeds, asked.jobs)


if __name__ == "__main__":
    main()
