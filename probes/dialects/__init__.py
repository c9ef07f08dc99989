"""The dialects of LLM APIs, by the name a configuration gives them."""

from typing import Final

from probes.config import Dialect as DialectName
from probes.dialects.base import Dialect
from probes.dialects.chat import ChatDialect
from probes.dialects.ollama import OllamaDialect

__all__ = ["dialect_for"]

_DIALECTS: Final[dict[DialectName, Dialect]] = {
    "chat": ChatDialect(),
    "ollama": OllamaDialect(),
}


def dialect_for(name: DialectName) -> Dialect:
    """Return the dialect that a configuration names; it keeps no state and is shared."""
    return _DIALECTS[name]
