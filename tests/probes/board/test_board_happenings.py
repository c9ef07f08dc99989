"""The log of what happened: one line for each thing, where it began, bounded whatever comes."""

import random
from typing import Any

import pytest
from board_streams import ProbeScript, at, diagnosis, hello, route_info, throttled, tick

from probes.board import Board
from probes.board.happenings import BURST_NS, HAPPENINGS_KEPT
from probes.board.views import Happening, Marker
from probes.events import (
    Advice,
    Event,
    Evidence,
    Fault,
    Gap,
    Held,
    Knob,
    Limit,
    Mark,
    Notice,
)
from probes.kit.clock import NS_PER_S

ROUTES = (route_info("alpha"), route_info("beta"), route_info("gamma"))
FAILS = (Evidence(figure="failed_share", now=1.0, n_now=6, unit="share"),)


def board_of(*events: Event) -> Board:
    board = Board()
    board.fold(hello(*ROUTES))
    for event in sorted(events, key=lambda event: event.at_ns):
        board.fold(event)
    return board


def log(*events: Event) -> list[Happening]:
    return list(board_of(*events).snapshot().happenings)


def markers(board: Board, route: str = "alpha") -> list[Marker]:
    return list(board.snapshot("5m", (route,)).details[route].percentiles.markers)


def failed(name: str, end_s: float, route: str = "alpha") -> list[Event]:
    """Return a probe that its server refuses."""
    script = ProbeScript(
        name,
        end_s - 0.5,
        ttft_s=None,
        e2e_s=0.5,
        outcome="server_error",
        route=route,
        finished={"status": 503, "message": "overloaded"},
    )
    return script.events()


def refused(at_s: float, route: str = "alpha", **changes: Any) -> Event:
    """Return a 429."""
    script = ProbeScript(f"{route}-{at_s}", at_s - 0.1, route=route)
    return throttled(script, at_s, None, **changes)


def turn(at_s: float, before: float, after: float, route: str = "alpha", **changes: Any) -> Knob:
    values = {"knob": "concurrency", **changes}
    return Knob(at_ns=at(at_s), route=route, before=before, after=after, **values)


# Incidents.


def test_an_onset_stands_where_it_began_however_late_it_was_known() -> None:
    lines = log(
        *failed("e1-1", 9.0),
        Mark(at_ns=at(12.0), text="deploy"),
        diagnosis(20.0, since_s=8.0, evidence=FAILS, id="e1-7"),
    )
    assert [(one.kind, one.at_ns) for one in lines] == [("mark", at(12.0)), ("onset", at(8.0))]
    onset = lines[1]
    assert onset.text == 'provider is down · 6 of 6 attempts fail: 503 "overloaded"'
    assert (onset.routes, onset.state, onset.incident) == (("alpha",), "down", "e1-7")
    assert onset.until_ns is None


def test_what_may_be_chance_is_no_line() -> None:
    assert log(diagnosis(20.0, state="perhaps"), diagnosis(30.0, state="cleared")) == []


def test_an_incident_is_one_line_that_knows_better_with_each_event() -> None:
    [line] = log(
        diagnosis(20.0, since_s=8.0),
        diagnosis(25.0, since_s=4.0, routes=("alpha", "beta"), evidence=FAILS),
    )
    assert (line.at_ns, line.routes) == (at(4.0), ("alpha", "beta"))
    assert line.text == "provider is down · 6 of 6 attempts fail"


def test_another_cause_is_a_line_of_its_own() -> None:
    lines = log(
        diagnosis(20.0, "unknown", since_s=8.0),
        diagnosis(26.0, "provider_overloaded", since_s=8.0),
        diagnosis(27.0, "provider_overloaded", since_s=7.0, evidence=FAILS),
    )
    assert [(one.kind, one.at_ns) for one in lines] == [("cause", at(26.0)), ("onset", at(7.0))]
    assert lines[0].text == "now seen as: provider is overloaded · 6 of 6 attempts fail"
    assert lines[1].text == "something is wrong, not known what"


