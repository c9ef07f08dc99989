"""What the host tells the engine: JSON lines on its standard input, known by `type`.

Rule 1: a command cannot ask for what is out of range. It is kept within it when it is made, and so
is one that is decoded: here and nowhere else, so that whoever notes what is wanted and whoever does
it have the same value.
Rule 2: a command says what is to be, never by how much to change it: one that is lost with its
engine is made good by the state that the next engine is told (`probes.control.wanted`).
"""

from typing import TypeAlias

import msgspec

from probes.config import Route
from probes.control.evidence import LONGEST_EVIDENCE_S
from probes.control.knobs import KNOBS, MAX_BURST
from probes.events import DoubtKind


class _EngineCommand(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True
):
    """One frozen command, which leaves its defaults out of its JSON."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """How much one budget lets this engine spend, counted since the engine started.

    The host leases from the ledger that all runs share; the engine never spends beyond a lease.
    """

    route: str
    """Empty for the overall budget."""
    tokens: int
    """Cumulative: what may have been spent and reserved in all by this engine."""
    usd: float | None = None
    used_tokens: int = 0
    """All runs together, in the sliding hour; for the screen."""
    used_usd: float = 0.0
    limit_tokens: int = 0
    limit_usd: float | None = None
    more: bool = False
    """All that the route wanted was leased: more comes soon, and until then it waits in silence."""
    doubt: str = ""
    """Overall: why only the emergency part of the budgets may be spent; else empty."""
    doubt_kind: DoubtKind = "unknown"
    """Of what kind that is."""


class PacePart(msgspec.Struct, frozen=True):
    """Which ticks of a route's open pace one of several engines sends.

    Ticks are counted on the clock that all engines share, so that constant gaps stay constant
    though several send them.
    """

    ticks: tuple[int, ...]
    """Its own among `of` in a row, from 0."""
    of: int
    rate: float
    """Probes a second of all engines together."""

    @property
    def own_rate(self) -> float:
        """Probes a second of this engine."""
        return self.rate * len(self.ticks) / max(1, self.of)


class Configure(_EngineCommand, frozen=True, kw_only=True, tag="configure"):
    """First command: everything the engine needs; sent on a pipe, never on a command line."""

    engine: str
    routes: tuple[Route, ...]
    headers: dict[str, dict[str, str]] = {}
    """Route → header → value with secrets filled in (`Authorization` included)."""
    include_text: bool = False
    seed: int | None = None
    """For the jitter; None draws from the system."""
    pace_parts: dict[str, PacePart] = {}
    """Route → its part of an open pace; of a route that is missing, all of it."""
    digests: str = ""
    """Package that holds the percentiles of who asks, for the `hello`: the engine has none."""


class Allow(_EngineCommand, frozen=True, kw_only=True, tag="allow"):
    """New state of the budgets."""

    allowances: tuple[Allowance, ...]
    number: int = 0
    """Where it is not 0, each batch of the engine says the last one obeyed, and what is spent."""


class Go(_EngineCommand, frozen=True, kw_only=True, tag="go"):
    """Start probing: what is wanted has been sent."""


class SetKnob(_EngineCommand, frozen=True, kw_only=True, tag="set_knob"):
    """Set a knob of a route: `concurrency`, `interval` (seconds), `rate` (probes a second) or
    `max_tokens`."""

    route: str
    knob: str
    """One that is not known is refused by the engine."""
    value: float
    """As it is within the knob's range, whatever was asked for."""
    who: str = "user"
    part: bool = False
    """It is one engine's part of what is wanted in all, and may be none."""
    pace_part: PacePart | None = None
    """Of a rate, which ticks are this engine's part."""
    reason: str = ""
    """Why, for whoever reads of it."""

    def __post_init__(self) -> None:
        """Keep the value within the knob's range. Raises ValueError where it is no number."""
        known = KNOBS.get(self.knob)
        if known is not None:
            # The one exception to frozen, before anybody has seen the command.
            nearest = known.nearest(self.value, part=self.part)
            msgspec.structs.force_setattr(self, "value", nearest)


