"""The official openai client as its documentation shows it."""

import time

import anyio
from openai import AsyncOpenAI

from ..readings import Reading
from .worker import PROMPT, Job


async def run(job: Job) -> None:
    """Stream with all workers from one client."""
    async with (
        AsyncOpenAI(base_url=f"{job.base_url}/v1", api_key="none", max_retries=0) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(job.streams):
            group.start_soon(_work, client, job)


async def _work(client: AsyncOpenAI, job: Job) -> None:
    while True:
        job.tell(await _one(client, job.tokens, job.request_id()))


async def _one(client: AsyncOpenAI, tokens: int, request_id: str) -> Reading:
    chunks_ns = []
    started_ns = time.monotonic_ns()
    stream = await client.chat.completions.create(
        model="metronome",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=tokens,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"x-request-id": request_id},
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            chunks_ns.append(time.monotonic_ns())
    done_ns = time.monotonic_ns()
    return Reading(
        request_id=request_id,
        started_ns=started_ns,
        first_ns=chunks_ns[0],
        done_ns=done_ns,
        chunks_ns=chunks_ns,
    )
