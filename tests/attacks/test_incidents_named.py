"""What is wrong is named while it is, and not much longer: a few incidents, live.

`tests/bench/incidents.py` plays many more and judges them more finely; here stand those that must
not break unnoticed, each some three minutes of real time.
"""

from pathlib import Path

import pytest
from wires.catalogue import BY_NAME, Course
from wires.live import run, why_not

pytestmark = pytest.mark.long

COURSE = Course(well_s=75.0, ill_s=45.0, after_s=65.0)


@pytest.mark.parametrize("name", ["hang", "outage", "wire"])
def test_an_incident_is_named_in_time_and_cleared(name: str, tmp_path: Path) -> None:
    incident = BY_NAME[name]
    if reason := why_not(incident.scene(COURSE)):
        pytest.skip(reason)
    outcome = run(incident, COURSE, tmp_path)
    judgement, observer = outcome.judgement, outcome.observer
    told = (judgement, observer, outcome.attempts)
    assert judgement.wrong_s <= 10.0, told
    assert [verdict.mistakes for verdict in judgement.verdicts] == [[]], told
    assert outcome.replays_alike
