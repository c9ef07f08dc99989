"""What two arms of a comparison differ in, and where a key may go."""

import msgspec
import pytest

from probes.comparing.arms import (
    ArmChange,
    ArmError,
    ChangeKind,
    arms_of_change,
    arms_of_routes,
)
from probes.config import Route
from probes.config.prompts import estimate_tokens, generated_prompt
from probes.config.workloads import WORKLOADS


def route(name: str = "alpha", **settings: object) -> Route:
    return msgspec.structs.replace(
        Route(name=name, base_url="https://api.example.com/v1", model="m"), **settings
    )


KEYED = route(api_key_env="KEY")


def changed(one: Route, kind: ChangeKind, value: str = "") -> Route:
    """Return the settings of the changed arm."""
    first, second = arms_of_change(one, ArmChange(kind, value))
    assert first.name == one.name
    assert (first.of, second.of) == (one.name, one.name)
    return second.route


def test_arms_are_asked_probe_by_probe_and_nothing_goes_beside_that() -> None:
    by_itself = route("b", retries=3, concurrency=7, paused=True, adaptive=True)
    paced = route("c", pace="poisson", rate=2.0)
    for arm in arms_of_routes([route("a"), by_itself, paced]):
        made = arm.route
        assert (made.concurrency, made.retries, made.evidence) == (0, 0, False)
        assert (made.adaptive, made.pace, made.rate) == (False, "interval", None)
        assert not made.paused


@pytest.mark.parametrize("many", [1, 5])
def test_two_to_four_routes_can_be_compared(many: int) -> None:
    with pytest.raises(ArmError, match=f"2 to 4 routes can be compared, not {many}"):
        arms_of_routes([route(str(number)) for number in range(many)])


def test_a_route_is_not_compared_with_itself() -> None:
    with pytest.raises(ArmError, match="alpha is named twice"):
        arms_of_routes([route(), route()])


def test_only_what_is_changed_differs() -> None:
    for kind, value, field in (
        ("fresh", "", "connection"),
        ("stream", "", "stream"),
        ("prompt", "100", "prompt"),
        ("base-url", "https://api.example.com/v2", "base_url"),
    ):
        first, second = arms_of_change(KEYED, ArmChange(kind, value))
        differs = {
            name
            for name in first.route.__struct_fields__
            if getattr(first.route, name) != getattr(second.route, name)
        }
        assert differs == {"name", field}


def test_a_route_that_has_the_change_is_compared_without_it() -> None:
    assert changed(route(), "fresh").connection == "fresh"
    assert changed(route(connection="fresh"), "fresh").connection == "reuse"
    assert changed(route(), "stream").stream is False
    assert changed(route(stream=False), "stream").stream is True


def test_another_prompt_takes_the_place_of_a_workload_s() -> None:
    workload = WORKLOADS["aa-1k"]
    assert workload.prompt is not None
    asked = route(workload="aa-1k", prompts=(workload.prompt,))
    first, second = arms_of_change(asked, ArmChange("prompt", "50"))
    assert first.route.prompts == (workload.prompt,)
    assert (second.route.prompts, second.route.workload) == ((), None)
    assert second.route.prompt == generated_prompt(50)


def test_a_prompt_has_the_length_that_was_asked_for() -> None:
    assert estimate_tokens(changed(route(), "prompt", "2000").prompt) == 2000


@pytest.mark.parametrize("value", ["", "0", "-1", "1e3", "1000001", "many", "１００"])
def test_a_prompt_of_no_length_is_refused(value: str) -> None:
    with pytest.raises(ArmError, match="expected tokens, a whole number from 1 to 1,000,000"):
        changed(route(), "prompt", value)


def test_what_changes_nothing_is_refused() -> None:
    with pytest.raises(ArmError, match="has that very URL"):
        changed(route(), "base-url", "https://API.example.com/v1/")
    prompted = msgspec.structs.replace(route(), prompt=changed(route(), "prompt", "9").prompt)
    with pytest.raises(ArmError, match="has that very prompt"):
        changed(prompted, "prompt", "9")


def test_a_url_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ArmError) as refused:
        changed(route(), "base-url", "https://user:s3cret@elsewhere.example/v1")
    assert "s3cret" not in str(refused.value)


ELSEWHERE = (
    "https://elsewhere.example/v1",
    "https://api.example.com:8443/v1",
    "http://api.example.com/v1",
    "https://sub.api.example.com/v1",
    "https://api.example.com.evil.example/v1",
)


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize(
    "keyed",
    [
        KEYED,
        route(api_key_cmd=("pass", "show", "key")),
        route(headers={"x-api-key": "env:KEY"}),
        route(headers={"X-Tenant": "a"}),
        route(base_url="https://api.example.com/v1?key=s3cret"),
    ],
)
def test_a_key_goes_to_its_own_host_alone(keyed: Route, url: str) -> None:
    with pytest.raises(ArmError, match="give that URL a route of its own") as refused:
        changed(keyed, "base-url", url)
    assert "s3cret" not in str(refused.value)


def test_on_its_own_host_a_key_may_go_to_another_path() -> None:
    assert changed(KEYED, "base-url", "https://api.example.com/v2").api_key_env == "KEY"


@pytest.mark.parametrize("url", ELSEWHERE)
def test_without_a_key_any_host_will_do(url: str) -> None:
    assert changed(route(), "base-url", url).base_url == url
