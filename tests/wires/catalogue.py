"""Incidents that can be played live: what happens, to which routes, and what it truly is.

Each is well for a while, then ill, then well again. What the provider does to requests is a phase
of its scenario; what happens on the way to it is done by the parts of the stage. Routes are probed
once a second, and beside those that are hit there is one that is not: `well`.

Scenarios that ship with the provider can be played too, by their name; what is true of them they
say themselves.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from probes.simulator.library import load_scenario
from probes.simulator.scenario import TrueIncident
from wires.bad_wire import Weather
from wires.certificates import Certificate
from wires.front import Behaviour, Fronting
from wires.resolver import Names
from wires.stage import Load, Stage, WatchedRoute
from wires.verdicts import GRACE_S

GROSS_S: Final = 30.0
"""How soon what is gross is to be named: fivefold, half of all failing, a definite answer."""
HANG_S: Final = 20.0
THREEFOLD_S: Final = 40.0
TWOFOLD_S: Final = 110.0
FIFTH_S: Final = 60.0
"""Where a fifth of the requests is hit."""

_TOKENS: Final = 24
_PACE: Final[Mapping[str, Any]] = {"interval": 1, "max_tokens": _TOKENS}
# A well answer takes some 0.65 s, so that one worker keeps its pace of a probe a second; none is
# cut short of its cap, and the provider's own limits are out of the way.
_USUAL: Final = {"gateway_s": 0.15, "answer_tokens": 3 * _TOKENS}
_NO_LIMITS: Final = {"requests_per_min": 0, "tokens_per_min": 0}

Table: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Course:
    """How an incident runs: well, ill and well again, in seconds; and how restless it all is."""

    well_s: float = 120.0
    ill_s: float = 75.0
    after_s: float = 75.0
    jitter: float = 0.15
    """Sigma of the log-normal noise on the provider's waits and steps."""
    seed: int = 1
    """Of all chance."""

    @property
    def to_s(self) -> float:
        """The end of what is ill, since the stage's start."""
        return self.well_s + self.ill_s

    @property
    def ill(self) -> dict[str, float]:
        """While it is ill, as spans have it."""
        return {"from_s": self.well_s, "to_s": self.to_s}

    @property
    def all_s(self) -> float:
        """The end of all."""
        return self.to_s + self.after_s


@dataclass(frozen=True)
class Expected:
    """What is true of a stage, in its seconds."""

    cause: str
    routes: frozenset[str]
    from_s: float
    to_s: float
    within_s: float = GROSS_S
    """How soon it is to be named."""
    also: frozenset[str] = frozenset()
    """Causes that are no mistake beside it."""
    grace_s: float = GRACE_S
    """How long it may be cleared after its end."""


@dataclass(frozen=True)
class Scene:
    """A stage, and what is true of it."""

    stage: Stage
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Incident:
    """Something that can be played."""

    name: str
    title: str
    scene: Callable[[Course], Scene]
    is_loud: bool = False
    """It takes a core of the machine: nothing else may be played beside it."""


def _inline(table: Table) -> str:
    """Return a table of TOML in one line."""
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"


def _model(name: str, course: Course, ill: Mapping[str, Table], usual: Table) -> str:
    """Return a model of the provider; `ill` replaces its tables while it is ill."""
    lines = [
        "[[models]]",
        f'name = "{name}"',
        'incident = "healthy"',
        f"serving = {_inline({**_USUAL, 'jitter': course.jitter, **usual})}",
        f"limits = {_inline(_NO_LIMITS)}",
    ]
    for start_s, phase, tables in (
        (0.0, "well", {}),
        (course.well_s, "ill", ill),
        (course.to_s, "well again", {}),
    ):
        lines += ["[[models.phases]]", f"start_s = {start_s}", f'name = "{phase}"']
        lines += [f"{kind} = {_inline(table)}" for kind, table in tables.items()]
    return "\n".join(lines) + "\n"


def _provider(models: Iterable[str]) -> str:
    return 'title = "played live"\n' + "\n".join(models)


