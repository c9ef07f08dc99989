"""`llmtop once`: one probe, told as a waterfall or as one JSON object."""

import json
import os
import shutil
from argparse import Namespace
from random import SystemRandom
from typing import Any, Final

import anyio
import msgspec

from probes.config import Route
from probes.config.file import override_route
from probes.config.secrets import resolve_headers
from probes.engine.single import ProbeRecord, SingleProbe
from probes.events import AttemptFinished
from probes.kit.clock import SystemClock
from probes.kit.sanitise import neutralise
from probes.stats.tokens import seconds_per_token, tokens_per_chunk
from tui.commands.asked import asked_lines
from tui.commands.output import FAILED, OK, complain, say
from tui.commands.settings import chosen_route, needed_settings
from tui.commands.spend import ProbeReservations
from tui.commands.waiting import Interrupt, WaitingLine, waited_words
from tui.commands.waterfall import waterfall
from tui.draw.probe_figures import e2e_s, ttfa_s, ttft_s

_WIDEST: Final = 120
_TEXTS: Final = ("text", "reasoning_text")
_OVERRIDES: Final = ("max_tokens", "retries", "dialect")
_CLOCKS: Final = ("connect", "first_token", "stall")


def run(arguments: Namespace) -> int:
    """Send one probe and print it; status 0 for ok, that of a signal that ended it, 1 otherwise.

    Raises:
        UsageError: the options do not go together.
        ConfigError: the settings have mistakes.
    """
    config = needed_settings(arguments, os.environ)
    route = override_route(chosen_route(config, arguments.route), _overrides(arguments))
    config = msgspec.structs.replace(config, routes=(route,))
    headers = resolve_headers(config, os.environ)[route.name]
    sending = _Sending(route, headers, arguments.include_text)
    with ProbeReservations(config, command="llmtop once") as reservations:
        if not reservations.admit([route]):
            complain([f"{route.name}: the hour's budget is spent; nothing was sent"])
            return FAILED
        record = anyio.run(sending.run)
        if record is not None:
            reservations.settle({route.name: record})
    if sending.cut:
        complain([f"{route.name}: stopped: {sending.cut}"])
    if record is None:
        return sending.interrupt.status or FAILED
    complain(f"{route.name}: {notice}" for notice in record.notices)
    say(_report(route, record, arguments))
    if record.probe.outcome == "ok":
        return sending.interrupt.status or OK
    complain(f"{route.name}: {line}" for line in asked_lines(route, record))
    return sending.interrupt.status or FAILED


class _Sending:
    """One probe on its way, and what is told while it is."""

    def __init__(self, route: Route, headers: dict[str, str], include_text: bool) -> None:
        self.interrupt = Interrupt()
        self.cut = ""
        """How long it had waited, and for what, when a signal ended it."""
        self._route = route
        self._headers = headers
        self._include_text = include_text
        self._probe: SingleProbe | None = None

    async def run(self) -> ProbeRecord | None:
        """Send the probe; None where a signal came before anything was sent."""
        probe = self._probe = SingleProbe(
            self._route,
            self._headers,
            clock=SystemClock(),
            random=SystemRandom(),
            include_text=self._include_text,
        )
        waiting = WaitingLine(lambda: [(self._route.name, probe)])
        async with anyio.create_task_group() as helpers:
            helpers.start_soon(waiting.run)
            helpers.start_soon(self.interrupt.run, self._cancel)
            record = await probe.run()
            helpers.cancel_scope.cancel()
        waiting.clear()
        return record

    def _cancel(self) -> None:
        if self._probe is not None:
            self.cut = waited_words(self._probe)
            self._probe.cancel()


def _overrides(arguments: Namespace) -> dict[str, Any]:
    values = {key: getattr(arguments, key) for key in _OVERRIDES}
    timeouts = {key: getattr(arguments, f"{key}_timeout") for key in _CLOCKS}
    values["timeouts"] = {key: value for key, value in timeouts.items() if value is not None}
    return {key: value for key, value in values.items() if value is not None}


def _report(route: Route, record: ProbeRecord, arguments: Namespace) -> list[str]:
    if arguments.json:
        return [json_line(record, include_text=arguments.include_text)]
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    lines = waterfall(route, record.attempts, record.probe, width)
    last = record.attempts[-1] if record.attempts else None
    if arguments.include_text and last is not None:
        lines.extend(_text_lines(last))
    return lines


def _text_lines(last: AttemptFinished) -> list[str]:
    named = (("reasoning", last.reasoning_text), ("answer", last.text))
    return [f"{name}: {neutralise(text)}" for name, text in named if text]


def json_line(record: ProbeRecord, *, include_text: bool) -> str:
    """Return the probe as one ASCII-escaped JSON object."""
    return as_json(json_object(record, include_text=include_text))


def as_json(values: dict[str, Any]) -> str:
    """Return values as one ASCII-escaped line."""
    # By way of msgspec, because what is not a number for JSON becomes null there.
    return json.dumps(msgspec.json.decode(msgspec.json.encode(values)), ensure_ascii=True)


def json_object(record: ProbeRecord, *, include_text: bool) -> dict[str, Any]:
    """Return the probe's fields.

    Seconds where a key ends in `_s`, monotonic ns in `stamps_ns`; null is "unknown" or "never
    happened". Counts are those of the last attempt, `cost_usd` is that of all attempts.
    """
    probe = record.probe
    last = record.attempts[-1] if record.attempts else None
    fields: dict[str, Any] = {
        "outcome": probe.outcome,
        "reason": probe.reason,
        "retryable": last.retryable if last else False,
        "attempts": [_attempt(attempt) for attempt in record.attempts],
        "ttft_s": ttft_s(probe),
        "ttfa_s": ttfa_s(probe),
        "e2e_s": e2e_s(probe),
        "itl_s": seconds_per_token(last) if last else None,
        "input_tokens": last.input_tokens if last else None,
        "output_tokens": last.output_tokens if last else None,
        "reasoning_tokens": last.reasoning_tokens if last else None,
        "cached_tokens": last.cached_tokens if last else None,
        "token_source": last.token_source if last else "none",
        "tokens_per_chunk": tokens_per_chunk(last) if last else None,
        "ttft_kind": last.ttft_kind if last else "none",
        "finish_reason": last.finish_reason if last else None,
        "right": last.right if last else None,
        "cost_usd": probe.cost_usd,
        "notices": list(record.notices),
    }
    if include_text:
        fields.update({name: getattr(last, name, None) for name in _TEXTS})
    return fields


def _attempt(attempt: AttemptFinished) -> dict[str, Any]:
    """Return every field, those left at their default too; the texts stand outside, once."""
    return {
        name: getattr(attempt, name) for name in attempt.__struct_fields__ if name not in _TEXTS
    }
