"""The embedded provider: a real OpenAI-compatible HTTP server on loopback, with a serving model,
scripted incidents, and a log of its own truth."""

from probes.simulator.library import (
    ScenarioError,
    UnknownScenarioError,
    demo_routes,
    load_scenario,
    scenario_names,
)
from probes.simulator.scenario import (
    Conditions,
    Faults,
    HostedModel,
    KnobTurn,
    Limits,
    Phase,
    Scenario,
    Serving,
    Timeline,
    TrueCause,
    TrueIncident,
    steady,
)
from probes.simulator.server import SimulatorServer, serve
from probes.simulator.truth import TruthRecord

__all__ = [
    "Conditions",
    "Faults",
    "HostedModel",
    "KnobTurn",
    "Limits",
    "Phase",
    "Scenario",
    "ScenarioError",
    "Serving",
    "SimulatorServer",
    "Timeline",
    "TrueCause",
    "TrueIncident",
    "TruthRecord",
    "UnknownScenarioError",
    "demo_routes",
    "load_scenario",
    "scenario_names",
    "serve",
    "steady",
]
