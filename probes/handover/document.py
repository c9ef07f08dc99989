"""The pages of a hand-over before they are HTML or Markdown: both say the same, in one order.

Rule 1: a text is a text: nothing in it is markup. The pages escape it, each in its own way.
Rule 2: the head answers who hurts, since when, how long, on whose side, what was done and whether
it helped, how many probes were lost; the rest is for whoever doubts it.
Rule 3: whatever a server or a user wrote is neutralised and bounded here, once for all pages.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final, Literal, NamedTuple, TypeAlias

from probes import __version__
from probes.config.urls import mask_url
from probes.diagnosis.paging import harm_words
from probes.events import AttemptFinished, Limit
from probes.events.diagnosis_words import cause_words
from probes.events.pace_words import SKIP_WORDS, pace_words
from probes.handover.charts import (
    ChartAxis,
    ChartMark,
    Curve,
    arrivals_chart,
    bars_chart,
    curves_chart,
    states_chart,
)
from probes.handover.facts import (
    Facts,
    FiguresOfRoute,
    RouteFacts,
    good_probes,
    worst_probes,
)
from probes.handover.words import (
    advice_in_words,
    against_words,
    before_words,
    blame_words,
    done_words,
    effect_words,
    felt_words,
    for_words,
    found_words,
    goals_in_words,
    head_words,
    lasted_words,
    listed_routes,
    lost_words,
    open_words,
    said_words,
    seen_words,
    since_words,
    summary_words,
    trust_words,
    utc_moment,
    utc_time,
)
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import NO_FIGURE, count, counted, lasting, three_digits

_TEXT: Final = 600
"""Characters of any one text of a page: the message of an attempt has 500 at most."""
_NAME: Final = 80
_PARTS: Final = ": in the incident, before and after"
_LOW: Final = 4
"""Routes whose states are no higher than another chart."""
_CHARTED: Final = 3
"""Routes with charts of their own; the others stand in the tables."""
_HAPPENINGS: Final = 120
_GOOD_LISTED: Final = 10
_FILES: Final = (
    ("report.html", "this page: one file, nothing is loaded, no script"),
    ("report.md", "the same as text, for a ticket or a chat"),
    ("attempts.csv", "every attempt of this time, a line each"),
    ("request-ids.txt", "ids of bad and of good requests, for the provider's support"),
    ("recording.jsonl", "the events themselves: llmtop replay recording.jsonl"),
    ("routes.redacted.toml", "what was probed and how, without secrets"),
    ("README.txt", "what is what, and what the columns mean"),
)


class Paragraph(NamedTuple):
    """Some sentences."""

    text: str


class Bullets(NamedTuple):
    """A list."""

    items: tuple[str, ...]


class Pairs(NamedTuple):
    """Names with what is to be said of each."""

    rows: tuple[tuple[str, str], ...]


class Grid(NamedTuple):
    """A table; the columns from `figures` on are figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: int = 1


class Picture(NamedTuple):
    """A chart; where there is no picture its caption stands alone."""

    svg: str
    caption: str
    is_tall: bool = False
    """It has the height of several others."""


Block: TypeAlias = Paragraph | Bullets | Pairs | Grid | Picture


class DocumentSection(NamedTuple):
    """A heading with what stands below it."""

    id: str
    title: str
    blocks: tuple[Block, ...]


class Document(NamedTuple):
    """All that the pages say."""

    title: str
    tone: Literal["hurts", "over", "calm"]
    verdict: str
    """In a word or two, for the lamp at the head."""
    summary: str
    head: Pairs
    sections: tuple[DocumentSection, ...]
    foot: str


