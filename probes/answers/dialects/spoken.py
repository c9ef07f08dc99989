"""In which dialect an answer is, whatever it was asked in."""

from collections.abc import Mapping
from typing import Any, Final

from probes.config import Dialect

_MESSAGES: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)
FAMILIES: Final[Mapping[str, Dialect]] = {"azure": "chat", "completions": "chat"}
"""Dialects whose answers are read as another's."""


def is_spoken_by(spoken: str, asked: str) -> bool:
    """Whether an answer in one dialect is what a request in another expects."""
    return spoken == FAMILIES.get(asked, asked)


def spoken_dialect(value: object) -> Dialect | None:
    """Return the dialect of a whole answer or of one event; None where it does not tell.

    Of Chat Completions, legacy Completions and Azure, whose answers have one shape, it is `chat`.
    """
    if not isinstance(value, Mapping):
        return None
    kind = value.get("type")
    if isinstance(kind, str):
        if kind in _MESSAGES or (kind == "message" and isinstance(value.get("content"), list)):
            return "messages"
        if kind.startswith("response."):
            return "responses"
    if value.get("object") == "response":
        return "responses"
    if isinstance(value.get("choices"), list):
        return "chat"
    return "ollama" if _is_ollama(value) else None


def _is_ollama(value: Mapping[Any, Any]) -> bool:
    told = isinstance(value.get("message"), Mapping) or isinstance(value.get("response"), str)
    return told and isinstance(value.get("done"), bool)
