"""Fleets of routes on a stage: any number, any names, everything wrong, whole screens as text."""

import unicodedata
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final, Literal, TypeAlias, get_args

import made
from changed import replace
from fakes import FakeBoard, FakeClock, FakeSession, config
from made_comparison import FakeComparisons
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip

from probes.board.views import (
    PHASES,
    CohortView,
    FeltColumn,
    FeltFigure,
    Figure,
    Happening,
    HappeningKind,
    HeatSlice,
    IncidentView,
    KnobComparison,
    KnobEffect,
    PhaseRow,
    PhaseSlice,
    ProbeView,
    RequestView,
    RoutePage,
    RouteState,
    RouteView,
    Snapshot,
    UsualView,
    WindowName,
)
from probes.events import (
    Advice,
    AttemptFinished,
    Cause,
    Diagnosis,
    Evidence,
    ProbeFinished,
    RetryPlan,
    StampLadder,
)
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WINDOWS
from tui.app import LlmtopApp
from tui.screens.cockpit import CockpitState

Naming: TypeAlias = Literal["plain", "long", "wide"]

_STATES: Final[tuple[RouteState, ...]] = get_args(RouteState)
_CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
_KINDS: Final[tuple[HappeningKind, ...]] = get_args(HappeningKind)
_LONG: Final = "-of-the-team-that-looks-after-the-summaries-of-support-tickets-in-eu-central-1"
_WIDE: Final = "漢字路線-日本語-e\u0301\u0301te\u0301-🚀🚀-東京リージョン-모델"
_TAILS: Final[dict[Naming, str]] = {"plain": "", "long": _LONG, "wide": _WIDE}
SAID: Final = "The engine is overloaded, try again later: " + made.HOSTILE
"""What a server says."""
TREND: Final = made.trend(0.5, 2.4)


def name_of(number: int, naming: Naming) -> str:
    """Return a route's name; the first cells tell it from all others."""
    return f"r{number:03d}x{_TAILS[naming]}"


def fleet(count: int, naming: Naming = "plain") -> tuple[RouteView, ...]:
    """Return routes in all states, worst first, each with something to say."""
    states = sorted(
        (state for state, _ in zip(cycle(_STATES), range(count), strict=False)), key=_STATES.index
    )
    return tuple(_row(number, state, naming) for number, state in enumerate(states))


def _row(number: int, state: RouteState, naming: Naming) -> RouteView:
    severe = _STATES.index(state) < _STATES.index("changed")
    ttft = 3.1 if severe else 0.4
    return made.route(
        name_of(number, naming),
        state,
        ttft,
        model=f"m{number:03d}x{_TAILS[naming] or '-70B'}",
        base_url=f"https://api{number % 7}.example.test/v1",
        since_s=17.0 * (number + 1),
        since_ns=made.NOW_NS - 17 * (number + 1) * NS_PER_S,
        said=f'503 "{SAID}"' if severe else "",
        why="refuses our key" if number % 5 == 0 else "",
        hurt_share=0.4 if severe else 0.0,
        stalled_share=0.18 if state == "stalling" else 0.0,
        throttled_per_min=1234.5 if state == "throttled" else 0.0,
        cool_down_s=1.4 if state == "throttled" else None,
        usual=UsualView(0.19, 0.25, 1.1, 1.9, 51.0, 480),
        trend=TREND,
        held=("budget",) if state == "held" else (),
        overdue=state == "hanging",
        streamed=number % 11 != 10,
        observer_busy=number % 13 == 12,
        ttft_p99=Figure() if severe else made.figure(ttft * 1.2, needed=100),
    )


