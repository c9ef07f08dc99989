"""A whole answer is held against what is expected, told once, and never asked for again."""

import json
from dataclasses import replace

import pytest
from scripted import Script, chat, refusal, sse
from test_probe import SECRET, Desk

from probes.answers.check_server import CheckReply
from probes.answers.right_answer import Expectation
from probes.config import Expect
from probes.config.prompts import Message, Prompt
from probes.events import AttemptFinished, Notice, ProbeFinished

pytestmark = pytest.mark.anyio

HARBOUR = Expect(contains="harbour")


class InThisProcess:
    """Looks at answers at once."""

    def __init__(self, reply: CheckReply | None = None) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._reply = reply

    async def check(self, expect: Expect, text: str, *, is_cut: bool) -> CheckReply:
        self.asked.append((text, is_cut))
        if self._reply is not None:
            return self._reply
        told = Expectation(expect).judge(text, is_cut=is_cut)
        return CheckReply(told.finding, told.words)


def desk_of(
    *scripts: Script, checker: InThisProcess | None = None, expect: Expect = HARBOUR
) -> tuple[Desk, InThisProcess]:
    desk = Desk(*scripts, expect=expect)
    checker = checker or InThisProcess()
    desk.tools.checker = checker
    return desk, checker


def attempts(desk: Desk) -> list[AttemptFinished]:
    return desk.of(AttemptFinished)


async def test_a_right_answer_is_ok_and_said_to_be_right() -> None:
    desk, checker = desk_of(chat("The ", "harbour."))
    finished = await desk.run()
    assert finished is not None
    assert finished.outcome == "ok"
    (attempt,) = attempts(desk)
    assert attempt.right is True
    assert attempt.text is None  # looked at, and not kept
    assert checker.asked == [("The harbour.", False)]


async def test_a_wrong_answer_is_told_and_never_asked_for_again() -> None:
    desk, _ = desk_of(chat("The sea."), chat("harbour"))
    finished = await desk.run()
    assert finished is not None
    assert (finished.outcome, finished.reason) == ("content_error", "wrong_answer")
    assert finished.attempts == 1
    assert len(desk.network.requests) == 1
    (attempt,) = attempts(desk)
    assert attempt.message == 'expected "harbour" in it; came "The sea."'
    assert (attempt.right, attempt.retryable, attempt.retry) == (False, False, None)
    assert (attempt.status, attempt.output_tokens, attempt.finish_reason) == (200, 1, "stop")
    assert attempt.stamps_ns.done is not None
    assert [type(event) for event in desk.events][-2:] == [AttemptFinished, ProbeFinished]
    assert len(desk.settled) == 1


async def test_a_secret_that_comes_back_is_not_in_the_example() -> None:
    desk, _ = desk_of(chat(f"key {SECRET} and {SECRET[:12]}"))
    await desk.run()
    (attempt,) = attempts(desk)
    assert SECRET not in attempt.message
    assert SECRET[:12] not in attempt.message
    assert attempt.message.startswith('expected "harbour" in it; came "key ')


async def test_what_failed_is_not_wrong_besides() -> None:
    cut = replace(chat("The sea"), parts=chat("The sea").parts[:1])
    for script in (refusal(401), cut, chat()):
        desk, checker = desk_of(script, checker=None)
        desk.admit_answers = [True, False]
        await desk.run()
        assert checker.asked == []
        assert {one.right for one in attempts(desk)} == {None}
        assert "wrong_answer" not in {one.reason for one in attempts(desk)}


def ended_by_its_cap(text: str) -> Script:
    delta = sse({"choices": [{"index": 0, "delta": {"content": text}}]})
    finish = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
    return Script(parts=((0.0, delta), (0.0, finish + sse("[DONE]"))))


async def test_an_answer_that_its_cap_cut_is_not_wrong_for_what_is_missing() -> None:
    desk, checker = desk_of(
        ended_by_its_cap('{"a": '), expect=Expect(json_schema={"type": "object"})
    )
    finished = await desk.run()
    assert finished is not None
    assert finished.outcome == "ok"
    assert checker.asked == [('{"a": ', True)]
    (attempt,) = attempts(desk)
    assert attempt.right is None
    (notice,) = desk.of(Notice)
    assert notice.text == (
        "answers are cut by the cap of 64 tokens before what is expected of them has come:"
        " raise max_tokens"
    )


async def test_an_answer_that_its_cap_cut_is_wrong_for_what_is_there() -> None:
    desk, _ = desk_of(ended_by_its_cap("I am sorry"), expect=Expect(lacks="sorry"))
    finished = await desk.run()
    assert finished is not None
    assert finished.reason == "wrong_answer"


async def test_a_call_is_looked_at_where_there_is_no_text() -> None:
    call = {"index": 0, "id": "c", "type": "function"}
    call["function"] = {"name": "f", "arguments": json.dumps({"a": 1})}
    delta = sse({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    finish = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    script = Script(parts=((0.0, delta), (0.0, finish + sse("[DONE]"))))
    desk, checker = desk_of(script, expect=Expect(json_schema={"required": ["a"]}))
    await desk.run()
    assert checker.asked == [('{"a": 1}', False)]
    assert attempts(desk)[0].right is True


async def test_an_answer_that_could_not_be_looked_at_is_neither_right_nor_wrong() -> None:
    reply = CheckReply(None, f"the process is gone {SECRET}")
    desk, _ = desk_of(chat("The sea."), checker=InThisProcess(reply))
    finished = await desk.run()
    assert finished is not None
    assert finished.outcome == "ok"
    assert attempts(desk)[0].right is None
    (notice,) = desk.of(Notice)
    assert notice.text.startswith("an answer was not checked: the process is gone")
    assert SECRET not in notice.text


async def test_what_is_said_of_it_is_said_once() -> None:
    desk, _ = desk_of(ended_by_its_cap("The"))
    await desk.run()
    desk.probe = type(desk.probe)(
        "1-2",
        desk.tools,
        desk.network.transport(desk.route, desk.clock),
        scheduled_ns=desk.clock.now_ns,
    )
    await desk.run()
    assert len(attempts(desk)) == 2
    assert len(desk.of(Notice)) == 1


async def test_what_a_prompt_expects_takes_the_place_of_what_its_route_does() -> None:
    says = (Message(role="user", text="Where?"),)
    for own, outcome in ((Expect(contains="sea"), "ok"), (None, "content_error"), (Expect(), "ok")):
        prompt = Prompt(name="a", messages=says, expect=own)
        desk = Desk(chat("The sea."), expect=HARBOUR, prompts=(prompt,))
        desk.tools.checker = checker = InThisProcess()
        finished = await desk.run()
        assert finished is not None
        assert finished.outcome == outcome
        assert len(checker.asked) == (0 if own == Expect() else 1)


async def test_nothing_is_looked_at_where_nothing_is_expected() -> None:
    desk, checker = desk_of(chat("The sea."), expect=Expect())
    await desk.run()
    assert checker.asked == []
    assert attempts(desk)[0].right is None


async def test_an_answer_is_kept_where_that_is_asked_for() -> None:
    desk, _ = desk_of(chat("The sea."))
    desk.tools.include_text = True
    await desk.run()
    assert attempts(desk)[0].text == "The sea."
