"""What speaks for a cause, what speaks against the others, and what to do about it."""

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

import msgspec

from probes.diagnosis.causes import Alarm, RouteCauses
from probes.diagnosis.route_watch import RouteWatch
from probes.diagnosis.seen_from import OF_THE_WAY, SeenFrom
from probes.diagnosis.series import JudgedSeries, Shares, short
from probes.events import Advice, Cause, Evidence
from probes.events.diagnosis_words import fresh_words

_DOUBT: Final = 0.25
"""Part of the patience with a request after which its route is not sent any users."""
_FOR_MOST: Final = 3
_AGAINST_MOST: Final = 4
_PLAIN_ADVICE: Final[dict[Cause, Advice]] = {
    "auth_failure": Advice(act="check_key"),
    "quota_exhausted": Advice(act="check_account"),
    "model_missing": Advice(act="check_model"),
    "model_changed": Advice(act="pin_model"),
    "bad_request": Advice(act="check_request"),
    "network_path": Advice(act="check_network"),
    "dns": Advice(act="check_dns"),
    "tls": Advice(act="check_certificate"),
    "connection_churn": Advice(act="keep_connections"),
    "cold_start": Advice(act="wait", detail="the next answers find the model loaded"),
    # Prompts that changed would be a cause of their own, and come before it.
    "cache_loss": Advice(act="tell_provider", detail="its cache or its balancing changed"),
    "prompt_growth": Advice(act="check_prompt"),
    "output_growth": Advice(act="check_answers"),
    "retry_masking": Advice(act="none"),
    "local_observer": Advice(act="check_this_machine"),
}
_MOVE: Final[frozenset[Cause]] = frozenset(
    (
        *("no_answer", "outage", "provider_errors", "provider_overloaded", "provider_queueing"),
        *("provider_slow_decode", "stream_stalls", "stream_truncation", "unknown"),
        "wrong_answers",
    )
)
_KINDS: Final[dict[Cause, tuple[str, ...]]] = {
    "provider_queueing": ("wait",),
    "own_load": ("wait", "per_token"),
    "cache_loss": ("uncached", "wait"),
    "prompt_growth": ("input", "wait"),
    "output_growth": ("output",),
    "provider_slow_decode": ("per_token",),
    "stream_stalls": ("stalled", "gap"),
    "network_path": ("rtt", "resent", "reordered", "tcp", "wait"),
    "dns": ("failed", "dns"),
    "tls": ("failed", "tls"),
    "connection_churn": ("cold",),
    "model_changed": ("other_build", "wrong", "per_token", "wait"),
    "wrong_answers": ("wrong",),
    "local_observer": ("wait", "per_token"),
}
"""Which tests of a route speak for a cause; of all others it is what fails."""


def evidence_of(
    cause: Cause, ill: Sequence[tuple[RouteWatch, Alarm]]
) -> tuple[tuple[Evidence, ...], tuple[Evidence, ...]]:
    """Return what speaks for a cause, and what did not move, of the route that shows it best."""
    if not ill:
        return (), ()
    found = [(tuple(_speaking(cause, watch, alarm)), watch, alarm) for watch, alarm in ill]
    speaking, watch, _ = max(found, key=lambda one: len(one[0]))
    used = {one.figure for one in speaking}
    if cause == "wrong_answers":
        used.add("failed_share")  # a wrong answer is no failure of its server, but one of its user
    unmoved = tuple(one for one in _unmoved(watch) if one.figure not in used)
    return speaking[:_FOR_MOST], unmoved[:_AGAINST_MOST]


def size_of(evidence: Sequence[Evidence]) -> float:
    """Return how much the first figure that tells it moved: a ratio, or of shares the share."""
    for one in evidence:
        if one.unit == "share":
            return 1.0 - one.now if one.figure == "cached_share" else one.now
        if one.usual:
            # Its interval heeds what is too small to be felt, which a bare ratio does not.
            ratio = min(one.now / one.usual, one.high or math.inf)
            return float(f"{ratio:.3g}")
    return 0.0


