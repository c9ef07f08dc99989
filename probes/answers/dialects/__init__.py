"""The dialects of LLM APIs, by the name a configuration gives them."""

from typing import Final

from probes.answers.dialects.azure import AzureDialect
from probes.answers.dialects.base import Dialect
from probes.answers.dialects.chat import ChatDialect
from probes.answers.dialects.completions import CompletionsDialect
from probes.answers.dialects.messages import MessagesDialect
from probes.answers.dialects.ollama import OllamaDialect
from probes.answers.dialects.responses import ResponsesDialect
from probes.config import Dialect as DialectName

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
    """Return the dialect that a configuration names; one is shared by all its routes."""
    return _DIALECTS[name]
