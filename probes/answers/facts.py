"""What one exchange said, judged: the facts that are told of it."""

import msgspec

from probes.events import Limit, Outcome, ServerClaim, TokenSource, TtftKind


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one exchange said, judged. Texts are a server's own: hostile, unscrubbed."""

    outcome: Outcome
    reason: str = ""
    message: str = ""
    """The server's words, at most 500 characters; for a redirect, its target."""
    error_code: str | None = None
    retryable: bool = False
    """Whether the same request would be tried again; always False once a 200 has begun."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: TokenSource = "none"  # noqa: S105 - tokens of text, not a credential
    first_chunk_tokens: int | None = None
    """Counted; where nobody counts, the output events that came in one read, if several did."""
    hidden_tokens: int | None = 0
    """Output tokens that were never streamed; None where it is not known how many."""
    billed_tokens: int | None = None
    """Output that is billed, where that is told and may be more than `output_tokens`."""
    cost_usd: float | None = None
    """The provider's own figure, with what it says was billed elsewhere."""
    pieces: int = 0
    """Events of its stream; 0 of a whole answer."""
    characters: int = 0
    """Of all that was kept of it: text, reasoning, refusals and calls."""
    ttft_kind: TtftKind = "none"
    text: str = ""
    """Empty unless kept."""
    reasoning_text: str = ""
    """Empty unless kept."""
    text_chars: int = 0
    text_sha256: str = ""
    """Of the text in UTF-8, hexadecimal; empty where there is no text."""
    refusal: str = ""
    """Empty unless kept."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments) of each call."""
    response_id: str | None = None
    dialect: str = ""
    """In which it is, where that is another one than was asked in."""
    request_id: str | None = None
    """What the body calls the request's id."""
    hidden_retries: int = 0
    """Tries behind a gateway after its first, by headers and body."""
    server_timing: dict[str, float] = msgspec.field(default_factory=dict)
    server_claims: tuple[ServerClaim, ...] = ()
    limits: tuple[Limit, ...] = ()
    retry_after_s: float | None = None
    """What the server asked us to wait; may be more than we will."""
