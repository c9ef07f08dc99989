"""What is told of an alert: that it fires, what changes of it, that it is over; each once."""

import json
from typing import Any

import pytest
from board_streams import at, diagnosis, hello, tick
from changed import replace
from clocks import ManualClock

from probes.control.attention import MUTED_S, Attention
from probes.events import Alert, Event, Harm, SeenBefore
from probes.exports.alert_documents import CHANGES_MOST, AlertDocument, AlertDocuments

ALERT = Alert(
    at_ns=at(130),
    id="e1-a1",
    state="firing",
    kind="incident",
    routes=("alpha",),
    since_ns=at(100),
    incident="e1-1",
    cause="provider_errors",
    harm=Harm("probes_fail", "alpha"),
    text="alpha: errors",
)
NAMED = diagnosis(130.0, "provider_errors", 100.0)
OVER = replace(ALERT, state="over", at_ns=at(300), ended_ns=at(240))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def attention(clock: ManualClock) -> Attention:
    return Attention(clock)


@pytest.fixture
def documents(attention: Attention) -> AlertDocuments:
    return AlertDocuments(attention, lambda text: text.replace("a-key", "***"), "run7")


def read(documents: list[AlertDocument]) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in documents]


def words(documents: AlertDocuments, *events: Event) -> list[tuple[str, str, str]]:
    told = documents.due(events)
    return [(one["state"], one.get("cause", ""), " ".join(one["routes"])) for one in read(told)]


SEEN = SeenBefore(
    at_ns=at(120),
    cause="provider_errors",
    routes=("alpha",),
    times=3,
    first_wall_ns=1_760_000_000 * 10**9,
    last_wall_ns=1_764_000_000 * 10**9,
    typical_s=2_400.0,
)


def test_what_was_seen_before_is_told_with_what_is_wrong(documents: AlertDocuments) -> None:
    other = replace(SEEN, cause="dns", times=9)
    (told,) = read(documents.due([hello(), tick(1.0), other, SEEN, NAMED, ALERT]))
    assert told["seen_before"] == {
        "times": 3,
        "first": "2025-10-09T08:53:20.000Z",
        "last": "2025-11-24T16:00:00.000Z",
        "typical_s": 2400.0,
    }


def test_what_was_seen_before_is_forgotten_with_its_incident(documents: AlertDocuments) -> None:
    over = replace(NAMED, state="cleared", at_ns=at(140))
    documents.due([hello(), tick(1.0), SEEN, NAMED, over])
    (told,) = read(documents.due([ALERT]))
    assert told["seen_before"] is None


def test_it_fires_changes_and_is_over_each_once(documents: AlertDocuments) -> None:
    outage = replace(NAMED, at_ns=at(150), cause="outage")
    spread = replace(outage, at_ns=at(160), routes=("alpha", "beta"))
    assert words(documents, hello(), tick(1.0), NAMED, ALERT) == [
        ("firing", "provider_errors", "alpha")
    ]
    assert words(documents, NAMED, replace(NAMED, size=2.0)) == []
    assert words(documents, outage) == [("changed", "outage", "alpha")]
    assert words(documents, outage, spread) == [("changed", "outage", "alpha beta")]
    assert words(documents, replace(spread, state="cleared"), OVER) == [
        ("over", "provider_errors", "alpha")
    ]
    assert words(documents, outage, OVER) == []


def test_what_comes_in_one_batch_is_told_in_its_order(documents: AlertDocuments) -> None:
    outage = replace(NAMED, at_ns=at(150), cause="outage")
    assert [state for state, *_ in words(documents, NAMED, ALERT, outage, OVER)] == [
        "firing",
        "changed",
        "over",
    ]


def test_a_change_says_what_it_was_before(documents: AlertDocuments) -> None:
    documents.due([hello(), ALERT])
    (told,) = read(documents.due([replace(NAMED, at_ns=at(150), cause="outage", since_ns=at(90))]))
    assert told["before"] == {"cause": "provider_errors", "routes": ["alpha"]}
    assert (told["id"], told["incident"], told["run"]) == ("e1-a1", "e1-1", "run7")
    assert (told["at_ns"], told["since_ns"]) == (at(150), at(90))
    assert told["text"].startswith("alpha: ")
    assert told["at"].endswith("Z")


