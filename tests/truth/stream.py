"""One answer in the making: which body is next, and when it is due."""

from truth.log import Score
from truth.script import Script


class Stream:
    """The bodies of one answer in order: role, tokens, finish, usage where asked for, end.

    Role: at once. Tokens: one a beat. The rest: together, one beat after the last token, so that no
    token's arrival is hidden by what follows it.
    """

    __slots__ = ("_beat_ns", "_bodies", "_first_ns", "_identity", "_offset", "_script", "_sent",
                 "score")  # fmt: skip

    def __init__(
        self, script: Script, score: Score, *, offset: int, first_ns: int,
        beat_ns: int,
    ) -> None:  # fmt: skip
        """Prepare an answer; `offset` is where in the common text it begins."""
        self.score = score
        self._script = script
        self._identity = score.response_id.encode("ascii")
        self._offset = offset
        self._first_ns = first_ns
        self._beat_ns = beat_ns
        self._sent = 0
        self._bodies = score.count + 3 + script.has_usage

    @property
    def is_over(self) -> bool:
        """Whether everything has been sent."""
        return self._sent == self._bodies

    @property
    def is_at_token(self) -> bool:
        """Whether the next body is a token's, and so has a time of its own."""
        return 0 < self._sent <= self.score.count

    @property
    def due_ns(self) -> int:
        """When the next body is due; the role's is 0: at once."""
        if not self._sent:
            return 0
        return self._first_ns + min(self._sent - 1, self.score.count) * self._beat_ns

    def next_body(self) -> bytes:
        """Return the next body, and go on to the one after it."""
        at, self._sent = self._sent, self._sent + 1
        count, script = self.score.count, self._script
        if 0 < at <= count:
            before, after = script.token(self._offset + at)
        elif at == 0:
            before, after = script.role
        elif at == count + 1:
            before, after = script.finish[self.score.finish_reason]
        elif self.is_over:
            return script.end
        else:
            before, after = script.usage(self.score.prompt_tokens, count)
        return before + self._identity + after
