"""The verdicts under the header: who, what, since, why, what to do; in that order they stay."""

from datetime import UTC
from typing import Any

import made
import made_places
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import IncidentView, RouteState, Snapshot
from probes.events import Advice, Evidence, SeenBefore
from probes.kit.clock import NS_PER_S
from tui.draw.text import Line, line_text, line_width
from tui.keys import KEYS, Hotkey
from tui.panes.routes import STATE_GLYPHS
from tui.panes.verdicts import verdict_count, verdict_route, verdicts_lines
from tui.panes.view import ViewState

SLOW = made.incidents()[2]
WHOLE = (
    " ▲ queue-eu slow to the first token since 22:20:17 (5m44s) · "
    "first token 2.60 s, usual 0.73 (n 103/240); writing speed, RTT as usual"
    "   → move users to deepseek-eu"
)


def lines_of(*incidents: IncidentView, width: int = 200, height: int = 3) -> list[Line]:
    shown = made.snapshot(incidents=incidents, recoveries=(), routes=())
    return verdicts_lines(shown, ViewState(), width, height, UTC)


def text_of(incident: IncidentView, width: int = 200) -> str:
    (line,) = lines_of(incident, width=width)
    return line_text(line)


def of(diagnosis_changes: dict[str, Any], **changes: Any) -> IncidentView:
    return replace(SLOW, diagnosis=replace(SLOW.diagnosis, **diagnosis_changes), **changes)


def test_a_verdict_is_who_what_since_why_and_what_to_do() -> None:
    assert text_of(SLOW) == WHOLE


FIGURE = WHOLE.partition(";")[0]
ADVICE = "   → move users to deepseek-eu"
FEWER = WHOLE.replace("writing speed, RTT as usual", "writing speed as usual")
HEAD = FIGURE.partition(" ·")[0]


NOW_NS = made.snapshot().now_ns + made.snapshot().wall_anchor_ns
DAY_NS = 86_400 * NS_PER_S
SEEN = replace(
    SLOW,
    seen=SeenBefore(
        at_ns=1,
        cause=SLOW.diagnosis.cause,
        routes=SLOW.diagnosis.routes,
        times=3,
        first_wall_ns=NOW_NS - 40 * DAY_NS,
        last_wall_ns=NOW_NS - 3 * DAY_NS,
        typical_s=2_400.0,
    ),
)


def test_what_was_seen_before_stands_behind_the_figures_and_goes_before_them() -> None:
    beside = "seen 3 times since 5 Oct, median 40m, last 3 days ago"
    long = WHOLE.replace("; writing", f"; {beside}; writing")
    assert text_of(SEEN, width=240) == long
    # Rather than it goes what is as usual, and it is said in fewer words before it goes.
    assert text_of(SEEN, width=len(FIGURE + beside + ADVICE) + 2) == f"{FIGURE}; {beside}{ADVICE}"
    few = f"{FIGURE}; seen 3×, last 3 days ago{ADVICE}"
    assert text_of(SEEN, width=len(few)) == few
    assert text_of(SEEN, width=len(few) - 1) == text_of(SLOW, width=len(few) - 1)


@pytest.mark.parametrize("width", range(20, 260, 7))
def test_what_was_seen_before_never_breaks_a_line(width: int) -> None:
    assert line_width(lines_of(SEEN, width=width)[0]) <= width


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (len(WHOLE), WHOLE),
        (len(WHOLE) - 1, FEWER),  # what is as usual goes first
        (len(FEWER), FEWER),
        (len(FEWER) - 1, FIGURE + ADVICE),
        (len(FIGURE + ADVICE), FIGURE + ADVICE),
        (len(FIGURE + ADVICE) - 1, FIGURE + " …"),  # then the advice
        (len(FIGURE) + 2, FIGURE + " …"),
        (len(FIGURE) + 1, FIGURE + "…"),  # then what speaks for it
        (len(FIGURE), FIGURE[:-1] + "…"),
        (len(HEAD) + 12, FIGURE[: len(HEAD) + 11] + "…"),
        (len(HEAD) + 11, HEAD + " …"),
        (len(HEAD) + 2, HEAD + " …"),
        (len(HEAD) + 1, HEAD + "…"),
    ],
)
def test_where_there_is_no_room_parts_go_in_turn(width: int, text: str) -> None:
    assert text_of(SLOW, width) == text