def incidents(rows: Sequence[RouteView]) -> tuple[IncidentView, ...]:
    """Return one of each cause, of one route, of two, of many."""
    hurt = [row for row in rows if row.state not in ("ok", "held", "paused", "starting")]
    return tuple(
        IncidentView(
            Diagnosis(
                at_ns=made.NOW_NS,
                id=f"e1-{at}",
                state="perhaps" if at % 4 == 3 else "named",
                cause=_CAUSES[at % len(_CAUSES)],
                routes=tuple(one.name for one in (rows[:5] if at == 1 else (row,))),
                since_ns=row.since_ns or 0,
                size=3.6,
                evidence=(
                    Evidence(figure="failed_share", now=0.6, usual=0.0, n_now=41, unit="share"),
                    Evidence(figure="ttft", now=2.6, usual=0.73, n_now=103, n_usual=240),
                ),
                against=(Evidence(figure="rtt", now=0.018, usual=0.018, n_now=103),),
                advice=Advice(act="move", route=rows[-1].name),
            ),
            row.state,
            row.said,
        )
        for at, row in enumerate(hurt)
    )


def happenings(rows: Sequence[RouteView]) -> tuple[Happening, ...]:
    """Return three hundred of all kinds."""
    comparison = KnobComparison("ttft_p95", 0.35, 1.31, 112, 117, "worse", 0.001)
    share = KnobComparison("throttled_share", 0.0, 0.31, 112, 117, "worse", 0.001)
    told: dict[HappeningKind, str] = {
        **dict.fromkeys(("onset", "cause"), f'provider is down · 12 of 12: 503 "{SAID}"'),
        "knob": "you: CONC 3→6",
        "mark": f"a note on {rows[0].name}",
        **dict.fromkeys(("notice", "fault"), f"the newest notice: {SAID}"),
    }
    made_up = []
    for at in range(300):
        kind, row = _KINDS[at % len(_KINDS)], rows[at % len(rows)]
        made_up.append(
            Happening(
                at_ns=made.NOW_NS - at * 3 * NS_PER_S,
                kind=kind,
                routes=(row.name,),
                state=row.state,
                text=told.get(kind, f"429 ×14 in 12 s on {row.name}"),
                count=1 + at % 3 * 20,
                until_ns=made.NOW_NS if at % 3 else None,
                effect=KnobEffect((comparison, share), "worse") if kind == "knob" else None,
            )
        )
    return tuple(made_up)


def page() -> RoutePage:
    """Return all that a route's page shows: a step in its time, 200 probes, every window."""
    starts = [made.NOW_NS - (90 - at) * 10 * NS_PER_S for at in range(90)]
    felt = tuple(FeltFigure(value, False, 103, True, "sluggish") for value in (2.6, 3.26, 9.9))
    never = tuple(FeltFigure(12.0, True, 103, True, "sluggish") for _ in range(3))
    return RoutePage(
        phases=tuple(
            PhaseSlice(start, 12, (0.0, 0.01, 0.5 if at < 50 else 2.4, 0.22, 1.3))
            for at, start in enumerate(starts)
        ),
        phase_rows=tuple(PhaseRow(phase, 2.38, 0.51, 103, 240) for phase in PHASES),
        ttft_heat=tuple(
            HeatSlice(start, ((20 if at < 50 else 27, 9), (22, 1)))
            for at, start in enumerate(starts)
        ),
        gap_heat=tuple(HeatSlice(start, ((12, 400), (24, 3))) for start in starts),
        columns=tuple(
            FeltColumn(
                name,
                (felt[0], felt[1], felt[2]),
                (never[0], never[1], never[2]),
                tokens_per_s=33.0,
                gap_p99_s=0.2,
                gap_max_s=2.5,
                cached_share=0.4,
                rtt_s=0.018,
                finished=103,
                good=22,
                failed=4,
                throttled=1,
                usd_per_hour=1.37,
            )
            for name in ("now", "usual", *WINDOWS)
        ),
        cohorts=(
            CohortView(
                "64/256",
                (Figure(2.6, 103, True), Figure(3.3, 103, True)),
                (Figure(), Figure()),
                True,
            ),
            CohortView(
                "128/256", (Figure(0.6, 40, True), Figure(0.9, 40, True)), (Figure(), Figure())
            ),
        ),
        probes=tuple(_probe(number) for number in range(200)),
        ended=2209,
    )


