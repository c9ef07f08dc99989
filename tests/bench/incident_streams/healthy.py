"""Routes that are well, as restless as real ones: nothing may be named of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from .nature import Nature
from .trouble import Effect, Failure, Outline, Trouble, Turn

DAY_S: Final = 86_400.0
RUN_S: Final = 8 * 3600.0
SHORT: Final = Failure(
    "cancelled", "local.descriptors", retryable=False, took_s=0.0005, reached="start"
)


def _routes(count: int, **figures: object) -> tuple[Nature, ...]:
    names = ("alpha", "beta", "gamma", "delta")
    hosts = ("one", "one", "two", "three")
    return tuple(
        Nature(**{"name": names[at], "host": f"{hosts[at]}.example"} | figures)  # type: ignore[arg-type]
        for at in range(count)
    )


def _scatter(sigma: float) -> Callable[[Random], Outline]:
    def kind(chance: Random) -> Outline:
        return Outline(
            natures=_routes(2, sigma=sigma, wait_s=chance.uniform(0.2, 0.5)), length_s=RUN_S
        )

    return kind


def two_humps(chance: Random) -> Outline:
    return Outline(
        natures=_routes(2, second_mode=0.15, cached_share=0.8, input_tokens=2000), length_s=RUN_S
    )


def wandering(chance: Random) -> Outline:
    return Outline(natures=_routes(2, wander_sd=0.15), length_s=RUN_S)


def by_the_day(chance: Random) -> Outline:
    return Outline(natures=_routes(2, swing=0.22), length_s=RUN_S)


def stray(chance: Random) -> Outline:
    return Outline(
        natures=_routes(2, errors=0.002, throttles=0.002, stalls=0.002, truncations=0.0005),
        length_s=RUN_S,
    )


def gusts(chance: Random) -> Outline:
    return Outline(natures=_routes(2, gusts=True, outliers=0.02), length_s=RUN_S)


def steady_failures(chance: Random) -> Outline:
    return Outline(natures=_routes(2, errors=0.02), length_s=RUN_S)


def thinking(chance: Random) -> Outline:
    return Outline(
        natures=_routes(
            2,
            wait_s=6.0,
            sigma=0.5,
            tail=0.3,
            tail_factor=8.0,
            tokens=200.0,
            tokens_sigma=0.6,
            token_s=0.02,
            per_read=8,
            max_tokens=2000,
            workers=8,
            interval=8.0,
            goal_ttft_s=20.0,
            goal_e2e_s=None,
            first_token_timeout_s=300.0,
        ),
        length_s=RUN_S,
    )


def many_workers(chance: Random) -> Outline:
    return Outline(natures=_routes(1, workers=8, interval=2.0, gusts=True), length_s=RUN_S)


def seldom(chance: Random) -> Outline:
    return Outline(natures=_routes(4, workers=1, interval=30.0, wander_sd=0.1), length_s=RUN_S)


def idle(chance: Random) -> Outline:
    return Outline(
        natures=_routes(4, workers=1, interval=10.0, keep_alive_s=5.0, stale=0.03), length_s=RUN_S
    )


def of_any_length(chance: Random) -> Outline:
    return Outline(
        natures=_routes(
            2,
            tokens=60.0,
            tokens_sigma=0.8,
            max_tokens=512,
            goal_e2e_s=None,
            interval=8.0,
            workers=4,
        ),
        length_s=RUN_S,
    )


def turned(chance: Random) -> Outline:
    """Our own knobs, each half an hour, to no harm."""
    turns = []
    for number in range(1, 16):
        at_s, route = number * 1800.0, ("alpha", "beta")[number % 2]
        if number == 5:
            turn = Turn(at_s=at_s, what="knob", route=route, knob="burst", value=10.0)
        elif number % 3 == 0:
            turn = Turn(at_s=at_s, what="knob", route=route, value=chance.choice((2.0, 4.0, 8.0)))
        elif number % 3 == 1:
            caps = (32.0, 64.0, 128.0)
            turn = Turn(
                at_s=at_s, what="knob", route=route, knob="max_tokens", value=chance.choice(caps)
            )
        else:
            paces = (2.0, 4.0, 8.0)
            turn = Turn(
                at_s=at_s, what="knob", route=route, knob="interval", value=chance.choice(paces)
            )
        turns.append(turn)
    # Answers that a higher cap lets grow.
    natures = _routes(2, tokens=50.0, tokens_sigma=0.4)
    return Outline(natures=natures, turns=tuple(turns), length_s=RUN_S)


def together(chance: Random) -> Outline:
    """All routes are slower by an eighth now and then: less than any margin."""
    troubles = tuple(
        Trouble(
            causes=(),
            routes=("alpha", "beta", "gamma"),
            onset_s=at_s,
            end_s=at_s + 900.0,
            effect=Effect(wait=1.12),
        )
        for at_s in range(1800, 27000, 3600)
    )
    return Outline(natures=_routes(3, wander_sd=0.05), troubles=troubles, length_s=RUN_S)


def breaks(chance: Random) -> Outline:
    """The engine dies, the machine sleeps, a route is paused, and its first answer takes longer."""
    turns = (
        Turn(at_s=3000.0, what="die"),
        Turn(at_s=6000.0, what="gap", value=40.0),
        Turn(at_s=9000.0, what="pause", route="alpha"),
        Turn(at_s=10000.0, what="resume", route="alpha"),
        Turn(at_s=15000.0, what="gap", value=900.0),
        Turn(at_s=20000.0, what="die"),
        Turn(at_s=22000.0, what="cancel", route="beta"),
        Turn(at_s=22200.0, what="resume", route="beta"),
    )
    loaded = [
        Trouble(
            causes=("cold_start",), routes=names, onset_s=at_s, end_s=at_s + 10.0, is_passing=True
        )
        for at_s, names in ((10000.0, ("alpha",)), (15900.0, ("alpha", "beta")))
    ]
    natures = _routes(2, idle_load_s=3.0)
    return Outline(natures=natures, troubles=tuple(loaded), turns=turns, length_s=RUN_S)


def rough(chance: Random) -> Outline:
    """All of it at once, at three scatters."""
    first, second, third = _routes(
        3,
        second_mode=0.15,
        outliers=0.02,
        gusts=True,
        wander_sd=0.1,
        swing=0.22,
        errors=0.002,
        stalls=0.002,
        token_sigma=0.15,
    )
    natures = first, replace(second, sigma=0.6), replace(third, sigma=0.9)
    return Outline(natures=natures, length_s=RUN_S)


def bad_reception(chance: Random) -> Outline:
    natures = _routes(2, rtt_s=0.03, rtt_sigma=0.4, rtt_spikes=0.05, loss=0.02, late_acks=0.3)
    return Outline(natures=natures, length_s=RUN_S)


def uneven_writing(chance: Random) -> Outline:
    natures = _routes(2, token_sigma=0.3, token_wander_sd=0.12, tokens_sigma=0.4, per_read=1)
    return Outline(natures=natures, length_s=RUN_S)


def next_door(chance: Random) -> Outline:
    """Servers on this machine: nothing takes long, and everything is told by its jitter."""
    natures = _routes(
        2,
        host="127.0.0.1",
        is_tls=False,
        rtt_s=0.00005,
        rtt_sigma=0.5,
        wait_s=0.03,
        sigma=0.4,
        token_s=0.004,
        token_sigma=0.15,
        workers=1,
        interval=1.0,
    )
    return Outline(natures=natures, length_s=RUN_S)


def crowded_machine(chance: Random) -> Outline:
    """Somebody else works on this machine, and once it has no descriptors left for a minute."""
    short = Trouble(
        causes=("local_observer",),
        routes=("alpha", "beta"),
        onset_s=2000.0,
        end_s=2060.0,
        effect=Effect(failures=((0.5, SHORT),), short_of="descriptors"),
        is_passing=True,
    )
    return Outline(natures=_routes(2), troubles=(short,), busy=0.05, length_s=RUN_S)


def whole_answers(chance: Random) -> Outline:
    return Outline(natures=_routes(2, is_streamed=False, tokens_sigma=0.5), length_s=RUN_S)


def builds(chance: Random) -> Outline:
    """Answers come from one of several builds at random."""
    return Outline(natures=_routes(2, fingerprints=("fp_1", "fp_2", "fp_3")), length_s=RUN_S)


def canaries(chance: Random) -> Outline:
    """One answer in fifty is wrong, as it always was."""
    return Outline(natures=_routes(2, expects=True, wrongs=0.02), length_s=RUN_S)


KINDS: Final[dict[str, Callable[[Random], Outline]]] = {
    "sigma0.2": _scatter(0.2),
    "sigma0.3": _scatter(0.3),
    "sigma0.6": _scatter(0.6),
    "sigma0.9": _scatter(0.9),
    "two_humps": two_humps,
    "wandering": wandering,
    "by_the_day": by_the_day,
    "stray": stray,
    "gusts": gusts,
    "steady_failures": steady_failures,
    "thinking": thinking,
    "many_workers": many_workers,
    "seldom": seldom,
    "idle": idle,
    "of_any_length": of_any_length,
    "turned": turned,
    "together": together,
    "breaks": breaks,
    "crowded_machine": crowded_machine,
    "whole_answers": whole_answers,
    "builds": builds,
    "canaries": canaries,
    "rough": rough,
    "bad_reception": bad_reception,
    "uneven_writing": uneven_writing,
    "next_door": next_door,
}


def run_of(kind: str, seed: int, length_s: float = RUN_S) -> Outline:
    """Return a run of one kind; the same kind and seed are the same run, if cut shorter."""
    return replace(KINDS[kind](Random(f"{kind} {seed}")), length_s=length_s)


def runs(kinds: Sequence[str], days: float) -> list[tuple[str, int, float]]:
    """Return runs that are so many route-days together: kind, seed and length in seconds each.

    All kinds come equally often; where that is less than a run of 8 h each, runs are shorter.
    """
    routes = sum(len(run_of(kind, 1).natures) for kind in kinds)
    rounds = max(1, round(days * DAY_S / (routes * RUN_S)))
    length_s = days * DAY_S / (routes * rounds)
    return [(kind, seed, length_s) for seed in range(1, rounds + 1) for kind in kinds]