class Adapt(_EngineCommand, frozen=True, kw_only=True, tag="adapt"):
    """Let the concurrency of a route find itself, or no longer. The run does that itself: no
    engine is told."""

    route: str
    on: bool
    concurrency: float | None = None
    """What it stands at from then on, as it is within the knob's range; None: where it is."""
    who: str = "user"

    def __post_init__(self) -> None:
        """Keep the concurrency within the knob's range. Raises ValueError where it is no number."""
        if self.concurrency is not None:
            nearest = KNOBS["concurrency"].nearest(self.concurrency)
            msgspec.structs.force_setattr(self, "concurrency", nearest)


class Pause(_EngineCommand, frozen=True, kw_only=True, tag="pause"):
    """Stop new attempts of a route (of all, where `route` is empty), or let them go on."""

    paused: bool
    route: str = ""
    cancel: bool = False
    """Also cancel what is in flight."""
    who: str = "user"


class Burst(_EngineCommand, frozen=True, kw_only=True, tag="burst"):
    """Send `count` probes of a route now, beside its pace."""

    route: str
    count: int
    """As it is within 1 and `MAX_BURST`, whatever was asked for."""
    who: str = "user"

    def __post_init__(self) -> None:
        """Keep the count within its bounds."""
        msgspec.structs.force_setattr(self, "count", min(max(self.count, 1), MAX_BURST))


class ProbeNow(_EngineCommand, frozen=True, kw_only=True, tag="probe_now"):
    """Send one probe of a route now, beside its pace, on a connection that is kept for these
    probes alone; one at a time: another that is asked for waits for it. It is no knob."""

    route: str


class EndCoolDown(_EngineCommand, frozen=True, kw_only=True, tag="end_cool_down"):
    """Probe the route at once although its server asked us to wait; or restore a cool-down."""

    route: str
    until_s: float = 0.0
    """Seconds from now until which the route goes on cooling; 0 ends it."""
    who: str = "user"


class Thicken(_EngineCommand, frozen=True, kw_only=True, tag="thicken"):
    """Probe a route once a second in all for a while, where its pace is slower: something is
    suspected. A new engine does not remember it; it is no knob and no event."""

    route: str
    for_s: float
    """Seconds from now, as they are within 0, which ends it, and `LONGEST_EVIDENCE_S`."""
    fresh: bool = False
    """Where the only worker is busy all the time, one more probe may go on a connection of its own:
    does the server hang, or that connection?"""

    def __post_init__(self) -> None:
        """Keep the time within its bounds; what is no number ends it."""
        nearest = min(max(0.0, self.for_s), LONGEST_EVIDENCE_S)
        msgspec.structs.force_setattr(self, "for_s", nearest)


class AcceptUsual(_EngineCommand, frozen=True, kw_only=True, tag="accept_usual"):
    """Take a route's present level as its usual one from now on."""

    route: str
    who: str = "user"


class WatchText(_EngineCommand, frozen=True, kw_only=True, tag="watch_text"):
    """Put the oldest open stream of a route on preview; of none where `route` is empty."""

    route: str = ""


class Lift(_EngineCommand, frozen=True, kw_only=True, tag="lift"):
    """Let the budgets count from what is known, where only their emergency part may be spent. The
    run does that itself: no engine is told."""


class MarkTime(_EngineCommand, frozen=True, kw_only=True, tag="mark"):
    """Put a note on the timeline."""

    text: str
    about_ns: int | None = None
    """Stamp of the moment that it is about; None where that is now."""


class Stop(_EngineCommand, frozen=True, kw_only=True, tag="stop"):
    """Stop admitting, cancel what is open, report it, and end."""


Command: TypeAlias = (
    Configure
    | Allow
    | Go
    | SetKnob
    | Adapt
    | Pause
    | Burst
    | ProbeNow
    | EndCoolDown
    | Thicken
    | AcceptUsual
    | Lift
    | WatchText
    | MarkTime
    | Stop
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


def encode_command(command: Command) -> bytes:
    """Return one JSON line, its newline included."""
    return _encoder.encode(command) + b"\n"


def decode_command(line: bytes) -> Command:
    """Return the command of one JSON line.

    Raises:
        msgspec.DecodeError: the line is not a command.
    """
    return _decoder.decode(line)