def document(facts: Facts) -> Document:
    """Return what the pages of a hand-over say."""
    record = facts.incident
    is_open = record is not None and record.end is None
    sections = [
        _section("charts", "What it looked like", _charts(facts)),
        _section("evidence", "Evidence", _evidence(facts)),
        _section("timeline", "What happened", _timeline(facts)),
        _section("figures", "Each route" + (_PARTS if record else ""), _figures(facts)),
        _section("probes", "The worst probes", _worst(facts)),
        _section("good", "Good probes to compare with", _good(facts)),
        _section("limits", "Limits the servers stated", _limits(facts)),
        _section("routes", "What was probed", _routes(facts)),
        _section("trust", "Can these figures be trusted?", _trust(facts)),
        _section("files", "What else is in the folder", [Pairs(_FILES)]),
        _section("words", "What the words mean", [Pairs(_WORDS)]),
    ]
    return Document(
        title=_text(head_words(facts)),
        tone="hurts" if is_open else "over" if record or facts.others else "calm",
        verdict="not over" if is_open else "a part of a run" if record is None else "over",
        summary=summary_text(facts),
        head=_head(facts),
        sections=tuple(one for one in sections if one.blocks),
        foot=_foot(facts),
    )


def summary_text(facts: Facts) -> str:
    """Return the whole in a paragraph, fit for any display."""
    return neutralise(summary_words(facts), 4 * _TEXT)


def _text(text: str, limit: int = _TEXT) -> str:
    return neutralise(text, limit)


def _section(name: str, title: str, blocks: Iterable[Block]) -> DocumentSection:
    return DocumentSection(name, title, tuple(blocks))


def _head(facts: Facts) -> Pairs:
    record = facts.incident
    rows = [("Who hurts", listed_routes([route.info.name for route in facts.hit]))]
    if record is None:
        rows = [("Routes", listed_routes([route.info.name for route in facts.routes]))]
        rows.append(("Incidents", found_words(facts)))
    rows.append(("From" if record is None else "Since", since_words(facts)))
    rows.append(("How long", lasted_words(facts)))
    if record is not None:
        if before := before_words(facts):
            rows.append(("Before it", before))
        rows.append(("Whose side", blame_words(record)))
        if felt := felt_words(facts):
            rows.append(("What it felt like", felt))
        if said := said_words(facts):
            rows.append(("How it failed", said))
        if record.word.advice is not None:
            asked = "What to do" if record.end is None else "What was advised"
            rows.append((asked, advice_in_words(record.word.advice)))
    rows.append(("What was done", done_words(facts)))
    rows.append(("Probes lost", lost_words(facts)))
    rows.append(("Figures trusted", trust_words(facts)))
    return Pairs(tuple((name, _text(text, 2 * _TEXT)) for name, text in rows))


def _axis(facts: Facts) -> ChartAxis:
    record, stretch = facts.incident, facts.stretch
    band = None
    if record is not None:
        band = (max(record.since_ns, stretch.begin_ns), facts.end_ns)
    marks = (one for one in facts.happenings if one.kind in ("knob", "mark"))
    numbered = tuple(ChartMark(one.at_ns, number) for number, one in enumerate(marks, 1))
    is_open = record is not None and record.end is None
    return ChartAxis(stretch, facts.anchor_ns, band, is_open, numbered[:20])


