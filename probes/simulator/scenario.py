"""What a simulated provider is told to do: models, their conditions, and how these change in time.

A scenario file is data. It names the conditions of one model (an *incident*), or composes several
models out of incidents. `Conditions` are resolved when a file is loaded, so that a mistake in it
is found before the server starts and never in the middle of a run.

A phase may say what is wrong in it (`truth`), in the words of a diagnosis, so that a run against
the server can be judged: `Scenario.incidents`, in seconds after the server's start.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from probes.config import Price
from probes.events import Cause
from probes.kit.words import quoted

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0.0)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0.0)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
AtLeastOne: TypeAlias = Annotated[int, Meta(ge=1)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]

Down: TypeAlias = Literal["no", "unavailable", "closed"]
CutHow: TypeAlias = Literal["reset", "close", "end"]
HangAt: TypeAlias = Literal["request", "headers", "stream"]
RefusalKind: TypeAlias = Literal[
    "overloaded", "quota", "auth", "permission", "model_missing", "bad_request"
]

TurnedKnob: TypeAlias = Literal["concurrency", "interval", "rate", "max_tokens"]
"""Knobs that a scenario may turn: those of `probes.control`, a room of the same floor."""

DEFAULT_PROMPT: Final = "Write one short sentence about the sea."


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strict, frozen table of a scenario file."""


class Serving(_Table, frozen=True, kw_only=True):
    """How fast a model serves; durations in seconds, speeds in tokens per second."""

    gateway_s: NotNegative = 0.12
    """Time between the request's arrival and the model's queue: network, gateway, tokenizer."""
    queue_s: NotNegative = 0.0
    """Median time that the requests of other customers take which stand before one in the queue."""
    prompt_factor: Positive = 1.0
    """What a prompt counts as, as a multiple of its own tokens: a longer template, a tokenizer that
    cuts finer, a gateway that adds instructions."""
    prefill_tokens_per_s: Positive = 4000.0
    """Speed at which prompts are computed."""
    prefill_chunk: AtLeastOne = 512
    """Prompt tokens computed in one step, between decode steps of the running sequences."""
    cached_token_cost: Share = 0.05
    """Cost of a prompt token found in the prefix cache, as a share of a computed one."""
    prefix_cache_blocks: Count = 4096
    """Blocks of 16 tokens kept; 0 turns the prefix cache off."""
    decode_tokens_per_s: Positive = 50.0
    """Speed of a sequence that is alone in the batch."""
    batch_penalty: NotNegative = 0.06
    """How much longer a step takes for each further sequence in the batch."""
    chunk_tokens: AtLeastOne = 1
    """Tokens a sequence gains in one step (speculative decoding) and gets in one chunk."""
    max_batch: AtLeastOne = 16
    """Sequences served together; the others wait in the queue."""
    background: Count = 0
    """Sequences of other customers: they hold slots of the batch and slow its steps."""
    replicas: AtLeastOne = 1
    """Most that an autoscaler runs, of `max_batch` each; it begins with one."""
    scale_up_s: NotNegative = 60.0
    """How long all replicas must have been full until one more serves."""
    scale_down_s: NotNegative = 120.0
    """How long one replica fewer must have been enough until one goes."""
    cold_start_s: NotNegative = 0.0
    """Time the first request waits for the model to be loaded."""
    cold_after_s: NotNegative = 0.0
    """Idle time after which the model is unloaded; 0 is never."""
    answer_tokens: AtLeastOne = 48
    """Median length of an answer that is not cut by its cap."""
    answer_spread: NotNegative = 0.2
    """Sigma of the log-normal answer length."""
    jitter: NotNegative = 0.08
    """Sigma of the log-normal factor on gateway times, waits in the queue and steps."""
    context_tokens: AtLeastOne = 32_768
    """Prompt and answer cap together; what does not fit is a 400."""
    fingerprint: str = ""
    """`system_fingerprint` of the answers; empty sends none."""
    reports_times: bool = False
    """The usage comes with vLLM's `metrics`: time in the queue, to the first token, of the rest."""


class Limits(_Table, frozen=True, kw_only=True):
    """What a key may ask for; 0 is no limit."""

    concurrency: Count = 0
    """Requests at a time."""
    requests_per_min: NotNegative = 0.0
    """Requests a minute, charged on admission."""
    tokens_per_min: NotNegative = 0.0
    """Tokens a minute: prompt and answer cap together, charged on admission."""
    burst_s: Positive = 60.0
    """Seconds' worth of the two above that may be used at once; at least one request always."""
    others_share: NotNegative = 0.0
    """What others use of the two above on the same key, as a share of them; from 1 on all of it."""
    retry_after_s: NotNegative = 1.0
    """What a 429 for concurrency asks to wait; 0 sends no retry-after."""
    says_which: bool = True
    """A 429 says which limit was hit."""
    sends_headers: bool = True
    """Answers tell the limits and what is left of them, and a 429 what to wait."""
    max_queue: AtLeastOne = 512
    """Waiting sequences above which the model answers 503."""


