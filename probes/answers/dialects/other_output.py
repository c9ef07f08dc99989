"""Output that no reader knows by name: images, audio, video, results of tools.

Rule 1  Whatever stands in a delta is output, unless it is bookkeeping: who speaks, where it
        belongs, how it is encoded, what it cost, notes to a text.
Rule 2  Only words count, wherever they stand in it: numbers and flags are bookkeeping too.
Rule 3  What is named after thinking is reasoning, and its words are kept.

How deep and how wide a delta is looked through is bounded.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from probes.answers.dialects.transcript import Transcript
from probes.answers.progress import NOTHING, Progress

_MOST_KEYS: Final = 64
"""Of an object."""
_MOST_PARTS: Final = 256
"""Of a list, and of all that is looked into in one delta."""
_LONGEST_KEY: Final = 40
_BOOKKEEPING: Final = frozenset(
    {
        *("role", "id", "index", "type", "object", "name", "status", "model", "created"),
        *("created_at", "expires_at", "timestamp", "metadata", "usage", "timings", "metrics"),
        *("logprobs", "top_logprobs", "tokens", "token_ids", "prompt_token_ids", "padding", "p"),
        *("finish_reason", "finishreason", "native_finish_reason", "stop_reason", "stop_sequence"),
        *("matched_stop", "system_fingerprint", "service_tier", "provider", "request_id"),
        *("call_id", "tool_call_id", "item_id", "response_id", "parent_id", "sequence_number"),
        *("phase", "channel", "recipient", "format", "output_format", "encoding", "detail"),
        *("mime_type", "media_type", "quality", "size", "background", "voice", "language"),
        *("obfuscation", "cache_control", "server_label", "container_id"),
        # What filters and gateways say of an answer.
        *("content_filter_results", "content_filter_offsets", "content_filter_result"),
        *("provider_specific_fields", "extra_fields", "vertex_ai_safety_results"),
        # What a tool of the server is asked: its results are output, the question is not.
        *("action", "query", "queries"),
        # Notes to a text are none of it: an answer of nothing but its sources is empty.
        *("annotations", "annotation", "citations", "citation", "search_results", "sources"),
        # Thinking that was encrypted stays unseen; its words, if it has any, are read elsewhere.
        *("signature", "thought_signature", "encrypted_content", "reasoning_details"),
        *("thinking_blocks",),  # LiteLLM repeats `reasoning_content` there
    }
)
_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})
_OF_REASONING: Final = ("reason", "think", "thought")
"""One of them is in the names that servers give to reasoning."""


class OtherOutput(msgspec.Struct, frozen=True, gc=False):
    """What a delta carries beside what its reader knows."""

    found: bool = False
    """There is output."""
    reasoning: str = ""
    """Words of it, where all of it is reasoning."""
    keys: tuple[str, ...] = ()
    """What is not empty in the delta, by name, bookkeeping too; of many the first."""


def other_output(part: object) -> OtherOutput:
    """Return what a delta, a message, a block or an item carries of whatever name."""
    if not isinstance(part, Mapping):
        return OtherOutput()
    filled = {str(key): part[key] for key in list(part)[:_MOST_KEYS] if part[key] not in _EMPTY}
    found = {
        key: words
        for key, value in filled.items()
        if key.lower() not in _BOOKKEEPING and (words := words_in(value))
    }
    keys = tuple(key[:_LONGEST_KEY] for key in filled)
    reasoned = all(any(stem in key.lower() for stem in _OF_REASONING) for key in found)
    return OtherOutput(bool(found), "".join(found.values()) if reasoned else "", keys)


def add_other(transcript: Transcript, other: OtherOutput, *, kept: bool = True) -> Progress:
    """Note output of whatever name in a transcript; `kept` says that its words are.

    Of what is none the names are noted.
    """
    if not other.found:
        transcript.carry(other.keys)
        return NOTHING
    transcript.reasoned |= bool(other.reasoning)
    return transcript.add(reasoning=other.reasoning, other=not other.reasoning, kept=kept)


def words_in(value: object) -> str:
    """Return the words of a string, an object or a list of parts, in their order."""
    pieces: list[str] = []
    waiting: list[object] = [value]
    for _ in range(_MOST_PARTS):
        if not waiting:
            break
        current = waiting.pop()
        if isinstance(current, str):
            pieces.append(current)
        elif isinstance(current, Mapping):
            keys = [key for key in list(current)[:_MOST_KEYS] if key.lower() not in _BOOKKEEPING]
            waiting += [current[key] for key in reversed(keys)]
        elif isinstance(current, list):
            waiting += reversed(current[:_MOST_PARTS])
    return "".join(pieces)
