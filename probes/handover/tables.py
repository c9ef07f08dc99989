"""What programs and a provider's support read: attempts as CSV, request ids as text.

Rule 1: RFC 4180: CRLF, quotes doubled. One head, one line an attempt, whatever is in it.
Rule 2: a spreadsheet runs a cell that begins with one of `= + - @` or a control character: such a
cell gets an apostrophe before it (OWASP, CSV injection). No figure of ours is negative.
Rule 3: texts of servers are neutralised and bounded.
"""

import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from probes.events import AttemptFinished
from probes.handover.document import ids_of
from probes.handover.facts import (
    IDS_LISTED,
    LETS_GO_EACH,
    LETS_GO_S,
    Facts,
    ProbeStory,
    bad_probes,
    good_probes,
)
from probes.handover.words import head_words, utc_moment
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
_TEXT: Final = 500


class _Column(NamedTuple):
    name: str
    meaning: str
    cell: Callable[[AttemptFinished, int], object]
    """Of an attempt, and what makes Unix time of its stamps."""


def _since_start(stamp: str) -> Callable[[AttemptFinished, int], object]:
    """Return a column of a stamp, in seconds from the start of the attempt."""

    def cell(attempt: AttemptFinished, _anchor_ns: int) -> object:
        at_ns, started_ns = getattr(attempt.stamps_ns, stamp), attempt.stamps_ns.started
        return "" if at_ns is None or started_ns is None else f"{(at_ns - started_ns) / 1e9:.6f}"

    return cell


COLUMNS: Final = (
    _Column("route", "name of the route", lambda one, _: one.route),
    _Column("probe", "the request it belongs to; its id here", lambda one, _: one.probe),
    _Column("attempt", "1 for the first of the probe", lambda one, _: one.attempt + 1),
    _Column(
        "started_utc",
        "when it began, UTC",
        lambda one, anchor_ns: _moment(one.stamps_ns.started or one.at_ns, anchor_ns),
    ),
    _Column("ended_utc", "when it ended, UTC", lambda one, anchor: _moment(one.at_ns, anchor)),
    _Column("outcome", "ok, throttled, timeout, …", lambda one, _: one.outcome),
    _Column("reason", "precisely why; empty where the outcome says it", lambda one, _: one.reason),
    _Column("status", "of HTTP; empty where no response came", lambda one, _: one.status),
    _Column("sent_s", "seconds from its start: request written", _since_start("sent")),
    _Column("headers_s", "response headers", _since_start("headers")),
    _Column("first_token_s", "first output (TTFT of the attempt)", _since_start("first_token")),
    _Column("last_token_s", "last output", _since_start("last_token")),
    _Column("done_s", "end of the body", _since_start("done")),
    _Column("ended_s", "end of the attempt, however it ended", _since_start("ended")),
    _Column("input_tokens", "by the server's count", lambda one, _: one.input_tokens),
    _Column("output_tokens", "by the server's count", lambda one, _: one.output_tokens),
    _Column("chunks", "reads that carried output", lambda one, _: one.chunks),
    _Column(
        "longest_gap_s",
        "longest time between two chunks",
        lambda one, _: f"{one.longest_gap_ns / 1e9:.6f}",
    ),
    _Column("stalls", "gaps beyond the route's stall_after", lambda one, _: one.stalls),
    _Column("cold", "1 where a connection was made for it", lambda one, _: int(one.cold)),
    _Column(
        "rtt_ms",
        "round trip of the connection, milliseconds",
        lambda one, _: "" if one.rtt_ns is None else f"{one.rtt_ns / 1e6:.3f}",
    ),
    _Column("retry_after_s", "what the server asked to wait", lambda one, _: one.retry_after_s),
    _Column(
        "retry_wait_s",
        "planned wait before the next attempt; empty where there is none",
        lambda one, _: "" if one.retry is None else f"{one.retry.wait_s:.6f}",
    ),
    _Column("cost_usd", "where it is known", lambda one, _: one.cost_usd),
    _Column("flagged", "why its times are not to be trusted", lambda one, _: one.flagged),
    _Column("served_model", "by the server's word", lambda one, _: one.served_model),
    _Column("request_id", "the most telling id", lambda one, _: one.request_id),
    _Column("all_ids", "every id, blanks between", lambda one, _: " ".join(ids_of([one]))),
    _Column("message", "the server's words, scrubbed and cut", lambda one, _: one.message),
)


def attempts_csv(
    facts: Facts, progress: Callable[[float], object] = lambda _share: None
) -> Iterator[str]:
    """Give every attempt of the stretch as a table, some lines at a time; `progress` takes how much
    of it is made, from 0 to 1."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in COLUMNS])
    for number, attempt in enumerate(facts.attempts, 1):
        writer.writerow([_cell(column.cell(attempt, facts.anchor_ns)) for column in COLUMNS])
        if number % LETS_GO_EACH == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
            progress(number / len(facts.attempts))
            time.sleep(LETS_GO_S)
    yield out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)) and value >= 0:
        return str(value)  # half of the cells; a minus would begin a formula
    text = neutralise(str(value), _TEXT)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _moment(at_ns: int, anchor_ns: int) -> str:
    try:
        moment = datetime.fromtimestamp((at_ns + anchor_ns) // 1_000_000 / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def request_ids(facts: Facts) -> str:
    """Return the ids of bad and of good requests, for whoever can look them up."""
    bad = bad_probes(facts)
    kind = "BAD: failed, or slower than the goal"
    if bad and all(story.is_good for story in bad):
        kind = "BAD: within every goal, but slower than usual: those of the incident"
    good = sorted(good_probes(facts)[:IDS_LISTED], key=lambda story: story.probe.at_ns)
    lines = [
        f"Requests of {neutralise(head_words(facts), 400)}",
        f"from {utc_moment(facts.wall_ns(facts.stretch.begin_ns))}"
        f" to {utc_moment(facts.wall_ns(facts.stretch.end_ns))}",
        "",
        f"{kind} ({len(bad):,} in all, {IDS_LISTED} listed at most)",
        *_id_lines(bad[:IDS_LISTED], facts),
        "",
        "GOOD: of the same routes, to compare with",
        *_id_lines(good, facts),
    ]
    return "\n".join(lines) + "\n"


def _id_lines(stories: Iterable[ProbeStory], facts: Facts) -> Iterator[str]:
    number = 0
    for story in stories:
        for attempt in story.attempts:
            ids = ids_of([attempt])
            if not ids:
                continue
            number += 1
            at = _moment(attempt.stamps_ns.started or attempt.at_ns, facts.anchor_ns)
            how = attempt.outcome + (f" ({attempt.reason})" if attempt.reason else "")
            status = f" {attempt.status}" if attempt.status else ""
            name = neutralise(story.probe.route, 40)
            took = (attempt.at_ns - (attempt.stamps_ns.started or attempt.at_ns)) / NS_PER_S
            yield f"{at}  {name}  {how}{status}  {took:.3f} s  {' '.join(ids)}"
    if not number:
        yield "none has an id of its server's"
