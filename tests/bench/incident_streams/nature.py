"""How a route behaves while it is well: its figures, and the noise that is no incident.

Durations are seconds, shares 0 to 1. Every noise has a field of its own, all off by default but the
spread of the wait, so that a run can have one of them or all.
"""

from dataclasses import dataclass

from probes.events import RouteInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """One route as it is while nothing is wrong with it."""

    name: str = "alpha"
    host: str = "one.example"
    tags: tuple[str, ...] = ()
    place: str = ""
    """Of several places, the one that it is probed from: its name ends with it."""
    workers: int = 4
    interval: float = 4.0
    """From one start to the next of a worker; the route's pace is `interval / workers`."""
    max_tokens: int = 64
    input_tokens: int = 24
    retries: int = 2
    goal_ttft_s: float = 1.0
    goal_e2e_s: float | None = 3.0
    """None where answers may be longer than 200 tokens: a route has no goal of its own then."""
    evidence: bool = True
    first_token_timeout_s: float = 60.0
    stall_timeout_s: float = 30.0

    wait_s: float = 0.3
    """Median of sent → first token, beside the round trip."""
    sigma: float = 0.3
    """Of the wait's logarithm."""
    tail: float = 0.0
    """Share of answers whose wait is longer by up to `tail_factor`, evenly on the logarithm: models
    that think before they speak."""
    tail_factor: float = 12.0
    token_s: float = 0.014
    token_sigma: float = 0.06
    """Of the time per token from one answer to the next, on its logarithm."""
    token_wander_sd: float = 0.0
    """As `wander_sd`, of the time per token."""
    tokens: float = 26.0
    tokens_sigma: float = 0.12
    per_read: int = 2
    """Tokens that one read brings."""
    is_streamed: bool = True
    """Else answers come whole, as they were asked for."""
    headers_early: bool = False
    """The head of the answer comes before the model was asked, not with the first token."""

    rtt_s: float = 0.02
    rtt_sigma: float = 0.12
    rtt_spikes: float = 0.0
    """Share of attempts whose way takes three times as long, as over Wi-Fi."""
    loss: float = 0.0
    """Share of attempts that lose a segment."""
    late_acks: float = 0.0
    """Share of requests that the server acknowledges 40 ms late, as kernels do that hope to send
    the acknowledgement along with an answer."""
    is_tls: bool = True
    tells_rtt: bool = True
    """The kernel tells the path's figures."""
    keep_alive_s: float = 75.0
    """How long a connection may lie idle; 0 connects anew for every attempt."""
    cached_share: float = 0.0
    """Of the input, by the server's word."""

    second_mode: float = 0.0
    """Share of answers that take twice as long to begin: the prompt was not in the cache."""
    wander_sd: float = 0.0
    """Of a slow wandering of the wait's logarithm, which forgets itself in `wander_s`."""
    wander_s: float = 1200.0
    swing: float = 0.0
    """Of the wait over a day: 0.22 is ± 22 %."""
    gusts: bool = False
    """3 to 6 s of × 2.5, one in ten minutes."""
    outliers: float = 0.0
    """Share of answers that take some 4.5 times as long."""
    errors: float = 0.0
    """Share of attempts that end with a 500."""
    throttles: float = 0.0
    """The same with a 429."""
    stalls: float = 0.0
    """Share of streams that pause for 1 to 3 s."""
    truncations: float = 0.0
    expects: bool = False
    """Its answers are held against what is expected of them."""
    wrongs: float = 0.0
    """Share of them that are wrong at any time."""
    stale: float = 0.0
    """Share of attempts that find their kept connection closed."""
    idle_load_s: float = 0.0
    """What the first answer takes longer after `idle_after_s` without a request; the server says
    that it loaded its model."""
    idle_after_s: float = 300.0
    model: str = "model-1"
    fingerprints: tuple[str, ...] = ("fp_1",)
    """One of them at random in each answer."""

    @property
    def info(self) -> RouteInfo:
        """What a `hello` says of it."""
        return RouteInfo(
            name=self.name,
            base_url=f"{'https' if self.is_tls else 'http'}://{self.host}/v1",
            model=self.model,
            dialect="chat",
            concurrency=self.workers,
            interval=self.interval,
            max_tokens=self.max_tokens,
            prompt_tokens=self.input_tokens,
            stall_after=1.0,
            goal_ttft_s=self.goal_ttft_s,
            goal_e2e_s=self.goal_e2e_s,
            retries=self.retries,
            tags=self.tags,
            place=self.place,
            streamed=self.is_streamed,
            evidence=self.evidence,
            first_token_timeout_s=self.first_token_timeout_s,
        )
