"""Where a bus is, as a person names it."""

from pathlib import Path

import pytest

from probes.bus.address import bus_address, listed_password
from probes.config.errors import ConfigError

CREDS = (
    "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n"
    "-----BEGIN USER NKEY SEED-----\nSUAB\n------END USER NKEY SEED------\n"
)


def test_a_password_on_a_command_line_is_said_to_be_read_by_others() -> None:
    environ = {"BUS": "nats://ann:s3cret-s3cret@bus"}
    for text, is_told in (
        ("nats://ann:s3cret-s3cret@bus", True),
        ("nats://t0ken-t0ken@bus", True),
        ("nats://bus", False),
        ("env:BUS", False),
    ):
        told = listed_password(text, bus_address(text, environ=environ))
        assert bool(told) is is_told
        assert "s3cret" not in told


def test_no_secret_of_an_address_is_in_what_a_traceback_may_show() -> None:
    address = bus_address("nats://ann:s3cret-s3cret@bus")
    assert repr(address) == f"{address}" == "BusAddress('nats://bus:4222')"


@pytest.mark.parametrize(
    ("text", "servers", "shown"),
    [
        ("nats://bus", ("nats://bus:4222",), "nats://bus:4222"),
        ("bus:4333", ("nats://bus:4333",), "nats://bus:4333"),
        ("tls://bus.example/", ("tls://bus.example:4222",), "tls://bus.example:4222"),
        ("nats://[::1]:4333", ("nats://[::1]:4333",), "nats://[::1]:4333"),
        ("nats://a, nats://b", ("nats://a:4222", "nats://b:4222"), "nats://a:4222,nats://b:4222"),
        ("nats://ann:s3cr3t@bus", ("nats://ann:s3cr3t@bus:4222",), "nats://bus:4222"),
        ("nats://t0k3n@bus", ("nats://t0k3n@bus:4222",), "nats://bus:4222"),
    ],
)
def test_servers_are_taken_as_they_are_and_shown_without_secrets(
    text: str, servers: tuple[str, ...], shown: str
) -> None:
    address = bus_address(text)
    assert (address.servers, address.shown) == (servers, shown)


@pytest.mark.parametrize(
    ("text", "secret"),
    [("nats://ann:s3%40cr3t@bus", "s3@cr3t"), ("nats://t0k3n@bus", "t0k3n")],
)
def test_a_secret_is_taken_out_of_what_others_say(text: str, secret: str) -> None:
    address = bus_address(text)
    assert address.scrub(f"no {secret}!") == "no [secret]!"
    assert address.scrub("ann may not") == "ann may not"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://ann:s3cr3t@bus", "--bus: http:// is no bus"),
        ("nats://ann:s3cr3t@", "--bus: that is no address of a server"),
        ("nats://ann:s3cr3t@bus:70000", "--bus: Port out of range 0-65535"),
        ("nats://ann:s3cr3t@bus/events", "--bus: that is no address of a server"),
        ("nats://a,", "--bus: server 2: that is no address of a server"),
        ("nats://a,tls://b", "--bus: nats:// and tls:// exclude each other"),
        ("", "--bus: that is no address of a server"),
    ],
)
def test_what_is_no_address_is_one_line_without_its_secret(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        bus_address(text)
    (line,) = told.value.problems
    assert line.startswith(words)
    assert "s3cr3t" not in line


def test_a_credentials_file_is_looked_at_before_anything_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "eu.creds"
    with pytest.raises(ConfigError, match=r"--bus-credentials: .*: No such file"):
        bus_address("nats://bus", path)
    path.write_text("hello")
    with pytest.raises(ConfigError, match=r"expected a \.creds file"):
        bus_address("nats://bus", path)
    path.write_text(CREDS)
    assert bus_address("nats://bus", path).credentials == str(path)


def test_an_address_with_a_password_stands_in_a_variable() -> None:
    address = bus_address("env:BUS", environ={"BUS": "nats://ann:s3cret-s3cret@bus"})
    assert (address.servers, address.shown) == (
        ("nats://ann:s3cret-s3cret@bus:4222",),
        "nats://bus:4222",
    )


@pytest.mark.parametrize("environ", [{}, {"BUS": " "}, {"BUS": "http://ann:s3cret-s3cret@bus"}])
def test_a_variable_that_holds_no_address_is_named_and_not_shown(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="--bus env:BUS: ") as raised:
        bus_address("env:BUS", environ=environ)
    assert "s3cret" not in str(raised.value)
