"""How far a route is from its next refusal; what is untold is unknown."""

from board_streams import at

from probes.board.headroom import HeadroomWatch
from probes.board.views import Headroom, LimitLasts
from probes.events import AttemptFinished, Limit, StampLadder


def tokens(left: float | None, limit: float = 60_000, reset_s: float | None = None) -> Limit:
    return Limit(kind="tokens", limit=limit, remaining=left, reset_s=reset_s, window="minute")


def ended(at_s: float, *limits: Limit, took_s: float = 2.0) -> AttemptFinished:
    return AttemptFinished(
        at_ns=at(at_s),
        route="alpha",
        probe="p",
        attempt=0,
        outcome="ok",
        stamps_ns=StampLadder(started=at(at_s - took_s), ended=at(at_s)),
        input_tokens=200,
        output_tokens=50,
        limits=limits,
    )


def watched(*events: AttemptFinished) -> HeadroomWatch:
    watch = HeadroomWatch()
    for event in events:
        watch.hear(event)
    return watch


def view(watch: HeadroomWatch, at_s: float, *limits: Limit, at_once: int = 4) -> Headroom | None:
    return watch.view(limits, at(at_s), at_once, 1.0)


def test_of_what_nobody_told_nothing_is_known() -> None:
    assert view(watched(ended(1)), 2) is None
    assert view(HeadroomWatch(), 2, tokens(100)) is None


def test_a_limit_that_falls_runs_out_at_its_slope() -> None:
    falling = [tokens(6_000 - 50 * second) for second in range(20)]
    watch = watched(*(ended(float(second), one) for second, one in enumerate(falling)))
    found = view(watch, 19.0, falling[-1])
    assert found is not None
    (lasts,) = found.lasts
    assert (lasts.kind, lasts.window) == ("tokens", "minute")
    assert abs(lasts.lasts_s - 5_050 / 50) < 0.1
    later = view(watch, 29.0, falling[-1])
    assert later is not None
    assert abs(later.lasts[0].lasts_s - (5_050 / 50 - 10)) < 0.1


def test_a_limit_that_lasts_until_it_is_replenished_has_no_end() -> None:
    falling = [tokens(6_000 - 50 * second, reset_s=30) for second in range(20)]
    watch = watched(*(ended(float(second), one) for second, one in enumerate(falling)))
    found = view(watch, 19.0, falling[-1])
    assert found is not None
    assert found.lasts == ()


def test_too_little_told_is_no_slope() -> None:
    watch = watched(*(ended(float(second), tokens(600 - 50 * second)) for second in range(5)))
    found = view(watch, 5.0, tokens(400))
    assert found is not None
    assert found.lasts == ()


def test_what_fell_before_a_limit_was_replenished_says_nothing() -> None:
    falling = [ended(float(second), tokens(60_000 - 3_000 * second)) for second in range(15)]
    watch = watched(*falling, ended(16.0, tokens(60_000)))
    found = view(watch, 16.0, tokens(60_000))
    assert found is not None
    assert found.lasts == ()


def test_what_fits_follows_from_sizes_and_times() -> None:
    watch = watched(ended(1, took_s=5.0))
    # 1,000 tokens a second are four probes of 250, each of five seconds.
    assert view(watch, 2, tokens(None), at_once=20) == Headroom((), 20, 0.0)
    assert view(watch, 2, tokens(None), at_once=40) == Headroom((), 20, 10.0)
    requests = Limit(kind="requests", limit=60, window="minute")
    assert view(watch, 2, tokens(None), requests, at_once=20) == Headroom((), 5, 20.0)


def test_a_stated_concurrency_is_the_most_of_all() -> None:
    at_once = Limit(kind="concurrency", limit=3)
    assert view(watched(ended(1)), 2, at_once) == Headroom((), 3, None)


def test_a_limit_without_a_period_is_by_the_minute() -> None:
    plain = Limit(kind="requests", limit=60)
    assert view(watched(ended(1, took_s=2.0)), 2, plain, at_once=4) == Headroom((), 2, 4.0)
    assert LimitLasts("requests", "", 1.0).window == ""
