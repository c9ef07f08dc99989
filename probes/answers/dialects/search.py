"""Which dialect a server speaks: seen in an answer, and found out by asking (`dialect = "auto"`).

Rule 1  An answer in another dialect than was asked in says so by its shape, and is not read on.
Rule 2  Only an answer says anything: a refusal of the key or a rate is no sign of a dialect, a path
        that is not there is.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from probes.answers.dialects.messages_stream import READERS
from probes.config import Dialect
from probes.config.urls import read_url
from probes.events import AttemptFinished
from probes.kit.clock import NS_PER_S

Finding: TypeAlias = Literal["found", "next", "nothing", "unsure"]
"""What an answer means for the search: this is the dialect; the next one is to be asked; all were
asked in vain; or it says nothing of dialects."""

AGAIN_AFTER_NS: Final = 60 * NS_PER_S
"""After a round in vain: a server that starts up later is found within a minute."""
_NO_SUCH_PATH: Final = (404, 405, 501)
_NO_ANSWER: Final = ("html", "not_an_answer", "empty", "bad_json")
"""Reasons of a 200 that is no answer: LM Studio and proxies answer so to any path."""
_AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com")
"""Below `/v1` they are asked as OpenAI is, elsewhere under paths of their own."""

_READ_AS: Final[Mapping[str, Dialect]] = {"azure": "chat", "completions": "chat"}
"""Dialects whose answers are read as another's."""


def is_read_as(spoken: str, asked: str) -> bool:
    """Whether an answer in one dialect is what a request in another expects."""
    return spoken == _READ_AS.get(asked, asked)


def dialect_of(value: object) -> Dialect | None:
    """Return the dialect of a whole answer or of one event; None where it does not tell.

    Of Chat Completions, legacy Completions and Azure, whose answers have one shape, it is `chat`.
    """
    if not isinstance(value, Mapping):
        return None
    kind = value.get("type")
    if isinstance(kind, str):
        if kind in READERS or (kind == "message" and isinstance(value.get("content"), list)):
            return "messages"
        if kind.startswith("response."):
            return "responses"
    if value.get("object") == "response":
        return "responses"
    if isinstance(value.get("choices"), list):
        return "chat"
    has_words = isinstance(value.get("message"), Mapping) or isinstance(value.get("response"), str)
    return "ollama" if has_words and isinstance(value.get("done"), bool) else None


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
            if is_read_as(spoken, dialect):
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
