"""What an attempt came to, and who belongs where.

    ok                      a whole answer with some output
    throttled               the route's limits, not its money
      rate_limit            .requests  .tokens  .concurrency where the server tells
      overloaded            a 429 because the model is busy
    server_error            5xx, 529, 498, and an error inside a 200 that is not ours
      overloaded  bad_gateway  gateway_timeout  unavailable  internal  aborted  upstream
    client_error            asked wrongly, or not allowed; the same request fails again
      quota                 money: 402, 412, and the 429s that are bills
      auth  permission  moderation  model_not_found  not_found  context_length  too_large
      conflict (retryable)  client_closed  proxy  redirect (never followed)
      bad_request  bad_url
      clear_text            a key would have gone over plain http to another machine: not sent
    timeout                 one of our clocks, or the server's 408
      timeout.connect  timeout.first_token  timeout.stall  timeout.total  timeout.server
    protocol_error          no HTTP answer, or one that is not what it says it is
      connect               .dns  .refused  .unreachable  .reset (while it is set up)
        connect.proxy       it is not there, refuses, asks for a password, reaches no server
        connect.tls         .expired  .hostname  .untrusted  .certificate (anything else about it);
                            by itself: no TLS, no common version, our own certificate
      reset  stale_connection  protocol  empty  html  bad_json  not_an_answer  encoding
      too_large  other_dialect
    truncated               the answer ended before it was over
      cut  reset  no_finish
    content_error           a well-formed answer that is no use
      empty  cap_exhausted  refusal  content_filter
    cancelled               by us: cancelled, local_gap
      local                 what we had too little of: .descriptors  .memory  .buffers  .ports
                            .threads

`retryable` means: would the same request be tried again. It is what the official clients do, but
for money (they retry billing 429s, we never do) and for 498 (they do not, its documentation says
to). It is always False once a 200 has begun.
"""

import re
from dataclasses import dataclass
from typing import Final

from probes.error_body import ErrorBody
from probes.events import Outcome
from probes.refusal import BUSY, is_billing, throttle_reason

