"""What comes of `K`: back to the sweep that runs, or a question, and a new one.

Rule 1. Nothing is sent before somebody has been told what it may cost and has said `y`.
Rule 2. What is shown of names is masked where the screen is; what is swept goes by the true ones.
"""

from typing import TYPE_CHECKING

from probes.kit.sanitise import neutralise
from probes.sweeping.goals import GoalError
from probes.sweeping.views import SweepCost, SweepView
from probes.sweeping.words import goal_words, load_words
from tui.draw.text import age, counted, usd
from tui.keys import key_or_label
from tui.screens.comparing import there_words
from tui.screens.sweep import SweepScreen

if TYPE_CHECKING:
    from tui.screens.live import LiveScreen

_NAME_LIMIT = 60
NOT_OF_A_RECORDING = "A recording asks nothing: sweep in a live cockpit, or with `llmtop sweep`."


async def sweep(screen: "LiveScreen", words: str = "") -> None:
    """Show the sweep that runs, or that nobody has seen the end of; else ask for a new one.

    With `words`, such as `max=64 by=rate`, it is asked about that.
    """
    desk, route = screen.cockpit.sweeps, screen.route()
    last = None if isinstance(screen, SweepScreen) else desk.view
    if not desk.can_sweep:
        is_replay = screen.cockpit.session.replayed is not None
        screen.notify(NOT_OF_A_RECORDING if is_replay else there_words(screen, "sweep"))
    elif desk.is_running or not (desk.was_seen or words):
        if words:
            key = key_or_label("stop_sweeping", screen.view.keys)
            screen.notify(f"One at a time: {key} on its page stops the one that runs.")
        show(screen)
    elif last is not None and route is not None and last.route == route.name and not words:
        show(screen)  # where the same key sweeps again
    elif route is None:
        screen.notify("There is no route to sweep yet.")
    else:
        await ask_about(screen, route.name, words)


def show(screen: "LiveScreen") -> None:
    """Go to the page of the sweep."""
    if not isinstance(screen, SweepScreen):
        screen.app.push_screen(SweepScreen(screen.cockpit))


async def ask_about(screen: "LiveScreen", route: str, words: str) -> None:
    """Tell what a sweep may cost, and ask whether it shall be."""
    desk = screen.cockpit.sweeps
    try:
        proposed = desk.propose(route, words)
    except GoalError as error:
        screen.notify(str(error), severity="warning")
        return

    def take(answer: str) -> None:
        if answer == "y" and not desk.is_running:
            desk.begin(proposed)
            screen.call_later(show, screen)

    shown = proposed.view
    called = screen.called(route)
    told = "\n".join(_proposal(shown, called, is_live=screen.cockpit.travel.is_live))
    await screen.ask(f"{cost_words(shown.cost)}? y n", take, hint=lambda _: told, letters="yn")


def cost_words(cost: SweepCost) -> str:
    """Return what it may use at most: `up to 16 steps, 3.4k probes, 278k tokens, $0.49`."""
    money = f", ${usd(cost.usd)}" if cost.usd is not None else ""
    return (
        f"up to {counted(cost.steps, 'step')}, {counted(cost.probes, 'probe', short=True)},"
        f" {counted(cost.tokens, 'token', short=True)}{money}"
    )


def _proposal(view: SweepView, called: str, *, is_live: bool) -> list[str]:
    """Return what is to be swept, in lines that a narrow terminal may cut."""
    goals = ", ".join(goal_words(goal) for goal in view.goals) or "no goals"
    lines = [
        f"sweep {neutralise(called, _NAME_LIMIT)} from {load_words(view.first, view.by)} up to"
        f" {load_words(view.most, view.by)}, some {age(view.cost.seconds)} at most",
        f"until a goal is missed ({goals}), 429s come, or it only queues",
        "the run's own probes of it pause meanwhile, and nobody is called for it; marks say when",
    ]
    if view.cost.usd is None:
        lines.append("no price is known of it: only tokens hold it")
    if not is_live:
        lines.append("it sweeps now, not at the moment of the past that is shown")
    return lines
