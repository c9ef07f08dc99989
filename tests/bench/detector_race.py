"""How soon do the detectors know? `python tests/bench/detector_race.py [--lanes 24] [--seed 1]`

The detectors that ship are fed with series like those of real routes, and judged by what was done
to the series. Nothing is timed but the last line: the figures are the same on every machine, for a
given `--seed`. `--lanes` is how many routes are modelled for each row; `--only` picks parts.

A lane is one route with one worker (or eight): it starts a probe every so often, never before the
one before it has answered, and what is open is lent at each tick. So an ill route slows its own
sampling down, as it does in the field. "Rough" is what routes do while nothing is wrong: lognormal
noise of sigma 0.3, 0.6 or 0.9 by turns, a daily swing of ±22 %, wander (20 minutes, sd 0.10),
correlated neighbours, one probe in seven twice as slow (its prompt cache was missed), outliers (2 %
at about ×4.5) and gusts of ×2.5 for 3 to 6 s, one in ten minutes.

A delay is from the onset to the alarm, and holds the second in which the sample was gathered.
Missed is what is not named within five minutes or forty probes. A lane that is in alarm at the
onset is left out: it is a false alarm, and counted as one where nothing is wrong.
"""

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

sys.path[:0] = [str(Path(__file__).parents[2])]

from probes.diagnosis.level import LevelShift  # noqa: E402
from probes.diagnosis.rates import ShareShift  # noqa: E402

NS: Final = 1_000_000_000
DAY_S: Final = 86_400
HEALTHY_S: Final = DAY_S // 4
"""Of a lane in which nothing is wrong: long enough that the first minutes count for little."""
WARM_S: Final = 900
THICK_S: Final = 20
"""A route is probed once a second for so long at a time while something is suspected."""
SIGMAS: Final = (0.3, 0.6, 0.9)
SHIFTS: Final = (1.5, 2.0, 3.0, 5.0)
SHARES: Final = (0.05, 0.10, 0.20, 0.50, 1.0)


