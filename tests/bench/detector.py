"""Is what is diagnosed true, and soon enough? `python tests/bench/detector.py` (all causes).

    python tests/bench/detector.py [--only NAME] [--seeds 10]     each cause, mild and gross
    python tests/bench/detector.py --days 100 [--only KIND]       healthy routes: false causes a day
    python tests/bench/detector.py --only NAME --seed 3 --verbose one run, with what was said of it
    python tests/bench/detector.py --only NAME --seed 3 --write FILE   the same as a recording
    python tests/bench/detector.py --cost                         what an attempt and a route cost
    python tests/bench/detector.py --race [OPTIONS]               single series: `detector_race.py`

Whole event streams are made up by `incident_streams` on a clock of their own and go through the
`Diagnostician` that a run has; what it says is held against what was done to the routes. Probes
that it asks for are sent, as an engine would. On as many processes as there are cores, or `--jobs`.
"""

import argparse
import gc
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp
from multiprocessing import Pool
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from incident_streams import healthy, scenarios  # noqa: E402
from incident_streams.judge import Report, diagnose  # noqa: E402
from incident_streams.stream import START_NS, Stream  # noqa: E402
from incident_streams.trouble import Outline  # noqa: E402

from probes.diagnosis import Diagnostician  # noqa: E402
from probes.events import AttemptFinished, Diagnosis, Event, encode_event  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402


