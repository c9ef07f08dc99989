"""A metronome in a thread of its own, on a real socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import httpx
import msgspec

from probes.kit.clock import SystemClock
from truth import Metronome, MetronomePage, Pace, listen

CHAT = "/v1/chat/completions"
QUICK = Pace(tokens=5, tokens_per_s=500.0, first_after_s=(0.001, 0.002))


@contextmanager
def ticking(pace: Pace = QUICK, **options: object) -> Iterator[str]:
    """Serve while the context is open; give the base URL."""
    metronome = Metronome(listen(), pace, clock=SystemClock(), random=Random(1), **options)
    thread = threading.Thread(target=metronome.run)
    thread.start()
    try:
        yield metronome.base_url
    finally:
        metronome.stop()
        thread.join(5)
    assert not thread.is_alive()


def asked(**fields: object) -> dict[str, object]:
    """A chat request."""
    messages = [{"role": "user", "content": "hello there"}]
    return {"model": "any", "messages": messages, "stream": True, **fields}


def events(client: httpx.Client, base_url: str, **fields: object) -> list[str]:
    """Stream one answer; return the data of its events."""
    with client.stream("POST", base_url + CHAT, json=asked(**fields)) as answer:
        assert answer.status_code == 200
        return [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]


def truth(
    client: httpx.Client, base_url: str, since: int = 0, method: str = "GET"
) -> MetronomePage:
    """Ask the server what it did."""
    answer = client.request(method, f"{base_url}/truth?since={since}")
    return msgspec.json.decode(answer.content, type=MetronomePage)
