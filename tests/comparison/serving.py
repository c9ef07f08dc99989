"""All cases on one port, for clients that are not ours: each has a base URL of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from anyio.from_thread import start_blocking_portal
from wire import Wire, play_case, serve

Address: TypeAlias = Callable[[int], str]
"""Gives the base URL of the case of that number."""

_UNKNOWN = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@contextmanager
def served(cases: Sequence[dict[str, Any]]) -> Iterator[Address]:
    """Serve cases from a thread: any request under a case's base URL gets that case's bytes."""
    plays = {f"{number}-{case['name']}": play_case(case) for number, case in enumerate(cases)}

    async def play(wire: Wire) -> bool | None:
        wanted = plays.get(wire.path.strip("/").partition("/")[0])
        if wanted is not None:
            return await wanted(wire)
        await wire.send(_UNKNOWN)
        return False

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(play)) as server,
    ):
        root = server.url.removesuffix("/v1")
        yield lambda number: f"{root}/{number}-{cases[number]['name']}"
