"""Which routes' concurrency finds itself, and where it is to go: the events of a run → moves.

Rule 1: a pure fold. It sees what is recorded and nothing else, so that a replay moves as the run
did, and of several engines nothing need be known.
Rule 2: a move counts from when an engine says that it has obeyed. What began before is news of the
limit before; so is what began beyond it, as a burst does.
Rule 3: nothing is raised while a budget is about spent, and what a budget holds back is halved:
more at a time would only spend it sooner.
Rule 4: where probes start when they are due, whatever the others do (an open pace), a limit that
is not used up is not raised: nobody asks for more.
Rule 5: what counts is what the limit can change. A probe beside the pace, an answer that a gap of
ours has spoiled, and what failed on our side say nothing.
"""

from typing import Final, NamedTuple

from probes.adapting.edge_search import EdgeSearch, HeardAttempt, Move, Outcome
from probes.board.throttles import throttle_kind
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Held,
    Hello,
    Knob,
    RouteInfo,
    Tick,
)
from probes.kit.clock import seconds

ABOUT_SPENT: Final = 0.9
"""Share of a budget from which nothing is raised."""
_OPEN_KEPT: Final = 4096
"""Attempts that are open; of an engine that died nobody says how its own ended."""
_KINDS: Final = ("concurrency", "requests", "input_tokens", "output_tokens", "tokens")


class LimitMove(NamedTuple):
    """Where the concurrency of a route is to go, and why."""

    route: str
    concurrency: int
    reason: str


class _Open(NamedTuple):
    """An attempt that has begun."""

    began_s: float
    at_once: int
    waited_s: float | None = None


class AdaptiveLimits:
    """All routes of a run."""

    def __init__(self) -> None:
        """Begin before the hello."""
        self._routes: dict[str, _RouteLimit] = {}

    def fold(self, event: Event) -> LimitMove | None:
        """Take one event; return the move that it decides."""
        match event:
            case Hello():
                for info in event.routes:
                    known = self._routes.get(info.name)
                    self._routes[info.name] = _RouteLimit(info, seconds(event.at_ns))
                    if known is not None and known.search is not None:
                        # An engine was started anew: what was found stays.
                        self._routes[info.name].search = known.search
            case Tick():
                self._tick(event)
            case AttemptStarted() | FirstToken() | AttemptFinished() | Knob() | Held():
                one = self._routes.get(event.route)
                move = None if one is None else one.fold(event)
                return None if move is None else LimitMove(event.route, move.limit, move.reason)
            case _:
                pass
        return None

    def _tick(self, event: Tick) -> None:
        spent = {
            budget.route
            for budget in event.budgets
            if budget.used_tokens > ABOUT_SPENT * budget.limit_tokens
            or (budget.limit_usd is not None and budget.used_usd > ABOUT_SPENT * budget.limit_usd)
        }
        for counts in event.routes:
            route = self._routes.get(counts.route)
            if route is not None:
                route.count(counts.target, bool(spent & {"", counts.route}), event)


