"""What a failure of the network means, and in which words it is told."""

import errno
import socket
import ssl

import anyio
import httpx
import pytest

from probes.transport.failures import of_failure, shortage_of, words_of


def caused(outer: BaseException, *causes: BaseException) -> BaseException:
    current = outer
    for cause in causes:
        current.__cause__ = cause
        current = cause
    return outer


def judged(code: int, words: str = "words") -> ssl.SSLCertVerificationError:
    """What OpenSSL thinks of a certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, words
    return error


def in_context(outer: BaseException, context: BaseException) -> BaseException:
    outer.__context__ = context
    return outer


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (
            caused(httpx.ConnectError("x"), OSError("x"), socket.gaierror(-2, "unknown")),
            "protocol_error",
            "connect.dns",
        ),
        (
            caused(
                httpx.ConnectError("x"),
                OSError("all failed"),
                ExceptionGroup("many", [ConnectionRefusedError(111, "refused")]),
            ),
            "protocol_error",
            "connect.refused",
        ),
        (
            caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "self-signed")),
            "protocol_error",
            "connect.tls.certificate",
        ),
        (judged(10), "protocol_error", "connect.tls.expired"),
        (judged(62), "protocol_error", "connect.tls.hostname"),
        (judged(64), "protocol_error", "connect.tls.hostname"),
        (judged(18), "protocol_error", "connect.tls.untrusted"),
        (judged(20), "protocol_error", "connect.tls.untrusted"),
        (judged(23), "protocol_error", "connect.tls.certificate"),
        (
            caused(httpx.ConnectError("x"), ExceptionGroup("x", [OSError(1, "x"), judged(10)])),
            "protocol_error",
            "connect.tls.expired",
        ),
        (in_context(httpx.ReadError(""), judged(10)), "protocol_error", "connect.tls.expired"),
        (
            caused(httpx.ReadError(""), ssl.SSLError(1, "alert"), judged(18)),
            "protocol_error",
            "connect.tls.untrusted",
        ),
        (
            caused(httpx.ConnectError(""), ssl.SSLEOFError(8, "EOF")),
            "protocol_error",
            "connect.reset",
        ),
        (
            caused(httpx.ConnectError(""), ConnectionResetError(104, "x")),
            "protocol_error",
            "connect.reset",
        ),
        (
            caused(httpx.ConnectError(""), anyio.EndOfStream(), ssl.SSLWantReadError(2, "x")),
            "protocol_error",
            "connect.reset",
        ),
        (
            caused(httpx.ConnectError(""), FileNotFoundError(errno.ENOENT, "x")),
            "protocol_error",
            "connect.refused",
        ),
        (
            caused(httpx.ProxyError("x"), socket.gaierror(-2, "unknown")),
            "protocol_error",
            "connect.proxy",
        ),
        (caused(httpx.ConnectError("x"), ssl.SSLError(1, "x")), "protocol_error", "connect.tls"),
        (
            caused(httpx.ConnectError("x"), OSError(errno.EHOSTUNREACH, "x")),
            "protocol_error",
            "connect.unreachable",
        ),
        (httpx.ConnectError("x"), "protocol_error", "connect"),
        (httpx.ProxyError("x"), "protocol_error", "connect.proxy"),
        (httpx.ConnectTimeout("x"), "timeout", "timeout.connect"),
        (httpx.ReadTimeout("x"), "timeout", "timeout.first_token"),
        (TimeoutError(), "timeout", "timeout.connect"),
        (httpx.ReadError(""), "protocol_error", "reset"),
        (httpx.WriteError(""), "protocol_error", "reset"),
        (ConnectionResetError(), "protocol_error", "reset"),
        (anyio.EndOfStream(), "protocol_error", "reset"),
        (
            httpx.RemoteProtocolError("Server disconnected without sending a response."),
            "protocol_error",
            "reset",
        ),
        (httpx.RemoteProtocolError("illegal status line"), "protocol_error", "protocol"),
    ],
)
def test_a_network_failure_is_worth_another_try(
    error: BaseException, outcome: str, reason: str
) -> None:
    verdict = of_failure(error)
    assert (verdict.outcome, verdict.reason, verdict.retryable) == (outcome, reason, True)


@pytest.mark.parametrize("error", [httpx.LocalProtocolError("x"), httpx.UnsupportedProtocol("x")])
def test_a_request_that_cannot_be_written_is_not(error: BaseException) -> None:
    verdict = of_failure(error)
    assert (verdict.outcome, verdict.retryable) == ("client_error", False)


def test_causes_that_form_a_circle_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert of_failure(first).reason == "protocol"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            judged(10, "certificate has expired"),
            "the server's certificate has expired (certificate has expired)",
        ),
        (
            judged(62, "Hostname mismatch, certificate is not valid for 'a.example'."),
            "the server's certificate is for another name"
            " (Hostname mismatch, certificate is not valid for 'a.example')",
        ),
        (
            judged(20, "unable to get local issuer certificate"),
            "nobody this machine trusts vouches for the server's certificate;"
            " tls.ca_file names who does (unable to get local issuer certificate)",
        ),
        (
            judged(9, "certificate is not yet valid"),
            "the server's certificate does not hold (certificate is not yet valid)",
        ),
        (ssl.SSLError(1, "odd"), "TLS could not be agreed on (odd)"),
        (httpx.ProxyError("the proxy http://h:1: it said no"), "the proxy http://h:1: it said no"),
        (
            httpx.ReadError(""),
            "the server closed the connection before it answered",
        ),
        (httpx.RemoteProtocolError("illegal status line"), "illegal status line"),
    ],
)
def test_a_failure_is_told_in_plain_words(error: BaseException, words: str) -> None:
    assert words_of(error, of_failure(error).reason) == words


def test_a_failure_without_words_is_told_by_its_kind() -> None:
    assert words_of(ValueError(), "protocol") == "ValueError"


SHORTAGES = [
    (OSError(errno.EMFILE, "Too many open files"), "local.descriptors"),
    (OSError(errno.ENFILE, "Too many open files in system"), "local.descriptors"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "local.memory"),
    (MemoryError(), "local.memory"),
    (OSError(errno.ENOBUFS, "No buffer space available"), "local.buffers"),
    (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "local.ports"),
    (RuntimeError("can't start new thread"), "local.threads"),
]


@pytest.mark.parametrize(("cause", "reason"), SHORTAGES)
@pytest.mark.parametrize(
    "outer",
    [
        None,
        httpx.ConnectError("x"),
        httpx.ProxyError("the proxy x cannot be reached"),
        httpx.ReadError("x"),
        httpx.WriteError("x"),
        ssl.SSLError(1, "the files of the tls setting cannot be used"),
    ],
)
def test_what_we_have_too_little_of_is_nobodys_failure(
    cause: BaseException, reason: str, outer: BaseException | None
) -> None:
    error = cause if outer is None else caused(outer, cause)
    verdict = of_failure(error)
    assert (verdict.outcome, verdict.reason, verdict.retryable) == ("cancelled", reason, False)
    assert shortage_of(error) == reason
    assert words_of(error, reason).startswith("this ")


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([OSError(errno.EMFILE, "x"), ConnectionRefusedError(111, "refused")], "local.descriptors"),
        ([OSError(errno.EADDRNOTAVAIL, "x"), ConnectionRefusedError(111, "r")], "connect.refused"),
        ([OSError(errno.EADDRNOTAVAIL, "x"), TimeoutError(110, "t")], "timeout.connect"),
        ([OSError(errno.EADDRNOTAVAIL, "x"), OSError(errno.ENETUNREACH, "u")], "local.ports"),
    ],
)
def test_of_several_addresses_what_the_network_said_outweighs_a_missing_address_of_ours(
    others: list[Exception], reason: str
) -> None:
    error = caused(httpx.ConnectError("x"), ExceptionGroup("several", others))
    assert of_failure(error).reason == reason


def test_a_server_that_is_short_of_something_is_not_us() -> None:
    assert shortage_of(None) == ""
    assert shortage_of(ssl.SSLError(errno.EMFILE, "a number of OpenSSL's")) == ""
    assert shortage_of(httpx.ReadError("Too many open files")) == ""
    assert of_failure(socket.gaierror(socket.EAI_AGAIN, "x")).reason == "connect.dns"


OPENSSL = {
    2: "untrusted",  # nobody issued it that we could find
    18: "untrusted",  # self-signed
    19: "untrusted",  # a self-signed authority in its chain
    20: "untrusted",  # its issuer is not here
    21: "untrusted",  # nothing to verify it by
    24: "untrusted",  # its issuer may issue nothing
    27: "untrusted",
    10: "expired",
    62: "hostname",
    63: "hostname",  # a name in an address of mail
    64: "hostname",  # an address
}
"""As x509_vfy.h numbers them; all others are faults of the certificate itself."""


@pytest.mark.parametrize("code", range(1, 80))
def test_what_openssl_thinks_of_a_certificate_is_known_by_its_number(code: int) -> None:
    kind = OPENSSL.get(code, "certificate")
    assert of_failure(judged(code)).reason == f"connect.tls.{kind}"
