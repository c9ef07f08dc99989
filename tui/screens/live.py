"""What every live screen does: it pulls frames at the cockpit's pace and turns keys into commands.

Rule 1. Nothing is pushed at a screen. It takes a snapshot where something may have changed, and
hands it to the panes that are shown.
Rule 2. What is looked at belongs to the cockpit, not to a screen: whoever goes to another one finds
the same route selected, frozen or not.
Rule 3. A screen that is not in front neither pulls nor draws.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final, cast

from msgspec.structs import replace
from textual.binding import BindingsMap
from textual.events import Click, MouseMove
from textual.notifications import SeverityLevel
from textual.screen import Screen

from probes.board.views import RouteView, Snapshot
from probes.control.commands import Command, EndCoolDown, MarkTime, Pause, SetKnob, WatchText
from probes.control.knobs import KnobName, Move
from probes.control.status import HostStatus
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import age
from tui.keys import Hotkey, ScreenName, bindings, hotkey, key_or_label, with_keys
from tui.manual import find
from tui.panes.footer import key_at
from tui.panes.happenings import next_filter
from tui.panes.moment import moment_words
from tui.panes.observer import Cockpit
from tui.panes.pane import Pane, PaneSpec
from tui.panes.places import NOTHING
from tui.panes.routes import next_trouble, next_window, selected_route
from tui.panes.view import ARM_LETTERS, PaneName, PastView, ViewState
from tui.screens import alerting, handing_over, knobs
from tui.screens.canvas import Canvas
from tui.screens.cockpit import CockpitState
from tui.screens.command_line import CommandError, completions, hint, read_moment
from tui.screens.glossary import HelpPage
from tui.screens.help import HelpScreen
from tui.screens.manual import ManualScreen
from tui.screens.masking import Mask, mask_of, masked_status
from tui.screens.prompt import PromptLine
from tui.screens.typed_commands import TypedCommands

_FROZEN_GATHERS_S: Final = 0.5
"""While nothing of what comes is shown, it is read so much later: half of what a second allows
until it must be on record."""
_FROZEN_BEAT_S: Final = 0.5
"""A frozen screen only tells how many seconds it has stood: waking up more often for that would be
half of what it costs."""
NOTHING_RECORDED: Final = "Nothing is recorded that one could go back to."
_REMARK_S: Final = 20.0
"""What is missing of a recording stands so long: it is also told when the screen is gone."""
REPLAYED: Final = "A recording: nothing can be turned."
SCROLL_STEP: Final = 5
_LINE_LIMIT: Final = 200
"""Characters of a line about the settings file."""
_NAME_LIMIT: Final = 40
"""Characters of a route's name in a line about it."""
_MOST_SCROLLED: Final = 500
"""Lines: more than any log keeps, so that a key held down for long is soon undone."""


