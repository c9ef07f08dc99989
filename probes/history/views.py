"""What `llmtop history` and its screen show: frozen records, in JSON as they stand here."""

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen record."""


class Spread(msgspec.Struct, frozen=True):
    """Two percentiles of a stretch of time, of the union of all that was kept of it."""

    p50: float | None
    p95: float | None
    n: int
    """Samples behind them."""


class StretchView(View, frozen=True, kw_only=True):
    """A day, an hour of the day, or all of it, of one route."""

    begins_s: float
    """Unix time; of an hour of the day 0."""
    label: str
    """`2026-10-14`; of an hour of the day `14`; of all of it empty."""
    probes: int
    """Finished and not cancelled by us."""
    ok: int
    attempts: int
    throttled: int
    """429s."""
    retries: int
    outcomes: dict[str, int]
    """Attempts by outcome, those that there were."""
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    usd: float
    mean_input: float | None
    """Input tokens of an attempt, on average; None where nobody counted them."""
    ttft_s: Spread
    """Felt, of the cohort that most was asked of; as are the two below."""
    e2e_s: Spread
    tokens_per_s: float | None
    """Median over streams."""
    incidents: int = 0
    """That began in it, of those that were named."""


class JumpView(View, frozen=True, kw_only=True):
    """A day from which on prompts are counted as another size than before."""

    day: str
    """The first of the new level."""
    begins_s: float
    before: float
    """Median of the daily means before it, in tokens."""
    after: float
    days_before: int
    days_after: int
    """Days that show it on each side."""

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after / self.before


class SeenView(View, frozen=True, kw_only=True):
    """Incidents of one fingerprint: the same cause, route and scope."""

    cause: str
    name: str
    """The route's, as it is called at every place."""
    scope: str
    """`from eu`, `from everywhere`; empty where one place is all there is."""
    times: int
    first_s: float
    last_s: float
    """Onsets of the first and of the last, Unix time."""
    typical_s: float | None
    """Median of how long they took; None where that is known of none."""
    text: str
    """Of the last one; may hold a server's words: hostile."""


class RouteHistoryView(View, frozen=True, kw_only=True):
    """One route over some weeks."""

    route: str
    """Its whole name."""
    name: str
    place: str
    base_url: str
    model: str
    cohort: str
    """The one that percentiles are of."""
    cohort_share: float
    """Of the probes, how many were of it."""
    whole: StretchView
    days: tuple[StretchView, ...]
    """Those on which something was probed, in order; where the view is by week, the weeks, each
    under its Monday."""
    hours: tuple[StretchView, ...]
    """The same by hour of the day, local time."""
    jumps: tuple[JumpView, ...]
    """Of the size of its prompts: the weekly check."""
    seen: tuple[SeenView, ...]
    """Its incidents, those that came most often first."""


class HistoryView(View, frozen=True, kw_only=True):
    """What the history says of some routes since some time."""

    begins_s: float
    ends_s: float
    zone: str
    """Whose days and hours they are, as this machine calls its time zone."""
    by_week: bool
    """`days` are weeks: so far back there are too many days to look at."""
    routes: tuple[RouteHistoryView, ...]
    """In the order of their names."""
