"""The verdict of a route's page: whole, wrapped, what to do before what is only of use."""

from datetime import UTC
from typing import Any

import made
import made_page
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import IncidentView, OpenLoad, RouteView, Snapshot
from probes.events import Advice, Evidence, SeenBefore
from probes.kit.clock import NS_PER_S
from probes.kit.short_figures import counted
from tui.draw.text import Line, line_text, line_width
from tui.panes.page.verdict import RouteVerdict
from tui.panes.routes import STATE_GLYPHS

VERDICT = RouteVerdict(UTC)


def lines_of(snapshot: Snapshot, width: int = 160, height: int = 40) -> list[Line]:
    return VERDICT.lines(snapshot, made_page.VIEW, width, height)


def text_of(snapshot: Snapshot, width: int = 160) -> list[str]:
    return [line_text(line).rstrip() for line in lines_of(snapshot, width)]


def ill(*incidents: IncidentView, **changes: Any) -> Snapshot:
    shown = made_page.snapshot()
    return replace(shown, incidents=incidents, recoveries=(), happenings=(), **changes)


QUEUEING = made.incidents()[2]


def of(changes: dict[str, Any], **fields: Any) -> IncidentView:
    return replace(QUEUEING, diagnosis=replace(QUEUEING.diagnosis, **changes), **fields)


def with_row(route: RouteView) -> Snapshot:
    shown = made_page.snapshot(route)
    return replace(shown, incidents=(), recoveries=(), happenings=())


def test_what_was_seen_before_has_a_line_that_says_where_there_is_more() -> None:
    shown = made_page.snapshot()
    now_ns = shown.now_ns + shown.wall_anchor_ns
    seen = SeenBefore(
        at_ns=1,
        cause="provider_queueing",
        routes=("queue-eu",),
        times=1,
        first_wall_ns=now_ns - 3 * 3600 * NS_PER_S,
        last_wall_ns=now_ns - 3 * 3600 * NS_PER_S,
        typical_s=1_500.0,
    )
    (line,) = [one for one in text_of(ill(replace(QUEUEING, seen=seen))) if "before" in one]
    assert line == "   before   seen once, 3h00m ago, for 25m · H shows its weeks"


def test_what_hangs_is_not_good() -> None:
    shown = made_page.snapshot()
    route = next(row for row in shown.routes if row.name == made_page.VIEW.selected)
    told = text_of(with_row(replace(route, overdue_open=2)))[0]
    assert "GOOD 21.6 %: of 102 probes 2 hang, 2 failed, 76 beyond a goal" in told


def test_it_says_what_since_how_many_why_what_to_do_and_what_speaks_against() -> None:
    assert text_of(made_page.snapshot()) == [
        " ▲ slow to the first token since 22:20:17 (5m44s) · GOOD 22.0 %: of 100 probes 2 failed, "
        "76 beyond a goal (TTFT 1.00 s, E2E 3.00 s)",
        "   for      first token 2.60 s, usual 0.73 (n 103/240)",
        "   do       move users to deepseek-eu (TTFT p95 0.620 s, 99.0 % good)",
        "   against  writing speed, RTT as usual · us: lag 0.3 ms · also eastus-gpt down, "
        "busy-llama throttled, 2 others fine",
        "   knob     22:20:11 you: CONC 3→6 · 429 0→0 % · TTFT p95 0.90→3.26 s · "
        "tok/s 33→33 · GOOD 100→22 % · n 112/117 · worse",
    ]


def test_what_a_figure_has_become_since_it_was_named_stands_beside_it() -> None:
    named = (Evidence(figure="ttft", now=1.9, usual=0.73, n_now=12, n_usual=240),)
    told = text_of(ill(of({"evidence": named})))[1]
    assert told == ("   for      first token 1.90 s, usual 0.73 (n 12/240), by now 2.60 s (n 100)")


def test_a_figure_that_reads_as_it_was_named_is_told_once() -> None:
    assert "by now" not in " ".join(text_of(ill(QUEUEING)))


def test_of_several_routes_nobody_knows_whose_figure_was_named() -> None:
    named = (Evidence(figure="ttft", now=1.9, usual=0.73, n_now=12, n_usual=240),)
    several = of({"evidence": named, "routes": (made_page.NAME, "deepseek-eu")})
    assert "by now" not in " ".join(text_of(ill(several)))


def test_what_is_at_least_so_much_by_now_says_so() -> None:
    named = (Evidence(figure="ttft", now=1.9, usual=0.73, n_now=12, n_usual=240),)
    columns = made_page.columns()
    hangs = (made_page.felt(9.0, is_least=True), *columns[0].ttft[1:])
    page = made_page.snapshot(columns=(replace(columns[0], ttft=hangs), *columns[1:]))
    shown = replace(page, incidents=(of({"evidence": named}),))
    assert "by now ≥9.00 s (n 100)" in text_of(shown)[1]