def say(line: str = "") -> None:
    """Write a line at once: a run takes long."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# ---------------------------------------------------------------- series


@dataclass(frozen=True)
class Kind:
    """What a series does while nothing is wrong; on the logarithm where no ratio is meant."""

    name: str
    sigmas: tuple[float, ...] = SIGMAS
    """Of the lanes, by turns."""
    median: float = 0.5
    swing: float = 0.2
    wander: float = 0.0
    """Standard deviation of a level that forgets itself within twenty minutes."""
    neighbours: float = 0.0
    """Correlation of two probes one second apart."""
    hump: float = 0.0
    """Share of the probes that are `hump_ratio` as slow."""
    hump_ratio: float = 2.0
    outliers: float = 0.0
    """Share of the probes at about ×4.5."""
    gusts: bool = False
    whole: bool = False
    """Whether values are whole numbers, as counts of tokens are."""
    margin: float = 1.2
    workers: int = 1


ROUGH: Final = Kind("rough", wander=0.10, neighbours=0.3, hump=0.15, outliers=0.02, gusts=True)
DECODE: Final = Kind(
    "time per token",
    sigmas=(0.1, 0.15, 0.25),
    median=0.02,
    wander=0.04,
    neighbours=0.3,
    outliers=0.02,
    gusts=True,
    margin=1.25,
)
KINDS: Final = (
    ROUGH,
    Kind("lognormal"),
    Kind("two humps", hump=0.5, hump_ratio=3.0),
    Kind("wandering, sd 0.15", wander=0.15),
    Kind("reasoning, 8 s", sigmas=(0.9,), median=8.0, outliers=0.05, wander=0.1),
    replace(ROUGH, name="rough, eight workers", workers=8),
    DECODE,
    Kind("connects", sigmas=(0.2, 0.4), median=0.03, outliers=0.03, gusts=True),
    Kind("tokens counted", sigmas=(0.0, 0.02, 0.3), median=200.0, swing=0.0, whole=True),
)


class Series:
    """What each probe of one lane would take if nothing were wrong."""

    HOLD_S: Final = 5.0
    """The wander moves in steps of so long: a hundredth of its sd."""

    def __init__(self, kind: Kind, sigma: float, rng: random.Random, seconds: float) -> None:
        self.kind, self.sigma, self.rng = kind, sigma, rng
        self.centre = math.log(kind.median)
        self.phase = rng.uniform(0.0, 2.0 * math.pi)
        self.level = rng.gauss(0.0, kind.wander)
        self.moved = 0.0
        self.noise, self.before = rng.gauss(0.0, 1.0), 0.0
        self.gusts = self._gusts(seconds) if kind.gusts else iter(())
        self.gust = next(self.gusts, (math.inf, math.inf))

    def _gusts(self, seconds: float) -> Iterator[tuple[float, float]]:
        start = 0.0
        while start < seconds:
            start += self.rng.expovariate(1.0 / 600.0)
            yield start, start + self.rng.uniform(3.0, 6.0)

    def at(self, moment: float) -> float:
        """Return what the probe that begins at `moment` takes."""
        kind, rng = self.kind, self.rng
        if kind.wander:
            while moment - self.moved >= self.HOLD_S:
                keep = math.exp(-self.HOLD_S / 1200.0)
                step = kind.wander * math.sqrt(1.0 - keep * keep)
                self.level = keep * self.level + rng.gauss(0.0, step)
                self.moved += self.HOLD_S
        fresh = rng.gauss(0.0, 1.0)
        if kind.neighbours:
            keep = kind.neighbours ** max(0.0, moment - self.before)
            fresh = self.noise = keep * self.noise + math.sqrt(1.0 - keep * keep) * fresh
            self.before = moment
        value = self.centre + self.level + self.sigma * fresh
        if kind.swing:
            value += kind.swing * math.sin(2.0 * math.pi * moment / DAY_S + self.phase)
        if kind.hump and rng.random() < kind.hump:
            value += math.log(kind.hump_ratio)
        if kind.outliers and rng.random() < kind.outliers:
            value += rng.gauss(1.5, 0.4)
        while moment > self.gust[1]:
            self.gust = next(self.gusts, (math.inf, math.inf))
        if moment >= self.gust[0]:
            value += math.log(2.5)
        return math.exp(value)


# ---------------------------------------------------------------- lanes


@dataclass
class Lane:
    """What the detector of one route said."""

    named: list[tuple[float, float]] = field(default_factory=list)
    """When, and since when by its word."""
    cleared: list[float] = field(default_factory=list)
    probes: int = 0
    thick: int = 0
    """Of the probes, those that suspicion asked for."""
    ramps: list[tuple[float, float]] = field(default_factory=list)
    """When a slow ramp was named, and since when by its word."""


Change = Callable[[float, float], float]
"""What is done to a value at a moment."""


def run_lane(  # noqa: C901
    series: Series,
    detector: LevelShift,
    seconds: int,
    every: float,
    *,
    change: Change | None = None,
    thicken: bool = False,
) -> Lane:
    """Probe a route for some seconds and tell its detector."""
    kind, lane = series.kind, Lane()
    workers = kind.workers
    planned = [every * worker / workers for worker in range(workers)]
    free = [0.0] * workers
    openly: list[tuple[float, float, bool] | None] = [None] * workers
    named, creeps, thick_until, rested = False, False, -1.0, True
    for second in range(seconds):
        tick = second + 1.0
        done: list[tuple[float, float, bool]] = []
        for worker in range(workers):
            while True:
                running = openly[worker]
                if running is None:
                    ordinary = max(planned[worker], free[worker])
                    thick = second < thick_until and ordinary >= tick
                    begin = max(free[worker], float(second)) if thick else ordinary
                    if begin >= tick:
                        break
                    value = series.at(begin)
                    if change is not None:
                        value = change(begin, value)
                    if kind.whole:
                        value = float(max(1, round(value)))
                    lane.probes += 1
                    lane.thick += thick
                    # Counts and shares do not take their own value in time.
                    running = openly[worker] = (begin, value, thick)
                    if not thick:
                        rested = True
                        planned[worker] = begin + every * series.rng.uniform(0.95, 1.05)
                begin, value, thick = running
                end = begin + (0.5 if kind.whole else value)
                if end >= tick:
                    break
                done.append(running)
                openly[worker] = None
                # A thickened route starts one probe a second, whoever is free.
                free[worker] = max(end, begin + 1.0) if thick else end
        if done:
            values = sorted(value for _, value, _ in done)
            detector.sample(
                round(tick * NS),
                statistics.median(values) if len(values) > 1 else values[0],
                round(min(begin for begin, _, _ in done) * NS),
                evidence=all(thick for _, _, thick in done),
            )
        if not kind.whole:
            still = [(round(one[0] * NS), tick - one[0]) for one in openly if one]
            detector.lend(still, round(tick * NS))
        level = detector.level
        if (level == "named") is not named:
            named = not named
            if named:
                lane.named.append((tick, (detector.since_ns or 0) / NS))
            else:
                lane.cleared.append(tick)
        wanted = level in ("suspected", "perhaps") or detector.clearing
        if (detector.ramp_since_ns is not None) is not creeps:
            creeps = not creeps
            if creeps:
                lane.ramps.append((tick, (detector.ramp_since_ns or 0) / NS))
        if thicken and tick >= thick_until and rested and wanted:
            thick_until, rested = tick + THICK_S, False
    return lane


def detector_of(kind: Kind, threshold: float) -> LevelShift:
    """Return a fresh detector of the kind's series."""
    return LevelShift(margin=kind.margin, threshold=threshold)


