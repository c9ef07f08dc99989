"""Without an address a server of ours is on loopback; what is no address is refused."""

import pytest

from probes.kit.listen import ListenAddress, listen_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9464", "127.0.0.1", 9464),
        (":9464", "127.0.0.1", 9464),
        ("localhost:9464", "127.0.0.1", 9464),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("0.0.0.0:9464", "0.0.0.0", 9464),  # noqa: S104 - nothing is bound
        ("10.1.2.3:80", "10.1.2.3", 80),
        ("[::1]:9464", "::1", 9464),
        ("[::]:65535", "::", 65_535),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert listen_address(text) == ListenAddress(host, port)


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "65536", "123456", "example.com:80", "::1:80", "[::1]", "1.2.3:80", "a b:1"],
)
def test_what_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^got .*expected a port, :PORT or ADDRESS:PORT"):
        listen_address(text)


def test_who_can_reach_it() -> None:
    assert listen_address("1").is_loopback
    assert listen_address("127.8.8.8:1").is_loopback
    assert listen_address("[::1]:1").is_loopback
    assert not listen_address("0.0.0.0:1").is_loopback
    assert not listen_address("[::]:1").is_loopback


def test_it_is_shown_as_a_url_has_it() -> None:
    assert str(ListenAddress("::1", 80)) == "[::1]:80"
    assert str(ListenAddress("127.0.0.1", 80)) == "127.0.0.1:80"
