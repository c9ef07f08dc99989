"""The text of the one stream that is on preview."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from probes.answers.progress import Progress
from probes.config.scrubbing import Scrubber
from probes.engine.preview import TextPreview

SECRET = "sk-0123456789"


class Stage:
    """A preview and what it sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, str, bool]] = []
        self.preview = TextPreview(
            Scrubber(frozenset({SECRET})), lambda *sent: self.sent.append(sent)
        )
        self.preview.switch(True)

    def say(self, probe: str, text: str = "", reasoning: str = "", attempt: int = 0) -> None:
        self.preview.output(probe, attempt, Progress(text=text, reasoning=reasoning))

    def text(self) -> str:
        return "".join(text for _, _, text, _ in self.sent)


def test_nothing_is_sent_while_it_is_off() -> None:
    stage = Stage()
    stage.preview.switch(False)
    stage.say("p1", "hello")
    assert stage.sent == []


def test_the_first_stream_is_followed_to_its_end_and_then_another() -> None:
    stage = Stage()
    stage.say("p1", "a")
    stage.say("p2", "b")
    stage.say("p1", "c")
    stage.preview.ended("p2")
    stage.say("p1", "d")
    stage.preview.ended("p1")
    stage.say("p2", "e")
    assert [(probe, text) for probe, _, text, _ in stage.sent] == [
        ("p1", "a"),
        ("p1", "c"),
        ("p1", "d"),
        ("p2", "e"),
    ]


def test_half_a_character_is_never_sent() -> None:
    stage = Stage()
    stage.say("p1", "\ud83d")
    stage.preview.ended("p1")
    assert stage.text() == "\ufffd"


def test_reasoning_is_told_apart() -> None:
    stage = Stage()
    stage.say("p1", reasoning="hm")
    stage.say("p1", "no")
    assert [(text, reasoning) for _, _, text, reasoning in stage.sent] == [
        ("hm", True),
        ("no", False),
    ]


@given(st.lists(st.integers(1, len(SECRET) - 1), max_size=4))
def test_a_secret_never_passes_however_it_is_cut(cuts: list[int]) -> None:
    stage = Stage()
    whole = f"your key is {SECRET}, is it not"
    at = whole.index(SECRET)
    edges = sorted({0, *(at + cut for cut in cuts), len(whole)})
    for start, end in pairwise(edges):
        stage.say("p1", whole[start:end])
    stage.preview.ended("p1")
    assert stage.text() == "your key is [secret], is it not"


def test_what_only_looked_like_a_secret_comes_when_that_is_sure() -> None:
    stage = Stage()
    stage.say("p1", "sk-01")
    assert stage.text() == ""
    stage.say("p1", "x")
    assert stage.text() == "sk-01x"
    stage.say("p1", "s")
    stage.preview.ended("p1")
    assert stage.text() == "sk-01xs"
