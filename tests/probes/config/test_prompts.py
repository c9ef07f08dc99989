"""Generated prompts have the size that was asked for, each time the same."""

import pytest

from probes.config.prompts import estimate_tokens, generated_prompt


@pytest.mark.parametrize("tokens", [1, 2, 13, 250, 16_000])
def test_a_generated_prompt_has_the_wanted_size_and_is_always_the_same(tokens: int) -> None:
    prompt = generated_prompt(tokens)
    assert estimate_tokens(prompt) == tokens
    assert len(prompt) == 4 * tokens
    assert generated_prompt(tokens) == prompt


def test_a_generated_prompt_is_plain_words() -> None:
    prompt = generated_prompt(500)
    assert prompt.isascii()
    assert prompt.isprintable()
    assert max(len(word) for word in prompt.split()) < 12


@pytest.mark.parametrize("tokens", [0, -5])
def test_a_prompt_without_tokens_is_refused(tokens: int) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        generated_prompt(tokens)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens_are_estimated_by_four_characters_rounded_up(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens
