"""A kept recording is judged anew, by what is true of it and what is said today."""

import random
from pathlib import Path

import msgspec
from board_streams import ProbeScript, at, hello, tick

from probes.events import Event, RouteCounts
from probes.events.stream import encode_event
from wires.catalogue import Expected
from wires.live import Facts, again


def recorded(path: Path, failing: range) -> None:
    """A route at a probe a second for three minutes, in some of which nobody listens."""
    chance = random.Random(1)
    events: list[Event] = [hello()]
    for second in range(1, 180):
        ill = second in failing
        script = ProbeScript(
            f"p{second}",
            second + 0.1,
            ttft_s=None if ill else 0.2 * chance.lognormvariate(0.0, 0.1),
            e2e_s=0.01 if ill else 0.6,
            outcome="protocol_error" if ill else "ok",
            reason="connect.refused" if ill else "",
        )
        counts = RouteCounts(route="alpha", in_flight=0, target=1)
        events += [*script.events(), tick(second + 0.9, counts)]
    path.write_bytes(b"".join(encode_event(event) for event in events))


def kept(folder: Path, failing: range) -> tuple[Path, Path]:
    recording, facts = folder / "outage.jsonl", folder / "outage.facts.json"
    recorded(recording, failing)
    outage = Expected("outage", frozenset({"alpha"}), 100.0, 130.0)
    said = Facts(incident="outage", start_ns=at(0), end_ns=at(180), expected=(outage,))
    facts.write_bytes(msgspec.json.encode(said))
    return recording, facts


def test_what_happened_is_found_in_the_recording_again(tmp_path: Path) -> None:
    outcome = again(*kept(tmp_path, range(100, 130)))
    (verdict,) = outcome.judgement.verdicts
    assert outcome.incident == "outage"
    assert outcome.judgement.is_right, outcome.judgement
    assert verdict.named_after_s is not None
    assert verdict.named_after_s < 10.0
    assert outcome.attempts["alpha protocol_error connect.refused"] == 30
    assert outcome.attempts["alpha ok"] == 149


def test_what_did_not_happen_is_not(tmp_path: Path) -> None:
    outcome = again(*kept(tmp_path, range(0)))
    assert [verdict.mistakes for verdict in outcome.judgement.verdicts] == [["not named"]]
    assert not outcome.judgement.is_right
