"""TLS over a socket that somebody else reads: OpenSSL between two memory buffers."""

import asyncio
import socket
import ssl
from typing import Final

import httpx

_RECORD_BYTES: Final = 16_384
_READ_BYTES: Final = 65_536


class TlsLayer:
    """Encrypts what is to be sent, decrypts what was read. Does no reading of its own but for the
    handshake."""

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        """Prepare a client's side of a session; `host` is what the certificate must name.

        Raises:
            httpx.InvalidURL: no certificate can name it.
        """
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        try:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        except ValueError as error:
            raise httpx.InvalidURL(str(error)) from error

    async def shake_hands(self, sock: socket.socket) -> None:
        """Agree on keys over a non-blocking socket that nobody else reads meanwhile.

        Raises:
            httpx.ConnectError: the server cannot or may not be spoken to; its cause says why.
        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(sock, self._outgoing.read())
                    self._take(await loop.sock_recv(sock, _READ_BYTES))
                else:
                    await loop.sock_sendall(sock, self._outgoing.read())
                    return
        except (OSError, ssl.CertificateError) as error:
            raise httpx.ConnectError(str(error) or type(error).__name__) from error

    def encrypt(self, data: bytes) -> bytes:
        """Return the bytes to send for `data`."""
        self._tls.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> tuple[bytes, bool]:
        """Return the text of what was read, and whether the session is over.

        Raises:
            httpx.ReadError: it is no TLS, or was tampered with.
        """
        self._take(data)
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_RECORD_BYTES):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces), False
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # a server that ends without saying so is judged by the framing of its answer
        except ssl.SSLError as error:
            raise httpx.ReadError(str(error)) from error
        return b"".join(pieces), True

    def unsent(self) -> bytes:
        """Return what the session itself has to answer, such as a new key; mostly nothing."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def _take(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
