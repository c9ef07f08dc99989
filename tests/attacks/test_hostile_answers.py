"""Whatever an answer holds, it is right or wrong, and harms nobody else's: not the run, not the
routes beside it, not the process that looks at the next one."""

import itertools
import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

import pytest
from running import HEADLESS, events_of, home_of, running

SETTINGS = """
[budget]
tokens_per_hour = 1_000_000_000
route_tokens_per_hour = 1_000_000_000

[defaults]
base_url = "{url}"
stream = false
interval = 0.05
retries = 0

[routes.schema]
model = "hostile"
[routes.schema.expect.json_schema]
type = "object"
required = ["name"]
properties = {{ name = {{ pattern = "^(a+)+$" }}, next = {{ "$ref" = "#" }} }}
patternProperties = {{ "^(x+x+)+y$" = {{ type = "string" }} }}

[routes.pattern]
model = "hostile"
expect = {{ pattern = '^(\\w+[ .]*)+$', lacks = "sorry", ignore_case = true }}

[routes.slow]
model = "deep"
[routes.slow.expect]
json_schema_file = "slow.json"

[routes.good]
model = "good"
expect = {{ contains = "harbour" }}
"""
SLOW = {"anyOf": [{"items": {"$ref": "#"}, "minItems": 99}] * 4}
"""Each level of an answer is tried four times over, and what is in it each time again."""
HOSTILE = (
    "[" * 100_000,
    '{"a":' * 30_000,
    "[" * 90 + "]" * 90,
    '{"name": "' + "a" * 90_000 + '!"}',
    "a" * 3_000_000 + "!",
    '{"name": NaN}',
    '{"name": 1e999, "name": 2}',
    '{"name": "\\ud83d", "\\udc00": 1}',
    '{"name": ' + "9" * 90_000 + "}",
    '{"' + "x" * 60_000 + '": 1}',
    json.dumps({str(number): number for number in range(9_000)}),
    "\x1b]0;title\x07\u202e\u009b31m\x00 I am sorry",
    '{"name": "a", "next": ' * 100 + "1" + "}" * 100,
    "\u2028 ",
)
NOT_UTF_8 = b"\xff\xfe\x80"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers = MappingProxyType(
        {
            "hostile": itertools.cycle(HOSTILE),
            "deep": itertools.cycle(["[" * 60 + "1" + "]" * 60]),
            "good": itertools.cycle(["The harbour."]),
        }
    )

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = next(self.answers[asked["model"]])
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 20}
        body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})
        raw = body.encode().replace(b"\\u2028 ", NOT_UTF_8)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def processes_of(session_of: str) -> set[int]:
    """Return the processes whose command line has some words in it."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if session_of in entry.read_bytes().decode("utf-8", "replace"):
                found.add(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")  # noqa: PTH112
def test_no_answer_harms_the_run_or_the_routes_beside_it(tmp_path: Path, url: str) -> None:
    settings = tmp_path / "routes.toml"
    settings.write_text(SETTINGS.format(url=url))
    (tmp_path / "slow.json").write_text(json.dumps(SLOW))
    settings.chmod(0o600)
    before = processes_of("probes.answers.check_server")
    argv = [*HEADLESS, "--duration", "9", "--config", str(settings)]
    with running(argv, home_of(tmp_path)) as process:
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    events = events_of(printed)
    assert [event for event in events if event["type"] == "fault"] == []

    attempts = [one for one in events if one["type"] == "attempt_finished"]
    ended = [one for one in attempts if one["outcome"] != "cancelled"]
    told: dict[str, set[tuple[str, str, object]]] = {}
    for one in ended:
        right = (one["outcome"], one.get("reason", ""), one.get("right"))
        told.setdefault(one["route"], set()).add(right)
        assert len(one.get("message", "")) <= 500
    wrong, unsure = ("content_error", "wrong_answer", False), ("ok", "", None)
    assert wrong in told["schema"] <= {wrong, unsure, ("ok", "", True)}
    assert wrong in told["pattern"] <= {wrong, unsure, ("ok", "", True)}
    # What keeps its looker busy is neither right nor wrong, and said to be so.
    assert told["slow"] == {unsure}
    assert any("was not checked" in one["text"] for one in events if one["type"] == "notice")
    assert told["good"] <= {unsure, ("ok", "", True)}
    right = [one.get("right") for one in ended if one["route"] == "good"]
    assert right.count(True) > len(right) / 2
    assert processes_of("probes.answers.check_server") <= before