def _charts(facts: Facts) -> Iterator[Block]:
    axis = _axis(facts)
    words = ["Times are UTC."]
    if axis.band is not None:
        words.append("The shaded band is the incident, from its onset to its end.")
    if any(not one.finished for route in facts.hit[:_CHARTED] for one in route.slices):
        words.append("Where a line is broken no probe ended.")
    if axis.marks:
        words.append("▾ with a number is a knob or a mark; it is told under What happened.")
    yield Paragraph(" ".join(words))
    shown = facts.routes[: max(12, len(facts.hit))][:24]
    more = len(facts.routes) - len(shown)
    title = (
        "States of the routes, as the screen showed them: "
        "what hurts is high and named, what is well is a thin line"
    )
    yield Picture(
        states_chart(title, shown, axis),
        title + (f" ({more} more)" if more else ""),
        is_tall=len(shown) > _LOW,
    )
    per = lasting(seconds(facts.slice_ns))
    never_refused: list[str] = []
    for route in facts.hit[:_CHARTED]:
        name, slices = _text(route.info.name, _NAME), route.slices
        if route.info.streamed:
            title = f"{name}: time to first token"
            yield Picture(
                curves_chart(
                    title,
                    "s",
                    slices,
                    (
                        Curve("p95", "p95", [one.ttft_p95 for one in slices]),
                        Curve("p50", "p50", [one.ttft_p50 for one in slices]),
                    ),
                    axis,
                    goal=route.info.goal_ttft_s,
                ),
                f"{title}, p50 and p95 of each {per}, felt by the user",
            )
        title = f"{name}: time to the whole answer"
        yield Picture(
            curves_chart(
                title,
                "s",
                slices,
                (
                    Curve("p95", "p95", [one.e2e_p95 for one in slices]),
                    Curve("p50", "p50", [one.e2e_p50 for one in slices]),
                ),
                axis,
                goal=route.info.goal_e2e_s,
            ),
            f"{title}, p50 and p95 of each {per}, felt by the user",
        )
        title = f"{name}: good probes"
        good = [one.good / one.finished * 100 if one.finished else None for one in slices]
        yield Picture(
            curves_chart(
                title,
                "%",
                slices,
                (Curve("good", "good", good),),
                axis,
                goal=route.info.goal_success * 100,
                most=100.0,
            ),
            f"{title}, ended ok within every goal, of those that ended in each {per}",
        )
        title = f"{name}: writing speed"
        yield Picture(
            curves_chart(
                title,
                "tokens/s",
                slices,
                (Curve("tokens/s", "speed", [one.tokens_per_s for one in slices]),),
                axis,
                goal=route.info.goal_tokens_per_s,
            ),
            f"{title}, median of the streams that ended in each {per}, from exact counts",
        )
        if not any(one.throttled or one.retries for one in slices):
            never_refused.append(name)
            continue
        title = f"{name}: attempts refused for their rate, and retries"
        yield Picture(
            bars_chart(
                title,
                f"a {per}",
                slices,
                (
                    Curve("refused", "bar-429", [float(one.throttled) for one in slices]),
                    Curve("retries", "bar-retry", [float(one.retries) for one in slices]),
                ),
                axis,
            ),
            f"{title} in each {per}",
        )
    if never_refused:
        told = ", ".join(never_refused)
        yield Paragraph(f"{told}: nothing was refused for its rate and nothing retried.")
    if (more := len(facts.hit) - _CHARTED) > 0:
        hit = " hit" if facts.incident is not None else ""
        yield Paragraph(f"{counted(more, 'more route')}{hit}: figures below, and in attempts.csv.")


def _evidence(facts: Facts) -> Iterator[Block]:
    record = facts.incident
    if record is not None:
        word = record.word
        yield Pairs(
            tuple(
                (label, _text(text))
                for label, texts in (
                    ("for", for_words(word)),
                    ("against others", against_words(word)),
                    (
                        "taken for",
                        [
                            f"{cause_words(cause)} from {utc_time(facts.wall_ns(at_ns))}"
                            for at_ns, cause in record.causes[:-1]
                        ],
                    ),
                    (
                        "worth a page",
                        [
                            f"{utc_time(facts.wall_ns(one.at_ns))}: "
                            + harm_words(one.harm, seconds(one.at_ns - one.since_ns))
                            for one in facts.alerts
                            if one.incident == word.id
                        ]
                        or ["no: nobody would have been woken"],
                    ),
                )
                for text in texts
            )
        )
    others = [
        f"{utc_time(facts.wall_ns(one.since_ns))} {listed_routes(one.routes)}: "
        f"{seen_words(one.word)}"
        for one in facts.others
    ]
    if others:
        which = "Other incidents of the same time:" if record else "Incidents of this time:"
        yield Paragraph(which)
        yield Bullets(tuple(map(_text, others)))


