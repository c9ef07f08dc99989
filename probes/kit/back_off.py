"""How long one waits before another try of what failed.

Rule 1: each wait is twice the one before: what is back in a moment is met soon, and what is down
for a night is not asked in a hurry. Up to a longest, which is how late one may be when it is back.
Rule 2: where many lose the same thing at once, their waits are spread by chance, or they would all
come back at once, and lose it again.
Rule 3: what has worked begins anew from the first wait: waits are made where tries begin.
"""

from collections.abc import Callable, Iterator


def waits(
    first_s: float,
    longest_s: float,
    *,
    spread: float = 0.0,
    chance: Callable[[], float] = lambda: 0.5,
) -> Iterator[float]:
    """Give seconds without end, from `first_s` doubling to `longest_s`.

    Args:
        first_s: before the second try.
        longest_s: the most, but for the spread.
        spread: the share by which each may be shorter or longer.
        chance: gives what decides on that, from 0 to 1.
    """
    wait_s = min(first_s, longest_s)
    while True:
        yield wait_s * (1 - spread + 2 * spread * chance())
        wait_s = min(2 * wait_s, longest_s)
