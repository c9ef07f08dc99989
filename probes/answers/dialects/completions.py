"""Completions, which Chat Completions replaced: one text goes in and is carried on."""

from typing import Any

from probes.answers.dialects.base import messages_of
from probes.answers.dialects.chat import ChatDialect
from probes.config import Route
from probes.config.prompts import Prompt


class CompletionsDialect(ChatDialect):
    """`POST /completions`, streamed; but for the question it is asked and read as a chat is."""

    name = "completions"
    path = "/completions"

    def question(self, route: Route, nonce: str | None, prompt: Prompt | None) -> dict[str, Any]:
        """Return the prompt: what the system says, then what the user does."""
        said = messages_of(route, nonce, prompt)
        return {"prompt": "\n\n".join(message.text for message in said)}