def healthy(given: argparse.Namespace) -> None:
    """False alarms of series in which nothing is wrong."""
    say("\n### Nothing is wrong: false alarms a route-day of one series\n")
    say(
        "| series | one probe in | route-days | false alarms | a route-day | ramps | extra probes |"
    )
    say("|---|---|---|---|---|---|---|")
    rows = [(kind, 1.0, False) for kind in KINDS]
    rows += [(ROUGH, 5.0, False), (ROUGH, 5.0, True), (ROUGH, 30.0, False), (ROUGH, 30.0, True)]
    for kind, every, thicken in rows:
        if given.kind and given.kind not in kind.name:
            continue
        rng = random.Random(f"{given.seed} {kind.name} {every}")
        alarms = ramps = probes = thick = 0
        # What is probed less often is modelled for longer: as many samples in every row.
        seconds = round(HEALTHY_S * min(6.0, every))
        for number in range(given.lanes):
            sigma = kind.sigmas[number % len(kind.sigmas)]
            lane = run_lane(
                Series(kind, sigma, rng, seconds),
                detector_of(kind, given.threshold),
                seconds,
                every,
                thicken=thicken,
            )
            alarms += len(lane.named)
            ramps += len(lane.ramps)
            probes += lane.probes
            thick += lane.thick
        days = given.lanes * seconds / DAY_S
        pace = f"{every:g} s" + (", thickened" if thicken else "")
        extra = f"{100 * thick / (probes - thick):.1f} %" if thicken else "–"
        row = f"{days:.0f} | {alarms} | {alarms / days:.3f} | {ramps} | {extra}"
        say(f"| {kind.name} | {pace} | {row} |")


@dataclass
class Verdicts:
    """What became of the lanes of one row; seconds."""

    delays: list[float] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    false_clears: int = 0
    again: int = 0

    def row(self) -> str:
        """Return it as cells of a table."""
        hit = [delay for delay in self.delays if math.isfinite(delay)]
        named = max(1, len(hit))
        missed = 100.0 * (len(self.delays) - len(hit)) / max(1, len(self.delays))
        return (
            f"{_two(self.delays)} | {missed:.0f} | {_two(self.since)} | {_two(self.clears)} "
            f"| {100 * self.false_clears / named:.0f} | {100 * self.again / named:.0f}"
        )


VERDICT_CELLS: Final = (
    "named after s, median / p95 | missed % | error of since, s | cleared after s "
    "| cleared while ill % | named again % |"
)


def _two(values: Sequence[float]) -> str:
    """Return the median and the 95th percentile, or – beyond what was waited for."""
    if not values:
        return "–"
    ordered = sorted(values)
    ends = (ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.95))
    return " / ".join(f"{end:.0f}" if math.isfinite(end) else "–" for end in ends)


