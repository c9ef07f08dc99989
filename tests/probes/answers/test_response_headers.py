"""What of a response's headers is kept, and every id of a request, the most telling first."""

import pytest

from probes.answers.response_headers import REQUEST_ID_HEADERS, kept_headers, request_ids


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


def test_the_kept_headers_are_bounded() -> None:
    headers = {f"x-ratelimit-limit-kind{number}": "1" for number in range(1000)}
    assert len(kept_headers(headers)) == 48


def test_kept_headers_are_an_allow_list_and_cut() -> None:
    kept = kept_headers(
        {
            "cf-ray": "8c1-FRA",
            "set-cookie": "secret",
            "authorization": "Bearer x",
            "server": "s" * 500,
            "x-ratelimit-limit-requests": "5",
        }
    )
    assert kept == {"cf-ray": "8c1-FRA", "server": "s" * 200, "x-ratelimit-limit-requests": "5"}


@pytest.mark.parametrize(("length", "is_kept"), [(80, True), (81, False)])
def test_a_header_of_a_known_kind_is_kept_up_to_a_name_of_80(length: int, is_kept: bool) -> None:
    name = "x-ratelimit-".ljust(length, "a")
    assert (name in kept_headers({name: "1"})) is is_kept


def test_48_headers_are_kept_with_200_characters_of_each() -> None:
    kept = kept_headers({f"x-ratelimit-{number}": "v" * 201 for number in range(49)})
    assert list(kept.values()) == ["v" * 200] * 48
