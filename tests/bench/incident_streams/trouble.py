"""What is wrong with a route, as it acts on single attempts, and what may rightly be said of it."""

from dataclasses import dataclass, fields
from typing import Final, Literal

from probes.events import Cause, KnobKind, Limit, Outcome, Shortage

from .nature import Nature

Step = Literal["start", "dns", "tcp", "sent", "answer"]
"""How far a failed attempt came: nothing was done, the name was resolved, connected, the request
was sent, an HTTP answer came."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One way in which attempts fail."""

    outcome: Outcome
    reason: str
    status: int | None = None
    retryable: bool = True
    took_s: float = 0.12
    """Median of its length, beside connection set-up."""
    reached: Step = "answer"
    message: str = ""
    retry_after_s: float | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What happens to attempts of a route. Factors multiply, shares are of attempts."""

    wait: float = 1.0
    """Sent → first token, beside the round trip."""
    token: float = 1.0
    rtt: float = 1.0
    loss: float = 0.0
    """Share of attempts that lose a segment, half of them on the way there."""
    jitter_s: float = 0.0
    """Up to so much is added to each gap between reads."""
    failures: tuple[tuple[float, Failure], ...] = ()
    """Shares of attempts, and how these fail."""
    whole_probes: bool = False
    """What failed once fails again in all retries of its probe."""
    recovers: bool = False
    """Retries never fail."""
    hangs: bool = False
    """Requests are taken and nothing comes; those that wait when it ends are answered then."""
    freezes: bool = False
    """What hangs stops writing, too: streams go on when it ends, if our clock lets them."""
    hang_share: float = 0.0
    """So many never get an answer, whenever it ends."""
    hangs_late: bool = False
    """What hangs does so behind the head of the answer."""
    stall: float = 0.0
    stall_s: float = 2.5
    stall_out: float = 0.0
    """Share of streams that fall silent until our clock ends them."""
    truncate: float = 0.0
    wrong: float = 0.0
    """Share of whole answers that are not what is expected of them."""
    uncached: float = 0.0
    """Share of prompts that the cache does not have any more."""
    uncached_wait: float = 1.0
    """What their wait is multiplied by."""
    input: float = 1.0
    output: float = 1.0
    model: str = ""
    fingerprint: str = ""
    swapped: float = 1.0
    """Share of answers that come from this other model or build."""
    cold: float = 0.0
    """Share of attempts that find their connection closed, and make a new one."""
    load_s: float = 0.0
    """The server loads its model first, and says so."""
    crowd: float = 0.0
    """Each open request beside its own makes the wait longer by this share."""
    lag_s: float = 0.0
    """Of this machine: all that comes is seen later, by up to so much."""
    cpu_share: float = 0.0
    short_of: Shortage = ""
    """What this machine has too little of, by its own word."""

    @property
    def is_share(self) -> bool:
        """Tell whether it is felt by some attempts only: the rest look well."""
        shares = (
            *(share for share, _ in self.failures),
            *(self.hang_share, self.stall, self.stall_out, self.truncate, self.uncached),
            *(self.cold, self.loss, self.swapped, self.wrong),
        )
        return any(0.0 < share < 1.0 for share in shares)

    def scaled(self, share: float) -> "Effect":
        """Return it with its factors grown only to a share of their logarithm: a ramp."""
        return _replaced(
            self,
            wait=self.wait**share,
            token=self.token**share,
            rtt=self.rtt**share,
            input=self.input**share,
            output=self.output**share,
        )

    def __and__(self, other: "Effect") -> "Effect":
        """Return both at once."""
        merged = {}
        for one in fields(self):
            a, b = getattr(self, one.name), getattr(other, one.name)
            match one.name:
                case "wait" | "token" | "rtt" | "input" | "output":
                    merged[one.name] = a * b
                case "failures":
                    merged[one.name] = a + b
                case "stall_s":
                    merged[one.name] = a if self.stall else b
                case "uncached_wait" | "swapped":
                    merged[one.name] = b if a == one.default else a
                case _:
                    merged[one.name] = max(a, b)
        return Effect(**merged)


def _replaced(effect: Effect, **changes: float) -> Effect:
    return Effect(**{one.name: getattr(effect, one.name) for one in fields(effect)} | changes)


NOTHING: Final = Effect()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One incident: what it does, to whom, from when to when, and what it is called.

    Seconds are from the run's first event.
    """

    causes: tuple[Cause, ...]
    """What may rightly be said of it; the first is the best."""
    routes: tuple[str, ...]
    onset_s: float
    end_s: float
    effect: Effect = NOTHING
    limit_s: float = 30.0
    """Within which it is to be named."""
    clear_s: float = 60.0
    """Within which it is to be cleared from its end."""
    since_s: float = 10.0
    """By how much its since may be off."""
    ramp_s: float = 0.0
    flap_s: float = 0.0
    """It is there and not there by turns, each so long."""
    is_passing: bool = False
    """It is over before it needs a name: right where it is said, and nothing is missing if not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What somebody does, or what happens to the engine, at a moment of the run."""

    at_s: float
    what: Literal["knob", "pause", "cancel", "resume", "hold", "die", "gap"]
    """`cancel` pauses, and cancels what is open."""
    route: str = ""
    knob: KnobKind = "concurrency"
    value: float = 0.0
    """Of the knob; seconds for which the route is held back, or of a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A whole run: its routes, what goes wrong, what is done to it."""

    natures: tuple[Nature, ...]
    troubles: tuple[Trouble, ...] = ()
    turns: tuple[Turn, ...] = ()
    length_s: float = 660.0
    late_s: float = 0.0
    """Every second route is probed by another engine, whose events come so much later."""
    busy: float = 0.0
    """Share of the seconds in which the engine's own loop is late, to nobody's harm."""
    tells_phase: bool = True
    """Ticks say how far the oldest open request has come."""
