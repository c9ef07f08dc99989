"""Where descriptors run out below a connection, nothing else is blamed, and nothing bad is kept."""

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from far_side import post, transport_of
from transports import KINDS

from probes.config import Tls
from probes.config.proxies import Proxy
from probes.transport import contexts, dial, resolve
from probes.transport.contexts import ssl_context
from probes.transport.failures import of_failure
from probes.transport.resolve import look_up

pytestmark = pytest.mark.anyio


def none_left(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def reason_of(kind: str, url: str, **options: Any) -> str:
    async with transport_of(kind, **options) as transport:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is judged
            await post(transport, url)
        assert transport.open_sockets == 0
    verdict = of_failure(caught.value)
    assert verdict.outcome == "cancelled"
    return verdict.reason


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"proxy": Proxy("http", "127.0.0.1", 9)},
        {"proxy": Proxy("socks5", "127.0.0.1", 9)},
        {"unix_socket": "/nowhere/socket"},
    ],
)
async def test_no_descriptor_for_a_socket(
    kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "leave_reserve", none_left)
    assert await reason_of(kind, "http://127.0.0.1:9/v1", **options) == "local.descriptors"


async def test_no_thread_to_look_a_name_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_thread: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(resolve.Thread, "start", no_thread)
    assert await reason_of(kind, "http://some.example/v1") == "local.threads"


async def test_a_name_that_could_not_be_asked_for_is_not_unknown(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "need_descriptor", none_left)
    assert await reason_of(kind, "http://no-such-name.invalid/v1") == "local.descriptors"


@pytest.mark.parametrize(
    ("error", "number"),
    [(socket.gaierror(socket.EAI_MEMORY, "memory"), errno.ENOMEM),
     (socket.gaierror(socket.EAI_NONAME, "unknown"), socket.EAI_NONAME)],
)  # fmt: skip
def test_a_resolver_without_memory_knows_nothing_of_the_name(
    error: OSError, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is looked at
        look_up("h", 1)
    assert caught.value.errno == number


@pytest.mark.parametrize("missing", ["need_descriptor", "httpx.create_ssl_context"])
async def test_a_list_of_authorities_that_was_not_read_is_not_kept(
    kind: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Tls(server_name=f"fresh-{kind}-{missing.replace('_', '-')}.example")
    with monkeypatch.context() as patch:
        place: Callable[..., None] = patch.setattr
        if missing == "need_descriptor":
            place(contexts, missing, none_left)
        else:
            place(missing, none_left)
        assert await reason_of(kind, "https://127.0.0.1:9/v1", tls=tls) == "local.descriptors"
    assert ssl_context(tls).cert_store_stats()["x509_ca"] > 0
