"""URLs: one reader, one spelling a place, and nothing guessed."""

import re
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.config.errors import ConfigError
from probes.config.file import parse_config
from probes.config.proxies import ProxyError, read_proxy
from probes.config.urls import (
    UrlError,
    base_url_of,
    is_loopback_address,
    mask_url,
    read_place,
    read_url,
)
from probes.transport.http1 import target_of

PATH = Path("/nowhere/routes.toml")


def complaint_of(text: str) -> str:
    """Return what is wrong with a base URL."""
    with pytest.raises(UrlError) as caught:
        base_url_of(text)
    return str(caught.value)


FAR = [
    "http://api.example/v1",
    "HTTP://api.example/v1",
    "HtTp://API.example:80/v1",
    "http://api.example./v1",
    "http://10.0.0.1/v1",
    "http://0.0.0.0/v1",
    "http://[::]/v1",
    "http://[2001:DB8::1]:80/v1",
    "http://[::ffff:10.0.0.1]/v1",
    "http://localhost.example/v1",
    "http://127.0.0.1.nip.example/v1",
    "http://notlocalhost/v1",
]
NEAR = [
    "http://localhost/v1",
    "HTTP://LOCALHOST:8000/v1",
    "http://localhost./v1",
    "http://a.localhost/v1",
    "http://127.0.0.1/v1",
    "http://127.255.255.254/v1",
    "http://[::1]/v1",
    "http://[0:0:0:0:0:0:0:1]/v1",
    "http://[::ffff:127.0.0.1]/v1",
    "http://[::ffff:7f00:1]/v1",
]
ODD = [
    "http:/api.example/v1",
    "http:api.example/v1",
    "http:\\\\api.example\\v1",
    "http://api.example\\@127.0.0.1/v1",
    "http://127.0.0.1\\.api.example/v1",
    "http:///api.example/v1",
    "http:////api.example/v1",
    "//api.example/v1",
    "api.example/v1",
    "api.example:80/v1",
    " http://api.example/v1",
    "http://api.example/v1 ",
    "http://api.example /v1",
    "ht\ttp://api.example/v1",
    "http://api.exa\nmple/v1",
    "http://api.example/v1\r\nX: y",
    "http://api.example\x00/v1",
    "http://\u200bapi.example/v1",
    "http://api。example/v1",
    "http://127。0。0。1/v1",
    "http://１２７.0.0.1/v1",
    "http://bücher.example/v1",
    "http://xn--/v1",
    "http://%61pi.example/v1",
    "http://127.0.0.1%2f.example/v1",
    "http://127.0.0.1%00.example/v1",
    "http://[fe80::1%25eth0]/v1",
    "http://[fe80::1%eth0]/v1",
    "http://[::1]x/v1",
    "http://[::1/v1",
    "http://::1/v1",
    "http://[v1.x]/v1",
    "http://[127.0.0.1]/v1",
    "http://127.1/v1",
    "http://127.0.1/v1",
    "http://2130706433/v1",
    "http://0x7f000001/v1",
    "http://0x7f.0.0.1/v1",
    "http://0177.0.0.1/v1",
    "http://127.0.0.01/v1",
    "http://127.0.0.256/v1",
    "http://127.0.0.1./v1",
    "http://1.2.3.4.5/v1",
    "http://api.example.1/v1",
    "http://api..example/v1",
    "http://.example/v1",
    "http://localhost../v1",
    "http://-api.example/v1",
    "http://user@api.example/v1",
    "http://user:pass@api.example/v1",
    "http://@api.example/v1",
    "http://127.0.0.1@api.example/v1",
    "http://api.example:@127.0.0.1/v1",
    "http://api.example:0/v1",
    "http://api.example:65536/v1",
    "http://api.example:-1/v1",
    "http://api.example:８0/v1",
    "http://api.example:80:80/v1",
    "http://api.example:8 0/v1",
    "http://?x",
    "http://#x",
    "http://",
    "ftp://api.example/v1",
    "httpx://api.example/v1",
    "file:///etc/passwd",
    "javascript://api.example/v1",
    "http+unix://x/v1",
    "ws://api.example/v1",
    "http://" + "a" * 64 + ".example/v1",
    "http://" + "a." * 127 + "example/v1",
]


def config(url: str, more: str = "") -> str:
    """The base URL of a route with a key, as the settings give it."""
    text = f"[routes.r]\nbase_url = {url!r}\nmodel = 'm'\napi_key_env = 'KEY'\n{more}"
    return parse_config(text, PATH, {"KEY": "k" * 20}).routes[0].base_url


@pytest.mark.parametrize("url", FAR)
def test_no_spelling_sends_a_key_in_the_clear_to_another_machine(url: str) -> None:
    assert not read_url(url).is_loopback
    with pytest.raises(ConfigError, match="would send a key over plain http to another machine"):
        config(url)
    assert config(url, "insecure = true\n").startswith("http://")
    assert config(re.sub("(?i)^http", "hTTps", url)).startswith("https://")


@pytest.mark.parametrize("url", NEAR)
def test_this_machine_is_known_in_every_spelling(url: str) -> None:
    assert read_url(url).is_loopback
    assert config(url).startswith("http://")


