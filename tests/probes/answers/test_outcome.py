"""Who is to blame: statuses, error bodies and network failures."""

import json
from typing import Any

import pytest

from probes.answers.error_body import ErrorBody, error_in, error_of, html_error
from probes.answers.outcome import of_status, of_stream_error
from probes.engine.attempt import failed_before_answer


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason", "retryable"),
    [
        (301, {}, "client_error", "redirect", False),
        (400, {"error": {"message": "no"}}, "client_error", "bad_request", False),
        (
            400,
            {"error": {"message": "This model's maximum context length is 8192 tokens"}},
            "client_error",
            "context_length",
            False,
        ),
        (
            400,
            {"error": {"code": "content_filter", "message": "filtered"}},
            "client_error",
            "moderation",
            False,
        ),
        (
            400,
            {"type": "error", "error": {"message": "Your credit balance is too low"}},
            "client_error",
            "quota",
            False,
        ),
        (
            400,
            {"error": {"message": "You have reached your specified API usage limits. You will …"}},
            "client_error",
            "quota",
            False,
        ),
        (401, {}, "client_error", "auth", False),
        (402, {}, "client_error", "quota", False),
        (403, {}, "client_error", "permission", False),
        (403, {"error": {"metadata": {"reasons": ["x"]}}}, "client_error", "moderation", False),
        (404, {"detail": "Not Found"}, "client_error", "not_found", False),
        (
            404,
            {"error": {"message": "The model `x` does not exist"}},
            "client_error",
            "model_not_found",
            False,
        ),
        (
            404,
            {"error": {"type": "not_found_error", "message": "model: claude-0"}},
            "client_error",
            "model_not_found",
            False,
        ),
        (
            400,
            {"error": {"message": "model: Field required"}},
            "client_error",
            "bad_request",
            False,
        ),
        (408, {}, "timeout", "timeout.server", True),
        (409, {}, "client_error", "conflict", True),
        (413, {}, "client_error", "too_large", False),
        (499, {}, "client_error", "client_closed", False),
        (498, {}, "server_error", "overloaded", True),
        (500, {}, "server_error", "internal", True),
        (502, {}, "server_error", "bad_gateway", True),
        (503, {"error": "server busy, please try again."}, "server_error", "overloaded", True),
        (504, {}, "server_error", "gateway_timeout", True),
        (529, {}, "server_error", "overloaded", True),
        (599, {}, "server_error", "internal", True),
    ],
)
def test_a_status_with_its_body(
    status: int, body: Any, outcome: str, reason: str, retryable: bool
) -> None:
    verdict = of_status(status, error_of(body))
    assert (verdict.outcome, verdict.reason, verdict.retryable) == (outcome, reason, retryable)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, "quota"),
        ({"type": "insufficient_quota", "code": "project_spend_limit_exceeded"}, "quota"),
        ({"code": "billing_hard_limit_reached"}, "quota"),
        ({"details": {"error_code": "enforced_spend_limit_reached"}}, "quota"),
        ({"type": "exceeded_current_quota_error"}, "quota"),
        ({"code": "rate_limit_exceeded", "type": "requests"}, "rate_limit.requests"),
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limit.tokens"),
        ({"message": "exceeded token rate limit"}, "rate_limit.tokens"),
        ({"message": "number of request tokens has exceeded your limit"}, "rate_limit.tokens"),
        ({"message": "the rate limit of 30,000 input tokens per minute"}, "rate_limit.tokens"),
        ({"message": "Number of requests has exceeded your limit"}, "rate_limit.requests"),
        ({"message": "Too many concurrent requests"}, "rate_limit.concurrency"),
        ({"message": "Model busy, retry later"}, "overloaded"),
        ({"message": "slow down"}, "rate_limit"),
        (
            {"status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota"},
            "rate_limit",
        ),
    ],
)
def test_a_429_is_a_limit_or_a_bill(error: dict[str, Any], reason: str) -> None:
    verdict = of_status(429, error_of({"error": error}))
    assert verdict.reason == reason
    assert verdict.outcome == ("client_error" if reason == "quota" else "throttled")
    assert verdict.retryable == (reason != "quota")


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        ({"error": {"code": 429}}, "throttled", "rate_limit"),
        ({"error": {"code": "429"}}, "throttled", "rate_limit"),
        ({"error": {"type": "rate_limit_error"}}, "throttled", "rate_limit"),
        ({"error": "Rate limit exceeded"}, "throttled", "rate_limit"),
        ({"error": {"code": "insufficient_quota"}}, "client_error", "quota"),
        ({"error": {"code": 402}}, "client_error", "quota"),
        ({"error": {"type": "overloaded_error"}}, "server_error", "overloaded"),
        ({"error": {"type": "server_error"}}, "server_error", "upstream"),
        ({"error": {"code": 502}}, "server_error", "bad_gateway"),
        ({"error": {"type": "BadRequestError", "code": 400}}, "client_error", "bad_request"),
        ({"error": {"type": "invalid_request_error"}}, "client_error", "bad_request"),
        ({"error": {"type": "authentication_error"}}, "client_error", "auth"),
        ({"error": {"type": "billing_error"}}, "client_error", "quota"),
        ({"error": {"type": "permission_error"}}, "client_error", "permission"),
        ({"error": {"type": "not_found_error"}}, "client_error", "not_found"),
        ({"error": {"type": "request_too_large"}}, "client_error", "too_large"),
        ({"error": {"type": "timeout_error"}}, "server_error", "gateway_timeout"),
        ({"error": {"type": "api_error"}}, "server_error", "upstream"),
        ({"error": {"code": "content_filter"}}, "content_error", "content_filter"),
        ({"object": "error", "message": "m", "code": 40303}, "server_error", "upstream"),
        ({"detail": "boom"}, "server_error", "upstream"),
        ({"message": "m", "code": 503}, "server_error", "unavailable"),
        ({"errors": [{"message": "m", "code": 7000}]}, "server_error", "upstream"),
        ({"error": "model runner has unexpectedly stopped"}, "server_error", "upstream"),
        ({"error": "too long", "error_type": "validation"}, "client_error", "bad_request"),
        ({"error": {"message": "m", "http_status_code": 422}}, "client_error", "bad_request"),
        ({"error": 503}, "server_error", "unavailable"),
        ({"error": True, "message": "Too many requests"}, "throttled", "rate_limit"),
        ({"success": False, "message": "no worker"}, "server_error", "upstream"),
        ({"statusCode": 429, "message": "wait"}, "throttled", "rate_limit"),
        ({"text": "m", "error_code": 50001}, "server_error", "upstream"),
        ({"choices": None, "error_type": "X", "error_message": "m"}, "server_error", "upstream"),
        (
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            *("client_error", "quota"),
        ),
    ],
)
def test_an_error_inside_a_200_is_never_retryable(body: Any, outcome: str, reason: str) -> None:
    error = error_in(body)
    assert error is not None
    verdict = of_stream_error(error)
    assert (verdict.outcome, verdict.reason, verdict.retryable) == (outcome, reason, False)


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], None, "x", {"error": None}, {"error": {}}, {"choices": [], "detail": "x"}),
        *({"error": False}, {"error": ""}, {"error": []}, {"error": {"message": None, "code": 0}}),
        *({"code": 0, "message": "Success"}, {"code": "200", "message": "ok"}),
        *({"status_code": 201, "msg": "made"}, {"error_code": 0, "text": "words"}),
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
        {"choices": [{"delta": {}}], "code": 7, "message": "beside an answer"},
    ],
)
def test_what_is_no_error_is_none(body: Any) -> None:
    assert error_in(body) is None


