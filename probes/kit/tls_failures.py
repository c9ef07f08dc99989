"""What is wrong with TLS, by what OpenSSL says of it, and the same in plain words."""

import ssl
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

TlsFault: TypeAlias = Literal["", "expired", "hostname", "untrusted", "certificate"]
"""Of a certificate; empty where it is about none."""

_NO_TLS_ERROR: Final = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)
"""Errors of the class that tell of an end, or of nothing."""

# Numbers of OpenSSL's verdicts on certificates (x509_vfy.h), which Python has no names for.
_EXPIRED: Final = {10}
_OTHER_NAME: Final = {62, 63, 64}
_UNTRUSTED_WORDS: Final = (
    "nobody this machine trusts vouches for the server's certificate; {} names who does"
)
_UNTRUSTED: Final = {2, 18, 19, 20, 21, 24, 27}
_SELF_SIGNED: Final = {18}

_NO_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_MESSAGE",
)
_NO_COMMON_VERSION: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW")
_CERTIFICATE_WANTED: Final = ("CERTIFICATE_REQUIRED", "NO_CERTIFICATE", "HANDSHAKE_FAILURE")
_CERTIFICATE_REFUSED: Final = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_DECRYPT_ERROR",
    "ALERT_ACCESS_DENIED",
)
_WORDS: Final = (
    (_CERTIFICATE_REFUSED, "the server does not accept our certificate"),
    (_CERTIFICATE_WANTED, "the server wants a certificate of ours, {own}, or cannot agree with us"),
    (_NO_COMMON_VERSION, "the server speaks no version of TLS that we do"),
    (("UNRECOGNIZED_NAME",), "the server does not know the name it was asked for"),
    (_NO_TLS, "the server speaks no TLS there"),
)
"""By parts of OpenSSL's names for errors."""


def tls_error(chain: Iterable[BaseException]) -> ssl.SSLError | None:
    """Return the error of TLS that says most: one about a certificate before any other.

    A connection that ended without a word is none of TLS's.
    """
    found = [
        cause
        for cause in chain
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _NO_TLS_ERROR)
    ]
    found.sort(key=lambda cause: not isinstance(cause, ssl.SSLCertVerificationError))
    return found[0] if found else None


def tls_fault(tls: ssl.SSLError) -> TlsFault:
    """Return what is wrong with the server's certificate."""
    if not isinstance(tls, ssl.SSLCertVerificationError):
        return ""
    code = getattr(tls, "verify_code", None)  # only where OpenSSL itself made the exception
    if code in _EXPIRED:
        return "expired"
    if code in _OTHER_NAME:
        return "hostname"
    return "untrusted" if code in _UNTRUSTED else "certificate"


def tls_words(tls: ssl.SSLError, *, authority: str, own: str, has_own: bool = True) -> str:
    """Return an error in plain words, then in OpenSSL's.

    Args:
        tls: the error.
        authority: the setting that names who vouches for the server.
        own: the one that names a certificate of ours.
        has_own: whether there is one, where that is known: none can be what a server refuses.
    """
    name: str = getattr(tls, "reason", None) or ""  # only where OpenSSL itself made the exception
    words = getattr(tls, "verify_message", None) or name.replace("_", " ").lower() or str(tls)
    match tls_fault(tls):
        case "expired":
            plain = "the server's certificate has expired"
        case "hostname":
            plain = "the server's certificate is for another name"
        case "untrusted" if getattr(tls, "verify_code", None) in _SELF_SIGNED:
            plain = f"the server's certificate is signed by itself alone; {authority} may name it"
        case "untrusted":
            plain = _UNTRUSTED_WORDS.format(authority)
        case "certificate":
            plain = "the server's certificate does not hold"
        case _:
            name = name.upper().replace(" ", "_")
            if not has_own and any(part in name for part in _CERTIFICATE_REFUSED):
                name = _CERTIFICATE_WANTED[0]
            plain = _words_of_name(name).format(own=own)
    return f"{plain} ({words.rstrip('.')})"


def _words_of_name(name: str) -> str:
    for parts, words in _WORDS:
        if any(part in name for part in parts):
            return words
    return "TLS could not be agreed on"