def _timeline(facts: Facts) -> Iterator[Block]:
    records = [one for one in (facts.incident, *facts.others) if one is not None]
    # The log names whom an incident hits by its last word: of several routes the last to recover.
    hit = {record.word.id: record.routes for record in records}
    told: list[tuple[int, tuple[str, str, str]]] = []
    number = 0
    for one in facts.happenings:
        mark = ""
        if one.kind in ("knob", "mark"):
            number += 1
            mark = f"▾{number} "
        effect = effect_words(one)
        text = one.text + (f" — {effect}" if effect else "")
        if one.count > 1 and f"×{one.count}" not in text:
            text += f" (×{one.count})"
        routes = hit.get(one.incident, one.routes)
        told.append((one.at_ns, (mark + one.kind, _listed(routes), _text(text))))
    for alert in facts.alerts:
        words = harm_words(alert.harm, seconds(alert.at_ns - alert.since_ns))
        told.append((alert.at_ns, ("alert", _listed(alert.routes), _text(words))))
    if not told:
        yield Paragraph("Nothing is in the log of this time.")
        return
    told.sort(key=lambda row: row[0])
    left = len(told) - _HAPPENINGS
    if left > 0:
        yield Paragraph(f"The last {_HAPPENINGS}; {left} earlier are in the recording.")
    rows = tuple((utc_time(facts.wall_ns(at_ns)), *row) for at_ns, row in told[-_HAPPENINGS:])
    yield Grid(("UTC", "what", "route", ""), rows, figures=9)


def _listed(routes: Sequence[str]) -> str:
    return _text(listed_routes(routes), _NAME) if routes else ""


_COLUMNS: Final = (
    *("route", "when", "probes", "good %", "failed", "TTFT p50", "p95", "E2E p50", "p95"),
    *("tok/s", "refused", "retries"),
)


_SCHEDULED: Final = ("scheduled TTFT p50", "p95", "scheduled E2E p50", "p95")


def _figures(facts: Facts) -> Iterator[Block]:
    is_told = facts.incident is not None
    rows: list[tuple[str, ...]] = []
    for route in facts.routes:
        name = _text(route.info.name, 40) + (" ◂ hit" if route.is_hit else "")
        rows.append((name, "in it" if is_told else "all", *_figure_cells(route.during)))
        if is_told:
            if route.before.finished:
                rows.append(("", "before", *_figure_cells(route.before)))
            if route.after.finished:
                rows.append(("", "after", *_figure_cells(route.after)))
        usual = _usual_cells(route)
        if usual is not None:
            rows.append(("", "usual", *usual))
    yield Grid(_COLUMNS, tuple(rows), figures=2)
    yield Paragraph(
        "Seconds; of the probes that ended in that time; refused for the rate and retries are of "
        "attempts. Usual is what the verdicts compared with: medians while the route was well."
    )
    yield from _open_paces(facts)


def _open_paces(facts: Facts) -> Iterator[Block]:
    """Return what users waited from when they came, of the routes whose pace is open."""
    rows: list[tuple[str, ...]] = []
    for route in facts.routes:
        if route.info.pace == "interval":
            continue
        name = _text(route.info.name, 40)
        for when, part in (("in it", route.during), ("before", route.before)):
            if not part.finished:
                continue
            told = when if facts.incident is not None else "all"
            figures = (*part.scheduled_ttft, *part.scheduled_e2e)
            rows.append((name, told, *(three_digits(one) for one in figures)))
            name = ""
    if not rows:
        return
    yield Grid(("route", "when", *_SCHEDULED), tuple(rows), figures=2)
    yield Paragraph(
        "An open pace sends a probe when it is due, whatever the others do. Scheduled figures count"
        " from then: where no place was free, the wait for one is in them and in no other figure."
    )
    for route in facts.routes:
        pace = None if route.row is None else route.row.pace
        if pace is not None and pace.skipped_for:
            skipped = ", ".join(
                f"{count(number)} {SKIP_WORDS[why]}" for why, number in pace.skipped_for
            )
            yield Paragraph(f"{_text(route.info.name, 40)} skipped in the run: {skipped}.")


def _figure_cells(one: FiguresOfRoute) -> tuple[str, ...]:
    good = NO_FIGURE if not one.finished else f"{one.good / one.finished * 100:.1f}"
    return (
        *(f"{one.finished:,}", good, f"{one.failed:,}"),
        *(three_digits(one.ttft_p50), three_digits(one.ttft_p95)),
        *(three_digits(one.e2e_p50), three_digits(one.e2e_p95)),
        *(three_digits(one.tokens_per_s), f"{one.throttled:,}", f"{one.retries:,}"),
    )


