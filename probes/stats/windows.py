"""Counters and samples by time, bounded for ever. All offsets are ns since the run's start.

Rule 1: slices are aligned to multiples of 10 s since the run's start, so charts do not shimmer.
Rule 2: a window is the open slice plus the last N closed ones (1m: 6, so 60 to 70 s).
Rule 3: what is written enters the slice of its own stamp, late or not, and nothing else.
Rule 4: a second after a slice has closed it is sealed: taken into its minute; a sealed minute is
taken into the run. So an hour is read from minutes, the run from whole minutes and a few slices,
and neither costs anything at the time of writing.
Rule 5: what comes later than that second goes to the slice, its minute and the run at once.
Rule 6: what has closed is packed, and copies of what is kept by time share it. Where something
comes late for a slice it is opened again, and packed once more.
"""

from collections.abc import Callable
from typing import Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar, get_args

from probes.kit.clock import NS_PER_S
from probes.kit.shared import Shared

SLICE_NS: Final = 10 * NS_PER_S
SLICES_A_MINUTE: Final = 6
GRACE_NS: Final = NS_PER_S
"""How long after its end a slice is sealed: nearly everything that belongs to it has come."""
_SLICES_KEPT: Final = 90
"""As many as 15 minutes reach back."""
_MINUTES_KEPT: Final = 60
_MOST_UNSEALED: Final = 30
"""Slices that may wait to be sealed. More wait only where time has jumped, as after a suspend."""
_BLOCK: Final = 10
"""Closed slices that are shared as one: a copy of a route has a thousand of them."""
_EMPTY_BLOCK: Final = Shared((None,) * _BLOCK)
WindowName: TypeAlias = Literal["1m", "5m", "15m", "1h", "run"]
WINDOWS: Final[tuple[WindowName, ...]] = get_args(WindowName)
"""From the shortest to the longest."""
_CLOSED: Final[dict[WindowName, tuple[int, int]]] = {
    "1m": (1, 6),
    "5m": (1, 30),
    "15m": (1, 90),
    "1h": (SLICES_A_MINUTE, 60),
}
"""Window → slices that close at once, and how many times that many it reaches back."""


