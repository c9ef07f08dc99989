"""Does llmtop name what is wrong? `python tests/bench/incidents.py [--only NAME …] [--keep DIR]`

Plays incidents against real sockets: the embedded provider, the front before it, a bad wire, names
and certificates that fail, a busy core, each with an `llmtop --headless` of its own at a probe a
second. Each is well for two minutes, then ill, then well again. What llmtop says is held to what is
true, by the moment at which its line could be read; and to what a replay of its recording says.

It prints a Markdown table: when the right cause was named and on which routes, how far off its
"since" is, how long anything wrong stood, when it was cleared. No pass or fail: a machine that is
crowded is itself an incident, so the last column tells how late the engine's own loop was, before
the onset and after it (p95 of the seconds' largest lags). Recordings are kept where `--keep` says,
one NAME.jsonl each, with what is true of it beside it; `--again DIR` replays those with the llmtop
of today and judges what that says.

All of them take half an hour, four at a time. Some need Linux and root, and are left out elsewhere,
which is said. `--scenario NAME …` plays scenarios that ship with the provider instead, in their own
times; `all` is each that says what is true of it.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from wires.catalogue import BY_NAME, INCIDENTS, Course, Incident, shipped  # noqa: E402
from wires.live import FACTS, Outcome, again, run, why_not  # noqa: E402
from wires.playing import end_all  # noqa: E402
from wires.stage import RECORDING  # noqa: E402
from wires.verdicts import Verdict  # noqa: E402

from probes.simulator.library import scenario_names  # noqa: E402

HEAD = (
    "incident",
    "what is true",
    "named after / limit",
    "since off",
    "routes",
    "wrong",
    "cleared after",
    "verdict",
    "loop lag ms",
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Course()
    add = parser.add_argument
    add("--only", nargs="+", choices=list(BY_NAME), metavar="NAME", help="instead of all")
    add("--scenario", nargs="+", metavar="NAME", help="those that ship; all: all of them")
    add("--list", action="store_true", help="tell their names and leave")
    add("--keep", type=Path, metavar="DIR", help="where recordings stay")
    add("--again", type=Path, metavar="DIR", help="judge what was kept there anew, by replay")
    add("--at-once", type=int, default=4, metavar="N", help="played side by side (default: 4)")
    add("--well", type=float, default=usual.well_s, metavar="S", help="before (default: 120)")
    add("--ill", type=float, default=usual.ill_s, metavar="S", help="default: 75")
    add("--after", type=float, default=usual.after_s, metavar="S", help="default: 75")
    add("--jitter", type=float, default=usual.jitter, metavar="SIGMA", help="default: 0.15")
    add("--seed", type=int, default=usual.seed, help="another one is another run")
    return parser


def _wanted(options: argparse.Namespace) -> list[Incident]:
    if not options.scenario:
        return [one for one in INCIDENTS if not options.only or one.name in options.only]
    if options.scenario == ["all"]:
        every = [shipped(name) for name in scenario_names()]
        return [one for one in every if one.scene(Course()).expected]
    return [shipped(name) for name in options.scenario]


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _one(incident: Incident, course: Course, keep: Path | None) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix=f"incident-{incident.name}-"))
    try:
        return run(incident, course, folder)
    finally:
        for name, kept in ((RECORDING, "jsonl"), (FACTS, "facts.json")):
            if keep is not None and (folder / name).exists():
                shutil.copy(folder / name, keep / f"{incident.name}.{kept}")
        shutil.rmtree(folder, ignore_errors=True)


def _outcomes(
    incidents: Sequence[Incident], course: Course, at_once: int, keep: Path | None
) -> Iterator[Outcome]:
    """Play all, the loud ones after the others and alone; give each as it ends."""
    for loud, workers in ((False, at_once), (True, 1)):
        with ThreadPoolExecutor(workers) as pool:
            playing = {
                pool.submit(_one, incident, course, keep): incident
                for incident in incidents
                if incident.is_loud == loud
            }
            for done in as_completed(playing):
                try:
                    outcome = done.result()
                except RuntimeError as error:
                    _say(f"{playing[done].name}: could not be played: {error}")
                else:
                    _say(_told(outcome))
                    yield outcome


def _told(outcome: Outcome) -> str:
    """Return in a line for people that an incident has ended, and how."""
    words = [mistake for one in outcome.judgement.verdicts for mistake in one.mistakes]
    words += [f"wrong: {words}" for words in outcome.judgement.wrong]
    words += _replay(outcome)
    return f"{outcome.incident}: {'; '.join(words) or 'right'}"


def _replay(outcome: Outcome) -> list[str]:
    return [] if outcome.replays_alike else ["its replay says otherwise"]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} s"


def _rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """Yield a row for each thing that was wrong; one where nothing was."""
    judgement, observer = outcome.judgement, outcome.observer
    wrong = f"{judgement.wrong_s:.0f} s" if judgement.wrong else "–"
    lag = f"{observer.lag_before:.0f} / {observer.lag_during:.0f}"
    name = outcome.incident
    if not judgement.verdicts:
        verdict = "; ".join(judgement.wrong + _replay(outcome)) or "right"
        yield (name, "nothing", "–", "–", "–", wrong, "–", verdict, lag)
    for number, one in enumerate(judgement.verdicts):
        words = one.mistakes + (judgement.wrong + _replay(outcome) if number == 0 else [])
        if one.beside:
            words.append(f"(beside it: {', '.join(one.beside)})")
        yield (
            name,
            f"{one.truth.cause} on {', '.join(sorted(one.truth.routes))}",
            f"{_seconds(one.named_after_s)} / {one.truth.within_s:.0f}",
            "–" if one.since_off_s is None else f"{one.since_off_s:+.1f} s",
            _routes(one),
            wrong if number == 0 else "",
            _seconds(one.cleared_after_s),
            "; ".join(words) or "right",
            lag,
        )


def _routes(one: Verdict) -> str:
    if one.named_after_s is None:
        return "–"
    if one.routes_after_s is None:
        return "others"
    late = one.routes_after_s > one.named_after_s
    return f"right after {one.routes_after_s:.0f} s" if late else "right"


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _leave(number: int, _frame: object) -> None:
    """End all that plays: no stage is left behind."""
    end_all()
    sys.exit(128 + number)


def main() -> None:
    """Play, judge, print."""
    options = _parser().parse_args()
    if options.list:
        sys.stdout.write("".join(f"{one.name:16} {one.title}\n" for one in INCIDENTS))
        return
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    if options.again is not None:
        names = sorted(file.name.partition(".")[0] for file in options.again.glob("*.facts.json"))
        outcomes = [
            again(options.again / f"{name}.jsonl", options.again / f"{name}.facts.json")
            for name in names
            if not options.only or name in options.only
        ]
    else:
        outcomes = _played(options)
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    sys.stdout.write(_markdown(rows))
    right = sum(outcome.judgement.is_right for outcome in outcomes)
    sys.stdout.write(f"\n{right} of {len(outcomes)} right in everything\n")


def _played(options: argparse.Namespace) -> list[Outcome]:
    """Play what is wanted and can be played; return the outcomes in the order of the catalogue."""
    course = Course(options.well, options.ill, options.after, options.jitter, options.seed)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    incidents = []
    for incident in _wanted(options):
        if reason := why_not(incident.scene(course)):
            _say(f"{incident.name}: left out, {reason}")
        else:
            incidents.append(incident)
    order = [incident.name for incident in incidents]
    outcomes = list(_outcomes(incidents, course, options.at_once, options.keep))
    return sorted(outcomes, key=lambda outcome: order.index(outcome.incident))


if __name__ == "__main__":
    main()
