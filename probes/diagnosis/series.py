"""The series that a route is judged by: what events bring, as one sample a second.

Rule 1. One second is one sample: the median of what came in it. So neither many workers nor
        thickened probes change what a second is worth. Two samples may come in one where none came
        in the one before: a probe a second does not keep step with our clock.
Rule 2. One request is one sample: while it is open it lends what its age is worth, and gives it
        back when its own sample takes the place.
Rule 3. What is too small for anybody to feel is no change: each series has a floor that is added to
        its values, so that 0.1 ms becoming 0.3 ms on loopback is not ×3.
"""

from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from probes.diagnosis.level import MOST, Level, LevelShift, Shift
from probes.diagnosis.rates import CREDIT, ShareShift
from probes.events import Evidence, FigureName, FigureUnit
from probes.kit.clock import NS_PER_S, kept_ns

RANK: Final[dict[Level, int]] = {
    "learning": 0,
    "well": 0,
    "suspected": 1,
    "perhaps": 2,
    "named": 3,
}
"""Levels in order: from 2 on a series is in alarm, dim or not."""


class SeriesKind(NamedTuple):
    """What one series holds."""

    figure: FigureName
    unit: FigureUnit
    floor: float
    """Added to each value, in `unit`: below it nothing is felt."""
    margin: float
    """How many times its usual a value may be without counting at all."""


WAIT: Final = SeriesKind("ttft", "s", 0.010, 1.2)
"""From the request's last byte to the first output: what is behind the connection."""
PER_TOKEN: Final = SeriesKind("time_per_token", "s", 0.0005, 1.25)
GAP: Final = SeriesKind("chunk_gap", "s", 0.050, 1.5)
"""The longest of an answer. It is the extreme of many, and so moves more than a median does."""
WHOLE: Final = SeriesKind("e2e", "s", 0.020, 1.2)
"""Of answers that come whole, which have no first token of their own."""
RTT: Final = SeriesKind("rtt", "s", 0.008, 1.3)
"""Round trips on a wireless link double by themselves; nobody feels 8 ms."""
DNS: Final = SeriesKind("dns", "s", 0.030, 1.3)
TCP: Final = SeriesKind("tcp", "s", 0.008, 1.3)
TLS: Final = SeriesKind("tls", "s", 0.020, 1.3)
INPUT: Final = SeriesKind("input_tokens", "tokens", 4.0, 1.15)
"""The same prompt is counted the same; a template's date line moves it by a token or two."""
OUTPUT: Final = SeriesKind("output_tokens", "tokens", 2.0, 1.2)


_NEWEST_KEPT: Final = 40
"""Values by which a place tells that it sees nothing of a fault: five that speak clearly do."""

OF_A_SHAPE: Final = frozenset(kind.figure for kind in (WAIT, PER_TOKEN, GAP, WHOLE, INPUT, OUTPUT))
"""Figures of what a route asks; all others are of the way to it, or of all that it asks."""


class NewestValues:
    """The newest values of a series, each with when its request began; 16 bytes each."""

    __slots__ = ("_began_ns", "_number", "_values")

    def __init__(self) -> None:
        self._began_ns = array("q")
        self._values = array("d")
        self._number = 0

    def add(self, value: float, began_ns: int) -> None:
        """Take a value; of those that are too many the oldest goes."""
        if self._number < _NEWEST_KEPT:
            self._began_ns.append(kept_ns(began_ns))
            self._values.append(value)
        else:
            at = self._number % _NEWEST_KEPT
            self._began_ns[at], self._values[at] = kept_ns(began_ns), value
        self._number += 1

    def between(self, from_ns: int, until_ns: int) -> list[float]:
        """Return those of requests that began within these stamps."""
        both = zip(self._began_ns, self._values, strict=True)
        return [value for began_ns, value in both if from_ns <= began_ns <= until_ns]


