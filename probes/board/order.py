"""The order of the rows: most users hurt first, and calm to the eye.

Rule 1. Routes that hurt come first: by the share of their probes that are not good now, those of a
share with a verdict before those without, then by state, then by name. What hangs is not good.
Rule 2. All others follow by name, whatever they measure: a healthy screen never moves.
Rule 3. What hurts is what the header counts. A verdict moves its row at once, and so does a missed
goal that hurts many. What hurts a few without a verdict, or may yet be chance, moves its row once
it has lasted, and back once it has been well for longer: a restless route lies now above its goal
and now below.
Rule 4. A share counts in steps, and a step is left only where the share lies well beyond it, or
chance would swap two rows that suffer alike.
Rule 5. For five seconds after the rows have moved they stand, so that an eye can follow them.
"""

from collections.abc import Iterable
from typing import Final

from probes.board.route import UNANSWERED, RouteBoard
from probes.board.states import RANK
from probes.board.views import HURT_STATES
from probes.kit.clock import NS_PER_S

_STEPS: Final = 5
_LEAVES: Final = 0.75
"""Of a step, from its middle: a share of thirty probes scatters by a twelfth."""
_LEAVES_UNTOLD: Final = 1.25
"""The same where there is no verdict: a quarter of the users must be hurt by a missed goal before a
row moves for it. A route whose times scatter by ×2.5 hurts a tenth of them, now more, now less."""
_STANDS_NS: Final = 5 * NS_PER_S
LASTS_NS: Final = 120 * NS_PER_S
"""So long without a break something must hurt to move its row by that alone. A goal is judged by a
minute of samples: by what one lot of them says, twice over. The state of a healthy route whose p95
lies at its goal turns up to a hundred times an hour."""
HEALS_NS: Final = 600 * NS_PER_S
"""So long without a break it must have been well to fall back: twice the longest window that judges
a goal, so that nothing of what hurt is in it any more. In 40 healthy route-hours with goals at 0.8
to 1.25 of the p95 rows moved 23 times, none twice in an hour, and none where the goal lay a tenth
above. With one minute for both they moved 276 times."""


class RowOrder:
    """The routes of a run, in the order of their rows."""

    def __init__(self) -> None:
        self.routes: list[RouteBoard] = []
        self._steps: dict[str, int] = {}
        """Step of the share of each route that surely hurts."""
        self._turned_ns: dict[str, tuple[bool, int]] = {}
        """Of each route that is asked: whether it hurts, and since when without a break."""
        self._lasting: set[str] = set()
        """Those of which it has lasted, and that have not been well for long since."""
        self._moved_ns: int | None = None

    def add(self, routes: Iterable[RouteBoard]) -> None:
        """Take routes, each in its place."""
        self.routes.extend(routes)
        self.routes.sort(key=self._place)

    def note(self, route: RouteBoard, hurt_share: float | None, now_ns: int) -> None:
        """Note how much a route hurts, which was judged anew: the share of its probes that are not
        good; None where none is known."""
        name = route.info.name
        self._note_lasting(route, now_ns)
        if not route.hurts:
            self._steps.pop(name, None)
            return
        step = self._steps.get(name)
        if step is None:
            # What answers nobody hurts everybody, though nothing has ended since.
            known = float(route.state in UNANSWERED) if hurt_share is None else hurt_share
            step = 0 if route.onset_ns is None else round(known * _STEPS)
        leaves = _LEAVES_UNTOLD if route.onset_ns is None else _LEAVES
        if hurt_share is not None and abs(hurt_share * _STEPS - step) > leaves:
            step = round(hurt_share * _STEPS)
        self._steps[name] = step

    def _note_lasting(self, route: RouteBoard, now_ns: int) -> None:
        """Note for how long a route has hurt without a break, or has been well."""
        name, hurts = route.info.name, route.state in HURT_STATES
        if not hurts and route.state != "ok":
            # What we hold back ourselves is nobody's trouble, and whoever did so knows.
            self._turned_ns.pop(name, None)
            self._lasting.discard(name)
            return
        did, since_ns = self._turned_ns.get(name, (not hurts, now_ns))
        if did != hurts:
            since_ns = now_ns
            self._turned_ns[name] = (hurts, now_ns)
        if not hurts and now_ns - since_ns >= HEALS_NS:
            self._lasting.discard(name)
        elif hurts and route.onset_ns is None and now_ns - since_ns >= LASTS_NS:
            self._lasting.add(name)

    def update(self, now_ns: int) -> None:
        """Bring the rows in order, unless they have just moved."""
        if self._moved_ns is not None and now_ns - self._moved_ns < _STANDS_NS:
            return
        wanted = sorted(self.routes, key=self._place)
        if wanted != self.routes:
            self.routes, self._moved_ns = wanted, now_ns

    def _place(self, route: RouteBoard) -> tuple[bool, int, bool, int, str]:
        name, is_untold = route.info.name, route.onset_ns is None
        step = self._steps.get(name)
        if step is None or (step == 0 and is_untold):
            # Of what has lasted the state may change and the row shall not. What is not heard of
            # stands before what is well.
            return (name not in self._lasting, 0, True, route.state != "silent", name)
        return (False, -step, is_untold, RANK[route.state], name)
