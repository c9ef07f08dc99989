"""`llmtop compare`: routes, or one with one thing changed, probed in turns until one knows.

Rule 1: it says what it may cost before it asks anything, and on a terminal waits for a yes.
Rule 2: progress goes to a terminal alone, on stderr; on stdout stands the result and nothing else.
Rule 3: Ctrl-C ends it with what is known by then; the status says that it was ended.
"""

import os
from argparse import Namespace
from typing import Any, Final, NamedTuple

import anyio
import msgspec

from probes.comparing.arms import ArmChange, ArmError, ChangeKind
from probes.comparing.plan import MARGIN, MOST_PAIRS
from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonCost,
    ComparisonFigure,
    ComparisonState,
    ComparisonView,
)
from probes.comparing.words import estimate_words, interval_words, ratio_words, verdict_words
from probes.config.secrets import resolve_headers
from probes.kit.exit_status import ExitStatus
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import age, counted
from probes.money.ledger import emergency_ledger_path
from probes.run.comparison_run import Comparisons
from tui.commands.consent import budget_words, may_begin
from tui.commands.machine_ledger import machine_ledger
from tui.commands.once import as_json
from tui.commands.output import FAILED, UsageError, say
from tui.commands.settings import needed_settings
from tui.commands.told_run import ToldRun, wrapped_result
from tui.draw.probe_figures import duration
from tui.draw.table import Cell, Column, printed
from tui.draw.text import NO_FIGURE

_LONGEST_NAME: Final = 40
_KINDS: Final[tuple[ChangeKind, ...]] = ("fresh", "stream", "prompt", "base-url")
_WITH_VALUE: Final = ("prompt", "base-url")
_FIGURES: Final[dict[ComparisonFigure, str]] = {
    "ttft": "TTFT",
    "e2e": "E2E",
    "tokens_per_s": "tok/s",
    "good": "good",
    "throttled": "429",
}
_STATUSES: Final[dict[ComparisonState, ExitStatus]] = {
    "decided": ExitStatus.OK,
    "budget": ExitStatus.UNKNOWN,
    "stopped": ExitStatus.UNKNOWN,
    "failed": ExitStatus.FAILED,
}


def run(arguments: Namespace) -> int:
    """Compare and print what may be concluded; status 0 where it is known, 3 where it is not.

    Raises:
        UsageError: it cannot be compared so, or nobody can be asked whether to begin.
        ConfigError: the settings have mistakes.
    """
    config = needed_settings(arguments, os.environ)
    headers = resolve_headers(config, os.environ)
    ledger = machine_ledger("llmtop compare")
    try:
        comparisons = Comparisons(config, headers, ledger=ledger, apart=emergency_ledger_path())
        try:
            comparison = comparisons.propose(
                arguments.routes,
                read_change(arguments.change),
                most_pairs=arguments.pairs or MOST_PAIRS,
                most_tokens=arguments.budget_tokens,
                most_usd=arguments.budget_usd,
                margin=MARGIN if arguments.margin is None else arguments.margin / 100,
            )
        except ArmError as error:
            raise UsageError(str(error)) from None
        view = comparison.view
        if arguments.budget_usd is not None and view.cost.unpriced:
            names = ", ".join(map(_shown, view.cost.unpriced))
            raise UsageError(f"--budget-usd cannot be held: no price is known of {names}")
        if not may_begin(cost_words(view), agreed=arguments.yes):
            return FAILED
        told = ToldRun(comparison, lambda: progress_words(comparison.view))
        anyio.run(told.run)
    finally:
        ledger.close()
    view = comparison.view
    if arguments.json:
        say([as_json(comparison_fields(view))])
    else:
        say(result_lines(view))
    return told.interrupt.status or _STATUSES[view.state]


def read_change(text: str | None) -> ArmChange | None:
    """Return what `--change` asks for.

    Raises:
        ArmError: there is no such change, or its value is missing or too much.
    """
    if text is None:
        return None
    kind, equals, value = text.partition("=")
    found = next((one for one in _KINDS if one == kind), None)
    if found is None or bool(equals) != (found in _WITH_VALUE):
        expected = "expected fresh, stream, prompt=TOKENS or base-url=URL"
        # Of a URL nothing is shown: it may hold a secret.
        raise ArmError(f"--change: got {neutralise(kind, _LONGEST_NAME)}, {expected}")
    return ArmChange(found, value)