def advised(cause: str, load: OpenLoad, *, streamed: bool = True) -> str:
    advice = Advice(act="set_knob", knob="concurrency", value=3.0)
    shown = made_page.snapshot(made_page.row(streamed=streamed), loads=(load,))
    incident = of({"cause": cause, "advice": advice})
    told = text_of(replace(shown, incidents=(incident,)))
    return next(line for line in told if line.startswith("   do"))


def test_what_it_took_with_fewer_open_is_told_where_that_is_known() -> None:
    load = OpenLoad(open=3, n=40, ttft_p50=0.9, e2e_p50=2.2, throttled=0)
    assert advised("own_load", load).endswith(
        "- to 3; with at most 3 open the first token took 0.900 s (n 40)"
    )
    assert advised("own_load", load, streamed=False).endswith("the answer took 2.20 s (n 40)")
    assert advised("rate_limited_concurrency", load).endswith(
        "- to 3; with at most 3 open 0 of 40 probes got a 429"
    )
    other = replace(load, open=2)
    assert advised("own_load", other).endswith("- to 3")
    never = replace(load, ttft_p50=None)
    assert advised("own_load", never).endswith("- to 3")


def test_every_figure_that_speaks_for_it_is_told_at_any_width() -> None:
    names = ("ttft", "e2e", "connect", "dns", "tcp", "tls", "rtt", "open_age")
    evidence = tuple(Evidence(figure=name, now=2.0, usual=1.0, n_now=40) for name in names)
    shown = ill(of({"evidence": evidence}))
    for width in (60, 80, 160, 300):
        told = " ".join(" ".join(text_of(shown, width)).split())
        assert told.count("usual 1.00") == len(names), width
        assert "…" not in told, width


def test_the_servers_own_words_are_told_and_are_harmless() -> None:
    said = f'503 "{made.HOSTILE} The engine is overloaded"'
    lines = text_of(ill(of({}, said=said)))
    (line,) = [line for line in lines if line.startswith("   says")]
    assert '503 "' in line
    assert not {"\x1b", "\u202e", "\u200b"} & set("".join(lines))


def test_when_all_others_are_well_they_are_counted() -> None:
    shown = ill(QUEUEING)
    rows = tuple(replace(row, state="ok") for row in shown.routes)
    told = text_of(replace(shown, routes=rows))
    assert "   against  writing speed, RTT as usual · us: lag 0.3 ms · 5 others fine" in told


def test_where_our_own_loop_is_late_it_does_not_speak_against_us() -> None:
    late = replace(ill(QUEUEING), header=made.header(loop_lag_p99_s=0.05))
    assert "us: lag" not in " ".join(text_of(late))


def test_a_route_that_is_alone_has_no_others() -> None:
    shown = ill(QUEUEING)
    rows = tuple(row for row in shown.routes if row.name == made_page.NAME)
    told = text_of(replace(shown, routes=rows))
    assert "   against  writing speed, RTT as usual · us: lag 0.3 ms" in told


def test_advice_without_a_route_to_go_to_has_no_figures() -> None:
    told = text_of(ill(of({"advice": Advice(act="set_knob", knob="concurrency", value=3)})))
    assert "   do       - to 3" in told


def test_how_a_route_fares_stands_beside_its_name() -> None:
    advice = Advice(act="move", route="deepseek-eu", detail="B sends one on a fresh connection")
    (line,) = [line for line in text_of(ill(of({"advice": advice}))) if line.startswith("   do")]
    assert line.endswith("deepseek-eu (TTFT p95 0.620 s, 99.0 % good); B sends one on a fresh "
                         "connection")  # fmt: skip


def test_where_nothing_ends_it_says_what_is_open() -> None:
    silent = tuple(
        replace(one, finished=0, good=0, failed=0) if one.name == "now" else one
        for one in made_page.columns()
    )
    shown = made_page.snapshot(made_page.row(oldest_open_s=41.0), columns=silent)
    assert "(5m44s) · no probe has ended, 6 open, the oldest 41s" in text_of(shown)[0]


def test_several_incidents_are_each_told_and_how_many_were_good_once() -> None:
    stalls = of({"cause": "stream_stalls", "id": "e1-2"}, state="stalling")
    told = text_of(ill(QUEUEING, stalls))
    heads = [line for line in told if line[1] in STATE_GLYPHS.values()]
    assert [line[:10] for line in heads] == [" ▲ slow to", " ⋯ streams"]
    assert sum("GOOD" in line for line in told) == 1