__all__ = ["Verdict", "of_status", "of_stream_error"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with its precise reason."""

    outcome: Outcome
    reason: str = ""
    retryable: bool = False


_THROTTLE: Final = re.compile(
    r"ratelimit|requestlimit|toomanyrequests|throttl|slowdown|resourceexhausted"
)
_THROTTLE_MESSAGE: Final = re.compile(
    r"rate.?limit|request limit (reached|exceeded)|too many requests|throttl", re.IGNORECASE
)
_MODERATION: Final = re.compile(
    r"contentfilter|contentpolicy|moderation|responsibleaipolicy|safety"
    r"|biopolicy|cyberpolicy|policyviolation|inspectionfailed"
)
_CONTEXT: Final = re.compile(
    r"contextlength|contextsize|contextwindow|stringabovemax|promptistoolong"
)
_CONTEXT_MESSAGE: Final = re.compile(
    r"context (length|size|window)|maximum context|prompt is too long|too many (input )?tokens"
    r"|reduce the length of the (messages|prompt)",
    re.IGNORECASE,
)
_MODEL_MESSAGE: Final = re.compile(
    r"\bmodel\b.{0,200}(not found|does not exist|not exist)"
    r"|(no such|unknown|invalid|not find( the)?) model|not a valid model|\Amodel: \S+\Z",
    re.IGNORECASE | re.DOTALL,
)
_MODEL: Final = re.compile(r"modelnotfound|nosuchmodel|unknownmodel|invalidmodel|modelnotsupported")
_AUTH: Final = re.compile(r"authentication|invalidapikey|unauthori[sz]ed|unauthenticated")
_PERMISSION: Final = re.compile(r"permission|forbidden|accessdenied")
_ASKED_WRONGLY: Final = re.compile(
    r"invalidrequest|badrequest|validation|invalidargument|unprocessable|invalidprompt"
)
_NOT_FOUND: Final = re.compile(r"notfound")
_TOO_LARGE: Final = re.compile(r"toolarge")
_TIMED_OUT: Final = re.compile(r"timeout|timedout|deadlineexceeded")
_HTTP_TIMEOUT: Final = 408
_CONFLICT: Final = 409
_THROTTLED: Final = 429
_CAPACITY_EXCEEDED: Final = 498
_CLIENT_REASONS: Final = {
    401: "auth",
    402: "quota",
    403: "permission",
    404: "not_found",
    407: "proxy",
    409: "conflict",
    410: "not_found",
    412: "quota",
    413: "too_large",
    499: "client_closed",
}
_SERVER_REASONS: Final = {
    498: "overloaded",
    502: "bad_gateway",
    503: "unavailable",
    504: "gateway_timeout",
    520: "bad_gateway",
    521: "bad_gateway",
    522: "gateway_timeout",
    523: "bad_gateway",
    524: "gateway_timeout",
    529: "overloaded",
}


def of_status(status: int, error: ErrorBody) -> Verdict:
    """Return the verdict on an HTTP answer that is not a 2xx, from its status and its error."""
    if status < 400:
        return Verdict("client_error", "redirect")
    if status == _HTTP_TIMEOUT:
        return Verdict("timeout", "timeout.server", retryable=True)
    if status == _CAPACITY_EXCEEDED or status >= 500:
        return Verdict("server_error", _server_reason(status, error), retryable=True)
    if is_billing(error):
        return Verdict("client_error", "quota")
    if status == _THROTTLED:
        return Verdict("throttled", throttle_reason(error), retryable=True)
    return Verdict("client_error", _client_reason(status, error), retryable=status == _CONFLICT)


def of_stream_error(error: ErrorBody) -> Verdict:
    """Return the verdict on an error told inside a 200: never retryable, the answer had begun."""
    if _matches(_MODERATION, error):
        return Verdict("content_error", "content_filter")
    if error.status is not None:
        told = of_status(error.status, error)
        return Verdict(told.outcome, told.reason)
    if is_billing(error):
        return Verdict("client_error", "quota")
    if _matches(_THROTTLE, error) or (not error.words and _THROTTLE_MESSAGE.search(error.message)):
        return Verdict("throttled", throttle_reason(error))
    client = _told_client_reason(error)
    if client:
        return Verdict("client_error", client)
    if any(BUSY.search(said) for said in (*error.words, error.message)):
        return Verdict("server_error", "overloaded")
    return Verdict("server_error", "gateway_timeout" if _matches(_TIMED_OUT, error) else "upstream")


def _server_reason(status: int, error: ErrorBody) -> str:
    if any(BUSY.search(said) for said in (*error.words, error.message)):
        return "overloaded"
    return _SERVER_REASONS.get(status, "internal")


def _client_reason(status: int, error: ErrorBody) -> str:
    if status == 403 and error.flagged:
        return "moderation"
    if status in (400, 403, 404, 413, 422):
        told = _told_client_reason(error)
        if told and told not in ("bad_request", "not_found"):
            return told
    return _CLIENT_REASONS.get(status, "bad_request")


def _told_client_reason(error: ErrorBody) -> str:
    """Return the reason that codes and words of an error give; empty where they blame nobody."""
    if _matches(_MODERATION, error):
        return "moderation"
    if _matches(_CONTEXT, error) or _CONTEXT_MESSAGE.search(error.message):
        return "context_length"
    if _matches(_MODEL, error) or _MODEL_MESSAGE.search(error.message):
        return "model_not_found"
    if _matches(_AUTH, error):
        return "auth"
    if _matches(_PERMISSION, error):
        return "permission"
    if _matches(_TOO_LARGE, error):
        return "too_large"
    if _matches(_NOT_FOUND, error):
        return "not_found"
    return "bad_request" if _matches(_ASKED_WRONGLY, error) else ""


def _matches(pattern: re.Pattern[str], error: ErrorBody) -> bool:
    return any(pattern.search(word) for word in error.words)
