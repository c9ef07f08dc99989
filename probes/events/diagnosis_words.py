"""A diagnosis in words: who · what · from where · since · evidence against usual → what to do.

Rule 1: words are made from the fields of the event alone, so that the screen, a report and the
event's own `text` say the same of the same incident.
Rule 2: each part is made by itself: where there is little room, the later ones are left out.
Rule 3: a share tells of how many, a figure its usual and both n, wherever they are known.
Rule 4: only keys that the cockpit has are named; on a screen they are those that its user has.
Rule 5: names, details and a server's words are passed on as they are: hostile. Whoever displays
them neutralises.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, tzinfo
from typing import Final, Literal, NamedTuple, TypeAlias

from probes.events.parts import Act, Advice, Cause, Evidence, FigureName, KnobKind
from probes.events.stream import Diagnosis, SeenBefore
from probes.kit.clock import NS_PER_S
from probes.kit.short_figures import NO_FIGURE, count, counted, lasting, local_moment

_MOST_NAMED: Final = 3
"""Routes of one incident that are named; of the rest there is the number."""
_DAY_S: Final = 86_400
_FEW: Final = 20
"""Up to so many, `3 of 12` says more than a percentage does."""
_MOST_WORDS: Final = 80
"""Characters of a server's own words: they shall leave room for ours."""
_MOST_CAME: Final = 48
"""The same of each of two wrong answers."""
_CAME: Final = "; came "
"""Before what came, in the words of a wrong answer."""


class _What(NamedTuple):
    one: str
    several: str = ""
    """Where more than one route does it, and that is said in other words."""


_CAUSES: Final[dict[Cause, _What]] = {
    "no_answer": _What("answers nothing", "answer nothing"),
    "outage": _What("provider is down"),
    "provider_errors": _What("provider answers with errors"),
    "provider_overloaded": _What("provider is overloaded"),
    "provider_queueing": _What("slow to the first token"),
    "provider_slow_decode": _What("provider writes slowly"),
    "stream_stalls": _What("streams pause"),
    "stream_truncation": _What("answers stop without their end"),
    "rate_limited_requests": _What("we exceed its request limit"),
    "rate_limited_tokens": _What("we exceed its token limit"),
    "rate_limited_concurrency": _What("we send too many at once"),
    "quota_exhausted": _What("refuses our account", "refuse our account"),
    "auth_failure": _What("refuses our key", "refuse our key"),
    "model_missing": _What("does not have the model", "do not have the model"),
    "model_changed": _What("another model answers"),
    "wrong_answers": _What("answers wrongly", "answer wrongly"),
    "bad_request": _What("refuses what we ask", "refuse what we ask"),
    "network_path": _What("the way is slow"),
    "dns": _What("name is not found"),
    "tls": _What("TLS fails"),
    "connection_churn": _What("connections are not kept"),
    "cold_start": _What("cold start"),
    "cache_loss": _What("prompt cache is lost"),
    "prompt_growth": _What("prompts are longer"),
    "output_growth": _What("answers are longer"),
    "retry_masking": _What("errors hidden by retries"),
    "own_load": _What("slow under our own load"),
    "local_observer": _What("our machine is busy"),
    "unknown": _What("something is wrong, not known what"),
}
_UNREACHABLE: Final = "unreachable"
"""A way on which attempts fail is not slow."""
_GROWN: Final[dict[Cause, str]] = {
    "prompt_growth": "prompts {} × longer",
    "output_growth": "answers {} × longer",
}

_FAILURES: Final[frozenset[FigureName]] = frozenset(
    (
        *("failed_share", "overloaded_share", "throttled_share", "truncated_share"),
        *("wrong_share", "in_a_row"),
    )
)


class _Shown(NamedTuple):
    """How a figure is said."""

    name: str
    """Of a share or a count: what it is a share or a count of."""
    how: Literal["s", "ms", "rate", "tokens", "count", "share", "of"]
    """`ms` for what is short by nature, `rate` for the inverse of a time per token, `of` for a
    share of n things, `share` for one that has no such n."""
    one: str = ""
    """Of `of`: the name where n is one."""