def advice_for(
    cause: Cause,
    ill: Sequence[RouteWatch],
    routes: Sequence[RouteCauses],
    seen: SeenFrom = SeenFrom(),  # noqa: B008 - frozen
) -> Advice:
    """Return what to do about a cause, seen from some of several places or from all."""
    plain = _PLAIN_ADVICE.get(cause)
    if seen.scope == "network":
        act = plain.act if plain is not None and cause in OF_THE_WAY else "check_network"
        return Advice(act=act, detail=f"all that {seen.places[0]} sees is hit")
    if seen.scope == "way" and cause == "no_answer":
        return Advice(act="check_network", detail="it answers elsewhere")
    if plain is not None:
        return plain
    if ill and cause in ("own_load", "rate_limited_concurrency"):
        return _lighter(ill[0], cause)
    if ill and cause in ("rate_limited_requests", "rate_limited_tokens"):
        # What one place leaves of a limit for all the others use.
        detail = "at each place: they share it" if seen.scope == "everywhere" else ""
        return msgspec.structs.replace(_slower(ill[0]), detail=detail)
    if cause in _MOVE:
        # Whether the server hangs or a connection to it, one more tells.
        detail = fresh_words() if cause == "no_answer" else ""
        if cause == "wrong_answers":
            detail = "llmtop once --include-text shows one"
        return Advice(act="move", route=_well_route(ill, routes), detail=detail)
    return Advice(act="wait")


def _lighter(watch: RouteWatch, cause: Cause) -> Advice:
    """Return the knob by which less is asked at once: the one that was turned, where putting it
    back still makes it less."""
    raised = watch.raised
    if watch.adaptive:
        return Advice(act="wait", detail="its concurrency finds itself, and steps back")
    if raised is not None and raised.knob == "concurrency" and raised.before < watch.concurrency:
        return Advice(act="undo_knob", knob="concurrency", value=raised.before)
    if raised is not None and cause == "own_load":
        if raised.knob == "interval" and raised.before > watch.interval_s:
            return Advice(act="undo_knob", knob="interval", value=raised.before)
        if raised.knob == "rate" and raised.before < watch.rate:
            return Advice(act="undo_knob", knob="rate", value=raised.before)
    if watch.concurrency > 1:
        return Advice(act="set_knob", knob="concurrency", value=watch.concurrency - 1)
    return _slower(watch)


def _slower(watch: RouteWatch) -> Advice:
    if watch.rate:
        return Advice(act="set_knob", knob="rate", value=float(f"{watch.rate / 2:.2g}"))
    return Advice(act="set_knob", knob="interval", value=max(1.0, watch.interval_s * 2))


def _well_route(ill: Sequence[RouteWatch], routes: Sequence[RouteCauses]) -> str:
    """Return the fastest route that is well and shares a tag with those that are not.

    One of another host is better, for the fault may be the host's; one of which anything is in
    doubt is none. Where several places are hit it is named as it is at all of them.
    """
    hurt = {watch.name for watch in ill}
    hosts = {watch.host for watch in ill}
    tags = {tag for watch in ill for tag in watch.info.tags}
    places = {watch.place for watch in ill}
    well: dict[str, list[tuple[bool, float, str]]] = {}
    for route in routes:
        watch = route.watch
        if (
            watch.name not in hurt
            and watch.place in places
            and not route.alarms
            and watch.is_probed
            and watch.is_heard
            and (not tags or tags & set(watch.info.tags))
            and not any(test.rank for test in watch.tests)
            and watch.hanging(watch.now_ns, _DOUBT) is None
            and (wait_s := watch.wait_series.usual(0.5)) is not None
        ):
            found = (watch.host in hosts, wait_s, watch.name)
            well.setdefault(watch.info.shared_name, []).append(found)
    # Users are where they are: a route helps them that is well from each place that is hit.
    if len(places) == 1:
        return min((one for same in well.values() for one in same), default=(False, 0.0, ""))[2]
    everywhere = [(max(same), name) for name, same in well.items() if len(same) == len(places)]
    return min(everywhere)[1] if everywhere else ""


