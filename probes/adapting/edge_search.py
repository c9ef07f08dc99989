"""How many requests at a time one route bears: what is heard of it in, a limit and its reason out.

Rule 1: what is told is read before anything is tried. A concurrency that a server states is gone to
at once and never passed; requests and tokens a minute that run out are gone below while some are
left.
Rule 2: a refusal after a raise undoes the raise: that is how an edge is found where none is told.
One that comes unasked takes a single step, and the next one a good deal: it may have been a
neighbour's moment, or the limit has moved.
Rule 3: where an edge was met it stays in mind, and what lies below it is gone up to by halves. It
is passed again only after a while, and only once answers enough have paid for the refusal that this
may cost: so refusals stay below a hundredth.
Rule 4: a queue is a refusal that nobody says. By Little's law the requests that wait at the server
are the answers a second times what each waits beyond the least wait known. Between a little queue
and a longer one nothing is done, so that the limit rests.
Rule 5: what misses the route's goals is above the edge, whatever else it bears.
Rule 6: going back has to help. Where the wait stays and the answers become fewer, the queue is
somebody else's: the limit goes back up, and that wait is the least one from then on. So it is with
a goal that most answers miss with far fewer at once, too.

Time is the caller's, in seconds of any origin.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Final, Literal, NamedTuple, TypeAlias

from probes.events import Limit
from probes.events.limit_periods import seconds_of

GROWTH: Final = 1.5
"""Each round while no edge is known. Doubling passes a limit by so much that a whole round of
requests is refused at once; this is at 20 in seven rounds."""
LEAST_ROUND: Final = 3
"""Waits of which a round's median is taken at least; as many as the limit, where that is more."""
ROUND_S: Final = 1.0
"""A round lasts this long at least."""
SURPRISES: Final = 0.7
"""What is left of a limit that refuses twice in a row without having been raised."""
GENTLE: Final = 0.85
"""The same for requests and tokens a minute."""
AGAIN_S: Final = 25.0
"""After so long an edge is tried again: a limit that rises is followed within a minute."""
PAID: Final = 120
"""Answers without a refusal that pay for one: 0.8 %."""
QUEUE_AGAIN_S: Final = 15.0
"""The same for an edge by its queue, where trying costs no refusal."""
GOAL_AGAIN_S: Final = 60.0
"""The same for an edge by a goal: each try costs users of that goal."""
SHORT: Final = 0.06
LONG: Final = 0.12
"""A queue of so many of all requests is none, and one that is too long; 1 and 2 requests at least.
Vegas has a tenth and a fifth, with which a first token waits four times as long as it need."""
WAITS_MORE: Final = 1.2
"""A wait less than this above the least one is noise, whatever queue it comes to."""
IN_VAIN: Final = 0.6
"""Of the limit before a queue was seen: where so few have to wait as long, it is not theirs."""
BASE_S: Final = 600.0
"""How long a least wait counts: what a provider could do ten minutes ago it may no longer."""
GOAL_SAMPLES: Final = 20
GOAL_SHARE: Final = 0.05
"""More than a twentieth of so many answers beyond a goal: that is its p95."""
MOSTLY: Final = 0.5
"""A goal that so many still miss, with so many fewer at once, is not missed for their number."""
RUNS_OUT_S: Final = 15.0
"""A bucket that is empty so soon, at its slope, is gone below; later where it refills later."""
FULL: Final = 0.8
"""A bucket that holds this share of the most it ever held is not being emptied yet."""
SLOPE_S: Final = 5.0
"""Seconds of tellings that a slope is taken of at least."""

Outcome: TypeAlias = Literal["answered", "refused", "failed"]
Bound: TypeAlias = Literal["refused", "queue", "goal", "told"]


class Move(NamedTuple):
    """A new limit, and why."""

    limit: int
    reason: str
    """Such as `429 concurrency at 7`; no server's words are in it."""


class HeardAttempt(NamedTuple):
    """One attempt that has ended."""

    at_s: float
    began_s: float
    outcome: Outcome
    at_once: int
    """Attempts that were open when it began, itself among them."""
    kind: str = ""
    """Of a refusal: `429 concurrency`, `429 tokens`, `429`, `overloaded`, …"""
    missed: str = ""
    """The goal that it misses, in words; empty where none."""
    limits: tuple[Limit, ...] = ()
    """What its answer told."""


class _Edge(NamedTuple):
    """The least limit that is known to be too high."""

    limit: int
    by: Bound
    met_s: float


