"""How a route asks: in which dialect, with which parameters; what it learns of its server it keeps.

Rule 1. All probes of a route share one request builder: what one of them learns, the others ask
        with from then on.
Rule 2. An answer teaches only of the way it was asked in (`Way`); where another probe has learned
        something since, that is tried first.
Rule 3. What a server refused once is not sent again, and a person is told once what is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation, Dialect
from probes.answers.dialects.search import DialectSearch, candidates
from probes.answers.request_headers import request_headers
from probes.config import Dialect as DialectName
from probes.config import Route
from probes.config.prompts import Prompt
from probes.events import WRONG_ANSWER, AttemptFinished
from probes.transport import Request


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask."""

    name: DialectName
    dialect: Dialect
    headers: Mapping[str, str]
    adaptation: Adaptation


@dataclass(frozen=True, slots=True)
class Lesson:
    """What an answer taught."""

    again: bool = False
    """The same probe is to be asked once more, in the way that is known now."""
    notice: str = ""
    """What a person should know; empty where it is nothing new."""


_NOTHING_LEARNED: Final = Lesson()


class RequestBuilder:
    """A route's way to ask, and how it came to it."""

    def __init__(self, route: Route, headers: Mapping[str, str]) -> None:
        """Take a route, and its headers with their secrets."""
        self._route = route
        self._headers = headers
        self._search: DialectSearch | None = None
        if route.dialect == "auto":
            self._search = DialectSearch(candidates(route.base_url))
            self.way = self._way_in(self._search.dialect)
        else:
            self.way = self._way_in(route.dialect)

    def request(
        self, way: Way, *, max_tokens: int, nonce: str | None, prompt: Prompt | None = None
    ) -> Request:
        """Return a probe's request; `nonce` comes first in it where a cache is to be missed.

        It asks `prompt`, or without one what the route asks always.
        """
        body = way.dialect.request_body(
            self._route,
            max_tokens=max_tokens,
            nonce=nonce,
            adaptation=way.adaptation,
            prompt=prompt,
        )
        return Request(way.dialect.url(self._route), way.headers, body)

    def learn(self, event: AttemptFinished, asked: Way) -> Lesson:
        """Take what an attempt that was asked in the way `asked` came to."""
        if event.status is None or event.outcome == "cancelled":
            return _NOTHING_LEARNED
        if self._search is not None:
            found = self._hear(self._search, event, asked)
            if found is not None:
                return found
        if asked.name != self.way.name:  # another probe has found the dialect meanwhile
            return Lesson(again=event.outcome != "ok" and event.reason != WRONG_ANSWER.reason)
        return self._adapt(event, asked)

    def _hear(self, search: DialectSearch, event: AttemptFinished, asked: Way) -> Lesson | None:
        """Go on with the search for the dialect; None where the answer says nothing of it."""
        finding = search.hear(event, asked.name)
        if finding == "unsure":
            return None
        if finding == "found":
            return Lesson(notice=f"dialect auto: the server speaks {asked.name}")
        self.way = self._way_in(search.dialect)
        if finding == "next":
            return Lesson(again=True)
        tried = ", ".join(search.candidates)
        return Lesson(notice=f"dialect auto: none of {tried} is spoken here; is base_url right?")

    def _adapt(self, event: AttemptFinished, asked: Way) -> Lesson:
        """Drop what the server said it does not support, once.

        Where another probe has learned something since this one was sent, that is tried first.
        """
        status = event.status or 0
        adaptation = asked.dialect.adapt(status, event.message, asked.adaptation, self._route)
        if adaptation is None:
            return _NOTHING_LEARNED
        if self.way.adaptation != asked.adaptation:
            return Lesson(again=True)
        self.way = replace(self.way, adaptation=adaptation)
        return Lesson(again=True, notice=adaptation.describe())

    def _way_in(self, name: DialectName) -> Way:
        dialect = dialect_for(name)
        headers = request_headers(self._headers, dialect, self._route.key_header)
        switched = self._route.cap_field == "max_completion_tokens"
        adaptation = Adaptation(cap_field="max_completion_tokens") if switched else Adaptation()
        return Way(name, dialect, headers, adaptation)
