"""Reads that are taken by their bytes say what they say when they are decoded: all of it.

Each stream is read three times: as the engine reads it, by templates; by decoders, each event the
short way; and each event the long way. Stamps, counts and the answer must be the same.
"""

import base64
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_cases import CASES

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.answers.flow import Template, learned
from probes.engine.stamp_recorder import StampRecorder

STREAM = {"content-type": "text/event-stream"}
LINES = {"content-type": "application/x-ndjson"}
MS = 1_000_000

Read = tuple[bytes, bool]
"""What a read brought, and whether more than body came after it."""


class ByDecoders(AnswerReader):
    """Compares no bytes."""

    def more(self, data: bytes) -> int:
        return 0

    def _several(self, data: bytes, trailed: bool) -> None:
        return None


class TheLongWay(ByDecoders):
    """Takes no event for a usual one."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        usual = type(self._interpreter)
        self._interpreter.__class__ = type(
            usual.__name__, (usual,), {"__slots__": (), "usual": lambda *_: None}
        )


WAYS = (AnswerReader, ByDecoders, TheLongWay)


def told(
    kind: type[AnswerReader], api: str, headers: dict[str, str], reads: Sequence[Read]
) -> tuple[list[tuple[object, ...]], Answer, int]:
    """Read a stream as an attempt does; return what each read said, the answer, and how many reads
    were taken by their bytes."""
    reader = kind(200, headers, dialect_for(api), keep_text=True, wall_ns=0)
    recorder, facts, short, terminal = StampRecorder(stall_ns=5 * MS), [], 0, False
    recorder.stamp("started", 0)
    for number, (data, trailed) in enumerate(reads, 1):
        at_ns = number * number * MS
        characters = reader.more(data) if recorder.chunks and not trailed else 0
        if characters:
            short, terminal = short + 1, False
            recorder.more(characters, at_ns)
        else:
            progress = reader.feed(data, trailed)
            if progress.output:
                if progress.answer:
                    recorder.stamp("first_answer", at_ns, exact=progress.first_is_newest)
                recorder.output(progress, at_ns)
            terminal = progress.terminal
        facts.append((*map(repr, dataclasses.astuple(recorder)), reader.events, terminal))
    return facts, reader.finish("complete"), short


def alike(api: str, headers: dict[str, str], reads: Sequence[Read]) -> int:
    """Require that all ways say the same; return how many reads were taken by their bytes."""
    (facts, answer, short), *others = (told(kind, api, headers, reads) for kind in WAYS)
    for other_facts, other_answer, _ in others:
        assert facts == other_facts
        assert answer == other_answer
    return short


def chat(words: bytes, more: bytes = b"") -> bytes:
    return (
        b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{"content":"' + words + b'"},"finish_reason":null}]' + more + b"}\n\n"
    )


def thinking(words: bytes) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"' + words + b'"}}]}\n\n'


def messages(words: bytes) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"' + words + b'"}}\n\n'
    )


def responses(words: bytes) -> bytes:
    return (
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
        b'"item_id":"m","output_index":0,"content_index":0,"delta":"' + words + b'"}\n\n'
    )


def ollama(words: bytes) -> bytes:
    return b'{"model":"m","message":{"role":"assistant","content":"' + words + b'"},"done":false}\n'


def completions(words: bytes) -> bytes:
    return b'data: {"id":"c","choices":[{"index":0,"text":"' + words + b'"}]}\n\n'


def stingy(words: bytes) -> bytes:
    """Every second chunk has a time of its own."""
    return chat(words, b',"created":%d' % (len(words) % 2))


SHAPES: dict[str, tuple[str, dict[str, str], Callable[[bytes], bytes]]] = {
    "chat": ("chat", STREAM, chat),
    "reasoning": ("chat", STREAM, thinking),
    "changing": ("chat", STREAM, stingy),
    "messages": ("messages", STREAM, messages),
    "responses": ("responses", STREAM, responses),
    "ollama": ("ollama", LINES, ollama),
    "completions": ("completions", STREAM, completions),
}
ENDS = (
    b"data: [DONE]\n\n",
    b": ping\n\n",
    b"\n",
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
    b'data: {"error":{"message":"no"}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b'data: {"type":"response.output_text.delta","item_id":"m","output_index":0,'
    b'"content_index":1,"delta":"x"}\n\n',
    b'{"model":"m","message":{"content":""},"done":true,"eval_count":3}\n',
)
HOSTILE = (
    *(b'"', b"\\", b'\\"', b"\\n", b"\\u0041", b"\\ud800", b"\n", b"\r", b"\t", b"\0", b"\x7f"),
    *(b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x80\xa8", b"\xc2\xa0"),
    *("é".encode(), "漢".encode(), "😀".encode(), b"}", b"]", b"{" * 9, b"\n\n", b"data: "),
    *(b'","content":"', b'"},"', b'"}}]}\n\n', b'","finish_reason":"stop', b"\xef\xbb\xbf"),
    *(b'","\\u0063ontent":"x', b'"}}]}\n\ndata: [DONE]\n\n', b'","delta":{"content":"y"},"z":"'),
    b'","usage":{"completion_tokens":9},"x":"',
)

words = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=6).map(lambda text: text.encode()),
    st.sampled_from((b"", b"a", b" the", b"content", b"c-1", b"m")),
    st.lists(st.sampled_from((*HOSTILE, b"a", b" b")), max_size=3).map(b"".join),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, dict[str, str], list[Read]]:
    api, headers, shape = SHAPES[draw(st.sampled_from(sorted(SHAPES)))]
    plain = st.sampled_from((b"a", b" word", "é".encode()))
    steady = draw(st.lists(plain, min_size=3, max_size=6))
    wild = draw(st.lists(st.one_of(words, plain), max_size=12))
    events = [shape(one) for one in (*steady, *wild)]
    for _ in range(draw(st.integers(0, 2))):
        events.insert(draw(st.integers(0, len(events))), draw(st.sampled_from(ENDS)))
    if api == "messages":
        events.insert(0, b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n')
    reads: list[Read] = []
    while events:  # some come together, and some reads end in the middle
        taken = draw(st.sampled_from((1, 1, 1, 1, 2, 3)))
        data, events = b"".join(events[:taken]), events[taken:]
        cut = draw(st.sampled_from((None, None, None, None, 1, 7, -1, -2)))
        parts = [data] if cut is None else [data[:cut], data[cut:]]
        reads += [(part, draw(st.sampled_from((False, False, False, True)))) for part in parts]
    return api, headers, reads


@settings(max_examples=400, deadline=None)
@given(streams())
def test_whatever_comes_is_told_the_same_by_bytes_and_decoded(
    stream: tuple[str, dict[str, str], list[Read]],
) -> None:
    alike(*stream)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.get("frames") and case["status"] == 200],
    ids=lambda case: case["name"],
)
def test_what_servers_really_send_is_told_the_same(case: dict[str, Any]) -> None:
    frames = [base64.b64decode(frame["bytes_b64"]) for frame in case["frames"]]
    again = [frame for frame in frames for _ in range(4)]  # as a stream of more words would be
    pairs = [b"".join(again[at : at + 2]) for at in range(0, len(again), 2)]
    for reads in (frames, again, pairs, [*pairs[:3], *again]):
        alike(case["api"], case["headers"], [(read, False) for read in reads])


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_usual_reads_are_taken_by_their_bytes(name: str) -> None:
    api, headers, shape = SHAPES[name]
    start = [b'data: {"type":"message_start","message":{}}\n\n'] if api == "messages" else []
    reads = [*start, *(shape(b" word%d" % (number % 10)) for number in range(200))]
    assert alike(api, headers, [(read, False) for read in reads]) >= 196


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
def test_words_that_could_be_anything_else_are_decoded(hostile: bytes) -> None:
    usual = [(chat(b" word"), False)] * 4
    for data in (chat(hostile), chat(b"a" + hostile + b"b"), chat(b"a") + chat(hostile)):
        alike("chat", STREAM, [*usual, (data, False), *usual])


def test_words_that_stand_elsewhere_too_are_found_where_they_count() -> None:
    twice = chat(b"m", b',"system_fingerprint":"m"')
    reads = [twice, twice, twice, chat(b"n", b',"system_fingerprint":"m"'), chat(b"n")]
    alike("chat", STREAM, [(read, False) for read in reads])


def test_of_a_doubled_key_the_one_that_counts_is_learned() -> None:
    def doubled(words: bytes) -> bytes:
        return b'data: {"choices":[{"delta":{"content":"a","content":"' + words + b'"}}]}\n\n'

    reads = [doubled(b"a"), doubled(b"a"), doubled(b"a"), doubled(b"b"), doubled(b"a")]
    assert alike("chat", STREAM, [(read, False) for read in reads]) >= 3


def test_words_told_under_two_names_are_never_learned_by_one() -> None:
    def both(words: bytes, other: bytes) -> bytes:
        delta = b'{"reasoning_content":"' + words + b'","reasoning":"' + other + b'"}'
        return b'data: {"choices":[{"delta":' + delta + b"}]}\n\n"

    reads = [both(b"a", b"a")] * 4 + [both(b"b", b"a"), both(b"", b"c"), both(b"d", b"")]
    alike("chat", STREAM, [(read, False) for read in reads])


def test_what_the_decoder_does_not_find_in_the_place_is_not_learned() -> None:
    data = json.dumps({"a": "x", "b": "x"}).encode()
    found = learned(data, "x", lambda other: str(json.loads(other)["a"]))
    assert found is not None
    assert found.words(b'{"a": "yes", "b": "x"}') == "yes"
    assert learned(data, "x", lambda other: "x") is None
    assert learned(data, "z", lambda other: "z+") is None


@pytest.mark.parametrize(
    "data", [b"<>", b"<", b"", b"<a", b"a>", b'<">', b"<\\>", b"<\n>", b"<\xff>"]
)
def test_a_template_takes_nothing_but_plain_words_between_its_bytes(data: bytes) -> None:
    assert Template(b"<", b">").words(data) == ""
    assert Template(b"<", b">").several(data) == []


def test_several_are_all_plain_or_none() -> None:
    template = Template(b"<", b">")
    assert template.words(b"<\xc3\xa9>") == "é"
    assert template.several(b"<a><\xc3\xa9>") == ["a", "é"]
    for data in (b"<a><>", b"<\xc3><\xa9>", b'<a><">', b"<a><b"):
        assert template.several(data) == []