def test_a_recovery_says_what_it_was_for_how_long_and_what_was_lost() -> None:
    failures = [event for n in range(9) for event in failed(f"e1-{n}", 5.0 + n)]
    recovered, onset = log(
        *failures,
        diagnosis(12.0, since_s=8.0),
        diagnosis(63.0, since_s=8.0, state="cleared"),
    )
    assert (recovered.kind, recovered.at_ns, recovered.state) == ("recovered", at(63.0), "down")
    assert recovered.text == "recovered, was down 55s, 6 probes lost"
    assert onset.until_ns == at(63.0)
    assert recovered.incident == onset.incident


def test_routes_that_recover_one_by_one_leave_the_line_and_the_recovery_of_all_of_them() -> None:
    all_of_it = ("alpha", "beta", "gamma")
    board = board_of(
        *(event for n, route in enumerate(all_of_it) for event in failed(f"p{n}", 5.0 + n, route)),
        diagnosis(9.0, since_s=4.0, routes=("alpha", "beta"), evidence=FAILS),
        diagnosis(10.0, since_s=4.0, routes=all_of_it, evidence=FAILS),
        diagnosis(20.0, since_s=5.0, routes=("beta", "gamma"), evidence=FAILS),
        diagnosis(21.0, since_s=6.0, routes=("gamma",)),
        diagnosis(22.0, since_s=6.0, routes=("gamma",), state="cleared"),
    )
    recovered, onset = board.snapshot().happenings
    assert (onset.at_ns, onset.routes) == (at(4.0), all_of_it)
    assert onset.text == 'provider is down · 6 of 6 attempts fail: 503 "overloaded"'
    assert recovered.routes == all_of_it
    assert recovered.text == "recovered, was down 18s, 3 probes lost"
    (told,) = board.snapshot().recoveries
    assert (told.diagnosis.routes, told.diagnosis.since_ns) == (all_of_it, at(4.0))
    assert [marker.kind for marker in markers(board, "alpha")] == ["onset", "recovered"]


def test_places_that_recover_one_by_one_are_all_told_to_have_recovered() -> None:
    board = board_of(
        diagnosis(9.0, since_s=4.0, routes=("alpha", "beta"), places=("eu", "us")),
        diagnosis(20.0, since_s=4.0, routes=("beta",), places=("us",)),
        diagnosis(22.0, since_s=4.0, routes=("beta",), places=("us",), state="cleared"),
    )
    (told,) = board.snapshot().recoveries
    assert told.diagnosis.places == ("eu", "us")


def test_a_route_that_was_only_suspected_is_no_part_of_what_recovers() -> None:
    recovered, onset = log(
        diagnosis(9.0, since_s=4.0, routes=("alpha", "beta"), state="perhaps"),
        diagnosis(10.0, since_s=4.0, routes=("beta",)),
        diagnosis(22.0, since_s=4.0, routes=("beta",), state="cleared"),
    )
    assert onset.routes == recovered.routes == ("beta",)


def test_what_was_lost_is_counted_exactly_however_many_they_are() -> None:
    events = [event for n in range(5_000) for event in failed(f"e1-{n}", 5.0 + n / 10)]
    last = log(
        *events, diagnosis(30.0, since_s=10.0), diagnosis(600.0, since_s=10.0, state="cleared")
    )[0]
    assert last.text.endswith("4,950 probes lost")


def test_the_worst_that_an_incident_made_of_its_route_is_kept() -> None:
    slow = diagnosis(20.0, "provider_queueing", since_s=8.0, size=2.0)
    board = board_of(slow, tick(21.0))
    assert board.snapshot().happenings[0].state == "slow"
    for number in range(30):
        for event in ProbeScript(f"e1-{number}", 22.0 + number, ttft_s=4.0, e2e_s=4.5).events():
            board.fold(event)
    board.fold(tick(70.0))
    board.fold(tick(71.0))
    assert board.snapshot().happenings[0].state == "sluggish"


def test_a_new_level_that_is_the_usual_from_now_on_is_told_once() -> None:
    settled, onset = log(
        diagnosis(20.0, "provider_slow_decode", since_s=8.0),
        diagnosis(4_000.0, "provider_slow_decode", since_s=8.0, state="settled"),
    )
    assert (settled.kind, settled.text) == (
        "settled",
        "provider writes slowly: the usual from now on",
    )
    assert onset.until_ns == at(4_000.0)