def _at_the_provider(
    name: str,
    title: str,
    cause: str,
    ill: Mapping[str, Table],
    *,
    usual: Table | None = None,
    settings: Table | None = None,
    within_s: float = GROSS_S,
    also: Iterable[str] = (),
) -> Incident:
    """An incident of one model, watched by the route `hit`; another of the provider is well."""

    def scene(course: Course) -> Scene:
        models = [_model("hit", course, ill, usual or {}), _model("well", course, {}, usual or {})]
        pace = {**_PACE, **(settings or {})}
        stage = Stage(
            scenario=_provider(models),
            routes=tuple(WatchedRoute(name=n, model=n, settings=pace) for n in ("hit", "well")),
            duration_s=course.all_s,
            seed=course.seed,
        )
        routes = frozenset({"hit"})
        truth = Expected(cause, routes, course.well_s, course.to_s, within_s, frozenset(also))
        return Scene(stage, (truth,))

    return Incident(name, title, scene)


def _on_the_way(
    name: str,
    title: str,
    cause: str,
    parts: Callable[[Course], dict[str, Any]],
    *,
    settings: Table | None = None,
    within_s: float = GROSS_S,
    also: Iterable[str] = (),
) -> Incident:
    """An incident of all that is far: two routes to two models; a third goes another way."""

    def scene(course: Course) -> Scene:
        far = {**_PACE, **(settings or {})}
        stage = Stage(
            scenario=_provider(_model(n, course, {}, {}) for n in ("one", "two")),
            routes=(
                WatchedRoute(name="far-one", model="one", settings=far),
                WatchedRoute(name="far-two", model="two", settings=far),
                WatchedRoute(name="well", model="one", is_far=False, settings=dict(_PACE)),
            ),
            duration_s=course.all_s,
            seed=course.seed,
            **parts(course),
        )
        routes = frozenset({"far-one", "far-two"})
        truth = Expected(cause, routes, course.well_s, course.to_s, within_s, frozenset(also))
        return Scene(stage, (truth,))

    return Incident(name, title, scene)


def _fronting(behaviour: Behaviour) -> Callable[[Course], dict[str, Any]]:
    def parts(course: Course) -> dict[str, Any]:
        return {"fronting": (Fronting(**course.ill, behaviour=behaviour),)}

    return parts


def _weather(*, loss: float = 0.0, delay_ms: float = 5.0, jitter_ms: float = 0.5) -> Any:
    def parts(course: Course) -> dict[str, Any]:
        usual = Weather(from_s=0.0, to_s=course.all_s, delay_ms=5.0, jitter_ms=0.5)
        bad = Weather(
            from_s=course.well_s,
            to_s=course.to_s,
            delay_ms=delay_ms,
            jitter_ms=jitter_ms,
            loss=loss,
        )
        return {"wire": (usual, bad)}

    return parts


def _names(bad: Table) -> Callable[[Course], dict[str, Any]]:
    """Names go bad; and connections are not kept, else nobody would ask for a name again."""

    def parts(course: Course) -> dict[str, Any]:
        well = Names(from_s=0.0, to_s=course.all_s)
        return {"names": (well, Names(**{**bad, **course.ill}))}

    return parts


def _expired(course: Course) -> dict[str, Any]:
    well = Certificate(from_s=0.0, to_s=course.well_s)
    return {"certificates": (well, Certificate(**course.ill, flaw="expired"))}


def _two_at_once(course: Course) -> Scene:
    """Two faults of two models, the second ten seconds after the first; a third model is well."""
    later = replace(course, well_s=course.well_s + 10.0, ill_s=course.ill_s - 10.0)
    models: dict[str, tuple[Course, Mapping[str, Table]]] = {
        "slow": (course, {"serving": {"decode_tokens_per_s": 10}}),
        "failing": (later, {"faults": {"error_share": 0.6}}),
        "well": (course, {}),
    }
    stage = Stage(
        scenario=_provider(_model(n, when, ill, {}) for n, (when, ill) in models.items()),
        routes=tuple(WatchedRoute(name=n, model=n, settings=dict(_PACE)) for n in models),
        duration_s=course.all_s,
        seed=course.seed,
    )
    return Scene(
        stage,
        (
            Expected("provider_slow_decode", frozenset({"slow"}), course.well_s, course.to_s),
            Expected(
                "provider_errors",
                frozenset({"failing"}),
                later.well_s,
                later.to_s,
                also=frozenset({"retry_masking"}),
            ),
        ),
    )


