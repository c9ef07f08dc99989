"""The command line behind `:`: what can be typed there, how it is read, how it is completed.

Rule 1. What is typed is read here, purely; what comes of it is the screen's to do.
Rule 2. A word or a value that cannot be is answered by one line: what was got, what was expected.
Rule 3. The beginning of a word is enough where it means one thing.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from typing import Final, Literal, TypeAlias

import msgspec

from probes.board.views import WINDOWS
from probes.control.knobs import KNOBS, KnobName
from probes.events.knob_turns import BY_ITSELF
from probes.kit.clock import NS_PER_S
from probes.kit.durations import duration_s, number
from probes.kit.short_figures import local_moment
from tui.session import Span

VerbName: TypeAlias = Literal[
    "conc",
    "interval",
    "rate",
    "cap",
    "undo",
    "tag",
    "untag",
    "compare",
    "sweep",
    "pause",
    "route",
    "filter",
    "only",
    "sort",
    "window",
    "theme",
    "mark",
    "seek",
    "write",
    "manual",
    "help",
    "q",
]

ONLY: Final = ("hurt", "all")
"""What `:only` takes."""
_ENDS: Final = ("start", "now")
"""What `:seek` takes beside times: the ends of the run."""
ALL_ROUTES: Final = "all"
"""What `:pause` takes beside a route's name."""
WORST_FIRST: Final = "hurt"
"""What `:sort` takes for the order that a table has by itself."""


_MOST_SEEK_S: Final = 366 * 86_400.0
"""No run is longer; what is typed may be."""


class CommandError(ValueError):
    """What was typed cannot be done; the text says why, in one line."""


class Known(msgspec.Struct, frozen=True):
    """What there is to name."""

    routes: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What a route is called on the screen → its name."""
    themes: Sequence[str] = ()
    sorts: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What a user calls a column → its key."""
    help_pages: Sequence[str] = ()


class Verb(msgspec.Struct, frozen=True):
    """A word that can be typed."""

    name: VerbName
    takes: str
    """What follows it; in brackets where it may be left out; empty for nothing."""
    meaning: str
    words: Callable[[Known], Sequence[str]] = lambda _: ()
    """What it can be followed by, where that can be listed."""
    knob: KnobName | None = None


class TypedCommand(msgspec.Struct, frozen=True):
    """A command that can be done."""

    verb: VerbName
    text: str = ""
    value: float = 0.0


VERBS: Final[tuple[Verb, ...]] = (
    Verb(
        "conc",
        "N|auto",
        "probes at once on the selected route; auto finds how many it bears",
        knob="concurrency",
    ),
    Verb("interval", "S", "seconds from one start to the next", knob="interval"),
    Verb("rate", "R", "probes a second, where the pace is constant or Poisson", knob="rate"),
    Verb("cap", "N", "tokens that an answer may have", knob="max_tokens"),
    Verb("undo", "", "turn the last knob back"),
    Verb(
        "tag",
        "[ROUTE]",
        "tag a route for a comparison, or take its tag away",
        lambda known: tuple(known.routes),
    ),
    Verb("untag", "", "take all tags away"),
    Verb(
        "compare",
        "[CHANGE]",
        "compare what is tagged, or the route with itself after fresh, stream, prompt=N or "
        "base-url=URL",
    ),
    Verb(
        "sweep",
        "[WORDS]",
        "ask the route for more until it carries no more; by=rate, max=N or goals such as "
        "ttft_p95=1.0",
    ),
    Verb(
        "pause",
        "[ROUTE]",
        "pause a route, or let it go on; all of them by the name all",
        lambda known: (ALL_ROUTES, *known.routes),
    ),
    Verb("route", "NAME", "open the page of a route", lambda known: tuple(known.routes)),
    Verb("filter", "[WORDS]", "show routes that have all the words; none shows all"),
    Verb("only", "hurt|all", "show routes that hurt alone, or all", lambda _: ONLY),
    Verb("sort", "COLUMN", "sort by a column", lambda known: tuple(known.sorts)),
    Verb("window", "W", "window of the figures", lambda _: WINDOWS),
    Verb("theme", "NAME", "colours", lambda known: known.themes),
    Verb("mark", "[TEXT]", "put a mark on the timeline"),
    Verb(
        "seek",
        "WHEN",
        "go to 14:03 or 14:03:20, or -5m and +30s from here; start, now",
        lambda _: _ENDS,
    ),
    Verb("write", "", "save knobs, theme and window to the settings file, after asking"),
    Verb("manual", "[TOPIC]", "what states, figures and settings mean, at length"),
    Verb("help", "[PAGE]", "keys and what the words mean", lambda known: known.help_pages),
    Verb("q", "", "quit"),
)
_OTHER_NAMES: Final[Mapping[str, VerbName]] = {
    "concurrency": "conc",
    "max_tokens": "cap",
    "quit": "q",
    "r": "route",
    "w": "write",
}
"""What people type who know a setting's name, or vim; and what is short for the more usual one."""


