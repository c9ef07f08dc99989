"""What a provider lets a key do: concurrency, requests and tokens per minute, and their headers."""

import math
from dataclasses import dataclass
from typing import Final

from probes.kit.clock import seconds
from probes.simulator.scenario import Limits

Headers = tuple[tuple[str, str], ...]

_MINUTE_S: Final = 60.0


class TokenBucket:
    """A bucket that is full at first and refills evenly."""

    __slots__ = ("_at_ns", "_gain_per_s", "_level", "capacity", "per_minute")

    def __init__(
        self, per_minute: float, now_ns: int, *, burst_s: float = _MINUTE_S, others: float = 0.0
    ) -> None:
        """Start full at `now_ns`: what flows in `burst_s` seconds is in it, and one at least.

        `others` is the share of the flow that somebody else uses; more than 1 empties it.
        """
        self._size(per_minute, burst_s, others)
        self._level = self.capacity
        self._at_ns = now_ns

    def _size(self, per_minute: float, burst_s: float, others: float) -> None:
        self.per_minute = per_minute
        self.capacity = max(1.0, per_minute * burst_s / _MINUTE_S)
        self._gain_per_s = per_minute * (1.0 - others) / _MINUTE_S

    def level(self, now_ns: int) -> float:
        """Return what is in it now."""
        gained = seconds(now_ns - self._at_ns) * self._gain_per_s
        return min(self.capacity, max(0.0, self._level + gained))

    def retune(
        self, per_minute: float, now_ns: int, *, burst_s: float = _MINUTE_S, others: float = 0.0
    ) -> None:
        """Change size and rate; what is in it stays, as far as it fits."""
        level = self.level(now_ns)
        self._size(per_minute, burst_s, others)
        self._level, self._at_ns = min(self.capacity, level), now_ns

    def take(self, amount: float, now_ns: int) -> None:
        """Take `amount`, which must be in it."""
        self._level, self._at_ns = self.level(now_ns) - amount, now_ns

    def wait_s(self, amount: float, now_ns: int) -> float | None:
        """Return the seconds until it holds `amount`, if others leave it; None if it never can."""
        if amount > self.capacity:
            return None
        missing = max(0.0, amount - self.level(now_ns))
        gain_per_s = self._gain_per_s if self._gain_per_s > 0.0 else self.per_minute / _MINUTE_S
        return missing / gain_per_s


@dataclass(frozen=True, slots=True)
class OverLimit:
    """Why a request is not let in."""

    kind: str
    """`concurrency`, `requests` or `tokens`."""
    message: str
    wait_s: float | None
    """Seconds to wait; None where waiting does not help or is not known."""
    hopeless: bool = False
    """The request alone is larger than the limit."""


class LimitGate:
    """The limits of one model, with what is left of them. In flight is counted by its owner."""

    def __init__(self, now_ns: int) -> None:
        """Start with full buckets."""
        self._limits = Limits()
        self._requests = TokenBucket(0.0, now_ns)
        self._tokens = TokenBucket(0.0, now_ns)

    def retune(self, limits: Limits, now_ns: int) -> None:
        """Follow the timeline: a limit that is new starts full."""
        if limits == self._limits:
            return
        self._requests = _retuned(self._requests, limits.requests_per_min, limits, now_ns)
        self._tokens = _retuned(self._tokens, limits.tokens_per_min, limits, now_ns)
        self._limits = limits

    def enter(self, tokens: int, in_flight: int, now_ns: int) -> OverLimit | None:
        """Charge a request of `tokens` (prompt and cap), or say why not and charge nothing."""
        verdict = (
            self._over_concurrency(in_flight)
            or _short("requests", self._requests, 1, now_ns)
            or _short("tokens", self._tokens, tokens, now_ns)
        )
        if verdict is None:
            _charge(self._requests, 1, now_ns)
            _charge(self._tokens, tokens, now_ns)
        return verdict

    def _over_concurrency(self, in_flight: int) -> OverLimit | None:
        allowed = self._limits.concurrency
        if not allowed or in_flight < allowed:
            return None
        message = f"Rate limit reached: {allowed} concurrent requests. Please try again later."
        return OverLimit("concurrency", message, self._limits.retry_after_s or None)

    def headers(self, in_flight: int, now_ns: int) -> Headers:
        """Return the `x-ratelimit-*` headers of the limits that exist, in OpenAI's form."""
        if not self._limits.sends_headers:
            return ()
        found: list[tuple[str, str]] = []
        if self._limits.concurrency:
            left = max(0, self._limits.concurrency - in_flight)
            found.append(("x-ratelimit-limit-concurrency", str(self._limits.concurrency)))
            found.append(("x-ratelimit-remaining-concurrency", str(left)))
        found.extend(_bucket_headers("requests", self._requests, now_ns))
        found.extend(_bucket_headers("tokens", self._tokens, now_ns))
        return tuple(found)


def _retuned(bucket: TokenBucket, per_minute: float, limits: Limits, now_ns: int) -> TokenBucket:
    burst_s, others = limits.burst_s, limits.others_share
    if not bucket.per_minute:
        return TokenBucket(per_minute, now_ns, burst_s=burst_s, others=others)
    bucket.retune(per_minute, now_ns, burst_s=burst_s, others=others)
    return bucket


def _short(kind: str, bucket: TokenBucket, amount: float, now_ns: int) -> OverLimit | None:
    if not bucket.per_minute:
        return None
    wait_s = bucket.wait_s(amount, now_ns)
    if wait_s is None:
        message = (
            f"Request too large: limit {bucket.per_minute:g} {kind} per min, asked {amount:g}."
        )
        return OverLimit(kind, message, None, hopeless=True)
    if wait_s <= 0.0:
        return None
    limit = f"{kind} per min: limit {bucket.per_minute:g}, requested {amount:g}"
    message = f"Rate limit reached on {limit}. Please try again in {format_reset(wait_s)}."
    return OverLimit(kind, message, wait_s)


def _charge(bucket: TokenBucket, amount: float, now_ns: int) -> None:
    if bucket.per_minute:
        bucket.take(amount, now_ns)


def _bucket_headers(kind: str, bucket: TokenBucket, now_ns: int) -> Headers:
    if not bucket.per_minute:
        return ()
    full_in_s = bucket.wait_s(bucket.capacity, now_ns) or 0.0
    return (
        (f"x-ratelimit-limit-{kind}", f"{bucket.per_minute:.0f}"),
        (f"x-ratelimit-remaining-{kind}", str(math.floor(bucket.level(now_ns)))),
        (f"x-ratelimit-reset-{kind}", format_reset(full_in_s)),
    )


def format_reset(duration_s: float) -> str:
    """Return seconds in the form of OpenAI's reset headers: `12ms`, `1s`, `7.66s`, `6m0s`."""
    milliseconds = math.ceil(duration_s * 1000 - 1e-6)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text


def retry_headers(wait_s: float) -> Headers:
    """Return `retry-after` (whole seconds, RFC 9110) and `retry-after-ms`, both rounded up."""
    milliseconds = math.ceil(wait_s * 1000 - 1e-6)
    return (
        ("retry-after", str(math.ceil(milliseconds / 1000))),
        ("retry-after-ms", str(milliseconds)),
    )