def _probe(number: int) -> ProbeView:
    failed = number % 3 == 2
    return ProbeView(
        probe=f"1-{1690 - number}",
        at_ns=made.NOW_NS - number * NS_PER_S // 2,
        started_ns=made.NOW_NS - number * NS_PER_S // 2 - 4 * NS_PER_S,
        outcome="server_error" if failed else "ok",
        reason="overloaded" if failed else "",
        status=503 if failed else 200,
        attempts=3 if failed else 1,
        ttft_s=None if failed else 2.6,
        e2e_s=None if failed else 3.9,
        lasted_s=3.9,
        output_tokens=None if failed else 40,
        tokens_per_s=None if failed else 33.0,
        longest_gap_s=0.4,
        throttled=1 if failed else 0,
        wait_s=1.5 if failed else 0.0,
        cells=() if failed else (*[0] * 26, *[3] * 13),
        request_id=f"req_{number:03d}{made.HOSTILE}",
        is_good=not failed and number % 2 == 0,
        cohort="64/256",
    )


def request(route: str, probe: str) -> RequestView:
    """Return a probe of three attempts, of which the last one went well; all words are hostile."""
    started = made.NOW_NS - 9 * NS_PER_S
    failed = AttemptFinished(
        at_ns=started + NS_PER_S,
        route=route,
        probe=probe,
        attempt=0,
        outcome="server_error",
        reason="overloaded",
        message=SAID,
        status=503,
        retry=RetryPlan(reason="overloaded", wait_s=1.0, number=1),
        stamps_ns=StampLadder(
            scheduled=started,
            admitted=started,
            started=started,
            tcp=started + NS_PER_S // 50,
            sent=started + NS_PER_S // 40,
            headers=started + NS_PER_S,
            ended=started + NS_PER_S,
        ),
        request_id=f"req{made.HOSTILE}",
        request_ids={"x-request-id": f"req{made.HOSTILE}", "cf-ray": "8f" * 60},
        headers={"server": made.HOSTILE, "x-ratelimit-remaining": "9" * 300},
        server_timing={made.HOSTILE: 1.5},
        served_model=made.HOSTILE,
        cohort="64/256",
    )
    begun = started + 4 * NS_PER_S
    well = replace(
        failed,
        at_ns=made.NOW_NS,
        attempt=2,
        outcome="ok",
        reason="",
        message="",
        status=200,
        retry=None,
        stamps_ns=StampLadder(
            started=begun,
            sent=begun + NS_PER_S // 100,
            headers=begun + 2 * NS_PER_S,
            first_event=begun + 2 * NS_PER_S,
            first_token=begun + 5 * NS_PER_S // 2,
            last_token=made.NOW_NS,
            done=made.NOW_NS,
            ended=made.NOW_NS,
        ),
        chunks=40,
        chunk_offsets_ns=tuple(5 * NS_PER_S // 2 + at * NS_PER_S // 20 for at in range(40)),
        input_tokens=12,
        output_tokens=40,
        token_source="usage",
        finish_reason="stop",
        response_id="chatcmpl-" + "a1" * 40,
    )
    whole = ProbeFinished(
        at_ns=made.NOW_NS,
        route=route,
        probe=probe,
        outcome="ok",
        attempts=3,
        started_ns=started,
        scheduled_ns=started,
        first_token_ns=begun + 5 * NS_PER_S // 2,
        done_ns=made.NOW_NS,
        retry_wait_ns=2 * NS_PER_S,
        output_tokens=40,
        cohort="64/256",
    )
    return RequestView(route, whole, (failed, replace(failed, attempt=1), well))


def troubled(count: int, naming: Naming = "plain") -> Snapshot:
    """Return a frame of so many routes, on which everything is wrong at once."""
    rows = fleet(count, naming)
    kept = made.snapshot()
    return made.snapshot(
        routes=rows,
        header=made.header(routes=count, notices=(f"the newest notice {made.HOSTILE}",)),
        throttles=tuple(
            made.throttle(
                2.0 * at + 1,
                route=rows[at % count].name,
                message=SAID,
                request_id=f"req{made.HOSTILE}",
            )
            for at in range(40)
        ),
        limits=tuple(made.limits(row.name) for row in rows[:30]),
        details={},
        incidents=incidents(rows),
        recoveries=kept.recoveries,
        happenings=happenings(rows),
    )


@dataclass
class StagedBoard(FakeBoard):
    """Makes the details of the routes that are asked for."""

    paged: RoutePage = field(default_factory=page)

    def snapshot(
        self,
        *,
        window: WindowName = "5m",
        detail_routes: Collection[str] = (),
        pages: Collection[str] = (),
        standings: bool = False,
        anew: bool = False,
    ) -> Snapshot:
        wanted = [*dict.fromkeys((*detail_routes, *pages))][:8]
        known = {row.name for row in self.whole.routes}
        details = {
            name: made.detail(
                name,
                preview=SAID,
                page=self.paged if name in pages else None,
            )
            for name in wanted
            if name in known
        }
        return replace(self.whole, window=window, details=details)

    def request(self, route: str, probe: str) -> RequestView | None:
        return request(route, probe)


class Stage:
    """The whole app on one snapshot."""

    def __init__(self, app: LlmtopApp, session: FakeSession, pilot: Pilot[None]) -> None:
        self.app = app
        self.session = session
        self.pilot = pilot

    @property
    def screen(self) -> Screen[Any]:
        """What is in front."""
        return self.app.screen

    async def press(self, *keys: str) -> None:
        """Type, and let it be drawn."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        await self.pilot.resize_terminal(width, height)
        await self.pilot.pause()

    def strips(self) -> list[Strip]:
        """Return the lines of the terminal."""
        return list(self.screen._compositor.render_strips())

    def lines(self) -> list[str]:
        """Return their texts."""
        return [strip.text for strip in self.strips()]


@asynccontextmanager
async def stage(
    shown: Snapshot, size: tuple[int, int] = (160, 50), *, board: FakeBoard | None = None
) -> AsyncIterator[Stage]:
    """Run the app on a snapshot."""
    comparisons = FakeComparisons(far=True)
    session = FakeSession(board=board or StagedBoard(shown), comparisons=comparisons)
    app = LlmtopApp(session, config(), FakeClock())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Stage(app, session, pilot)


def state_of(app: LlmtopApp) -> CockpitState:
    """Return what its live screens share."""
    return next(screen.cockpit for screen in app.screen_stack if hasattr(screen, "cockpit"))


def unfit(text: str) -> Iterator[str]:
    """Give the characters that a terminal must not be sent: what moves, hides or reorders."""
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            yield f"U+{ord(character):04X}"


def cut_without_a_mark(text: str, line: str, below: str = "", least: int = 5) -> Iterator[str]:
    """Give each place where a line has the beginning of a text, not all of it, and no `…`.

    Args:
        text: as it would be shown if there were room.
        line: one line of the terminal.
        below: the line under it, on which the text may go on.
        least: so many characters of the beginning tell it from all else.
    """
    at = line.find(text[:least])
    while at >= 0:
        same = 0
        while same < len(text) and line[at + same : at + same + 1] == text[same]:
            same += 1
        rest = line[at + same :]
        goes_on = not rest.strip(" │") and text[same:][:least] in below
        # Half a wide character leaves a blank before the mark.
        if same < len(text) and not rest.startswith(("…", " …")) and not goes_on:
            yield line[max(0, at - 10) : at + same + 12]
        at = line.find(text[:least], at + 1)