def _speaking(cause: Cause, watch: RouteWatch, alarm: Alarm) -> Iterator[Evidence]:
    if cause == "local_observer":
        yield Evidence(figure="loop_lag", now=float(f"{watch.lag_s:.3g}"))
        yield from _moved(watch)
        return
    if cause == "cold_start":
        yield from _loaded(watch)
        return
    kinds = _KINDS.get(cause)
    if kinds is not None and alarm.slot != "fails":
        for kind in kinds:
            test = _test(watch, kind)
            if kind == "uncached":
                now, usual = 1.0 - watch.uncached.test.share, 1.0 - watch.uncached.test.usual_share
                yield Evidence(
                    figure="cached_share",
                    now=round(now, 4),
                    usual=round(usual, 4),
                    n_now=watch.uncached.test.n,
                    n_usual=watch.uncached.test.n_usual,
                    unit="share",
                )
            elif isinstance(test, Shares):
                if test.rank:
                    yield test.evidence()
            elif test.rank and (evidence := test.evidence()) is not None:
                yield evidence
        return
    yield from _failing(cause, watch, alarm)


def _loaded(watch: RouteWatch) -> Iterator[Evidence]:
    """Give what the requests waited that found the model not loaded, against those that did."""
    waits, wait = watch.load_waits_s, watch.wait_series
    if waits:
        usual_s = wait.usual(0.5)
        yield Evidence(
            figure=wait.kind.figure,
            now=short(median(waits)),
            usual=None if usual_s is None else short(usual_s),
            n_now=len(waits),
            n_usual=0 if usual_s is None else wait.level.n_usual,
            unit=wait.kind.unit,
        )


def _failing(cause: Cause, watch: RouteWatch, alarm: Alarm) -> Iterator[Evidence]:
    """Give what speaks for a cause of failures, of 429s or of silence."""
    ends = [end for end in watch.ends if end.began_ns >= alarm.since_ns]
    if alarm.slot == "throttles":
        hit = sum(end.rate is not None for end in ends)
        yield watch.throttled.evidence(hit / len(ends) if ends else 0.0, len(ends))
        return
    counted = [end for end in ends if end.rate is None]
    hit = sum(end.failure is not None for end in counted)
    if counted:
        yield watch.failed.evidence(hit / len(counted), len(counted))
    hang = watch.hanging(watch.now_ns)
    if hang is not None:
        yield Evidence(
            figure="open_age",
            now=round(hang.age_s, 2),
            usual=watch.wait_series.usual(0.5),
            n_now=watch.open_requests,
            unit="s",
        )
    if cause == "retry_masking":
        probes = [probe for probe in watch.probes if probe.began_ns >= alarm.since_ns]
        rescued = sum(probe.attempts > 1 and not probe.failed for probe in probes)
        if probes:
            yield Evidence(
                figure="retried_share",
                now=round(rescued / len(probes), 4),
                n_now=len(probes),
                unit="share",
            )


def _test(watch: RouteWatch, kind: str) -> JudgedSeries | Shares:
    if kind == "wait":
        return watch.wait_series
    found = getattr(watch.band, kind, None) or getattr(watch, kind)
    assert isinstance(found, JudgedSeries | Shares)  # noqa: S101 - names of `_KINDS`
    return found


def _moved(watch: RouteWatch) -> Iterator[Evidence]:
    for series in (watch.wait_series, watch.band.per_token, watch.rtt):
        if series.rank and (evidence := series.evidence()) is not None:
            yield evidence


def _unmoved(watch: RouteWatch) -> Iterator[Evidence]:
    """Give what is as usual, where that is known."""
    for series in (watch.wait_series, watch.band.per_token, watch.rtt, watch.input):
        usual = series.usual(0.5)
        if usual is not None and not series.rank:
            yield Evidence(
                figure=series.kind.figure,
                now=float(f"{usual:.4g}"),
                usual=float(f"{usual:.4g}"),
                n_usual=series.level.n_usual,
                unit=series.kind.unit,
            )
    if not watch.failed.rank and watch.failed.test.n_usual:
        share = watch.failed.test.usual_share
        yield Evidence(
            figure="failed_share",
            now=round(share, 4),
            usual=round(share, 4),
            n_usual=watch.failed.test.n_usual,
            unit="share",
        )
