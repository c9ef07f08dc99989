"""The live screen of a session; importing this imports Textual."""

import sys

import anyio

from probes.config import Config
from probes.session import Session
from tui.app import LlmtopApp, run_app, run_cockpit
from tui.summary import summary_text

__all__ = ["run_screen"]


def run_screen(session: Session, config: Config, *, duration_s: float | None) -> int:
    """Run the screen until the user leaves, or for `duration_s` seconds; return its status."""
    if duration_s is None:
        return run_app(session, config)
    status = anyio.run(_run_for, LlmtopApp(session, config), duration_s)
    sys.stdout.write(summary_text(session.board.snapshot(window="run")))
    return status


async def _run_for(app: LlmtopApp, duration_s: float) -> int:
    async with anyio.create_task_group() as group:
        group.start_soon(_leave_after, app, duration_s)
        status = await run_cockpit(app)
        group.cancel_scope.cancel()
    return status


async def _leave_after(app: LlmtopApp, duration_s: float) -> None:
    await anyio.sleep(duration_s)
    app.exit()
