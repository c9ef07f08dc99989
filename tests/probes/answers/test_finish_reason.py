"""What finish reasons say, in every server's spelling."""

import pytest

from probes.answers.dialects.transcript import Transcript
from probes.answers.ending_verdict import judge
from probes.answers.finish_reason import FinishFamily, explains_silence, family_of
from probes.events import Verdict

SPELLED: dict[FinishFamily, tuple[str, ...]] = {
    "filtered": (
        *("content_filter", "content-filter", "contentFilter", "ContentFiltered", "SAFETY"),
        *("content_filter: PROHIBITED_CONTENT", "content_filter:BLOCKLIST", "FinishReason.SPII"),
        *("RECITATION", "IMAGE_SAFETY", "guardrail_intervened", "sensitive", "error_toxic"),
        *("ERROR_TOXIC", "moderation_blocked", "MODEL_ARMOR"),
    ),
    "aborted": ("abort", "aborted", "cancelled", "Canceled", "USER_CANCEL"),
    "failed": (
        *("error", "ERROR", "upstream_error", "upstreamError", "network_error", "provider-error"),
        *("error: 502", "internal_server_error", "timeout", "insufficient_system_resource"),
        *("rate_limit_error", "rate_limited", "overloaded", "generation failed"),
    ),
    "refused": ("refusal", "REFUSAL", "model refused"),
    "length": (
        *("length", "LENGTH", "max_tokens", "MAX_TOKENS", "maxTokens", "max-output-tokens"),
        *("max_output_tokens", "maxTokensReached", "max_completion_tokens", "max_new_tokens"),
        *("token_limit", "incomplete", "length: max_tokens", "TOKEN_LIMIT"),
    ),
    "": (
        *("", "stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls"),
        *("toolUse", "function_call", "completed", "pause_turn", "load", "COMPLETE", "ERROR_LIMIT"),
        *("model_length", "model_context_window_exceeded", "a word of next year", "长度", "∞"),
    ),
}


@pytest.mark.parametrize(
    ("reason", "family"),
    [(reason, family) for family, reasons in SPELLED.items() for reason in reasons],
)
def test_the_family_of_a_reason(reason: str, family: FinishFamily) -> None:
    assert family_of(reason) == family
    assert explains_silence(reason) == bool(family)


def test_no_reason_is_of_no_family() -> None:
    assert family_of(None) == ""


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("content_filter: PROHIBITED_CONTENT", Verdict("content_error", "content_filter")),
        ("USER_CANCEL", Verdict("server_error", "aborted")),
        ("upstream_error", Verdict("server_error", "upstream")),
        ("network_error", Verdict("server_error", "upstream")),
        ("TIMEOUT", Verdict("server_error", "gateway_timeout")),
        ("model_overloaded", Verdict("server_error", "overloaded")),
        ("insufficient_system_resource", Verdict("server_error", "overloaded")),
        ("rate_limit_error", Verdict("throttled", "rate_limit")),
        ("Refusal", Verdict("content_error", "refusal")),
        ("MAX_TOKENS", Verdict("ok")),
        ("stop", Verdict("ok")),
        ("a word of next year", Verdict("ok")),
    ],
)
def test_what_an_answer_with_text_comes_to(reason: str, verdict: Verdict) -> None:
    told = Transcript(text=["a"], output=True, finish_reason=reason, finished=True)
    assert judge(told, "complete", "", began=True) == verdict
    assert judge(told, "reset", "", began=True) == verdict


@pytest.mark.parametrize("reason", SPELLED["length"])
def test_a_cap_that_was_used_up_before_any_output_is_named(reason: str) -> None:
    told = Transcript(finish_reason=reason, finished=True)
    assert judge(told, "complete", "", began=True) == Verdict("content_error", "cap_exhausted")
