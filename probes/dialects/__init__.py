"""The dialects of LLM APIs, by the name a configuration gives them."""

from typing import Final

from probes.config import Dialect as DialectName
from probes.dialects.azure import AzureDialect
from probes.dialects.base import Dialect
from probes.dialects.chat import ChatDialect
from probes.dialects.completions import CompletionsDialect
from probes.dialects.messages import MessagesDialect
from probes.dialects.ollama import OllamaDialect
from probes.dialects.responses import ResponsesDialect

__all__ = ["dialect_for"]

_DIALECTS: Final[dict[DialectName, Dialect]] = {
    "chat": ChatDialect(),
    "completions": CompletionsDialect(),
    "responses": ResponsesDialect(),
    "azure": AzureDialect(),
    "messages": MessagesDialect(),
    "ollama": OllamaDialect(),
}


def dialect_for(name: DialectName) -> Dialect:
    """Return the dialect that a configuration names; it keeps no state and is shared."""
    return _DIALECTS[name]