def test_our_own_machines_trouble_is_no_routes() -> None:
    recovered, onset = log(
        diagnosis(20.0, "local_observer", routes=("alpha", "beta")),
        diagnosis(40.0, "local_observer", since_s=20.0, routes=("alpha", "beta"), state="cleared"),
    )
    assert (onset.routes, onset.state, onset.text) == ((), None, "our machine is busy")
    assert (recovered.routes, recovered.text) == ((), "our machine recovered, was busy 20s")


def test_a_knob_is_part_of_an_incident_where_the_diagnosis_says_so() -> None:
    advice = Advice(act="undo_knob", knob="concurrency", value=3.0)
    lines = log(
        turn(5.0, 2, 3),
        turn(20.0, 3, 6),
        turn(21.0, 5.0, 2.0, knob="interval"),
        turn(22.0, 3, 6, route="beta"),
        diagnosis(30.0, "own_load", since_s=22.0, advice=advice, id="e1-3"),
    )
    linked = {one.text for one in lines if one.kind == "knob" and one.incident == "e1-3"}
    assert linked == {"you: CONC 3→6"}
    assert [one.at_ns for one in lines if one.incident == "e1-3"] == [at(22.0), at(20.0)]


# 429s.


def test_429s_of_a_route_are_one_line_a_burst() -> None:
    limit = Limit(kind="concurrency", limit=4, remaining=0)
    lines = log(
        *(refused(10.0 + n, limits=(limit,), retry_after_s=1.0 + n % 2) for n in range(15)),
        refused(12.5, route="beta", reason="tokens"),
        refused(24.0 + BURST_NS / NS_PER_S + 1.0),
    )
    alone, beta, burst = lines
    assert (burst.kind, burst.count) == ("throttled", 15)
    assert (burst.at_ns, burst.until_ns) == (at(10.0), at(24.0))
    assert burst.text == "429 ×15 in 14s · concurrency · left 0/4 · asked 1.00–2.00 s"
    assert (beta.routes, beta.text) == (("beta",), "429 · tokens")
    assert (alone.count, alone.text) == (1, "429 · rate_limit")


def test_a_burst_goes_on_for_twice_the_wait_that_was_asked_for() -> None:
    asked = {"retry_after_s": 120.0}
    assert len(log(refused(10.0, **asked), refused(200.0, **asked))) == 1
    assert len(log(refused(10.0, **asked), refused(251.0, **asked))) == 2


def test_a_cool_down_belongs_to_its_429s() -> None:
    held = Held(at_ns=at(10.0), route="alpha", reason="cool_down", until_ns=at(20.0), asked_s=10.0)
    assert [one.kind for one in log(refused(10.0), held)] == ["throttled"]


# What the user did.


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (turn(1.0, 3, 6), "you: CONC 3→6"),
        (turn(1.0, 5.0, 0.5, knob="interval"), "you: pace 5→0.5 s"),
        (turn(1.0, 64, 400, knob="max_tokens"), "you: cap 64→400, E2E goal 3 s→6 s"),
        (turn(1.0, 0, 1, knob="paused"), "you: paused"),
        (turn(1.0, 0, 20, knob="burst"), "you: burst 20"),
        (turn(1.0, 9, 0, knob="cool_down"), "you: cool-down ended"),
        (turn(1.0, 0, 1, knob="usual"), "you: usual accepted"),
        (turn(1.0, 4, 8, who="restart"), "restart: CONC 4→8"),
    ],
)
def test_a_knob_says_who_turned_it_from_where_to_where(event: Knob, text: str) -> None:
    [line] = log(event)
    assert (line.kind, line.text, line.routes) == ("knob", text, ("alpha",))


def test_all_routes_paused_with_one_key_are_one_line() -> None:
    pauses = [turn(5.0, 0, 1, route, knob="paused") for route in ("alpha", "beta", "gamma")]
    [line] = log(*pauses)
    assert (line.routes, line.count) == (("alpha", "beta", "gamma"), 3)


def test_a_mark_has_its_text() -> None:
    [line] = log(Mark(at_ns=at(4.0), text="deploy"))
    assert (line.kind, line.text, line.at_ns) == ("mark", "deploy", at(4.0))
    assert (line.put_ns, line.note) == (None, "")