class JudgedSeries:
    """One series on its way into its level: what came in this second."""

    __slots__ = ("_closed_ns", "_credit", "_evidence", "_newest", "_values", "kind", "level")

    def __init__(self, kind: SeriesKind, level: LevelShift | None = None) -> None:
        self.kind = kind
        self.level = level or LevelShift(margin=kind.margin)
        self._values: list[tuple[float, int]] = []
        """What came in this second, each with when its request began."""
        self._evidence = False
        self._closed_ns: int | None = None
        self._credit = CREDIT
        self._newest: NewestValues | None = None

    def keep_newest(self) -> None:
        """Keep the newest values from now on, to be compared with what another place sees."""
        self._newest = self._newest or NewestValues()

    def between(self, from_ns: int, until_ns: int) -> list[float]:
        """Return the newest values of requests that began within these stamps, where they are
        kept."""
        return [] if self._newest is None else self._newest.between(from_ns, until_ns)

    def add(self, value: float, began_ns: int, *, evidence: bool) -> None:
        """Take a sample of the request that began at `began_ns`."""
        if self._newest is not None:
            self._newest.add(min(value, MOST), began_ns)
        self._values.append((min(value, MOST) + self.kind.floor, began_ns))
        self._evidence = self._evidence or evidence

    def close(self, at_ns: int) -> None:
        """Judge the second that ends now."""
        values = self._values
        if not values:
            return  # most seconds of most series, so it must cost nothing
        if self._closed_ns is not None:
            passed_s = max(0, at_ns - self._closed_ns) / NS_PER_S
            self._credit = min(CREDIT, self._credit + passed_s)
        self._closed_ns = at_ns
        if len(values) > max(1.0, self._credit):
            # More than a sample a second: one stands for all of them.
            first_ns = values[0][1]
            values.sort()
            values = [(values[len(values) // 2][0], first_ns)]
        for value, began_ns in values:
            self.level.sample(at_ns, value, began_ns, evidence=self._evidence)
        self._credit = max(0.0, self._credit - len(values))
        self._values, self._evidence = [], False

    def lend(self, ages: Sequence[tuple[int, float]], at_ns: int) -> None:
        """Take the ages that requests in flight have at `at_ns`, each with when it began."""
        floor = self.kind.floor
        self.level.lend([(began_ns, age + floor) for began_ns, age in ages], at_ns)

    @property
    def rank(self) -> int:
        """How sure it is, by `RANK`; of a slow ramp one is sure or says nothing."""
        rank = RANK[self.level.level]
        return rank if self.level.ramp_named_ns is None else RANK["named"]

    @property
    def since_ns(self) -> int | None:
        """Its onset; None where nothing is suspected."""
        level = self.level
        return level.ramp_since_ns if self._is_ramp else level.since_ns

    @property
    def _is_ramp(self) -> bool:
        """Whether it crept up, and did not jump: then it is held against the run."""
        return self.level.ramp_named_ns is not None and self.level.named_since_ns is None

    def shift(self) -> Shift | None:
        """Return how far it moved; its medians without the floor."""
        shift = self.level.ramp() if self._is_ramp else self.level.shift()
        if shift is None:
            return None
        floor = self.kind.floor
        now, usual = max(0.0, shift.now - floor), max(0.0, shift.usual - floor)
        # Below the floor a ratio of the bare medians would say more than anybody can feel.
        plain = usual >= floor
        return Shift(
            ratio=now / usual if plain else shift.ratio,
            low=max(0.0, shift.low * shift.usual - floor) / usual if plain else shift.low,
            high=max(0.0, shift.high * shift.usual - floor) / usual if plain else shift.high,
            now=now,
            usual=usual,
            n_now=shift.n_now,
            n_usual=shift.n_usual,
        )

    def usual(self, q: float) -> float | None:
        """Return a quantile of what is usual; None while that is being learned."""
        usual = self.level.usual(q)
        return None if usual is None else max(0.0, usual - self.kind.floor)

    def evidence(self) -> Evidence | None:
        """Return the figure as it stands now beside its usual; None where there is no usual."""
        shift = self.shift()
        if shift is None:
            return None
        return Evidence(
            figure=self.kind.figure,
            now=short(shift.now),
            usual=short(shift.usual),
            n_now=shift.n_now,
            n_usual=shift.n_usual,
            unit=self.kind.unit,
            low=short(shift.low),
            high=short(shift.high),
        )


class Shares:
    """A share of the attempts, with its test."""

    __slots__ = ("add", "figure", "test")

    def __init__(self, figure: FigureName, **test: float) -> None:
        self.figure: FigureName = figure
        self.test = ShareShift(**test)
        self.add = self.test.second

    @property
    def rank(self) -> int:
        """How sure it is, by `RANK`."""
        return RANK[self.test.level]

    @property
    def since_ns(self) -> int | None:
        """Its onset; None where nothing is suspected."""
        return self.test.since_ns

    def evidence(self, now: float | None = None, n_now: int | None = None) -> Evidence:
        """Return the share as it stands now, of `n_now` attempts where these are known better."""
        test = self.test
        return Evidence(
            figure=self.figure,
            now=short(test.share if now is None else now),
            usual=short(test.usual_share),
            n_now=test.n if n_now is None else n_now,
            n_usual=test.n_usual,
            unit="share",
        )


def short(value: float) -> float:
    """Return a figure with the digits that it can bear, so that lines stay short."""
    return float(f"{value:.4g}")
