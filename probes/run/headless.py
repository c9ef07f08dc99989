"""Without a screen: the durable events as JSON lines, and a summary last."""

from collections.abc import Callable, Iterable, Set
from typing import BinaryIO, Final

import anyio

from probes.exports.json_lines import JsonLines
from probes.kit.exit_status import ExitStatus
from probes.run.pass_or_fail import PassOrFail
from probes.run.printing import LOOK_S, HeadlessRun, Printing

_QUIET_S: Final = 5.0
"""A wait that is shorter is none."""


async def run_headless(
    session: HeadlessRun,
    *,
    duration_s: float | None,
    out: BinaryIO,
    fail_on_goals: bool,
    fail_on_incident: bool = False,
    only: Set[str] | None = None,
    report: Callable[[Iterable[str]], object] = list,
) -> int:
    """Run a session and print its durable events, then one line of type `summary`.

    Ends `duration_s` seconds after the first hello, on SIGINT, SIGTERM or SIGHUP, when `out` is
    closed by its reader, or when the engine crashes again and again; of several places, when no
    engine is left anywhere. Where `only` is given, lines
    of other types are left out. Returns a status; `report` takes for a person, a line each, what
    is waited for where nothing comes, and what became of the goals and which incidents were named,
    where it is asked for.

    Raises:
        OSError: `out` could not be written, though its reader had not left.
    """
    output = JsonLines(out, only)
    printing = Printing(session, output)
    asked = PassOrFail(on_goals=fail_on_goals, on_incident=fail_on_incident)
    session.subscribe(asked.receive)
    session.subscribe(printing.receive)
    gave_up = False

    async def stop_in_time(duration_s: float) -> None:
        await session.outlast(duration_s)
        session.stop()

    async def stop_when_given_up() -> None:
        nonlocal gave_up
        told: set[str] = set()
        while not session.is_over:
            # Of several places the others go on; whoever runs this reads why one does not.
            for place, why in session.given_up:
                if place not in told:
                    told.add(place)
                    gave_up = True
                    report([f"place {place}: {why}"])
            await anyio.sleep(LOOK_S)
        gave_up = True
        report([f"place {place}: {why}" for place, why in session.given_up if place not in told])
        session.stop()

    async with anyio.create_task_group() as tasks:
        await tasks.start(printing.mind)
        tasks.start_soon(_tell_waits, session, report)
        tasks.start_soon(stop_when_given_up)
        if duration_s is not None:
            tasks.start_soon(stop_in_time, duration_s)
        await session.run()
        tasks.cancel_scope.cancel()
    summary = session.board.summary()
    output.end_with(summary)
    await output.finish()
    if output.failure is not None:
        raise output.failure
    if gave_up:
        return ExitStatus.FAILED
    return asked.status(summary, report)


async def _tell_waits(session: HeadlessRun, report: Callable[[Iterable[str]], object]) -> None:
    """Tell for ever what is waited for: where nothing is printed nobody knows why."""
    told = ""
    while True:
        await anyio.sleep(_QUIET_S)
        status = session.status
        waits = status.detail if status.state in ("starting", "lost") else ""
        if waits and waits != told:
            report([waits])
        told = waits