def judge(verdicts: Verdicts, lane: Lane, onset: float, end: float, missed_after: float) -> None:
    """Book what was said of a lane that was ill from `onset` to `end`."""
    before = [at for at, _ in lane.named if at < onset]
    if len(before) > sum(at < onset for at in lane.cleared):
        return
    ill = [(at, since) for at, since in lane.named if onset <= at < end]
    first = ill[0][0] if ill and ill[0][0] - onset <= missed_after else math.inf
    verdicts.delays.append(first - onset)
    if not math.isfinite(first):
        return
    verdicts.since.append(abs(ill[0][1] - onset))
    verdicts.false_clears += any(onset < at < end for at in lane.cleared)
    over = [at for at in lane.cleared if at >= end]
    if len(ill) > sum(onset < at < end for at in lane.cleared):
        verdicts.clears.append(over[0] - end if over else math.inf)
    verdicts.again += any(at >= end for at, _ in lane.named)


def shifts(given: argparse.Namespace) -> None:
    """Delays, misses and clearing of level shifts."""
    say("\n### Level shifts\n")
    say(f"| series | sigma | one probe in | shift | {VERDICT_CELLS}")
    say("|---|---|---|---|---|---|---|---|---|---|")
    rows = [(ROUGH, 1.0, False), (DECODE, 1.0, False)]
    rows += [(replace(ROUGH, name="rough, eight workers", workers=8), 1.0, False)]
    rows += [(ROUGH, 5.0, False), (ROUGH, 5.0, True), (ROUGH, 30.0, False), (ROUGH, 30.0, True)]
    for kind, every, thicken in rows:
        if given.kind and given.kind not in kind.name:
            continue
        warm = round(max(WARM_S, 80 * every))
        last = round(max(300.0, 40 * every))
        for shift in SHIFTS:
            rng = random.Random(f"{given.seed} {kind.name} {every} {shift}")
            by_sigma = {sigma: Verdicts() for sigma in kind.sigmas}
            for number in range(given.lanes):
                sigma = kind.sigmas[number % len(kind.sigmas)]
                onset = warm + rng.uniform(0.0, 60.0)
                end = onset + last

                def ill(at: float, value: float, on=onset, off=end, by=shift) -> float:
                    return value * by if on <= at < off else value

                seconds = warm + 60 + 2 * last
                lane = run_lane(
                    Series(kind, sigma, rng, seconds),
                    detector_of(kind, given.threshold),
                    seconds,
                    every,
                    change=ill,
                    thicken=thicken,
                )
                judge(by_sigma[sigma], lane, onset, end, last)
            pace = f"{every:g} s" + (", thickened" if thicken else "")
            for sigma, verdicts in by_sigma.items():
                say(f"| {kind.name} | {sigma} | {pace} | ×{shift:g} | {verdicts.row()} |")


