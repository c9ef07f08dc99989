"""Every incident can be played: its scenario is one, and what is true of it lies within it."""

import pytest

from probes.simulator.library import parse_scenario
from wires.catalogue import BY_NAME, INCIDENTS, Course, Incident, shipped

COURSE = Course(30.0, 20.0, 10.0)


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda one: one.name)
def test_an_incident_can_be_played(incident: Incident) -> None:
    scene = incident.scene(COURSE)
    scenario = parse_scenario("stage", scene.stage.scenario.encode())
    models = {model.name: model for model in scenario.models}
    routes = {route.name: route for route in scene.stage.routes}
    assert {route.model for route in routes.values()} <= set(models)
    assert scene.stage.duration_s == COURSE.all_s
    for expected in scene.expected:
        assert expected.routes <= set(routes)
        assert COURSE.well_s <= expected.from_s < expected.to_s == COURSE.to_s
        assert expected.to_s + expected.grace_s >= COURSE.to_s


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda one: one.name)
def test_something_happens_then_and_only_then(incident: Incident) -> None:
    scene = incident.scene(COURSE)
    stage = scene.stage
    scenario = parse_scenario("stage", stage.scenario.encode())
    spans = (*stage.fronting, *stage.certificates, *stage.names, *stage.wire, *stage.load)
    bad = [span for span in spans if span.from_s > 0]
    onsets = {phase.start_s for model in scenario.models for phase in model.timeline.phases}
    changed = {
        model.name
        for model in scenario.models
        if model.timeline.at(COURSE.to_s - 1).conditions != model.timeline.at(0.0).conditions
    }
    for model in scenario.models:
        assert model.timeline.at(0.0).conditions == model.timeline.at(COURSE.to_s).conditions
    assert {(span.from_s, span.to_s) for span in bad} <= {(COURSE.well_s, COURSE.to_s)}
    assert COURSE.well_s in onsets
    assert bool(bad or changed) == bool(scene.expected)
    if changed:
        assert changed == set().union(*(expected.routes for expected in scene.expected))


def test_names_are_of_one_incident_each() -> None:
    assert len(BY_NAME) == len(INCIDENTS)


def test_every_cause_that_needs_a_stage_is_played() -> None:
    causes = {expected.cause for one in INCIDENTS for expected in one.scene(COURSE).expected}
    assert {"network_path", "dns", "tls", "connection_churn", "outage", "local_observer"} <= causes
    assert len(causes) >= 17


def test_a_scenario_that_ships_says_itself_what_is_true_of_it() -> None:
    scene = shipped("two-routes-queueing-and-errors").scene(COURSE)
    told = {(one.cause, *one.routes, one.from_s, one.to_s) for one in scene.expected}
    assert told == {
        ("provider_queueing", "hit-a", 120.0, 240.0),
        ("provider_errors", "hit-b", 120.0, 240.0),
    }
    assert scene.stage.duration_s == 240.0 + COURSE.after_s
    (one,) = shipped("all-routes-queueing").scene(COURSE).expected
    assert one.routes == {"hit-a", "hit-b", "hit-c"}, "one thing that is wrong with three routes"