def test_the_second_figure_goes_after_the_advice_and_before_the_first() -> None:
    two = tuple(Evidence(figure=name, now=2.0) for name in ("ttft", "e2e"))
    incident = of({"evidence": two, "against": ()})
    whole = text_of(incident, 200)
    bare = whole.removesuffix(ADVICE)
    assert bare.endswith("; whole answer 2.00 s")
    first = bare.removesuffix("; whole answer 2.00 s")
    assert text_of(incident, len(whole) - 1) == text_of(incident, len(bare) + 2) == bare + " …"
    assert text_of(incident, len(bare) + 1) == text_of(incident, len(first) + 2) == first + " …"
    assert text_of(incident, len(first) + 1) == first + "…"


@pytest.mark.parametrize("width", [49, 50, 57, 60, 80, 100, 140])
def test_who_what_and_since_never_go(width: int) -> None:
    told = text_of(SLOW, width)
    assert "slow to the first token since 22:20:17" in told
    assert told.startswith(" ▲ queue")


def test_what_was_cut_leaves_a_mark_at_every_width() -> None:
    for width in range(1, len(FIGURE + ADVICE)):
        assert "…" in text_of(SLOW, width), width


def test_more_figures_than_two_stand_where_all_of_them_have_room() -> None:
    three = tuple(Evidence(figure=name, now=2.0) for name in ("ttft", "e2e", "connect"))
    incident = of({"evidence": three, "against": ()})
    whole = text_of(incident, 200)
    assert "; connect 2.00 s   → move" in whole
    two = whole.replace("; connect 2.00 s", "")
    assert text_of(incident, len(whole) - 1) == text_of(incident, len(two)) == two


THROTTLED = of(
    {
        "cause": "rate_limited_concurrency",
        "evidence": (
            Evidence(figure="throttled_share", now=0.38, n_now=42, unit="share"),
            Evidence(figure="limit_left", now=0, unit="count"),
        ),
        "against": (),
        "advice": Advice(act="undo_knob", knob="concurrency", value=3),
    },
    said='429 "Rate limit reached: 4 concurrent requests. Please try again in 1 s."',
)


def test_a_servers_words_are_cut_to_their_beginning_before_advice_goes() -> None:
    whole = text_of(THROTTLED, 300)
    said, advice = f": {THROTTLED.said}", "   → u undoes it (or - to 3)"
    assert said + "; 0 left of the limit" + advice in whole
    bare = whole.replace(said, "")
    for width in range(len(bare) + 27, len(whole)):
        told = text_of(THROTTLED, width)
        assert told.endswith(advice)
        assert ': 429 "Rate limit reach' in told
        assert "…; 0 left of the limit" in told
    told = text_of(THROTTLED, len(bare) + 20)
    assert "→" not in told
    assert told.endswith("…")


def test_a_servers_words_stand_alone_where_there_is_no_figure() -> None:
    told = text_of(of({"evidence": (), "against": ()}, said='503 "busy"'))
    assert ' · 503 "busy"   → move' in told


def test_at_most_as_many_as_there_are_lines_and_the_rest_is_counted() -> None:
    lines = [line_text(line) for line in lines_of(*made.incidents(), width=120)]
    assert len(lines) == 3
    assert lines[2].endswith(" +2 n ")
    assert "+" not in "".join(lines[:2])
    (one,) = lines_of(*made.incidents(), width=120, height=1)
    assert line_text(one).endswith(" +4 n ")
    assert line_width(one) == 120
    keys = tuple(replace_key(key) for key in KEYS)
    shown = made.snapshot(recoveries=(), routes=())
    (other,) = verdicts_lines(shown, ViewState(keys=keys), 120, 1, UTC)
    assert line_text(other).endswith(" +4 F5 ")


