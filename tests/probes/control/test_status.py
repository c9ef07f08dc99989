"""How several engines are, in one word."""

import pytest

from probes.control.status import HostState, HostStatus, worst_of


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (("running", "gave_up", "silent"), "gave_up"),
        (("running", "silent", "restarting"), "silent"),
        (("starting", "restarting"), "restarting"),
        (("running", "starting"), "starting"),
        (("stopped", "running"), "running"),
        (("stopped", "stopped"), "stopped"),
    ],
)
def test_several_engines_are_as_the_worst_of_them(
    states: tuple[HostState, ...], worst: HostState
) -> None:
    assert worst_of([HostStatus(state) for state in states]).state == worst


def test_the_worst_is_named_and_its_end_told() -> None:
    well = HostStatus("running", restarts=1, noise=2)
    ill = HostStatus("restarting", restarts=2, noise=3, detail="exit status 3", last_words="boom")
    status = worst_of([well, ill])
    assert (status.engine, status.detail) == ("engine 2 of 2", "exit status 3")
    assert (status.last_words, status.restarts, status.noise) == ("boom", 3, 5)


def test_a_silent_engine_is_named_without_the_end_of_the_one_before_it() -> None:
    silent = HostStatus("silent", silent_s=12.0, detail="exit status 3")
    status = worst_of([silent, HostStatus("running")])
    assert (status.engine, status.silent_s) == ("engine 1 of 2", 12.0)


def test_of_engines_that_run_the_one_that_was_started_again_last_is_told_of() -> None:
    first = HostStatus("running", since_s=50.0)
    again = HostStatus("running", since_s=9.0, restarts=1, detail="exit status 3")
    before = HostStatus("running", since_s=20.0, restarts=1, detail="exit status 4")
    status = worst_of([first, before, again])
    assert (status.since_s, status.engine) == (9.0, "engine 3 of 3")
    assert worst_of([first, first]).detail == ""
