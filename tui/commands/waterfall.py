"""One probe as `once` prints it: the waterfall, and below it what it came to.

Everything a server sent passes through `neutralise` here.
"""

from typing import Final

from probes.config import Route
from probes.config.urls import mask_url
from probes.events import AttemptFinished, ProbeFinished
from probes.kit.sanitise import neutralise
from probes.stats.tokens import seconds_per_token
from tui.draw.probe_figures import (
    duration,
    e2e_s,
    look_again,
    path_words,
    tokens_text,
    ttfa_s,
    ttft_s,
)
from tui.draw.server_lines import gateway_line, id_lines, model_line, server_lines
from tui.draw.text import counted, line_text
from tui.draw.waterfall import waterfall_lines

_SERVER_WORDS: Final = 300


def waterfall(
    route: Route, attempts: tuple[AttemptFinished, ...], probe: ProbeFinished, width: int
) -> list[str]:
    """Return the lines that show one probe on a terminal `width` cells wide.

    Each step of each attempt is a bar on one time axis, with what it took and when it ended, both
    from the start of the probe; then what the user felt, tokens, cost and ids.
    """
    drawn = waterfall_lines(attempts, probe, width, _below)
    return [_title(route), *map(line_text, drawn), "", *_summary(route, attempts, probe)]


def _title(route: Route) -> str:
    url = neutralise(mask_url(route.base_url), 200)
    return f"{neutralise(route.name)} · {neutralise(route.model)} · {url}"


def _below(attempt: AttemptFinished) -> list[tuple[str, str]]:
    """Return what the kernel knows of the way, and what server and gateway say of themselves."""
    named = (
        ("path", path_words(attempt)),
        *server_lines(attempt),
        ("gateway", gateway_line(attempt)),
    )
    return [(label, words) for label, words in named if words]


def _summary(
    route: Route, attempts: tuple[AttemptFinished, ...], probe: ProbeFinished
) -> list[str]:
    outcome = probe.outcome.replace("_", " ")
    reason = f" ({neutralise(probe.reason, 60)})" if probe.reason else ""
    lines = [f"{outcome}{reason}" + "".join(f" · {text}" for text in _felt(attempts, probe))]
    if attempts:
        lines.append(_tokens_and_cost(attempts[-1], probe))
        lines.extend(_rightness(route, attempts[-1]))
        if served := model_line(attempts[-1], route.model):
            lines.append(served)
        lines.extend(id_lines(attempts[-1]))
        lines.extend(_server_words(attempts[-1]))
    return lines


def _felt(attempts: tuple[AttemptFinished, ...], probe: ProbeFinished) -> list[str]:
    named = (("TTFT", ttft_s(probe)), ("TTFA", ttfa_s(probe)), ("E2E", e2e_s(probe)))
    texts = [f"{name} {duration(value)}" for name, value in named if value is not None]
    if attempts and attempts[-1].ttft_kind == "not_streamed":
        texts.insert(0, "not streamed: no TTFT")
    per_token = seconds_per_token(attempts[-1]) if attempts else None
    if per_token:
        texts.append(f"{1 / per_token:.3g} tokens/s")
    if len(attempts) > 1:
        texts.append(counted(len(attempts), "attempt"))
    return texts


def _tokens_and_cost(last: AttemptFinished, probe: ProbeFinished) -> str:
    texts = [tokens_text(last)]
    if last.finish_reason:
        texts.append(f"finish {neutralise(last.finish_reason, 40)}")
    if probe.cost_usd is not None:
        texts.append(f"${probe.cost_usd:.3g} ({last.cost_source})")
    if last.request_id:
        texts.append(f"request {neutralise(last.request_id, 80)}")
    if "~" in texts[0]:
        texts.append("~ is an estimate")
    return " · ".join(texts)


def _rightness(route: Route, last: AttemptFinished) -> list[str]:
    """Return whether the answer was what is expected, where it was ok by all else; of a wrong one
    its detail says more."""
    if last.outcome != "ok" or not (last.right or route.expect.is_set):
        return []
    told = "right" if last.right else "could not be told right or wrong"
    # A prompt of a file may have what is expected of its own.
    words = neutralise(route.expect.words, _SERVER_WORDS) or "as its prompt expects"
    return [f"answer {told}: {words}"]


def _server_words(last: AttemptFinished) -> list[str]:
    words = []
    if last.message:
        words.append(f"detail: {neutralise(last.message, _SERVER_WORDS)}")
    if again := look_again(last):
        words.append(again)
    if last.flagged:
        words.append(f"stamps not to be trusted: {neutralise(last.flagged, 40)}")
    return words
