"""Alerts are posted once each, in order, tried again where that may help, and never in silence."""

import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from board_streams import at, diagnosis
from changed import replace
from clocks import ManualClock
from exported import PATIENCE_S, Receiver, receiving

from probes.config.urls import read_url
from probes.control.attention import Attention
from probes.events import Alert, Harm
from probes.exports.alert_documents import AlertDocuments
from probes.exports.alert_sink import AGAIN_S, QUEUED_MOST
from probes.exports.alert_webhook import TRIES, AlertWebhook
from probes.transport.poster import Posted

ALERT = Alert(
    at_ns=at(130),
    id="e1-a1",
    state="firing",
    kind="incident",
    routes=("alpha",),
    since_ns=at(100),
    incident="e1-1",
    cause="outage",
    harm=Harm("nothing_answered", "alpha"),
    text="alpha: provider is down",
)
OVER = replace(ALERT, state="over")
CHANGED = diagnosis(140.0, "provider_errors", 100.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def webhook(url: str, said: list[str], **changes: Any) -> AlertWebhook:
    clock = changes.pop("clock", None) or ManualClock()
    documents = AlertDocuments(Attention(clock), str, "run7")
    given: dict[str, Any] = {"seconds": 2.0, "environ": {}, "report": said.append}
    given |= {"first_wait_s": 0.0}
    return AlertWebhook(read_url(url), documents, **(given | changes))


def test_each_word_is_posted_once_in_order(receiver: Receiver) -> None:
    said: list[str] = []
    it = webhook(f"{receiver.url}/hook/a-secret?x=1", said)
    it.receive([ALERT], b"")
    it.receive([OVER], b"")
    sent = receiver.wait(2)
    it.close()
    assert [one.json()["state"] for one in sent] == ["firing", "over"]
    first = sent[0]
    assert first.path == "/hook/a-secret?x=1"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["idempotency-key"] == "run7-e1-a1-firing"
    assert first.headers["user-agent"].startswith("llmtop/")
    assert first.json()["cause"] == "outage"
    assert said == []


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_what_may_pass_is_tried_again_under_the_same_key(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {}), (status, {}), (204, {})]
    said: list[str] = []
    it = webhook(receiver.url, said)
    it.receive([ALERT], b"")
    sent = receiver.wait(3)
    it.close()
    assert len(sent) == 3
    assert {one.headers["idempotency-key"] for one in sent} == {"run7-e1-a1-firing"}
    assert said == []


