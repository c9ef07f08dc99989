"""TLS on both transports: whom we trust, who we are, and each way in which it fails."""

import os
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import SocketStream
from far_side import (
    authority_file,
    failure,
    good,
    handshakes,
    listening,
    own_files,
    post,
    server_context,
    transport_of,
)
from transports import KINDS
from wire import Wire, serve

from probes.config import Tls
from probes.transport import contexts, kernel_stamps
from probes.transport.certificates import end_of
from probes.transport.contexts import ssl_context

pytestmark = pytest.mark.anyio


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    return authority_file(authority, tmp_path_factory.mktemp("authority"))


def by_name(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


async def test_tls_has_a_step_of_its_own_and_keeps_the_stamps(
    kind: str, authority: trustme.CA, trusted: str
) -> None:
    async with (
        serve(good, tls=server_context(authority)) as server,
        transport_of(kind, tls=Tls(ca_file=trusted)) as transport,
    ):
        cold = await post(transport, by_name(server.url))
        warm = await post(transport, by_name(server.url))
        assert (server.connections, transport.open_sockets) == (1, 1)
        expected = "kernel" if kind == "stamping" and kernel_stamps() else "user"
        assert transport.clock_source == expected
    assert list(cold.stamps) == ["started", "dns", "tcp", "tls", "sent", "headers"]
    assert list(warm.stamps) == ["started", "sent", "headers"]
    assert warm.body == cold.body
    assert cold.http_version == "HTTP/1.1"


async def test_a_fresh_connection_is_encrypted_anew(
    kind: str, authority: trustme.CA, trusted: str
) -> None:
    async with (
        serve(good, tls=server_context(authority)) as server,
        transport_of(kind, tls=Tls(ca_file=trusted), reuse=False) as transport,
    ):
        for _ in range(2):
            assert "tls" in (await post(transport, by_name(server.url))).stamps
            assert transport.open_sockets == 0
        assert server.connections == 2


async def test_a_large_answer_over_tls_is_whole(
    kind: str, authority: trustme.CA, trusted: str
) -> None:
    body = os.urandom(300_000)

    async def large(wire: Wire) -> bool:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    async with (
        serve(large, tls=server_context(authority)) as server,
        transport_of(kind, tls=Tls(ca_file=trusted)) as transport,
    ):
        assert (await post(transport, by_name(server.url))).body == body


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_may_stand_in_a_certificate(
    kind: str, host: str, authority: trustme.CA, trusted: str
) -> None:
    async with (
        serve(good, host=host, tls=server_context(authority, host)) as server,
        transport_of(kind, tls=Tls(ca_file=trusted)) as transport,
    ):
        assert (await post(transport, server.url)).status == 200


async def test_the_name_of_the_server_can_be_another_than_the_urls(
    kind: str, authority: trustme.CA, trusted: str
) -> None:
    context = server_context(authority, "inside.example")
    names: list[str | None] = []

    def note(_session: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = note
    setting = Tls(ca_file=trusted, server_name="inside.example")
    async with serve(good, tls=context) as server, transport_of(kind, tls=setting) as transport:
        assert (await post(transport, server.url)).status == 200
        assert server.requests[0][0].split(b"\r\n")[1].startswith(b"Host: 127.0.0.1:")
    assert names == ["inside.example"]


async def test_unverified_means_any_certificate(kind: str, authority: trustme.CA) -> None:
    context = server_context(authority, "other.example", expired=True)
    async with (
        serve(good, tls=context) as server,
        transport_of(kind, tls=Tls(verify=False)) as transport,
    ):
        assert (await post(transport, server.url)).status == 200


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_the_environment_may_name_authorities(
    kind: str,
    variable: str,
    authority: trustme.CA,
    trusted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = trusted
    if variable == "SSL_CERT_DIR":
        value = str(tmp_path)
        os.link(trusted, tmp_path / f"{subject_hash(trusted)}.0")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    contexts._made.cache_clear()
    async with serve(good, tls=server_context(authority)) as server, transport_of(kind) as it:
        assert (await post(it, by_name(server.url))).status == 200
    contexts._made.cache_clear()


def subject_hash(file: str) -> str:
    """The name by which OpenSSL finds an authority in a folder."""
    command = ["openssl", "x509", "-hash", "-noout", "-in", file]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def test_a_server_may_want_to_know_who_we_are(
    kind: str, authority: trustme.CA, trusted: str, tmp_path: Path
) -> None:
    cert, key = own_files(authority, tmp_path)
    setting = Tls(ca_file=trusted, client_cert=cert, client_key=key)
    async with (
        serve(good, tls=asking(authority)) as server,
        transport_of(kind, tls=setting) as transport,
    ):
        assert (await post(transport, by_name(server.url))).status == 200


def asking(authority: trustme.CA) -> ssl.SSLContext:
    context = server_context(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_a_certificate_of_ours_that_is_missing_is_asked_for(
    kind: str, version: str, authority: trustme.CA, trusted: str
) -> None:
    context = asking(authority)
    context.maximum_version = ssl.TLSVersion[version]
    async with handshakes(context) as port:
        url = f"https://localhost:{port}"
        reason, words = await failure(kind, url, tls=Tls(ca_file=trusted))
    assert reason == "connect.tls"
    assert "wants a certificate of ours" in words


async def test_a_certificate_of_ours_that_nobody_knows_is_refused(
    kind: str, authority: trustme.CA, trusted: str, tmp_path: Path
) -> None:
    cert, key = own_files(trustme.CA(), tmp_path)
    setting = Tls(ca_file=trusted, client_cert=cert, client_key=key)
    async with handshakes(asking(authority)) as port:
        reason, words = await failure(kind, f"https://localhost:{port}", tls=setting)
    assert reason == "connect.tls"
    assert "does not accept our certificate" in words


async def test_an_expired_certificate(kind: str, authority: trustme.CA, trusted: str) -> None:
    async with serve(good, tls=server_context(authority, expired=True)) as server:
        reason, words = await failure(kind, by_name(server.url), tls=Tls(ca_file=trusted))
    assert reason == "connect.tls.expired"
    assert words == ("the server's certificate has expired (certificate has expired on 2026-11-01)")


def test_a_certificate_tells_when_it_ends(authority: trustme.CA) -> None:
    for end in (datetime(2026, 11, 1, tzinfo=UTC), datetime(2061, 1, 2, 3, 4, 5, tzinfo=UTC)):
        issued = authority.issue_cert("localhost", not_after=end)
        pem = issued.cert_chain_pems[0].bytes().decode("ascii")
        assert end_of(ssl.PEM_cert_to_DER_cert(pem)) == end
    for garbage in (b"", b"\x30", b"\x30\x82\xff\xff", bytes(40)):
        with pytest.raises(ValueError, match=r"no certificate|time data"):
            end_of(garbage)


async def test_a_certificate_of_another_name(
    kind: str, authority: trustme.CA, trusted: str
) -> None:
    async with serve(good, tls=server_context(authority, "other.example")) as server:
        named = await failure(kind, by_name(server.url), tls=Tls(ca_file=trusted))
        numbered = await failure(kind, server.url, tls=Tls(ca_file=trusted))
    assert named[0] == numbered[0] == "connect.tls.hostname"
    assert "not valid for 'localhost'" in named[1]


async def test_a_certificate_that_nobody_vouches_for(kind: str, authority: trustme.CA) -> None:
    async with serve(good, tls=server_context(authority)) as server:
        reason, words = await failure(kind, by_name(server.url))
    assert reason == "connect.tls.untrusted"
    assert "tls.ca_file" in words


async def test_a_certificate_that_is_signed_by_itself(kind: str, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(self_signed(tmp_path))
    async with serve(good, tls=context) as server:
        reason, words = await failure(kind, by_name(server.url))
    assert reason == "connect.tls.untrusted"
    assert "signed by itself" in words


def self_signed(folder: Path) -> str:
    """A certificate and its key in one file."""
    file = folder / "self.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-keyout", file, "-out", file.with_suffix(".crt"), "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return str(file)


async def test_a_server_that_speaks_no_tls(kind: str) -> None:
    async def plain(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(plain) as port:
        reason, words = await failure(kind, f"https://127.0.0.1:{port}")
    assert reason == "connect.tls"
    assert "speaks no TLS" in words


async def test_a_server_without_a_version_of_ours(
    kind: str, authority: trustme.CA, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = server_context(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    setting = Tls(ca_file=trusted)
    monkeypatch.setattr(ssl_context(setting), "maximum_version", ssl.TLSVersion.TLSv1_2)
    async with handshakes(context) as port:
        reason, words = await failure(kind, f"https://localhost:{port}", tls=setting)
    assert reason == "connect.tls"
    assert "no version of TLS that we do" in words


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_that_ends_in_the_handshake(kind: str, how: str) -> None:
    async def leave(stream: SocketStream) -> None:
        await stream.receive(10 if how == "reset" else 65_536)  # what is unread makes it a reset

    async with listening(leave) as port:
        reason, words = await failure(kind, f"https://127.0.0.1:{port}")
    assert reason == "connect.reset"
    assert "while it was being set up" in words


async def test_files_that_are_lost_later_are_no_lost_server(kind: str, tmp_path: Path) -> None:
    async with listening(lambda stream: anyio.sleep(1)) as port:
        url = f"https://127.0.0.1:{port}"
        gone = str(tmp_path / "gone.pem")
        for setting in (Tls(ca_file=gone), Tls(client_cert=gone)):
            reason, words = await failure(kind, url, tls=setting)
            assert reason == "connect.tls"
            assert "files of the tls setting cannot be used" in words


def test_one_context_serves_all_transports_of_a_setting(trusted: str) -> None:
    assert ssl_context(Tls()) is ssl_context(Tls(), http2=False)
    assert ssl_context(Tls(ca_file=trusted)) is ssl_context(Tls(ca_file=trusted))
    assert ssl_context(Tls()) is not ssl_context(Tls(), http2=True)


def test_without_a_setting_the_system_is_trusted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[ssl.SSLContext] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self: loaded.append(self))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    contexts._made.cache_clear()
    assert ssl_context(Tls()) in loaded
    contexts._made.cache_clear()
