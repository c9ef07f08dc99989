"""Every limit that the README names is the one that the program has.

A sentence of the README stands here with its numbers taken from the code: whoever changes one of
the two alone is told. What a limit does on both of its sides is tested beside its module.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from probes.answers import outcome
from probes.answers.answer import MAX_ERROR_BYTES, MAX_STREAM_BYTES, MAX_WHOLE_BYTES
from probes.answers.body import _DEEPEST, _LONGEST_WORDS
from probes.answers.dialects.numbers import _MOST_TOKENS
from probes.answers.dialects.search import AGAIN_AFTER_NS
from probes.answers.error_body import _QUOTED_LEVELS
from probes.answers.sse import DEFAULT_LIMIT
from probes.answers.would_retry import LONGEST_WAIT_S
from probes.board import header, states
from probes.board.figures import GREAT_SHARE, SLUGGISH_SHARE, is_enough
from probes.config import Budget, Display, Goals, Recording, Route
from probes.config.e2e_goal import DEFAULT_E2E_GOAL_S, E2E_GOAL_CAP, e2e_goal_s
from probes.config.key_command import COMMAND_BYTES, COMMAND_SECONDS, run_key_command
from probes.config.rules import DISPLAY_RULES, ROUTE_RULES, Rule
from probes.config.scrubbing import PIECE
from probes.discovery.loopback import HOSTS, PORTS
from probes.discovery.loopback_network import _TIMEOUT_S
from probes.engine import gate, pacing, retry
from probes.engine.health import BEAT_S, SHORT_FOR_NS
from probes.engine.outbox import BATCH_S
from probes.engine.report import BANDS
from probes.engine.single import _LIST_GRACE_S
from probes.events.limit_periods import _UNTOLD_WINDOW_S
from probes.kit.clock import NS_PER_S
from probes.kit.durations import _EPOCHS, _SKEW_NS
from probes.kit.open_regular import PIPE_SECONDS
from probes.money import pricing
from probes.money.budget_lease import RETRY_S
from probes.money.ledger import EMERGENCY_SHARE, emergency_part
from probes.money.price_list import _MOST_PRICE, MOST_BYTES, PATIENCE_S
from probes.run.several.merge import PATIENCE_NS
from probes.sources.rules import HostLimits
from probes.stats.tokens import _FEWEST_A_CHUNK, _LEAST_TOKENS, _USUAL
from probes.stats.windows import SLICE_NS, SLICES_A_MINUTE
from probes.store.recording import FLUSH_S, SEGMENT_BYTES
from probes.transport.dial import ATTEMPT_DELAY_S
from probes.transport.http1 import MAX_SILENT
from probes.transport.resolve import LOOKUPS_AT_ONCE
from tui.cli import _MOST_ENGINES
from tui.commands.init import _LISTS_S
from tui.draw.chart import SPANS_NS
from tui.panes import throttling
from tui.panes.observer import (
    CPU_FULL,
    DRAWING_LATE_CPU,
    INEXACT_BLURS,
    INEXACT_SHOWN,
    LAG_HURTS_S,
)
from tui.terminal import pace

README: Final = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
WORDS: Final = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
SHARES: Final = {0.5: "half", 0.25: "a quarter", 1 / 8: "an eighth"}
TENS: Final = {10: "ten", 40: "forty"}
CENTS: Final = {0.01: "a cent"}

ROUTE: Final = Route(name="r", base_url="https://h", model="m")
HOST: Final = HostLimits()
MB: Final = 1 << 20
KB: Final = 1 << 10
SLICE_S: Final = SLICE_NS // NS_PER_S
MINUTE_S: Final = SLICES_A_MINUTE * SLICE_S
P95: Final = next(n for n in range(1, 1000) if is_enough(n, 0.95))
P99: Final = next(n for n in range(1, 1000) if is_enough(n, 0.99))
MINUTES: Final = [span // (60 * NS_PER_S) for span in SPANS_NS]


def per_cent(share: float) -> str:
    return f"{share * 100:g} %"


def minute(seconds: float) -> str:
    """Return the words for a limit of a minute; what it is where it no longer is one."""
    return "a minute" if seconds == 60 else f"{seconds:g} s"


def hour(seconds: float) -> str:
    return "an hour" if seconds == 3600 else f"{seconds:g} s"


def number(value: float) -> str:
    """Return a small number as prose has it."""
    return WORDS[int(value)] if value == int(value) < len(WORDS) else f"{value:g}"


def range_of(rule: object, step: float, reach: int) -> tuple[float, float]:
    """Return the least and the most that a rule of the settings takes, in steps."""
    assert isinstance(rule, Rule)
    taken = [value for n in range(-1, reach) if _is_taken(rule.read, value := n * step)]
    assert taken[-1] < (reach - 1) * step, "the reach is too short"
    return taken[0], taken[-1]


def _is_taken(read: Callable[[object], object], value: float) -> bool:
    try:
        read(int(value) if value == int(value) else value)
    except ValueError:
        return False
    return True


RETRIES: Final = range_of(ROUTE_RULES["retries"], 1, 20)
REFRESH: Final = range_of(DISPLAY_RULES["refresh_hz"], 0.5, 100)

TOLD: Final[dict[str, tuple[str, ...]]] = {
    "Your first own route, in a minute": (
        "Ollama ({}), vLLM ({}), llama.cpp ({}), SGLang ({}) and LM Studio ({})".format(*PORTS),
        "asks {} and {}".format(*HOSTS),
        f"{_TIMEOUT_S:g} s each and all at once",
        f"within {number(_LISTS_S)} seconds",
    ),
    "Reading the screen": (
        f"`▲` one above {SLUGGISH_SHARE:g} × its goal",
        "Charts span {}, {} or {} minutes".format(*MINUTES),
        f"none of at least {number(states._DOWN_FROM)} probes of the last "
        f"{SLICE_S} to {2 * SLICE_S} s",
        f"at least {per_cent(states._THROTTLED_SHARE)} of the last minute's attempts",
        f"TTFT or E2E p95 is above {SLUGGISH_SHARE:g} × its goal",
        "Success and throttling are judged over the last minute, an outage over the last "
        f"{SLICE_S} to {2 * SLICE_S} s; a p95 over the last minute if that has {P95} samples, "
        "else over the last five",
    ),
    "Is the observer well?": (
        f"above {LAG_HURTS_S * 1000:g} ms",
        f"engine from {per_cent(CPU_FULL)}:",
        f"Screen from {per_cent(DRAWING_LATE_CPU)}:",
        f"from {per_cent(INEXACT_SHOWN)} on",
        f"from {per_cent(INEXACT_BLURS)}:",
        f"for {minute(header._DROPS_SHOWN_NS / NS_PER_S)} after each",
        f"for {SHORT_FOR_NS / NS_PER_S:g} s after each probe that was not sent",
        f"longer than {SHARES.get(pace._TOO_LONG)} the time between two frames; "
        f"the screen halves its rate, down to {pace._SLOWEST_HZ:g} Hz",
        f"`refresh_hz` below {Display().refresh_hz:g}",
        f"nothing for {HOST.silent_after_s:g} s a red line tells for how long; "
        f"after {HOST.kill_after_s:g} s it is killed",
        f"After {number(HOST.deaths)} deaths within {minute(HOST.deaths_window_s)} "
        "it stays down until you press `R`",
    ),
    "Without a screen": (f"p95 is judged from {P95} samples on",),
    "More streams than one core carries": (
        f"at most {_MOST_ENGINES}",
        f"for longer than {PATIENCE_NS / NS_PER_S:g} s",
    ),
    "How each number is defined": (
        f"all streams together, over the last {header._ARRIVAL_NS / NS_PER_S:g} s",
        f"whole slices of {SLICE_S} s, so `1m` is {MINUTE_S} to {MINUTE_S + SLICE_S} s",
        f"up to {', '.join(name for _, name in BANDS)}, above",
        f"samples ({P95} for p95, {P99} for p99)",
        f"great ≤ {GREAT_SHARE:g} × goal < fine ≤ goal < slow ≤ {SLUGGISH_SHARE:g} × goal",
        f"TTFT p95 ≤ {Goals().ttft_s:.1f} s, E2E p95 ≤ {DEFAULT_E2E_GOAL_S:g} s (where the answer "
        f"cap is at most {E2E_GOAL_CAP}) and {per_cent(Goals().success)} success",
        f"raises the cap beyond {E2E_GOAL_CAP} tokens, the default E2E goal grows with it "
        f"({e2e_goal_s(DEFAULT_E2E_GOAL_S, 400, is_own=False, configured_cap=64):g} s at 400)",
    ),
    "Tokens, and whose count they are": (
        f"{_USUAL:g} until {_LEAST_TOKENS} tokens were counted",
        f"absurd counts (above {_MOST_TOKENS / 1e9:g} billion) are unknown",
        f"below {number(1)} token for {number(1 / _FEWEST_A_CHUNK)} chunks",
    ),
    "Outcomes": (
        f"a status that says little ({', '.join(map(str, sorted(outcome._VAGUE)))})",
        f"(5xx, 529, {outcome._CAPACITY_EXCEEDED})",
        f"`timeout.server` ({outcome._HTTP_TIMEOUT})",
        f"the first {_LONGEST_WORDS} characters are its message",
    ),
    "Throttling and retries": (
        f"{' and '.join(map(str, sorted(outcome._PAYMENT)))} are money",
        f"Coloured from {per_cent(throttling._SCARCE)} down, and again from "
        f"{per_cent(throttling._LOW)}",
        f"differs from it by more than {_SKEW_NS / NS_PER_S:g} s",
        f"without one: its period, or {minute(_UNTOLD_WINDOW_S)}",
        f"older than {minute(throttling._LONG_AGO_S)}",
        f"Unix time from 1e{len(str(int(_EPOCHS[-1][0]))) - 1} on",
        f"{number(_QUOTED_LEVELS)} levels deep",
        f"A wait above {LONGEST_WAIT_S:g} s is never waited for by a probe, whatever the "
        f"status: the probe gives up and the route cools down, at most "
        f"{hour(retry.LONGEST_COOL_DOWN_S)}",
        f"{ROUTE.retries} retries, {retry.FIRST_BACK_OFF_S:g} s doubling to "
        f"{retry.LONGEST_BACK_OFF_S:g} s less up to {SHARES.get(retry.JITTER)} at random, "
        f"`retry-after-ms`, `Retry-After` up to {LONGEST_WAIT_S:g} s",
        f"pauses at least {pacing.FAILURE_PAUSE_S:g} s, even at interval 0",
    ),
    "Where our retries differ": (
        f"a wait beyond {LONGEST_WAIT_S:g} s",
        f"one after another, {gate.STAGGER_S:g} s apart",
    ),
    "Configuration": (
        f"without a shell and stdin; {COMMAND_SECONDS:g} s, {COMMAND_BYTES // KB} KB",
        f"± {per_cent(pacing.JITTER)}, 0 to 86,400",
        f"| {ROUTE.retries} | at most {RETRIES[1]:g}; {RETRIES[0]:g} for none |",
        f"`max_tokens` is at most {E2E_GOAL_CAP}",
        f"{Budget().tokens_per_hour:,}",
        f"{Budget().route_tokens_per_hour:,}",
        f"| {Recording().max_mb:g}, {Recording().max_days:g} | all recordings together",
        f"| {Display().refresh_hz:g} | {REFRESH[0]:g} to {REFRESH[1]:g}; a slow terminal gets "
        f"fewer, down to {pace._SLOWEST_HZ:g}",
    ),
    "Connections": (
        f"at most {number(LOOKUPS_AT_ONCE)} a name",
        f"{ATTEMPT_DELAY_S:g} s apart",
    ),
    "Dialects": (f"After a round in vain it rests {minute(AGAIN_AFTER_NS / NS_PER_S)}",),
    "Money": (
        f"an answer of at most {ROUTE.max_tokens}, {number(ROUTE.concurrency)} worker, every "
        f"{ROUTE.interval:g} s",
        f"it is tried again every {RETRY_S:g} s",
        f"{per_cent(EMERGENCY_SHARE)} of each budget, the *emergency part*: "
        f"{emergency_part(Budget()).route_tokens_per_hour:,} tokens a route and "
        f"{emergency_part(Budget()).tokens_per_hour:,} in all by default",
        f"{pricing.MOST_ADDED_INPUT:,}",
        f"{number(pricing.USUAL_CHARACTERS)} characters",
        f"in {pricing.MOST_CHARACTERS} characters",
        f"{number(pricing.TOKENS_A_CHARACTER)} tokens a character",
        f"{number(pricing.HIDDEN_FACTOR)} times the answer cap",
        f"{pricing.LEAST_HIDDEN:,} tokens",
        f"the reservation by {SHARES.get(pricing.OVER_RESERVATION - 1)}",
        f"{SHARES.get(1 / pricing.FORGETS)} of the difference",
        f"above {number(pricing.USD_A_REQUEST)} USD and {CENTS.get(pricing.USD_A_TOKEN)} a token",
        f"{PATIENCE_S:g} s and {MOST_BYTES // MB} MB",
        f"wait for it {_LIST_GRACE_S:g} s after",
        f"above {_MOST_PRICE:,.0f} USD a million",
    ),
    "How exact it is": (
        f"{TENS.get(round(1 / BATCH_S))} batches and {TENS.get(round(1 / BEAT_S))} beats a second",
    ),
    "What is kept, and where": (
        f"rotated at {SEGMENT_BYTES // MB} MB",
        "at most its last second",
        f"at most {_LONGEST_WORDS} characters stand in its message",
        f"in any part of {PIECE} characters or more",
        f"within {PIPE_SECONDS:g} s",
    ),
    "Questions": (
        f"They need {P95} and {P99} samples. One worker at an interval of {ROUTE.interval:g} s "
        f"brings {60 / ROUTE.interval:g} a minute",
        f"slices of {SLICE_S} s",
    ),
    "Limits": (
        f"{MAX_SILENT // KB} KB of heads, {DEFAULT_LIMIT // MB} MB of an event or a whole answer, "
        f"{MAX_STREAM_BYTES // MB} MB of a stream, {MAX_ERROR_BYTES // KB} KB of an error",
        f"nests deeper than {_DEEPEST} is",
    ),
}


EXAMPLES: Final = (
    "over 1 m, 5 m, 15 m, 1 h and the run",
    "`✖ lag 48 ms: TTFT reads up to 48 ms high`. `kernel`: `lag 48 ms: probes leave late`",
    *("engine CPU 98 %", "screen CPU 95 %", "inexact 6 %", "inexact 35 %"),
    "Knobs act within 100 ms",  # what was measured of the whole way, not a limit
    "`waited 12.3 s, connected, no first token`",
    "up to 500 streams of 50 tokens/s",
    "(a prompt of about 10 tokens",
    "uses about 50,000 tokens an hour",
    "of answers of 64 tokens and of 512",
    "reads up to 200 MB of the worst inputs",
)
"""Quantities of the README that limit nothing."""
QUANTITY: Final = re.compile(
    r"(?<![\w`.,-])\d[\d,.]* (?:ms|s|h|%|Hz|KB|MB|USD|tokens|samples|characters|times|retries"
    r"|streams)(?!\w)"
)


def section(title: str) -> str:
    """Return the text under a heading, up to the next of its level or above, in one line."""
    level = re.search(rf"^(#+) {re.escape(title)}$", README, re.MULTILINE)
    assert level, title
    rest = README[level.end() :]
    text = re.split(rf"^#{{1,{len(level[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return " ".join(text.split())


@dataclass(frozen=True)
class Telling:
    """One sentence, or a part of one, and the heading it stands under."""

    title: str
    words: str


TELLINGS: Final = [Telling(title, words) for title, told in TOLD.items() for words in told]


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.words)
def test_the_readme_tells_the_limit_that_the_program_has(telling: Telling) -> None:
    assert telling.words in section(telling.title)


def test_what_is_told_once_holds_wherever_it_is_used() -> None:
    """Two constants of one limit are one, and a default argument is the limit told."""
    assert MAX_WHOLE_BYTES == DEFAULT_LIMIT
    assert FLUSH_S < 1.0  # the rest of the second is for the write itself
    assert inspect.signature(run_key_command).parameters["seconds"].default == COMMAND_SECONDS
    assert pricing.USD_A_TOKEN * pricing.PER_MILLION == _MOST_PRICE


def test_no_limit_of_the_readme_is_left_out() -> None:
    """What is measured follows the limits, and is no promise; so does what commands take."""
    promised = README.split("\n## What counts as success")[0]
    text = " ".join(re.sub(r"```.*?```", " ", promised, flags=re.DOTALL).split())
    held = [
        found.span()
        for words in (*EXAMPLES, *(telling.words for telling in TELLINGS))
        for found in re.finditer(re.escape(words), text)
    ]
    loose = [
        found[0] + ": " + text[max(0, found.start() - 40) : found.end() + 20]
        for found in QUANTITY.finditer(text)
        if not any(first <= found.start() < last for first, last in held)
    ]
    assert loose == [], "pair each with the program's own in TOLD, or name it an example"


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_still_one(words: str) -> None:
    assert words in " ".join(README.split())