def test_a_route_that_hurts_badly_has_a_line_though_no_incident_is_known_of_it() -> None:
    rows = (
        made.route("always", "sluggish", 2.8, why="TTFT p95 2.8× goal", since_s=920.0),
        made.route("queue-eu", "sluggish", 2.6),
        made.route("mild", "slow"),
    )
    shown = made.snapshot(routes=rows, incidents=made.incidents()[2:3], recoveries=())
    lines = [line_text(line) for line in verdicts_lines(shown, ViewState(), 120, 3, UTC)]
    assert lines[0].startswith(" ▲ queue-eu slow to the first token")
    assert lines[1].startswith(" ▲ always   sluggish")
    assert lines[1].endswith(" · TTFT p95 2.8× goal; no cause is known yet")
    assert verdict_count(shown) == 2
    assert verdict_route(shown, 3, 1) == "always"
    (one,) = verdicts_lines(shown, ViewState(), 120, 1, UTC)
    assert line_text(one).endswith(" +1 n ")


def test_where_our_machine_is_at_fault_no_route_is_blamed() -> None:
    rows = (made.route("slowed", "sluggish", 2.8),)
    ours = of({"cause": "local_observer", "routes": ("slowed",)})
    others = of({"cause": "local_observer", "routes": ()})
    for incident in (ours, others):
        shown = made.snapshot(routes=rows, incidents=(incident,), recoveries=())
        assert verdict_count(shown) == 1


def test_recoveries_that_are_not_shown_are_counted_though_no_key_goes_to_them() -> None:
    shown = made.snapshot(incidents=(), recoveries=(made.recovery(),) * 5, routes=())
    lines = [line_text(line) for line in verdicts_lines(shown, ViewState(), 120, 3, UTC)]
    assert lines[2].endswith(" +2 more ")
    assert "+" not in "".join(lines[:2])
    whole = verdicts_lines(shown, ViewState(), 120, 5, UTC)
    assert "more" not in "".join(map(line_text, whole))


def replace_key(key: Hotkey) -> Hotkey:
    return replace(key, shown="F5") if key.id == "trouble" else key


def well(since_s: float = 720.0, **changes: Any) -> Snapshot:
    since_ns = made.NOW_NS - int(since_s * NS_PER_S)
    known = {"well_since_ns": since_ns, "good_share": 0.998, **changes}
    return made.snapshot(incidents=(), recoveries=(), routes=(), header=made.header(**known))


def told_of(shown: Snapshot, width: int = 100) -> list[str]:
    return [line_text(line) for line in verdicts_lines(shown, ViewState(), width, 3, UTC)]


def test_when_all_is_well_one_calm_line_says_since_when() -> None:
    assert told_of(well()) == [" · all 6 routes well for 12m · 605 probes, 99.8 % good"]
    assert told_of(well(41, routes=1)) == [" · the route is well for 41s · 605 probes, 99.8 % good"]
    assert told_of(well(good_share=None)) == [" · all 6 routes well for 12m · 605 probes"]
    (line,) = verdicts_lines(well(), ViewState(), 100, 3, UTC)
    assert {role for _, role in line} == {"good", "dim"}
    assert verdict_count(well()) == 1


def test_what_has_recovered_stands_above_the_calm_line() -> None:
    both = replace(well(), recoveries=(made.recovery(),))
    assert [text[:3] for text in told_of(both)] == [" ✓ ", " · "]
    assert verdict_count(both) == 2


def test_while_one_route_is_not_well_nobody_says_so() -> None:
    ill = made.snapshot(incidents=(), recoveries=(), routes=(made.route("mild", "slow"),))
    assert told_of(ill) == []
    assert verdict_count(ill) == 0
    suspected = replace(well(), incidents=(SLOW,))
    assert len(told_of(suspected)) == verdict_count(suspected) == 1


def test_a_line_leads_to_its_route() -> None:
    shown = made.snapshot()
    routes = [verdict_route(shown, 3, line) for line in range(-1, 4)]
    assert routes == [None, "eastus-gpt", "busy-llama", "queue-eu", "deepseek-eu"]
    assert verdict_route(well(), 3, 0) is None


@pytest.mark.parametrize(
    ("open_ones", "over", "count"), [(0, 1, 1), (1, 1, 2), (3, 1, 3), (9, 9, 3)]
)
def test_three_lines_at_most_are_asked_for(open_ones: int, over: int, count: int) -> None:
    shown = made.snapshot(
        incidents=(SLOW,) * open_ones, recoveries=(made.recovery(),) * over, routes=()
    )
    assert verdict_count(shown) == count
    assert len(verdicts_lines(shown, ViewState(), 80, 3, UTC)) == count


