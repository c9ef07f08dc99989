"""What a hand-over says of an incident, in words."""

from dataclasses import replace

import pytest
from handed import facts_of, recorded
from msgspec import structs

from probes.events import AttemptFinished, Cause, Diagnosis, Scope, SeenBefore
from probes.handover.document import Grid, Pairs, Paragraph, document
from probes.handover.facts import Facts, FiguresOfRoute, RouteFacts
from probes.handover.recorded_run import read_run
from probes.handover.tables import request_ids
from probes.handover.words import (
    BLAME,
    before_words,
    blame_words,
    felt_words,
    head_words,
    lost_words,
    said_words,
    summary_words,
)
from probes.kit.clock import NS_PER_S
from probes.run.incidents import IncidentRecord


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of(read_run([recorded(tmp_path_factory.mktemp("run") / "run.jsonl")]))


def with_figures(facts: Facts, figures: FiguresOfRoute) -> Facts:
    """Return the facts with other figures of what was hit while the incident stood."""
    hit: RouteFacts = replace(facts.routes[0], during=figures)
    return replace(facts, routes=(hit, *facts.routes[1:]))


def all_good(facts: Facts) -> Facts:
    probes = tuple(one._replace(is_good=True) for one in facts.probes)
    return replace(facts, probes=probes)


def test_what_was_felt_is_told_against_the_usual_where_it_is_another(facts: Facts) -> None:
    row = facts.routes[0].row
    assert row is not None
    usual = row.usual
    assert usual.ttft_p50
    assert usual.e2e_p50
    slow = FiguresOfRoute(finished=30, good=30, ttft_p50=usual.ttft_p50, e2e_p50=usual.e2e_p50 * 4)
    told = felt_words(with_figures(facts, slow))
    assert told.startswith("whole answer ")
    assert told.endswith(" (medians)")
    assert "first token" not in told
    as_usual = slow._replace(e2e_p50=usual.e2e_p50)
    assert felt_words(with_figures(facts, as_usual)) == ""


def test_that_nothing_was_lost_is_said(facts: Facts) -> None:
    figures = FiguresOfRoute(finished=37, good=37)
    told = lost_words(with_figures(all_good(facts), figures))
    assert told == "none of 37 probes failed or missed a goal"


def test_what_hung_beyond_the_end_is_told_with_how_long_it_took(facts: Facts) -> None:
    facts = all_good(facts)
    within = next(one for one in facts.probes if one.probe.started_ns >= facts.since_ns)
    probe = structs.replace(
        within.probe,
        route="alpha",
        outcome="ok",
        started_ns=facts.since_ns + NS_PER_S,
        at_ns=facts.since_ns + 122 * NS_PER_S,
    )
    hung = within._replace(probe=probe, is_good=False)
    facts = replace(facts, probes=(*facts.probes, hung))
    told = lost_words(with_figures(facts, FiguresOfRoute(finished=5, good=4)))
    assert told == (
        "none of 5 probes failed, 1 ended beyond a goal; "
        "1 more, begun in it, failed or came late after it; the slowest took 2m01s"
    )


def test_a_failure_without_a_word_of_the_servers_is_told_in_ours(facts: Facts) -> None:
    def silent(one: AttemptFinished) -> AttemptFinished:
        if one.outcome == "ok":
            return one
        return structs.replace(
            one, outcome="timeout", reason="timeout.first_token", message="", status=None
        )

    attempts = tuple(map(silent, facts.attempts))
    assert said_words(replace(facts, attempts=attempts)).startswith(
        "no first token in time (timeout.first_token), "
    )
    cut = tuple(
        structs.replace(one, reason="no_finish", status=200) if one.outcome == "timeout" else one
        for one in attempts
    )
    assert said_words(replace(facts, attempts=cut)).startswith(
        "200: the stream ended without its end mark (no_finish), "
    )


def test_where_no_probe_finished_nothing_is_called_good(facts: Facts) -> None:
    routes = tuple(replace(route, during=FiguresOfRoute()) for route in facts.routes)
    assert head_words(replace(facts, incident=None, routes=routes)).endswith(": no probe finished")


def test_what_was_refused_for_the_rate_is_called_so_and_no_head_says_429(facts: Facts) -> None:
    sections = {section.id: section for section in document(facts).sections}
    (grid, _) = sections["figures"].blocks
    assert isinstance(grid, Grid)
    assert "refused" in grid.head
    assert not any("429" in cell for cell in grid.head)


def test_advice_is_told_as_past_once_it_is_over(facts: Facts) -> None:
    assert facts.incident is not None
    head = dict(document(facts).head.rows)
    assert "What was advised" in head
    assert "What to do" not in head
    still = replace(facts, incident=replace(facts.incident, end=None))
    assert "What to do" in dict(document(still).head.rows)


def test_no_key_stands_where_nobody_has_one_under_the_finger(facts: Facts) -> None:
    sections = {section.id: section for section in document(facts).sections}
    (pairs, *_) = sections["evidence"].blocks
    assert isinstance(pairs, Pairs)
    assert not any("→" in text for _, text in pairs.rows)


