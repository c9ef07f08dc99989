"""TLS settings as OpenSSL has them: one context for all transports of a setting.

A context costs some 60 ms and 1 MB to make. The protocols that it offers are part of it, so routes
with HTTP/2 and without share none.
"""

import errno
import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx

from probes.config import Tls
from probes.config.tls import EncryptedKeyError, no_password, read_pem
from probes.kit.descriptors import need_descriptor
from probes.kit.open_regular import open_regular
from probes.kit.trust import UntrustedError
from probes.transport.certificates import TellingSession

_PROTOCOLS: Final = {False: ["http/1.1"], True: ["http/1.1", "h2"]}


def ssl_context(tls: Tls, *, http2: bool = False) -> ssl.SSLContext:
    """Return the context of a setting; its files are read once.

    Without `ca_file` it trusts what httpx trusts (SSL_CERT_FILE, SSL_CERT_DIR, else certifi's
    list), and without these variables what the system trusts, too.

    Raises:
        ssl.SSLError: its files cannot be used.
        OSError: there was no descriptor to open them with.
    """
    return _made(tls, http2)


@lru_cache(maxsize=64)
def _made(tls: Tls, http2: bool) -> ssl.SSLContext:
    context = _trusting(tls)
    try:
        if tls.client_cert is not None:
            # OpenSSL opens these by their names: what they are is looked at just before.
            for file in filter(None, (tls.client_cert, tls.client_key)):
                read_pem(file)
            context.load_cert_chain(tls.client_cert, tls.client_key, no_password)
    except (OSError, EncryptedKeyError, UntrustedError) as error:
        raise _unusable(error) from error
    context.set_alpn_protocols(_PROTOCOLS[http2])
    context.sslobject_class = TellingSession
    # What OpenSSL had no descriptor for it left out without a word, and this context is kept.
    need_descriptor()
    return context


def proxy_context() -> ssl.SSLContext:
    """Return the context for the way to a proxy, which a route's own setting says nothing of."""
    return ssl_context(Tls())


def _trusting(tls: Tls) -> ssl.SSLContext:
    if not tls.verify:
        return httpx.create_ssl_context(verify=False)
    if tls.ca_file is not None:
        try:
            authorities = read_pem(tls.ca_file)
            if not authorities:  # ssl would take nothing for "those of this machine"
                raise OSError(errno.EINVAL, "is empty", tls.ca_file)
            return ssl.create_default_context(cadata=authorities)
        except (OSError, UntrustedError) as error:
            raise _unusable(error) from error
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        try:
            os.close(open_regular(Path(named)))  # a named pipe would be waited for
        except OSError as error:
            words = f"SSL_CERT_FILE={named}: {error.strerror or error}"
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, words) from error
    context = httpx.create_ssl_context()
    if not (named or os.environ.get("SSL_CERT_DIR")):
        context.load_default_certs()
    return context


def _unusable(error: Exception) -> ssl.SSLError:
    """Return an error of TLS, so that a lost file is not taken for a lost server."""
    return ssl.SSLError(ssl.SSL_ERROR_SSL, f"the files of the tls setting cannot be used: {error}")
