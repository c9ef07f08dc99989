"""Every cause, mild and gross: what happens to which routes, and within what time it must be named.

A case says what happens; a `Setting` says how the routes are probed and how much they scatter. The
limits are those of one probe a second and of scatter up to 0.3; slower paces are judged in samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from probes.events import Cause, Limit

from .nature import Nature
from .trouble import NOTHING, Effect, Failure, Outline, Trouble, Turn

GROSS_S: Final = 30.0
HANG_S: Final = 20.0
LONG_HANG_S: Final = 40.0
"""Of a model whose first token takes seconds: ten times those are waited for."""
X3_S: Final = 40.0
X2_S: Final = 110.0
FIFTH_S: Final = 60.0
"""A fifth of the attempts fails."""
TENTH_S: Final = 250.0
WELL_AFTER_S: Final = 180.0
SAMPLES: Final = 22
GROSS_SAMPLES: Final = 7
"""At a slow pace: about twenty finished samples, and five where it is gross, with the one that was
under way and the one that is not over yet."""

Place = tuple[str, str, tuple[str, ...]]
"""A route's name, its host and its tags."""
THREE: Final[tuple[Place, ...]] = (
    ("alpha", "one", ()),
    ("beta", "one", ()),
    ("gamma", "two", ()),
)
FLEET: Final[tuple[Place, ...]] = (
    ("alpha", "one", ("eu",)),
    ("beta", "one", ("us",)),
    ("gamma", "one", ("us",)),
    ("delta", "two", ("eu",)),
    ("epsilon", "two", ("us",)),
    ("zeta", "two", ("asia",)),
    ("eta", "three", ("asia",)),
    ("theta", "three", ("eu",)),
)
"""Eight routes of three hosts."""
HIT: Final = ("alpha",)
HOST: Final = ("alpha", "beta")
ALL: Final = ("alpha", "beta", "gamma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the routes of a run are probed, and how they scatter."""

    pace_s: float = 1.0
    """From one probe of a route to its next."""
    workers: int | None = None
    """None for any of 1, 2 and 4."""
    sigma: float = 0.3
    health_s: float = 300.0
    evidence: bool = True
    tells_phase: bool = True
    tells_rtt: bool = True
    late_s: float = 0.0
    alone: bool = False
    """One route, with none beside it to compare with."""
    nature: Mapping[str, Any] = field(default_factory=dict)
    """What else is particular of all routes."""
    patience: float = 1.0
    """What all limits are multiplied by, for noise that is rougher than theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What happens to some routes, and what it is called."""

    causes: tuple[Cause, ...]
    effect: Effect = NOTHING
    routes: tuple[str, ...] = HIT
    limit_s: float = GROSS_S
    clear_s: float = 60.0
    """Longer where attempts of before its end go on failing behind it."""
    since_s: float = 10.0
    ramp_s: float = 0.0
    flap_s: float = 0.0
    starts_s: float = 0.0
    """After the first of its case."""
    lasts_s: float = 0.0
    """0 for half as long again as its limit, and 100 s at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of incident."""

    name: str
    acts: tuple[Act, ...]
    nature: Mapping[str, Any] = field(default_factory=dict)
    """What is particular of all its routes."""
    turns: tuple[Turn, ...] = ()
    """Their seconds are from the onset."""
    setting: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[Place, ...] = THREE


def outline(case: Case, setting: Setting, chance: Random) -> Outline:
    """Return a run of a case: health, the incident, health."""
    setting = replace(setting, **case.setting)
    there = case.places[:1] if setting.alone else case.places
    natures = tuple(_nature(place, case, setting, chance) for place in there)
    pace_s = max(1.0, setting.pace_s)
    # The onset is not in step with the ticks.
    onset_s = setting.health_s * max(1.0, pace_s / 5.0) + chance.random() * pace_s
    troubles: list[Trouble] = []
    for act in case.acts:
        limit_s, since_s, clear_s = (
            seconds * setting.patience for seconds in (act.limit_s, act.since_s, act.clear_s)
        )
        routes = HIT if setting.alone else act.routes
        if pace_s > 1.0:
            if act.effect.hangs:
                limit_s += pace_s
            elif act.effect.is_share:
                limit_s *= pace_s
                clear_s *= pace_s
                since_s *= pace_s
            else:
                samples = GROSS_SAMPLES if limit_s <= GROSS_S else SAMPLES
                limit_s = max(limit_s, samples * pace_s)
            since_s = max(since_s, 5 * pace_s)
            clear_s = max(clear_s, SAMPLES * pace_s)
        if setting.sigma > 0.45 and (act.effect.wait > 1.0 or act.effect.hangs):
            limit_s *= 1.5 if setting.sigma < 0.75 else 3.0
        lasts_s = act.lasts_s or max(100.0, 1.5 * limit_s)
        begin_s = onset_s + act.starts_s
        troubles.append(
            Trouble(
                causes=act.causes,
                routes=routes,
                onset_s=begin_s,
                end_s=begin_s + lasts_s,
                effect=act.effect,
                limit_s=limit_s,
                clear_s=clear_s,
                since_s=since_s,
                ramp_s=act.ramp_s,
                flap_s=act.flap_s,
            )
        )
    return Outline(
        natures=natures,
        troubles=tuple(troubles),
        turns=tuple(replace(turn, at_s=onset_s + turn.at_s) for turn in case.turns),
        length_s=max(one.end_s + one.clear_s for one in troubles) + WELL_AFTER_S - 60.0,
        tells_phase=setting.tells_phase,
        late_s=setting.late_s,
    )


def _nature(place: Place, case: Case, setting: Setting, chance: Random) -> Nature:
    name, host, tags = place
    workers = setting.workers or chance.choice((1, 2, 4))
    # One worker that is to probe each second has less than a second for an answer.
    hurry = workers == 1 and setting.pace_s <= 1.0
    figures: dict[str, Any] = {
        "host": f"{host}.example",
        "tags": tags,
        "workers": workers,
        "interval": setting.pace_s * workers,
        "wait_s": chance.uniform(0.15, 0.3) if hurry else chance.uniform(0.2, 0.6),
        "token_s": chance.uniform(0.009, 0.014) if hurry else chance.uniform(0.01, 0.03),
        "tokens": chance.uniform(18, 26) if hurry else chance.uniform(20, 36),
        "rtt_s": chance.uniform(0.012, 0.05),
        "headers_early": chance.random() < 0.5,
    }
    return Nature(
        name=name,
        sigma=setting.sigma,
        evidence=setting.evidence,
        tells_rtt=setting.tells_rtt,
        **figures | dict(setting.nature) | dict(case.nature),
    )


# ---------------------------------------------------------------------- what servers answer

INTERNAL = Failure("server_error", "internal", 500, message="Internal Server Error")
UNAVAILABLE = Failure("server_error", "unavailable", 503, message="Service Unavailable")
OVERLOADED = Failure("server_error", "overloaded", 529, message="Overloaded")
BUSY = Failure("server_error", "overloaded", 503, message="The model is currently overloaded")
REFUSED = Failure("protocol_error", "connect.refused", took_s=0.001, reached="dns")
UNREACHABLE = Failure("protocol_error", "connect.unreachable", took_s=0.003, reached="dns")
CONNECTING = Failure("timeout", "timeout.connect", took_s=10.0, reached="dns")
CLOSED = Failure("protocol_error", "reset", took_s=0.01, reached="sent")
NO_NAME = Failure("protocol_error", "connect.dns", took_s=0.02, reached="start")
EXPIRED = Failure("protocol_error", "connect.tls.expired", took_s=0.01, reached="tcp")
NO_TLS = Failure("protocol_error", "connect.tls", took_s=0.01, reached="tcp")
SPENT = Failure(
    "client_error", "quota", 429, retryable=False, message="You exceeded your current quota"
)
NO_KEY = Failure("client_error", "auth", 401, retryable=False, message="Invalid API key")
FORBIDDEN = Failure("client_error", "permission", 403, retryable=False, message="Not allowed")
NO_MODEL = Failure(
    "client_error", "model_not_found", 404, retryable=False, message="The model does not exist"
)
BAD = Failure("client_error", "bad_request", 400, retryable=False, message="Unknown parameter")
TOO_LONG = Failure("client_error", "context_length", 400, retryable=False, message="Too long")


def limited(kind: str = "", *, retry_after_s: float | None = None) -> Failure:
    """Return a 429 that says which limit it is about, or does not."""
    limits = ()
    if kind in ("requests", "tokens"):
        limits = (Limit(kind=kind, limit=600.0, remaining=0.0, reset_s=8.0, window="minute"),)
    return Failure(
        "throttled",
        f"rate_limit.{kind}" if kind else "rate_limit",
        429,
        took_s=0.06,
        message="Rate limit reached",
        retry_after_s=retry_after_s,
        limits=limits,
    )


def failing(share: float, failure: Failure, **more: Any) -> Effect:
    """Return an effect by which a share of the attempts fails in one way."""
    return Effect(failures=((share, failure),), **more)


def _since_s(share: float) -> float:
    """Return how far off the onset of a failing share may be: three failures' time."""
    return max(10.0, 3.0 / share)


REFUSALS: Final[tuple[tuple[Cause, Failure], ...]] = (
    ("auth_failure", NO_KEY),
    ("quota_exhausted", SPENT),
    ("model_missing", NO_MODEL),
    ("bad_request", BAD),
)
"""Definite answers, which may come to a share of the attempts only: one of several keys is bad."""

# ---------------------------------------------------------------------- the cases

QUEUE: Final[tuple[Cause, ...]] = ("provider_queueing",)


def _one(name: str, causes: tuple[Cause, ...] | Cause, effect: Effect, **more: Any) -> Case:
    of_case = {
        key: more.pop(key) for key in ("nature", "turns", "setting", "places") if key in more
    }
    act = Act(causes=(causes,) if isinstance(causes, str) else causes, effect=effect, **more)
    return Case(name=name, acts=(act,), **of_case)


def _errors(percent: int, limit_s: float, name: str = "", **more: Any) -> Case:
    """Return a case of errors that users see: nothing is tried again."""
    share = percent / 100
    slow = {} if percent >= 20 else {"clear_s": 120.0}
    return _one(
        name or f"provider_errors.{percent}",
        "provider_errors",
        failing(share, INTERNAL, **more),
        limit_s=limit_s,
        since_s=_since_s(share),
        nature={} if more else {"retries": 0},
        **slow,
    )


_CACHED: Final = {"cached_share": 0.8, "input_tokens": 2000}
_LONG: Final = {"max_tokens": 256, "tokens": 24.0, "token_s": 0.01}
_CANARY: Final = {"expects": True}
_FRESH: Final = {"keep_alive_s": 0.0, "wait_s": 0.2, "rtt_s": 0.05}

_SLOW_AND_LONG: Final = {
    "tokens": 300.0,
    "max_tokens": 512,
    "token_s": 0.015,
    "wait_s": 1.6,
    "interval": 10.0,
    "workers": 8,
    "goal_ttft_s": 5.0,
}
"""Answers that take several seconds to begin, and as long to write: at any moment some of them are
in their middle, and some are yet to be asked for."""

CASES: Final = (
    # Nothing comes, or nothing but failures.
    _one("no_answer.hang", "no_answer", Effect(hangs=True), limit_s=HANG_S, lasts_s=100.0),
    _one("no_answer.short", "no_answer", Effect(hangs=True), limit_s=HANG_S, lasts_s=40.0),
    _one(
        "no_answer.headers",
        "no_answer",
        Effect(hangs=True, hangs_late=True),
        limit_s=HANG_S,
        lasts_s=100.0,
    ),
    _one(
        "no_answer.30",
        "no_answer",
        Effect(hang_share=0.3),
        limit_s=60.0,
        since_s=15.0,
        nature={"retries": 0, "first_token_timeout_s": 5.0},
    ),
    _one(
        "no_answer.freeze",
        "no_answer",
        Effect(hangs=True, freezes=True),
        limit_s=LONG_HANG_S,
        lasts_s=100.0,
        nature=_SLOW_AND_LONG,
    ),
    Case(
        name="outage.frozen_first",
        acts=(
            Act(
                causes=("no_answer",),
                effect=Effect(hangs=True, freezes=True),
                limit_s=LONG_HANG_S,
                lasts_s=45.0,
                clear_s=90.0,
            ),
            # One fault, whose onset is that of the silence.
            Act(
                causes=("outage",),
                effect=failing(1.0, REFUSED),
                starts_s=45.0,
                lasts_s=60.0,
                since_s=60.0,
            ),
        ),
        nature=_SLOW_AND_LONG,
    ),
    _one("outage.refused", "outage", failing(1.0, REFUSED)),
    _one("outage.503", "outage", failing(1.0, UNAVAILABLE)),
    _one("outage.closed", "outage", failing(1.0, CLOSED)),
    _errors(50, GROSS_S),
    _errors(20, FIFTH_S),
    _errors(12, 200.0),
    _errors(10, TENTH_S),
    _errors(20, FIFTH_S, "provider_errors.20_of_probes", whole_probes=True),
    _errors(50, GROSS_S, "provider_errors.50_of_attempts", recovers=False),
    _one("provider_overloaded.all", ("provider_overloaded", "outage"), failing(1.0, OVERLOADED)),
    _one("provider_overloaded.60", "provider_overloaded", failing(0.6, BUSY)),
    _one(
        "provider_overloaded.20",
        "provider_overloaded",
        failing(0.2, OVERLOADED),
        limit_s=FIFTH_S,
        since_s=_since_s(0.2),
        nature={"retries": 0},
    ),
    # Slower.
    _one("provider_queueing.x5", QUEUE, Effect(wait=5.0)),
    _one("provider_queueing.x3", QUEUE, Effect(wait=3.0), limit_s=X3_S),
    _one("provider_queueing.x2", QUEUE, Effect(wait=2.0), limit_s=X2_S),
    _one("provider_slow_decode.x5", "provider_slow_decode", Effect(token=5.0)),
    _one("provider_slow_decode.x3", "provider_slow_decode", Effect(token=3.0), limit_s=X3_S),
    _one("provider_slow_decode.x2", "provider_slow_decode", Effect(token=2.0), limit_s=X2_S),
    _one(
        "provider_slow.throughout",
        ("provider_queueing", "provider_slow_decode"),
        Effect(wait=3.0, token=3.0),
        limit_s=X3_S,
    ),
    # Streams that stop.
    _one("stream_stalls.50", "stream_stalls", Effect(stall=0.5)),
    _one("stream_stalls.20", "stream_stalls", Effect(stall=0.2), limit_s=FIFTH_S, since_s=15.0),
    _one(
        "stream_stalls.timeout", "stream_stalls", Effect(stall_out=0.5), limit_s=60.0, clear_s=90.0
    ),
    _one("stream_stalls.all", "stream_stalls", Effect(stall_out=1.0), limit_s=60.0, clear_s=90.0),
    _one(
        "stream_stalls.all_long",
        "stream_stalls",
        Effect(stall_out=1.0),
        limit_s=60.0,
        clear_s=90.0,
        nature=_SLOW_AND_LONG,
    ),
    _one("stream_truncation.50", "stream_truncation", Effect(truncate=0.5)),
    _one(
        "stream_truncation.20",
        "stream_truncation",
        Effect(truncate=0.2),
        limit_s=FIFTH_S,
        since_s=15.0,
    ),
    # Limits and money.
    _one("rate_limited_requests.60", "rate_limited_requests", failing(0.6, limited("requests"))),
    _one("rate_limited_requests.plain", "rate_limited_requests", failing(0.6, limited())),
    _one("rate_limited_requests.all", "rate_limited_requests", failing(1.0, limited("requests"))),
    _one(
        "rate_limited_requests.wait",
        "rate_limited_requests",
        failing(0.5, limited("requests", retry_after_s=5.0)),
        limit_s=90.0,
    ),
    _one("rate_limited_tokens.60", "rate_limited_tokens", failing(0.6, limited("tokens"))),
    _one(
        "rate_limited_concurrency.60",
        "rate_limited_concurrency",
        failing(0.6, limited("concurrency")),
    ),
    _one("quota_exhausted", "quota_exhausted", failing(1.0, SPENT)),
    # What is asked.
    _one("auth_failure.key", "auth_failure", failing(1.0, NO_KEY)),
    _one("auth_failure.permission", "auth_failure", failing(1.0, FORBIDDEN)),
    _one("model_missing", "model_missing", failing(1.0, NO_MODEL)),
    _one("bad_request", "bad_request", failing(1.0, BAD)),
    _one("bad_request.context", "bad_request", failing(1.0, TOO_LONG)),
    *(
        _one(
            f"{cause}.33",
            cause,
            failing(0.33, failure),
            limit_s=FIFTH_S,
            since_s=15.0,
        )
        for cause, failure in REFUSALS
    ),
    _one("model_changed.model", "model_changed", Effect(model="model-1-mini")),
    _one("model_changed.build", "model_changed", Effect(fingerprint="fp_2")),
    _one(
        "model_changed.30",
        "model_changed",
        Effect(fingerprint="fp_2", swapped=0.3),
        limit_s=FIFTH_S,
        since_s=15.0,
    ),
    _one("wrong_answers.all", "wrong_answers", Effect(wrong=1.0), nature=_CANARY),
    _one("wrong_answers.host", "wrong_answers", Effect(wrong=1.0), nature=_CANARY, routes=HOST),
    _one("wrong_answers.50", "wrong_answers", Effect(wrong=0.5), nature=_CANARY),
    _one(
        "wrong_answers.20",
        "wrong_answers",
        Effect(wrong=0.2),
        nature=_CANARY,
        limit_s=FIFTH_S,
        since_s=15.0,
    ),
    # What is beside the point is longer; another model that is wrong is another model.
    _one(
        "wrong_answers.longer",
        "wrong_answers",
        Effect(wrong=1.0, output=2.0),
        nature={**_LONG, **_CANARY},
    ),
    _one("model_changed.wrong", "model_changed", Effect(model="mini", wrong=1.0), nature=_CANARY),
    _one("stream_truncation.canary", "stream_truncation", Effect(truncate=0.5), nature=_CANARY),
    # The way there.
    _one(
        "network_path.loss",
        "network_path",
        Effect(rtt=5.0, loss=0.25, jitter_s=0.02),
        routes=HOST,
    ),
    _one("network_path.rtt5", "network_path", Effect(rtt=5.0, jitter_s=0.01), routes=HOST),
    _one(
        "network_path.rtt3", "network_path", Effect(rtt=3.0, loss=0.05), routes=HOST, limit_s=X3_S
    ),
    _one(
        "network_path.untold",
        "network_path",
        Effect(rtt=5.0, loss=0.25, jitter_s=0.02),
        routes=HOST,
        nature=_FRESH,
        setting={"tells_rtt": False},
        limit_s=X3_S,
    ),
    _one(
        "network_path.everywhere",
        ("network_path", "local_observer"),
        Effect(rtt=5.0, loss=0.25, jitter_s=0.02),
        routes=ALL,
    ),
    _one("network_path.lossy", "network_path", Effect(loss=0.4), routes=HOST, limit_s=FIFTH_S),
    _one("network_path.unreachable", "network_path", failing(1.0, UNREACHABLE), routes=HOST),
    _one(
        "network_path.connect",
        "network_path",
        failing(1.0, CONNECTING),
        routes=HOST,
        clear_s=70.0,
    ),
    _one("dns", "dns", failing(1.0, NO_NAME), routes=HOST),
    _one("tls.expired", "tls", failing(1.0, EXPIRED), routes=HOST),
    _one("tls.none", "tls", failing(1.0, NO_TLS), routes=HOST),
    _one("connection_churn.all", "connection_churn", Effect(cold=1.0)),
    _one("connection_churn.50", "connection_churn", Effect(cold=0.5)),
    _one("connection_churn.30", "connection_churn", Effect(cold=0.3), limit_s=60.0, since_s=15.0),
    # What it is asked with, and what it makes of it.
    _one("cold_start.load", "cold_start", Effect(load_s=4.0)),
    _one("cold_start.brief", "cold_start", Effect(load_s=0.8), limit_s=60.0),
    _one(
        "cache_loss.all",
        "cache_loss",
        Effect(uncached=1.0, uncached_wait=2.5),
        nature=_CACHED,
    ),
    _one(
        "cache_loss.cheap",
        "cache_loss",
        Effect(uncached=1.0, uncached_wait=1.3),
        nature=_CACHED,
        limit_s=X3_S,
    ),
    _one(
        "cache_loss.50",
        "cache_loss",
        Effect(uncached=0.5, uncached_wait=2.5),
        nature=_CACHED,
        limit_s=60.0,
        since_s=15.0,
    ),
    _one(
        "cache_loss.from_85",
        "cache_loss",
        Effect(uncached=1.0, uncached_wait=2.0),
        nature={**_CACHED, "second_mode": 0.15},
        limit_s=X2_S,
    ),
    _one("prompt_growth.x4", "prompt_growth", Effect(input=4.0, wait=1.8)),
    _one("prompt_growth.x2", "prompt_growth", Effect(input=2.0), limit_s=X3_S),
    _one("output_growth.x3", "output_growth", Effect(output=3.0), nature=_LONG),
    _one("output_growth.x2", "output_growth", Effect(output=2.0), nature=_LONG, limit_s=X3_S),
    # Hidden, and our own.
    _one(
        "retry_masking.12",
        "retry_masking",
        failing(0.12, INTERNAL, recovers=True),
        limit_s=200.0,
        clear_s=120.0,
        since_s=_since_s(0.12),
    ),
    _one(
        "retry_masking.30",
        "retry_masking",
        failing(0.3, INTERNAL, recovers=True),
        limit_s=60.0,
    ),
    _one(
        "retry_masking.20_of_attempts",
        ("retry_masking", "provider_errors"),
        failing(0.2, INTERNAL),
        limit_s=FIFTH_S,
        since_s=_since_s(0.2),
    ),
    _one(
        "own_load",
        "own_load",
        Effect(crowd=0.35),
        limit_s=60.0,
        lasts_s=150.0,
        nature={"workers": 2, "interval": 2.0, "wait_s": 0.4, "token_s": 0.015},
        turns=(
            Turn(at_s=0.0, what="knob", route="alpha", knob="concurrency", value=12.0),
            Turn(at_s=150.0, what="knob", route="alpha", knob="concurrency", value=2.0),
        ),
    ),
    _one(
        "local_observer.100ms",
        "local_observer",
        Effect(lag_s=0.1, cpu_share=1.0, wait=1.6),
        routes=ALL,
        limit_s=X2_S,
        nature={"wait_s": 0.2},
    ),
    _one(
        "local_observer.300ms",
        "local_observer",
        Effect(lag_s=0.3, cpu_share=1.1, wait=2.0),
        routes=ALL,
        limit_s=X3_S,
        nature={"wait_s": 0.2},
    ),
    # Several routes, several faults.
    _one("host.queueing_x3", QUEUE, Effect(wait=3.0), routes=HOST, limit_s=X3_S),
    _one("host.errors_50", "provider_errors", failing(0.5, INTERNAL), routes=HOST),
    _one("host.hang", "no_answer", Effect(hangs=True), routes=HOST, limit_s=HANG_S),
    _one("all.queueing_x3", QUEUE, Effect(wait=3.0), routes=ALL, limit_s=X3_S),
    _one("all.errors_50", "provider_errors", failing(0.5, INTERNAL), routes=ALL),
    *(
        _one(f"fleet.{name}", causes, effect, routes=routes, limit_s=limit_s, places=FLEET)
        for name, causes, effect, routes, limit_s in (
            ("one_x3", QUEUE, Effect(wait=3.0), ("delta",), X3_S),
            ("host_x2", QUEUE, Effect(wait=2.0), ("alpha", "beta", "gamma"), X2_S),
            ("host_x3", QUEUE, Effect(wait=3.0), ("eta", "theta"), X3_S),
            ("tag_x3", QUEUE, Effect(wait=3.0), ("alpha", "delta", "theta"), X3_S),
            ("all_x2", QUEUE, Effect(wait=2.0), tuple(name for name, *_ in FLEET), X2_S),
            ("host_path", ("network_path",), Effect(rtt=5.0), ("delta", "epsilon", "zeta"), X3_S),
            (
                "host_errors",
                ("provider_errors",),
                failing(0.5, INTERNAL),
                ("delta", "epsilon", "zeta"),
                GROSS_S,
            ),
        )
    ),
    Case(
        name="two.routes",
        acts=(
            Act(causes=QUEUE, effect=Effect(wait=3.0), limit_s=X3_S),
            Act(
                causes=("provider_errors",),
                effect=failing(0.5, INTERNAL),
                routes=("gamma",),
                starts_s=10.0,
            ),
        ),
    ),
    Case(
        name="two.one_route",
        acts=(
            Act(causes=("provider_slow_decode",), effect=Effect(token=3.0), limit_s=X3_S),
            Act(causes=("stream_truncation",), effect=Effect(truncate=0.5), starts_s=30.0),
        ),
    ),
    Case(
        name="two.one_after_the_other",
        acts=(
            Act(causes=QUEUE, effect=Effect(wait=5.0), lasts_s=100.0),
            Act(
                causes=("provider_errors",),
                effect=failing(0.5, INTERNAL),
                starts_s=220.0,
            ),
        ),
    ),
    # The run goes on.
    _one(
        "after.pause",
        QUEUE,
        Effect(wait=5.0),
        turns=(
            Turn(at_s=-90.0, what="pause", route="alpha"),
            Turn(at_s=-0.5, what="resume", route="alpha"),
        ),
    ),
    Case(
        name="usual.accepted",
        acts=(
            Act(causes=QUEUE, effect=Effect(wait=2.0), lasts_s=150.0, limit_s=X2_S),
            Act(causes=(), effect=Effect(wait=2.0), starts_s=150.0, lasts_s=300.0),
        ),
        turns=(Turn(at_s=148.0, what="knob", route="alpha", knob="usual", value=1.0),),
    ),
    _one("usual.settles", QUEUE, Effect(wait=2.0), limit_s=X2_S, lasts_s=4500.0),
    _one(
        "after.hold",
        QUEUE,
        Effect(wait=5.0),
        turns=(Turn(at_s=-60.0, what="hold", route="alpha", value=58.0),),
    ),
    _one(
        "engine_dies.before",
        QUEUE,
        Effect(wait=5.0),
        turns=(Turn(at_s=-20.0, what="die"),),
    ),
    _one(
        "engine_dies.within",
        "provider_errors",
        failing(0.5, INTERNAL),
        turns=(Turn(at_s=50.0, what="die"),),
    ),
    _one(
        "pause.within",
        QUEUE,
        Effect(wait=5.0),
        lasts_s=300.0,
        turns=(
            Turn(at_s=60.0, what="pause", route="alpha"),
            Turn(at_s=160.0, what="resume", route="alpha"),
        ),
    ),
    _one(
        "ramp.queueing_x4",
        QUEUE,
        Effect(wait=4.0),
        ramp_s=600.0,
        lasts_s=900.0,
        limit_s=600.0,
        since_s=400.0,
    ),
    _one("flapping.errors", ("provider_errors", "outage"), failing(0.9, INTERNAL), flap_s=15.0),
    _one("flapping.queueing", QUEUE, Effect(wait=5.0), flap_s=15.0, limit_s=60.0),
)

VARIATIONS: Final[Mapping[str, Setting]] = {
    "": Setting(),
    "sigma0.2": Setting(sigma=0.2),
    "sigma0.6": Setting(sigma=0.6),
    "workers8": Setting(workers=8),
    "every5s": Setting(pace_s=5.0, workers=1),
    "every5s.no_evidence": Setting(pace_s=5.0, workers=1, evidence=False),
    "every30s": Setting(pace_s=30.0, workers=1),
    "sigma0.9": Setting(sigma=0.9, patience=1.5),
    "rough": Setting(
        nature={"second_mode": 0.15, "outliers": 0.02, "wander_sd": 0.1, "token_sigma": 0.15},
        patience=1.5,
    ),
    "loopback": Setting(
        nature={"rtt_s": 0.00003, "rtt_sigma": 0.6, "is_tls": False, "host": "127.0.0.1:8000"}
    ),
    "alone": Setting(alone=True),
    "thinking": Setting(
        nature={
            "wait_s": 6.0,
            "tail": 0.3,
            "tail_factor": 8.0,
            "tokens": 200.0,
            "tokens_sigma": 0.6,
            "per_read": 8,
            "max_tokens": 2000,
            "goal_ttft_s": 20.0,
            "first_token_timeout_s": 300.0,
        },
        workers=8,
        sigma=0.5,
        patience=3.0,
    ),
    "whole_answers": Setting(nature={"is_streamed": False}),
    "two_engines": Setting(late_s=0.2),
    "early": Setting(health_s=125.0),
    "untold": Setting(tells_phase=False, tells_rtt=False),
}
EVERYWHERE: Final = ("alone", "loopback", "every5s")
"""Settings in which every case is tried that has a meaning there."""
VARIED: Final = (
    "no_answer.hang",
    "provider_queueing.x5",
    "provider_queueing.x3",
    "provider_slow_decode.x3",
    "provider_errors.50",
    "auth_failure.key",
    "network_path.loss",
)
"""Cases that are tried in every setting."""


def named() -> dict[str, tuple[Case, Setting]]:
    """Return all scenarios by name: each case as it is, and some in every other setting."""
    found = {case.name: (case, VARIATIONS[""]) for case in CASES}
    for suffix, setting in VARIATIONS.items():
        for case in CASES:
            if suffix and (case.name in VARIED or suffix in EVERYWHERE) and _fits(case, suffix):
                found[f"{case.name}@{suffix}"] = case, setting
    return found


def _fits(case: Case, suffix: str) -> bool:
    """Tell whether a case is what it is called in another setting."""
    if suffix == "alone":
        hit = all("alpha" in act.routes for act in case.acts)
        return hit and case.places is THREE and case.acts[0].routes != ALL
    cause = case.acts[0].causes[0]
    if suffix == "thinking":
        return cause not in ("no_answer", "network_path")  # what hangs looks like what thinks
    if suffix == "whole_answers":
        return cause in ("auth_failure", "provider_errors")  # which part of a whole is slow?
    if suffix == "every5s":
        # Their seconds are those of one probe a second.
        return not case.turns and not any(act.flap_s or act.ramp_s for act in case.acts)
    # One machine with several ports has no path of its own to any of them.
    return suffix != "loopback" or (case.acts[0].routes == HIT and "churn" not in case.name)


def cause_of(name: str) -> Cause:
    """Return the best name of a case's first act."""
    return next(case.acts[0].causes[0] for case in CASES if case.name == name)


def run_of(name: str, seed: int) -> Outline:
    """Return the run of a scenario; the same name and seed are the same run."""
    case, setting = named()[name]
    return outline(case, setting, Random(f"{name} {seed}"))
