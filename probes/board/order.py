"""The order of the rows: most users hurt first, and calm to the eye.

Rule 1. Routes that hurt come first: by the share of their probes that are not good now, then by
state, then by name. What hangs is not good.
Rule 2. All others follow by name, whatever they measure: a healthy screen never moves. To these
belong a route of which it may yet be chance that it is slow, and one that misses a goal, without a
verdict, to the hurt of a few: a restless route lies now above its goal and now below.
Rule 3. A share counts in steps, and a step is left only where the share lies well beyond it, or
chance would swap two rows that suffer alike.
Rule 4. For five seconds after the rows have moved they stand, so that an eye can follow them.
"""

from typing import Final

from probes.board.route import UNANSWERED, RouteBoard
from probes.board.states import RANK
from probes.kit.clock import NS_PER_S

_STEPS: Final = 5
_LEAVES: Final = 0.75
"""Of a step, from its middle: a share of thirty probes scatters by a twelfth."""
_LEAVES_UNTOLD: Final = 1.25
"""The same where there is no verdict: a quarter of the users must be hurt by a missed goal before a
row moves for it. A route whose times scatter by ×2.5 hurts a tenth of them, now more, now less."""
_STANDS_NS: Final = 5 * NS_PER_S


class RowOrder:
    """The routes of a run, in the order of their rows."""

    def __init__(self) -> None:
        self.routes: list[RouteBoard] = []
        self._steps: dict[str, int] = {}
        """Step of the share of each route that hurts."""
        self._moved_ns: int | None = None

    def add(self, route: RouteBoard) -> None:
        """Take a route in its place."""
        self.routes.append(route)
        self.routes.sort(key=self._place)

    def note(self, route: RouteBoard, hurt_share: float | None) -> None:
        """Note how much a route hurts, which was judged anew: the share of its probes that are not
        good; None where none is known."""
        name = route.info.name
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

    def update(self, now_ns: int) -> None:
        """Bring the rows in order, unless they have just moved."""
        if self._moved_ns is not None and now_ns - self._moved_ns < _STANDS_NS:
            return
        wanted = sorted(self.routes, key=self._place)
        if wanted != self.routes:
            self.routes, self._moved_ns = wanted, now_ns

    def _place(self, route: RouteBoard) -> tuple[bool, int, int, str]:
        name = route.info.name
        step = self._steps.get(name)
        if step is None or (step == 0 and route.onset_ns is None):
            return (True, 0, 0, name)
        return (False, -step, RANK[route.state], name)
