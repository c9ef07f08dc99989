"""Whether a refused request is worth another try, by what the server said of it.

How often and after what wait is the policy's to say (`probes.engine.retry`, which tells the whole
way of a 429).
"""

from collections.abc import Mapping
from typing import Final

from probes.events import Verdict

LONGEST_WAIT_S: Final = 120.0
"""A longer Retry-After is not waited for: the probe gives up and the route cools down."""


def would_retry(verdict: Verdict, headers: Mapping[str, str], retry_after_s: float | None) -> bool:
    """Return whether a refused request would be tried again, were there retries left.

    The order is that of the official clients: a wait above `LONGEST_WAIT_S` ends it, then
    `x-should-retry` is obeyed literally, then the status decides. Money is never retried.
    """
    if verdict.reason == "quota" or (retry_after_s is not None and retry_after_s > LONGEST_WAIT_S):
        return False
    told = headers.get("x-should-retry", "").strip()
    if told in ("true", "false"):
        return told == "true"
    return verdict.retryable