def test_the_request_that_support_asks_for_is_kept() -> None:
    body = {"type": "error", "error": {"type": "api_error"}, "request_id": "req_1"}
    assert error_of(body).request_id == "req_1"
    assert error_of({"error": {"request_id": "r" * 999}}).request_id == "r" * 200
    assert error_of({"error": {"request_id": 7}}).request_id == ""


def test_messages_are_found_and_cut() -> None:
    detail = [{"loc": ["body", "messages"], "msg": "field required"}]
    assert error_of({"detail": detail}).message == "body.messages: field required"
    assert len(error_of({"error": {"message": "x" * 9000}}).message) == 500
    assert html_error("<html><title>502: Bad\n gateway</title>").message == "502: Bad gateway"
    problem = {"type": "about:blank", "title": "Too Many Requests", "status": 429}
    assert error_of(problem).message == "Too Many Requests"
    wrapped = {"error": {"message": "Provider returned error", "metadata": {"raw": "why"}}}
    assert error_of(wrapped).message == "Provider returned error: why"


@pytest.mark.parametrize(
    ("message", "status", "shown"),
    [
        ('{"error": {"code": 503, "message": "down"}}', 503, "down"),
        ("Error code: 429 - {'error': {'message': \"it's full\", 'code': 429}}", 429,
         "Error code: 429: it's full"),
        (r'upstream: {\"error\": {\"message\": \"no\", \"code\": 401}}', 401, "upstream: no"),
        ("b'{\"error\": {\"message\": \"no\", \"status\": 404}}'", 404, "no"),
        ("Request failed with status code 502", 502, None),
        ("upstream returned error: 503", 503, None),
        ("[504] waited too long", 504, None),
        ("429 Too Many Requests", 429, None),
        ("<html><title>502 Bad Gateway</title></html>", 502, "502 Bad Gateway"),
        ("max_tokens must be below 500", None, None),
        ("Invalid message: {'role': 'user', 'content': 'x'}", None, None),
        ("{broken", None, None),
    ],
)  # fmt: skip
def test_what_a_message_quotes_is_heard(
    message: str, status: int | None, shown: str | None
) -> None:
    error = error_of({"error": {"message": message}})
    assert (error.status, error.message) == (status, message if shown is None else shown)


