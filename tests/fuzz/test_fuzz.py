"""A little of the fuzzing in every run of the tests, and all that it ever found."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import target  # noqa: E402
from fuzz import FOUND, Fuzzer  # noqa: E402
from minimise import minimised  # noqa: E402
from sample import Sample, load, save  # noqa: E402
from target import DIALECTS, Broken, check, read  # noqa: E402

from probes.answers.answer import Answer  # noqa: E402

MADE = 400
"""Samples made in a run of the tests, each read three times."""
GOOD = Sample(
    "chat",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n",
    b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n',
)


@pytest.mark.parametrize("seed", [1, 2])
def test_made_samples_come_to_nothing_wrong(seed: int) -> None:
    fuzzer = Fuzzer(seed)
    for _ in range(MADE):
        fuzzer.run_one()
    assert fuzzer.wrong == {}
    assert len(fuzzer.kinds) > MADE / 20


def test_the_same_seed_makes_the_same_samples() -> None:
    one, other = Fuzzer(7), Fuzzer(7)
    for fuzzer in (one, other):
        for _ in range(50):
            fuzzer.run_one()
    assert one.pool == other.pool


@pytest.mark.parametrize("file", sorted(FOUND.glob("*.json")), ids=lambda file: file.stem)
def test_what_was_found_once_is_right_now(file: Path) -> None:
    sample = load(file)
    if sample.dialect in DIALECTS:
        check(sample)


def test_a_sample_is_read_as_an_attempt_reads_it() -> None:
    reading = check(GOOD)
    assert (reading.status, reading.answer.outcome, reading.answer.text) == (200, "ok", "a")
    assert reading.event.text == "a"


def test_a_sample_survives_its_file(tmp_path: Path) -> None:
    sample = replace(GOOD, body=bytes(range(256)), end="reset", cuts=3)
    save(sample, "x", tmp_path / "x.json")
    assert load(tmp_path / "x.json") == sample


@pytest.mark.parametrize("framing", ["chunked", "length", "close", "raw"])
def test_the_pieces_are_the_wire(framing: str) -> None:
    for cuts in range(20):
        sample = replace(GOOD, framing=framing, cuts=cuts)
        assert b"".join(sample.pieces()) == sample.wire()


WRONG: dict[str, Callable[[Answer], Answer]] = {
    "a retry once a 200 began": lambda answer: _with(answer, retryable=True),
    "input_tokens is -1": lambda answer: _with(answer, input_tokens=-1),
    "figure nan": lambda answer: _with(answer, cost_usd=float("nan")),
    "half a character": lambda answer: _with(answer, response_id="\ud83d"),
    "ok with an error": lambda answer: _with(answer, message="no"),
    "text_chars": lambda answer: _with(answer, text_chars=9),
    "a failure without a reason": lambda answer: _with(answer, outcome="timeout"),
    "a first token": lambda answer: _with(answer, ttft_kind="none"),
}


def _with(answer: Answer, **changed: object) -> Answer:
    return type(answer)(**{**{n: getattr(answer, n) for n in answer.__struct_fields__}, **changed})


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_noticed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = target.AnswerReader.finish

    def wrong(reader: target.AnswerReader, ending: target.Ending) -> Answer:
        return WRONG[what](finish(reader, ending))

    monkeypatch.setattr(target.AnswerReader, "finish", wrong)
    with pytest.raises((Broken, UnicodeEncodeError), match=f"{what}|surrogates"):
        check(GOOD)


LAST = b'data: {"choices":[{"index":0,"delta":{"content":"b"}}]}\n\n'


@pytest.mark.parametrize(
    ("body", "changed", "what"),
    [
        (GOOD.body + LAST, {"outcome": "ok", "reason": ""}, "output came after the end"),
        (GOOD.body, {"outcome": "content_error", "reason": "empty"}, "an answer without any"),
    ],
)
def test_an_end_that_is_none_is_noticed(
    body: bytes, changed: dict[str, str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = target.AnswerReader.finish

    def wrong(reader: target.AnswerReader, *given: Any) -> Answer:
        return _with(finish(reader, *given), **changed)

    monkeypatch.setattr(target.AnswerReader, "finish", wrong)
    with pytest.raises(Broken, match=what):
        check(replace(GOOD, body=body, end="reset", framing="close"))


def test_another_answer_for_another_cut_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = target.AnswerReader.feed

    def forgetful(reader: target.AnswerReader, data: bytes, *more: Any) -> object:
        return feed(reader, data if len(data) > 1 else b" ", *more)

    monkeypatch.setattr(target.AnswerReader, "feed", forgetful)
    with pytest.raises(Broken, match="another cut"):
        check(GOOD)


def test_a_sample_is_made_small() -> None:
    def has_a(sample: Sample) -> bool:
        return read(sample, sample.pieces()).answer.text.startswith("a")

    small = minimised(replace(GOOD, body=b": ping\n\n" * 20 + GOOD.body + b"data: x\n\n"), has_a)
    assert has_a(small)
    assert len(small.body) < 60
    assert len(small.head) < 20
