"""What is no longer shown is given back: soon, in small passes between frames, and all of it.

Rule 1: a pass takes as long as there are objects to look at. So what has been looked through and
stays is frozen, and looked at no more: with 400 routes a pass over all holds up keys and frames for
a third of a second, and what they keep is renewed within minutes.
Rule 2: what is frozen and then given up in a circle is not found. So nothing is frozen while
something is shown that somebody may close, or just was: a screen over the first one, a board of the
past. All that lives beside those has no circles that are given up.
Rule 3: should it all the same, memory grows, and when twice as much is in use, everything is looked
at anew.

Known before Textual is imported, for its import is the first thing that no pass should interrupt.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.style import Style
    from textual._styles_cache import StylesCache
    from textual.color import Color

_THRESHOLDS: Final = (200_000, 50, 50)
"""Allocations before the collector would run by itself: a net, should the passes not come."""
_READING_THRESHOLD: Final = 50_000
"""Allocations between two passes while a recording is read."""
_FULL_PASS_EVERY: Final = 60
"""Passes: what is old is looked through once a minute at least."""
_LEAST_GROWN: Final = 30_000
"""Blocks of memory, some 2 MB: when so many more are in use than after the last full pass, the next
is due. What a closed screen leaves lives on in the memory's gaps otherwise, and a pass that frees a
minute of it holds up the frames for a quarter of a second."""
_LEAST_GROWN_SHARE: Final = 10
"""The same as a part of all that are in use: with many routes a full pass has far to go."""
_FULL_PASS_APART: Final = 5
"""Passes between two full ones at least, whatever grows, and between two looks at that: a look goes
through all pools of memory."""
_MANY_OLD: Final = 10_000
"""Objects that have become old since what stays was frozen: the hundredth part of a second to look
through, so that it is done before there are more."""
_STAYS_AFTER: Final = 5
"""Passes since something could be closed: who prepared steps into the past may be at it still."""
_ALL_AGAIN: Final = 2
"""Times the blocks that were in use when everything was looked at last: a board of 400 routes grows
so far twice or three times in its first hour, and then no more."""


@contextmanager
def no_passes_at_the_start() -> Iterator[None]:
    """Keep the collector from running by itself, which it is left to do again afterwards.

    A program that is being loaded makes half a million objects and hardly any garbage: the passes
    over them are a tenth of the time to the first frame.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def passes_seldom() -> Iterator[None]:
    """Let the collector run so seldom that reading a recording does not pay for it.

    Events hold no circles: passes find nothing, and at the usual 700 allocations they take a
    quarter of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_READING_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


_COLOURS_KEPT: Final = 256
"""Pairs of grounds: more than a theme has."""


def hold_no_widgets() -> None:
    """Keep Textual from holding on to the widgets it has drawn last.

    `StylesCache.get_inner_outer` remembers its last 1024 answers together with whom it answered,
    and each of those holds all lines of a widget that may be long closed: a look at the help costs
    0.1 MB, one at the palette 0.17, until some 25 MB are held. The answer depends on two colours
    alone.
    """
    from textual._styles_cache import StylesCache

    asked: Any = StylesCache.get_inner_outer
    answer = getattr(asked, "__wrapped__", None)
    if answer is None:
        return  # it has been done before

    @lru_cache(_COLOURS_KEPT)
    def of_colours(base: "Color", background: "Color") -> Any:
        return answer(StylesCache, base, background)

    def get_inner_outer(_: "StylesCache", base: "Color", background: "Color") -> Any:
        return of_colours(base, background)

    asked.cache_clear()
    StylesCache.get_inner_outer = get_inner_outer  # type: ignore[method-assign, assignment]


def hold_no_strips() -> None:
    """Keep Textual's strips from holding on to themselves.

    A strip remembers what it was cropped to and cut into, and where that is all of it, it remembers
    itself: a circle, with seven more caches in it, which only a full pass frees. A screen at work
    makes 2,000 of them a minute.
    """
    from textual.strip import Strip

    crop_extend, divide = Strip.crop_extend, Strip.divide
    if crop_extend.__module__ == __name__:
        return  # it has been done before

    def cropped(strip: Strip, start: int, end: int, style: "Style | None") -> Strip:
        if start <= 0 and end == strip.cell_length:
            return strip
        return crop_extend(strip, start, end, style)

    def divided(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
        cuts = [*cuts]
        length = strip.cell_length
        if [cut for cut in cuts if cut <= length] == [length]:
            return [strip]
        return divide(strip, cuts)

    Strip.crop_extend = cropped  # type: ignore[method-assign, assignment]
    Strip.divide = divided  # type: ignore[method-assign, assignment]


@cache
def _malloc_trim() -> Callable[[int], object]:
    """Return what makes the C library give free pages back; of glibc, others do so by themselves.

    Going back in a run makes and drops boards and checkpoints, and glibc keeps what they leave:
    80 MB that nobody uses, in the holes of several heaps.
    """
    import ctypes  # late: a hundredth of a second that the first frame need not wait for

    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return lambda _: None
    return trim


class Collector:
    """Owns the process's collector while the screen runs.

    A full pass over a screen's objects takes about a tenth of a second, so what lives as long as
    the screen is frozen out of it, and the young are swept at each call of `sweep`.
    """

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None
        self._passes = self._full_pass = 0
        self._stayed = 0
        """Passes since something was shown that somebody may close."""
        self._kept_blocks = 0
        """In use after the last full pass."""
        self._all_blocks = 0
        """In use when everything had been looked at."""

    def start(self) -> None:
        """Take over: freeze what is alive and keep the collector from running by itself."""
        hold_no_widgets()
        hold_no_strips()
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        self._kept_blocks = self._all_blocks = sys.getallocatedblocks()

    def sweep(self, *, stays: bool = False) -> None:
        """Run one bounded pass; call it about once a second, between frames.

        What is old is passed over where that is due, and frozen where all of it `stays`: nothing is
        shown that somebody may close.
        """
        self._passes += 1
        self._stayed = self._stayed + 1 if stays else 0
        if self._passes % _FULL_PASS_APART == 0:
            _malloc_trim()(0)
        freezes = self._stayed > _STAYS_AFTER and _old() >= _MANY_OLD
        since = self._passes - self._full_pass
        is_due = since >= _FULL_PASS_EVERY or (since % _FULL_PASS_APART == 0 and self._has_grown())
        if not is_due and not freezes:
            gc.collect(1)
            return
        is_all = freezes and sys.getallocatedblocks() > self._all_blocks * _ALL_AGAIN
        if is_all:
            gc.unfreeze()
        gc.collect(2)
        self._full_pass = self._passes
        self._kept_blocks = sys.getallocatedblocks()
        if is_all:
            self._all_blocks = self._kept_blocks
        if freezes:
            gc.freeze()

    def _has_grown(self) -> bool:
        kept = self._kept_blocks
        return sys.getallocatedblocks() - kept > max(_LEAST_GROWN, kept // _LEAST_GROWN_SHARE)

    def stop(self) -> None:
        """Give the collector back as it was."""
        if self._before is not None:
            gc.unfreeze()
            gc.set_threshold(*self._before)
            self._before = None


def _old() -> int:
    """Return how many objects a full pass has to look at, but for the youngest."""
    return len(gc.get_objects(generation=2))
