"""When the same probe is tried again, and when its whole route holds back.

Rule 1. Retries are what the official clients do, made visible: the deliberate differences stand in
        probes/answers/README.md, "Where our retries differ"; a test holds them and the constants
        below to the official client. Nothing else in the program retries; every retry has its
        reason.
Rule 2. A 429 becomes a wait on this way, and each figure keeps its name:
        `retry_after_s`   what the server asked, in a header or its body (`answers.retry_after`,
                          `Answer`, `AttemptFinished`). More than a probe waits makes the answer not
                          retryable (`would_retry`, there too).
        `wait_s`          of the `RetryPlan`: when this probe goes again (`RetryPolicy.plan`). That
                          is what was asked, else `back_off_s`, which is our own. `Probe.run` waits.
        `cool_down_s`     for how long nobody of the route goes (`cool_down_s`). `Gate.settle` takes
                          it from the event, `Gate.cool_down` holds the route and says so.
        So a probe that was throttled waits for itself and at the gate: the longer wait counts.
"""

from random import Random
from typing import Final

from probes.answers.answer import Answer
from probes.answers.retry_after import LONGEST_WAIT_S
from probes.events import Outcome, RetryPlan

LONGEST_COOL_DOWN_S: Final = 3600.0
"""Servers ask for a day where a quota is spent: within the hour the route looks again."""
STALE_CONNECTION: Final = "stale_connection"
"""Reason of an attempt that a kept connection lost before a byte of the answer: most likely it was
closed while it lay idle. It is tried again at once, on a fresh connection."""
FIRST_BACK_OFF_S: Final = 0.5
"""Before the first retry; it doubles from one retry to the next."""
LONGEST_BACK_OFF_S: Final = 8.0
JITTER: Final = 0.25
"""The most of a back-off that is taken off at random: many probes do not come back as one."""


class RetryPolicy:
    """Plans the next attempt of a probe, or none."""

    def __init__(self, retries: int, random: Random) -> None:
        self._retries = retries
        self._random = random

    def plan(self, answer: Answer, number: int) -> RetryPlan | None:
        """Return when to try again, `number` being 1 for the first retry; None for not at all."""
        if number > self._retries or not answer.retryable:
            return None
        if answer.reason == STALE_CONNECTION:
            return RetryPlan(reason=STALE_CONNECTION, wait_s=0.0, number=number)
        insisted = answer.headers.get("x-should-retry", "").strip() == "true"
        retry_after_s = answer.retry_after_s or 0.0
        obeyed = 0 < retry_after_s <= LONGEST_WAIT_S
        return RetryPlan(
            reason="x-should-retry" if insisted else answer.reason or answer.outcome,
            wait_s=retry_after_s if obeyed else self._back_off_s(number),
            number=number,
        )

    def _back_off_s(self, number: int) -> float:
        """Return our own wait: 0.5 s doubling to 8 s, less up to a quarter at random.

        Unlike `probes.kit.back_off` by the number of the try, which is told with it, and never more
        than is said: a user waits for this one.
        """
        doubled_s: float = FIRST_BACK_OFF_S * 2.0 ** min(number - 1, 10)
        return min(doubled_s, LONGEST_BACK_OFF_S) * (1 - JITTER * self._random.random())


def cool_down_s(outcome: Outcome, retry_after_s: float | None) -> float | None:
    """Return how long the whole route holds back, in s; None where only this probe backs off.

    A throttled answer that asks for a wait cools the route down, and so does any answer that asks
    for more than a probe waits; at most an hour.
    """
    if retry_after_s is None or retry_after_s <= 0:
        return None
    if outcome == "throttled" or retry_after_s > LONGEST_WAIT_S:
        return min(retry_after_s, LONGEST_COOL_DOWN_S)
    return None