def test_a_mark_stands_at_the_moment_that_it_is_about_and_says_that_it_was_put_later() -> None:
    board = board_of(
        turn(5.0, 3, 6),
        Mark(at_ns=at(90.0), text="deploy", about_ns=at(3.0)),
        tick(91.0),
    )
    newest, line = board.snapshot().happenings
    assert newest.kind == "knob"
    assert (line.at_ns, line.put_ns) == (at(3.0), at(90.0))
    assert (line.text, line.note) == ("deploy · put 1m27s later", "deploy")
    assert markers(board)[0] == Marker(at(3.0), "deploy", "mark")
    assert [line.is_put_after(at(s)) for s in (2.0, 3.0, 89.9, 90.0)] == [False, True, True, False]


@pytest.mark.parametrize("about_s", [90.0, 1e6])
def test_a_mark_is_never_about_what_has_not_happened_yet(about_s: float) -> None:
    [line] = log(Mark(at_ns=at(90.0), text="deploy", about_ns=at(about_s)))
    assert (line.at_ns, line.text, line.put_ns) == (at(90.0), "deploy", None)


def test_a_full_log_keeps_a_mark_about_what_was_before_all_of_it() -> None:
    notices = [
        Notice(at_ns=at(100.0 + n), route="", text=f"notice {n}")
        for n in range(HAPPENINGS_KEPT + 20)
    ]
    mark = Mark(at_ns=at(9_999.0), text="deploy", about_ns=at(1.0))
    told = log(*notices, mark, Notice(at_ns=at(10_000.0), route="", text="another"))
    assert len(told) == HAPPENINGS_KEPT
    assert told[-1].note == "deploy"
    assert told[0].text == "another"


# Ourselves.


def test_a_gap_of_ours_says_for_how_long_we_did_not_run() -> None:
    [line] = log(Gap(at_ns=at(20.0), started_ns=at(8.0)))
    assert (line.kind, line.at_ns, line.until_ns) == ("gap", at(8.0), at(20.0))
    assert line.text == "we did not run for 12s"


def test_notices_and_faults_of_the_same_words_are_one_line() -> None:
    text = "asked without stream_options"
    lines = log(
        *(Notice(at_ns=at(5.0 + n), route=r, text=text) for n, r in enumerate(("beta", "alpha"))),
        Notice(at_ns=at(60.0), route="", text=text),
        *(
            Fault(at_ns=at(70.0 + n), route="beta", error="KeyError", traceback="", restart_in_s=1)
            for n in range(4)
        ),
    )
    fault, later, notice = lines
    assert (notice.text, notice.routes, notice.count) == (text, ("alpha", "beta"), 2)
    assert (later.routes, later.count) == ((), 1)
    assert (fault.kind, fault.text, fault.count) == ("fault", "KeyError; restarts in 1 s", 4)


def held(at_s: float, released: bool = False, **changes: Any) -> Held:
    values = {"route": "alpha", "reason": "budget", **changes}
    return Held(at_ns=at(at_s), released=released, **values)


def test_a_hold_and_its_release_are_lines() -> None:
    released, line = log(held(10.0, detail="500k tok/h"), held(12.0), held(52.0, released=True))
    assert (line.kind, line.text) == ("held", "held, nothing is left to spend: 500k tok/h")
    assert (line.at_ns, line.until_ns) == (at(10.0), at(52.0))
    assert (released.at_ns, released.text) == (at(52.0), "goes on, was held 42s")


def test_a_budget_that_is_free_for_a_probe_now_and_then_is_one_line() -> None:
    events: list[Event] = []
    for number in range(50):
        events += [held(10.0 + 2 * number), held(11.0 + 2 * number, released=True)]
    released, line = log(*events)
    assert (line.count, line.at_ns) == (50, at(10.0))
    assert released.at_ns == line.until_ns == at(109.0)


def test_what_holds_every_route_is_about_all_of_them() -> None:
    [line] = log(held(10.0, route="", reason="reader_stalled"))
    assert (line.routes, line.text) == ((), "held, nobody read our events")