def _busy_observer(course: Course) -> Scene:
    stage = Stage(
        scenario=_provider(_model(n, course, {}, {}) for n in ("one", "two")),
        routes=(
            WatchedRoute(name="far-one", model="one", settings=dict(_PACE)),
            WatchedRoute(name="far-two", model="two", settings=dict(_PACE)),
            WatchedRoute(name="near", model="one", is_far=False, settings=dict(_PACE)),
        ),
        duration_s=course.all_s,
        seed=course.seed,
        load=(Load(**course.ill),),
    )
    every = frozenset(route.name for route in stage.routes)
    return Scene(stage, (Expected("local_observer", every, course.well_s, course.to_s),))


def _well(course: Course) -> Scene:
    """Nothing happens: whatever is said is wrong."""
    stage = Stage(
        scenario=_provider(_model(n, course, {}, {}) for n in ("one", "two")),
        routes=tuple(WatchedRoute(name=n, model=n, settings=dict(_PACE)) for n in ("one", "two")),
        duration_s=course.all_s,
        seed=course.seed,
    )
    return Scene(stage, ())


_LONG_PROMPT: Final = {"prompt_tokens": 2400}
"""Computed in 0.6 s, in the cache in a twentieth of that."""

INCIDENTS: Final = (
    Incident("well", "nothing happens", _well),
    _at_the_provider(
        "hang", "requests are taken and never answered", "no_answer",
        {"faults": {"hang_share": 1.0}}, within_s=HANG_S, also=("outage",),
    ),
    _on_the_way(
        "hang-front", "the front takes connections and is silent", "no_answer",
        # Who was in mid-answer has a stream that pauses, and with one worker nothing else.
        _fronting("silent"), within_s=HANG_S, also=("outage", "stream_stalls"),
    ),
    _at_the_provider(
        "queue", "the queue is five times as long", "provider_queueing",
        {"serving": {"gateway_s": 0.85}},
    ),
    _at_the_provider(
        "queue-threefold", "the queue is three times as long", "provider_queueing",
        {"serving": {"gateway_s": 0.50}}, within_s=THREEFOLD_S,
    ),
    _at_the_provider(
        "decode", "tokens come a fifth as fast", "provider_slow_decode",
        {"serving": {"decode_tokens_per_s": 10}},
    ),
    _at_the_provider(
        "decode-twofold", "tokens come half as fast", "provider_slow_decode",
        {"serving": {"decode_tokens_per_s": 25}}, within_s=TWOFOLD_S,
    ),
    _at_the_provider(
        "errors", "six in ten requests get a 500", "provider_errors",
        {"faults": {"error_share": 0.6, "error_statuses": [500]}}, also=("retry_masking",),
    ),
    _at_the_provider(
        "errors-fifth", "a fifth of the requests gets a 500, and nobody tries again",
        "provider_errors", {"faults": {"error_share": 0.2, "error_statuses": [500]}},
        settings={"retries": 0}, within_s=FIFTH_S,
    ),
    _at_the_provider(
        "errors-masked", "a fifth of the requests gets a 500, and the next try an answer",
        "retry_masking", {"faults": {"error_share": 0.2, "error_statuses": [500]}},
        within_s=FIFTH_S, also=("provider_errors",),
    ),
    _at_the_provider(
        "overload", "eight in ten requests are refused: overloaded", "provider_overloaded",
        {"faults": {"refuse_share": 0.8, "refuse": "overloaded"}}, also=("retry_masking",),
    ),
    _at_the_provider(
        "concurrency", "one request at a time, and we send three", "rate_limited_concurrency",
        {"limits": {"concurrency": 1}}, settings={"concurrency": 3, "interval": 3},
    ),
    _at_the_provider(
        "requests", "twenty requests a minute, and we send sixty", "rate_limited_requests",
        {"limits": {"requests_per_min": 20, "burst_s": 3}},
    ),
    _at_the_provider(
        "tokens", "a third of the tokens that we use a minute", "rate_limited_tokens",
        {"limits": {"tokens_per_min": 800, "burst_s": 3}},
    ),
    _at_the_provider(
        "quota", "the account has nothing left", "quota_exhausted",
        {"faults": {"refuse_share": 1.0, "refuse": "quota"}},
    ),
    _at_the_provider(
        "auth", "the key is refused", "auth_failure",
        {"faults": {"refuse_share": 1.0, "refuse": "auth"}},
    ),
    _at_the_provider(
        "model-gone", "there is no such model any more", "model_missing",
        {"faults": {"refuse_share": 1.0, "refuse": "model_missing"}},
    ),
    _at_the_provider(
        "truncation", "half of the answers end without their end", "stream_truncation",
        {"faults": {"cut_share": 0.5, "cut_how": "end"}}, also=("retry_masking",),
    ),
    _at_the_provider(
        "stalls", "half of the streams pause for two seconds", "stream_stalls",
        {"faults": {"stall_share": 0.5, "stall_s": 2.0}},
    ),
    _at_the_provider(
        "cache", "nothing is found in the prompt cache", "cache_loss",
        {"faults": {"miss_share": 1.0}}, settings=_LONG_PROMPT, also=("provider_queueing",),
    ),
    _on_the_way(
        "outage", "nobody listens any more", "outage",
        _fronting("refuse"),
    ),
    _on_the_way(
        "churn", "the front closes each connection after its answer", "connection_churn",
        _fronting("hang_up"),
    ),
    _on_the_way(
        "wire", "a round trip takes 160 ms instead of 10", "network_path",
        _weather(delay_ms=80.0, jitter_ms=8.0),
    ),
    _on_the_way(
        "wire-loss", "one packet in eight is lost, each way", "network_path",
        _weather(loss=0.125), within_s=THREEFOLD_S,
    ),
    _on_the_way(
        "dns", "the resolver fails", "dns",
        _names({"answer": "server_failure"}), settings={"connection": "fresh"},
    ),
    _on_the_way(
        "dns-slow", "the resolver takes a second", "dns",
        _names({"delay_s": 1.0}), settings={"connection": "fresh"},
    ),
    _on_the_way("tls", "the certificate has expired", "tls", _expired),
    Incident("two-at-once", "one model is slow, another fails", _two_at_once),
    Incident("observer", "this machine is busy", _busy_observer, is_loud=True),
)  # fmt: skip
BY_NAME: Final = {incident.name: incident for incident in INCIDENTS}


def shipped(name: str) -> Incident:
    """Return a scenario that ships with the provider, as an incident; it has its own times.

    Raises:
        UnknownScenarioError: there is none of that name.
    """
    scenario = load_scenario(name)
    ends_s = max(
        model.timeline.repeat_s or model.timeline.phases[-1].start_s for model in scenario.models
    )

    def scene(course: Course) -> Scene:
        until_s = ends_s + course.after_s
        # What befalls several routes alike is one thing that is wrong.
        together: dict[tuple[str, float, float], list[TrueIncident]] = {}
        for one in scenario.incidents(until_s):
            end_s = until_s if one.end_s is None else one.end_s
            together.setdefault((one.cause, one.start_s, end_s), []).append(one)
        expected = (
            Expected(
                cause,
                frozenset(one.route for one in ones),
                from_s,
                to_s,
                ones[0].within_s,
                frozenset(ones[0].also),
            )
            for (cause, from_s, to_s), ones in together.items()
        )
        return Scene(Stage(shipped=name, duration_s=until_s, seed=course.seed), tuple(expected))

    return Incident(name, scenario.title, scene)
