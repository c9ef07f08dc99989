"""What the history keeps, as records: they cross from the fold to the database and back."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, get_args

import msgspec

from probes.events import Outcome, Reference, RouteInfo

SLOT_S: Final = 600
"""Seconds of wall time that are one slot."""
HOUR_S: Final = 3_600
HOUR_SLOTS: Final = HOUR_S // SLOT_S
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
"""An attempt's: each has a count of its own, the 429s as `throttled`."""
COUNTS: Final = (
    *("probes", "probes_ok", "probes_cancelled", "attempts", "retries", *OUTCOMES),
    *("input_tokens", "input_counted", "output_tokens", "output_counted", "cached_tokens"),
)
"""Whole numbers of a slot; `…_counted` are the attempts whose tokens somebody counted."""
DIGESTS: Final = ("ttft", "e2e", "per_token")
"""Of felt TTFT and felt E2E of probes, and of the time per token of attempts; in seconds."""

_LONGEST: Final = 400
"""Characters of a name, URL or model that are kept: a file that somebody edited may hold more."""


class RouteIdentity(NamedTuple):
    """What makes a route the same as yesterday."""

    name: str
    """That it has at every place."""
    base_url: str
    model: str
    place: str

    @property
    def full_name(self) -> str:
        """As it stands in the stream and on the screen."""
        return f"{self.name}@{self.place}" if self.place else self.name


def identity_of(info: RouteInfo) -> RouteIdentity:
    """Return who a route is; masked and cut, so that it may be kept."""
    return RouteIdentity(
        info.shared_name[:_LONGEST],
        info.base_url[:_LONGEST],
        info.model[:_LONGEST],
        info.place[:_LONGEST],
    )


class SlotKey(NamedTuple):
    """Of whom, of what was asked, and when."""

    life: str
    """Of the engine that measured: what two engines measure in one slot are two rows."""
    route: RouteIdentity
    cohort: str
    slot: int
    """Its number since 1970: it begins at `slot * SLOT_S`."""


class SlotRow(NamedTuple):
    """A slot, or several together."""

    counts: tuple[int, ...]
    """As `COUNTS` names them."""
    usd: float
    digests: tuple[bytes, ...]
    """As `DIGESTS` names them; see `packed`."""

    @property
    def weight(self) -> int:
        """How much it has heard: of two rows of one slot and engine the one that heard more is
        nearer the truth."""
        return self.counts[0] + self.counts[3]


class PastIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that was named, as it is remembered."""

    id: str
    """Unique over all runs."""
    cause: str
    names: tuple[str, ...]
    """Of the routes that it hit, as they are called at every place; sorted."""
    scope: str
    """From where it was seen, of several places: `from eu`, `from everywhere`; else empty."""
    routes: tuple[str, ...]
    """The same by their whole names."""
    since_s: float
    """Unix time of its onset."""
    ended_s: float | None = None
    """When it was over; None where it was not, as far as is known."""
    seen_s: float = 0.0
    """When it was last known to go on: all that is known of the end of one whose run was killed."""
    size: float = 0.0
    text: str = ""
    """The whole in one line; may hold a server's words: hostile."""

    @property
    def until_s(self) -> float:
        """Until when it is known to have gone on."""
        return max(self.since_s, self.seen_s if self.ended_s is None else self.ended_s)

    def knows_no_more_than(self, other: "PastIncident") -> bool:
        """Tell of two words on one incident whether the other is nearer the truth: it knows the
        end, or has seen it longer."""
        if (self.ended_s is None) != (other.ended_s is None):
            return self.ended_s is None
        return self.until_s <= other.until_s


class Told(NamedTuple):
    """What the fold has to be written down, since it was asked last."""

    slots: dict[SlotKey, SlotRow]
    incidents: tuple[PastIncident, ...]
    references: tuple[tuple[RouteIdentity, Reference], ...] = ()
    hours: Mapping[SlotKey, SlotRow] = MappingProxyType({})
    """Of another history, whose slots are gone: `SlotKey.slot` is the number of the hour."""


def summed(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the counts of several rows together."""
    found = tuple(map(sum, zip(*rows, strict=True)))
    return found or (0,) * len(COUNTS)
