"""What exports are given in tests, and receivers on loopback that keep what they are sent."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from board_streams import ProbeScript, hello, throttled, tick

from probes.events import Event

PATIENCE_S = 5.0


def several_probes() -> list[Event]:
    """Return probes that end well, late, badly, retried and cancelled."""
    retried = ProbeScript("e1-3", 20.0, ttft_s=5.4, e2e_s=7.0)
    return [
        hello(),
        *ProbeScript("e1-1", 1.0, finished={"cached_tokens": 8}, cost_usd=0.25).events(),
        *ProbeScript("e1-2", 5.0, ttft_s=1.4).events(),  # beyond its goal of 1 s
        retried.started(),
        throttled(retried, 20.2, 4.0),
        retried.started(1, 24.2),
        retried.first_token(1),
        retried.attempt_finished(1, 24.2),
        retried.probe_finished(2),
        *ProbeScript(
            "e1-4", 30.0, None, 1.0, outcome="server_error", reason="overloaded", tokens=None
        ).events(),
        *ProbeScript("e1-5", 32.0, 0.2, 1.0, outcome="cancelled", reason="user").events(),
        *ProbeScript("e1-6", 34.0, flagged="local_gap").events(),
        tick(40.0),
    ]


@dataclass
class Sent:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server that keeps what it is sent, and answers what a test says."""

    url: str = ""
    sent: list[Sent] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers; 200 when there are none left."""
    may_answer: threading.Event = field(default_factory=threading.Event)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    body: bytes = b""
    """Of its answers."""

    def wait(self, number: int = 1) -> list[Sent]:
        """Return what came, when so many more requests have."""
        for _ in range(number):
            assert self.came.acquire(timeout=PATIENCE_S), f"only {len(self.sent)} came"
        return self.sent


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port of the loopback."""
    receiver = Receiver()
    receiver.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.sent.append(Sent(self.path, headers, body))
            receiver.came.release()
            receiver.may_answer.wait(2 * PATIENCE_S)
            status, more = receiver.answers.pop(0) if receiver.answers else (200, {})
            try:
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        do_GET = do_POST  # noqa: N815 - what follows a redirect would come so

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] - a handshake ended
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)
