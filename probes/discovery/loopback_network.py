"""The network of `loopback`: short, bounded GETs that carry nothing but the question."""

from types import TracebackType
from typing import Final, Self

import anyio
import httpx

from probes.discovery.loopback import ServerReply

MOST_BYTES: Final = 64 * 1024
_TIMEOUT_S: Final = 0.3
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "llmtop",
}


class HttpNetwork:
    """Asks over HTTP, each GET within `timeout_s` from connecting to the last byte.

    To be entered before it is used. Redirects are not followed; proxies, credentials and other
    settings of the environment are not heeded.
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        # Made before the clock runs: it takes longer than most answers.
        self._client = httpx.AsyncClient(trust_env=False, headers=_HEADERS, timeout=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def get(self, host: str, port: int, path: str) -> ServerReply | None:
        """Return the answer; None where there is none in time, or it is above `MOST_BYTES`."""
        url = httpx.URL(scheme="http", host=host, port=port, path=path)
        reply = None
        with anyio.move_on_after(self._timeout_s):
            try:
                reply = await self._ask(url)
            except (httpx.HTTPError, httpx.StreamError, OSError):
                return None
        return reply

    async def _ask(self, url: httpx.URL) -> ServerReply | None:
        async with self._client.stream("GET", url, follow_redirects=False) as answer:
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > MOST_BYTES:
                    return None
            return ServerReply(answer.status_code, answer.headers.get("server", ""), bytes(body))
