"""Settings of the way to a server: TLS files, proxies, HTTP/2, Unix sockets."""

import os
import subprocess
from pathlib import Path

import pytest
import trustme
from far_side import authority_file, own_files

from probes.config import Config, Tls, checks
from probes.config.errors import ConfigError
from probes.config.file import parse_config
from probes.config.proxies import Proxy, ProxyError, read_proxy
from probes.config.proxy_choice import proxy_of, proxy_secrets
from probes.config.scrubbing import Scrubber
from probes.config.tls import unverified
from probes.transport import Connecting, connecting

SECRET = "hush-hush/password"
ROUTE = '[routes.a]\nbase_url = "https://api.example/v1"\nmodel = "m"\n'


def read(
    text: str, folder: Path = Path("/nowhere"), environ: dict[str, str] | None = None
) -> Config:
    return parse_config(text, folder / "routes.toml", environ or {})


def problems(
    text: str, folder: Path = Path("/nowhere"), environ: dict[str, str] | None = None
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, folder, environ)
    return list(caught.value.problems)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad PEM files."""
    made = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority_file(authority, made)
    own_files(authority, made)
    (made / "other").mkdir()
    own_files(authority, made / "other")
    (made / "garbage.pem").write_text("not a certificate")
    (made / "both.pem").write_bytes(
        (made / "own.pem").read_bytes() + (made / "own.key").read_bytes()
    )
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:x", "-in", made / "own.key",
               "-out", made / "locked.key"]  # fmt: skip
    if "RSA" not in (made / "own.key").read_text().splitlines()[0]:
        command[1] = "ec"
    subprocess.run(command, check=True, capture_output=True)
    return made


def test_paths_are_relative_to_the_folder_of_the_settings(folder: Path) -> None:
    text = ROUTE + (
        '[routes.a.tls]\nca_file = "authority.pem"\nclient_cert = "own.pem"\n'
        'client_key = "own.key"\nserver_name = "inside.example"\n'
    )
    (route,) = read(text, folder).routes
    assert route.tls == Tls(
        ca_file=str(folder / "authority.pem"),
        client_cert=str(folder / "own.pem"),
        client_key=str(folder / "own.key"),
        server_name="inside.example",
    )


def test_a_route_replaces_the_defaults_of_tls_key_by_key(folder: Path) -> None:
    text = (
        '[defaults.tls]\nca_file = "authority.pem"\nverify = false\n'
        + ROUTE
        + "tls = { verify = true }\n"
    )
    (route,) = read(text, folder).routes
    assert (route.tls.ca_file, route.tls.verify) == (str(folder / "authority.pem"), True)


def test_a_certificate_and_its_key_may_share_a_file(folder: Path) -> None:
    (route,) = read(ROUTE + 'tls = { client_cert = "both.pem" }\n', folder).routes
    assert route.tls.client_key is None


@pytest.mark.parametrize(
    ("table", "key", "complaint"),
    [
        ('ca_file = "gone.pem"', "ca_file", "cannot be read: No such file or directory"),
        ('ca_file = "other"', "ca_file", "cannot be read: is a directory, expected"),
        ('ca_file = "garbage.pem"', "ca_file", "holds no certificate in PEM form"),
        ('client_cert = "garbage.pem"', "client_cert", "holds no certificate in PEM form"),
        ('client_cert = "own.pem"', "client_cert", "holds no key in PEM form"),
        (
            'client_cert = "own.pem", client_key = "garbage.pem"',
            "client_key",
            "holds no key in PEM form",
        ),
        (
            'client_cert = "own.pem", client_key = "other/own.key"',
            "client_key",
            "is the key of another certificate",
        ),
        (
            'client_cert = "own.pem", client_key = "locked.key"',
            "client_key",
            "is encrypted; expected a key without a password",
        ),
        ('client_key = "own.key"', "client_key", "stands without client_cert"),
        ('server_name = "a b"', "server_name", "a host name or an address"),
        ('server_name = ".example"', "server_name", "a host name or an address"),
        ("verify = 1", "verify", "true or false"),
        ('ca_files = "x"', "ca_files", "did you mean ca_file?"),
    ],
)
def test_what_is_wrong_with_tls_is_told_in_one_line(
    folder: Path, table: str, key: str, complaint: str
) -> None:
    (line,) = problems(ROUTE + f"tls = {{ {table} }}\n", folder)
    assert line.startswith(f"routes.toml: routes.a.tls.{key}: ")
    assert complaint in line


def test_a_mistake_in_the_defaults_is_told_once_and_where_it_stands(folder: Path) -> None:
    text = '[defaults.tls]\nca_file = "gone.pem"\n' + ROUTE + ROUTE.replace(".a]", ".b]")
    (line,) = problems(text, folder)
    assert line.startswith("routes.toml: defaults.tls.ca_file: ")


def test_what_is_not_verified_is_said_where_it_matters() -> None:
    text = "[defaults.tls]\nverify = false\n" + ROUTE
    plain = ROUTE.replace(".a]", ".b]").replace("https:", "http:")
    ((route, words),) = unverified(read(text + plain).routes)
    assert route == "a"
    assert "tls.verify = false" in words


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.example:3128", Proxy("http", "proxy.example", 3128)),
        ("https://proxy.example", Proxy("https", "proxy.example", 443)),
        ("socks5://[::1]", Proxy("socks5", "::1", 1080)),
        ("socks5h://10.0.0.1:9050/", Proxy("socks5h", "10.0.0.1", 9050)),
        ("socks://10.0.0.1:9050", Proxy("socks5h", "10.0.0.1", 9050)),
        ("proxy.example:3128", Proxy("http", "proxy.example", 3128)),
        (
            "http://me:a%2Fb%40c@proxy.example:1",
            Proxy("http", "proxy.example", 1, "me", "a/b@c"),
        ),
    ],
)
def test_proxies_are_read(url: str, proxy: Proxy) -> None:
    assert read_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    ["", "ftp://h:1", "socks4://h:1", "http://", "http://h:99999", "http://h:0", "http://h/path",
     "http://h?x", "http://[::1", "http://bücher.example", "foo:bar:baz",
     "http://u:" + 256 * "x" + "@h"],
)  # fmt: skip
def test_what_is_no_proxy_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ProxyError) as caught:
        read_proxy(url)
    assert url == "" or url not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("http://me:hush@h:1", "user or password"),
        ("me@h:1", "user or password"),
        ("h:3128", "expected a URL"),
        ("ftp://h:21", "expected a URL"),
        ("direct", "expected a URL"),
        ("env:", "expected a URL"),
        ("env:MISSING", "MISSING is not set"),
        ("env:WRONG", "environment variable WRONG is no http"),
    ],
)
def test_a_proxy_setting_that_is_wrong_is_told_without_a_secret(
    setting: str, complaint: str
) -> None:
    (line,) = problems(ROUTE + f'proxy = "{setting}"\n', environ={"WRONG": "ftp://u:hush@h"})
    assert line.startswith("routes.toml: routes.a.proxy: ")
    assert complaint in line
    assert "hush" not in line


def test_a_variable_may_hold_a_proxy_with_its_password() -> None:
    environ = {"PROXY": "socks5h://me:hush-hush%2Fpassword@h:1"}
    (route,) = read(ROUTE + 'proxy = "env:PROXY"\n', environ=environ).routes
    proxy = proxy_of(route, environ)
    assert proxy == Proxy("socks5h", "h", 1, "me", SECRET)
    assert "hush" not in repr(proxy)
    assert "hush" not in repr(connecting(route, environ))
    scrubber = Scrubber(proxy_secrets([route], environ))
    assert SECRET not in scrubber.scrub(f"not {SECRET}")
    assert "hush" not in scrubber.scrub("hush-hush%2Fpassword")
    encoded = proxy.basic_credentials
    assert encoded not in scrubber.scrub(f"Basic {encoded}")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(
    ("variables", "url", "host"),
    [
        ({"HTTPS_PROXY": "http://a:1"}, "https://api.example/v1", "a"),
        ({"HTTPS_PROXY": "http://a:1"}, "http://api.example/v1", None),
        ({"HTTP_PROXY": "a:1"}, "http://api.example/v1", "a"),
        ({"ALL_PROXY": "socks5://a:1"}, "https://api.example/v1", "a"),
        ({"ALL_PROXY": "http://b:1", "HTTPS_PROXY": "http://a:1"}, "https://api.example", "a"),
        ({"ALL_PROXY": "http://a:1"}, "http://127.0.0.1:8000/v1", None),
        ({"ALL_PROXY": "http://a:1"}, "http://[::1]:8000/v1", None),
        ({"ALL_PROXY": "http://a:1"}, "http://localhost/v1", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "example"}, "https://api.example/v1", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "*"}, "https://api.example/v1", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "api.example:8443"},
         "https://api.example:8443/v1", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "x, 10.0.0.0/8"}, "http://10.1.2.3/v1", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "10.0.0.0/8"}, "http://11.1.2.3/v1", "a"),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "fd00::/8"}, "http://[fd00::1]/v1", None),
        ({"ALL_PROXY": ""}, "https://api.example/v1", None),
        ({}, "https://api.example/v1", None),
    ],
)  # fmt: skip
def test_the_environment_names_a_proxy(
    clean: pytest.MonkeyPatch, variables: dict[str, str], url: str, host: str | None, lower: bool
) -> None:
    for name, value in variables.items():
        clean.setenv(name.lower() if lower else name, value)
    (route,) = read(ROUTE.replace("https://api.example/v1", url)).routes
    proxy = proxy_of(route, os.environ)
    assert (proxy.host if proxy else None) == host
    for setting in ('proxy = "none"\n', 'unix_socket = "x"\n'):
        (route,) = read(ROUTE.replace("https://api.example/v1", url) + setting).routes
        assert proxy_of(route, os.environ) is None


def test_an_unusable_proxy_of_the_environment_is_told_when_it_is_needed(
    clean: pytest.MonkeyPatch,
) -> None:
    clean.setenv("HTTPS_PROXY", "socks4://h:1")
    (route,) = read(ROUTE).routes
    options = connecting(route, {"HTTPS_PROXY": "socks4://h:1"})
    assert options.proxy is None
    assert options.unusable_proxy == "is no http, https, socks5 or socks5h URL"
    assert proxy_secrets([route], {"HTTPS_PROXY": "x"}) == frozenset()


def test_a_unix_socket_goes_without_a_proxy_and_needs_no_tls() -> None:
    text = ROUTE.replace("https:", "http:") + 'api_key_env = "KEY"\nunix_socket = "run/socket"\n'
    (route,) = read(text, Path("/etc"), {"KEY": "k" * 20}).routes
    assert route.unix_socket == "/etc/run/socket"
    (line,) = problems(text + 'proxy = "http://h:1"\n', Path("/etc"), {"KEY": "k" * 20})
    assert "stands beside unix_socket" in line
    (line,) = problems(ROUTE + f'unix_socket = "{"x" * 120}"\n')
    assert line.startswith("routes.toml: routes.a.unix_socket: is longer than")


def test_a_key_does_not_leave_this_machine_in_the_clear_by_way_of_a_proxy() -> None:
    text = ROUTE.replace("https://api.example", "http://127.0.0.1:8000") + 'api_key_env = "KEY"\n'
    environ = {"KEY": "k" * 20}
    assert read(text, environ=environ)
    (line,) = problems(text + 'proxy = "http://h:1"\n', environ=environ)
    assert "would send a key over plain http to another machine" in line


def test_http2_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(ROUTE + "http2 = true\n").routes[0].http2
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)
    (line,) = problems(ROUTE + "http2 = true\n")
    assert line.endswith("needs the package h2: pip install 'llmtop-tui[http2]'")


def test_what_a_route_says_of_its_connections_reaches_the_transport() -> None:
    text = ROUTE + 'proxy = "socks5://h:1"\nhttp2 = true\nconnection = "fresh"\n'
    (route,) = read(text + "tls = { verify = false }\n").routes
    assert connecting(route, {}) == Connecting(
        reuse=False, tls=Tls(verify=False), proxy=Proxy("socks5", "h", 1), http2=True
    )
    (plain,) = read(text.replace("https://api", "http://api")).routes
    assert not connecting(plain, {}).http1


@pytest.mark.parametrize("host", ["[fe80::1%25eth0]", "[fe80::1%eth0]", "a%2eb"])
def test_zones_and_escapes_in_a_host_are_refused(host: str) -> None:
    (line,) = problems(ROUTE.replace("api.example", host))
    assert "has an IPv6 zone or an escape in its host" in line
