"""aiohttp as most use it: one session for all, lines, JSON."""

import asyncio
import json
import time

import aiohttp

from ..readings import Reading
from .worker import Job, body


async def run(job: Job) -> None:
    """Stream with all workers from one session."""
    async with (
        aiohttp.ClientSession(
            job.base_url,
            connector=aiohttp.TCPConnector(limit=job.streams),
            timeout=aiohttp.ClientTimeout(total=300.0),
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(job.streams):
            group.create_task(_work(session, job))


async def _work(session: aiohttp.ClientSession, job: Job) -> None:
    asked = body(job.tokens)
    while True:
        job.tell(await _one(session, asked, job.request_id()))


async def _one(
    session: aiohttp.ClientSession, asked: dict[str, object], request_id: str
) -> Reading:
    chunks_ns = []
    headers = {"x-request-id": request_id}
    started_ns = time.monotonic_ns()
    async with session.post("/v1/chat/completions", json=asked, headers=headers) as response:
        response.raise_for_status()
        async for line in response.content:
            if not line.startswith(b"data: {"):
                continue
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                chunks_ns.append(time.monotonic_ns())
        done_ns = time.monotonic_ns()
    return Reading(
        request_id=request_id,
        started_ns=started_ns,
        first_ns=chunks_ns[0],
        done_ns=done_ns,
        chunks_ns=chunks_ns,
    )
