"""What a hand-over counts: exact, of its own stretch, and good where the board says so."""

from dataclasses import replace
from pathlib import Path

import pytest
from handed import LIMITED, facts_of, recorded
from msgspec import structs

from probes.board.views import ChartPoint
from probes.events import AttemptStarted, Diagnosis, Event, Hello, ProbeFinished, Usual
from probes.handover.document import Grid, document
from probes.handover.facts import (
    SLOW_SHOWN,
    Facts,
    bad_of_incident,
    bad_probes,
    gather,
    good_probes,
    quantile,
    worst_probes,
)
from probes.handover.recorded_run import ReadRun, read_run
from probes.handover.window import (
    AFTER_NS,
    BEFORE_NS,
    UNASKED_NS,
    Stretch,
    stretch_of_incident,
    stretch_without_incident,
)
from probes.kit.clock import NS_PER_S
from probes.run.incidents import IncidentRecord
from probes.run.timeline import TimeSpan


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ReadRun:
    return read_run([recorded(tmp_path_factory.mktemp("run") / "run.jsonl")])


@pytest.fixture(scope="module")
def facts(run: ReadRun) -> Facts:
    return facts_of(run)


def incident(since_s: int, end_s: int | None) -> IncidentRecord:
    def word(at_s: int) -> Diagnosis:
        return Diagnosis(
            at_ns=at_s * NS_PER_S,
            id="e1",
            state="named",
            cause="outage",
            routes=("alpha",),
            since_ns=since_s * NS_PER_S,
        )

    end = None if end_s is None else word(end_s)
    return IncidentRecord(word(since_s + 5), since_s * NS_PER_S, end=end)


def test_a_stretch_is_of_the_incident_and_of_what_is_recorded() -> None:
    span = TimeSpan(0, 10_000 * NS_PER_S, is_cut=False)
    whole = stretch_of_incident(incident(1000, 2000), span)
    assert whole == (1000 * NS_PER_S - BEFORE_NS, 2000 * NS_PER_S + AFTER_NS)
    assert stretch_of_incident(incident(1000, None), span).end_ns == span.end_ns
    assert stretch_of_incident(incident(10, 9990), span) == span[:2]
    assert stretch_without_incident(span) == (span.end_ns - UNASKED_NS, span.end_ns)
    assert stretch_without_incident(span, -5, 10**18) == span[:2]
    assert stretch_without_incident(span, 7, 5) == (7, 7)


def test_counts_are_those_of_the_board_slice_by_slice(run: ReadRun) -> None:
    """Whole slices of the board, so that what both count is the same."""
    past = run.timeline.past()
    past.go(run.timeline.span.end_ns)
    frame = past.board.snapshot(window="run", detail_routes=("alpha",), anew=True)
    points: tuple[ChartPoint, ...] = frame.details["alpha"].percentiles.timeline
    begin_ns = points[10].start_ns
    stretch = Stretch(begin_ns, points[-4].start_ns - 1)
    alpha = next(one for one in gather(run.timeline, stretch).routes if one.info.name == "alpha")
    assert len(alpha.slices) == len(points) - 14
    for mine, theirs in zip(alpha.slices, points[10:-4], strict=True):
        assert mine.start_ns == theirs.start_ns
        told = (mine.finished, mine.good, mine.failed, mine.throttled)
        assert told == (theirs.finished, theirs.good, theirs.failures, theirs.throttled)


def test_parts_of_the_stretch_add_up(facts: Facts) -> None:
    for route in facts.routes:
        mine = [one for one in facts.probes if one.probe.route == route.info.name]
        parts = (route.before, route.during, route.after)
        assert sum(part.finished for part in parts) == len(mine)
        assert sum(part.good for part in parts) == sum(one.is_good for one in mine)
        assert sum(part.attempts for part in parts) == sum(
            one.route == route.info.name for one in facts.attempts
        )
        assert sum(one.finished for one in route.slices) == len(mine)


def test_the_worst_are_bad_of_the_routes_that_were_hit_and_of_different_kinds(
    facts: Facts,
) -> None:
    worst = worst_probes(facts)
    assert worst
    assert {one.probe.route for one in worst} == {"alpha"}
    assert not any(one.is_good for one in worst)
    kinds = [(one.probe.outcome, one.probe.reason) for one in worst]
    first = kinds[: len(set(kinds))]
    assert len(set(first)) == len(first)
    assert all(one.is_good and one.probe.outcome == "ok" for one in good_probes(facts))


def test_what_was_hit_is_told_first(tmp_path: Path) -> None:
    facts = facts_of(read_run([recorded(tmp_path / "run.jsonl", LIMITED)]))
    assert facts.routes[0].is_hit
    assert facts.routes[0].during.throttled > 20
    assert not any(route.is_hit for route in facts.routes[1:])


