"""Where the waits between the attempts of a probe lie, as its strip shows them."""

from probes.board.probe_log import BYTES_KEPT, ProbeLog
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.kit.clock import NS_PER_S

START = 5 * NS_PER_S


def attempt(number: int, started_s: float | None, ended_s: float | None) -> AttemptFinished:
    def stamp(value: float | None) -> int | None:
        return None if value is None else START + int(value * NS_PER_S)

    stamps = StampLadder(started=stamp(started_s), ended=stamp(ended_s))
    return AttemptFinished(
        at_ns=START + number, route="r", probe="1-1", attempt=number, outcome="ok", stamps_ns=stamps
    )


def waits_of(*attempts: AttemptFinished) -> tuple[tuple[float, float], ...]:
    log = ProbeLog()
    for one in attempts:
        log.attempt_ended(one, BYTES_KEPT)
    probe = ProbeFinished(
        at_ns=START + 9 * NS_PER_S, route="r", probe="1-1", outcome="ok", attempts=len(attempts),
        started_ns=START, scheduled_ns=START,
    )  # fmt: skip
    log.probe_ended(probe, BYTES_KEPT, is_good=True)
    return log.views()[0].waits_s


def test_each_wait_lies_from_the_end_of_an_attempt_to_the_start_of_the_next() -> None:
    attempts = attempt(0, 0.0, 0.25), attempt(1, 1.25, 1.5), attempt(2, 3.5, 4.0)
    assert waits_of(*attempts) == ((0.25, 1.25), (1.5, 3.5))


def test_one_attempt_has_no_wait() -> None:
    assert waits_of(attempt(0, 0.0, 1.0)) == ()
    assert waits_of() == ()


def test_what_is_not_known_is_not_drawn() -> None:
    assert waits_of(attempt(0, 0.0, None), attempt(1, 1.0, 2.0)) == ()
    assert waits_of(attempt(0, 0.0, 0.5), attempt(1, None, 2.0)) == ()
    assert waits_of(attempt(0, 0.0, 2.0), attempt(1, 1.0, 3.0)) == ()