class Faults(_Table, frozen=True, kw_only=True):
    """What goes wrong, as shares of requests."""

    down: Down = "no"
    """`unavailable`: every request is a 503; `closed`: the connection ends without an answer. Open
    streams are cut, and the model comes back cold."""
    error_share: Share = 0.0
    """Requests that are errors."""
    error_statuses: tuple[Annotated[int, Meta(ge=500, le=599)], ...] = (500, 502, 503)
    """Statuses that these errors are drawn from."""
    reset_share: Share = 0.0
    """Connections reset before an answer."""
    refuse_share: Share = 0.0
    """Requests that are refused for the reason `refuse`, whatever they ask."""
    refuse: RefusalKind = "overloaded"
    """Why: the server is full, or the account, key, model or request is not what it should be."""
    refuse_status: Annotated[int, Meta(ge=400, le=599)] | None = None
    """Instead of the status that OpenAI gives: 402 for a quota, 529 for an overload."""
    hang_share: Share = 0.0
    """Requests that are left hanging until their client goes away."""
    hang_at: HangAt = "request"
    """Where they are left: with nothing said, after the headers, or in mid-stream."""
    cut_share: Share = 0.0
    """Streams that stop in their middle for good."""
    cut_how: CutHow = "reset"
    """How: by a TCP reset; closed before the framing ends; or ended in good order, but without a
    finish reason and `[DONE]`."""
    stall_share: Share = 0.0
    """Streams that stop in their middle for a while."""
    stall_s: NotNegative = 2.0
    """Median length of a stall."""
    miss_share: Share = 0.0
    """Requests that find nothing in the prefix cache, as with several replicas behind one name."""
    close_share: Share = 0.0
    """Answers after which the connection is closed, and which say so."""
    wrong_share: Share = 0.0
    """Answers that leave out the word which their prompt asks for, and are well in all else; asked
    to `Answer with the one word: harbour` a model begins with that."""
    swap_share: Share = 0.0
    """Answers of another model or build than usual."""
    swap_model: str = ""
    """What they call themselves; empty: as they were asked."""
    swap_fingerprint: str = ""
    """Instead of the fingerprint."""

    def __post_init__(self) -> None:
        """Refuse a fault that nobody could see."""
        if self.swap_share and not (self.swap_model or self.swap_fingerprint):
            raise ValueError("swap_share needs swap_model, swap_fingerprint or both")
        if self.error_share and not self.error_statuses:
            raise ValueError("error_share needs one of error_statuses at least")


class Conditions(_Table, frozen=True, kw_only=True):
    """Everything that governs one model at one moment."""

    serving: Serving = Serving()
    limits: Limits = Limits()
    faults: Faults = Faults()


class Overrides(_Table, frozen=True, kw_only=True):
    """Fields of `Conditions` to replace; unnamed ones stay as they are."""

    serving: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    faults: dict[str, Any] = {}


def merge(base: Conditions, overrides: Overrides) -> Conditions:
    """Return `base` with the named fields replaced.

    Raises:
        msgspec.ValidationError: an override names no field, or has an impossible value.
    """
    tables = {
        "serving": overrides.serving,
        "limits": overrides.limits,
        "faults": overrides.faults,
    }
    if not any(tables.values()):
        return base
    whole = {name: {**fields, **tables[name]} for name, fields in msgspec.to_builtins(base).items()}
    return msgspec.convert(whole, Conditions)


class TrueCause(_Table, frozen=True, kw_only=True):
    """What is wrong in a phase, for whoever judges a diagnosis by it. The server never reads it."""

    cause: Cause
    """The cause, as a `diagnosis` names it."""
    within_s: Positive = 30.0
    """How soon after its onset it is to be named, in seconds."""
    shows_after_s: NotNegative = 0.0
    """How long nobody can see it yet, in seconds: a limit that is a little too small bites once its
    bucket is empty. Its onset is then."""
    also: tuple[Cause, ...] = ()
    """Causes that are no mistake beside it, or before it is named: what it looks like at first, and
    what follows from it."""