def test_what_happened_has_the_alert_in_its_place_and_all_that_were_hit(facts: Facts) -> None:
    assert facts.incident is not None
    record = replace(facts.incident, routes=("alpha", "beta"))
    sections = {s.id: s for s in document(replace(facts, incident=record)).sections}
    (grid,) = sections["timeline"].blocks
    assert isinstance(grid, Grid)
    assert [row[1] for row in grid.rows][:3] == ["onset", "alert", "recovered"]
    assert [row[0] for row in grid.rows] == sorted(row[0] for row in grid.rows)
    assert grid.rows[0][2] == "alpha, beta"


def test_a_side_reads_as_an_answer_to_whose() -> None:
    for side in BLAME.values():
        assert "side" not in side


def test_what_still_hangs_is_told_with_its_age_until_the_incident_is_over(facts: Facts) -> None:
    assert facts.incident is not None
    row = facts.routes[0].row
    assert row is not None
    hanging = replace(
        facts.routes[0],
        row=structs.replace(row, overdue_open=2, oldest_open_s=45.2),
        during=FiguresOfRoute(),
    )
    over = replace(all_good(facts), routes=(hanging, *facts.routes[1:]))
    assert lost_words(over) == "no probe finished in it"
    still = replace(over, incident=replace(facts.incident, end=None))
    assert lost_words(still) == "no probe finished in it; 2 still open, for up to 45.2 s"
    none_ended = replace(still, probes=())
    sections = {section.id: section for section in document(none_ended).sections}
    assert sections["probes"].blocks == (
        Paragraph("Every probe that ended in this time was good. 2 still open, for up to 45.2 s."),
    )
    assert "BAD: failed, or slower than the goal (0 in all" in request_ids(none_ended)


def test_ids_of_what_was_merely_slower_are_called_so(facts: Facts) -> None:
    told = request_ids(all_good(facts))
    assert "BAD: within every goal, but slower than usual: those of the incident (" in told


def test_a_stretch_without_incident_has_neither_parts_nor_empty_evidence(facts: Facts) -> None:
    pages = document(replace(facts, incident=None, others=()))
    assert "Each route" in [section.title for section in pages.sections]
    assert "evidence" not in [section.id for section in pages.sections]
    assert pages.head.rows[2][0] == "From"


def test_a_count_is_told_once(facts: Facts) -> None:
    (last, *_) = facts.happenings
    burst = structs.replace(last, kind="throttled", text="429 ×9 in 7s", count=9)
    rest = structs.replace(last, kind="notice", text="no ids", count=3)
    pages = document(replace(facts, happenings=(burst, rest), alerts=()))
    (grid,) = next(section for section in pages.sections if section.id == "timeline").blocks
    assert isinstance(grid, Grid)
    assert [row[3] for row in grid.rows] == ["429 ×9 in 7s", "no ids (×3)"]


# ------------------------------------------------------------------ several places


def seen(scope: Scope, *places: str, cause: Cause = "provider_queueing") -> IncidentRecord:
    word = Diagnosis(
        at_ns=9,
        id="e1-1",
        state="named",
        cause=cause,
        routes=tuple(f"chat@{place}" for place in places),
        since_ns=5,
        scope=scope,
        places=places,
        of_places=3,
    )
    return IncidentRecord(word, 9, named_ns=9, routes=word.routes)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            seen("way", "eu", cause="network_path"),
            "the way between eu and the provider; seen from eu only: the way there (1 of 3 places)",
        ),
        (
            seen("network", "eu", cause="dns"),
            "eu's own network: all that it sees is hit, whoever provides it; "
            "seen from eu only: all that it sees, its own network (1 of 3 places)",
        ),
        (
            seen("machine", "eu", cause="local_observer"),
            "our own machine at eu: it was too busy to measure well",
        ),
        (
            seen("everywhere", "ap", "eu", "us"),
            "the provider's: the wait grew behind the connection; "
            "seen from everywhere: the provider (3 of 3 places)",
        ),
    ],
)
def test_whose_side_it_is_follows_from_where_it_is_seen(record: IncidentRecord, words: str) -> None:
    assert blame_words(record) == words


def test_the_head_says_from_where_it_is_seen(facts: Facts) -> None:
    told = head_words(replace(facts, incident=seen("way", "eu", cause="no_answer")))
    assert told == "chat@eu: answers nothing · from eu only: the way there (1 of 3 places)"
    late = head_words(replace(facts, incident=seen("machine", "eu", cause="local_observer")))
    assert late == "all routes at eu: the machine at eu is busy"


def test_what_was_seen_before_is_part_of_the_paragraph(facts: Facts) -> None:
    assert facts.incident is not None
    assert before_words(facts) == ""
    onset_ns = facts.wall_ns(facts.incident.since_ns)
    told = SeenBefore(
        at_ns=1,
        cause=facts.incident.word.cause,
        routes=facts.incident.routes,
        times=1,
        first_wall_ns=onset_ns - 2 * 86_400 * NS_PER_S,
        last_wall_ns=onset_ns - 2 * 86_400 * NS_PER_S,
        typical_s=60.0,
    )
    known = replace(facts, incident=replace(facts.incident, seen=told))
    assert before_words(known) == "seen once, 2 days ago, for 1m00s"
    assert "Before: seen once, 2 days ago, for 1m00s. On whose side: " in summary_words(known)
