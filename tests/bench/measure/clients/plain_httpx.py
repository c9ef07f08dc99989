"""httpx as most use it: one client for all, lines, JSON."""

import json
import time

import anyio
import httpx

from ..readings import Reading
from .worker import Job, body


async def run(job: Job) -> None:
    """Stream with all workers from one pool."""
    limits = httpx.Limits(max_connections=job.streams, max_keepalive_connections=job.streams)
    async with (
        httpx.AsyncClient(base_url=job.base_url, limits=limits, timeout=300.0) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(job.streams):
            group.start_soon(_work, client, job)


async def _work(client: httpx.AsyncClient, job: Job) -> None:
    asked = body(job.tokens)
    while True:
        job.tell(await _one(client, asked, job.request_id()))


async def _one(client: httpx.AsyncClient, asked: dict[str, object], request_id: str) -> Reading:
    chunks_ns = []
    headers = {"x-request-id": request_id}
    started_ns = time.monotonic_ns()
    async with client.stream(
        "POST", "/v1/chat/completions", json=asked, headers=headers
    ) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
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