def test_an_incident_of_other_routes_is_not_told() -> None:
    outage = made.incidents()[0]
    assert "down" not in " ".join(text_of(ill(outage)))


def test_our_own_machines_trouble_is_told_on_every_page() -> None:
    ours = IncidentView(made.diagnosis("local_observer", 20.0, routes=()), None)
    told = text_of(ill(ours))
    assert told[0].startswith(" ◌ our machine is busy since 22:25:41 (20s)")


def test_whom_it_hits_too_is_told() -> None:
    both = of({"routes": ("deepseek-eu", "queue-eu")})
    assert "(5m44s) · with deepseek-eu · GOOD" in text_of(ill(both))[0]


def test_what_may_be_chance_is_not_loud() -> None:
    (head, *_) = lines_of(ill(of({"state": "perhaps"})))
    assert "perhaps slow to the first token" in line_text(head)
    assert head[0] == (" ▲ ", "dim")


def test_a_route_that_is_not_probed_says_so() -> None:
    idle = replace(QUEUEING, idle_since_ns=made.NOW_NS - 61 * NS_PER_S)
    assert "not probed since 22:25:00" in text_of(ill(idle))[0]


def test_a_well_route_says_for_how_long_and_how_much_of_its_goals_is_used() -> None:
    assert text_of(made_page.calm()) == [
        " ✓ well for 12m · GOOD 99.0 % · TTFT p95 0.310 s, 31 % of its goal · "
        "E2E p95 1.36 s, 45 % of its goal",
    ]


def test_a_route_that_is_still_learnt_says_so() -> None:
    route = made.route(made_page.NAME, "ok", learning=True)
    assert "what is usual is still being learnt" in " ".join(text_of(with_row(route)))


def test_a_route_that_hurts_without_a_known_cause_says_by_how_much() -> None:
    route = made_page.row(state="slow", said='429 "x"')
    told = text_of(with_row(route))
    assert told[0].startswith(" △ slow since 22:20:17 (5m44s) · GOOD 22.0 %")
    flat = " ".join(" ".join(told).split())
    assert "TTFT p95 3.26 s, 326 % of its goal" in flat
    assert "no cause is known yet" in flat
    assert told[-1] == '   says     429 "x"'


def test_why_a_route_is_in_its_state_is_said_once() -> None:
    route = made_page.row(state="slow", why="TTFT p95 3.3× goal")
    told = " ".join(text_of(with_row(route)))
    assert "(5m44s) · TTFT p95 3.3× goal · GOOD" in told
    assert "of its goal" not in told


def test_a_paused_route_says_how_it_goes_on() -> None:
    route = made_page.row(state="paused", held=("paused",))
    told = " ".join(text_of(with_row(route)))
    assert "‖ paused" in told
    assert "p lets it go on" in told


def test_what_has_recovered_stands_below() -> None:
    over = made.recovery(diagnosis=replace(made.recovery().diagnosis, routes=(made_page.NAME,)))
    shown = replace(made_page.calm(), recoveries=(over,))
    told = text_of(shown)
    assert told[0].startswith(" ✓ well")
    assert told[1] == (" ✓ recovered 22:24:26, was down 55s · provider is down, from 22:23:31")


def test_what_an_old_knob_did_is_no_news() -> None:
    shown = replace(made_page.snapshot(), happenings=(made_page.turned(16 * 60),))
    assert not [line for line in text_of(shown) if line.startswith("   knob")]


def test_what_has_no_room_is_counted() -> None:
    whole = VERDICT.whole(made_page.snapshot(), made_page.VIEW, 80)
    for height in range(1, len(whole)):
        lines = lines_of(made_page.snapshot(), 80, height)
        assert len(lines) == height
        assert line_text(lines[-1]).endswith(f" +{counted(len(whole) - height, 'line')}")
    assert lines_of(made_page.snapshot(), 80, len(whole)) == whole


@pytest.mark.parametrize("height", range(3, 9))
def test_what_to_do_is_told_before_what_speaks_against(height: int) -> None:
    told = [line_text(line)[:10].strip() for line in lines_of(made_page.snapshot(), 160, height)]
    assert told[1:3] == ["for", "do"]


@given(width=st.integers(1, 300), height=st.integers(1, 12), which=st.sets(st.integers(0, 4)))
def test_no_line_is_wider_or_more_than_there_is_room(
    width: int, height: int, which: set[int]
) -> None:
    incidents = tuple(
        replace(one, diagnosis=replace(one.diagnosis, routes=(made_page.NAME,)))
        for at, one in enumerate(made.incidents())
        if at in which
    )
    lines = lines_of(replace(made_page.snapshot(), incidents=incidents), width, height)
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)
