"""The sentences of a hand-over, the same on every page and on the clipboard.

Rule 1: moments are UTC: whoever reads may sit in another zone than whoever measured.
Rule 2: what is not known is said to be so; a sentence never claims more than its figures.
Rule 3: names and a server's words pass as they are, hostile: the pages make them harmless.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Final

from msgspec.structs import replace

from probes.board.views import Happening, KnobComparison, KnobFigure
from probes.events import Advice, Cause, Diagnosis, Evidence, KnobKind
from probes.events.diagnosis_words import (
    advice_words,
    evidence_words,
    fresh_words,
    past_words,
    scope_words,
    what_words,
)
from probes.handover.facts import Facts, ObserverHealth, RouteFacts, bad_of_incident
from probes.kit.clock import seconds
from probes.kit.short_figures import NO_FIGURE, counted, lasting, local_moment, three_digits
from probes.run.incidents import IncidentRecord

_ROUTES_NAMED: Final = 12
_HAIR_NS: Final = 5_000_000
"""Wall and monotonic clock drift: what is so little before a second is that second."""

BLAME: Final[dict[Cause, str]] = {
    "no_answer": "the provider's: it takes requests and answers nothing",
    "outage": "the provider's: every request ends in an error",
    "provider_errors": "the provider's: it answers with errors of its own",
    "provider_overloaded": "the provider's: it says itself that it has too much to do",
    "provider_queueing": "the provider's: the wait grew behind the connection",
    "provider_slow_decode": "the provider's: it writes more slowly",
    "stream_stalls": "the provider's, or a proxy before it: streams pause once they run",
    "stream_truncation": "the provider's, or a proxy before it: streams end too early",
    "rate_limited_requests": "ours: we send more requests than its limit allows",
    "rate_limited_tokens": "ours: we use more tokens than its limit allows",
    "rate_limited_concurrency": "ours: we ask more at once than its limit allows",
    "quota_exhausted": "our account: it has nothing left",
    "auth_failure": "our key: it is refused",
    "model_missing": "our settings or the provider's catalogue: the model is not there",
    "model_changed": "the provider's: another model or build answers",
    "wrong_answers": "the model's, or ours: whole answers, and not what is expected of them",
    "bad_request": "ours: what we ask is refused",
    "network_path": "the way between us and the provider",
    "dns": "the name service: ours, or the provider's",
    "tls": "certificates or a proxy in between",
    "connection_churn": "whoever closes connections: the provider, a balancer or a proxy",
    "cold_start": "the provider's: the model was being loaded",
    "cache_loss": "the provider's: its prompt cache stopped serving",
    "prompt_growth": "a template, tokenizer or gateway: the same prompt is counted longer",
    "output_growth": "the model: the same prompt brings longer answers",
    "retry_masking": "the provider's: it fails now and then, and retries hide it",
    "own_load": "ours: it slowed down under what we ask of it",
    "local_observer": "our own machine: it was too busy to measure well",
    "unknown": "not known: the figures do not tell",
}
"""Whose side a cause lies on. A side is not guilt: it says who can do something about it."""

_KNOBS: Final[dict[KnobKind, str]] = {
    "concurrency": "the concurrency {}to {:g}",
    "interval": "the interval {}to {:g} s",
    "rate": "the rate {}to {:g} probes a second",
    "max_tokens": "the answer cap {}to {:g} tokens",
}
_COMPARED: Final[dict[KnobFigure, str]] = {
    "throttled_share": "refused",
    "ttft_p95": "TTFT p95",
    "tokens_per_s": "tokens/s",
    "good_share": "good probes",
}
_REASONS: Final[dict[str, str]] = {
    "timeout.connect": "no connection in time",
    "timeout.first_token": "no first token in time",
    "timeout.stall": "the stream paused for too long",
    "timeout.total": "the answer was not over in time",
    "no_finish": "the stream ended without its end mark",
    "cut": "the body ended too early",
    "empty": "an answer with nothing in it",
    "cap_exhausted": "reasoning used up the answer cap",
    "refusal": "the model refused to answer",
    "content_filter": "a filter stopped the answer",
    "wrong_answer": "the answer was whole, and not what was expected",
}
"""What a server says nothing about: who was not there does not know our codes."""
_FELT_FROM: Final = 1.5
"""Times the usual, or its inverse: less nobody feels."""
_JUDGED: Final = {
    "better": "that made it better",
    "worse": "that made it worse",
    "unclear": "no difference can be told apart",
    "waiting": "too few probes came after it to tell",
}


def utc_time(wall_ns: int | None) -> str:
    """Return Unix ns as `05:12:04`, UTC; `–` where no calendar holds it."""
    moment = None if wall_ns is None else local_moment(wall_ns + _HAIR_NS, UTC)
    return NO_FIGURE if moment is None else moment.strftime("%H:%M:%S")


def utc_moment(wall_ns: int | None) -> str:
    """Return Unix ns as `2026-11-30 05:12:04 UTC`; `–` where no calendar holds it."""
    moment = None if wall_ns is None else local_moment(wall_ns + _HAIR_NS, UTC)
    return NO_FIGURE if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def listed_routes(routes: Sequence[str]) -> str:
    """Return the names of routes, the first twelve of them."""
    if not routes:
        return "all routes"
    more = len(routes) - _ROUTES_NAMED
    return ", ".join(routes[:_ROUTES_NAMED]) + (f" and {more} more" if more > 0 else "")


def advice_in_words(advice: Advice) -> str:
    """Return what to do. Who reads a report has no key under the finger: a knob is named, and what
    a key alone does is left out."""
    if advice.detail == fresh_words():
        advice = replace(advice, detail="")
    knob = _KNOBS.get(advice.knob) if advice.knob is not None else None
    if knob is None or advice.act not in ("set_knob", "undo_knob"):
        return advice_words(advice)
    back = "back " if advice.act == "undo_knob" else ""
    told = f"set {knob.format(back, advice.value or 0.0)}"
    return f"{told}; {advice.detail}" if advice.detail else told


def evidence_in_words(one: Evidence) -> str:
    """Return a figure against its usual, with the interval of the ratio where that is known."""
    told = evidence_words(one)
    if one.low is None or one.high is None:
        return told
    return f"{told}, ×{one.low:.2g} to ×{one.high:.2g}"


def head_words(facts: Facts) -> str:
    """Return who and what, as a title."""
    record = facts.incident
    if record is None:
        long = lasting(seconds(facts.stretch.end_ns - facts.stretch.begin_ns))
        hurt = sum(route.during.good < route.during.finished for route in facts.routes)
        told = f"{hurt} not all good" if hurt else "all good"
        if not any(route.during.finished for route in facts.routes):
            told = "no probe finished"
        return f"{counted(len(facts.routes), 'route')} for {long}: {told}"
    word = record.word
    at = f" at {', '.join(word.places)}" if word.places else ""
    who = f"all routes{at}" if word.cause == "local_observer" else listed_routes(record.routes)
    return " · ".join(filter(None, (f"{who}: {what_words(word)}", scope_words(word))))


def seen_words(word: Diagnosis) -> str:
    """Return what is wrong, and of several places from which it is seen."""
    return ", ".join(filter(None, (what_words(word), scope_words(word))))


def before_words(facts: Facts) -> str:
    """Return how often it was seen before, as that was told while it stood; empty where nobody
    did."""
    record = facts.incident
    if record is None or record.seen is None:
        return ""
    told, _ = past_words(record.seen, facts.wall_ns(record.since_ns), UTC)
    return told


def since_words(facts: Facts) -> str:
    """Return since when it stands, as far as the figures know."""
    record = facts.incident
    if record is None:
        return utc_moment(facts.wall_ns(facts.stretch.begin_ns))
    told = utc_moment(facts.wall_ns(record.since_ns))
    if record.named_ns is None:
        return f"{told}; suspected, never sure enough to be named"
    after = lasting(seconds(record.named_ns - record.since_ns))
    return f"{told}, named {after} later"


def lasted_words(facts: Facts) -> str:
    """Return how long it stood, and whether it is over."""
    long = lasting(seconds(facts.end_ns - facts.since_ns))
    record = facts.incident
    if record is None:
        return long
    at = utc_time(facts.wall_ns(facts.end_ns))
    if record.end is None:
        return f"{long} by {at}, when this was written: not over"
    if record.end.state == "settled":
        return f"{long}, until {at}: from then on it is taken for the usual"
    return f"{long}, until {at}: over"


def felt_words(facts: Facts) -> str:
    """Return what users felt of it, at the median: what took longer, each against its usual.

    Empty where the medians of all that was hit are as usual, or no usual is known.
    """
    told = []
    for route in facts.hit:
        if facts.incident is None or route.row is None:
            continue
        during, usual = route.during, route.row.usual
        parts = [
            f"{name} {three_digits(now)}{unit}, usual {three_digits(was)}"
            for name, unit, now, was in (
                ("first token", " s", during.ttft_p50, usual.ttft_p50),
                ("whole answer", " s", during.e2e_p50, usual.e2e_p50),
                ("writing", " tok/s", during.tokens_per_s, usual.tokens_per_s),
            )
            if now and was and not 1 / _FELT_FROM < now / was < _FELT_FROM
        ]
        if parts:
            who = f"{route.info.name}: " if len(facts.hit) > 1 else ""
            told.append(f"{who}{'; '.join(parts)} (medians)")
    more = f"; {counted(len(told) - 1, 'more route')} below" if len(told) > 1 else ""
    return told[0] + more if told else ""


def lost_words(facts: Facts) -> str:
    """Return how many probes were lost, how many merely late, and how late the last of them."""
    hit = facts.hit
    finished = sum(route.during.finished for route in hit)
    failed = sum(route.during.failed for route in hit)
    late = finished - failed - sum(route.during.good for route in hit)
    is_over = facts.incident is not None and facts.incident.end is not None
    hung = f"; {told}" if (told := open_words(facts)) else ""
    # What hangs ends after the incident, which is over as soon as it moves again.
    bad = bad_of_incident(facts)
    after = sum(story.probe.at_ns > facts.end_ns for story in bad) if is_over else 0
    later = f"; {after:,} more, begun in it, failed or came late after it" if after else ""
    slowest_s = max((one.lasted_s for one in bad if one.probe.outcome == "ok"), default=0.0)
    slowest = f"; the slowest took {_took(slowest_s)}" if slowest_s else ""
    if not finished:
        return f"no probe finished in it{later}{slowest}{hung}"
    if not failed and not late:
        return f"none of {counted(finished, 'probe')} failed or missed a goal{later}{slowest}{hung}"
    lost = f"{failed:,}" if failed else "none"
    told = f"{lost} of {counted(finished, 'probe')} failed"
    if late:
        told += f", {late:,} {'more ' if failed else ''}ended beyond a goal"
    return told + later + slowest + hung


def open_words(facts: Facts) -> str:
    """Return how many requests hang at the end of what is handed over, and for how long; empty
    where none does, or the incident was over by then."""
    if facts.incident is not None and facts.incident.end is not None:
        return ""
    rows = [route.row for route in facts.hit if route.row is not None and route.row.overdue_open]
    number = sum(row.overdue_open for row in rows)
    oldest_s = max((row.oldest_open_s or 0.0 for row in rows), default=0.0)
    return f"{number:,} still open, for up to {_took(oldest_s)}" if number else ""


def _took(span_s: float) -> str:
    return lasting(span_s) if span_s >= 60 else f"{three_digits(span_s)} s"


def said_words(facts: Facts) -> str:
    """Return how attempts failed most often: `503 “overloaded”, 41 of 50 failed attempts`."""
    names = {route.info.name for route in facts.hit}
    failed = [
        one
        for one in facts.attempts
        if one.route in names
        and one.outcome not in ("ok", "cancelled")
        and facts.since_ns <= one.at_ns <= facts.end_ns
    ]
    if not failed:
        return ""
    said = Counter((one.status, one.message, one.reason or one.outcome) for one in failed)
    (status, message, reason), number = said.most_common(1)[0]
    coded = f"{_REASONS[reason]} ({reason})" if reason in _REASONS else reason
    words = (str(status) if status else "", f"“{message[:200]}”" if message else coded)
    told = (" " if message else ": ").join(filter(None, words))
    return f"{told}, {number:,} of {counted(len(failed), 'failed attempt')}" if told else ""


def _share(value: float) -> str:
    return f"{value * 100:.3g} %"


def _compared(one: KnobComparison) -> str:
    if one.figure in ("throttled_share", "good_share"):
        before, after = (
            NO_FIGURE if value is None else _share(value) for value in (one.before, one.after)
        )
    else:
        unit = " s" if one.figure == "ttft_p95" else ""
        before, after = (
            NO_FIGURE if value is None else f"{three_digits(value)}{unit}"
            for value in (one.before, one.after)
        )
    return f"{_COMPARED[one.figure]} {before} → {after} (n {one.n_before}/{one.n_after})"


def effect_words(happening: Happening) -> str:
    """Return what a turned knob did to its route, with the figures; empty where none is known."""
    effect = happening.effect
    if effect is None:
        return ""
    known = [one for one in effect.comparisons if one.before is not None and one.after is not None]
    # Where something is sure, what is not would only hide it.
    sure = [one for one in known if one.judged in ("better", "worse")]
    return "; ".join([_JUDGED[effect.judged], *map(_compared, sure or known)])


def knobs(facts: Facts) -> tuple[Happening, ...]:
    """Return the knobs that were turned on the routes that were hit, oldest first."""
    names = {route.info.name for route in facts.hit}
    return tuple(
        one
        for one in facts.happenings
        if one.kind == "knob" and (not one.routes or names.intersection(one.routes))
    )


def found_words(facts: Facts) -> str:
    """Return which incidents stood in a stretch that is of none of them."""
    if not facts.others:
        return "No incident was named in it."
    told = [
        f"{listed_routes(one.routes)} {seen_words(one.word)} since "
        f"{utc_time(facts.wall_ns(one.since_ns))}"
        for one in facts.others
    ]
    more = f"; and {len(told) - 5} more" if len(told) > 5 else ""
    return f"In it: {'; '.join(told[:5])}{more}."


def done_words(facts: Facts) -> str:
    """Return what was done about it and whether that helped."""
    turned = knobs(facts)
    if not turned:
        return "no knob was turned"
    told = []
    for one in turned[-3:]:
        at = utc_time(facts.wall_ns(one.at_ns))
        effect = effect_words(one)
        told.append(f"{at} {', '.join(one.routes)} {one.text}{f': {effect}' if effect else ''}")
    more = f"{len(turned) - 3} earlier, then " if len(turned) > 3 else ""
    return more + " · ".join(told)


def trust_words(facts: Facts) -> str:
    """Return whether the figures can be trusted, and why."""
    doubts = list(doubts_of_figures(facts))
    return "yes: " + _well(facts) if not doubts else "with care: " + "; ".join(doubts)


def _well(facts: Facts) -> str:
    health = facts.health
    clock = "the kernel" if facts.hello.clock == "kernel" else "llmtop as it woke"
    return (
        f"the observer was never more than {three_digits(health.lag_max_ms)} ms late, "
        f"arrivals were dated by {clock}"
    )


_LATE_MS: Final = 25.0
"""A share of the shortest TTFT that somebody would act on."""
_INEXACT: Final = 0.05
_SILENT_S: Final = 3.0


def doubts_of_figures(facts: Facts) -> Iterator[str]:
    """Give what speaks against trusting the figures, of several places by the name of each."""
    for health in facts.healths:
        at = f"at {health.place} " if health.place else ""
        for doubt in _doubts_of(health):
            yield at + doubt


def _doubts_of(health: ObserverHealth) -> Iterator[str]:
    if not health.ticks:
        yield "the recording tells nothing of the observer's health"
        return
    if health.lag_p99_ms >= _LATE_MS:
        yield f"our own loop was up to {three_digits(health.lag_p99_ms)} ms late (p99)"
    if health.inexact_share >= _INEXACT:
        yield f"{_share(health.inexact_share)} of the chunks are dated within two reads only"
    if health.slept_s:
        yield f"llmtop did not run for {lasting(health.slept_s)}; nothing of that time counts"
    elif health.silent_s >= _SILENT_S:
        yield f"for {lasting(health.silent_s)} nothing was said"
    if health.short_of:
        yield f"our machine was short of {', '.join(health.short_of)}"
    if health.drops:
        yield f"{counted(health.drops, 'event')} of the live picture were dropped"


def blame_words(record: IncidentRecord) -> str:
    """Return on whose side it lies, from where it is seen, and how sure that is."""
    side, seen = _side_of(record.word), scope_words(record.word)
    told = f"{side}; seen {seen}" if seen.startswith("from ") else side
    return told if record.named_ns is not None else f"perhaps {told}"


def _side_of(word: Diagnosis) -> str:
    """Return whose side a cause lies on; from where it is seen says more than its symptom."""
    places = " and ".join(word.places)
    match word.scope:
        case "way":
            return f"the way between {places} and the provider"
        case "network":
            return f"{places}'s own network: all that it sees is hit, whoever provides it"
        case "machine":
            return f"our own machine at {places}: it was too busy to measure well"
        case _:
            return BLAME[word.cause]


def summary_words(facts: Facts) -> str:
    """Return the whole in a paragraph: who, what, since when, how long, whose side, done, lost."""
    record = facts.incident
    begin, end = facts.stretch
    if record is None:
        span = f"{utc_moment(facts.wall_ns(begin))} to {utc_time(facts.wall_ns(end))}"
        bad = [route for route in facts.routes if route.during.finished > route.during.good]
        told = f"{counted(len(facts.routes), 'route')}, {span}. Probes: {lost_words(facts)}."
        if bad:
            told += f" Not all good: {listed_routes([route.info.name for route in bad])}."
        return f"{told} {found_words(facts)}"
    parts = [
        f"{head_words(facts)}.",
        f"Since {since_words(facts)}; {lasted_words(facts)}.",
        *([f"Before: {before}."] if (before := before_words(facts)) else []),
        f"On whose side: {blame_words(record)}.",
        f"Probes: {lost_words(facts)}.",
        *([f"Felt: {felt}."] if (felt := felt_words(facts)) else []),
        f"Done: {done_words(facts)}.",
    ]
    advice = record.word.advice
    if record.end is None and advice is not None and advice.act != "none":
        parts.append(f"To do: {advice_in_words(advice)}.")
    if doubts := list(doubts_of_figures(facts)):
        parts.append(f"Trust the figures with care: {'; '.join(doubts)}.")
    return " ".join(parts)


def for_words(word: Diagnosis) -> list[str]:
    """Return the evidence for a diagnosis, one figure each."""
    return [evidence_in_words(one) for one in word.evidence]


def against_words(word: Diagnosis) -> list[str]:
    """Return what is as usual, and so speaks against other causes, one figure each."""
    return [evidence_in_words(one) for one in word.against]


def goals_in_words(route: RouteFacts) -> str:
    """Return the goals of a route."""
    info = route.info
    parts = []
    if info.streamed:
        parts.append(f"TTFT p95 ≤ {info.goal_ttft_s:g} s")
    if info.goal_e2e_s is not None:
        parts.append(f"E2E p95 ≤ {info.goal_e2e_s:g} s")
    parts.append(f"success ≥ {_share(info.goal_success)}")
    if info.goal_tokens_per_s is not None:
        parts.append(f"≥ {info.goal_tokens_per_s:g} tokens/s")
    if info.goal_cost_usd_per_probe is not None:
        parts.append(f"≤ ${info.goal_cost_usd_per_probe:g} a probe")
    return ", ".join(parts)