@pytest.mark.parametrize("url", ODD)
def test_what_could_be_understood_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UrlError) as caught:
        read_url(url)
    assert "pass" not in str(caught.value).replace("user or password", "")
    assert complaint_of(url) == str(caught.value)


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("HTTPS://API.Example:443/V1?A=B", "https://api.example/V1?A=B"),
        ("http://h:80", "http://h"),
        ("http://h:", "http://h"),
        ("http://h:00080/", "http://h/"),
        ("https://h:80/x", "https://h:80/x"),
        ("http://h:443/x", "http://h:443/x"),
        ("http://[2001:DB8:0:0::1]:8000/", "http://[2001:db8::1]:8000/"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://h/v1?", "https://h/v1?"),
        ("https://h/client/v4/accounts/1/ai/@cf/m", "https://h/client/v4/accounts/1/ai/@cf/m"),
    ],
)
def test_a_place_has_one_spelling(url: str, spelling: str) -> None:
    assert str(read_url(url)) == spelling
    assert read_url(spelling) == read_url(url)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_without_being_quoted(text: str) -> None:
    for candidate in (text, f"http://{text}", f"http://{text}/v1", f"HTTP://u:{text}@h"):
        try:
            url = read_url(candidate)
        except UrlError:
            continue
        assert read_url(str(url)) == url
        assert url.scheme in ("http", "https")
        assert url.host == url.host.lower()
        assert url.host.isascii()


@given(
    st.from_regex(r"\A[A-Za-z0-9_.:\[\]@%/\\?#-]{1,24}\Z"),
    st.sampled_from(["http", "HTTPS", "Http"]),
)
def test_what_is_dialled_is_what_was_judged(rest: str, scheme: str) -> None:
    """The one reader, the transport and httpx agree on where a URL leads."""
    text = f"{scheme}://{rest}"
    try:
        url = read_url(text)
    except UrlError:
        with pytest.raises(httpx.InvalidURL):
            target_of(text)
        return
    target = target_of(text)
    assert (target.is_tls, target.host, target.port) == (url.is_tls, url.host, url.port)
    theirs = httpx.URL(str(url))
    port = theirs.port or (443 if theirs.scheme == "https" else 80)
    assert (theirs.scheme, theirs.host, port) == (url.scheme, url.host, url.port)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("::", False),
        ("0.0.0.0", False),  # noqa: S104 - judged, not bound to
        ("10.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_loopback_is_decided_by_the_address(address: str, loopback: bool) -> None:
    assert is_loopback_address(address) is loopback


@pytest.mark.parametrize(
    "url",
    ["http:\\\\h:1", "http:/h", "http://127.1:3128", "http://0x7f.1:1", "http://a%2eb:1",
     "http://h\x00:1", "http://u:p\n@h:1", "http://[fe80::1%25eth0]:1", "http://ｈ:1"],
)  # fmt: skip
def test_proxies_are_read_as_strictly(url: str) -> None:
    with pytest.raises(ProxyError):
        read_proxy(url)


def test_a_proxy_has_one_spelling() -> None:
    assert read_proxy("HTTP://DOMAIN\\me:p@Proxy.Example:3128") == read_proxy(
        "http://DOMAIN%5Cme:p@proxy.example:3128/"
    )


@pytest.mark.parametrize(
    "url",
    ["http:\\\\u:hush@h", "http:/u:hush@h", "u:hush@h", "http://u:hush@[h", "HTTP://u:hush@h"],
)
def test_what_is_shown_of_any_text_hides_its_password(url: str) -> None:
    assert "hush" not in mask_url(url)


def test_a_place_of_any_scheme_has_its_parts() -> None:
    place = read_place("SOCKS5H://me@[0::1]:9/x?q#f")
    assert (place.scheme, place.user, place.host, place.port) == ("socks5h", "me", "::1", 9)
    assert (place.path, place.query, place.fragment) == ("/x", "q", "f")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("api.example/v1", "https://api.example/v1"),
        ("//api.example/v1", "https://api.example/v1"),
        ("https:/api.example/v1", "https://api.example/v1"),
        ("HTTP:api.example/v1", "https://api.example/v1"),
        ("localhost:11434/v1", "http://localhost:11434/v1"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("api.example/v1?key=hidden", "https://api.example/v1?key=***"),
    ],
)
def test_a_url_without_its_scheme_is_told_what_it_may_have_meant(text: str, meant: str) -> None:
    complaint = complaint_of(text)
    assert complaint == f"has no https:// or http:// in front, did you mean {meant}?"


@pytest.mark.parametrize(
    "text",
    [
        *("", "/v1", "me:secret@api.example/v1", "::", "sk-secret", "secret:443", "secret/v1"),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.secretsecretsecretsecretsecretsecret_-secre",
    ],
)
def test_where_nothing_is_likely_an_example_is_shown(text: str) -> None:
    complaint = complaint_of(text)
    assert complaint.endswith("expected a URL such as https://api.example.com/v1")
    assert "secret" not in complaint