class _RouteLimit:
    """One route."""

    def __init__(self, info: RouteInfo, now_s: float) -> None:
        self.info = info
        self.search: EdgeSearch | None = None
        """None where the concurrency is set by hand."""
        self._concurrency = info.concurrency
        self._is_spent = False
        self._most_open = 0
        """At once, since the last move."""
        self._open: dict[tuple[str, int], _Open] = {}
        if info.adaptive:
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        info = self.info
        least, most = info.concurrency_min, max(info.concurrency_min, info.concurrency_max)
        self.search = EdgeSearch(self._concurrency, least=least, most=most, now_s=now_s)

    def fold(
        self, event: AttemptStarted | FirstToken | AttemptFinished | Knob | Held
    ) -> Move | None:
        """Take an event of the route."""
        match event:
            case AttemptStarted():
                self._started(event)
                return None
            case Knob():
                return self._turned(event)
            case Held():
                return self.hold(event)
            case FirstToken():
                move = self._first_token(event)
            case AttemptFinished():
                move = self._finished(event)
        if move is not None and self.search is not None:
            self.search.await_effect()
            self._most_open = 0
        return move

    def count(self, target: int, is_spent: bool, event: Tick) -> None:
        """Note what a tick says: what an engine works by, and whether money is left."""
        self._concurrency = target
        if self.search is None:
            return
        self._is_spent = is_spent
        if target == self.search.limit:
            self.search.took_effect(seconds(event.at_ns))

    def hold(self, event: Held) -> Move | None:
        """Halve what a budget holds back."""
        search = self.search
        if search is None or event.reason != "budget" or event.released:
            return None
        move = search.lower(search.limit // 2, "a budget is spent", seconds(event.at_ns))
        if move is not None:
            search.await_effect()
        return move

    def _started(self, event: AttemptStarted) -> None:
        if len(self._open) >= _OPEN_KEPT:
            del self._open[next(iter(self._open))]
        if not event.evidence:
            at_once = len(self._open) + 1
            self._most_open = max(self._most_open, at_once)
            if self.search is not None:
                is_used = self.info.pace == "interval" or self._most_open >= self.search.limit
                self.search.may_grow = is_used and not self._is_spent
            self._open[event.probe, event.attempt] = _Open(seconds(event.at_ns), at_once)

    def _first_token(self, event: FirstToken) -> Move | None:
        one = self._open.get((event.probe, event.attempt))
        if one is None:
            return None
        waited_s = seconds(event.at_ns) - one.began_s
        self._open[event.probe, event.attempt] = one._replace(waited_s=waited_s)
        if self.search is None or one.at_once > self._concurrency:
            return None
        return self.search.waited(seconds(event.at_ns), one.began_s, waited_s)

    def _finished(self, event: AttemptFinished) -> Move | None:
        one = self._open.pop((event.probe, event.attempt), None)
        if one is None or self.search is None or event.flagged or event.outcome == "cancelled":
            return None
        at_s, outcome, kind = seconds(event.at_ns), _outcome_of(event), _kind_of(event)
        if one.at_once > self._concurrency:
            return None
        move = None
        if outcome == "answered" and one.waited_s is None:
            # It came whole: all of it was a wait for its first token, as far as is known.
            move = self.search.waited(at_s, one.began_s, at_s - one.began_s)
        missed = self._missed(event, one, at_s) if outcome == "answered" else ""
        heard = HeardAttempt(at_s, one.began_s, outcome, one.at_once, kind, missed, event.limits)
        return self.search.heard(heard) or move

    def _missed(self, event: AttemptFinished, one: _Open, at_s: float) -> str:
        """Return the goal that an answer misses, in words; empty where none."""
        info, took_s = self.info, at_s - one.began_s
        if info.streamed and one.waited_s is not None and one.waited_s > info.goal_ttft_s:
            return f"the TTFT goal of {info.goal_ttft_s:g} s"
        if info.goal_e2e_s is not None and took_s > info.goal_e2e_s:
            return f"the E2E goal of {info.goal_e2e_s:g} s"
        wrote_s = took_s - (one.waited_s or 0.0)
        if (
            info.goal_tokens_per_s is not None
            and event.output_tokens is not None
            and event.output_tokens > 1
            and wrote_s > 0
            and (event.output_tokens - 1) / wrote_s < info.goal_tokens_per_s
        ):
            return f"the goal of {info.goal_tokens_per_s:g} tokens/s"
        return ""

    def _turned(self, event: Knob) -> Move | None:
        at_s = seconds(event.at_ns)
        match event.knob:
            case "auto" if event.after and self.search is not None:
                pass  # told again, to a new engine's board
            case "auto" if event.after:
                self._begin(at_s)
                # Where it stands is out of its bounds: it goes there first.
                if self.search is not None and self.search.limit != self._concurrency:
                    limit = self.search.limit
                    self.search.await_effect()
                    return Move(limit, f"within {self.search.least} to {self.search.most}")
            case "auto":
                self.search = None
            case "concurrency":
                self._concurrency = int(event.after)
                if self.search is not None:
                    self.search.set_to(self._concurrency, at_s)
                    self.search.took_effect(at_s)
            case "interval" | "rate" | "max_tokens":
                if self.search is not None:
                    self.search.forget(at_s)
            case _:
                pass
        return None


def _outcome_of(event: AttemptFinished) -> Outcome:
    if event.outcome == "throttled" or event.reason == "overloaded":
        return "refused"
    return "answered" if event.outcome == "ok" else "failed"


def _kind_of(event: AttemptFinished) -> str:
    """Return what refused an attempt, in words of ours: `429 concurrency`, `overloaded`."""
    if event.reason == "overloaded":
        return "overloaded"
    kind = throttle_kind(event.reason, event.limits)
    return f"{event.status or 429} {kind}" if kind in _KINDS else f"{event.status or 429}"