def test_another_engine_is_told_with_why() -> None:
    ended = held(10.0, route="", reason="restarting", detail="the engine ended: signal 9")
    [line] = log(ended, hello(*ROUTES, at_s=13.0, engine="e2"))
    assert (line.kind, line.at_ns, line.until_ns) == ("engine", at(10.0), at(13.0))
    assert line.text == "the engine ended: signal 9; e2 took over after 3s"


def test_an_engine_that_took_over_unasked_is_told_and_the_same_one_is_not() -> None:
    [line] = log(hello(*ROUTES, at_s=13.0, engine="e2"), hello(*ROUTES, at_s=14.0, engine="e2"))
    assert line.text == "another engine took over: e2"


def test_what_the_former_engine_held_back_is_over_with_it() -> None:
    lines = log(held(10.0), hello(*ROUTES, at_s=13.0, engine="e2"))
    assert {one.until_ns for one in lines if one.kind == "held"} == {at(13.0)}


# Charts.


def test_charts_are_marked_with_what_happened_to_their_route() -> None:
    board = board_of(
        turn(5.0, 3, 6),
        turn(6.0, 3, 6, route="beta"),
        Mark(at_ns=at(7.0), text="deploy"),
        refused(8.0),
        diagnosis(20.0, since_s=9.0),
        diagnosis(60.0, since_s=9.0, state="cleared"),
    )
    assert markers(board) == [
        Marker(at(5.0), "CONC 3→6", "knob"),
        Marker(at(7.0), "deploy", "mark"),
        Marker(at(9.0), "down", "onset"),
        Marker(at(60.0), "recovered", "recovered"),
    ]
    assert [marker.text for marker in markers(board, "beta")] == ["CONC 3→6", "deploy"]


def test_marks_are_the_same_object_until_something_happens() -> None:
    board = board_of(turn(5.0, 3, 6), tick(6.0))

    def made() -> object:
        return board.snapshot("5m", ("alpha",)).details["alpha"].percentiles.markers

    before = made()
    board.fold(tick(7.0))
    assert made() is before
    board.fold(Mark(at_ns=at(8.0), text="now"))
    assert made() is not before


# The whole.


def test_a_frame_shares_the_log_with_the_one_before_until_something_happens() -> None:
    board = board_of(turn(5.0, 3, 6), tick(6.0))
    before = board.snapshot().happenings
    board.fold(tick(6.1))
    assert board.snapshot().happenings is before


def anything(source: random.Random, number: int) -> Event:
    """Return something that is a line, of a stream that never repeats itself."""
    at_s, route = number / 3, source.choice(("alpha", "beta", "gamma"))
    state = source.choice(("perhaps", "named", "cleared", "settled"))
    return source.choice(
        (
            lambda: turn(at_s, number, number + 1, route),
            lambda: turn(at_s, 0, 1, route, knob="paused"),
            lambda: Mark(at_ns=at(at_s), text=f"mark {number}"),
            lambda: Mark(at_ns=at(at_s), text="before", about_ns=at(at_s * source.random())),
            lambda: Notice(at_ns=at(at_s), route=route, text=f"notice {number}"),
            lambda: Gap(at_ns=at(at_s), started_ns=at(at_s - source.random() * 50)),
            lambda: held(at_s, source.random() < 0.5, route=route),
            lambda: refused(at_s, route),
            lambda: diagnosis(
                at_s, since_s=at_s - 99 * source.random(), id=f"e1-{number % 40}", routes=(route,)
            ),
            lambda: diagnosis(at_s, state=state, id=f"e1-{number % 7}", routes=(route,)),
            lambda: hello(*ROUTES, at_s=at_s, engine=f"e{number}"),
        )
    )()


def test_whatever_comes_the_newest_500_are_kept_in_order_and_a_replay_tells_the_same() -> None:
    source = random.Random(5)
    events = [anything(source, number) for number in range(3_000)]
    board, again = board_of(*events), board_of(*events)
    shown = board.snapshot().happenings
    assert len(shown) == HAPPENINGS_KEPT
    stamps = [one.at_ns for one in shown]
    assert stamps == sorted(stamps, reverse=True)
    assert shown == again.snapshot().happenings
    kept = board._run.happenings
    assert len(kept._incidents) <= HAPPENINGS_KEPT
    assert len(kept._alike) <= 32