def test_what_has_recovered_stands_last_and_is_calm() -> None:
    shown = made.snapshot(incidents=(SLOW,), routes=())
    _, line = verdicts_lines(shown, ViewState(), 100, 3, UTC)
    assert line_text(line) == " ✓ deepseek-eu recovered 22:24:26, was down 55s"
    assert {role for text, role in line if text.strip()} == {"good", "dim"}
    shown = made.snapshot()
    assert "✓" not in "".join(map(line_text, verdicts_lines(shown, ViewState(), 100, 3, UTC)))


def test_an_incident_of_routes_that_are_not_probed_says_since_when() -> None:
    idle = replace(SLOW, idle_since_ns=made.NOW_NS - 61 * NS_PER_S)
    assert "(5m44s) · not probed since 22:25:00; first token 2.60 s" in text_of(idle)


def test_our_own_trouble_blames_no_route() -> None:
    ours = IncidentView(made.diagnosis("local_observer", 20.0, advice=Advice(act="wait")), None)
    told = " ◌ our machine is busy since 22:25:41 (20s)   → wait"
    assert text_of(ours) == told
    over = replace(ours.diagnosis, state="cleared", at_ns=made.NOW_NS)
    recovery = made.recovery(diagnosis=over, was=None)
    shown = made.snapshot(incidents=(), recoveries=(recovery,), routes=())
    (line,) = verdicts_lines(shown, ViewState(), 100, 3, UTC)
    assert line_text(line) == " ✓ our machine recovered 22:26:01, was busy 20s"


def test_what_may_be_chance_is_dim() -> None:
    (line,) = lines_of(of({"state": "perhaps"}))
    assert " perhaps slow to the first token " in line_text(line)
    assert "→ move users" in line_text(line)
    assert {role for text, role in line if text.strip()} == {"dim"}
    (sure,) = lines_of(SLOW)
    assert [role for text, role in sure if "→" in text] == ["accent"]


@pytest.mark.parametrize(
    "state", ["down", "hanging", "failing", "throttled", "stalling", "changed"]
)
def test_the_glyph_is_that_of_the_state_it_makes(state: RouteState) -> None:
    assert text_of(replace(SLOW, state=state)).startswith(f" {STATE_GLYPHS[state]} ")


def test_on_wide_terminals_what_is_wrong_begins_in_one_column() -> None:
    wide = [line_text(line) for line in lines_of(*made.incidents()[:3], width=160)]
    starts = {
        text.index(words) for text, words in zip(wide, ("provider", "we send", "slow"), strict=True)
    }
    assert starts == {14}


def test_a_servers_words_and_names_are_harmless() -> None:
    hostile = of(
        {
            "routes": (made.HOSTILE, "b"),
            "evidence": (Evidence(figure="failed_share", now=1.0, n_now=3, unit="share"),),
            "advice": Advice(act="move", route=made.HOSTILE, detail=made.HOSTILE),
        },
        said=made.HOSTILE,
    )
    told = text_of(hostile, 600)
    assert told.isprintable()
    assert not {"\x1b", "\u202e", "\u200b"} & set(told)


@given(width=st.integers(1, 240), height=st.integers(1, 5), which=st.sets(st.integers(0, 4)))
def test_no_line_is_wider_or_more_than_there_is_room(
    width: int, height: int, which: set[int]
) -> None:
    shown: Snapshot = made.snapshot(
        incidents=tuple(made.incidents()[index] for index in sorted(which))
    )
    lines = verdicts_lines(shown, ViewState(), width, height, UTC)
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


def test_of_one_place_alone_the_place_comes_first_and_of_all_the_shared_name() -> None:
    shown = made_places.snapshot(far="eu-west", down="chat")
    first, second, *_ = verdicts_lines(shown, ViewState(), 160, 3)
    assert line_text(first).startswith(" ✖ chat ")
    assert "from everywhere: the provider (3 of 3 places)" in line_text(first)
    assert line_text(second).startswith(" ▲ eu-west: code-review search-70b 漢字-summaries ")
    assert "from eu-west only" in line_text(second)
    narrow = [line_text(line) for line in verdicts_lines(shown, ViewState(), 60, 3)]
    assert narrow[1].startswith(" ▲ eu-west: ")