class Phase(_Table, frozen=True, kw_only=True):
    """A stretch of the timeline, from `start_s` to the next phase's start."""

    start_s: NotNegative = 0.0
    name: str = "steady"
    conditions: Conditions = Conditions()
    truth: tuple[TrueCause, ...] = ()
    """What is wrong; empty where all is well, or nobody says."""


@dataclass(frozen=True, slots=True)
class TrueIncident:
    """One thing that is wrong with one route, for as long as phases in a row say so."""

    route: str
    cause: Cause
    start_s: float
    """Seconds after the server's start, as `end_s`."""
    end_s: float | None
    """None: it goes on."""
    within_s: float
    """How soon after `start_s` it is to be named, in seconds."""
    also: tuple[Cause, ...] = ()
    """Causes that are no mistake beside it."""


class Timeline(_Table, frozen=True, kw_only=True):
    """Phases in order of time; the last one lasts, or all repeat every `repeat_s` seconds."""

    phases: tuple[Phase, ...] = (Phase(),)
    repeat_s: NotNegative = 0.0

    def __post_init__(self) -> None:
        """Refuse a timeline that has a hole or runs backwards."""
        starts = [phase.start_s for phase in self.phases]
        if not starts or starts[0] != 0.0:
            raise ValueError("the first phase must start at 0 seconds")
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise ValueError("phases must start one after the other")
        if self.repeat_s and self.repeat_s <= starts[-1]:
            raise ValueError("repeat_s must lie after the start of the last phase")

    def at(self, elapsed_s: float) -> Phase:
        """Return the phase at `elapsed_s` seconds after the start of the run."""
        position = elapsed_s % self.repeat_s if self.repeat_s else elapsed_s
        current = self.phases[0]
        for phase in self.phases[1:]:
            if phase.start_s > position:
                break
            current = phase
        return current

    def starts(self, until_s: float) -> Iterator[tuple[float, Phase]]:
        """Yield every phase that begins before `until_s`, and when it does."""
        cycle_s = 0.0
        while cycle_s < until_s:
            for phase in self.phases:
                if cycle_s + phase.start_s < until_s:
                    yield cycle_s + phase.start_s, phase
            if not self.repeat_s:
                return
            cycle_s += self.repeat_s


STEADY: Final = Timeline()
"""Default conditions, unchanging."""


class RouteSketch(_Table, frozen=True, kw_only=True):
    """How the demo watches a model; the fields are those of `probes.config.Route`."""

    name: Name | None = None
    """Name of the route; without it the model's."""
    dialect: Literal["chat", "ollama"] = "chat"
    """The API spoken; Ollama's says how long a model was loaded."""
    concurrency: AtLeastOne = 2
    """Workers: probes at the same time."""
    interval: NotNegative = 1.0
    """Seconds from one start to the next, per worker."""
    pace: Literal["interval", "constant", "poisson"] = "interval"
    """How probes begin: `constant` and `poisson` go by `rate`."""
    rate: Positive | None = None
    """Probes a second of an open pace, which needs it."""
    max_tokens: AtLeastOne = 64
    """Answer cap."""
    prompt: str = DEFAULT_PROMPT
    """User message."""
    prompt_tokens: AtLeastOne | None = None
    """A prompt of so many tokens is generated instead."""
    system: str | None = None
    """System message."""
    contains: str = ""
    """A text that its answers must have in them; empty expects nothing."""
    retries: Count | None = None
    """Per probe at most; without it as many as on any route."""
    first_token_timeout_s: Positive | None = None
    """To the first output; without it as long as on any route."""
    tags: tuple[str, ...] = ()
    """For the filter."""

    def __post_init__(self) -> None:
        """Refuse an open pace without a rate, and a rate without one."""
        if (self.pace != "interval") != (self.rate is not None):
            raise ValueError('expected a rate where the pace is "constant" or "poisson", else none')


class KnobTurn(_Table, frozen=True, kw_only=True):
    """Something that the user of the demo does: a knob of a route is set."""

    at_s: NotNegative
    """Seconds after the server's start."""
    route: Name
    """Name of the route."""
    knob: TurnedKnob
    """Which knob."""
    value: NotNegative
    """What it is set to."""