def cost_words(view: ComparisonView) -> str:
    """Return in words what a comparison may cost."""
    cost = view.cost
    names = " and ".join(filter(None, (", ".join(_shown(arm.name) for arm in view.arms[1:]), "")))
    parts = [
        f"{names} against {_shown(view.arms[0].name)}: at most {counted(cost.pairs, 'pair')},"
        f" {counted(cost.probes, 'probe')} with the warm-up, {counted(cost.tokens, 'token')}"
        f"{_usd_words(cost)}"
    ]
    parts += budget_words(view.most_tokens, view.most_usd)
    parts.append("it ends as soon as it knows")
    return "; ".join(parts)


def _usd_words(cost: ComparisonCost) -> str:
    if cost.usd is None:
        return ", no price is known"
    unpriced = ", ".join(map(_shown, cost.unpriced))
    return f", ${cost.usd:.3g}" + (
        f" without {unpriced}, of which no price is known" * bool(unpriced)
    )


def progress_words(view: ComparisonView) -> str:
    """Return how it stands in one line."""
    parts = [f"{view.pairs:,} of {counted(view.cost.pairs, 'pair')}"]
    for arm in view.arms[1:]:
        told = next((one for one in arm.figures if one.decides), None)
        if told is not None and told.pairs:
            figure = f"{_FIGURES[told.figure]} {ratio_words(told.estimate)}"
            parts.append(f"{_shown(arm.name)} {figure} ({interval_words(told)})")
    parts.append(f"{counted(view.spent_tokens, 'token')}, {age(view.seconds)}")
    if view.waits:
        parts.append(view.waits)
    elif view.asking:
        parts.append(f"asking {_shown(view.asking)}")
    return " · ".join(parts)


class _Against(NamedTuple):
    """One figure of one arm against the first."""

    arm: ArmView
    told: ComparedFigure
    margin: float


_ARMS: Final[tuple[Column[ArmView], ...]] = (
    Column("ARM", 0, lambda arm: Cell(_shown(arm.name)), flush_left=True),
    Column("PROBES", 0, lambda arm: Cell(f"{arm.probes:,}")),
    Column("GOOD", 0, lambda arm: Cell(f"{arm.good:,}")),
    Column("429", 0, lambda arm: Cell(f"{arm.throttled:,}")),
    Column("TTFT50", 0, lambda arm: Cell(_time(arm.ttft_s))),
    Column("E2E50", 0, lambda arm: Cell(_time(arm.e2e_s))),
    Column("tok/s", 0, lambda arm: Cell(_speed(arm.tokens_per_s))),
    Column("TOKENS", 0, lambda arm: Cell(f"{arm.tokens:,}")),
    Column("COST", 0, lambda arm: Cell(f"${arm.usd:.3g}" if arm.usd else NO_FIGURE)),
)
_AGAINST: Final[tuple[Column[_Against], ...]] = (
    Column("AGAINST", 0, lambda row: Cell(_shown(row.arm.name)), flush_left=True),
    Column("FIGURE", 0, lambda row: Cell(_FIGURES[row.told.figure]), flush_left=True),
    Column("MIDDLE", 0, lambda row: Cell(estimate_words(row.told))),
    Column("INTERVAL", 0, lambda row: Cell(interval_words(row.told)), flush_left=True),
    Column("PAIRS", 0, lambda row: Cell(f"{row.told.pairs:,}")),
    Column("VERDICT", 0, lambda row: Cell(_verdict(row)), flush_left=True),
)


def result_lines(view: ComparisonView) -> list[str]:
    """Return what it came to: the arms, each figure against the first, and the sentence."""
    lines: list[str] = []
    if view.pairs:
        arms = printed(_ARMS, view.arms)
        lines += [arms.head_text(), *map(arms.text, view.arms), ""]
        rows = [_Against(arm, told, view.margin) for arm in view.arms[1:] for told in arm.figures]
        against = printed(_AGAINST, rows)
        lines += [against.head_text(), *map(against.text, rows), ""]
    return [*lines, *wrapped_result(view.sentence)]


def _time(value_s: float | None) -> str:
    return NO_FIGURE if value_s is None else duration(value_s)


def _speed(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.1f}"


def _verdict(row: _Against) -> str:
    return verdict_words(row.told, row.margin, is_over=True)


def comparison_fields(view: ComparisonView) -> dict[str, Any]:
    """Return a comparison as JSON-able values: its view, field by field, without the trail."""
    fields: dict[str, Any] = msgspec.to_builtins(view)
    for arm in fields["arms"]:
        del arm["trail"]
    for told in ("waits", "asking"):
        del fields[told]
    return fields


def _shown(name: str) -> str:
    return neutralise(name, _LONGEST_NAME)