def say(text: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# ---------------------------------------------------------------------- incidents


def judged(job: tuple[str, int]) -> tuple[str, int, Report]:
    """Run one scenario with one seed."""
    name, seed = job
    report = diagnose(scenarios.run_of(name, seed), seed)
    report.lines.clear()
    return name, seed, report


def incident_tables(names: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    """Print a row for each scenario, cause and setting; then each run that is not well told."""
    work = [(name, seed) for name in names for seed in seeds]
    with Pool(jobs) as pool:
        found = pool.map(judged, work, chunksize=max(1, len(seeds) // 2))
    head = "| {} | named in time | delay: median / max (limit) | since off | cleared in time "
    head += "| wrong s | flaps | as it should be |\n|---|---|---|---|---|---|---|---|"
    tables: dict[str, dict[str, list[Report]]] = {"scenario": {}, "cause": {}, "setting": {}}
    for name, _, report in found:
        case, _, setting = name.partition("@")
        tables["scenario"].setdefault(name, []).append(report)
        tables["setting"].setdefault(setting or "as they are", []).append(report)
        if not setting:
            tables["cause"].setdefault(scenarios.cause_of(case), []).append(report)
    for title, rows in tables.items():
        say(head.format(title))
        for name, reports in rows.items():
            say(incident_row(name, reports))
        say("")
    failures = [(name, seed, report.faults) for name, seed, report in found if report.faults]
    good = len(work) - len(failures)
    say(f"{good} of {len(work)} runs as they should be ({good / len(work):.1%})\n")
    for name, seed, faults in failures:
        say(f"--only {name} --seed {seed}: {'; '.join(faults)}")


def incident_row(name: str, reports: Sequence[Report]) -> str:
    """Return what became of several runs, as a row of a table."""
    findings = [one for report in reports for one in report.findings]
    named = [(one.named_s, one.trouble.limit_s) for one in findings if one.named_s is not None]
    ended = [(one.cleared_s, one.trouble.clear_s) for one in findings if one.cleared_s is not None]
    delays = [named_s for named_s, _ in named] or [float("nan")]
    off = [abs(one.since_off_s) for one in findings if one.since_off_s is not None]
    limits = {round(one.trouble.limit_s) for one in findings}
    limit = f"{min(limits)}" if len(limits) == 1 else f"{min(limits)} to {max(limits)}"
    cells = (
        name,
        f"{sum(took <= limit_s for took, limit_s in named)}/{len(findings)}",
        f"{median(delays):.0f} / {max(delays):.0f} ({limit})",
        f"{median(off) if off else float('nan'):.0f}",
        f"{sum(took <= limit_s for took, limit_s in ended)}/{len(findings)}",
        f"{sum(report.wrong_s for report in reports):.0f}",
        f"{sum(one.flaps for one in findings)}",
        f"{sum(not report.faults for report in reports)}/{len(reports)}",
    )
    return f"| {' | '.join(cells)} |"


# ---------------------------------------------------------------------- health


@dataclass(slots=True)
class Days:
    """What was said of a healthy run."""

    kind: str
    seed: int
    route_days: float
    false: list[str] = field(default_factory=list)
    perhaps: int = 0


def watched(job: tuple[str, int, float]) -> Days:
    """Run one kind of health with one seed."""
    kind, seed, length_s = job
    outline = healthy.run_of(kind, seed, length_s)
    found = Days(kind, seed, len(outline.natures) * length_s / healthy.DAY_S)

    def see(_event: Event, said: Sequence[Diagnosis]) -> None:
        found.perhaps += sum(line.state == "perhaps" for line in said)

    for span in {one.id: one for one in reversed(diagnose(outline, seed, see).wrong)}.values():
        found.false.append(
            f"--days 1 --only {kind} --seed {seed}: at {span.begin_s:.0f} s {span.cause} of "
            f"{'+'.join(sorted(span.routes))}: {span.text}"
        )
    return found


def health_table(kinds: Sequence[str], days: float, seed: int | None, jobs: int) -> None:
    """Print how many causes were named of healthy routes, by kind of noise."""
    if seed is not None:
        work = [(kind, seed, healthy.RUN_S) for kind in kinds]
    else:
        work = healthy.runs(kinds, days)
    begin = time.monotonic()
    total: dict[str, list[Days]] = {kind: [] for kind in kinds}
    with Pool(jobs) as pool:
        for found in pool.imap_unordered(watched, work):
            total[found.kind].append(found)
            for text in found.false:
                say(text)
    say(
        "\n| healthy routes | route-days | false causes | a route-day | perhaps a route-day |"
        "\n|---|---|---|---|---|"
    )
    every = [one for kind in total.values() for one in kind]
    for kind, runs in [*total.items(), ("**all**", every)]:
        length = sum(one.route_days for one in runs)
        if length:
            false = sum(len(one.false) for one in runs)
            perhaps = sum(one.perhaps for one in runs)
            say(
                f"| {kind} | {length:.1f} | {false} | {false / length:.2f} "
                f"| {perhaps / length:.2f} |"
            )
    false, length = sum(len(one.false) for one in every), sum(one.route_days for one in every)
    low, high = poisson_interval(false)
    say(
        f"\n{false} false causes in {length:.1f} route-days: {false / length:.3f} a route-day, "
        f"with 95 % between {low / length:.3f} and {high / length:.3f}; "
        f"{time.monotonic() - begin:.0f} s"
    )


def poisson_interval(count: int) -> tuple[float, float]:
    """Return between which means a count of rare events lies with 95 % (Garwood, 1936).

    >>> tuple(round(one, 2) for one in poisson_interval(3))
    (0.62, 8.77)
    """

    def mean_where(most: int, chance: float) -> float:
        """Return the mean at which so many or fewer come with this chance."""
        low, high = 0.0, 10.0 * (count + 5)
        for _ in range(60):
            mean = (low + high) / 2
            term = total = exp(-mean)
            for number in range(1, most + 1):
                term *= mean / number
                total += term
            low, high = (mean, high) if total > chance else (low, mean)
        return low

    return (mean_where(count - 1, 0.975) if count else 0.0), mean_where(count, 0.025)


# ---------------------------------------------------------------------- one run, and costs


def one_run(outline: Outline, seed: int, *, verbose: bool, write: Path | None) -> None:
    """Run one outline; print what was said of it."""
    for trouble in outline.troubles:
        if trouble.causes:
            say(
                f"{trouble.onset_s:7.1f} to {trouble.end_s:.1f}: {trouble.causes[0]} of "
                f"{'+'.join(trouble.routes)}, to be named in {trouble.limit_s:.0f} s"
            )
    with (write or Path(os.devnull)).open("wb") as out:

        def see(event: Event, said: Sequence[Diagnosis]) -> None:
            if write is not None:
                out.write(encode_event(event))
            for line in said if verbose else ():
                say(in_words(line))

        report = diagnose(outline, seed, see)
    for finding in report.findings:
        if finding.trouble.causes:
            say(
                f"{finding.trouble.causes[0]}: named after {finding.named_s}, of its routes after "
                f"{finding.whole_s}, since off by {finding.since_off_s}, cleared after "
                f"{finding.cleared_s}"
            )
    for span in report.wrong:
        routes = "+".join(sorted(span.routes))
        say(f"wrong: {span.cause} of {routes}, {span.begin_s:.1f} to {span.end_s:.1f}")
    say("; ".join(report.faults) or "as it should be")


def in_words(line: Diagnosis) -> str:
    """Return a diagnosis on a line."""
    at_s, since_s = ((ns - START_NS) / NS_PER_S for ns in (line.at_ns, line.since_ns))
    told = (
        f"{one.figure} {one.now:.4g}"
        + (f" (usual {one.usual:.4g})" if one.usual is not None else "")
        for one in line.evidence
    )
    return (
        f"{at_s:7.1f} {line.id} {line.state} {line.cause} {'+'.join(line.routes)} since "
        f"{since_s:.1f} ×{line.size:.2f} [{', '.join(told)}] {line.text}"
    )


def costs() -> None:
    """Print what an attempt costs to make up and to diagnose, and what a route weighs."""
    outline = healthy.run_of("sigma0.3", 1, 3600.0)
    gc.collect()
    begin = time.process_time()
    events = list(Stream(outline, 1).events())
    made_s = time.process_time() - begin
    attempts = sum(isinstance(event, AttemptFinished) for event in events)
    gc.disable()  # passes over all that this benchmark holds are no part of a run
    best_s = float("inf")
    for _ in range(3):
        fold = Diagnostician().fold
        begin = time.process_time()
        for event in events:
            fold(event)
        best_s = min(best_s, time.process_time() - begin)
    gc.enable()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = Diagnostician()
    for event in events:
        kept.fold(event)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    say(
        f"{attempts:,} attempts, {len(events):,} events, {len(outline.natures)} routes\n"
        f"made up: {made_s / attempts * 1e6:.1f} µs an attempt\n"
        f"diagnosed: {best_s / attempts * 1e6:.1f} µs an attempt, "
        f"{best_s / len(events) * 1e6:.1f} an event\n"
        f"kept: {(after - before) / len(outline.natures) / 1024:.0f} KB a route"
    )


def chosen(names: Iterable[str], only: str | None) -> list[str]:
    """Return the name that was asked for, those that begin with it, or those of a `@SETTING`; of a
    bare `@` those of none, as they are."""
    names = list(names)
    if only == "@":
        return [one for one in names if "@" not in one]
    if only is None or only in names:
        return names if only is None else [only]
    found = [
        one for one in names if one.startswith(only) or (only[0] == "@" and one.endswith(only))
    ]
    if not found:
        plain = [one for one in names if "@" not in one]
        settings = sorted({one[one.index("@") :] for one in names if "@" in one})
        raise SystemExit(f"detector.py: --only {only}: there is {', '.join([*plain, *settings])}")
    return found


def main() -> None:
    """Do what was asked for."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--only", help="a scenario, @SETTING (@: none) or kind of health, or how it begins"
    )
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--seed", type=int)
    options.add_argument("--days", type=float, help="so many healthy route-days instead")
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--verbose", action="store_true")
    options.add_argument("--write", type=Path, help="the stream as a recording")
    options.add_argument("--cost", action="store_true")
    options.add_argument("--race", action="store_true", help="single series instead")
    asked, for_race = options.parse_known_args()
    if asked.race:
        script = Path(__file__).with_name("detector_race.py")
        raise SystemExit(subprocess.call([sys.executable, str(script), *for_race]))
    if for_race:
        options.error(f"unknown: {' '.join(for_race)}")
    if asked.cost:
        costs()
        return
    make = scenarios.run_of if asked.days is None else healthy.run_of
    names = chosen(scenarios.named() if asked.days is None else healthy.KINDS, asked.only)
    if asked.verbose or asked.write is not None:
        if len(names) != 1:
            raise SystemExit("detector.py: --verbose and --write want --only with one name")
        seed = 1 if asked.seed is None else asked.seed
        one_run(make(names[0], seed), seed, verbose=asked.verbose, write=asked.write)
    elif asked.days is not None:
        health_table(names, asked.days, asked.seed, asked.jobs)
    else:
        seeds = range(1, asked.seeds + 1) if asked.seed is None else [asked.seed]
        incident_tables(names, list(seeds), asked.jobs)


if __name__ == "__main__":
    main()