class Absorbing(Protocol):
    """What slices are made of."""

    def absorb(self, other: Self) -> None:
        """Take everything `other` has."""
        ...

    def compact(self) -> int:
        """Become small, as nothing more is expected; return how many parts there were."""
        ...

    def pack(self) -> bytes:
        """Return what is known of it once it is compact, to the last digit.

        Raises:
            OverflowError: a number has more than 64 bits, as in a recording that was edited.
        """
        ...

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Return the same again."""
        ...


A = TypeVar("A", bound=Absorbing)


def slice_index(offset_ns: int) -> int:
    """Return the number of the slice that holds `offset_ns`; what is before the start is in 0."""
    return offset_ns // SLICE_NS if offset_ns > 0 else 0


def first_slice(window: WindowName, open_index: int) -> int:
    """Return the first slice of `window` while `open_index` is open; below 0 in a young run."""
    if window == "run":
        return 0
    width, closed = _CLOSED[window]
    return (open_index // width - closed) * width


def elapsed_s(window: WindowName, now_ns: int) -> float:
    """Return the seconds `window` truly covers at offset `now_ns`, at least one.

    Less than its name while the run is younger, up to a slice more while one is open.
    """
    begin_ns = max(0, first_slice(window, slice_index(now_ns))) * SLICE_NS
    return max(1.0, (now_ns - begin_ns) / NS_PER_S)


class Slices(Generic[A]):
    """The newest slices of one width; older ones are dropped as time goes on.

    What has closed is packed: a route has more than a thousand slices, of which a handful is open.
    What is written, is written to what `at` returns, before it is called for another slice; what
    `get` and `between` return of closed ones is made for who reads, and is nobody else's.
    """

    __slots__ = (
        "_blocks",
        "_kept",
        "_make",
        "_newest",
        "_open",
        "amended",
        "sealed",
        "unsealed",
    )

    def __init__(self, kept: int, make: type[A]) -> None:
        """Begin with none."""
        self._kept = kept
        self._make = make
        self._open: dict[int, A] = {}
        """Those that may still be written to."""
        self._blocks: dict[int, Shared] = {}
        """What has closed, by number of the block: of each slice what is packed of it, or None.
        Another one after each change, so that copies share them."""
        self._newest = 0
        self.sealed = 0
        """Every slice below it has been taken into what is wider."""
        self.unsealed: set[int] = set()
        """Slices with something in them that have not been."""
        self.amended: set[int] = set()
        """Sealed slices that something came for, too late: they are compacted once more."""

    @property
    def oldest(self) -> int:
        """Index below which nothing is kept."""
        return self._newest - self._kept

    def at(self, index: int) -> A:
        """Return the slice to write to; one that is too old to be kept is forgotten at once."""
        found = self._open.get(index)
        if found is not None:
            return found
        packed = self._packed(index)
        made = self._make() if packed is None else self._make.unpacked(packed)
        if index > self._newest:
            self._newest = index
            self._forget_old()
        if index >= self.oldest:
            self._open[index] = made
        return made

    def close(self, index: int) -> None:
        """Pack a slice that is compact, as nothing more is expected."""
        found = self._open.get(index)
        if found is None:
            return
        try:
            packed = found.pack()
        except OverflowError:
            return  # it stays as it is
        del self._open[index]
        number, place = divmod(index, _BLOCK)
        block = self._blocks.get(number, _EMPTY_BLOCK)
        self._blocks[number] = Shared((*block[:place], packed, *block[place + 1 :]))

    def get(self, index: int) -> A | None:
        """Return a slice if anything was written to it."""
        if index < self.oldest:
            return None
        found = self._open.get(index)
        if found is not None:
            return found
        packed = self._packed(index)
        return None if packed is None else self._make.unpacked(packed)

    def between(self, first: int, end: int) -> list[A]:
        """Return the slices that exist from `first` to before `end`."""
        begin = max(0, first, self.oldest)
        end = min(end, self._newest + 1)  # an edited recording may say that ages have passed
        found = (self.get(index) for index in range(begin, end))
        return [item for item in found if item is not None]

    def seal_next(self, end: int, wider: Callable[[int], A]) -> int:
        """Take the oldest unsealed slice before `end` into what is wider; where there is none,
        compact what came late. Return the size of what was done."""
        index = min(self.unsealed, default=end)
        if index >= end:
            size = 0
            for late in sorted(self.amended):
                if late in self._open:
                    size += self._open[late].compact()
                    self.close(late)
            self.amended.clear()
            return size
        self.unsealed.discard(index)
        self.sealed = index + 1
        item = self.at(index)
        size = item.compact()
        wider(index).absorb(item)
        self.close(index)
        return size

    def __len__(self) -> int:
        packed = {
            number * _BLOCK + place
            for number, block in self._blocks.items()
            for place, one in enumerate(block)
            if one is not None
        }
        return sum(index >= self.oldest for index in packed.union(self._open))

    def _packed(self, index: int) -> bytes | None:
        block = self._blocks.get(index // _BLOCK)
        found: bytes | None = None if block is None else block[index % _BLOCK]
        return found

    def _forget_old(self) -> None:
        oldest = self.oldest
        for stale in [number for number in self._blocks if (number + 1) * _BLOCK <= oldest]:
            del self._blocks[stale]
        for late in [index for index in self._open if index < oldest]:
            del self._open[late]


class SmallSlices(Slices[A]):
    """Slices that are made small as soon as the next one is begun: for what is the same then."""

    __slots__ = ()

    def at(self, index: int) -> A:
        """Return the slice to write to, and make those before it small when a new one opens."""
        if index > self._newest:
            self.close_before(index)
        return super().at(index)

    def close_before(self, index: int) -> None:
        """Make all slices before one small."""
        for before in [known for known in self._open if known < index]:
            self._open[before].compact()
            self.close(before)


class Windows(Generic[A]):
    """One kind of thing kept by 10 s, by minute and for the run."""

    __slots__ = ("_has_late", "_last", "_last_index", "_open", "minutes", "run", "slices")

    def __init__(self, make: type[A]) -> None:
        self.slices: Slices[A] = Slices(_SLICES_KEPT, make)
        self.minutes: Slices[A] = Slices(_MINUTES_KEPT, make)
        self.run = make()
        """Everything up to the last sealed minute, and what came too late for its own."""
        self._has_late = False
        """Something came for what was sealed, and has not been compacted since."""
        self._last_index = -1
        """The slice that was written to last, for what comes next belongs there too."""
        self._last: tuple[A, ...] = ()
        self._open = 0
        """The open slice when it was last read."""

    def at(self, offset_ns: int) -> tuple[A, ...]:
        """Return the places where something of this stamp is written: mostly its slice alone."""
        index = offset_ns // SLICE_NS if offset_ns > 0 else 0
        if index == self._last_index:
            return self._last
        return self._places(index)

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at offset `now_ns`; return its size, 0 when all is done."""
        end = slice_index(now_ns - GRACE_NS)
        end_minute = end // SLICES_A_MINUTE
        slices, minutes = self.slices, self.minutes
        if slices.sealed >= end and minutes.sealed >= end_minute and not self._has_late:
            return 0  # as at nearly every call
        done = self._seal_next(end)
        if not done:
            slices.sealed = max(slices.sealed, end)
            minutes.sealed = max(minutes.sealed, end_minute)
            self._has_late = False
        return done

    def pieces(self, first: int, end: int) -> list[A]:
        """Return what holds the slices from `first` to before `end`: minutes where whole ones are
        sealed, which have the same in fewer pieces."""
        begin_minute = -(-max(0, first) // SLICES_A_MINUTE)
        end_minute = min(end // SLICES_A_MINUTE, self.minutes.sealed)
        if begin_minute >= end_minute:
            return self.slices.between(first, end)
        return [
            *self.slices.between(first, begin_minute * SLICES_A_MINUTE),
            *self.minutes.between(begin_minute, end_minute),
            *self.slices.between(end_minute * SLICES_A_MINUTE, end),
        ]

    def _places(self, index: int) -> tuple[A, ...]:
        """Return where a slice is written to, and remember it where that may be done."""
        if index < self.slices.sealed or index < self.slices.oldest:
            return self._late(index)
        unsealed = self.slices.unsealed
        if unsealed and index - min(unsealed) > _MOST_UNSEALED:
            # Time has jumped. What is not sealed now would be dropped with the old slices.
            while self._seal_next(index):
                pass
        unsealed.add(index)
        if index < self._open - 1:
            self._changed()
            return (self.slices.at(index),)
        self._last_index, self._last = index, (self.slices.at(index),)
        return self._last

    def _opened(self, now_ns: int) -> int:
        """Return the slice that is open now that something is read.

        What is older than the slice before it may be remembered by who reads, so a write to it must
        be noticed: `_last` is forgotten.
        """
        index = slice_index(now_ns)
        if index != self._open:
            self._open, self._last_index = index, -1
        return index

    def _late(self, index: int) -> tuple[A, ...]:
        """Return all places of a slice that is sealed or was never kept."""
        places = [self.slices.at(index)]
        is_kept = self.slices.get(index) is not None
        self._has_late = True
        if is_kept:
            self.slices.amended.add(index)
        minute = index // SLICES_A_MINUTE
        is_sealed = minute < self.minutes.sealed
        if is_kept or is_sealed:
            places.append(self.minutes.at(minute))
            (self.minutes.amended if is_sealed else self.minutes.unsealed).add(minute)
        if is_sealed or not is_kept:
            places.append(self.run)
        self._changed()
        return tuple(places)

    def _seal_next(self, end: int) -> int:
        """Seal one slice before `end`, or else one minute: a minute only when all its slices are in
        it. Return the size of what was done."""
        done = self.slices.seal_next(end, self._minute_of) or self.minutes.seal_next(
            end // SLICES_A_MINUTE, lambda _minute: self.run
        )
        if self._last_index < self.slices.sealed:
            self._last_index = -1
        if self._has_late:
            self._changed()
        return done

    def _minute_of(self, index: int) -> A:
        minute = index // SLICES_A_MINUTE
        self.minutes.unsealed.add(minute)
        return self.minutes.at(minute)

    def _changed(self) -> None:
        """Forget what is remembered of closed slices."""


class Rolling(Generic[A]):
    """One kind of thing kept by 10 s, by minute and for the run, as in `Windows`, but that nobody
    has to seal it: what has closed is taken into what is wider when the next slice is written to.
    For what is seldom read, and then added up anew.
    """

    __slots__ = ("_last", "_last_index", "minutes", "run", "slices")

    def __init__(self, make: type[A]) -> None:
        self.slices: SmallSlices[A] = SmallSlices(_SLICES_KEPT, make)
        self.minutes: SmallSlices[A] = SmallSlices(_MINUTES_KEPT, make)
        self.run = make()
        """Everything up to the last minute that has closed."""
        self._last_index = -1
        """The newest slice, which alone is in no minute yet."""
        self._last: tuple[A, ...] = ()

    def at(self, offset_ns: int) -> tuple[A, ...]:
        """Return the places where something of this stamp is written: mostly its slice alone."""
        index = offset_ns // SLICE_NS if offset_ns > 0 else 0
        if index > self._last_index:
            self._roll(index)
        elif index < self._last_index:
            return self._late(index)
        return self._last

    def total(self, window: WindowName, now_ns: int) -> list[A]:
        """Return what holds `window` at offset `now_ns`, in pieces."""
        index = slice_index(now_ns)
        if window != "run" and _CLOSED[window][0] == 1:
            return self.since(first_slice(window, index), now_ns)
        minute = self._last_index // SLICES_A_MINUTE
        if window == "run":
            return [self.run, *self.minutes.between(minute, minute + 1), *self._last]
        first = first_slice(window, index) // SLICES_A_MINUTE
        return [*self.minutes.between(first, minute + 1), *(self._last if minute >= first else ())]

    def since(self, first: int, now_ns: int) -> list[A]:
        """Return the slices from `first` up to the one that is open at an offset."""
        return self.slices.between(first, slice_index(now_ns) + 1)

    def _roll(self, index: int) -> None:
        """Open a slice, and close the one before it."""
        before = self._last_index
        if before >= 0:
            minute = before // SLICES_A_MINUTE
            closed = self.slices.at(before)
            closed.compact()
            self.minutes.at(minute).absorb(closed)
            if index // SLICES_A_MINUTE > minute:
                self.minutes.at(minute).compact()
                self.run.absorb(self.minutes.at(minute))
                self.minutes.close_before(minute + 1)
        self._last_index, self._last = index, (self.slices.at(index),)

    def _late(self, index: int) -> tuple[A, ...]:
        """Return all places of a slice that has closed; one that is no longer kept has none that
        lasts, which `Slices.at` sees to."""
        minute = index // SLICES_A_MINUTE
        places = (self.slices.at(index), self.minutes.at(minute))
        return places if minute == self._last_index // SLICES_A_MINUTE else (*places, self.run)
