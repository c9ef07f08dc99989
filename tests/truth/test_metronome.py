"""The truth mode over real sockets: what it says it sent is what a client saw."""

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from truth import Pace
from truth.metronome_kit import CHAT, QUICK, asked, events, ticking, truth

SLOW = Pace(tokens=10_000, tokens_per_s=1.0, first_after_s=(0.0, 0.0))
"""A stream that lasts longer than any test."""


def raw(base_url: str, data: bytes) -> bytes:
    """Send bytes, and return everything until the server closes."""
    host, port = base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65_536):
            received += piece
        return received


def test_the_stream_is_role_tokens_finish_usage_and_end_one_token_a_chunk() -> None:
    with ticking() as url, httpx.Client() as client:
        *chunks, end = events(client, url, stream_options={"include_usage": True})
        record = truth(client, url).records[0]
    parsed = [json.loads(chunk) for chunk in chunks]
    deltas = [chunk["choices"][0]["delta"] for chunk in parsed[:-1]]
    assert end == "[DONE]"
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert len([delta for delta in deltas if delta.get("content")]) == QUICK.tokens
    assert parsed[-2]["choices"][0]["finish_reason"] == "stop"
    assert parsed[-1]["choices"] == []
    assert parsed[-1]["usage"]["completion_tokens"] == QUICK.tokens
    assert {chunk["id"] for chunk in parsed} == {record.response_id}
    assert {chunk["model"] for chunk in parsed} == {"any"}


def test_the_requests_own_cap_ends_it_and_no_usage_comes_unasked() -> None:
    with ticking() as url, httpx.Client() as client:
        *chunks, _ = events(client, url, max_tokens=2)
        record = truth(client, url).records[0]
    last = json.loads(chunks[-1])
    assert len(chunks) == 4
    assert last["choices"][0]["finish_reason"] == "length"
    assert "usage" not in last
    assert (record.output_tokens, record.finish_reason) == (2, "length")


def test_every_stamp_lies_between_what_the_client_did_and_what_it_saw() -> None:
    with ticking() as url, httpx.Client() as client:
        events(client, url)
        began_ns = time.monotonic_ns()
        arrived = []
        with client.stream("POST", url + CHAT, json=asked()) as answer:
            for line in answer.iter_lines():
                if '"content":"' in line and '"role"' not in line:
                    arrived.append(time.monotonic_ns())
            request_id = answer.headers["x-request-id"]
        ended_ns = time.monotonic_ns()
        record = truth(client, url).records[1]
    sent = [at for at, n in zip(record.chunks_ns, record.chunk_tokens, strict=True) if n]
    assert record.request_id == request_id
    assert record.headers_ns is not None
    assert record.ended_ns is not None
    assert began_ns <= record.read_ns <= record.headers_ns <= record.chunks_ns[0]
    assert len(sent) == len(arrived) == QUICK.tokens
    assert all(early <= late for early, late in zip(sent, arrived, strict=True))
    assert record.chunks_ns == sorted(record.chunks_ns)
    assert record.chunks_ns[-1] == record.ended_ns <= ended_ns
    assert record.ending == "streamed"


def test_tokens_keep_the_beat_without_drift() -> None:
    with ticking(Pace(tokens=40, tokens_per_s=1_000.0)) as url, httpx.Client() as client:
        events(client, url)
        page = truth(client, url)
    record = page.records[0]
    sent = [at for at, n in zip(record.chunks_ns, record.chunk_tokens, strict=True) if n]
    assert page.late_ns.n == 40
    # However late each of them was, they were due 1 ms apart: none is early.
    assert all(at - sent[0] >= turn * 1_000_000 - page.late_ns.max for turn, at in enumerate(sent))
    assert sent[-1] - sent[0] <= 39 * 1_000_000 + page.late_ns.max


def test_requests_on_one_connection_are_told_from_the_first() -> None:
    with ticking() as url, httpx.Client() as client:
        for _ in range(3):
            events(client, url)
        records = truth(client, url).records
    assert [record.first_of_connection for record in records] == [True, False, False]
    assert [record.n for record in records] == [1, 2, 3]


def test_many_streams_at_once_each_have_their_own_truth() -> None:
    with ticking(Pace(tokens=20, tokens_per_s=200.0)) as url, httpx.Client() as client:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: events(client, url), range(8)))
        records = truth(client, url).records
    assert len({json.loads(answer[0])["id"] for answer in answers}) == 8
    assert {record.output_tokens for record in records} == {20}
    assert len({record.request_id for record in records}) == 8
    first, last = min(r.chunks_ns[0] for r in records), max(r.read_ns for r in records)
    assert first < last + 20 * 5_000_000  # they overlapped


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps arrivals")
def test_a_requests_arrival_is_the_kernels_not_the_moment_of_its_read() -> None:
    with ticking() as url, httpx.Client() as client:
        events(client, url)
        page = truth(client, url)
    assert page.arrival_clock == "kernel"
    assert page.begun == 1
    assert page.first_arrival_ns == page.records[0].read_ns


def test_the_clients_own_request_id_is_taken_where_it_is_harmless() -> None:
    given = {"harmless-1": "harmless-1", "no way": None, "x" * 200: None}
    with ticking() as url, httpx.Client() as client:
        for name, wanted in given.items():
            headers = {"x-request-id": name}
            answer = client.post(url + CHAT, json=asked(), headers=headers)
            told = answer.headers["x-request-id"]
            assert told == wanted or (wanted is None and told.startswith("req_"))