_FIGURES: Final[dict[FigureName, _Shown]] = {
    "ttft": _Shown("first token", "s"),
    "time_per_token": _Shown("tok/s", "rate"),
    "chunk_gap": _Shown("longest pause", "s"),
    "e2e": _Shown("whole answer", "s"),
    "connect": _Shown("connect", "ms"),
    "dns": _Shown("DNS", "ms"),
    "tcp": _Shown("TCP", "ms"),
    "tls": _Shown("TLS", "ms"),
    "rtt": _Shown("RTT", "ms"),
    "retransmits": _Shown("resent an attempt", "count"),
    "reordered": _Shown("out of order an attempt", "count"),
    "input_tokens": _Shown("prompt counted", "tokens"),
    "output_tokens": _Shown("answers of", "tokens"),
    "cached_share": _Shown("of the prompt cached", "share"),
    "failed_share": _Shown("attempts fail", "of", "attempt fails"),
    "overloaded_share": _Shown(
        "attempts refused as overloaded", "of", "attempt refused as overloaded"
    ),
    "throttled_share": _Shown("attempts throttled", "of", "attempt throttled"),
    "truncated_share": _Shown("answers cut", "of", "answer cut"),
    "stalled_share": _Shown("answers pause", "of", "answer pauses"),
    "cold_share": _Shown("attempts on new connections", "of", "attempt on a new connection"),
    "retried_share": _Shown("probes rescued by a retry", "of", "probe rescued by a retry"),
    "in_a_row": _Shown("in a row", "count"),
    "open_age": _Shown("oldest open", "s"),
    "open_requests": _Shown("open", "count"),
    "other_model_share": _Shown("answers by another model", "of", "answer by another model"),
    "wrong_share": _Shown("answers wrong", "of", "answer wrong"),
    "limit_left": _Shown("left of the limit", "count"),
    "loop_lag": _Shown("our loop late by", "ms"),
    "cpu_share": _Shown("of a core used by us", "share"),
    "routes_together": _Shown("routes at once", "count"),
}
_AS_USUAL: Final[dict[FigureName, str]] = {
    "time_per_token": "writing speed",
    "retransmits": "resent segments",
    "reordered": "order of segments",
    "input_tokens": "prompt length",
    "output_tokens": "answer length",
    "cached_share": "prompt cache",
    "failed_share": "failures",
    "overloaded_share": "overload",
    "throttled_share": "429s",
    "truncated_share": "cut answers",
    "stalled_share": "pauses",
    "cold_share": "new connections",
    "retried_share": "retries",
    "in_a_row": "failures",
    "open_age": "open requests",
    "open_requests": "open requests",
    "other_model_share": "served model",
    "wrong_share": "wrong answers",
    "limit_left": "what is left of the limit",
    "loop_lag": "our loop",
    "cpu_share": "our CPU",
    "routes_together": "other routes",
}
"""What a figure is called where only that it is as usual is said; else as above."""

_LIMITS: Final[frozenset[Cause]] = frozenset(
    ("rate_limited_requests", "rate_limited_tokens", "rate_limited_concurrency")
)
_OF_THE_KEY: Final[frozenset[Cause]] = frozenset(("auth_failure", "quota_exhausted"))
_ASKED: Final[frozenset[Cause]] = frozenset(("bad_request", "model_missing"))
"""Of these the fault is in what is asked for, wherever that is done."""

_ACTS: Final[dict[Act, str]] = {
    "move": "send users elsewhere",
    "set_knob": "ease the load",
    "undo_knob": "put back the knob that was turned last",
    "check_key": "check the key: was it rotated?",
    "check_account": "top up; waiting does not help",
    "check_model": "check the model's name: renamed or retired?",
    "check_request": "llmtop once says what it refuses",
    "check_network": "the host or the way to it: status page, VPN, proxy",
    "check_dns": "check the name, the resolver, the VPN",
    "check_certificate": "check its certificate, our clock, a proxy in between",
    "check_this_machine": "trust no latency until it clears",
    "pin_model": "an alias, a fallback or a rollout? pin the version",
    "check_prompt": "template, tokenizer or a gateway adds to the prompt",
    "check_answers": "a new build, a lost stop word? a lower answer cap bounds them",
    "keep_connections": "who closes them? a proxy, a balancer, its keep-alive",
    "tell_provider": "tell the provider",
    "wait": "wait",
    "none": "nothing breaks yet",
}
ADVICE_KEYS: Final[Mapping[str, str]] = {
    "adapt": "l",
    "fewer": "-",
    "later": ">",
    "shorter": "{",
    "undo": "u",
    "pause": "p",
    "burst": "b",
    "fresh": "B",
    "end_cool_down": "c",
    "accept_usual": "U",
}
"""The keys that advice names, by their ids in the cockpit's table of keys, as that has them until
its user gives them others: an event's own `text` is read by people without that table."""
_KNOBS: Final[dict[KnobKind, str]] = {
    # What is advised eases the load: fewer workers, a slower pace, a shorter answer.
    "concurrency": "{fewer} to {value}",
    "interval": "{later} to {value} s",
    "rate": "{later} to {value}/s",
    "max_tokens": "{shorter} to {value}",
    "paused": "{pause} stops probing",
    "burst": "{burst} sends a burst of {value}",
    "cool_down": "{end_cool_down} ends the cool-down",
    "usual": "{accept_usual} takes this level for the usual one",
    "auto": "{adapt} finds how many at once",
}

