"""Run by AIPerf's own Python: which answers become records that AIPerf counts as valid?

Reads JSON lines `{url, api, patience_s}`, writes for each `{is_ok, words}`, or null for an API that
it does not know. AIPerf's HTTP client sends the request, its endpoint reads the answer, its record
parser judges; only the message bus between them is left out.
"""

import asyncio
import json
import logging
import signal
import sys
from types import SimpleNamespace
from typing import Any

from aiperf.common.enums import ExportLevel, ModelSelectionStrategy
from aiperf.common.mixins import AIPerfLoggerMixin
from aiperf.common.models import RequestRecord
from aiperf.common.models.model_endpoint_info import (
    EndpointInfo,
    ModelEndpointInfo,
    ModelInfo,
    ModelListInfo,
)
from aiperf.plugin import plugins
from aiperf.plugin.enums import EndpointType, PluginType
from aiperf.records.inference_result_parser import InferenceResultParser
from aiperf.transports.aiohttp_client import AioHttpClient

ENDPOINTS = {
    "chat": EndpointType.CHAT,
    "completions": EndpointType.COMPLETIONS,
    "responses": EndpointType.RESPONSES,
    "messages": EndpointType.MESSAGES,
}
BODY = json.dumps(
    {
        "model": "m",
        "messages": [{"role": "user", "content": "Say hi."}],
        "max_tokens": 16,
        "stream": True,
    }
).encode()
MOST_CPU_S = 8
HEADERS = {"content-type": "application/json", "accept": "text/event-stream"}


class NoVerdictInTimeError(Exception):
    """An answer has cost more CPU time than anybody would give it."""


def give_up(*_: object) -> None:
    raise NoVerdictInTimeError


class Parser(InferenceResultParser):
    """AIPerf's parser of records without the services around it."""

    def __init__(self, endpoint_type: EndpointType) -> None:
        AIPerfLoggerMixin.__init__(self)
        self.model_endpoint = ModelEndpointInfo(
            models=ModelListInfo(
                models=[ModelInfo(name="m")],
                model_selection_strategy=ModelSelectionStrategy.ROUND_ROBIN,
            ),
            endpoint=EndpointInfo(type=endpoint_type, streaming=True, use_server_token_count=True),
        )
        kind = plugins.get_class(PluginType.ENDPOINT, endpoint_type)
        self.endpoint = kind(model_endpoint=self.model_endpoint)
        self.disable_tokenization = True
        self.run = SimpleNamespace(
            cfg=SimpleNamespace(
                artifacts=SimpleNamespace(export_level=ExportLevel.RECORDS),
                endpoint=self.model_endpoint.endpoint,
            )
        )


async def verdict(url: str, api: str, patience_s: float) -> dict[str, Any] | None:
    if api not in ENDPOINTS:
        return None
    client = AioHttpClient(timeout=patience_s)
    parser = Parser(ENDPOINTS[api])
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_CPU_S)
    try:
        record: RequestRecord = await client.post_request(url, BODY, HEADERS)
        record.model_name = "m"
        parsed = await parser.parse_request_record(record)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        await client.close()
    error = parsed.request.error
    if error is None:
        return {"is_ok": True, "words": "valid"}
    if SimpleNamespace.__name__ in (error.message or ""):
        raise RuntimeError(f"this AIPerf wants more of its settings: {error.message}")
    return {"is_ok": False, "words": f"error: {error.code or error.type}"}


async def main() -> None:
    for line in sys.stdin:
        try:
            told = await verdict(**json.loads(line))
        except NoVerdictInTimeError as late:
            told = {"is_ok": False, "words": f"error: {type(late).__name__}"}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    logging.disable()
    signal.signal(signal.SIGVTALRM, give_up)
    asyncio.run(main())