def test_the_truth_is_paged_bounded_and_cleared() -> None:
    with ticking(capacity=3) as url, httpx.Client() as client:
        for _ in range(5):
            events(client, url, max_tokens=1)
        page = truth(client, url)
        assert ([record.n for record in page.records], page.dropped, page.last) == ([3, 4, 5], 2, 5)
        assert [record.n for record in truth(client, url, since=4).records] == [5]
        assert len(truth(client, url, method="DELETE").records) == 3
        page = truth(client, url)
        assert (page.records, page.dropped, page.begun, page.first_arrival_ns) == ((), 0, 0, None)
        assert (page.late_ns.n, page.send_ns.n) == (0, 0)
        events(client, url, max_tokens=1)
        assert [record.n for record in truth(client, url).records] == [6]


def test_a_client_that_leaves_ends_its_stream_and_no_other() -> None:
    with ticking(SLOW) as url, httpx.Client() as client:
        with client.stream("POST", url + CHAT, json=asked()) as answer:
            assert answer.status_code == 200
        deadline = time.monotonic() + 5
        while not (records := truth(client, url).records):
            assert time.monotonic() < deadline
    assert records[0].ending == "disconnected"
    assert records[0].finish_reason is None
    assert records[0].ended_ns is not None


def test_a_client_that_does_not_read_delays_nobody_and_loses_nothing() -> None:
    host_line = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    body = json.dumps(asked(model="m" * 5_000, max_tokens=2_000)).encode()
    request = host_line + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    pace = Pace(tokens=2_000, tokens_per_s=10_000.0, first_after_s=(0.0, 0.0))
    with ticking(pace) as url, httpx.Client() as client:
        port = int(url.rpartition(":")[2])
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            sock.connect(("127.0.0.1", port))
            sock.settimeout(5)
            sock.sendall(request)
            assert len(events(client, url, max_tokens=50)) == 53
            page = truth(client, url)
            assert (page.begun, len(page.records)) == (2, 1)
            received = bytearray()
            while not received.endswith(b"0\r\n\r\n"):
                received += sock.recv(65_536)
        assert received.count(b"data: {") == 2_002
        assert {record.ending for record in truth(client, url).records} == {"streamed"}


def test_requests_sent_ahead_are_answered_in_turn() -> None:
    ask = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n"
    with ticking() as url:
        received = raw(url, ask + ask + last)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.rindex(b"HTTP/1.1 400") > received.rindex(b"HTTP/1.1 200")


def test_streams_asked_for_ahead_begin_one_after_the_other() -> None:
    body = json.dumps(asked()).encode()
    ask = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n"
    first, last = b"\r\n", b"connection: close\r\n\r\n"
    pace = Pace(tokens=30, tokens_per_s=1_000.0, first_after_s=(0.0, 0.0))
    with ticking(pace) as url, httpx.Client() as client:
        received = raw(url, b"".join((ask % len(body)) + end + body for end in (first, last)))
        earlier, later = truth(client, url).records
    assert received.count(b"data: [DONE]") == 2
    assert earlier.ended_ns is not None
    assert later.chunks_ns[1] > earlier.ended_ns


def test_a_connection_that_the_client_wants_closed_ends_after_its_answer() -> None:
    with ticking() as url:
        ask = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        assert raw(url, ask + ask).count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": False}, "stream"),
        ({"messages": []}, None),
        ({"max_tokens": 0}, None),
        ({"stream": False, "stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_bad_request_is_a_400_and_the_connection_stays(
    fields: dict[str, object], param: str | None
) -> None:
    with ticking() as url, httpx.Client() as client:
        answer = client.post(url + CHAT, json=asked(**fields))
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param
        assert len(events(client, url)) == QUICK.tokens + 3
        assert truth(client, url).begun == 1


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", CHAT, {}, 405),
        ("POST", "/v1/models", {}, 405),
        ("PUT", "/truth", {}, 405),
        ("GET", "/elsewhere", {}, 404),
        ("GET", "/truth?since=x", {}, 400),
        ("GET", "/truth", {"host": "evil.example"}, 403),
        ("POST", CHAT, {"host": "127.0.0.1.evil.example"}, 403),
        ("GET", "/v1/models", {"host": "[::1]:80"}, 200),
    ],
)
def test_what_is_refused_and_how(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with ticking() as url, httpx.Client() as client:
        answer = client.request(method, url + path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"


HOST = b"host: localhost\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://x/truth HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /truth HTTP/2\r\n" + HOST + b"\r\n", 400),
        (b"GET /truth HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /truth HTTP/1.1\r\nspaced : x\r\n\r\n", 400),
        (b"GET /truth HTTP/1.1\r\n" + HOST + b"content-length: -1\r\n\r\n", 400),
        (b"GET /truth HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n", 411),
        (b"GET /truth HTTP/1.1\r\n" + HOST + b"content-length: 9999999\r\n\r\n", 413),
        (b"GET /" + b"a" * 40_000, 431),
    ],
)
def test_what_is_no_request_is_answered_and_the_connection_ends(data: bytes, status: int) -> None:
    with ticking() as url, httpx.Client() as client:
        assert raw(url, data).startswith(b"HTTP/1.1 %d " % status)
        assert client.get(f"{url}/v1/models").status_code == 200


def test_a_request_that_comes_byte_by_byte_is_whole_in_the_end() -> None:
    ask = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with ticking() as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(ask)):
                sock.send(ask[at : at + 1])
            assert sock.recv(4_096).startswith(b"HTTP/1.1 200 OK")


def test_the_official_client_can_stream_from_it() -> None:
    with (
        ticking() as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client,
        client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        chunks = list(stream)
        assert [model.id for model in client.models.list()] == ["metronome"]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert len(text.split()) == QUICK.tokens
    assert chunks[-1].usage.completion_tokens == QUICK.tokens
