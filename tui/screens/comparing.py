"""What comes of `C`: back to the comparison that runs, or a menu, a question, and a new one.

Rule 1. Nothing is sent before somebody has been told what it may cost and has said `y`.
Rule 2. What is shown of names is masked where the screen is; what is compared goes by the true
ones.
"""

from typing import TYPE_CHECKING, cast, get_args

from msgspec.structs import replace

from probes.board.views import RouteView
from probes.comparing.arms import ArmChange, ArmError, ChangeKind
from probes.comparing.views import ComparisonCost, ComparisonView
from probes.kit.sanitise import neutralise
from tui.draw.text import counted, usd
from tui.keys import key_or_label
from tui.panes.view import ARM_LETTERS
from tui.screens.compare_menu import CompareChoice, CompareMenu, choices_for
from tui.screens.comparison import ComparisonScreen

if TYPE_CHECKING:
    from tui.screens.live import LiveScreen

_NAME_LIMIT = 60
NOT_OF_A_RECORDING = (
    "A recording asks nothing: compare in a live cockpit, or with `llmtop compare`."
)


def there_words(screen: "LiveScreen", verb: str) -> str:
    """Return where a route can be compared or swept that is probed elsewhere, and how."""
    route = screen.route()
    if route is None or not route.place:
        return f"That is probed elsewhere: {verb} it there, with `llmtop {verb} ROUTE`."
    names = [row.shared_name for row in screen.latest.routes if row.name in screen.view.tagged]
    asked = " ".join(dict.fromkeys([*names, route.shared_name])) if verb == "compare" else ""
    asked = "ROUTE" if screen.view.private else neutralise(asked or route.shared_name, _NAME_LIMIT)
    return (
        f"{screen.called(route.name)} is probed elsewhere: {verb} it there, with"
        f" `llmtop {verb} {asked}` on the machine of {neutralise(route.place, _NAME_LIMIT)}."
    )


async def compare(screen: "LiveScreen", change: str = "") -> None:
    """Show the comparison that runs, or that nobody has seen the end of; else ask for a new one.

    With a `change`, such as `prompt=4000`, it is asked about that.
    """
    comparisons = screen.cockpit.comparisons
    if not comparisons.can_compare:
        is_replay = screen.cockpit.session.replayed is not None
        screen.notify(NOT_OF_A_RECORDING if is_replay else there_words(screen, "compare"))
    elif change:
        await _ask_about_change(screen, change)
    elif comparisons.is_running or not comparisons.was_seen:
        show(screen)
    elif len(screen.view.tagged) > 1 and comparisons.view is None:
        await ask_about(screen, screen.view.tagged, None)
    else:
        _choose(screen)


async def _ask_about_change(screen: "LiveScreen", change: str) -> None:
    kind, _, value = change.partition("=")
    route = _route(screen)
    if kind not in get_args(ChangeKind):
        expected = f"expected one of {', '.join(get_args(ChangeKind))}"
        screen.notify(f"compare: got {neutralise(kind, _NAME_LIMIT)}, {expected}")
    elif route is None:
        screen.notify("There is no route to compare yet.")
    else:
        asked = ArmChange(cast(ChangeKind, kind), value)
        await ask_about(screen, (route.name,), asked)


def show(screen: "LiveScreen") -> None:
    """Go to the page of the comparison."""
    if not isinstance(screen, ComparisonScreen):
        screen.app.push_screen(ComparisonScreen(screen.cockpit))


def _choose(screen: "LiveScreen") -> None:
    """Ask what to compare."""
    comparisons, tagged = screen.cockpit.comparisons, screen.view.tagged
    route = _route(screen)
    last = comparisons.view if not isinstance(screen, ComparisonScreen) else None
    choices = choices_for(tagged, route, screen.latest.routes, last)
    if not choices:
        screen.notify("There is no route to compare yet.")
        return

    async def take(at: int | None) -> None:
        if at is None:
            return
        choice = choices[at]
        if choice.is_last:
            show(screen)
        else:
            await ask_about(screen, choice.routes, choice.change)

    shown = [_as_shown(screen, choice) for choice in choices]
    called = screen.called(route.name) if route is not None else "tagged routes"
    screen.app.push_screen(CompareMenu(called, shown), take)


def _route(screen: "LiveScreen") -> RouteView | None:
    """Return the route that is compared with itself: the one that is tagged, or selected."""
    tagged = screen.view.tagged
    if len(tagged) == 1:
        return next((row for row in screen.latest.routes if row.name == tagged[0]), None)
    return screen.route()


def _as_shown(screen: "LiveScreen", choice: CompareChoice) -> CompareChoice:
    mask = screen.mask()
    if mask is None:
        return choice
    return replace(choice, head=mask.words(choice.head), meaning=mask.words(choice.meaning))


async def ask_about(
    screen: "LiveScreen", routes: tuple[str, ...], change: ArmChange | None
) -> None:
    """Tell what a comparison may cost, and ask whether it shall be."""
    comparisons = screen.cockpit.comparisons
    if comparisons.is_running:
        key = key_or_label("stop_comparing", screen.view.keys)
        screen.notify(f"One at a time: {key} on its page stops the one that runs.")
        show(screen)
        return
    try:
        proposed = comparisons.propose(routes, change)
    except ArmError as error:
        screen.notify(str(error), severity="warning")
        return

    def take(answer: str) -> None:
        if answer == "y" and not comparisons.is_running:
            comparisons.begin(proposed)
            screen.call_later(show, screen)

    told = "\n".join(_proposal(proposed.view, is_live=screen.cockpit.travel.is_live))
    await screen.ask(
        f"{cost_words(proposed.view.cost)}? y n", take, hint=lambda _: told, letters="yn"
    )


def cost_words(cost: ComparisonCost) -> str:
    """Return what it may use at most: `up to 400 pairs, 51k tokens, $0.03`."""
    money = f", ${usd(cost.usd)}" if cost.usd is not None else ""
    return (
        f"up to {counted(cost.pairs, 'pair')}, {counted(cost.tokens, 'token', short=True)}{money}"
    )


def _proposal(view: ComparisonView, *, is_live: bool) -> list[str]:
    """Return what is to be compared, in lines that a narrow terminal may cut."""
    arms = [
        f"{letter} {neutralise(arm.name, _NAME_LIMIT)}"
        for letter, arm in zip(ARM_LETTERS, view.arms, strict=False)
    ]
    lines = [f"compare {' against '.join(arms)}"]
    lines.append(
        f"{counted(view.cost.probes, 'probe')} beside the run, by turns in a random order; it stops"
        " as soon as it knows"
    )
    if view.cost.unpriced:
        names = ", ".join(neutralise(name, _NAME_LIMIT) for name in view.cost.unpriced)
        lines.append(f"no price is known of {names}: only tokens hold it")
    if not is_live:
        lines.append("it compares now, not at the moment of the past that is shown")
    return lines
