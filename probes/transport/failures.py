"""What a failure of the network means, and how it is told: no HTTP answer came.

HTTP libraries wrap what the socket said, so the whole chain of causes is looked at, and what says
most decides. Like the official clients' policy, every failure to connect or to get an answer is
worth another try; a request that cannot even be written is not.

What this machine or this process has too little of is nobody's failure but ours, wherever it
strikes: `cancelled / local.*`, which counts against no route and is not tried again at once.
"""

import errno
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import anyio
import httpx

from probes.events import LOCAL, Verdict
from probes.kit.tls_failures import tls_error, tls_fault, tls_words
from probes.kit.words import plainly
from probes.transport.lock import ClearTextError

NETWORK_ERRORS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
"""What an exchange over any transport raises where the network or the server is the cause."""
CONNECTION_LOST: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""Those of them that a connection which is gone raises."""

_SHORTAGES: Final = {
    errno.EMFILE: f"{LOCAL}descriptors",
    errno.ENFILE: f"{LOCAL}descriptors",
    errno.ENOMEM: f"{LOCAL}memory",
    errno.ENOBUFS: f"{LOCAL}buffers",
}
_NO_THREAD: Final = "can't start new thread"
_NO_PORT: Final = f"{LOCAL}ports"
_ANSWERS: Final = (ConnectionRefusedError, ConnectionResetError, TimeoutError)
"""What tells of the network: beside one, an address that we cannot speak from says nothing, for a
machine without IPv6 has none for ::1."""

_UNREACHABLE: Final = {
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
}
_ENDED: Final = (
    ConnectionError,
    httpx.CloseError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
_TOLD_BY_KIND: Final[tuple[tuple[Verdict, tuple[type[BaseException], ...]], ...]] = (
    (Verdict("client_error", "clear_text"), (ClearTextError,)),
    (Verdict("client_error", "bad_url"), (httpx.UnsupportedProtocol, httpx.InvalidURL)),
    (Verdict("client_error", "bad_request"), (httpx.LocalProtocolError,)),
    (Verdict("timeout", "timeout.connect", True), (httpx.ConnectTimeout, httpx.PoolTimeout)),
    (Verdict("timeout", "timeout.first_token", True), (httpx.TimeoutException,)),
    (Verdict("protocol_error", "connect.proxy", True), (httpx.ProxyError,)),
)

_WORDS: Final = {
    "connect.dns": "the host name cannot be resolved",
    "connect.refused": "nothing listens there",
    "connect.unreachable": "there is no way to this host",
    "connect.reset": "the server closed the connection while it was being set up",
    "connect.proxy": "",
    "local.descriptors": "this process may open no more files and connections; ulimit -n says how"
    " many",
    "local.memory": "this machine has no memory left",
    "local.buffers": "this machine has no buffers left for connections",
    "local.ports": "this machine has no address or port left to connect from",
    "local.threads": "this machine gives us no more threads",
    "timeout.connect": "the server did not answer while connecting",
    "reset": "the server closed the connection before it answered",
}
"""Plain words for a reason; what the system or OpenSSL said follows in parentheses."""


def of_failure(error: BaseException) -> Verdict:
    """Return the verdict on an exception before any HTTP answer."""
    chain = list(_causes(error))
    shortage = _shortage(chain)
    if shortage:
        return Verdict("cancelled", shortage)
    for verdict, kinds in _TOLD_BY_KIND:
        if _any_of(chain, kinds):
            return verdict
    connecting = _any_of(chain, (httpx.ConnectError,))
    reason = _reason(chain, connecting=connecting)
    if reason == "timeout.connect":
        return Verdict("timeout", reason, retryable=True)
    return Verdict("protocol_error", reason, retryable=True)


def end_of_body(failure: BaseException) -> Literal["cut", "protocol", "reset"]:
    """Return how the body ended that a network failure ended."""
    if isinstance(failure, httpx.RemoteProtocolError):
        early = "without sending complete message body" in str(failure)
        return "cut" if early else "protocol"
    return "reset"


def shortage_of(error: BaseException | None) -> str:
    """Return the reason of what we had too little of; empty where that was not it."""
    return "" if error is None else _shortage(list(_causes(error)))


def _shortage(chain: Sequence[BaseException]) -> str:
    numbers = _numbers(chain)
    for number, reason in _SHORTAGES.items():
        if number in numbers:
            return reason
    if _any_of(chain, (MemoryError,)):
        return f"{LOCAL}memory"
    if any(isinstance(cause, RuntimeError) and _NO_THREAD in str(cause) for cause in chain):
        return f"{LOCAL}threads"
    refused = _any_of(chain, _ANSWERS) or errno.ECONNREFUSED in numbers
    return _NO_PORT if errno.EADDRNOTAVAIL in numbers and not refused else ""


def _numbers(chain: Sequence[BaseException]) -> set[int | None]:
    return {
        cause.errno
        for cause in chain
        if isinstance(cause, OSError)
        and not isinstance(cause, (ssl.SSLError, socket.gaierror))  # who count otherwise
    }


def _reason(chain: Sequence[BaseException], *, connecting: bool) -> str:
    numbers = _numbers(chain)
    if _any_of(chain, (socket.gaierror,)) or (connecting and _any_of(chain, (UnicodeError,))):
        return "connect.dns"
    if tls := _tls_reason(chain):
        return tls
    if connecting and (_any_of(chain, (ConnectionRefusedError,)) or errno.ENOENT in numbers):
        return "connect.refused"
    if numbers & _UNREACHABLE:
        return "connect.unreachable"
    if _any_of(chain, (TimeoutError,)):
        return "timeout.connect"
    if _any_of(chain, _ENDED):
        return "connect.reset" if connecting else "reset"
    if connecting or (numbers and not _any_of(chain, (httpx.ReadError, httpx.WriteError))):
        return "connect"
    lost = _any_of(chain, (httpx.ReadError, httpx.WriteError)) or any(
        "disconnected" in str(cause) for cause in chain
    )
    return "reset" if lost else "protocol"


def _tls_reason(chain: Sequence[BaseException]) -> str:
    """Return what is wrong with TLS; empty where it is not TLS."""
    tls = tls_error(chain)
    if tls is None:
        return ""
    fault = tls_fault(tls)
    return f"connect.tls.{fault}" if fault else "connect.tls"


def words_of(error: BaseException, reason: str) -> str:
    """Return what a failure of this reason is in plain words, then what was said of it."""
    chain = list(_causes(error))
    tls = tls_error(chain)
    if reason.startswith("connect.tls") and tls is not None:
        return tls_words(tls, authority="tls.ca_file", own="tls.client_cert")
    words = _words(chain)
    plain = _WORDS.get(reason, "")
    return f"{plain} ({words})" if plain and words else plain or words or type(error).__name__


def _words(chain: Sequence[BaseException]) -> str:
    """Return what was said of a failure: by the outermost that says anything."""
    for cause in chain:
        words = str(cause).strip()
        if words and words != type(cause).__name__ and words not in _CLASS_NAMES:
            return plainly(words)
    return ""


_CLASS_NAMES: Final = {kind.__name__ for kind in _ENDED}


def _any_of(chain: Sequence[BaseException], kinds: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(cause, kinds) for cause in chain)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its causes, its context and the members of groups, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [cause for cause in (current.__cause__, current.__context__) if cause]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
