"""Which hosts NO_PROXY names, in all the ways that people write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.config import Route
from probes.config.no_proxy import is_bypassed
from probes.config.proxy_choice import proxy_of


@pytest.mark.parametrize(
    ("value", "host", "port", "bypassed"),
    [
        ("*", "api.example", 443, True),
        ("a.example,*", "api.example", 443, True),
        ("example", "api.example", 443, True),
        ("example", "example", 443, True),
        (".example", "api.example", 443, True),
        (".example", "example", 443, True),
        ("*.example", "api.example", 443, True),
        ("*.example", "deep.api.example", 443, True),
        ("*.example", "example", 443, True),
        ("*.example", "notexample", 443, False),
        ("example", "notexample", 443, False),
        ("example.com", "api.example", 443, False),
        ("EXAMPLE.", "api.example", 443, True),
        ("example", "API.Example.", 443, True),
        ("*example", "notexample", 443, True),
        ("api-*.example", "api-7.example", 443, True),
        ("api-*.example", "web.example", 443, False),
        ("x  example", "api.example", 443, True),
        ("x,example ", "api.example", 443, True),
        ("x\texample\ny", "api.example", 443, True),
        (" , ,, example,", "api.example", 443, True),
        ('"example"', "api.example", 443, True),
        ("example:443", "api.example", 443, True),
        ("example:8443", "api.example", 443, False),
        ("*.example:8443", "api.example", 8443, True),
        ("https://api.example", "api.example", 443, True),
        ("https://api.example:443/v1/x", "api.example", 443, True),
        ("http://api.example:8080/", "api.example", 443, False),
        ("HTTP://me@api.example", "api.example", 443, True),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3:81", "10.1.2.3", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.1.2.3/8", "10.200.0.1", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.*", "10.1.2.3", 80, True),
        ("2.3", "10.1.2.3", 80, False),
        ("10.0.0.0/99", "10.1.2.3", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:81", "::1", 80, False),
        ("FD00::/8", "fd00::1", 80, True),
        ("[fd00::]/8", "fd00::1", 80, True),
        ("fd00:0:0:0::1", "fd00::1", 80, True),
        ("fd00::/8", "10.1.2.3", 80, False),
        ("", "api.example", 443, False),
        (".", "api.example", 443, False),
        ("*.", "api.example", 443, False),
        (":443", "api.example", 443, False),
        ("example:port", "api.example", 443, False),
        ("https://", "api.example", 443, False),
    ],
)
def test_a_host_is_named_or_it_is_not(value: str, host: str, port: int, bypassed: bool) -> None:
    assert is_bypassed(host, port, value) is bypassed


@given(value=st.text(max_size=60), host=st.sampled_from(["api.example", "10.1.2.3", "fd00::1"]))
def test_nothing_that_it_holds_breaks_anything(value: str, host: str) -> None:
    assert is_bypassed(host, 443, value) in (True, False)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_the_environment_is_read_so(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for spelling in (variable, variable.lower()):
            monkeypatch.delenv(spelling, raising=False)
    environ = {"ALL_PROXY": "http://proxy:3128", name: "x, *.corp.example  https://other:8443"}
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    here, other, there = (
        Route(name="r", base_url=url, model="m")
        for url in ("https://api.corp.example/v1", "https://other:8443", "https://other/v1")
    )
    assert (proxy_of(here, environ), proxy_of(other, environ)) == (None, None)
    assert proxy_of(there, environ) is not None
