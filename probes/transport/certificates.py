"""When a certificate ended: OpenSSL says that it has, not when; the certificate itself does."""

import ssl
from datetime import UTC, datetime
from typing import Any, Final

_EXPIRED: Final = 10
"""OpenSSL's verdict on a certificate that has ended (X509_V_ERR_CERT_HAS_EXPIRED)."""
_VERSION, _UTC_TIME = 0xA0, 0x17
_LONG: Final = 0x80
_CENTURY_TURNS: Final = 50
"""Two digits of a year below this are of this century (RFC 5280, section 4.1.2.5.1)."""


class TellingSession(ssl.SSLObject):
    """A session whose handshake, where a certificate has expired, says on which day."""

    def do_handshake(self) -> None:
        """Agree on keys.

        Raises:
            ssl.SSLError: there is no agreement.
        """
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == _EXPIRED:
                error.verify_message += _earliest_end(self._shown_to_us())
            raise

    def _shown_to_us(self) -> list[bytes]:
        """Return the certificates that the server showed, where this Python can tell."""
        if hasattr(self, "get_unverified_chain"):  # from 3.13 on
            chain: Any = self.get_unverified_chain()
            return list(chain or ())
        inner = getattr(self, "_sslobj", None)
        ask = getattr(inner, "get_unverified_chain", lambda: None)
        return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in ask() or ()]


def _earliest_end(certificates: list[bytes]) -> str:
    """Return the words for when the first of some certificates ends; none where nobody knows."""
    try:
        return f" on {min(map(end_of, certificates)):%Y-%m-%d}"
    except ValueError:
        return ""


def end_of(certificate: bytes) -> datetime:
    """Return when a certificate in DER form ends (X.509's notAfter).

    Raises:
        ValueError: it is none.
    """
    try:
        inner, _ = _opened(_opened(certificate)[0])
        if inner[0] == _VERSION:
            _, inner = _opened(inner)
        for _ in range(3):  # serial number, algorithm, issuer
            _, inner = _opened(inner)
        validity, _ = _opened(inner)
        _, end = _opened(validity)
        text = _opened(end)[0].decode("ascii").rstrip("Z")
    except (IndexError, UnicodeDecodeError):
        raise ValueError("no certificate") from None
    if end[0] == _UTC_TIME:
        text = ("20" if int(text[:2]) < _CENTURY_TURNS else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _opened(data: bytes) -> tuple[bytes, bytes]:
    """Return the content of the element that DER begins with, and what follows it."""
    size, start = data[1], 2
    if size & _LONG:
        start += size & ~_LONG
        size = int.from_bytes(data[2:start])
    return data[start : start + size], data[start + size :]