def _usual_cells(route: RouteFacts) -> tuple[str, ...] | None:
    if route.row is None or not route.row.usual.n:
        return None
    usual = route.row.usual
    return (
        *(f"n {count(usual.n)}", "", ""),
        *(three_digits(usual.ttft_p50), three_digits(usual.ttft_p95)),
        *(three_digits(usual.e2e_p50), three_digits(usual.e2e_p95)),
        *(three_digits(usual.tokens_per_s), "", ""),
    )


def _worst(facts: Facts) -> Iterator[Block]:
    worst = worst_probes(facts)
    if not worst:
        hung = open_words(facts)
        yield Paragraph(
            "Every probe that ended in this time was good." + (f" {hung}." if hung else "")
        )
        return
    which = "Of each way to end the longest, an attempt a line."
    if all(story.is_good for story in worst):
        which = "No probe failed or missed a goal: the longest that it made slower, one a line."
    yield Paragraph(
        f"{which} Palest grey: connecting and "
        "sending; grey: waiting for the response, darker on to the first token; blue: writing, "
        "a line for each chunk; framed: a pause; dots: waiting to retry; ✕ failed, ⊘ refused for "
        "the rate."
    )
    longest_s = max(story.lasted_s for story in worst)
    stall_after = {route.info.name: route.info.stall_after for route in facts.routes}
    for story in worst:
        probe = story.probe
        how = probe.outcome + (f" ({probe.reason})" if probe.reason else "")
        how = "ok, beyond a goal" if probe.outcome == "ok" and not story.is_good else how
        title = f"{utc_time(facts.wall_ns(probe.started_ns))} {probe.route} {probe.probe}: {how}"
        told = [f"{title}, {three_digits(story.lasted_s)} s, {counted(probe.attempts, 'attempt')}"]
        if story.attempts:
            last = story.attempts[-1]
            spoke = next((one for one in reversed(story.attempts) if one.message), last)
            quoted = f"“{_text(spoke.message, 200)}”" if spoke.message else ""
            told.append(" ".join(filter(None, (str(spoke.status or ""), quoted))))
        if ids := ids_of(story.attempts):
            told.append("ids " + ", ".join(ids[:4]))
        picture = arrivals_chart(
            _text(title, 200), story, longest_s, stall_after.get(probe.route, inf)
        )
        yield Picture(picture, _text(" · ".join(filter(None, told))))


def ids_of(attempts: Sequence[AttemptFinished]) -> list[str]:
    """Return every id by which somebody may find these attempts: the provider's and gateways'."""
    found: dict[str, None] = {}
    for attempt in attempts:
        for value in (attempt.request_id, *attempt.request_ids.values(), attempt.response_id):
            if value:
                found[_text(value, 120)] = None
    return list(found)


def _good(facts: Facts) -> Iterator[Block]:
    rows = []
    for story in good_probes(facts):
        ids = ids_of(story.attempts)
        if not ids:
            continue
        at = utc_time(facts.wall_ns(story.probe.started_ns))
        name = _text(story.probe.route, 40)
        took = f"TTFT {three_digits(story.ttft_s)} s, {three_digits(story.lasted_s)} s in all"
        rows.append((at, name, took, ", ".join(ids[:2])))
        if len(rows) == _GOOD_LISTED:
            break
    if rows:
        yield Grid(("UTC", "route", "took", "ids"), tuple(rows), figures=9)
        yield Paragraph("More of both kinds stand in request-ids.txt.")
    else:
        yield Paragraph("No good probe of the routes that were hit has an id of its server's.")


def _limits(facts: Facts) -> Iterator[Block]:
    rows = []
    names = {route.info.name for route in facts.hit}
    for view in facts.snapshot.limits:
        if view.route in names:
            rows += [(_text(view.route, 40), *_limit_cells(one)) for one in view.limits]
    if rows:
        yield Grid(("route", "limit", "left", "of", "a", "resets in"), tuple(rows), figures=2)
        yield Paragraph("As the servers stated them last, by the end of this time.")
    throttles = [one for one in facts.snapshot.throttles if one.route in names]
    inside = [one for one in throttles if facts.stretch.begin_ns <= one.at_ns]
    if inside:
        asked = [one.asked_s for one in inside if one.asked_s is not None]
        told = f"Refused for the rate in this time: {counted(len(inside), 'attempt')}"
        told += f", asked to wait up to {three_digits(max(asked))} s" if asked else ""
        said = next((one.message for one in inside if one.message), "")
        yield Paragraph(_text(told + (f"; last said: “{said}”" if said else "") + "."))
    if not rows and not inside:
        yield Paragraph(
            "None of the routes that were hit stated a limit, and nothing was refused for its rate."
        )


