"""What there is to show of a comparison: frozen records, made by the fold in `comparison`.

Rule 1: the first arm is what each other one is compared with. A ratio is the other one's figure
over the first one's: above 1 it takes longer, or writes faster.
Rule 2: a figure that is not known is None, and a name is as the settings have it: whoever shows it
makes it harmless.
"""

from typing import Literal, TypeAlias

import msgspec

ComparisonFigure: TypeAlias = Literal["ttft", "e2e", "tokens_per_s", "good", "throttled"]
"""Times and the speed of writing are of pairs in which both were ok; shares are of all pairs."""
ComparisonVerdict: TypeAlias = Literal["unknown", "better", "worse", "same"]
"""Of an arm against the first: `same` is that the whole interval lies within the margin in which a
difference is of no use to anybody. `probes.comparing.words` says it as people do."""
ComparisonState: TypeAlias = Literal["waiting", "running", "decided", "budget", "stopped", "failed"]
"""`waiting` until it is begun; `budget`: its pairs, tokens or USD ran out before it knew; `stopped`
by the user; `failed`: it cannot be done, and the sentence says why."""


class ComparisonCost(msgspec.Struct, frozen=True):
    """What a comparison may use at most, told before it begins, as the budgets reckon it."""

    pairs: int
    """Blocks, each of one probe an arm; one more block goes before them to warm up."""
    probes: int
    tokens: int
    usd: float | None
    """Of the arms whose price is known; None where none is."""
    unpriced: tuple[str, ...] = ()
    """The arms whose price is not known: USD does not count them, and cannot hold them."""


class ComparedFigure(msgspec.Struct, frozen=True):
    """One figure of an arm against the first arm's."""

    figure: ComparisonFigure
    pairs: int
    """That it rests on."""
    estimate: float | None = None
    """The ratio in the middle of the pairs; of a share the difference, from -1 to 1."""
    low: float | None = None
    high: float | None = None
    """The interval in which the true one lies, whenever one looks; None where it is still open."""
    verdict: ComparisonVerdict = "unknown"
    decides: bool = False
    """It is the one that ends the comparison."""


class TrailPoint(msgspec.Struct, frozen=True):
    """How the deciding figure stood after so many pairs."""

    pairs: int
    estimate: float
    low: float | None
    high: float | None


class ArmView(msgspec.Struct, frozen=True):
    """One arm by now."""

    name: str
    probes: int = 0
    """That ended and count: the warm-up does not."""
    good: int = 0
    """ok, and within every goal."""
    failed: int = 0
    """Ended otherwise than ok, the throttled ones too."""
    throttled: int = 0
    ttft_s: float | None = None
    """Medians of what was ok."""
    e2e_s: float | None = None
    tokens_per_s: float | None = None
    tokens: int = 0
    """Charged."""
    usd: float = 0.0
    figures: tuple[ComparedFigure, ...] = ()
    """Against the first arm, in the order in which they are told; empty of the first itself."""
    trail: tuple[TrailPoint, ...] = ()
    """Of the deciding figure, oldest first; thinned, so that it never is long."""
    settled: bool = False
    """What was to be known of it is known: it is asked no more."""


class ComparisonView(msgspec.Struct, frozen=True):
    """A comparison by now."""

    arms: tuple[ArmView, ...]
    changed: str
    """In words, what differs between the arms."""
    state: ComparisonState
    pairs: int
    """Blocks that are complete."""
    cost: ComparisonCost
    """What it may use at most."""
    sentence: str
    """What may be concluded by now, and at the end what may be concluded at all."""
    spent_tokens: int = 0
    spent_usd: float = 0.0
    most_tokens: int | None = None
    """Its own budget; None where only that of all runs holds it."""
    most_usd: float | None = None
    alpha: float = 0.01
    """How probable it is at most that anything of all that is claimed is wrong."""
    margin: float = 0.05
    """`same` is a difference below this share; of a share, in points of it."""
    waits: str = ""
    """What it waits for, where that is no answer: such as a server that asked for time."""
    asking: str = ""
    """The arm whose probe is under way."""
    seconds: float = 0.0
    """Since it began."""

    @property
    def is_over(self) -> bool:
        """Whether it asks nothing any more."""
        return self.state not in ("waiting", "running")
