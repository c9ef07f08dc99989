"""Streams for the tests of the history: a run whose probes end when a test says so."""

from collections.abc import Iterable
from typing import Any

from board_streams import route_info

from probes.events import (
    AttemptFinished,
    Diagnosis,
    Event,
    Health,
    Hello,
    ProbeFinished,
    RouteInfo,
    StampLadder,
    Tick,
)

S = 1_000_000_000
DAY_S = 86_400
NOON_S = 1_790_000_000 // DAY_S * DAY_S + DAY_S // 2
"""Some day at 12:00 UTC."""


class Run:
    """A run that began at a wall time; stamps are of a clock of its own."""

    def __init__(
        self,
        *routes: RouteInfo,
        began_s: float = NOON_S,
        life: str = "life-1",
        place: str = "",
        **changes: Any,
    ) -> None:
        self.began_s = began_s
        self.place = place
        self.events: list[Event] = [
            Hello(
                at_ns=S,
                wall_ns=round(began_s * S),
                engine="1",
                version="0",
                schema=1,
                routes=routes or (route_info("chat"),),
                life=life,
                place=place,
                **changes,
            )
        ]

    def at(self, after_s: float) -> int:
        """Return the stamp so many seconds after the beginning."""
        return S + round(after_s * S)

    def tick(self, after_s: float, ahead_s: float = 0.0) -> None:
        """Tell the wall time, which may have been set ahead."""
        wall_ns = round((self.began_s + after_s + ahead_s) * S)
        self.events.append(
            Tick(
                at_ns=self.at(after_s),
                wall_ns=wall_ns,
                health=Health(),
                routes=(),
                place=self.place,
            )
        )

    def probe(
        self,
        after_s: float,
        *,
        route: str = "chat",
        ttft_s: float = 0.5,
        e2e_s: float = 1.0,
        outcome: Any = "ok",
        cohort: str = "64/256",
        **changes: Any,
    ) -> None:
        """Let a probe end that took one attempt."""
        end = self.at(after_s)
        began, is_ok = end - round(e2e_s * S), outcome == "ok"
        first = began + round(ttft_s * S)
        steps = {"first_token": first, "last_token": end, "done": end} if is_ok else {}
        values: dict[str, Any] = {"input_tokens": 20, "output_tokens": 11, "cost_usd": 0.001}
        values |= {"token_source": "usage", "chunks": 11, "cached_tokens": 5}
        if not is_ok:
            values = {}
        flagged = changes.pop("flagged", "")
        name = f"1.{len(self.events)}"
        self.events.append(
            AttemptFinished(
                at_ns=end,
                route=route,
                probe=name,
                attempt=changes.pop("attempt", 0),
                outcome=outcome,
                cohort=cohort,
                flagged=flagged,
                stamps_ns=StampLadder(started=began, ended=end, **steps),
                **(values | changes),
            )
        )
        self.events.append(
            ProbeFinished(
                at_ns=end,
                route=route,
                probe=name,
                outcome=outcome,
                attempts=1,
                started_ns=began,
                scheduled_ns=began,
                first_token_ns=first if is_ok else None,
                done_ns=end if is_ok else None,
                cohort=cohort,
                flagged=flagged,
            )
        )

    def diagnosis(self, after_s: float, state: Any, since_s: float, **changes: Any) -> None:
        """Let a word of an incident be told."""
        values: dict[str, Any] = {"id": "1-1", "cause": "provider_queueing", "routes": ("chat",)}
        self.events.append(
            Diagnosis(
                at_ns=self.at(after_s),
                state=state,
                since_ns=self.at(since_s),
                **(values | changes),
            )
        )


def probed(seconds: Iterable[float], **changes: Any) -> Run:
    """Return a run in which a probe ended at each of these seconds."""
    run = Run()
    for second in seconds:
        run.probe(second, **changes)
    return run