def test_a_stretch_is_read_with_its_hello_first_and_its_verdicts_in_place(
    run: ReadRun,
) -> None:
    span = run.timeline.recorded_span
    whole = list(run.timeline.between(span.begin_ns, span.end_ns))
    assert isinstance(whole[0], Hello)
    assert any(isinstance(one, Diagnosis) for one in whole)
    assert any(isinstance(one, Usual) for one in whole)
    begin_ns, end_ns = span.begin_ns + 200 * NS_PER_S, span.begin_ns + 320 * NS_PER_S
    part = list(run.timeline.between(begin_ns, end_ns))
    assert isinstance(part[0], Hello)
    # Events come in the order in which they were written, whose stamps may go back a little.
    last = next(at for at, one in enumerate(whole) if one.at_ns > end_ns)
    assert part[1:] == [one for one in whole[:last] if one.at_ns >= begin_ns]


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [([], None, None), ([3.0], 3.0, 3.0), ([1.0, 2.0], 1.0, 2.0), (list(range(1, 21)), 10, 19)],
)
def test_a_quantile_is_the_smallest_value_whose_rank_reaches_it(
    values: list[float], p50: float | None, p95: float | None
) -> None:
    assert quantile(values, 0.5) == p50
    assert quantile(values, 0.95) == p95


def slower(run: ReadRun) -> Facts:
    """Return the facts of a run in which nothing failed: the same incident, its probes all good."""
    facts = facts_of(run)
    probes = tuple(one._replace(is_good=True) for one in facts.probes)
    return replace(facts, probes=probes)


def test_where_none_was_bad_the_longest_of_the_incident_are_the_worst(run: ReadRun) -> None:
    facts = slower(run)
    worst = worst_probes(facts)
    assert len(worst) == SLOW_SHOWN
    for one in worst:
        assert one.probe.route == "alpha"
        assert one.probe.started_ns <= facts.end_ns
        assert one.probe.at_ns >= facts.since_ns
    inside = [one for one in bad_probes(facts) if one not in worst]
    assert min(one.lasted_s for one in worst) >= max(one.lasted_s for one in inside)
    assert worst_probes(replace(facts, incident=None)) == (), "a stretch without one has none"


def test_good_probes_of_the_incident_come_after_those_of_well_times(run: ReadRun) -> None:
    facts = slower(run)
    stood = [
        facts.since_ns <= one.probe.at_ns and one.probe.started_ns <= facts.end_ns
        for one in good_probes(facts)
    ]
    assert any(stood)
    assert stood == sorted(stood)


def test_what_began_in_the_incident_and_ended_after_it_is_bad_of_it(run: ReadRun) -> None:
    facts = facts_of(run)
    last = bad_of_incident(facts)[-1]
    late = last._replace(probe=structs.replace(last.probe, at_ns=facts.end_ns + NS_PER_S))
    probes = tuple(late if one is last else one for one in facts.probes)
    assert late in bad_of_incident(replace(facts, probes=probes))


def test_states_are_those_that_the_screen_showed(run: ReadRun) -> None:
    facts = facts_of(run)
    alpha = facts.routes[0]
    assert {"ok", "down"} <= {state for _, state in alpha.states}
    assert alpha.states[0][0] == facts.stretch.begin_ns
    past = run.timeline.past()
    for at_ns in range(facts.stretch.begin_ns, facts.stretch.end_ns, 7 * NS_PER_S):
        past.go(at_ns)
        shown = {row.name: row.state for row in past.board.snapshot(window="1m", anew=True).routes}
        for route in facts.routes:
            told = [state for from_ns, state in route.states if from_ns <= at_ns][-1]
            assert told == shown[route.info.name]


def test_how_far_it_is_grows_to_the_end(run: ReadRun) -> None:
    told: list[tuple[str, float | None]] = []
    span = run.timeline.recorded_span
    gather(run.timeline, span_stretch(span), progress=lambda *one: told.append(one))
    shares = [share for _, share in told if share is not None]
    assert {words for words, _ in told} == {"reading the recording"}
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert 0.9 < shares[-1] <= 1.0


def span_stretch(span: TimeSpan) -> Stretch:
    return Stretch(span.begin_ns, span.end_ns)


def as_open(event: Event) -> Event:
    """Return an event of a run whose paces are open, and whose probes wait two seconds for a
    place."""
    if isinstance(event, Hello):
        routes = [structs.replace(info, pace="poisson", rate=2.0) for info in event.routes]
        return structs.replace(event, routes=tuple(routes))
    if isinstance(event, ProbeFinished | AttemptStarted):
        began_ns = event.started_ns if isinstance(event, ProbeFinished) else event.at_ns
        return structs.replace(event, scheduled_ns=began_ns - 2 * NS_PER_S)
    return event


def test_scheduled_latency_stands_beside_the_rest_where_the_pace_is_open(
    facts: Facts, tmp_path: Path
) -> None:
    assert "scheduled" not in summary_of(facts)
    told = facts_of(read_run([recorded(tmp_path / "run.jsonl", change=as_open)]))
    during = next(route for route in told.routes if route.before.finished).before
    assert during.ttft_p95 is not None
    assert during.scheduled_ttft[1] == pytest.approx(during.ttft_p95 + 2.0, rel=1e-6)
    assert during.e2e_p50 is not None
    assert during.scheduled_e2e[0] == pytest.approx(during.e2e_p50 + 2.0, rel=1e-6)
    words = summary_of(told)
    assert "scheduled TTFT p50" in words
    assert "poisson 2/s" in words


def summary_of(facts: Facts) -> str:
    """Return all that the tables of a document hold."""
    blocks = [block for section in document(facts).sections for block in section.blocks]
    return "\n".join(
        " ".join((*block.head, *(cell for row in block.rows for cell in row)))
        for block in blocks
        if isinstance(block, Grid)
    )
