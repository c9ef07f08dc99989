"""`dialect = "auto"`: which dialect a server speaks, found out by asking."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from probes.answers.dialects.spoken import is_spoken_by
from probes.config import Dialect
from probes.config.urls import read_url
from probes.events import AttemptFinished
from probes.kit.clock import NS_PER_S

Finding: TypeAlias = Literal["found", "next", "nothing", "unsure"]
"""What an answer means for the search: this is the dialect; the next one is to be asked; all were
asked in vain; or it says nothing of dialects."""

AGAIN_AFTER_NS: Final = 60 * NS_PER_S
_NO_SUCH_PATH: Final = (404, 405, 501)
_NO_ANSWER: Final = ("html", "not_an_answer", "empty", "bad_json")
_AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com")


def candidates(base_url: str) -> tuple[Dialect, ...]:
    """Return the dialects to ask in, the likeliest first, from what the URL tells."""
    url = read_url(base_url)
    host, path = url.host.removesuffix("."), url.path.rstrip("/").lower()
    if host.endswith(_AZURE_HOSTS) and not path.endswith("/v1"):
        return ("azure",)
    if f".{host}".endswith(".anthropic.com") or path.endswith("/anthropic"):
        return ("messages", "chat")
    if not path:
        return ("chat", "ollama", "messages", "responses", "completions")
    return ("chat", "responses", "messages", "completions")


class DialectSearch:
    """Goes through the candidates until one is answered; after a round in vain it rests a minute.

    Probes that run at the same time share it: only what was asked in the dialect that is tried now
    moves it on.
    """

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._dialects = tuple(dialects)
        self._untried = list(dialects)
        self._found = False
        self._rests_until_ns = 0

    @property
    def dialect(self) -> Dialect:
        """The one that is asked in now."""
        return self._untried[0]

    @property
    def candidates(self) -> tuple[Dialect, ...]:
        """All that are tried, in their order."""
        return self._dialects

    def hear(self, event: AttemptFinished, asked: Dialect) -> Finding:
        """Take an answer to a request in the dialect `asked`."""
        if self._found or asked != self.dialect or event.status is None:
            return "unsure"
        if event.reason == "other_dialect":
            self._prefer(event.dialect)
            return self._next(event.at_ns)
        if event.status < 300 and event.reason not in _NO_ANSWER:
            self._found = True
            return "found"
        is_path = event.status in _NO_SUCH_PATH and event.reason != "model_not_found"
        if is_path or (event.status < 300 and event.reason in _NO_ANSWER):
            return self._next(event.at_ns)
        return "unsure"

    def _prefer(self, spoken: str) -> None:
        """Try next what the server was heard to speak, unless that was tried before."""
        for dialect in self._untried[1:]:
            if is_spoken_by(spoken, dialect):
                self._untried.remove(dialect)
                self._untried.insert(1, dialect)
                return

    def _next(self, now_ns: int) -> Finding:
        if now_ns < self._rests_until_ns:
            return "unsure"
        if len(self._untried) > 1:
            del self._untried[0]
            return "next"
        self._untried = list(self._dialects)
        self._rests_until_ns = now_ns + AGAIN_AFTER_NS
        return "nothing"
