import asyncio

import pytest
from http_request import MAX_BODY, MAX_HEAD, BadRequestError, read_request, take_request

POST = b"POST /v1/chat?n=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


def test_requests_come_off_the_front_one_by_one_and_only_whole() -> None:
    inbox = bytearray()
    for byte in POST[:-1]:
        inbox.append(byte)
        assert take_request(inbox) is None
    inbox += POST[-1:] + b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n"
    first, second = take_request(inbox), take_request(inbox)
    assert first is not None
    assert second is not None
    assert (first.method, first.path, first.query, first.body) == (
        "POST",
        "/v1/chat",
        "n=1",
        b"abc",
    )
    assert first.headers == {"host": "h", "content-length": "3"}
    assert first.head == POST.partition(b"\r\n\r\n")[0]
    assert (first.keeps_alive, second.keeps_alive, second.body) == (True, False, b"")
    assert take_request(inbox) is None


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"POST / HTTP/1.1\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n" + b"x" * MAX_HEAD, 431),
    ],
)
def test_what_will_never_be_a_request_is_refused_with_a_status(sent: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        take_request(bytearray(sent))
    assert caught.value.status == status


def test_a_stream_gives_its_requests_and_nothing_at_its_end() -> None:
    async def run() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(POST + POST[:20])
        reader.feed_eof()
        request = await read_request(reader)
        assert request is not None
        assert request.body == b"abc"
        with pytest.raises(asyncio.IncompleteReadError):
            await read_request(reader)
        assert await read_request(reader) is None

    asyncio.run(run())