class HostedModel(_Table, frozen=True, kw_only=True):
    """One model of a provider: its name in requests, and what happens to it."""

    name: Name
    timeline: Timeline = STEADY
    price: Price | None = None
    """USD per million tokens."""
    reports_cost: bool = False
    """The usage carries `estimated_cost`, as DeepInfra's does; else the price is the client's."""
    route: RouteSketch = RouteSketch()

    @property
    def route_name(self) -> str:
        """Name of the route that watches it."""
        return self.route.name or self.name

    def incidents(self, until_s: float) -> tuple[TrueIncident, ...]:
        """Return what will have been wrong by `until_s` seconds of the run, in order of onset."""
        ended: list[TrueIncident] = []
        open_since: dict[TrueCause, float] = {}
        for start_s, phase in self.timeline.starts(until_s):
            for true in [true for true in open_since if true not in phase.truth]:
                ended.append(self._incident(true, open_since.pop(true), start_s))
            for true in phase.truth:
                open_since.setdefault(true, start_s)
        ended += [self._incident(true, since_s, None) for true, since_s in open_since.items()]
        return tuple(sorted(ended, key=lambda one: one.start_s))

    def _incident(self, true: TrueCause, start_s: float, end_s: float | None) -> TrueIncident:
        onset_s = start_s + true.shows_after_s
        return TrueIncident(self.route_name, true.cause, onset_s, end_s, true.within_s, true.also)


class Scenario(_Table, frozen=True, kw_only=True):
    """Everything one simulated provider hosts."""

    name: Name
    title: str = ""
    models: tuple[HostedModel, ...]
    turns: tuple[KnobTurn, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a provider of nothing, two models of one name, and a knob of no route."""
        names = [model.name for model in self.models]
        if not names:
            raise ValueError("a scenario hosts at least one model")
        if len(set(names)) != len(names):
            raise ValueError("two models of a scenario have the same name")
        routes = {model.route_name for model in self.models}
        for turn in self.turns:
            if turn.route not in routes:
                raise ValueError(
                    f"turns: there is no route {quoted(turn.route)}; there are: "
                    f"{', '.join(sorted(routes))}"
                )

    def incidents(self, until_s: float) -> tuple[TrueIncident, ...]:
        """Return what will have been wrong with any route by `until_s` seconds of the run.

        Routes that suffer the same at the same time have one each.
        """
        every = [one for model in self.models for one in model.incidents(until_s)]
        return tuple(sorted(every, key=lambda one: (one.start_s, one.route, one.cause)))


def steady(name: str, conditions: Conditions | None = None) -> Scenario:
    """Return a scenario of one model `name` whose conditions never change."""
    phase = Phase(conditions=conditions or Conditions())
    timeline = Timeline(phases=(phase,))
    return Scenario(name=name, models=(HostedModel(name=name, timeline=timeline),))


class PhaseTable(Overrides, frozen=True, kw_only=True):
    """A `[[phases]]` table: overrides of the file's own conditions, not of the phase before."""

    start_s: NotNegative
    """Seconds after the server's start; the first phase starts at 0."""
    name: str
    """Stands in the server's own log."""
    truth: tuple[TrueCause, ...] = ()
    """What is wrong meanwhile; phases in a row that say the same are one incident."""


class ModelTable(Overrides, frozen=True, kw_only=True):
    """A `[[models]]` table: an incident under a model's name, with its own overrides."""

    name: Name
    """The model's name in requests."""
    incident: Name
    """Name of another scenario file, one that has no `[[models]]` itself."""
    phases: tuple[PhaseTable, ...] | None = None
    """Replace the incident's timeline, together with `repeat_s`."""
    repeat_s: NotNegative = 0.0
    """Seconds after which the phases begin anew; 0: the last one lasts."""
    price: Price | None = None
    """`{ input = USD, output = USD }` per million tokens."""
    reports_cost: bool = False
    """The usage tells the cost; else the route has the price."""
    route: RouteSketch = RouteSketch()
    """How it is watched."""


class ScenarioFile(Overrides, frozen=True, kw_only=True):
    """A whole scenario file: an incident, or a composition where `models` is given.

    The overrides of a composition are those of all its models, after their incidents' own; its
    phases and routes are the models'.
    """

    title: str
    """What it plays, in a line."""
    phases: tuple[PhaseTable, ...] = ()
    """The timeline; without any nothing changes."""
    repeat_s: NotNegative = 0.0
    """Seconds after which the phases begin anew; 0: the last one lasts."""
    route: RouteSketch = RouteSketch()
    """How it is watched."""
    models: tuple[ModelTable, ...] = ()
    """Several models instead of one named as the file: then phases and routes are theirs."""
    turns: tuple[KnobTurn, ...] = ()
    """What the user of the demo does meanwhile."""

    def __post_init__(self) -> None:
        """Refuse what nobody would read."""
        if self.models and (self.phases or self.repeat_s or self.route != RouteSketch()):
            raise ValueError(
                "beside [[models]], phases, repeat_s and route are not read: they stand in a model"
            )