def _limit_cells(one: Limit) -> tuple[str, ...]:
    reset = NO_FIGURE if one.reset_s is None else f"{three_digits(one.reset_s)} s"
    scope = f" ({one.scope})" if one.scope else ""
    return (
        _text(one.kind + scope, _NAME),
        *(count(one.remaining), count(one.limit), _text(one.window or NO_FIGURE, 20), reset),
    )


def _routes(facts: Facts) -> Iterator[Block]:
    rows = []
    for route in facts.routes:
        info = route.info
        cells = (info.name, info.model, mask_url(info.base_url), info.dialect)
        every = pace_words(info.pace, info.interval, info.rate)
        pace = f"{info.concurrency} at once, {every}, cap {info.max_tokens}"
        rows.append((*(_text(cell, _NAME) for cell in cells), pace, goals_in_words(route)))
    yield Grid(("route", "model", "host", "API", "asked", "goals"), tuple(rows), figures=9)


def _trust(facts: Facts) -> Iterator[Block]:
    health, hello = facts.health, facts.hello
    begin, end = (utc_moment(facts.wall_ns(at_ns)) for at_ns in facts.stretch)
    clock = "the kernel, as they came in" if hello.clock == "kernel" else "llmtop, when it woke"
    places = [one.place for one in facts.healths if one.place]
    seen_from = f", seen from {', '.join(places)}" if places else ""
    yield Pairs(
        (
            ("In short", _text(trust_words(facts))),
            ("Loop lag", f"p99 {health.lag_p99_ms:.1f} ms, most {health.lag_max_ms:.1f} ms"),
            ("CPU", f"{health.cpu_share * 100:.0f} % of a core at most"),
            ("Inexact", f"{health.inexact_share * 100:.1f} % of the chunks"),
            ("Arrivals dated by", clock),
            ("This time", f"{begin} to {end}"),
            (
                "Measured",
                f"{counted(len(facts.probes), 'probe')}, {counted(len(facts.attempts), 'attempt')}"
                + (f", {facts.left_out} more left out" if facts.left_out else ""),
            ),
            (
                "By",
                _text(
                    f"llmtop {hello.version}, engine {hello.engine}, "
                    f"{counted(hello.engines, 'engine')}{seen_from}; "
                    f"written by llmtop {__version__}"
                ),
            ),
        )
    )
    lost = list(facts.missing)
    if lost:
        yield Paragraph("What the recording does not tell:")
        yield Bullets(tuple(map(_text, lost)))
    else:
        yield Paragraph("Nothing is missing of the recording, as far as it can tell.")


def _foot(facts: Facts) -> str:
    at = utc_moment(facts.wall_ns(facts.stretch.end_ns))
    return _text(
        f"Measured from outside by probes, as a user would feel it. llmtop {facts.hello.version}; "
        f"written by {__version__}; up to {at}. No prompt, no answer and no key is in this folder."
    )


_WORDS: Final = (
    ("probe", "one request as a user would send it, with all its retries"),
    ("attempt", "one HTTP exchange of a probe"),
    ("good", "ended ok, and within every goal of its route"),
    ("failed", "did not end ok after all retries; what we cancelled ourselves is left out"),
    ("TTFT", "time to first token: from the start of the first attempt to the first output"),
    ("E2E", "from the start of the first attempt to the end of the answer"),
    ("p50, p95", "half, and 95 % of the probes took no longer"),
    ("tok/s", "median over streams of how fast tokens were written after the first"),
    ("refused", "attempts that the server refused for their rate; a bill is not one"),
    ("onset", "when the figures changed, however late that was known"),
    ("named", "when the verdict was sure enough to be told"),
    ("usual", "what a route did while it was well"),
    (
        "how it was measured",
        "stamps at the socket read, on one monotonic clock of one machine; what happened at two "
        "places is ordered by their wall clocks and no better",
    ),
)
