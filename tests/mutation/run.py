"""Ask whether the tests notice small faults: `python tests/mutation/run.py [--each 60] [--room R]`

Makes a sample of the mutants of each room's modules (see mutants.py), runs the room's tests on
each, and prints how many were noticed and which were not. A mutant that survives is a place where
the tests would let a mistake pass, or one that changes nothing anybody can see: a person judges
which.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, Literal

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE)]

from mutants import Mutant, mutants_of  # noqa: E402

Fate = Literal["killed", "slow", "survived"]


def say(line: str) -> None:
    """Write a line at once: a run takes long."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Room:
    """Modules, and the tests that hold them."""

    modules: tuple[str, ...]
    """Globs of files, from the top level."""
    tests: tuple[str, ...]
    """Globs of test files; those named after the mutant's module are run first."""
    layout: bool = False
    """Whether its modules' own constants are widths and places, which mislead nobody by one."""


ROOMS: Final = {
    "outcome": Room(
        (
            "probes/answers/outcome.py",
            "probes/answers/refusal.py",
            "probes/answers/ending_verdict.py",
            "probes/answers/error_body.py",
            "probes/answers/finish_reason.py",
            "probes/answers/bot_check.py",
            "probes/transport/failures.py",
            "probes/kit/tls_failures.py",
        ),
        (
            "tests/probes/answers/test_outcome.py",
            "tests/probes/answers/test_refusal.py",
            "tests/probes/answers/test_finish_reason.py",
            "tests/probes/answers/test_bot_check.py",
            "tests/probes/transport/test_failures.py",
            "tests/probes/answers/test_told_alike.py",
            "tests/probes/answers/test_answer.py",
            "tests/probes/answers/test_chat.py",
            "tests/probes/answers/test_cases.py",
        ),
    ),
    "expected": Room(
        (
            "probes/answers/right_answer.py",
            "probes/config/expect.py",
            "probes/kit/json_schemas.py",
            "probes/kit/linear_patterns.py",
        ),
        (
            "tests/probes/answers/test_right_answer.py",
            "tests/probes/config/test_config_expect.py",
            "tests/probes/kit/test_json_schemas.py",
            "tests/probes/kit/test_linear_patterns.py",
        ),
    ),
    "limits": Room(
        (
            "probes/answers/limits/*.py",
            "probes/answers/retry_after.py",
            "probes/engine/retry.py",
            "probes/kit/durations.py",
        ),
        (
            "tests/probes/answers/limits/test_*.py",
            "tests/probes/answers/test_retry_after.py",
            "tests/probes/engine/test_retry.py",
            "tests/probes/kit/test_durations.py",
            "tests/probes/answers/test_refusal.py",
            "tests/probes/answers/test_outcome.py",
            "tests/probes/answers/test_answers_readme.py",
            "tests/probes/answers/test_cases.py",
        ),
    ),
    "history": Room(
        (
            "probes/history/*.py",
            "tui/commands/history.py",
            "tui/draw/history_lines.py",
        ),
        (
            "tests/probes/history/test_*.py",
            "tests/tui/commands/test_cli_history.py",
            "tests/tui/draw/test_history_lines.py",
        ),
    ),
    "money": Room(
        (
            "probes/money/ledger.py",
            "probes/money/ledger_file.py",
            "probes/money/lease_rules.py",
            "probes/money/shared_ledger.py",
            "probes/money/bus_book.py",
            "probes/money/bus_ledger.py",
            "probes/money/recollection.py",
            "probes/kit/process_identity.py",
            "probes/money/run_lock.py",
            "probes/money/budget_lease.py",
            "probes/money/spending.py",
            "probes/money/pricing.py",
            "probes/money/price_list.py",
            "probes/money/run_ledger.py",
            "tui/commands/spend.py",
            "tui/commands/budget.py",
        ),
        (
            "tests/probes/money/test_ledger*.py",
            "tests/probes/money/test_budget_lease*.py",
            "tests/probes/money/test_recollection.py",
            "tests/probes/money/test_run_ledger.py",
            "tests/probes/money/test_run_lock.py",
            "tests/probes/money/test_spending.py",
            "tests/probes/money/test_pricing*.py",
            "tests/probes/money/test_price_list.py",
            "tests/probes/answers/test_cap_ignored.py",
            "tests/probes/money/test_leases_together.py",
            "tests/probes/money/test_bus_ledger.py",
            "tests/probes/money/test_mended_book.py",
            "tests/probes/money/test_budgets_of_places.py",
            "tests/probes/run/test_funded.py",
            "tests/tui/commands/test_cli_spend.py",
            "tests/tui/commands/test_cli_budget.py",
            "tests/tui/commands/test_same_cost.py",
            "tests/probes/engine/test_report.py",
        ),
    ),
    "path": Room(("probes/transport/path.py",), ("tests/probes/transport/test_path.py",)),
    "board": Room(
        (
            "probes/board/*.py",
            "probes/stats/windows.py",
            "probes/stats/ladders.py",
            "probes/stats/log_buckets.py",
            "probes/stats/comparison.py",
            "probes/config/goals.py",
            "probes/events/knob_turns.py",
        ),
        (
            "tests/probes/board/test_standings.py",
            "tests/probes/board/test_headroom.py",
            "tests/probes/stats/test_packed_slices.py",
            "tests/probes/stats/test_windows.py",
            "tests/probes/stats/test_ladders.py",
            "tests/probes/stats/test_log_buckets.py",
            "tests/probes/stats/test_two_samples.py",
            "tests/probes/config/test_goals.py",
            "tests/probes/events/test_knob_turns.py",
            "tests/probes/board/test_board*.py",
            "tests/probes/board/test_alert_log.py",
            "tests/probes/board/test_checkpoint.py",
            "tests/probes/board/test_felt.py",
            "tests/probes/board/test_good_probe.py",
            "tests/probes/board/test_knob_effects.py",
            "tests/probes/board/test_page.py",
            "tests/probes/board/test_open_load.py",
            "tests/probes/board/test_probe_log.py",
            "tests/probes/board/test_order.py",
            "tests/tui/commands/test_summary.py",
            "tests/tui/test_own_numbers.py",
        ),
    ),
    "alerts": Room(
        (
            "probes/diagnosis/alerts.py",
            "probes/diagnosis/burn.py",
            "probes/diagnosis/paging.py",
            "probes/control/attention.py",
        ),
        (
            "tests/probes/diagnosis/test_alerts.py",
            "tests/probes/diagnosis/test_burn.py",
            "tests/probes/diagnosis/test_paging.py",
            "tests/probes/control/test_attention.py",
        ),
    ),
    "pager": Room(
        (
            "probes/bus/pager.py",
            "probes/run/on_call.py",
            "probes/exports/alert_documents.py",
            "probes/exports/alert_sink.py",
        ),
        (
            "tests/probes/bus/test_pager.py",
            "tests/probes/run/test_on_call.py",
            "tests/probes/exports/test_alert_documents.py",
            "tests/probes/exports/test_alert_command.py",
            "tests/probes/exports/test_alert_webhook.py",
        ),
    ),
    "travel": Room(
        (
            "probes/run/timeline.py",
            "probes/run/recorded_session.py",
            "probes/board/checkpoint.py",
            "tui/screens/travel.py",
        ),
        (
            "tests/probes/run/test_timeline.py",
            "tests/probes/run/test_recorded_session.py",
            "tests/probes/board/test_checkpoint.py",
            "tests/tui/screens/test_travel*.py",
        ),
    ),
    "comparing": Room(
        (
            "probes/stats/confidence_sequence.py",
            "probes/comparing/comparison.py",
            "probes/comparing/arms.py",
            "probes/comparing/results.py",
            "probes/comparing/words.py",
            "probes/comparing/plan.py",
            "probes/run/comparison_run.py",
        ),
        (
            "tests/probes/stats/test_confidence_sequence.py",
            "tests/probes/comparing/test_*.py",
            "tests/probes/run/test_comparison_run.py",
        ),
    ),
    "sweeping": Room(
        (
            "probes/sweeping/edges.py",
            "probes/sweeping/estimates.py",
            "probes/sweeping/exports.py",
            "probes/sweeping/goals.py",
            "probes/sweeping/plan.py",
            "probes/sweeping/results.py",
            "probes/sweeping/step.py",
            "probes/sweeping/sweep.py",
            "probes/sweeping/words.py",
            "probes/run/sweep_run.py",
        ),
        (
            "tests/probes/sweeping/test_*.py",
            "tests/probes/run/test_sweep_run.py",
        ),
    ),
    "diagnosis": Room(
        (
            "probes/diagnosis/failure_kinds.py",
            "probes/diagnosis/series.py",
            "probes/diagnosis/route_watch.py",
            "probes/diagnosis/felt.py",
            "probes/diagnosis/usual.py",
            "probes/diagnosis/causes.py",
            "probes/diagnosis/incidents.py",
            "probes/diagnosis/evidence.py",
            "probes/diagnosis/diagnostician.py",
            "probes/diagnosis/places.py",
            "probes/diagnosis/observer.py",
            "probes/diagnosis/seen_from.py",
            "probes/diagnosis/hosts.py",
            "probes/events/spoken_of.py",
        ),
        # Not `test_proof.py` nor `test_proof_places.py`: they take minutes.
        (
            "tests/probes/diagnosis/test_failure_kinds.py",
            "tests/probes/diagnosis/test_series.py",
            "tests/probes/diagnosis/test_route_watch.py",
            "tests/probes/diagnosis/test_usual.py",
            "tests/probes/diagnosis/test_causes.py",
            "tests/probes/diagnosis/test_incidents.py",
            "tests/probes/diagnosis/test_evidence.py",
            "tests/probes/diagnosis/test_diagnostician.py",
            "tests/probes/diagnosis/test_places.py",
            "tests/probes/diagnosis/test_seen_from.py",
            "tests/probes/events/test_spoken_of.py",
        ),
    ),
    "host": Room(
        (
            "probes/sources/*.py",
            "probes/run/funded.py",
            "probes/run/sinks.py",
            "probes/run/run_stream.py",
            "probes/run/session.py",
            "probes/run/places_session.py",
            "probes/control/knobs.py",
            "probes/control/wanted.py",
            "probes/control/wanted_elsewhere.py",
            "probes/engine/watchdog.py",
        ),
        (
            "tests/probes/sources/test_*.py",
            "tests/probes/control/test_status.py",
            "tests/probes/run/test_run_stream.py",
            "tests/probes/run/test_session.py",
            "tests/probes/run/test_places_session.py",
            "tests/probes/run/test_funded.py",
            "tests/probes/control/test_knob_ranges.py",
            "tests/probes/control/test_wanted.py",
            "tests/probes/control/test_wanted_elsewhere.py",
            "tests/probes/engine/test_watchdog.py",
            "tests/tui/commands/test_cli_budget.py",
        ),
    ),
    "handover": Room(
        ("probes/handover/*.py",),
        ("tests/probes/handover/test_*.py", "tests/tui/commands/test_cli_handover.py"),
    ),
    "replay": Room(
        (
            "probes/store/*.py",
            "probes/exports/*.py",
            "probes/sources/recording.py",
            "probes/run/headless.py",
            "probes/run/incidents.py",
            "probes/run/pass_or_fail.py",
            "probes/run/printing.py",
            "probes/run/replay.py",
            "probes/run/report.py",
            "probes/run/verdicts.py",
            "tui/commands/replay.py",
            "tui/commands/report.py",
        ),
        (
            "tests/probes/store/test_*.py",
            "tests/probes/exports/test_*.py",
            "tests/probes/sources/test_recording_source.py",
            "tests/probes/run/test_headless.py",
            "tests/probes/run/test_run_incidents.py",
            "tests/probes/run/test_replay.py",
            "tests/probes/run/test_run_report.py",
            "tests/probes/run/test_run_verdicts.py",
            "tests/tui/commands/test_cli_replay.py",
            "tests/tui/commands/test_cli_report.py",
        ),
    ),
    "detectors": Room(
        ("probes/diagnosis/level.py", "probes/diagnosis/rates.py"),
        ("tests/probes/diagnosis/test_level.py", "tests/probes/diagnosis/test_rates.py"),
    ),
    "panes": Room(
        ("tui/panes/*.py", "tui/draw/table.py"),
        (
            "tests/tui/panes/test_*.py",
            "tests/tui/draw/test_table.py",
            "tests/tui/test_drawings.py",
            "tests/tui/test_own_numbers.py",
            "tests/tui/screens/test_home_screen.py",
        ),
        layout=True,
    ),
    "commands": Room(
        (
            "tui/commands/*.py",
            "tui/draw/probe_figures.py",
            "tui/draw/server_lines.py",
            "tui/draw/waterfall.py",
            "tui/screens/knobs.py",
            "probes/kit/exit_status.py",
        ),
        (
            "tests/tui/test_cli_*.py",
            "tests/tui/commands/test_cli_*.py",
            "tests/tui/screens/test_knobs.py",
            "tests/tui/draw/test_server_lines.py",
            "tests/tui/commands/test_output.py",
            "tests/tui/commands/test_over_bus.py",
            "tests/tui/commands/test_progress_bar.py",
            "tests/tui/commands/test_start.py",
            "tests/tui/commands/test_summary.py",
            "tests/tui/test_own_numbers.py",
            "tests/tui/commands/test_once_cases.py",
            "tests/tui/test_cli.py",
            "tests/tui/commands/test_init.py",
            "tests/tui/commands/test_demo.py",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant of one module, and what became of it."""

    path: Path
    mutant: Mutant
    fate: Fate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rooms asked for; return 1 where fewer than `--least` of the mutants were noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--room", action="append", choices=sorted(ROOMS), help="default: all")
    parser.add_argument("--each", type=int, default=60, help="mutants a room (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=0.9, help="share that must be noticed")
    given = parser.parse_args(arguments)
    trials: list[Trial] = []
    for name in given.room or ROOMS:
        trials += _room(name, given.each, Random(f"{given.seed}/{name}"), given.processes)
    noticed = sum(trial.fate != "survived" for trial in trials)
    say(f"all: {noticed} of {len(trials)} noticed ({noticed / max(1, len(trials)):.0%})")
    return int(noticed < given.least * len(trials))


def _room(name: str, each: int, random: Random, processes: int) -> list[Trial]:
    room = ROOMS[name]
    tests = files_of(room.tests)
    began_s = time.monotonic()
    if _pytest(tests, None, timeout_s=None) != 0:
        raise SystemExit(f"{name}: the tests fail without any mutant")
    limit_s = 3 * (time.monotonic() - began_s) + 20
    places = [
        (path, mutant)
        for path in map(Path, files_of(room.modules))
        for mutant in mutants_of(path.read_text(encoding="utf-8"))
        if not (room.layout and mutant.is_constant)
    ]
    chosen = sorted(
        random.sample(places, min(each, len(places))),
        key=lambda place: (str(place[0]), place[1].number),
    )

    def tried(place: tuple[Path, Mutant]) -> Trial:
        path, mutant = place
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        named = f"{module.removesuffix('.__init__')}:{mutant.number}"
        code: int | None = 0
        for some in nearest_first(path, tests):
            if code == 0:
                code = _pytest(some, named, limit_s)
        fate: Fate = "slow" if code is None else "survived" if code == 0 else "killed"
        if fate == "survived":
            say(f"    survived  {path.relative_to(ROOT)}:{mutant.line}  {mutant.change}")
        return Trial(path, mutant, fate)

    with ThreadPoolExecutor(processes) as pool:
        trials = list(pool.map(tried, chosen))
    noticed = sum(trial.fate != "survived" for trial in trials)
    say(f"{name}: {noticed} of {len(trials)} noticed, of {len(places)} that can be made")
    return trials


def nearest_first(module: Path, tests: Sequence[str]) -> list[list[str]]:
    """Return all the tests in the order in which they are run: those named after the module, then
    the others, which most mutants never come to.
    """
    near = [test for test in tests if module.stem in Path(test).stem]
    far = [test for test in tests if test not in near]
    return [some for some in (near, far) if some]


def files_of(globs: Sequence[str]) -> list[str]:
    """Return the files of some globs, each once, in their order."""
    found = [str(path) for glob in globs for path in sorted(ROOT.glob(glob))]
    return list(dict.fromkeys(found))


def _pytest(tests: Sequence[str], mutant: str | None, timeout_s: float | None) -> int | None:
    """Return pytest's status; None where a mutant made it run for ever."""
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "PYTHONPATH": str(HERE)}
    environment.pop("LLMTOP_MUTANT", None)
    if mutant is not None:
        environment["LLMTOP_MUTANT"] = mutant
    command = [sys.executable, "-m", "pytest", "-x", "-q", *tests]
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            timeout=timeout_s,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    raise SystemExit(main())