class LiveScreen(Screen[None]):
    """A screen of panes over the board's snapshots."""

    NAME: ClassVar[ScreenName]
    """Which keys are its own."""
    SHOWS_STANDINGS: ClassVar[bool] = False
    """It shows how routes stand beside each other, which is dear to read."""

    def __init__(self, cockpit: CockpitState, specs: Iterable[PaneSpec]) -> None:
        super().__init__()
        self.cockpit = cockpit
        self._bind(cockpit.view.keys)
        self.panes: dict[PaneName, Pane] = {spec.name: Pane(spec) for spec in specs}
        self.current = 1
        """Number of the pane that the user is in."""
        self._canvas: Canvas | None = None
        self._watched = ""
        self._moment: tuple[object, ...] = ()

    def _bind(self, keys: Sequence[Hotkey]) -> None:
        """Take the keys that the user has. Of what Textual binds, what has none of these stays."""
        own = BindingsMap(bindings(self.NAME, keys)).key_to_bindings
        others = {
            key: [binding for binding in bound if not binding.id]
            for key, bound in self._bindings.key_to_bindings.items()
            if key not in own
        }
        self._bindings = BindingsMap.from_keys({**others, **own})

    # What a screen says of itself.

    def arrange_panes(self) -> object:
        """Show the panes that have room, and return what was arranged: a frame is drawn whole where
        that is another one."""
        raise NotImplementedError

    def pages(self) -> tuple[str, ...]:
        """Return the routes of which the screen shows more than the panes below the table do."""
        return ()

    # Frames.

    @property
    def is_current(self) -> bool:
        """Whether somebody sees the screen: nothing lies over it but dialogues.

        Textual's own is true of the second screen of the stack too, though the first one hides it:
        it would take every other turn of the pace, frames without what the first one needs, and
        write over it.
        """
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if not screen.is_modal:
                return False
        return False

    @property
    def view(self) -> ViewState:
        """What the user chose to look at."""
        return self.cockpit.view

    @view.setter
    def view(self, view: ViewState) -> None:
        self.cockpit.view = view

    @property
    def latest(self) -> Snapshot:
        """What is shown."""
        return self.cockpit.frames.latest

    def on_mount(self) -> None:
        """Begin to pull."""
        overlays = next(iter(self.query("#textual-toastrack")), None)
        cockpit = self.cockpit
        self._canvas = Canvas(tuple(self.panes.values()), overlays, cockpit.terminal, cockpit.clock)
        self._beats = self.set_interval(cockpit.interval_s, self._beat)
        self._frozen_beats = self.set_interval(_FROZEN_BEAT_S, self._beat, pause=True)
        self._keep_time()
        self.pull()

    def on_resize(self) -> None:
        """Arrange the panes for the new size."""
        self.pull()

    def on_screen_resume(self) -> None:
        """Catch up after another screen was in front."""
        if self._canvas is not None:
            self._keep_time()
            self.look(self.view)

    def _keep_time(self) -> None:
        """Beat as often as what is shown wants it."""
        frozen = self.view.frozen
        for beats, wanted in ((self._beats, not frozen), (self._frozen_beats, frozen)):
            if wanted:
                beats.resume()
            else:
                beats.pause()

    def _beat(self) -> None:
        """Pull, where that is due and something may have changed."""
        if not self.is_current:
            return
        cockpit, terminal = self.cockpit, self.cockpit.terminal
        busy = terminal is not None and terminal.busy
        slowest_s = terminal.slowest_s() if terminal is not None else 0.0
        now_ns, taken_s = cockpit.clock.monotonic_ns(), cockpit.frames.taken_s
        if not cockpit.pace.due(now_ns, busy=busy, slowest_s=slowest_s, taken_s=taken_s):
            return
        # Where the past is played, one goes on only where a frame is due: it is drawn on arrival.
        if cockpit.travel.beat():
            self._go()
        self._tell_remarks()
        moment = self._shown_moment()
        owed = self._canvas is not None and self._canvas.owes_tables()
        if moment != self._moment or owed or cockpit.frames.moving():
            self._moment = moment
            self.pull()
            if self.view.frozen:
                self._beats.pause()

    def _shown_moment(self) -> tuple[object, ...]:
        """Return what stays equal for as long as a pull would show what the last one showed."""
        cockpit = self.cockpit
        told = cockpit.replay(), cockpit.comparisons.view, cockpit.sweeps.view
        return cockpit.frames.moment(), _shown_of(cockpit.session.status), *told

    def pull(self) -> None:
        """Take a snapshot and repaint what changed; nothing where neither board nor view did."""
        if not self.is_current or not self.size.height:
            return
        cockpit = self.cockpit
        snapshot = cockpit.frames.take(self.view, self.pages(), standings=self.SHOWS_STANDINGS)
        past = cockpit.frames.past()
        places = len(snapshot.header.places) or 1
        self.view = replace(self.view, freeze=cockpit.frames.frozen(), past=past, places=places)
        self._watch_text()
        status = cockpit.session.status
        mask = self.mask()
        strips = cockpit.strips
        present = cockpit.frames.present() if past is not None else None
        strips.present = present if present is None or mask is None else mask.snapshot(present)
        strips.status = status if mask is None else masked_status(status)
        strips.replay = cockpit.replay()
        strips.comparison = cockpit.comparisons.untold()
        strips.sweep = cockpit.sweeps.untold()
        arranged = self.arrange_panes()
        strips.cockpit = Cockpit(cockpit.cpu.share(), cockpit.pace.slowed_hz)
        standing = replace(self.view, freeze=None, past=None)
        # A place that was reached is drawn whole at once: played fast, tables that stand for half a
        # second would be of another minute than the header. At the speed of life they are as live.
        as_live = past is None or (past.is_playing and past.speed <= 1)
        place = None if past is None or as_live else past.at_ns
        look = (
            standing,
            self.view.frozen,
            past is not None and past.is_playing,
            place,
            self.size,
            arranged,
        )
        if self._canvas is not None:
            self._canvas.show(
                snapshot if mask is None else mask.snapshot(snapshot),
                self.view if mask is None else mask.view(snapshot, self.view),
                look,
                (
                    *(self.view.freeze, past, strips.replay, strips.comparison, strips.sweep),
                    *_shown_of(status),
                ),
                self.app.cursor_position,
                moving=cockpit.frames.moving() or (past is not None and past.is_playing),
                on_top=self.app.screen is self,
            )

    def has_banner(self) -> bool:
        """Return whether there is something that must not be overlooked now, whatever is shown."""
        strips = self.cockpit.strips
        shown = strips.present or self.latest
        return strips.banner_text(shown, self.view.keys) is not None

    def mask(self) -> Mask | None:
        """Return what stands for the names of what is shown; None where they are shown."""
        if not self.view.private:
            return None
        return mask_of(self.cockpit.session.wanted.routes, self.latest)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something in a corner: never read as markup, and masked where the screen is."""
        mask = self.mask()
        told = message if mask is None else mask.words(message)
        super().notify(told, title=title, severity=severity, timeout=timeout, markup=markup)

    def called(self, name: str) -> str:
        """Return a route's name as it may be shown."""
        mask = self.mask()
        return neutralise(name, _NAME_LIMIT) if mask is None else mask.route(name)

    def look(self, view: ViewState) -> None:
        """Take a new view and show it at once; on a busy terminal with the next frame it takes."""
        self.view = view
        terminal = self.cockpit.terminal
        if terminal is not None and terminal.busy:
            self._moment = ()
            self._beats.resume()  # a frozen screen's own come too seldom to answer a key
        else:
            self.pull()

    def _watch_text(self) -> None:
        """Have the text of the selected route sent along while the preview is on."""
        route = self.route() if self.view.preview else None
        wanted = route.name if route is not None else ""
        if wanted != self._watched:
            self._watched = wanted
            self.cockpit.session.command(WatchText(route=wanted))

    def pane(self, number: int) -> Pane:
        """Return the pane of a number."""
        return next(pane for pane in self.panes.values() if number == pane.spec.number)

    def route(self) -> RouteView | None:
        """Return the route that knobs turn."""
        return selected_route(self.latest, self.view)

    def _is_over(self) -> bool:
        """Return whether what is shown has happened, all of it; say that nothing changes it."""
        replayed = self.cockpit.session.replayed is not None
        if replayed:
            self.notify(REPLAYED, severity="warning")
        return replayed

    def _tell_remarks(self) -> None:
        """Say what is found to be missing of a recording, once."""
        replayed, told = self.cockpit.session.replayed, self.cockpit.remarks_told
        if replayed is not None and len(replayed.remarks) > told:
            for remark in replayed.remarks[told:]:
                self.notify(neutralise(remark, _LINE_LIMIT), severity="warning", timeout=_REMARK_S)
            self.cockpit.remarks_told = len(replayed.remarks)

    def refusal(self) -> str:
        """Return why no knob turns; empty where they do.

        Knobs act on the present, and whoever turns one does it by the figures that he sees.
        """
        past = self.view.past
        if self.cockpit.session.replayed is not None:
            return REPLAYED
        if past is None:
            return ""
        back = key_or_label("live", self.view.keys)
        return f"This is {age(past.ago_s)} ago, and a knob would turn now. Back to now: {back}."

    def _is_refused(self) -> bool:
        """Return whether no knob turns; say why."""
        refusal = self.refusal()
        if refusal:
            self.notify(refusal, severity="warning")
        return bool(refusal)

    def send(self, command: Command | None) -> None:
        """Hand a command to the engine; what it does is shown as soon as it does it.

        In the past only brakes and marks are, and what they do is said.
        """
        if self.view.selected is None and (name := getattr(command, "route", "")):
            self.view = replace(self.view, selected=name)  # its route is the user's from now on
        if command is None or self._is_over():
            return
        past = self.view.past
        acts = past is None or isinstance(command, Pause | MarkTime)
        if past is not None and isinstance(command, Pause | MarkTime):
            self.notify(self._acting_words(command, past))
        if acts or not self._is_refused():
            if isinstance(command, SetKnob) and command.knob == "concurrency":
                wanted = self.cockpit.session.wanted.routes.get(command.route)
                if wanted is not None and wanted.adaptive:
                    words = f"{self.called(command.route)}: CONC no longer finds itself. {{undo}} "
                    self.notify(with_keys(words + "lets it again.", self.view.keys))
            self.cockpit.turn(command)
            if self._canvas is not None:
                self._canvas.hurry()

    def _acting_words(self, command: Pause | MarkTime, past: PastView) -> str:
        """Return what a command does that acts while the past is shown: when, and to what."""
        if isinstance(command, MarkTime):
            if command.about_ns is not None:
                at = moment_words(command.about_ns, past, self.latest.wall_anchor_ns)
                return f"A mark is put at {at}."
            does = "a mark is put"
        else:
            who = self.called(command.route) if command.route else "all routes"
            does = f"{who} {'paused' if command.paused else 'probed again'}"
        return f"Now, not {age(past.ago_s)} ago: {does}."

    def on_descendant_focus(self) -> None:
        """Remember which pane the user is in: where there is room for few it is one of them."""
        if isinstance(self.focused, Pane):
            self.current = self.focused.spec.number

    # The mouse on the footer.

    def on_click(self, event: Click) -> None:
        """Do what the entry of the footer says that was clicked."""
        key = self._footer_key(event)
        if key is not None:
            self.call_later(self.run_action, key.action)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Light the entry that the mouse is on."""
        key = self._footer_key(event)
        lit = key.id if key is not None else ""
        if lit != self.view.lit:
            self.look(replace(self.view, lit=lit))

    def _footer_key(self, event: Click | MouseMove) -> Hotkey | None:
        footer = self.panes.get("footer")
        region = footer.region if footer is not None and footer.display else None
        if region is None or not region.contains(event.screen_x, event.screen_y):
            return None
        return key_at(self.view, region.width, self.NAME, event.screen_x - region.x)

    # Lines to type on.

    async def ask(
        self,
        lead: str,
        take: Callable[[str], str | None],
        *,
        hint: Callable[[str], str],
        complete: Callable[[str], Sequence[str]] = lambda _: (),
        history: Sequence[str] = (),
        letters: str = "",
    ) -> None:
        """Ask for a line of text at the foot of the screen; see `PromptLine`.

        While names are masked, nothing that was typed before is repeated: it may have them.
        """
        await self.query(PromptLine).remove()  # one that asked for this one is on its way out
        mask = self.mask()
        if mask is None:
            prompt = PromptLine(
                lead, take, hint=hint, complete=complete, history=history, letters=letters
            )
        else:
            prompt = PromptLine(
                lead,
                lambda text: mask.words(take(text) or "") or None,
                hint=lambda text: mask.words(hint(text)),
                complete=complete,
                letters=letters,
            )
        # Awaited, for what is typed next belongs to it.
        await self.mount(prompt)

    async def action_command(self) -> None:
        """Ask for a command."""
        commands = TypedCommands(self)
        known = commands.known()
        await self.ask(
            ":",
            commands.take,
            hint=lambda text: hint(text, known),
            complete=lambda text: completions(text, known),
            history=self.cockpit.typed,
        )

    async def action_write(self) -> None:
        """Show what saving would change in the settings file, and ask whether it shall."""
        if self._is_over():
            return
        display = {"theme": self.app.theme, "window": self.view.window}
        proposal = self.cockpit.proposal(**display)
        if proposal.refusal or not proposal.lines:
            words = proposal.refusal or "Nothing to save: the file has what is set."
            self.notify(
                words, markup=False, severity="warning" if proposal.refusal else "information"
            )
            return
        room = max(1, self.size.height // 3)
        mask = self.mask()
        shown = proposal.lines[:room] if mask is None else map(mask.words, proposal.lines[:room])
        lines = [neutralise(line, _LINE_LIMIT) for line in shown]
        if len(proposal.lines) > room:
            lines[-1] = f"… and {len(proposal.lines) - room + 1} more"

        def take(answer: str) -> str | None:
            if answer.lower() == "y":
                failed = proposal.write()
                if not failed:
                    self.cockpit.settle(**display)
                words = failed or f"Saved to {file}"
                self.notify(words, severity="error" if failed else "information")
            return None

        file = neutralise(proposal.file, _LINE_LIMIT) if mask is None else "the settings file"
        await self.ask(
            f"write this to {file}? y n", take, hint=lambda _: "\n".join(lines), letters="yn"
        )

    def go_to(self, name: str) -> None:
        """Select a route, and open its page where the screen shows all of them."""
        self.look(replace(self.view, selected=name, filter="", offsets={}))

    def frozen_words(self) -> str:
        """Return that the screen is frozen, and which key lets it go on."""
        key = hotkey("freeze", self.view.keys)
        return f"The screen is frozen: {key.shown or key.label} lets it go on."

    def mark(self, text: str) -> str | None:
        """Put a mark on the timeline, at the moment that is shown; nothing can be wrong with it."""
        past = self.view.past
        about_ns = None if past is None else past.at_ns
        self.send(MarkTime(text=text.strip() or "mark", about_ns=about_ns))
        return None

    # Keys that do the same on every screen.

    def action_help(self, page: str = "") -> None:
        """Show what the words and keys mean: at first those of the pane one is in, and what to do
        about the state of the selected route."""
        route = self.route()
        here: PaneName = next(
            (pane.spec.name for pane in self.panes.values() if pane.spec.number == self.current),
            "routes",
        )
        self.app.push_screen(
            HelpScreen(
                cast(HelpPage, page or "here"),
                keys=self.view.keys,
                pane=here,
                route=self.called(route.name) if route is not None else "",
                state=route.state if route is not None else None,
            )
        )

    def action_manual(self, topic: str = "") -> None:
        """Open a topic of the manual, or the list of those that begin so."""
        some = find(topic) if topic else ()
        if topic and not some:
            self.notify(f"No topic of the manual begins with {topic}.")
        else:
            self.app.push_screen(ManualScreen(some))

    def action_trouble(self, step: int) -> None:
        """Go to the next route that hurts, or to the one before."""
        view = next_trouble(self.latest, self.view, step)
        if view is None:
            self.notify("No other route hurts.")
        else:
            self.look(view)

    def action_pane(self, number: int) -> None:
        """Go to a pane; where the user is there already, give it the whole screen, or its place."""
        again = self.current == number
        alone = number if self.view.maximised or again else None
        if again and self.view.maximised == number:
            alone = None
        self.current = number
        self.look(replace(self.view, maximised=alone))
        self.pane(number).focus()

    def action_ring(self, step: int) -> None:
        """Go to the next pane, or the one before."""
        numbers = sorted(pane.spec.number for pane in self.panes.values() if pane.spec.number)
        at = numbers.index(self.current) if self.current in numbers else 0
        number = numbers[(at + step) % len(numbers)]
        self.current = number
        alone = number if self.view.maximised else None
        self.look(replace(self.view, maximised=alone))
        self.pane(number).focus()

    def action_maximise(self) -> None:
        """Give the current pane the whole screen, or its place back."""
        alone = None if self.view.maximised else self.current
        self.look(replace(self.view, maximised=alone))

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll the current pane by some lines."""
        self.scroll(self.pane(self.current), direction * SCROLL_STEP)

    def scroll(self, pane: Pane, by: int) -> None:
        """Scroll a pane by some lines."""
        name = pane.spec.name
        offset = min(max(0, self.view.offset(name) + by), _MOST_SCROLLED)
        self.look(replace(self.view, offsets={**self.view.offsets, name: offset}))

    def action_log_filter(self) -> None:
        """Show less, or all, of what happened."""
        chosen = next_filter(self.view.log_filter)
        offsets = {**self.view.offsets, "happenings": 0}
        self.look(replace(self.view, log_filter=chosen, offsets=offsets))

    def action_only_hurt(self) -> None:
        """Show only routes that hurt, or all of them."""
        self.look(replace(self.view, only_hurt=not self.view.only_hurt, offsets={}))

    def action_window(self) -> None:
        """Take the next window of time; a frozen screen has only its own."""
        if self.view.frozen:
            self.notify(self.frozen_words())
        else:
            self.look(next_window(self.view))

    def action_freeze(self) -> None:
        """Hold the screen still, or let it go on; in the past, play or stand still."""
        frames, travel = self.cockpit.frames, self.cockpit.travel
        if not travel.is_live:
            travel.play(not travel.is_playing)
            self.look(self.view)
            return
        if self.view.frozen:
            self._thaw()
        else:
            frames.freeze(self.view)
            self.cockpit.session.gather(_FROZEN_GATHERS_S)
            self.view = replace(self.view, freeze=frames.frozen())
            self._keep_time()
        self.pull()

    def _thaw(self) -> None:
        """Let a frozen screen go on."""
        self.cockpit.frames.thaw()
        self.cockpit.session.gather(0.0)
        self.view = replace(self.view, freeze=None)
        self._keep_time()

    def action_alerts(self) -> None:
        """List the alerts: those of now, whatever is shown."""
        alerting.list_alerts(self)

    def action_acknowledge(self) -> None:
        """Acknowledge the newest alert that fires; again: mute its routes for an hour."""
        alerting.acknowledge_newest(self)

    # Where in time.

    def action_travel(self, by_s: float) -> None:
        """Go back or forth by some seconds, from what is shown."""
        if self._can_travel():
            held_ns = self.latest.now_ns if self.view.frozen else None
            self.go_where(self.cockpit.travel.step(round(by_s * NS_PER_S), held_ns))

    def action_event(self, step: int) -> None:
        """Go to the next thing that happened, or to the one before."""
        if not self._can_travel():
            return
        frozen_ns = self.latest.now_ns if self.view.frozen else None
        stop = self.cockpit.travel.stop(step, frozen_ns)
        if stop is None:
            self.notify(f"Nothing is known to have happened {'after' if step > 0 else 'before'}.")
        else:
            self.go_where(self.cockpit.travel.want(stop.at_ns))

    def action_speed(self, faster: bool) -> None:
        """Play the past faster, or more slowly."""
        travel = self.cockpit.travel
        if travel.is_live:
            self.notify("It is the past that can be played.")
            return
        travel.turn_speed(faster)
        self.look(self.view)

    def action_follow(self) -> None:
        """Show the present again."""
        if self.view.frozen:
            self._thaw()
        self.go_where(self.cockpit.travel.follow())

    def seek(self, text: str) -> str | None:
        """Go to a moment that was typed; return what is wrong with it."""
        travel = self.cockpit.travel
        span = travel.span
        if span is None:
            return NOTHING_RECORDED
        here_ns = self.latest.now_ns if self.view.frozen else travel.here_ns
        try:
            at_ns = read_moment(text, span, here_ns, self.latest.wall_anchor_ns)
        except CommandError as error:
            return str(error)
        self.go_where(travel.want(at_ns))
        return None

    def _can_travel(self) -> bool:
        """Return whether there is a past; say so where there is none."""
        known = self.cockpit.travel.can_go_back
        if not known:
            self.notify(NOTHING_RECORDED, severity="warning")
        return known

    def go_where(self, is_asked: bool) -> None:
        """Show that another place is wanted, and go there where somebody is asked to."""
        if self.view.frozen:
            self._thaw()
        if is_asked:
            self._go()
        self._moment = ()
        self.look(self.view)

    def _go(self) -> None:
        # The app's, not the screen's: one that is closed would end its own in the middle of a way.
        self.app.run_worker(self.cockpit.travel.go(self._arrived), group="travel")

    def _arrived(self) -> None:
        """Show the place that was reached, or why it was not, whichever screen is in front."""
        problem = self.cockpit.travel.problem
        for screen in self.app.screen_stack:
            if isinstance(screen, LiveScreen) and screen.is_current:
                if problem:
                    screen.notify(problem, severity="error")
                screen.arrived()

    def arrived(self) -> None:
        """Show the place that was reached."""
        self._moment = self._shown_moment()
        self.pull()

    # Comparing.

    async def action_tag(self, name: str = "") -> None:
        """Tag a route for a comparison, the selected one without a name; or take its tag away."""
        if "tag" in self.view.idle:
            await self.action_compare()  # which says why not
            return
        route, tagged = self.route(), self.view.tagged
        name = name or (route.name if route is not None else "")
        if name in tagged:
            tagged = tuple(one for one in tagged if one != name)
        elif name and len(tagged) < len(ARM_LETTERS):
            tagged = (*tagged, name)
        elif name:
            words = f"{len(tagged)} are tagged, and more are not compared at once: {{tag}} on one "
            self.notify(with_keys(words + "of them takes its tag away.", self.view.keys))
        self.look(replace(self.view, tagged=tagged))

    def action_untag(self) -> None:
        """Take all tags away."""
        self.look(replace(self.view, tagged=()))

    async def action_compare(self, change: str = "") -> None:
        """Show the comparison that runs, or ask for a new one; of the route with a `change`."""
        from tui.screens import comparing  # which the first frame need not wait for

        await comparing.compare(self, change)

    async def action_sweep(self, words: str = "") -> None:
        """Show the sweep that runs, or ask for a new one of the route; `words` say how."""
        from tui.screens import sweeping  # which the first frame need not wait for

        await sweeping.sweep(self, words)

    def action_leaderboard(self) -> None:
        """Rank the routes that were asked alike."""
        from tui.screens.leaderboard import LeaderboardScreen  # the first frame need not wait for

        self.app.push_screen(LeaderboardScreen(self.cockpit))

    def action_places(self) -> None:
        """Show from where each route hurts."""
        if len(self.latest.header.places) < 2:
            self.notify(NOTHING)
            return
        from tui.screens.places import PlacesScreen  # which the first frame need not wait for

        self.app.push_screen(PlacesScreen(self.cockpit))

    def action_history(self) -> None:
        """Show weeks of the route."""
        from tui.screens.history import HistoryScreen  # the first frame need not wait for it

        route = self.route()
        if route is None:
            self.notify("There is no route yet.")
            return
        self.app.push_screen(HistoryScreen(self.cockpit, route.name))

    def action_bundle(self) -> None:
        """Write a folder that tells the incident of the route to whoever was not there."""
        handing_over.hand_over(self, writes=True)

    def action_copy(self) -> None:
        """Copy in a paragraph what happened."""
        handing_over.hand_over(self, writes=False)

    def action_private(self) -> None:
        """Mask the names of routes, models and hosts, and a server's words; or show them again."""
        self.look(replace(self.view, private=not self.view.private))

    def action_concurrency(self, direction: Move) -> None:
        """Change how many probes run at once."""
        self._turn("concurrency", direction)

    def action_adapt(self) -> None:
        """Let the route's concurrency find itself, or no longer."""
        if route := self.route():
            self.send(knobs.adapted(self.cockpit.session.wanted, route.name))

    def action_interval(self, longer: bool) -> None:
        """Change the interval, or the rate of an open pace, which is the longer the less often."""
        route = self.route()
        if route is None or not self.cockpit.session.wanted.routes[route.name].is_open:
            self._turn("interval", "longer" if longer else "shorter")
        else:
            self._turn("rate", "shorter" if longer else "longer")

    def action_cap(self, longer: bool) -> None:
        """Change the answer cap."""
        self._turn("max_tokens", "longer" if longer else "shorter")

    def _turn(self, knob: KnobName, move: Move) -> None:
        if route := self.route():
            self.send(knobs.turned(self.cockpit.session.wanted, route.name, knob, move))

    def action_undo(self) -> None:
        """Turn the last knob back."""
        if self._is_refused():
            return
        turned = self.cockpit.undo()
        if turned is None:
            self.notify("No knob was turned that could be turned back.")
            return
        if self._canvas is not None:
            self._canvas.hurry()
        self.notify(f"{turned.words} undone")

    def action_burst(self) -> None:
        """Send as many probes now as the route's concurrency."""
        if route := self.route():
            self.send(knobs.burst(self.cockpit.session.wanted, route.name))

    def action_fresh(self) -> None:
        """Send one probe on a connection of its own."""
        if route := self.route():
            self.send(knobs.fresh(route.name))

    def action_end_cool_down(self) -> None:
        """End the route's cool-down."""
        if route := self.route():
            self.send(EndCoolDown(route=route.name))

    def action_accept_usual(self) -> None:
        """Take the route's present level for its usual one, where a new one is open."""
        if not self._is_refused() and (route := self.route()):
            command = knobs.accepted(self.latest.incidents, route.name)
            self.send(command)
            if command is None:
                self.notify("No new level is open on this route; what fails is never the usual.")

    def action_pause(self) -> None:
        """Pause the route, or let it go on."""
        if route := self.route():
            self.send(knobs.paused(self.cockpit.session.wanted, route.name))

    def action_panic(self) -> None:
        """Stop everything, or let it go on."""
        self.send(knobs.panic(self.cockpit.session.wanted))

    async def action_mark(self) -> None:
        """Ask for the text of a mark on the timeline."""
        if self._is_over():
            return
        words = "a text for the mark: Enter puts it, with none it is called mark; Esc leaves"
        await self.ask("mark ", self.mark, hint=lambda _: words)

    def action_lift(self) -> None:
        """Let the budgets count from what is known, where only the emergency part is left."""
        header = self.cockpit.frames.present().header
        if not header.budget_doubt or self._is_over():
            return
        if header.budget_doubt_kind == "away":
            self.notify(
                "Other places spend of these budgets, too: until they can be read again nobody"
                " knows what is left, and nothing lifts that."
            )
        else:
            self.cockpit.session.lift()

    def action_retry(self) -> None:
        """Start the engine again after it gave up, or now where that is due later."""
        if self.cockpit.session.status.state in ("gave_up", "restarting"):
            self.cockpit.session.retry()


def _shown_of(status: HostStatus) -> tuple[object, ...]:
    """Return what the strips show of the engine's process; times in whole seconds.

    One that runs has no times to show: it may well be silent for a second, every second.
    """
    if status.state == "running" and not status.restarts:
        return status.state, status.detail
    times = int(status.silent_s), int(status.since_s)
    return status.state, status.detail, *times, status.restarts, status.read_percent
