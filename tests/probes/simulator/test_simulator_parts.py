"""The small parts: prefix cache, prose, truth log, host names."""

from random import Random

import pytest

from probes.simulator.access import is_loopback_host
from probes.simulator.prefix_cache import PrefixCache
from probes.simulator.prose import Prose, asked_word, count_tokens
from probes.simulator.truth import TruthLog, TruthRecord


def test_the_cache_finds_the_longest_common_prefix_in_whole_blocks() -> None:
    cache = PrefixCache()
    cache.store(b"a" * 64 + b"b" * 64 + b"c" * 10, capacity=10)
    assert cache.lookup(b"a" * 64 + b"b" * 64 + b"other") == 32
    assert cache.lookup(b"a" * 64 + b"z" * 64) == 16
    assert cache.lookup(b"b" * 64) == 0


def test_the_cache_forgets_the_least_recently_used() -> None:
    cache = PrefixCache()
    cache.store(b"a" * 64, capacity=2)
    cache.store(b"b" * 64, capacity=2)
    assert cache.lookup(b"a" * 64) == 16
    cache.store(b"c" * 64, capacity=2)
    assert [cache.lookup(letter * 64) for letter in (b"a", b"b", b"c")] == [16, 0, 16]


def test_prose_gives_one_word_a_token_and_repeats_with_its_seed() -> None:
    text = Prose(Random(5)).tokens(40)
    assert len(text.split()) == 40
    assert Prose(Random(5)).tokens(40) == text
    assert Prose(Random(6)).tokens(40) != text


def test_a_model_begins_with_the_word_that_it_is_asked_for() -> None:
    asked = b"<|system|>Be brief.<|user|>Answer with the one word: harbour"
    assert asked_word(asked) == b"harbour"
    assert asked_word(b"Say the one word: harbour. \n") == b"harbour"
    for other in (
        b"Write about the sea.",
        b"the one word: harbour, or not",
        b"the one word: ",
        b"",
    ):
        assert asked_word(other) == b""
    said = Prose(Random(5), "harbour")
    assert said.tokens(1) == "harbour."
    assert said.tokens(2).startswith(" ")
    assert len(Prose(Random(5), "harbour").tokens(40).split()) == 40


def test_a_prompt_has_a_token_for_every_four_bytes_begun() -> None:
    assert [count_tokens(b"x" * size) for size in (0, 4, 5)] == [1, 1, 2]


def test_the_truth_log_is_bounded_and_says_what_it_forgot() -> None:
    log = TruthLog(capacity=3)
    for number in range(5):
        log.add(TruthRecord(request_id=str(number), read_ns=number))
    page = log.page(since=3)
    assert [record.n for record in page.records] == [4, 5]
    assert (page.last, page.dropped) == (5, 2)
    assert len(log.page().records) == 3


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9:80", True),
        ("localhost:8080", True),
        ("[::1]", True),
        ("[::1]:80", True),
        ("", False),
        ("[::1]evil", False),
        ("[2001:db8::1]", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("0.0.0.0", False),  # noqa: S104 - a name to refuse
    ],
)
def test_only_loopback_names_are_loopback(host: str, allowed: bool) -> None:
    assert is_loopback_host(host) is allowed
