"""What a probe that failed had asked for, and what may be wrong with its URL: pure functions."""

import re
from typing import Final

import msgspec

from probes.config import Route
from probes.config.urls import mask_url, read_url
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished
from probes.kit.sanitise import neutralise

_LONGEST_URL: Final = 300
_NO_SUCH_PATH: Final = frozenset({404, 405})
_TOLD_BY_WORDS: Final = frozenset({"not_found", "html"})
_VERSION: Final = re.compile(r"/v\d+[a-z0-9]*(?=/|$)")
_VERSIONED: Final = frozenset({"chat", "completions", "responses", "auto"})
"""Dialects whose servers answer below a version that stands in the base URL."""
_REPEATED: Final = re.compile(r"((?:/[^/]+){1,3})\1(?=/|$)")
_ENDPOINTS: Final = (
    *("/models", "/embeddings", "/rerank", "/engines", "/tokenize", "/moderations"),
    *("/generate", "/api/generate", "/api/chat", "/api/tags", "/api/version"),
    *("/health", "/metrics", "/docs", "/openapi.json"),
)
"""Other paths of such servers, which a base URL may have been copied from."""


def asked_lines(route: Route, record: ProbeRecord) -> list[str]:
    """Return what was asked, without secrets, and advice where the path may be wrong."""
    if not record.url:
        return []
    last = record.attempts[-1] if record.attempts else None
    lines = [f"asked POST {neutralise(mask_url(record.url), _LONGEST_URL)}"]
    if last is not None and _is_no_such_path(last):
        advice = url_advice(route, record.url)
        lines += [advice] if advice else []
    return lines


def _is_no_such_path(last: AttemptFinished) -> bool:
    if last.reason == "model_not_found":
        return False
    return last.status in _NO_SUCH_PATH or last.reason in _TOLD_BY_WORDS


def url_advice(route: Route, url: str) -> str | None:
    """Return what to change of a base URL below which there is nothing; None without an idea."""
    base, asked = read_url(route.base_url), read_url(url).path
    path = base.path.rstrip("/")
    repeated = _REPEATED.search(asked)
    if repeated:
        return f"the path has {repeated[1]} twice: leave one out of base_url"
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            return f"base_url ends in {endpoint}, which is another endpoint: leave it out"
    if route.dialect in _VERSIONED and not _VERSION.search(path):
        shown = msgspec.structs.replace(base, path=f"{path}/v1", query=None)
        return f"base_url has no /v1, below which most servers answer: try {shown}"
    return None