Parted: TypeAlias = tuple[str, ...]
"""Parts of a line, the most needed first."""


def who_words(routes: Sequence[str], between: str = " ") -> str:
    """Return whom an incident hits: `alpha bravo charlie +2`."""
    more = len(routes) - _MOST_NAMED
    named = between.join(routes[:_MOST_NAMED])
    return f"{named} +{more}" if more > 0 else named


def hit_words(diagnosis: Diagnosis) -> str:
    """Return whom an incident hits, as `who_words`; what is seen from several places is named by
    the names that it has at all of them."""
    return who_words(hit_names(diagnosis))


def hit_names(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the names of whom an incident hits; of several places those that they share."""
    if len(diagnosis.places) < 2:
        return diagnosis.routes
    ends = tuple(f"@{place}" for place in diagnosis.places)
    shared = (
        next((name.removesuffix(end) for end in ends if name.endswith(end)), name)
        for name in diagnosis.routes
    )
    return tuple(dict.fromkeys(shared))


def scope_words(diagnosis: Diagnosis) -> str:
    """Return from which of several places it is seen, and what that says: `from eu only: the way
    there (1 of 3 places)`; empty where one place is all there is."""
    places, cause = diagnosis.places, diagnosis.cause
    told = ""
    if places and diagnosis.scope != "machine":
        seen, of = len(places), diagnosis.of_places
        among = f" ({seen} of {counted(of, 'place')})" if of else ""
        if diagnosis.scope == "everywhere":
            told = f"from everywhere: {_meeting_point(cause)}{among}"
        elif diagnosis.scope:
            told = f"from {who_words(places, ', ')} only{_why_only(diagnosis)}{among}"
        else:
            told = f"from {who_words(places, ', ')}, elsewhere not known yet"
    if diagnosis.unheard:
        not_heard = f"{who_words(diagnosis.unheard, ', ')} not heard"
        told = f"{told}, {not_heard}" if told else not_heard
    return told


def _meeting_point(cause: Cause) -> str:
    """Return where what all places see lies."""
    if cause in _LIMITS:
        return "one limit for all"
    if cause in _OF_THE_KEY:
        return "the key or its account"
    return "what is asked for" if cause in _ASKED else "the provider"


def _why_only(diagnosis: Diagnosis) -> str:
    """Return what it says that these places alone see it; empty where it says nothing more."""
    its = "its" if len(diagnosis.places) == 1 else "their"
    match diagnosis.scope:
        case "way":
            return ": the way there"
        case "network":
            return f": all that it sees, {its} own network"
        case _ if diagnosis.cause in _LIMITS:
            return f": a limit of {its} own"
        case _ if diagnosis.cause in _OF_THE_KEY:
            return f": {its} own key or account"
        case _:
            return ""


def counts_failures(evidence: Iterable[Evidence]) -> bool:
    """Return whether attempts fail, and are not merely slow."""
    return any(one.figure in _FAILURES and one.now > 0 for one in evidence)


def cause_words(
    cause: Cause, *, size: float = 0.0, several: bool = False, failing: bool = False
) -> str:
    """Return what is wrong, as it follows the names of those that are hit.

    Args:
        cause: of the diagnosis.
        size: of the diagnosis: what has grown says how much.
        several: more than one route is hit.
        failing: attempts fail; see `counts_failures`.
    """
    if cause == "network_path" and failing:
        return _UNREACHABLE
    if cause in _GROWN and size > 1:
        return _GROWN[cause].format(f"{size:.2g}" if size < _FEW else count(size))
    what = _CAUSES[cause]
    return (several and what.several) or what.one


def evidence_words(evidence: Evidence) -> str:
    """Return a figure against its usual: `first token 2.60 s, usual 0.73 (n 103/240)`; of another
    place than those that are hit it says so: `… from us`."""
    told = _figure_words(evidence)
    return f"{told} from {evidence.place}" if evidence.place else told


def _figure_words(evidence: Evidence) -> str:
    name, how, one = _FIGURES[evidence.figure]
    now, usual = evidence.now, evidence.usual
    if how == "of":
        return _share_of(name, one, evidence)
    if how == "share":
        return f"{_percent(now)} {name}" + _usual(None if usual is None else _percent(usual))
    if how == "count":
        return f"{_plain(now)} {name}" + _usual(None if usual is None else _plain(usual))
    if how == "tokens":
        told = f"{name} {counted(now, 'token', short=True)}"
        told += _usual(None if usual is None else count(usual))
    elif how == "rate":
        told = f"{_per_s(now)} {name}" + _usual(None if usual is None else _per_s(usual))
    else:
        longest = max(now, usual or 0.0)
        scale, unit = (1000.0, "ms") if how == "ms" and longest < 1 else (1.0, "s")
        told = f"{name} {_short(now * scale)} {unit}"
        told += _usual(None if usual is None else _short(usual * scale))
    return told + _samples(evidence)


def by_now_words(
    evidence: Evidence, now: float, n: int, *, is_least: bool = False, moment: str = "now"
) -> str:
    """Return what a figure has become since it was named: `by now 3.40 s (n 88)`.

    Empty where that reads as it did when it was named.

    Args:
        evidence: as it was named.
        now: the figure by now, in the unit of the evidence.
        n: samples of it; 0 where they are not counted.
        is_least: it is at least so much.
        moment: what the moment is called that it is told at.
    """
    how = _FIGURES[evidence.figure].how
    told = _value_words(how, now, evidence)
    if told == _value_words(how, evidence.now, evidence) and not is_least:
        return ""
    samples = f" (n {count(n)})" if n else ""
    return f"by {moment} {'≥' if is_least else ''}{told}{samples}"


def _value_words(how: str, value: float, evidence: Evidence) -> str:
    """Return a figure with its unit, in the scale in which the evidence is told."""
    if how in ("of", "share"):
        return _percent(min(max(value, 0.0), 1.0))
    if how == "count":
        return _plain(value)
    if how == "tokens":
        return count(value)
    if how == "rate":
        return f"{_per_s(value)} {_FIGURES[evidence.figure].name}"
    if how == "ms" and max(evidence.now, evidence.usual or 0.0) < 1:
        return f"{_short(value * 1000)} ms"
    return f"{_short(value)} s"


def as_usual_words(unmoved: Iterable[Evidence]) -> str:
    """Return which figures did not move, and so speak against other causes: `writing speed, RTT as
    usual`, and what they are from elsewhere: `first token 0.31 s, usual 0.30 (n 40/300) from us`;
    empty without any."""
    unmoved = tuple(unmoved)
    names = dict.fromkeys(
        _AS_USUAL.get(one.figure) or _FIGURES[one.figure].name for one in unmoved if not one.place
    )
    told = [f"{', '.join(names)} as usual"] if names else []
    told += [evidence_words(one) for one in unmoved if one.place]
    return "; ".join(told)


def others_words(well: int, hurt: Sequence[str]) -> str:
    """Return how the routes fare that are not hit: `2 others fine`; empty where there are none.

    Args:
        well: how many of them are fine.
        hurt: those that are not, each with its state; they are told first, for they are why.
    """
    more = len(hurt) - _MOST_NAMED
    told = ", ".join(hurt[:_MOST_NAMED]) + (f" +{more}" if more > 0 else "")
    parts = [f"also {told}"] if hurt else []
    if well:
        parts.append(f"{counted(well, 'other', short=True)} fine")
    return ", ".join(parts)


def fresh_words(keys: Mapping[str, str] = ADVICE_KEYS) -> str:
    """Return what tells a server that hangs from a connection that does."""
    return f"{keys['fresh']} sends one on a fresh connection"


def advice_words(
    advice: Advice, fares: str = "", took: str = "", keys: Mapping[str, str] = ADVICE_KEYS
) -> str:
    """Return what to do, with the key that does it where there is one.

    Args:
        advice: of the diagnosis.
        fares: how the route does that users may be sent to, where somebody knows.
        took: how it was with the knob where it is to be set, where somebody knows.
        keys: what the reader has for each of `ADVICE_KEYS`.
    """
    if advice.act == "move" and advice.route:
        told = f"move users to {advice.route}" + (f" ({fares})" if fares else "")
    elif advice.knob is not None and advice.act in ("set_knob", "undo_knob"):
        told = _KNOBS[advice.knob].format(value=f"{advice.value or 0.0:g}", **keys)
        if advice.act == "undo_knob":
            told = f"{keys['undo']} undoes it (or {told})"
        told += f"; {took}" if took else ""
    else:
        told = _ACTS[advice.act]
    # The event has the one detail that names a key in the words of the keys that all begin with.
    detail = fresh_words(keys) if advice.detail == fresh_words() else advice.detail
    return f"{told}; {detail}" if detail else told


def since_words(moment: str, lasted_s: float) -> str:
    """Return since when, and for how long: `since 14:31:04 (1m50s)`.

    Args:
        moment: time of day of the onset.
        lasted_s: seconds since then.
    """
    return f"since {moment} ({lasting(lasted_s)})"


def often_words(times: int, since: str, typical_s: float | None, last: str) -> str:
    """Return how often something was seen: `seen 3 times since 12 Oct, median 40m, last on 29 Nov`.

    Args:
        times: how often.
        since: day of the first.
        typical_s: median of how long they took; None where that is not known.
        last: when the last was: `on 29 Nov`, `3 days ago`.
    """
    if times == 1:
        long = "" if typical_s is None else f", for {lasting(typical_s)}"
        return f"seen once, {last}{long}"
    long = "" if typical_s is None else f", median {lasting(typical_s)}"
    return f"seen {counted(times, 'time')} since {since}{long}, last {last}"


def past_words(seen: SeenBefore, now_ns: int, zone: tzinfo | None = None) -> Parted:
    """Return how often what is wrong was seen before, whole and in fewer words.

    Args:
        seen: what was found.
        now_ns: the present, in Unix ns.
        zone: time zone of the days; None is the machine's own.
    """
    ago_s = max(0, now_ns - seen.last_wall_ns) / NS_PER_S
    last = f"{counted(ago_s // _DAY_S, 'day') if ago_s >= 2 * _DAY_S else lasting(ago_s)} ago"
    first, now = local_moment(seen.first_wall_ns, zone), local_moment(now_ns, zone)
    since = NO_FIGURE
    if first is not None and now is not None:
        since = day_words(first, now.year)
        if first.date() == now.date():
            since = f"{first:%H:%M}"
    whole = often_words(seen.times, since, seen.typical_s, last)
    few = "once," if seen.times == 1 else f"{seen.times}×, last"
    return whole, f"seen {few} {last}"


def day_words(day: date, year: int) -> str:
    """Return a day as people say it, the year only where it is not the one that is given: `12 Oct`,
    `12 Oct 2025`."""
    said = f"{day.day} {day:%b}"
    return said if day.year == year else f"{said} {day.year}"


def recovery_words(moment: str, lasted_s: float, was: str = "ill") -> str:
    """Return that an incident is over: `recovered 14:18:26, was down 55s`.

    Args:
        moment: time of day of its end; empty where that stands beside it.
        lasted_s: seconds from its onset to its end.
        was: the state that its routes were in.
    """
    recovered = f"recovered {moment}" if moment else "recovered"
    return f"{recovered}, was {was} {lasting(lasted_s)}"


def server_words(status: int | None, message: str) -> str:
    """Return a server's own words with its status: `503 "overloaded"`; empty without either."""
    cut = _cut(" ".join(message.split()), _MOST_WORDS)
    parts = ("" if status is None else str(status), f'"{cut}"' if cut else "")
    return " ".join(part for part in parts if part)


def wrong_words(messages: Sequence[str]) -> str:
    """Return what was expected and what came instead, of the newest wrong answers, newest first:
    `expected "harbour" in it; came "The sea", "I cannot"`.

    Args:
        messages: what their attempts tell, as `probes.answers.right_answer` words it.
    """
    expected, came = "", dict[str, None]()
    for message in messages:
        said, _, got = " ".join(message.split()).partition(_CAME)
        if not expected or said == expected:
            expected = said
            # A cut takes the closing quotes, too: what follows is the next answer.
            came[got if len(got) <= _MOST_CAME else f'{got[: _MOST_CAME - 2]}…"'] = None
    told = ", ".join(got for got in came if got)
    return _cut(expected, 2 * _MOST_WORDS) + (f"{_CAME}{told}" if told else "")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def what_words(diagnosis: Diagnosis) -> str:
    """Return what is wrong with those that are hit, with how sure that is."""
    if diagnosis.scope == "machine":
        busy = f"the machine at {who_words(diagnosis.places, ', ')} is busy"
        return f"perhaps {busy}" if diagnosis.state == "perhaps" else busy
    words = cause_words(
        diagnosis.cause,
        size=diagnosis.size,
        several=len(diagnosis.routes) > 1,
        failing=counts_failures(diagnosis.evidence),
    )
    if diagnosis.shape:
        words = f"{words}, asked {diagnosis.shape}"
    return f"perhaps {words}" if diagnosis.state == "perhaps" else words


def evidence_parts(diagnosis: Diagnosis, words: str = "") -> Parted:
    """Return what speaks for it, the strongest first.

    Args:
        diagnosis: what the evidence is of.
        words: the server's own, which belong to the first figure.
    """
    parts = [evidence_words(one) for one in diagnosis.evidence]
    if words:
        parts[:1] = [f"{parts[0]}: {words}" if parts else words]
    return tuple(parts)


def diagnosis_text(diagnosis: Diagnosis, words: str = "") -> str:
    """Return the whole in one line, without its times: who · what · from where · evidence → what
    to do.

    Args:
        diagnosis: whose `text` it is to be.
        words: the server's own, of the failures it is about; see `server_words`.
    """
    # What is wrong with this machine is nobody's among the routes.
    is_ours = diagnosis.cause == "local_observer"
    who = "" if is_ours else hit_words(diagnosis)
    parts = (who, what_words(diagnosis), scope_words(diagnosis))
    told = (*evidence_parts(diagnosis, words), as_usual_words(diagnosis.against))
    evidence = "; ".join(part for part in told if part)
    line = " · ".join(part for part in (*parts, evidence) if part)
    return line if diagnosis.advice is None else f"{line} → {advice_words(diagnosis.advice)}"


def _share_of(several: str, one: str, evidence: Evidence) -> str:
    share, number = min(max(evidence.now, 0.0), 1.0), evidence.n_now
    asked = counted(number, one, several, short=True)
    if not number:
        told = f"{_percent(share)} of {several}"
    elif number <= _FEW or share == 1:
        told = f"{count(round(share * number))} of {asked}"
    else:
        told = f"{_percent(share)} of {asked}"
    usual = evidence.usual
    if not usual and evidence.figure in _FAILURES:
        return told  # that nothing fails is what everybody takes for granted
    return told + _usual(None if usual is None else _percent(usual, none="none"))


def _usual(words: str | None) -> str:
    return "" if words is None else f", usual {words}"


def _samples(evidence: Evidence) -> str:
    if not evidence.n_now:
        return ""
    usual = f"/{count(evidence.n_usual)}" if evidence.n_usual else ""
    return f" (n {count(evidence.n_now)}{usual})"


def _percent(share: float, none: str = "0 %") -> str:
    """Return a share in per cent; only a whole one is 100, and none that is one is 0."""
    if share <= 0:
        return none
    if share >= 1:
        return "100 %"
    percent = share * 100
    return f"{max(percent, 0.1):.1f} %" if percent < 1 else f"{min(percent, 99):.0f} %"


def _plain(value: float) -> str:
    """Return a count without decimals that it does not have."""
    return count(value) if value >= _FEW else f"{value:.2g}"


def _per_s(seconds: float) -> str:
    return _short(1 / seconds) if seconds > 0 else NO_FIGURE


def _short(value: float) -> str:
    """Return a figure as one says it: `2.60`, `0.73`, `41`; below 0.1 three decimals."""
    if value >= 9.995:
        return count(value)
    return f"{value:.2f}" if value >= 0.0995 or value <= 0 else f"{value:.3f}"