def read(text: str, known: Known) -> TypedCommand:
    """Return what a line asks for.

    Raises:
        CommandError: there is no such word, or its value cannot be.
    """
    word, _, rest = text.strip().partition(" ")
    verb, value = _verb(word), rest.strip()
    if value and not verb.takes:
        raise CommandError(f"{verb.name}: got {value}, expected nothing after it")
    if not value and verb.takes and not verb.takes.startswith("["):
        raise CommandError(f"{verb.name}: expected {verb.takes}: {_expected(verb, known)}")
    if verb.knob == "concurrency" and value.lower() == BY_ITSELF:
        return TypedCommand(verb.name, BY_ITSELF)
    if verb.knob is not None:
        return TypedCommand(verb.name, value=_number(verb, verb.knob, value))
    words = verb.words(known)
    if words and value and verb.name != "seek":
        value = _one_of(verb, value, words)
    if verb.name == "sort":
        value = known.sorts[value]
    elif verb.name in ("route", "pause", "tag"):
        value = known.routes.get(value, value)
    return TypedCommand(verb.name, value)


def completions(text: str, known: Known) -> tuple[str, ...]:
    """Return the lines that a beginning of one can become, in order of their words."""
    word, blank, rest = text.lstrip().partition(" ")
    if not blank:
        return tuple(
            verb.name + (" " if verb.takes else "") for verb in VERBS if verb.name.startswith(word)
        )
    try:
        verb = _verb(word)
    except CommandError:
        return ()
    begun = rest.lstrip().lower()
    found = (each for each in verb.words(known) if each.lower().startswith(begun))
    return tuple(f"{verb.name} {each}" for each in found)


def hint(text: str, known: Known) -> str:
    """Return what can be typed next, in one line."""
    word, blank, rest = text.lstrip().partition(" ")
    verbs = [verb for verb in VERBS if verb.name.startswith(word)]
    if not blank and (not word or len(verbs) > 1):
        return "  ".join(verb.name for verb in verbs)
    try:
        verb = _verb(word)
    except CommandError as error:
        return str(error)
    usage = f"{verb.name} {verb.takes}".rstrip()
    begun = rest.strip().lower()
    words = [each for each in verb.words(known) if each.lower().startswith(begun)]
    more = "  ".join(words) if blank else ""
    if verb.knob is not None:
        more = _expected(verb, known)
    return f"{usage}: {verb.meaning}" + (f"   {more}" if more else "")


_TIME: Final = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")