@pytest.mark.parametrize("status", [400, 401, 404, 410, 301, 307])
def test_what_stays_is_said_and_the_next_one_goes_on(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": f"{receiver.url}/elsewhere"})]
    said: list[str] = []
    it = webhook(f"{receiver.url}/a-secret", said)
    it.receive([ALERT, OVER], b"")
    sent = receiver.wait(2)
    it.close()
    assert [one.path for one in sent] == ["/a-secret", "/a-secret"]
    (line,) = said
    assert line.startswith(f"webhook {receiver.url} has not taken alert e1-a1 (firing): answered")
    assert str(status) in line
    assert "a-secret" not in line


def test_a_receiver_that_never_takes_it_is_given_up_after_some_tries(receiver: Receiver) -> None:
    receiver.answers = [(503, {})] * 100
    said: list[str] = []
    it = webhook(receiver.url, said)
    it.receive([ALERT], b"")
    sent = receiver.wait(TRIES)
    it.close()
    assert len(sent) == TRIES
    assert said == [f"webhook {receiver.url} has not taken alert e1-a1 (firing): answered 503"]


def test_that_an_alert_fires_is_told_until_somebody_has_it_and_nothing_else_before(
    receiver: Receiver,
) -> None:
    receiver.answers = [(503, {})] * TRIES
    said: list[str] = []
    clock = ManualClock()
    it = webhook(receiver.url, said, clock=clock)
    it.receive([ALERT, CHANGED], b"")
    receiver.wait(TRIES)
    deadline = time.monotonic() + PATIENCE_S
    while not said and time.monotonic() < deadline:
        time.sleep(0.01)
    it.receive([], b"")
    it.receive([replace(CHANGED, routes=("alpha", "beta"))], b"")
    clock.now_ns += round((AGAIN_S - 1) * 1e9)
    it.receive([], b"")
    assert len(receiver.sent) == TRIES
    clock.now_ns += round(2e9)
    it.receive([], b"")
    told = [json.loads(one.body)["state"] for one in receiver.wait(2)[TRIES:]]
    assert told == ["firing", "changed"]
    assert len({one.headers["idempotency-key"] for one in receiver.sent[: TRIES + 1]}) == 1
    it.receive([OVER], b"")
    assert json.loads(receiver.wait()[-1].body)["state"] == "over"
    it.close()


def test_waits_double_and_a_server_may_ask_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Posted("answered 503", True)] * 3
    answers += [Posted("answered 429", True, {"retry-after": "7"})]
    answers += [Posted("answered 429", True, {"retry-after": "9999"}), Posted()]
    rested: list[float] = []
    it = webhook("https://example.com", [], post=lambda *_, **__: answers.pop(0), first_wait_s=1.0)
    monkeypatch.setattr(it._aside, "rest", lambda wait_s: rested.append(wait_s) or True)
    it.receive([ALERT], b"")
    deadline = time.monotonic() + PATIENCE_S
    while answers and time.monotonic() < deadline:
        time.sleep(0.01)
    it.close()
    assert rested == [1.0, 2.0, 4.0, 8.0, 60.0]


def test_nobody_listens(receiver: Receiver) -> None:
    said: list[str] = []
    it = webhook("http://127.0.0.1:9/a-secret", said)
    it.receive([ALERT], b"")
    it.close()
    assert "nothing listens there" in said[0]
    assert "a-secret" not in said[0]


def test_who_quits_waits_for_no_pager(receiver: Receiver) -> None:
    receiver.answers = [(503, {})] * 100
    said: list[str] = []
    it = webhook(receiver.url, said, first_wait_s=60.0)
    it.receive([ALERT], b"")
    receiver.wait()
    began = time.monotonic()
    it.close()
    assert time.monotonic() - began < PATIENCE_S
    assert len(receiver.sent) == 2  # one more try, without the wait
    assert "has not taken" in said[0]


def test_more_than_can_wait_is_left_out_and_said(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    said: list[str] = []
    it = webhook(receiver.url, said, seconds=60.0)
    began = time.monotonic()
    it.receive([replace(ALERT, id=f"a{n}", incident=f"i{n}") for n in range(QUEUED_MOST + 50)], b"")
    assert time.monotonic() - began < 45.0  # nothing that is sent is waited for
    assert said == [
        f"webhook {receiver.url} is too slow: 100 alerts wait for it, the next are left out"
    ]
    receiver.may_answer.set()
    receiver.wait(QUEUED_MOST)
    it.close()
    assert len(receiver.sent) == QUEUED_MOST


def test_a_receiver_that_hangs_is_left_after_its_time(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    said: list[str] = []
    it = webhook(receiver.url, said, seconds=0.1)
    it.receive([ALERT], b"")
    receiver.wait(TRIES)
    it.close()
    assert "no answer within 0.1 s" in said[0]


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    said: list[str] = []
    with receiving(context) as receiver:
        it = webhook(receiver.url.replace("127.0.0.1", "localhost"), said)
        it.receive([ALERT], b"")
        it.close()
        assert receiver.sent == []
    assert "certificate" in said[0]


def test_a_body_that_never_ends_is_not_read(receiver: Receiver) -> None:
    receiver.body = b"x" * 5_000_000
    said: list[str] = []
    it = webhook(receiver.url, said)
    it.receive([ALERT, OVER], b"")
    receiver.wait(2)
    it.close()
    assert said == []
    assert json.loads(receiver.sent[1].body)["state"] == "over"
