"""One POST: what became of it, in a few words, and whether another try may mend it."""

import os
from collections.abc import Iterator

import pytest
from exported import Receiver, receiving

from probes.transport.poster import Posted, post


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def posted(url: str, seconds: float = 5.0) -> Posted:
    headers = {"Content-Type": "application/json"}
    return post(url, b"{}", headers, seconds=seconds, environ=os.environ)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def test_what_is_taken_is_sent_once_as_it_is(receiver: Receiver) -> None:
    assert posted(f"{receiver.url}/a/b?c=d") == Posted()
    (sent,) = receiver.sent
    assert (sent.path, sent.body) == ("/a/b?c=d", b"{}")
    assert sent.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "may_pass"),
    [(400, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
def test_a_refusal_may_pass_or_not(receiver: Receiver, status: int, may_pass: bool) -> None:
    receiver.answers = [(status, {"Retry-After": "3"})]
    told = posted(receiver.url)
    assert (told.why, told.may_pass) == (f"answered {status}", may_pass)
    assert told.headers["retry-after"] == "3"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": f"{receiver.url}/elsewhere"})]
    told = posted(f"{receiver.url}/here")
    assert "redirects are not followed" in told.why
    assert not told.may_pass
    assert [one.path for one in receiver.sent] == ["/here"]


def test_what_hangs_has_a_deadline(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    assert posted(receiver.url, seconds=0.1) == Posted("no answer within 0.1 s", may_pass=True)


def test_where_nobody_listens() -> None:
    told = posted("http://127.0.0.1:9/")
    assert told.may_pass
    assert "nothing listens there" in told.why


def test_plain_http_leaves_this_machine_by_no_proxy_either(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url)
    told = posted("http://hooks.example.com/a-secret")
    assert "plain http through a proxy" in told.why
    assert not told.may_pass
    assert receiver.sent == []


def test_this_machine_is_reached_without_any_proxy(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert posted(receiver.url) == Posted()


def test_a_proxy_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks4://127.0.0.1:9")
    told = posted("https://hooks.example.com/")
    assert told.why.startswith("the proxy that the environment names ")
    assert "example.com" not in told.why
