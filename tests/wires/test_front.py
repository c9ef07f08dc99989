"""A front passes everything on, until it is told not to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from http_request import read_request

from wires.certificates import Certificates, Flaw
from wires.front import Front

pytestmark = pytest.mark.anyio

REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: far.test\r\nContent-Length: 2\r\nX-Kept: yes\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


class Provider:
    """A server that answers everything alike, and keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.hosts: list[str] = []
        self.kept: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                self.hosts.append(request.headers["host"])
                self.kept.append(request.headers["x-kept"])
                writer.write(self.answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the front has left
        finally:
            writer.close()


@asynccontextmanager
async def fronted(
    answer: bytes = ANSWER, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Provider, Front]]:
    provider = Provider(answer)
    server = await asyncio.start_server(provider, "127.0.0.1", 0)
    async with Front(server.sockets[0].getsockname()[1], tls=tls) as front:
        yield provider, front
    server.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    return await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)


async def test_requests_go_through_under_the_servers_own_name() -> None:
    async with fronted() as (provider, front):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        assert [await ask(reader, writer) for _ in range(2)] == [ANSWER, ANSWER]
        writer.close()
        assert {host.partition(":")[0] for host in provider.hosts} == {"localhost"}
        assert provider.kept == ["yes", "yes"]
        assert front.accepted == 1


async def test_refusing_resets_what_is_open_and_nobody_listens_until_it_ends() -> None:
    async with fronted() as (_provider, front):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        await ask(reader, writer)
        await front.behave("refuse")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", front.port)
        await front.behave("pass")
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        assert await ask(reader, writer) == ANSWER
        writer.close()


async def test_silence_holds_what_comes_and_lets_it_go_on() -> None:
    async with fronted() as (provider, front):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        await ask(reader, writer)
        await front.behave("silent")
        fresh_reader, fresh = await asyncio.open_connection("127.0.0.1", front.port)
        fresh.write(REQUEST)
        waiting = asyncio.ensure_future(ask(reader, writer))
        await asyncio.sleep(0.2)  # silence can only be waited for
        assert not waiting.done()
        assert len(provider.hosts) == 1
        await front.behave("pass")
        assert await waiting == ANSWER
        assert await fresh_reader.readuntil(b"0\r\n\r\n") == ANSWER
        writer.close()
        fresh.close()


async def test_hanging_up_ends_each_connection_after_its_answer() -> None:
    async with fronted() as (_provider, front):
        await front.behave("hang_up")
        for accepted in (1, 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
            assert await ask(reader, writer) == ANSWER
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            assert front.accepted == accepted


async def test_cutting_resets_an_answer_in_its_middle() -> None:
    long = ANSWER.replace(b"3\r\nabc\r\n", b"3\r\nabc\r\n" * 1000)
    async with fronted(long) as (_provider, front):
        await front.behave("cut")
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        with pytest.raises(ConnectionResetError):
            await ask(reader, writer)
        writer.close()


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("expired", "has expired"),
        ("other_name", "Hostname mismatch"),
        ("unknown_authority", "unable to get local issuer"),
    ],
)
async def test_a_certificate_goes_bad_and_good_again(
    tmp_path: Path, flaw: Flaw, words: str
) -> None:
    certificates = Certificates(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificates.authority))

    async def asked(front: Front) -> bytes:
        reader, writer = await asyncio.open_connection("localhost", front.port, ssl=trusting)
        try:
            return await ask(reader, writer)
        finally:
            writer.close()

    async with fronted(tls=certificates.context()) as (_provider, front):
        assert await asked(front) == ANSWER
        await front.show(certificates.context(flaw))
        with pytest.raises(ssl.SSLCertVerificationError, match=words):
            await asked(front)
        await front.show(certificates.context())
        assert await asked(front) == ANSWER
