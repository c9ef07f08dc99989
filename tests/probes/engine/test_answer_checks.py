"""Answers are looked at in a process of its own, which may die of them."""

import os
import signal
import sys
import time
from pathlib import Path

import anyio
import pytest

from probes.answers import check_server
from probes.answers.check_server import CheckReply
from probes.config import Expect
from probes.engine import answer_checks
from probes.engine.answer_checks import MOST_WAITING, AnswerChecks, _without_secrets
from probes.kit.clock import SystemClock

pytestmark = pytest.mark.anyio

HARBOUR = Expect(contains="harbour")
PATTERN = Expect(pattern=r"^(a+)+$")
SCHEMA = Expect(json_schema={"type": "object", "required": ["a"]})
# What a schema of the user's own may ask of a hostile answer: each level tries all that is below
# it four times over.
SLOW = Expect(json_schema={"anyOf": [{"items": {"$ref": "#"}, "minItems": 99}] * 4})
SLOW_ANSWER = "[" * 60 + "1" + "]" * 60


class AheadClock(SystemClock):
    """The machine's clock, set forward by a test."""

    ahead_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns


def pid_of(checks: AnswerChecks) -> int:
    assert checks._process is not None
    return checks._process.pid


async def test_answers_are_looked_at_in_a_process_that_lives_on() -> None:
    checks = AnswerChecks(SystemClock())
    try:
        told = await checks.check(HARBOUR, "The harbour.", is_cut=False)
        assert told == CheckReply("right")
        first = pid_of(checks)
        assert (await checks.check(HARBOUR, "The sea.", is_cut=False)).finding == "wrong"
        assert (await checks.check(PATTERN, "a" * 90_000 + "!", is_cut=False)).finding == "wrong"
        assert (await checks.check(SCHEMA, '{"a": 1}', is_cut=False)).finding == "right"
        assert (await checks.check(SCHEMA, '{"a": ', is_cut=True)).finding == "open"
        assert (await checks.check(HARBOUR, "x" * 9_000_000, is_cut=False)).finding == "open"
        assert pid_of(checks) == first != os.getpid()
    finally:
        await checks.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_none_is_started_for_whoever_asks_nothing() -> None:
    checks = AnswerChecks(SystemClock())
    assert checks._process is None
    await checks.aclose()


async def test_many_at_once_have_each_their_own_answer() -> None:
    checks = AnswerChecks(SystemClock())
    found: dict[int, str | None] = {}

    async def ask(number: int) -> None:
        expect = HARBOUR if number % 2 else SCHEMA
        text = "harbour" if number % 4 == 1 else '{"a": 1}'
        found[number] = (await checks.check(expect, text, is_cut=False)).finding

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(ask, number)
    await checks.aclose()
    assert found == {n: "wrong" if n % 4 == 3 else "right" for n in range(40)}


async def test_an_answer_that_keeps_it_busy_costs_its_life_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_checks, "LONGEST_CHECK_S", 0.3)
    clock = AheadClock()
    checks = AnswerChecks(clock)
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    busy = pid_of(checks)
    began_s = time.monotonic()
    told = await checks.check(SLOW, SLOW_ANSWER, is_cut=False)
    assert told.finding is None
    assert "took longer" in told.words
    assert time.monotonic() - began_s < 5.0
    with pytest.raises(ProcessLookupError):
        os.kill(busy, 0)
    # The like of it rests; what others expect is looked at, by the next process.
    began_s = time.monotonic()
    assert (await checks.check(SLOW, SLOW_ANSWER, is_cut=False)).finding is None
    assert time.monotonic() - began_s < 0.2
    assert checks._process is None
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    next_one = pid_of(checks)
    clock.ahead_ns = answer_checks._REST_NS
    assert "took longer" in (await checks.check(SLOW, SLOW_ANSWER, is_cut=False)).words
    assert checks._process is None != next_one
    await checks.aclose()


async def test_one_that_died_is_started_again() -> None:
    clock = AheadClock()
    checks = AnswerChecks(clock)
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    os.kill(pid_of(checks), signal.SIGKILL)
    told = await checks.check(HARBOUR, "harbour", is_cut=False)
    assert told.finding is None
    assert "ended" in told.words
    assert (await checks.check(PATTERN, "aaa", is_cut=False)).finding == "right"
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding is None
    clock.ahead_ns = answer_checks._REST_NS
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    await checks.aclose()


async def test_one_that_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    clock = AheadClock()
    checks = AnswerChecks(clock)
    told = await checks.check(HARBOUR, "harbour", is_cut=False)
    assert told.finding is None
    assert "No such file" in told.words
    monkeypatch.undo()
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding is None
    clock.ahead_ns = answer_checks._START_AGAIN_NS
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    await checks.aclose()


async def test_who_stops_waiting_leaves_no_answer_to_the_next() -> None:
    checks = AnswerChecks(SystemClock())
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    with anyio.move_on_after(0.1) as scope:
        await checks.check(SLOW, SLOW_ANSWER, is_cut=False)
    assert scope.cancelled_caught
    assert checks._process is None
    assert (await checks.check(HARBOUR, "The sea.", is_cut=False)).finding == "wrong"
    await checks.aclose()


async def test_what_waits_is_bounded() -> None:
    checks = AnswerChecks(SystemClock())
    checks._waiting = MOST_WAITING
    told = await checks.check(HARBOUR, "harbour", is_cut=False)
    assert told == CheckReply(None, "too many answers wait for their look")


async def test_an_expectation_that_cannot_be_prepared_is_told_for_each_answer() -> None:
    checks = AnswerChecks(SystemClock())
    broken = Expect(pattern="(?=a)")  # as no file has it
    for _ in range(2):
        told = await checks.check(broken, "a", is_cut=False)
        assert told.finding is None
    assert (await checks.check(HARBOUR, "harbour", is_cut=False)).finding == "right"
    await checks.aclose()


def test_it_is_given_no_secret() -> None:
    given = {"PATH": "/bin", "OPENAI_API_KEY": "sk-1", "HTTPS_PROXY": "http://u:p@h", "LANG": "C"}
    assert _without_secrets(given) == {"PATH": "/bin", "LANG": "C"}


def test_a_check_that_nobody_waits_for_ends_by_itself() -> None:
    assert check_server.LONGEST_CHECK_S == answer_checks.LONGEST_CHECK_S
    assert hasattr(signal, "alarm") == (sys.platform != "win32")
