"""Every id of a request, the one that support asks for first."""

import pytest

from probes.answers.request_ids import REQUEST_ID_HEADERS, request_ids


@pytest.mark.parametrize("name", REQUEST_ID_HEADERS)
def test_a_request_id_has_many_names(name: str) -> None:
    assert request_ids({name: "id_1", "server": "x"}, None) == {name: "id_1"}


def test_no_request_id() -> None:
    assert request_ids({"server": "x", "x-request-id": ""}, None) == {}


def test_the_providers_own_id_stands_before_the_gateways_and_the_edges() -> None:
    sent = {"cf-ray": "8c1-FRA", "x-litellm-call-id": "c", "llm_provider-x-request-id": "req_1"}
    assert list(request_ids(sent, None).values()) == ["req_1", "c", "8c1-FRA"]


@pytest.mark.parametrize(
    ("headers", "order"),
    [
        ({}, ["req_b"]),
        ({"cf-ray": "r"}, ["req_b", "r"]),
        ({"request-id": "req_a", "cf-ray": "r"}, ["req_a", "r", "req_b"]),
        ({"request-id": "req_b"}, ["req_b"]),
    ],
)
def test_an_errors_own_id_is_kept_where_it_is_news(
    headers: dict[str, str], order: list[str]
) -> None:
    assert list(request_ids(headers, "req_b").values()) == order


def test_ids_are_cut() -> None:
    assert request_ids({"x-request-id": "a" * 900}, "b" * 900) == {
        "x-request-id": "a" * 200,
        "body": "b" * 200,
    }