def test_words_without_json_are_heard_too() -> None:
    assert of_stream_error(ErrorBody(message="HTTP 503 from upstream")).reason == "unavailable"
    assert of_stream_error(ErrorBody(message="429 Too Many Requests")).outcome == "throttled"
    quoting = ErrorBody(message="Error code: 402 - {'error': {'message': 'x', 'code': 402}}")
    assert of_stream_error(quoting).reason == of_status(500, quoting).reason == "quota"


def test_quotations_are_followed_three_levels_deep() -> None:
    body: dict[str, Any] = {"error": {"message": "inmost", "code": 429}}
    for _ in range(3):
        body = {"error": {"message": json.dumps(body), "code": 500}}
    assert (error_of(body).status, error_of(body).message) == (429, "inmost")
    deeper = error_of({"error": {"message": json.dumps(body)}})
    assert deeper.message.startswith("{")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"Error": {"Code": "Throttling", "Message": "m"}}, "Throttling"),
        ({"__type": "com.amazon.coral#ThrottlingException", "Message": "m"}, "ThrottlingException"),
        ({"throttlingException": {"message": "m"}}, "throttlingexception"),
        ({"ERROR": {"errorCode": "E1", "msg": "m"}}, "E1"),
        ({"detail": {"code": "C", "message": "m"}}, "C"),
        ({"code": 8, "message": "m", "details": []}, "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_field_is_known_whatever_its_case(body: Any, code: str) -> None:
    told = error_in(body)
    assert told is not None
    assert (told.message, told.code) == ("m", code)


def test_any_json_is_taken_as_an_error() -> None:
    for text in ("[]", "[[]]", "1", "null", '{"error":[1]}', '{"error":{"message":{"a":1}}}'):
        assert error_of(json.loads(text)).message == ""


def test_endings_before_any_answer() -> None:
    assert failed_before_answer("timeout.connect").outcome == "timeout"
    assert failed_before_answer("timeout.first_token").retryable
    assert failed_before_answer("cut").reason == "reset"
    assert failed_before_answer("protocol").outcome == "protocol_error"
    for ending in ("cancelled", "local_gap"):
        answer = failed_before_answer(ending)
        assert (answer.outcome, answer.reason, answer.retryable) == ("cancelled", ending, False)


GRPC = {
    1: ("CANCELLED", "server_error"),
    3: ("INVALID_ARGUMENT", "client_error"),
    4: ("DEADLINE_EXCEEDED", "server_error"),
    5: ("NOT_FOUND", "client_error"),
    7: ("PERMISSION_DENIED", "client_error"),
    8: ("RESOURCE_EXHAUSTED", "throttled"),
    12: ("UNIMPLEMENTED", "client_error"),
    13: ("INTERNAL", "server_error"),
    14: ("UNAVAILABLE", "server_error"),
    16: ("UNAUTHENTICATED", "client_error"),
}
"""As google.rpc.Code has them; what is left out says nothing of whose fault it was."""


@pytest.mark.parametrize("number", range(18))
def test_a_grpc_status_is_known_by_its_number(number: int) -> None:
    for told in ({"grpc_code": number}, {"code": number, "details": []}):
        error = error_of({"error": {"message": "m", **told}})
        name, outcome = GRPC.get(number, ("", "server_error"))
        assert (error.code if name else "", of_stream_error(error).outcome) == (name, outcome)


@pytest.mark.parametrize(
    ("number", "outcome", "reason"),
    [
        (1001, "server_error", "gateway_timeout"),
        (1002, "throttled", "rate_limit"),
        (1004, "client_error", "auth"),
        (1008, "client_error", "quota"),
        (1026, "content_error", "content_filter"),
        (1027, "content_error", "content_filter"),
        (1039, "throttled", "rate_limit.tokens"),
        (1041, "throttled", "rate_limit.concurrency"),
        (2013, "client_error", "bad_request"),
        (2045, "throttled", "rate_limit"),
        (2049, "client_error", "auth"),
        (2056, "client_error", "quota"),
        (2064, "server_error", "overloaded"),
        (1000, "server_error", "upstream"),
        (1040, "server_error", "upstream"),
    ],
)
def test_minimax_writes_its_numbers_apart_or_at_the_end_of_its_words(
    number: int, outcome: str, reason: str
) -> None:
    apart = {"base_resp": {"status_code": number, "status_msg": "m"}}
    for body in (apart, {"error": {"message": f"m ({number})"}}):
        verdict = of_stream_error(error_of(body))
        assert (verdict.outcome, verdict.reason) == (outcome, reason)
