"""The text of the one stream on preview, without our secrets even where a chunk cuts one.

Rule 1. A secret is scrubbed before its text leaves here, however the chunks cut it: what may be the
        beginning of one waits for its rest (`Scrubber.split`).
Rule 2. It costs nothing while it is off: whoever reads a stream looks at `on` first.
"""

from collections.abc import Callable

from probes.answers.progress import Progress
from probes.config.scrubbing import Scrubber
from probes.kit.words import clean


class TextPreview:
    """Follows one stream of a route at a time: the first that has output when none is followed."""

    def __init__(self, scrub: Scrubber, send: Callable[[str, int, str, bool], None]) -> None:
        """`send` takes probe, attempt, scrubbed text, and whether it is reasoning."""
        self._scrub = scrub
        self._send = send
        self.on = False
        """Whether a stream is followed, or will be; a switch."""
        self._probe = ""
        self._attempt = 0
        self._reasoning = False
        self._held = ""

    def switch(self, on: bool) -> None:
        """Follow a stream from its next chunk on, or none."""
        self.on = on
        self._probe, self._held = "", ""

    def output(self, probe: str, attempt: int, progress: Progress) -> None:
        """Take a chunk of any stream."""
        if not self.on:
            return
        if not self._probe:
            self._probe = probe
        if self._probe != probe:
            return
        reasoning = not progress.text
        if (attempt, reasoning) != (self._attempt, self._reasoning):
            self._let_go()
        self._attempt, self._reasoning = attempt, reasoning
        added = clean(progress.text or progress.reasoning)
        sure, self._held = self._scrub.split(self._held + added)
        if sure:
            self._send(probe, attempt, sure, reasoning)

    def ended(self, probe: str) -> None:
        """The stream is over: another may be followed."""
        if self._probe == probe:
            self._let_go()
            self._probe = ""

    def _let_go(self) -> None:
        """Send what was held back: no more comes that would make it a secret, unless it is one."""
        if self._held:
            held = self._scrub.scrub(self._held)
            self._send(self._probe, self._attempt, held, self._reasoning)
            self._held = ""
