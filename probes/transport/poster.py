"""One POST to a server that is no route: a webhook. Nothing of it is measured.

Rule 1: it goes the way of any request of ours: the same trust in certificates, the proxies of the
environment, no redirect followed.
Rule 2: its URL may be a secret in itself, so over plain http it is written to this machine alone,
whatever a name resolves to (`probes.transport.lock`).
Rule 3: of the answer only the head is read, and all of it has one deadline.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import anyio

from probes.config.proxies import ProxyError
from probes.config.proxy_choice import environment_proxy
from probes.kit.clock import SystemClock
from probes.transport import Connecting, Request, open_transport
from probes.transport.failures import NETWORK_ERRORS, of_failure, words_of

_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses below 500 that another try may mend."""


class Posted(NamedTuple):
    """What became of a POST."""

    why: str = ""
    """Why it was not taken, in words for a person; empty where it was."""
    may_pass: bool = False
    """The same may be taken a little later."""
    headers: Mapping[str, str] = {}
    """Of the answer; lower-case names."""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
    environ: Mapping[str, str],
) -> Posted:
    """Send `body` and wait for the head of the answer, so many seconds at most.

    It runs a loop of its own: call it from a thread that has none.
    """
    return anyio.run(_post, url, body, headers, seconds, environ)


async def _post(
    url: str, body: bytes, headers: Mapping[str, str], seconds: float, environ: Mapping[str, str]
) -> Posted:
    try:
        proxy = environment_proxy(url, environ)
    except ProxyError as error:
        return Posted(f"the proxy that the environment names {error}")
    guarded = frozenset(name.lower() for name in headers)
    options = Connecting(reuse=False, proxy=proxy, secret_headers=guarded)
    transport = open_transport(SystemClock(), options)
    request = Request(url, headers, body)
    try:
        with anyio.fail_after(seconds):
            async with transport.exchange(request, _Undated()) as exchange:
                return _answered(exchange.status, exchange.headers)
    except TimeoutError:
        return Posted(f"no answer within {seconds:g} s", may_pass=True)
    except NETWORK_ERRORS as error:
        verdict = of_failure(error)
        return Posted(words_of(error, verdict.reason), may_pass=verdict.retryable)
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()


def _answered(status: int, headers: Mapping[str, str]) -> Posted:
    if 200 <= status < 300:
        return Posted()
    if 300 <= status < 400:
        return Posted(f"answered {status}, to be asked elsewhere: redirects are not followed")
    return Posted(f"answered {status}", status in _AGAIN or status >= 500, headers)


class _Undated:
    """Its steps are nobody's figures."""

    def reached(self, step: str, at_ns: int) -> None:
        """Let it pass."""
