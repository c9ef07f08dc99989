"""The history read back: by day and hour, of one cohort, with what was seen before."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from board_streams import route_info
from history_streams import DAY_S, NOON_S, Run

from probes.history.database import HistoryFile
from probes.history.fold import HistoryFold
from probes.history.reading import (
    SAME_S,
    UnknownRouteError,
    read_history,
    seen_already,
    seen_before,
)
from probes.history.records import SLOT_S, PastIncident
from probes.history.views import RouteHistoryView


@pytest.fixture
def file(tmp_path: Path) -> HistoryFile:
    return HistoryFile(tmp_path / "history.sqlite3", writes=True)


def keep(file: HistoryFile, *runs: Run) -> None:
    for run in runs:
        fold = HistoryFold()
        for event in run.events:
            fold.fold(event)
        file.write(fold.told())


def week(**probe: object) -> list[Run]:
    """Return a run each day for eight days, ten probes at noon and ten an hour later."""
    runs = []
    for day in range(8):
        run = Run(began_s=NOON_S + day * DAY_S, life=f"life-{day}")
        for number in range(10):
            run.probe(10 + number, ttft_s=0.1 * (number + 1), e2e_s=2.0, **probe)  # type: ignore[arg-type]
            run.probe(3610 + number, ttft_s=3.0, e2e_s=4.0, **probe)  # type: ignore[arg-type]
        run.events.sort(key=lambda event: event.at_ns)
        runs.append(run)
    return runs


def one(file: HistoryFile, **asked: object) -> RouteHistoryView:
    asked = {"since_s": NOON_S - DAY_S, "until_s": NOON_S + 9 * DAY_S, "zone": UTC} | asked
    (view,) = read_history(file, **asked).routes  # type: ignore[arg-type]
    return view


def test_days_and_hours_have_percentiles_of_all_their_samples(file: HistoryFile) -> None:
    keep(file, *week())
    view = one(file)
    assert len(view.days) == 8
    assert {day.probes for day in view.days} == {20}
    assert view.days[0].label == "2026-09-21"
    assert (view.days[0].ttft_s.p50, view.days[0].ttft_s.n) == (pytest.approx(1.0, rel=2e-3), 20)
    assert view.days[0].ttft_s.p95 == pytest.approx(3.0, rel=2e-3)
    assert [(hour.label, hour.probes) for hour in view.hours] == [("12", 80), ("13", 80)]
    assert view.hours[0].ttft_s.p50 == pytest.approx(0.5, rel=0.1)
    assert view.hours[1].ttft_s.p50 == pytest.approx(3.0, rel=2e-3)
    assert view.whole.e2e_s.p50 == pytest.approx(2.0, rel=2e-3)
    assert view.whole.tokens_per_s is not None


def test_tokens_cost_and_sizes_add_up(file: HistoryFile) -> None:
    keep(file, *week())
    whole = one(file).whole
    assert (whole.probes, whole.input_tokens, whole.output_tokens) == (160, 3200, 1760)
    assert (whole.usd, whole.mean_input) == (pytest.approx(0.16), 20.0)
    assert whole.outcomes == {"ok": 160}


def test_days_are_those_of_a_time_zone(file: HistoryFile) -> None:
    keep(file, *week())
    late = timezone(timedelta(hours=11, minutes=30))
    view = one(file, zone=late)
    assert [hour.label for hour in view.hours] == ["00", "23"]
    assert len(view.days) == 9


HALF = timezone(timedelta(hours=5, minutes=30))
MIDNIGHT_S = NOON_S + 6.5 * 3600
"""Of a day in that zone: half past an hour of UTC."""


def around_midnight(zone_s: float = MIDNIGHT_S) -> Run:
    """Return a run with a probe a minute, from an hour before a midnight to an hour after it."""
    run = Run(began_s=zone_s - 3600)
    for minute in range(120):
        run.probe(60 * minute + 30)
    return run


def by_day(file: HistoryFile, **asked: object) -> list[tuple[str, int]]:
    return [(day.label, day.probes) for day in one(file, **asked).days]


def test_days_that_begin_within_an_hour_of_utc_are_cut_at_their_midnight(file: HistoryFile) -> None:
    keep(file, around_midnight())
    assert by_day(file, zone=HALF) == [("2026-09-21", 60), ("2026-09-22", 60)]
    assert by_day(file, zone=UTC) == [("2026-09-21", 120)]


def test_in_a_zone_off_by_a_quarter_five_minutes_stand_on_the_day_beside(file: HistoryFile) -> None:
    keep(file, around_midnight(NOON_S + 6.25 * 3600))
    nepal = timezone(timedelta(hours=5, minutes=45))
    assert by_day(file, zone=nepal) == [("2026-09-21", 65), ("2026-09-22", 55)]


def test_without_its_slots_an_hour_is_of_the_day_in_which_it_begins(file: HistoryFile) -> None:
    keep(file, around_midnight())
    connection = file._opened()
    connection.execute("DELETE FROM slot WHERE at < ?", ((MIDNIGHT_S - 600) // SLOT_S,))
    assert by_day(file, zone=HALF) == [("2026-09-21", 90), ("2026-09-22", 30)]
    connection.execute("DELETE FROM slot")
    assert by_day(file, zone=HALF) == [("2026-09-21", 90), ("2026-09-22", 30)]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time zone of this machine, with both of its changes."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("first", "lengths", "twice"),
    [
        (datetime(2026, 3, 28, 23, tzinfo=UTC), [23, 24], {"02": 1}),  # no 2 o'clock on the first
        (datetime(2026, 10, 24, 22, tzinfo=UTC), [25, 24], {"02": 3}),  # two of them
    ],
)
def test_days_have_as_many_hours_as_they_had_when_the_clock_was_changed(
    file: HistoryFile, first: datetime, lengths: list[int], twice: dict[str, int]
) -> None:
    began_s = first.timestamp()
    run = Run(began_s=began_s)
    for hour in range(sum(lengths)):
        run.probe(3600 * hour + 5)
        run.probe(3600 * hour + 3595)
    keep(file, run)
    view = one(file, since_s=began_s, until_s=began_s + 3 * DAY_S, zone=None)
    assert [day.probes for day in view.days] == [2 * hours for hours in lengths]
    assert [day.begins_s for day in view.days] == [began_s, began_s + 3600 * lengths[0]]
    assert {hour.label: hour.probes // 2 for hour in view.hours} == {
        **{f"{hour:02}": 2 for hour in range(24)},
        **twice,
    }


def test_without_the_hours_days_and_the_whole_are_the_same(file: HistoryFile) -> None:
    keep(file, *week())
    view, brief = one(file), one(file, by_hour=False)
    assert brief.hours == ()
    assert (brief.days, brief.whole) == (view.days, view.whole)


def test_percentiles_are_of_the_cohort_that_most_was_asked_of(file: HistoryFile) -> None:
    run = Run()
    for number in range(9):
        run.probe(number + 1, ttft_s=0.5)
    run.probe(20, ttft_s=0.9, cohort="999/256")
    keep(file, run)
    view = one(file)
    assert (view.cohort, view.cohort_share) == ("64/256", 0.9)
    assert (view.whole.probes, view.whole.ttft_s.n) == (10, 9)


def test_several_runs_of_one_slot_are_added_up(file: HistoryFile) -> None:
    first, second = Run(life="a"), Run(life="b")
    first.probe(5)
    second.probe(6)
    keep(file, first, second)
    assert one(file).whole.probes == 2


def test_far_back_it_is_told_by_week(file: HistoryFile) -> None:
    keep(file, *week())
    view = one(file, since_s=NOON_S - 150 * DAY_S)
    assert [(week.label, week.probes) for week in view.days] == [
        *(("2026-09-21", 140), ("2026-09-28", 20)),
    ]


def test_a_prompt_that_grew_is_told_with_its_day(file: HistoryFile) -> None:
    for day in range(10):
        run = Run(began_s=NOON_S + day * DAY_S, life=f"life-{day}")
        for number in range(30):
            run.probe(number + 1, input_tokens=812 if day < 6 else 1940)
        keep(file, run)
    (jump,) = one(file, until_s=NOON_S + 20 * DAY_S).jumps
    assert (jump.day, jump.before, jump.after) == ("2026-09-27", 812, 1940)
    assert jump.ratio == pytest.approx(2.389, rel=1e-3)


def test_a_name_is_the_route_at_all_its_places_and_a_whole_name_at_one(file: HistoryFile) -> None:
    for place in ("eu", "us"):
        run = Run(route_info(f"chat@{place}", place=place), place=place, life=place)
        run.probe(5, route=f"chat@{place}")
        keep(file, run)
    asked = {"since_s": NOON_S - 1, "until_s": NOON_S + DAY_S}
    assert [v.route for v in read_history(file, route="chat", **asked).routes] == [  # type: ignore[arg-type]
        *("chat@eu", "chat@us"),
    ]
    assert one(file, route="chat@us").place == "us"
    with pytest.raises(UnknownRouteError, match="chat@eu, chat@us"):
        read_history(file, route="chat@moon", since_s=0)


def test_progress_is_told_by_route(file: HistoryFile) -> None:
    keep(file, *week())
    told: list[tuple[int, int]] = []
    read_history(file, since_s=0, progress=lambda done, whole: told.append((done, whole)))
    assert told == [(1, 1)]


def incident(since_s: float, lasted_s: float | None = 600, **changes: object) -> PastIncident:
    values = {"id": str(since_s), "cause": "outage", "names": ("chat",), "scope": ""}
    values |= {"routes": ("chat",), "since_s": since_s}
    values |= {"ended_s": None if lasted_s is None else since_s + lasted_s}
    return PastIncident(**(values | changes))  # type: ignore[arg-type]


def test_incidents_of_one_fingerprint_are_counted_with_how_long_they_take() -> None:
    past = [incident(at, lasted) for at, lasted in ((0, 600), (9_000, 2400), (50_000, 3000))]
    (seen,) = seen_before(past, "chat")
    assert (seen.times, seen.first_s, seen.last_s, seen.typical_s) == (3, 0, 50_000, 2400)


def times(*past: PastIncident) -> list[int]:
    return [one.times for one in seen_before(past, "chat")]


def test_two_that_overlap_are_one() -> None:
    assert times(incident(0, 600), incident(100, 900), incident(2_000, 60)) == [2]


def test_one_that_two_screens_saw_is_one_however_late_the_second_came() -> None:
    assert times(incident(0, 2400), incident(3, 2300)) == [1]
    assert times(incident(0, 2400), incident(2_000, 500)) == [1]


def test_clocks_that_differ_by_seconds_make_no_two_of_one() -> None:
    assert times(incident(0, 30), incident(35, 30)) == [1]
    assert times(incident(0, 30), incident(30 + SAME_S + 1, 30)) == [2]


def test_one_whose_run_was_killed_goes_on_for_as_long_as_it_was_seen() -> None:
    killed = incident(0, None, seen_s=300)
    (seen,) = seen_before([killed, incident(200, 2_000)], "chat")
    assert (seen.times, seen.first_s, seen.typical_s) == (1, 0, 2_200)
    assert times(killed, incident(400, 2_000)) == [2]
    # A week later the same trouble is another incident.
    assert times(killed, incident(7 * DAY_S, 600)) == [2]


def test_of_several_ends_the_last_counts() -> None:
    (seen,) = seen_before([incident(0, 2_000), incident(50, 100), incident(60, 40)], "chat")
    assert (seen.times, seen.typical_s) == (1, 2_000)
    # Who saw it longer, and not its end, knows that it had none yet.
    still = incident(50, None, seen_s=3_000)
    (seen,) = seen_before([incident(0, 2_000), still], "chat")
    assert (seen.times, seen.typical_s) == (1, None)


def test_what_an_agent_saw_of_its_own_place_is_what_a_screen_over_all_saw_meanwhile() -> None:
    wide = incident(0, 600, scope="from everywhere", routes=("chat@eu", "chat@us"))
    own = incident(20, 500, routes=("chat@eu",))
    elsewhere = incident(20, 500, routes=("chat@far",))
    alone = incident(9_000, 500, routes=("chat@eu",))
    assert [(one.scope, one.times) for one in seen_before([own, wide], "chat", "chat@eu")] == [
        ("from everywhere", 1)
    ]
    found = seen_before([own, wide, elsewhere, alone], "chat")
    assert [(one.scope, one.times) for one in found] == [("", 2), ("from everywhere", 1)]


def test_what_is_now_was_before_where_cause_and_route_are_the_same() -> None:
    past = [
        *(incident(at, lasted) for at, lasted in ((0, 600), (9_000, 2400), (50_000, 3000))),
        incident(60_000, cause="dns"),
        incident(60_000, routes=("other",)),
        incident(60_000, scope="from eu"),
    ]
    seen = seen_already(past, incident(90_000, None, scope="from everywhere"))
    assert seen is not None
    assert (seen.times, seen.first_s, seen.last_s, seen.typical_s) == (3, 0, 50_000, 2400)


def test_what_is_now_is_not_its_own_past_whoever_saw_it() -> None:
    present = incident(90_000, None)
    itself = incident(89_000, None, seen_s=90_050)  # this run, or another, has written it down
    assert seen_already([itself], present) is None
    assert seen_already([incident(90_003, None), incident(89_000, 995)], present) is None
    assert seen_already([], present) is None
    seen = seen_already([incident(10_000, 600), itself], present)
    assert seen is not None
    assert seen.times == 1


def test_another_cause_scope_or_route_is_another_fingerprint() -> None:
    past = [
        *(incident(0), incident(5_000, cause="dns"), incident(9_000, scope="from eu")),
        incident(20_000, names=("other",)),
    ]
    assert [(one.cause, one.scope) for one in seen_before(past, "chat")] == [
        *(("outage", "from eu"), ("dns", ""), ("outage", "")),
    ]


def test_one_that_never_ended_counts_and_takes_no_time() -> None:
    past = [incident(0, None), incident(9_000, None)]
    (seen,) = seen_before(past, "chat")
    assert (seen.times, seen.typical_s) == (2, None)
