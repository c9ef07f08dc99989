"""No secret of a run is in the folder that is handed to others, whatever a server did with it."""

import base64
import json
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from field import LLMTOP, Field

KEY = "sk-hush-7Qz4mR9tVx2LpB8wKc3N"
QUERY = "qs-hush-5Yd8nF1sJh6GtE0uMa7C"
HEADER = "hd-hush-2Wr6kP9bXv4ZqS1yTe8D"
SECRETS = (KEY, QUERY, HEADER)


class _Parrot(BaseHTTPRequestHandler):
    """Says back all that it was told, in body, headers and ids, in several spellings."""

    protocol_version = "HTTP/1.1"
    number = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        _Parrot.number += 1
        told = f"{self.headers['authorization']} {self.headers['x-gate']} {self.path}"
        spelt = (
            told,
            urllib.parse.quote(told, safe=""),
            base64.b64encode(KEY.encode()).decode(),
            base64.b64encode(f"user:{KEY}".encode()).decode(),
            KEY.upper(),
            f"https://user:{KEY}@evil.example/?key={QUERY}",
            "\n".join(f"</script>{secret}<script>" for secret in SECRETS),
        )
        words = spelt[_Parrot.number % len(spelt)]
        body = json.dumps(
            {"error": {"message": f"Bad: {words}", "code": KEY, "type": QUERY, "param": HEADER}}
        ).encode()
        status = (500, 429, 401, 503)[_Parrot.number % 4]
        if _Parrot.number % 5 == 0:  # an answer that says it in mid-stream, and is cut
            chunk = json.dumps(
                {
                    "id": f"chatcmpl-{KEY}",
                    "model": f"m-{KEY}",
                    "system_fingerprint": QUERY,
                    "choices": [{"index": 0, "delta": {"content": words}}],
                }
            )
            body, status = f"data: {chunk}\n\ndata: {words}\n\n".encode(), 200
        self.send_response(status)
        self.send_header(
            "content-type", "text/event-stream" if status == 200 else "application/json"
        )
        for name in ("x-request-id", "cf-ray", "x-ratelimit-limit-requests", "server", "via"):
            self.send_header(name, told.replace("\n", " "))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def parrot() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Parrot)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def spellings() -> set[bytes]:
    """Return how a secret would be known again: a piece of it in any of these spellings."""
    found = set()
    for secret in SECRETS:
        for text in (secret, secret.upper(), urllib.parse.quote(secret, safe="")):
            found |= {text.encode(), text[8:24].encode(), text.encode()[::-1]}
        found.add(base64.b64encode(secret.encode()).rstrip(b"=")[:28])
    return found


def test_no_file_of_a_hand_over_holds_a_secret_that_a_server_said_back(tmp_path: Path) -> None:
    with parrot() as port:
        route = {
            "name": "parrot",
            "base_url": f"http://127.0.0.1:{port}/v1?code={QUERY}",
            "model": "m",
            "api_key_env": "KEY",
            "concurrency": 3,
            "interval": 0.1,
            "retries": 1,
        }
        with Field(tmp_path, [route]) as field:
            with field.config.open("a") as file:
                file.write('[routes.parrot.headers]\n"x-gate" = "env:GATE"\n')
            keys = ("env", f"KEY={KEY}", f"GATE={HEADER}")
            run = field.start(
                "--duration", "6", "--record", str(tmp_path / "run.jsonl"), before=keys, record=True
            )
            assert run.process.wait(60) == 0
            ended = run.of_type("attempt_finished")
    assert len(ended) > 20
    assert {"[secret]" in one.get("message", "") for one in ended} >= {True}
    told = subprocess.run(
        [*LLMTOP, "report", tmp_path / "run.jsonl", "--out", tmp_path / "out"],
        capture_output=True,
        env=field.environment,
    )
    assert told.returncode == 0, told.stderr
    (folder,) = (tmp_path / "out").iterdir()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"[secret]" in files["attempts.csv"]
    assert b"127.0.0.1" in files["routes.redacted.toml"], "hosts are kept"
    for name, raw in (*files.items(), ("stdout", told.stdout), ("name", folder.name.encode())):
        for spelling in spellings():
            assert spelling not in raw, (name, spelling)
    assert b"<script" not in files["report.html"]
