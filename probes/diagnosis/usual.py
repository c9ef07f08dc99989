"""What a route's figures are while it is well, told for whoever compares them with now.

Rule 1. Medians are those that the verdicts compare with: of the wait for the first token, of the
        time per token, and of whole answers where these come whole.
Rule 2. The rest is felt, of probes that needed no retry: the p95s, for a sample of a series is the
        median of a second and has no tail; the E2E of what is streamed; and all medians of a route
        whose connections are usually made anew, for its users wait for these, too.
Rule 3. All of it stands still while anything of the route's latency is in doubt. What was in doubt
        enters when the doubt has gone, and nothing of an alarm does.
Rule 4. It is told once it is known, then seldom, and where a figure has moved by 2 %; and before a
        verdict on the route, so that both say the same of what is usual.
"""

from typing import Final

from probes.diagnosis.level import LEARNED
from probes.diagnosis.route_watch import RouteWatch
from probes.diagnosis.series import short
from probes.events import Usual
from probes.kit.clock import NS_PER_S

_MOSTLY: Final = 0.5
_NO_MEDIAN: Final = 3 * LEARNED
"""Felt E2Es after which no median is waited for: an answer that comes whole, though a stream was
asked for, has no first token."""
_LEARNS_NS: Final = 10 * NS_PER_S
_TOLD_NS: Final = 30 * NS_PER_S
"""Time from one look at a route to the next, while some of its figures are not known yet and later:
nothing that is usual moves within half a minute, and to put felt times in order is dear."""
_MOVED: Final = 0.02
"""Below that nobody sees the third digit of what is compared with it."""


class UsualTold:
    """What was told of one route."""

    __slots__ = ("_is_whole", "_last", "_looked_ns", "_watch")

    def __init__(self, watch: RouteWatch) -> None:
        self._watch = watch
        self._last: Usual | None = None
        self._looked_ns = -_LEARNS_NS
        self._is_whole = False
        """Nothing was missing when it was looked at."""

    def after_second(self, now_ns: int) -> Usual | None:
        """Return what is to be told now that a second is over; mostly nothing."""
        last = self._last
        is_learned = last is not None and self._is_whole and last.cohort == self._watch.cohort
        if now_ns - self._looked_ns < (_TOLD_NS if is_learned else _LEARNS_NS):
            return None
        found = _usual_of(self._watch, now_ns)
        if found is None:
            return None
        self._looked_ns, self._is_whole = now_ns, None not in _figures(found)
        return self._tell(found, _MOVED)

    def before_verdict(self, now_ns: int) -> Usual | None:
        """Return what is to be told before a verdict: whatever is not what was told last."""
        found = _usual_of(self._watch, now_ns)
        return None if found is None else self._tell(found, 0.0)

    def _tell(self, found: Usual, moved: float) -> Usual | None:
        last = self._last
        if last is not None and last.cohort == found.cohort:
            pairs = zip(_figures(last), _figures(found), strict=True)
            if not any(_has_moved(before, now, moved) for before, now in pairs):
                return None
        self._last = found
        return found


def _usual_of(watch: RouteWatch, now_ns: int) -> Usual | None:
    """Return what is usual of a route; None where nothing is known of it."""
    band, felt = watch.band, watch.band.felt
    series = watch.wait_series
    median = series.usual(0.5)
    ttft_p50 = ttft_p95 = None
    e2e_p50, e2e_p95 = felt.e2e.at(0.5, 0.95)
    is_kept = watch.cold.test.usual_share < _MOSTLY
    if not watch.info.streamed:
        e2e_p50 = median if is_kept else e2e_p50
    elif median is not None:
        ttft_p50, ttft_p95 = felt.ttft.at(0.5, 0.95)
        ttft_p50 = median if is_kept else ttft_p50
    if median is None and (e2e_p50 is None or len(felt.e2e) < _NO_MEDIAN):
        return None
    per_token_s = band.per_token.usual(0.5)
    return Usual(
        at_ns=now_ns,
        route=watch.name,
        cohort=watch.cohort,
        ttft_p50_s=_short(ttft_p50),
        ttft_p95_s=_short(_at_least(ttft_p95, ttft_p50)),
        e2e_p50_s=_short(e2e_p50),
        e2e_p95_s=_short(_at_least(e2e_p95, e2e_p50)),
        tokens_per_s=_short(1.0 / per_token_s if per_token_s else None),
        n=len(felt.e2e) if median is None else series.level.n_usual,
    )


def _figures(event: Usual) -> tuple[float | None, ...]:
    return (
        *(event.ttft_p50_s, event.ttft_p95_s),
        *(event.e2e_p50_s, event.e2e_p95_s, event.tokens_per_s),
    )


def _has_moved(before: float | None, now: float | None, by: float) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) > by * before


def _at_least(value: float | None, least: float | None) -> float | None:
    """Return a p95 that is no lower than its median, though that is of other samples."""
    return value if value is None or least is None else max(value, least)


def _short(value: float | None) -> float | None:
    return None if value is None else short(value)
