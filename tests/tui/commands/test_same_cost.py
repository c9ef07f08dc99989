"""The same attempt costs the same by `once`, by `check`, and in runs of one or two engines."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from http_request import read_request

from probes.config.file import load_config
from probes.events import AttemptFinished, Event
from probes.money.lease_rules import route_key
from probes.money.ledger import Ledger, default_ledger_path
from probes.run.session import Session
from tui.cli import main

pytestmark = pytest.mark.anyio

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
ENDINGS: dict[str, object] = {
    "counted": {"usage": USAGE},
    "counted apart": {"usage": {**USAGE, "total_tokens": 40}},
    "told": {"usage": {**USAGE, "cost": 0.02}},
    "told 0": {"usage": {**USAGE, "cost": 0}},
    "false": {"usage": {**USAGE, "completion_tokens": 10**9}},
    "cut": None,
}
FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
PRICE = "price = { input = 1.0, output = 10.0 }"
RESERVED = 18 + 64
COSTS = {
    "counted": (11, 29e-6),
    "counted apart": (40, 319e-6),
    "told": (11, 0.02),
    "told 0": (11, 29e-6),
    "false": (RESERVED, 658e-6),
    "cut": (RESERVED, 658e-6),
}
SHOWN = {
    "counted": "~$2.9e-05",
    "counted apart": "~$0.000319",
    "told": "$0.02",
    "told 0": "~$2.9e-05",
    "false": "–",
    "cut": "–",
}
"""By `check`: `~` is by a price, `–` is unknown."""


class Server:
    """Answers with the ending that the path names, in a thread of its own."""

    def __init__(self) -> None:
        self.url = ""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Server":
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await read_request(reader)
            assert request is not None
            ending = ENDINGS[request.path.split("/")[1].replace("%20", " ")]
            events: list[object] = [{"choices": [{"index": 0, "delta": {"content": "word"}}]}]
            if ending is not None:
                events += [
                    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                    ending,
                ]
            body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
            body += "" if ending is None else "data: [DONE]\n\n"
            said = (
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            writer.write(said + body.encode())
            await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as served:
        yield served


@pytest.fixture
def settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> Callable[..., Path]:
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))

    def write(ending: str) -> Path:
        text = f"""
[routes.r]
base_url = "{server.url}/{ending.replace(" ", "%20")}"
model = "m"
retries = 0
interval = 3600
prompt = "{"x" * 40}"
{PRICE}
"""
        path = tmp_path / "routes.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def spent(path: Path) -> tuple[int, float]:
    (route,) = load_config(path, {}).routes
    ledger = Ledger(default_ledger_path())
    try:
        return ledger.used(route_key(route))
    finally:
        ledger.close()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", ["once", "check"])
def test_single_probes(
    command: str, ending: str, settings: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings(ending)
    main([command, "--config", str(path)])
    printed = capsys.readouterr().out
    tokens, usd = COSTS[ending]
    if command == "check":
        assert printed.splitlines()[1].split()[-1] == SHOWN[ending]
    assert spent(path) == (tokens, pytest.approx(usd))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("engines", [1, 2])
async def test_runs(ending: str, engines: int, settings: Callable[..., Path]) -> None:
    path = settings(ending)
    config = load_config(path, {})
    ledger = Ledger(default_ledger_path())
    heard: list[Event] = []
    session = Session(config, {}, recorder=None, ledger=ledger, engines=engines, in_process=True)
    session.subscribe(lambda events, _lines: heard.extend(events))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        with anyio.fail_after(10):
            while not any(isinstance(event, AttemptFinished) for event in heard):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        session.stop()
    ledger.close()
    tokens, usd = COSTS[ending]
    (attempt,) = (event for event in heard if isinstance(event, AttemptFinished))
    assert (attempt.charged_tokens, attempt.charged_usd) == (tokens, pytest.approx(usd))
    assert spent(path) == (tokens, pytest.approx(usd))