def ramps(given: argparse.Namespace) -> None:
    """What creeps: from where it begins until it is named, after two hours of health."""
    say("\n### Slow ramps, rough noise, one probe a second\n")
    say("| to | within | named after min, median / p95 | missed % | at | error of since, min |")
    say("|---|---|---|---|---|---|")
    for last, minutes in ((2.0, 20), (2.0, 60), (3.0, 60), (3.0, 180)):
        rng = random.Random(f"{given.seed} {last} {minutes}")
        delays, since, ratios = [], [], []
        for number in range(max(6, given.lanes // 3)):
            onset, whole = 7200.0, 60.0 * minutes

            def creep(at: float, value: float, on=onset, span=whole, to=last) -> float:
                return value * to ** min(1.0, max(0.0, at - on) / span)

            sigma = SIGMAS[number % len(SIGMAS)]
            seconds = round(onset + whole + 1800)
            detector = detector_of(ROUGH, given.threshold)
            lane = run_lane(
                Series(ROUGH, sigma, rng, seconds), detector, seconds, 1.0, change=creep
            )
            both = sorted(one for one in (*lane.named, *lane.ramps) if one[0] >= onset)
            delays.append((both[0][0] - onset) / 60.0 if both else math.inf)
            if both:
                since.append(abs(both[0][1] - onset) / 60.0)
                ratios.append(creep(both[0][0], 1.0))
        missed = 100.0 * sum(not math.isfinite(delay) for delay in delays) / len(delays)
        ratio = f"×{statistics.median(ratios):.2f}" if ratios else "–"
        row = f"{_two(delays)} | {missed:.0f} | {ratio} | {_two(since)}"
        say(f"| ×{last:g} | {minutes} min | {row} |")


# ---------------------------------------------------------------- shares


def attempts(
    rng: random.Random, seconds: int, usual: float, *, blips: bool
) -> Iterator[tuple[int, bool]]:
    """Yield whether the probe of each second fails while nothing is wrong.

    With blips, two to four in a row fail about once an hour.
    """
    left = 0
    for second in range(seconds):
        if blips and not left and rng.random() < 1 / 3600:
            left = rng.randint(2, 4)
        yield second, left > 0 or rng.random() < usual
        left = max(0, left - 1)


def run_shares(probes: Iterator[tuple[int, bool]], shares: ShareShift) -> Lane:
    """Tell a detector of shares what became of the probes."""
    lane, named = Lane(), False
    for second, failed in probes:
        shares.second(second * NS, failed, second * NS)
        if (shares.named_since_ns is not None) is not named:
            named = not named
            if named:
                lane.named.append((second, (shares.since_ns or 0) / NS))
            else:
                lane.cleared.append(second)
    return lane


def failures(given: argparse.Namespace) -> None:
    """False alarms, delays and clearing of shares of failures."""
    say("\n### Failures: nothing is wrong, one probe a second\n")
    say("| usual share | route-days | false alarms | a route-day |")
    say("|---|---|---|---|")
    for usual, blips in (
        (0.002, False),
        (0.01, False),
        (0.02, False),
        (0.03, False),
        (0.002, True),
    ):
        rng = random.Random(f"{given.seed} {usual} {blips}")
        lanes = [
            run_shares(attempts(rng, HEALTHY_S, usual, blips=blips), ShareShift())
            for _ in range(given.lanes)
        ]
        alarms, days = sum(len(lane.named) for lane in lanes), given.lanes * HEALTHY_S / DAY_S
        name = f"{100 * usual:g} %" + (", and 2 to 4 in a row once an hour" if blips else "")
        say(f"| {name} | {days:.0f} | {alarms} | {alarms / days:.3f} |")
    say("\n### Failures: a share of the probes, one a second, usual share 0.2 % with blips\n")
    say(f"| share | {VERDICT_CELLS}")
    say("|---|---|---|---|---|---|---|")
    for share in SHARES:
        rng = random.Random(f"{given.seed} {share}")
        verdicts = Verdicts()
        for _ in range(given.lanes):

            def ill(lane_rng: random.Random = rng, by: float = share) -> Iterator[tuple[int, bool]]:
                for second, failed in attempts(lane_rng, WARM_S + 900, 0.002, blips=True):
                    sick = WARM_S <= second < WARM_S + 300
                    yield second, failed or (sick and lane_rng.random() < by)

            judge(verdicts, run_shares(ill(), ShareShift()), WARM_S, WARM_S + 300, 300)
        say(f"| {100 * share:g} % | {verdicts.row()} |")


def cost(given: argparse.Namespace) -> None:
    """What a sample costs on this machine."""
    rng = random.Random(given.seed)
    values = [math.exp(rng.gauss(0.0, 0.6)) for _ in range(50_000)]
    detector, shares = LevelShift(), ShareShift()
    say("\n### Cost on this machine\n")
    say("| what | µs |")
    say("|---|---|")
    begin = time.process_time()
    for second, value in enumerate(values):
        detector.sample(second * NS, value, second * NS)
    say(f"| a sample | {1e6 * (time.process_time() - begin) / len(values):.1f} |")
    begin = time.process_time()
    for second, value in enumerate(values, len(values)):
        detector.lend([(second * NS, value)])
    say(f"| lending one open request | {1e6 * (time.process_time() - begin) / len(values):.1f} |")
    begin = time.process_time()
    for second, value in enumerate(values):
        shares.second(second * NS, value > 3.0, second * NS)
    say(f"| an attempt's share | {1e6 * (time.process_time() - begin) / len(values):.1f} |")


PARTS: Final = {
    "healthy": healthy,
    "shifts": shifts,
    "ramps": ramps,
    "failures": failures,
    "cost": cost,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=24, help="routes of a row (default: 24)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--kind", default="", help="only series whose name has this in it")
    parser.add_argument("--threshold", type=float, default=19.0)
    given = parser.parse_args()
    for part in given.only:
        PARTS[part](given)


if __name__ == "__main__":
    main()