class EdgeSearch:
    """The limit of one route."""

    def __init__(self, limit: int, *, least: int, most: int, now_s: float) -> None:
        """Begin at `limit`; neither below `least` nor above `most`."""
        self.least, self.most = least, most
        self.limit = min(max(limit, least), most)
        self.may_grow = True
        """Whether anything may be raised by now."""
        self._edge: _Edge | None = None
        self._beyond = 0
        """The last step beyond an edge that was met: each is twice the one before. 0 before any
        edge was met."""
        self._raised_from: int | None = None
        """The limit before the last move, where that was a raise that no round has borne out."""
        self._moved_s = now_s
        self._refused_s = -math.inf
        self._paid = PAID
        """Answers since the last refusal; the first edge is looked for on credit."""
        self._surprised = False
        """The last move was a single step, for a refusal that came unasked."""
        self._told: int | None = None
        """The concurrency that the server states."""
        self._waits: list[float] = []
        """To the first token, of attempts that began since the round began."""
        self._round_s = now_s
        self._bases: deque[tuple[float, float]] = deque()
        """Medians of rounds, with when: rising, so that the first is the least."""
        self._before: tuple[int, float, float] | None = None
        """Limit and answers a second of the round that saw a queue first, and the longest wait
        since."""
        self._missed: list[bool] = []
        """Of answers since the last move, whether each misses a goal."""
        self._missed_from: tuple[str, int] | None = None
        """The goal that is being gone below, and the limit that missed it first."""
        self._beyond_us: set[str] = set()
        """Goals that are missed however few there are at once, until what is asked changes."""
        self._left: dict[str, list[tuple[float, float]]] = {}
        """What is left of each bucket since the last move, with when that was told."""
        self._buckets: dict[str, Limit] = {}
        self._fullest: dict[str, float] = {}
        """The most that was ever left of each."""

    # What is heard.

    def waited(self, at_s: float, began_s: float, wait_s: float) -> Move | None:
        """Hear that an attempt which began at a moment has waited so long for its first token."""
        if began_s < self._round_s:
            return None
        self._waits.append(wait_s)
        if at_s - self._round_s < ROUND_S:
            return None
        enough = max(LEAST_ROUND, self.limit)
        if self._edge is None and not (self._bases and self._raised_from is None):
            # While it grows fast, what the workers say that have just come is enough: of slow
            # answers a whole round lasts for minutes. A queue is believed after a whole one alone:
            # those who come together wait for each other once.
            came = self.limit - (self._raised_from or 0)
            enough = came if self._queue(at_s) < self._short else enough
        return self._round(at_s) if len(self._waits) >= enough else None

    def heard(self, one: HeardAttempt) -> Move | None:
        """Hear of an attempt that has ended."""
        self._note(one)
        if one.outcome == "refused":
            return self._refuse(one)
        if one.outcome == "answered":
            self._paid += 1
            if one.began_s >= self._moved_s:
                self._missed.append(bool(one.missed) and one.missed not in self._beyond_us)
        told = self._go_to_told(one.at_s)
        return told or self._within_goal(one)

    def forget(self, at_s: float) -> None:
        """Forget every edge: what is asked is another thing from now on."""
        self._edge = self._raised_from = self._before = None
        self._beyond = 0
        self._missed_from = None
        self._beyond_us.clear()
        self._bases.clear()
        self._begin(at_s)

    def await_effect(self) -> None:
        """Take nothing as news of the present limit until it has taken effect."""
        self._moved_s = self._round_s = math.inf

    def took_effect(self, at_s: float) -> None:
        """Take what begins from now on as news of the present limit."""
        if self._moved_s == math.inf:
            raised_from, surprised = self._raised_from, self._surprised
            self._begin(at_s)
            self._raised_from, self._surprised = raised_from, surprised

    def set_to(self, limit: int, at_s: float) -> None:
        """Take a limit that somebody else has set."""
        if limit != self.limit:
            self.limit, self._raised_from = limit, None
            self._begin(at_s)

    def lower(self, limit: int, reason: str, at_s: float) -> Move | None:
        """Go down to a limit that somebody else's bounds ask for."""
        return self._move(min(limit, self.limit), reason, at_s)

    # What is told.

    def _note(self, one: HeardAttempt) -> None:
        for limit in one.limits:
            if limit.kind == "concurrency":
                if limit.limit is not None:
                    self._told = max(1, int(limit.limit))
            elif limit.remaining is not None:
                name = f"{limit.kind}/{limit.window}/{limit.scope}"
                known = self._buckets.get(name)
                if known is not None and (limit.limit or 0.0) > (known.limit or math.inf):
                    self._edge, self._beyond = None, 0  # it lets more in than it did
                self._buckets[name] = limit
                self._fullest[name] = max(limit.remaining, self._fullest.get(name, 0.0))
                self._left.setdefault(name, []).append((one.at_s, limit.remaining))

    def _go_to_told(self, at_s: float) -> Move | None:
        if self._told is None or self.limit == min(self._told, self.most):
            return None
        if self._edge is not None and self.limit < self._told:
            return None  # it has refused below what it states
        if self.limit < self._told and self._runs_out() is not None:
            return None
        return self._move(self._told, f"told: {self._told} at a time", at_s)

    def _runs_out(self) -> tuple[str, float] | None:
        """Return the bucket that is soon empty, in words, and what share of the limit would last.

        None where none is told, or all of them last.
        """
        for name, left in self._left.items():
            if len(left) < LEAST_ROUND or left[-1][0] - left[0][0] < SLOPE_S:
                continue
            slope, now, limit = _slope(left), left[-1][1], self._buckets[name]
            if slope >= 0:
                continue
            patience_s = max(RUNS_OUT_S, limit.reset_s or 0.0)
            if now / -slope > patience_s:
                continue
            flow = _flow(limit)
            share = flow / (flow - slope) if flow else 1.0 - 1.0 / self.limit
            return f"{limit.kind} run out in {max(0.0, now / -slope):.0f} s", share
        return None

    def _room(self) -> float:
        """Return the limit that the buckets let go on for ever, as far as their slopes tell.

        Infinite while all are about full; the present limit where nothing is known yet.
        """
        room = math.inf
        for name, left in self._left.items():
            limit = self._buckets[name]
            is_full = left[-1][1] >= FULL * self._fullest[name]
            if is_full and not self._beyond:
                continue
            if left[-1][0] - left[0][0] < SLOPE_S or len(left) < LEAST_ROUND:
                return self.limit
            if is_full:
                # Beyond an edge that was met, what a step does to the bucket is seen first.
                room = min(room, self.limit + 1)
                continue
            slope, flow = _slope(left), _flow(limit)
            if slope >= flow:
                continue
            room = min(room, self.limit * flow / (flow - slope) if flow else self.limit)
        return room

    # What is refused.

    def _refuse(self, one: HeardAttempt) -> Move | None:
        self._refused_s, self._paid = one.at_s, 0
        reason = f"{one.kind} at {one.at_once}"
        if one.began_s < self._moved_s:
            return None  # it began under a limit that is gone already
        was, raised_from = self.limit, self._raised_from
        self._edge = _Edge(was, "refused", one.at_s)
        if raised_from is not None:
            # So many at once, less this one, it has let in.
            borne = max(raised_from, min(was, one.at_once) - 1)
            self._edge = _Edge(borne + 1, "refused", one.at_s)
            self._surprised = False
            return self._move(borne, reason, one.at_s)
        if not self._surprised:
            move = self._move(was - 1, reason, one.at_s)
            self._surprised = True
            return move
        # What counts by the minute is exceeded by a little; what counts at once, by anything.
        left = GENTLE if one.kind.endswith(("requests", "tokens")) else SURPRISES
        return self._move(min(was - 1, int(was * left)), f"{reason}, again", one.at_s)

    # What misses a goal.

    def _within_goal(self, one: HeardAttempt) -> Move | None:
        beyond = sum(self._missed)
        if len(self._missed) < GOAL_SAMPLES or not one.missed or one.missed in self._beyond_us:
            return None
        if beyond <= GOAL_SHARE * len(self._missed):
            return None
        if self._missed_from is None or self._missed_from[0] != one.missed:
            self._missed_from = (one.missed, self.limit)
        elif self.limit <= IN_VAIN * self._missed_from[1] and beyond > MOSTLY * len(self._missed):
            self._beyond_us.add(one.missed)
            was, self._missed_from, self._edge = self._missed_from[1], None, None
            return self._move(was, f"beyond {one.missed} with fewer, too", one.at_s)
        reason = f"{beyond} of {len(self._missed)} beyond {one.missed}"
        self._edge = _Edge(self.limit, "goal", one.at_s)
        return self._move(min(self.limit - 1, int(self.limit * 0.9)), reason, one.at_s)

    # Rounds.

    @property
    def _short(self) -> float:
        """Requests that may wait at the server without being a queue."""
        return max(1.0, SHORT * self.limit)

    def _queue(self, at_s: float) -> float:
        """Return how many requests wait at the server, by what this round's have waited."""
        wait_s, rate = median(self._waits), len(self._waits) / (at_s - self._round_s)
        base_s = min(self._bases[0][1], wait_s) if self._bases else wait_s
        return rate * (wait_s - base_s) if wait_s > WAITS_MORE * base_s else 0.0

    def _round(self, at_s: float) -> Move | None:
        """End a round: look at its queue, and go on from there."""
        wait_s, rate = median(self._waits), len(self._waits) / (at_s - self._round_s)
        rebased = self._does_not_help(wait_s, rate)
        if rebased is not None:
            self._bases.clear()
            self._bases.append((at_s, wait_s))
            self._edge = None
            return self._move(rebased, f"waits {wait_s:.2g} s with fewer, too", at_s)
        while self._bases and self._bases[-1][1] >= wait_s:
            self._bases.pop()
        self._bases.append((at_s, wait_s))
        if at_s - self._bases[0][0] > BASE_S:
            self._bases.popleft()
        base_s = self._bases[0][1]
        queue, short = self._queue(at_s), self._short
        self._surprised = False
        runs_out = self._runs_out()
        if runs_out is not None:
            reason, share = runs_out
            self._edge = _Edge(self.limit, "told", at_s)
            wanted = min(self.limit - 1, max(int(self.limit * share), int(self.limit * SURPRISES)))
            return self._move(wanted, reason, at_s)
        if queue > max(2.0, LONG * self.limit):
            self._before = self._before or (self.limit, rate, wait_s)
            self._edge = _Edge(self.limit, "queue", at_s)
            back = min(math.ceil(queue - short), max(1, int(self.limit * (1 - SURPRISES))))
            reason = f"{queue:.0f} queue, first token {base_s:.2g}→{wait_s:.2g} s"
            return self._move(self.limit - max(1, back), reason, at_s)
        if queue < short:
            self._before = None
            raised = self._raise(at_s)
            if raised is not None:
                return raised
        self._rest(at_s)
        return None

    def _does_not_help(self, wait_s: float, rate: float) -> int | None:
        """Return the limit to go back to, where going down for a queue has not made it shorter."""
        if self._before is None:
            return None
        limit, was_rate, most_wait_s = self._before
        fewer = self.limit / limit
        if fewer > IN_VAIN:
            self._before = (limit, was_rate, max(most_wait_s, wait_s))
            return None
        self._before = None
        is_in_vain = wait_s > 0.9 * most_wait_s and rate < was_rate * (1 + fewer) / 2
        return limit if is_in_vain else None

    def _raise(self, at_s: float) -> Move | None:
        edge, ceiling = self._edge, min(self.most, self._told or self.most)
        ceiling = min(ceiling, math.floor(min(self._room(), self.most)))
        if self.limit >= ceiling or not self.may_grow:
            return None
        if edge is not None and self.limit >= edge.limit - 1:
            again_s = {"queue": QUEUE_AGAIN_S, "goal": GOAL_AGAIN_S}.get(edge.by, AGAIN_S)
            if at_s - edge.met_s < again_s or self._paid < PAID:
                return None
            wanted, reason = self.limit + 1, f"is {edge.limit} still too many?"
        elif edge is not None:
            wanted = self.limit + max(1, (edge.limit - self.limit) // 2)
            wanted, reason = min(wanted, edge.limit - 1), f"below {edge.limit}"
        elif self._beyond:
            wanted, reason = self.limit + 2 * self._beyond, "no queue"
        else:
            wanted, reason = max(self.limit + 1, round(self.limit * GROWTH)), "no queue"
        if edge is not None and wanted > edge.limit - 1:
            self._edge, self._beyond = None, 1
        elif self._beyond:
            self._beyond *= 2
        was = self.limit
        move = self._move(min(wanted, ceiling), reason, at_s)
        self._raised_from = was
        return move

    def _rest(self, at_s: float) -> None:
        """Begin another round at the same limit; a raise has been borne out by the last one."""
        self._raised_from = None
        self._waits, self._round_s = [], at_s

    def _move(self, limit: int, reason: str, at_s: float) -> Move | None:
        wanted = min(max(limit, self.least), self.most)
        if wanted == self.limit:
            self._begin_round(at_s)
            return None
        self.limit, self._raised_from, self._surprised = wanted, None, False
        self._begin(at_s)
        return Move(wanted, reason)

    def _begin(self, at_s: float) -> None:
        self._moved_s = at_s
        self._missed, self._left = [], {}
        self._begin_round(at_s)

    def _begin_round(self, at_s: float) -> None:
        self._waits, self._round_s = [], at_s


def _flow(limit: Limit) -> float:
    """Return how fast a bucket fills, a second; 0 where that is not told.

    Limits that name no period are by the minute: whoever counts by the day says so.
    """
    return (limit.limit or 0.0) / (seconds_of(limit.window) or 60.0)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of values over seconds, a second."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
