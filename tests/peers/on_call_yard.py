"""What tests of who calls people share: a provider that fails, a bus, and those who watch."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from agents import Agent
from nats_server import NatsServer, nats_server
from peer_processes import python

PLACES: Final = ("eu", "us")
NAMED_S: Final = 60.0
"""Within which what fails all the time is told."""
OVER_S: Final = 120.0
ANSWER: Final = b"".join(
    b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"
    for choice in (
        {"delta": {"content": "hello"}},
        {"delta": {"content": " there"}},
        {"delta": {}, "finish_reason": "stop"},
    )
)
SETTINGS: Final = """
[defaults]
base_url = "{url}/{place}/v1"
model = "m"
max_tokens = 16
interval = 0.3
[routes.chat]
[alerts]
webhook = "{url}/hook/{who}"
"""


class World:
    """A provider that fails where it is told to, and a receiver of pages."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.pages: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str] = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                place, who = self.path.split("/")[1:3]
                status, answer, kind = 200, ANSWER + b"data: [DONE]\n\n", "text/event-stream"
                if place == "hook":
                    world.pages.append((who, json.loads(body)))
                    world.keys.append(self.headers["Idempotency-Key"])
                    answer = b""
                elif place in world.down:
                    status, answer, kind = 503, b'{"error":{"message":"down"}}', "application/json"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def words(self) -> list[str]:
        return [f"{who} {one['state']} {' '.join(one['routes'])}" for who, one in self.pages]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Yard:
    """A bus, two agents, and cockpits without a screen."""

    def __init__(self, folder: Path, server: NatsServer, world: World) -> None:
        self.folder = folder
        self.server = server
        self.world = world
        self.agents = {place: self._agent(place) for place in PLACES}
        self.cockpits: list[subprocess.Popen[bytes]] = []

    def _agent(self, place: str) -> Agent:
        config = self.settings(self.folder / f"{place}.toml", place, f"agent-{place}")
        agent = Agent(self.folder, place, self.server.url, config)
        agent.start()
        return agent

    def settings(self, path: Path, place: str, who: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = SETTINGS.format(url=self.world.url, place=place, who=who)
        path.write_text(text, encoding="utf-8")
        return path

    def cockpit(self, name: str) -> subprocess.Popen[bytes]:
        home = self.folder / name
        self.settings(home / "config/llmtop/routes.toml", "eu", name)
        environ = {
            **os.environ,
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
        }
        with (home / "told").open("wb") as told:
            process = subprocess.Popen(
                python("-m", "tui.cli", "--bus", self.server.url, "--headless", "--only", "notice"),
                stdout=told,
                stderr=subprocess.STDOUT,
                env=environ,
            )
        self.cockpits.append(process)
        return process

    def told(self, name: str) -> str:
        return (self.folder / name / "told").read_text(encoding="utf-8")

    def close(self) -> None:
        for agent in self.agents.values():
            agent.kill()
        for process in self.cockpits:
            process.kill()
            process.wait(10)


@contextmanager
def on_call_yard(folder: Path) -> Iterator[Yard]:
    """Let them all be there; all have ended afterwards."""
    with ExitStack() as stack:
        server = stack.enter_context(nats_server(folder / "bus"))
        world = World()
        stack.callback(world.close)
        made = Yard(folder, server, world)
        stack.callback(made.close)
        yield made


def has_pager(yard: Yard) -> Callable[[], bool]:
    """Return whether all agents leave it to a cockpit."""
    return lambda: all("go out from " in agent.said for agent in yard.agents.values())