def read_moment(
    text: str, span: Span, here_ns: int, anchor_ns: int, zone: tzinfo | None = None
) -> int:
    """Return the stamp of a moment that was typed, as `:seek` takes it.

    A time of day is the last of its kind that is not after the end: a run may take days.

    Args:
        text: what was typed.
        span: what there is of the run.
        here_ns: from where steps count.
        anchor_ns: what makes Unix time of a stamp.
        zone: time zone of times; None is the machine's own.

    Raises:
        CommandError: it is no moment, or none of this run.
    """
    text = text.strip().lower()
    if text in _ENDS:
        return span.begin_ns if text == _ENDS[0] else span.end_ns
    if text[:1] in ("-", "+"):
        given = text[1:].strip()
        plain = number(given)
        step_s = duration_s(given) if plain is None else plain
        if step_s is not None and step_s < _MOST_SEEK_S:
            return here_ns + round(step_s * NS_PER_S) * (-1 if text[0] == "-" else 1)
    end = local_moment(span.end_ns + anchor_ns, zone)
    begin = local_moment(span.begin_ns + anchor_ns, zone)
    if begin is None or end is None:
        raise CommandError(f"seek: got {text}, and the clock of this run is in no calendar")
    found = _TIME.fullmatch(text)
    try:
        hours, minutes, seconds = (
            [int(part or 0) for part in found.groups()] if found else (0, 0, 0)
        )
        time_of_day = time(hours, minutes, seconds)
    except ValueError:  # such as 25:00
        time_of_day = None
    if found and time_of_day is not None:
        moment = datetime.combine(end.date(), time_of_day, zone)
        if moment.timestamp() > end.timestamp():
            moment -= timedelta(days=1)
        # A minute that the run began in is its beginning.
        lasts_s = 0 if found[3] else 59
        if moment.timestamp() + lasts_s >= begin.timestamp():
            return int(moment.timestamp()) * NS_PER_S - anchor_ns
    days = "%d %b %H:%M:%S" if begin.date() != end.date() else "%H:%M:%S"
    raise CommandError(
        f"seek: got {text}, expected a time from {begin.strftime(days)} to {end.strftime(days)}, "
        "such as 14:03, or a step such as -5m"
    )


_KINDS: Final[Mapping[KnobName, str]] = {"interval": "seconds", "rate": "probes a second"}
"""What a number is that is not whole."""


def _verb(word: str) -> Verb:
    if word in _OTHER_NAMES:
        word = _OTHER_NAMES[word]
    exact = [verb for verb in VERBS if verb.name == word]
    found = exact or [verb for verb in VERBS if word and verb.name.startswith(word)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(verb.name for verb in found or VERBS)
    raise CommandError(f"got {word or 'nothing'}, expected one of {names}")


def _expected(verb: Verb, known: Known) -> str:
    if verb.knob is not None:
        knob = KNOBS[verb.knob]
        kind = "a whole number" if knob.whole else _KINDS[knob.name]
        more = f", or {BY_ITSELF}" if verb.knob == "concurrency" else ""
        return f"{kind} from {knob.least:,g} to {knob.most:,.0f}{more}"
    return f"one of {', '.join(verb.words(known))}"


def _number(verb: Verb, name: KnobName, text: str) -> float:
    try:
        value = float(text)
        # Beyond its range a knob would take its nearest value: nobody asked for that one.
        good = KNOBS[name].nearest(value) == value
    except ValueError:
        good = False
    if not good:
        raise CommandError(f"{verb.name}: got {text}, expected {_expected(verb, Known())}")
    return value


def _one_of(verb: Verb, text: str, words: Sequence[str]) -> str:
    wanted = text.lower()
    found = [word for word in words if word.lower() == wanted]
    found = found or [word for word in words if word.lower().startswith(wanted)]
    if len(found) == 1:
        return found[0]
    raise CommandError(f"{verb.name}: got {text}, expected one of {', '.join(found or words)}")


def page_table() -> str:
    """Return the table of commands for the page of the cockpit, in Markdown."""
    lines = ["| command | what it does |", "|---|---|"]
    for verb in VERBS:
        usage = f":{verb.name} {verb.takes}".rstrip().replace("|", "\\|")
        lines.append(f"| `{usage}` | {verb.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page_table())
