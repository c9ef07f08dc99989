"""The headers of a request: the user's win, and the key stands where it belongs."""

from dataclasses import dataclass, field
from types import MappingProxyType

from probes.answers.dialects.chat import ChatDialect
from probes.answers.request_headers import request_headers
from probes.config import KeyHeader


@dataclass(frozen=True)
class Versioned(ChatDialect):
    headers: MappingProxyType[str, str] = field(
        default_factory=lambda: MappingProxyType({"some-version": "1"})
    )
    key_header: KeyHeader = "x-api-key"


def test_a_key_stays_a_bearer_token_where_the_dialect_wants_that() -> None:
    asked = request_headers({"Authorization": "Bearer abc"}, ChatDialect())
    assert asked["Authorization"] == "Bearer abc"


def test_a_key_moves_to_the_header_that_the_dialect_names() -> None:
    asked = request_headers({"Authorization": "Bearer abc", "X-Title": "t"}, Versioned())
    assert asked["x-api-key"] == "abc"
    assert "Authorization" not in asked
    assert asked["X-Title"] == "t"
    assert asked["some-version"] == "1"


def test_a_route_may_name_another_header_than_its_dialect() -> None:
    bearer = {"Authorization": "Bearer abc"}
    assert request_headers(bearer, ChatDialect(), "api-key")["api-key"] == "abc"
    assert request_headers(bearer, Versioned(), "authorization")["Authorization"] == "Bearer abc"


def test_a_header_of_the_user_replaces_ours_whatever_its_case() -> None:
    asked = request_headers({"user-agent": "mine", "SOME-VERSION": "2"}, Versioned())
    assert [value for name, value in asked.items() if name.lower() == "user-agent"] == ["mine"]
    assert [value for name, value in asked.items() if name.lower() == "some-version"] == ["2"]


def test_an_authorization_that_is_no_bearer_token_stays_where_it_is() -> None:
    asked = request_headers({"Authorization": "Basic abc"}, Versioned())
    assert asked["Authorization"] == "Basic abc"