def test_what_comes_and_goes_is_no_news(documents: AlertDocuments) -> None:
    documents.due([ALERT])
    outage = replace(NAMED, cause="outage")
    told = [words(documents, one) for one in (outage, NAMED, outage, NAMED)]
    assert told == [[("changed", "outage", "alpha")], [], [], []]


def test_one_alert_never_tells_for_ever(documents: AlertDocuments) -> None:
    documents.due([ALERT])
    spread = [replace(NAMED, routes=("alpha", f"r{number}")) for number in range(100)]
    assert len(words(documents, *spread)) == CHANGES_MOST


def test_what_is_only_suspected_changes_nothing(documents: AlertDocuments) -> None:
    documents.due([ALERT])
    assert words(documents, replace(NAMED, cause="outage", state="perhaps")) == []
    assert words(documents, replace(NAMED, cause="outage", id="e1-9")) == []


def test_of_what_was_not_told_no_change_is(documents: AlertDocuments) -> None:
    assert words(documents, replace(NAMED, cause="outage")) == []


def test_while_it_is_muted_no_change_is_told(
    documents: AlertDocuments, attention: Attention, clock: ManualClock
) -> None:
    documents.due([ALERT])
    attention.mute(["alpha"])
    outage = replace(NAMED, cause="outage")
    assert words(documents, outage) == []
    clock.now_ns += MUTED_S * 10**9
    assert words(documents, outage) == [("changed", "outage", "alpha")]
    attention.mute(["alpha"])
    assert [state for state, *_ in words(documents, OVER)] == ["over"]


def test_a_goal_that_burns_has_no_incident_and_never_changes(documents: AlertDocuments) -> None:
    burn = replace(ALERT, kind="burn", incident="", cause=None)
    assert words(documents, burn) == [("firing", "", "alpha")]
    assert words(documents, NAMED) == []
    assert [state for state, *_ in words(documents, replace(burn, state="over"))] == ["over"]


def test_two_goals_that_burn_are_two_alerts(documents: AlertDocuments) -> None:
    burns = [replace(ALERT, id=f"e1-a{n}", kind="burn", incident="", cause=None) for n in (1, 2)]
    documents.due(burns)
    told = read(documents.due([replace(one, state="over") for one in reversed(burns)]))
    assert [(one["id"], one["state"]) for one in told] == [("e1-a2", "over"), ("e1-a1", "over")]


def test_moments_are_in_utc(documents: AlertDocuments) -> None:
    anchored = replace(hello(), at_ns=at(0.0), wall_ns=1_796_000_000 * 10**9)
    (fired,) = read(documents.due([anchored, ALERT]))
    assert fired["since"] == "2026-11-30T00:55:00.000Z"
    assert fired["at"] == "2026-11-30T00:55:30.000Z"
    assert fired["ended"] is None
    (over,) = read(documents.due([OVER]))
    assert over["ended"] == "2026-11-30T00:57:20.000Z"


def test_each_word_has_a_key_of_its_own_in_any_run(attention: Attention) -> None:
    keys: list[str] = []
    for run in ("a", "b"):
        documents = AlertDocuments(attention, str, run)
        outage = replace(NAMED, cause="outage")
        events = [ALERT, outage, replace(outage, routes=("alpha", "beta")), OVER]
        for event in events:
            keys += [one.key for one in documents.due([event])]
    assert keys[:4] == ["a-e1-a1-firing", "a-e1-a1-changed-1", "a-e1-a1-changed-2", "a-e1-a1-over"]
    assert len({*keys}) == 8


def test_a_document_is_one_line_of_ascii_without_a_secret(documents: AlertDocuments) -> None:
    hostile = replace(ALERT, routes=("漢字 a-key\x9b\u202e",), text="a-key\n")
    (told,) = documents.due([hostile])
    assert told.body.isascii()
    assert told.body.count(b"\n") == 1
    assert b"a-key" not in told.body
    assert json.loads(told.body)["routes"] == ["漢字 ***\x9b\u202e"]
