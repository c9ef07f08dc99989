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
      blocked (a bot check stands before the API)
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
      wrong_answer          whole, and not what was expected of it
    cancelled               by us: cancelled, local_gap
      local                 what we had too little of: .descriptors  .memory  .buffers  .ports
                            .threads

`retryable` means: would the same request be tried again. It is what the official clients do, but
for money (they retry billing 429s, we never do), for 498 (they do not, its documentation says to),
for a 424 and a rate told under another status (they look at the status only), and for a bot check.
It is always False once a 200 has begun.

One rule for errors with an HTTP status and for those told inside a 200, `of_error`:

1. A bot check that stands before the API is `blocked`, a bill is `quota`, whatever the status.
2. 429 is a rate. So is an error that speaks of a rate under a status that says little (`_VAGUE`:
   400, 403, 500, …) or under none. A status that says more stands, and 5xx that are busy are
   overloaded.
3. Under a status that says little, the status that the body itself names is taken instead: gateways
   answer 500, or 200, and quote what their provider said. A 400 is ours unless it names a server's.
4. Without any status the codes and words of the error decide; where they blame nobody it is the
   server's (`upstream`).
"""

import re
from typing import Final

from probes.answers.error_body import ErrorBody, error_of
from probes.answers.refusal import is_billing, is_busy, is_limited, is_throttling, throttle_reason
from probes.events import Verdict

BLOCKED: Final = Verdict("client_error", "blocked")
_VAGUE: Final = frozenset({400, 401, 403, 422, 424, 500, 502, 503})
"""Statuses that gateways and providers use for whatever went wrong."""
_BOT_CHECK_WORDS: Final = re.compile(
    r"\A(just a moment\.\.\.|attention required! \| cloudflare)|sorry, you have been blocked"
    r"|cloudflare (bot )?challenge|vercel security checkpoint|cdn-cgi/challenge-platform",
    re.IGNORECASE,
)
"""What a gateway hands on of the page that its provider's edge gave it."""
_MODERATION: Final = re.compile(
    r"contentfilter|contentpolicy|moderation|responsibleaipolicy|safety"
    r"|biopolicy|cyberpolicy|policyviolation|inspectionfailed"
)
_CONTEXT: Final = re.compile(
    r"contextlength|contextsize|contextwindow|stringabovemax|promptistoolong"
)
_CONTEXT_MESSAGE: Final = re.compile(
    r"context (length|size|window)|maximum context|prompt (is )?too long|ContextWindowExceeded"
    r"|too many (input )?tokens(?! (per|processed))(?!,? please wait)"
    r"|reduce the length of the (messages|prompt)",
    re.IGNORECASE,
)
_MODEL_MESSAGE: Final = re.compile(
    r"\bmodel\b.{0,200}(not found|does not exist|not exist)"
    r"|(no such|unknown|invalid|not find( the)?) model|not a valid model|\Amodel: \S+\Z",
    re.IGNORECASE | re.DOTALL,
)
_MODEL: Final = re.compile(r"modelnotfound|nosuchmodel|unknownmodel|invalidmodel|modelnotsupported")
_AUTH: Final = re.compile(
    r"authentication|invalidapikey|apikeyinvalid|unauthori[sz]ed|unauthenticated|invalidtoken"
    r"|unrecognizedclient|missingauth|expiredtoken"
)
_AUTH_MESSAGE: Final = re.compile(
    r"authentication (failed|error|required)"
    r"|(invalid|incorrect|wrong|missing|expired) (x-)?api[ -]?key"
    r"|api[ -]?key (is )?(not valid|invalid|expired|missing|required)"
    r""
    r"|missing authentication token"
    r"|(security|access|auth|authentication) token[^.]{0,40}(invalid|expired|missing)"
    r"|\A(401:? )?unauthori[sz]ed\b|令牌(无效|状态不可用|已过期)|无效的令牌|身份验证",
    re.IGNORECASE,
)
_PERMISSION: Final = re.compile(r"permission|forbidden|accessdenied")
_ASKED_WRONGLY: Final = re.compile(
    r"invalidrequest|badrequest|validation|invalidargument|unprocessable|invalidprompt"
)
_ASKED_WRONGLY_MESSAGE: Final = re.compile(
    r"unsupported (parameter|value)|does not support|\bis not supported|invalid (value|parameter)"
    r"|missing required|field required|unknown parameter|unrecognized request argument",
    re.IGNORECASE,
)
_TOO_LARGE_MESSAGE: Final = re.compile(
    r"(request entity|payload|request body|body) (is )?too large", re.IGNORECASE
)
_NOT_FOUND: Final = re.compile(r"notfound|unimplemented|methodnotallowed|unknownoperation")
_NO_ENDPOINT: Final = re.compile(
    r"unexpected endpoint|(unknown|invalid|no such) (endpoint|route|path|request url|url)\b"
    r"|(endpoint|route|path|page|url)[^.]{0,40} (was )?(not found|does not exist|not supported)"
    r"|not found[^.]{0,20}\b(endpoint|route|path)\b|no route (was )?(matched|found)"
    r"|no matching route"
    r"|unrecognized request url|invalid url \(|cannot (post|get) /|method not allowed"
    r"|requested url[^.]{0,80} not found|\A(404:? )?(page )?not found\Z",
    re.IGNORECASE,
)
"""Servers say so under 200 (LM Studio), 400 and 405 too: most often the base URL is wrong."""
_TOO_LARGE: Final = re.compile(r"toolarge")
_TIMED_OUT: Final = re.compile(r"timeout|timedout|deadlineexceeded")
_SERVER_WORDS: Final = (
    (
        "gateway_timeout",
        _TIMED_OUT,
        re.compile(r"gateway time-?out|timed out|timeout", re.IGNORECASE),
    ),
    ("bad_gateway", re.compile(r"badgateway"), re.compile(r"bad gateway", re.IGNORECASE)),
    (
        "unavailable",
        re.compile(r"unavailable|no\w{0,30}available$"),
        re.compile(
            r"(service|server|upstream|model|temporarily)[^.]{0,20} unavailable|no healthy upstream"
            r"|currently loading|loading model"
            r"|无可用渠道",
            re.IGNORECASE,
        ),
    ),
)
"""Reason, codes, words: what a server's failure is where no status tells it. "Internal" is none of
them: everybody's failure is internal to somebody, and inside a 200 it is the upstream's."""
_HTTP_TIMEOUT: Final = 408
_CONFLICT: Final = 409
_THROTTLED: Final = 429
_FAILED_DEPENDENCY: Final = 424
"""TGI's, Bedrock's and Azure's word for a model that failed behind them."""
_CAPACITY_EXCEEDED: Final = 498
"""Groq's, for its flex tier: try again."""
_PAYMENT: Final = frozenset({402, 412})
_CLIENT_REASONS: Final = {
    401: "auth",
    402: "quota",
    403: "permission",
    404: "not_found",
    405: "not_found",
    407: "proxy",
    409: "conflict",
    410: "not_found",
    412: "quota",
    413: "too_large",
    499: "client_closed",
}
_SERVER_REASONS: Final = {
    424: "upstream",
    498: "overloaded",
    501: "internal",
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
    return of_error(_with_quoted(error), status)


def of_stream_error(error: ErrorBody) -> Verdict:
    """Return the verdict on an error told inside a 200: never retryable, the answer had begun.

    A moderation is the answer's, not the question's: something of it may have been shown.
    """
    if _matches(_MODERATION, error):
        return Verdict("content_error", "content_filter")
    error = _with_quoted(error)
    verdict = of_error(error, error.status)
    return Verdict(verdict.outcome, verdict.reason)


def of_error(error: ErrorBody, status: int | None) -> Verdict:
    """Return the verdict on an error; `status` is its HTTP status, None where nobody told one."""
    if status is not None and status < 400:
        return Verdict("client_error", "redirect")
    if status in _PAYMENT or is_billing(error):
        return Verdict("client_error", "quota")
    if status is None or status in _VAGUE:
        if _BOT_CHECK_WORDS.search(error.message):
            return BLOCKED
        verdict = _of_vague_status(error, status)
        if verdict is not None:
            return verdict
    if status == _THROTTLED:
        return Verdict("throttled", throttle_reason(error), retryable=True)
    if status == _HTTP_TIMEOUT:
        return Verdict("timeout", "timeout.server", retryable=True)
    if status is None:
        return _of_words(error)
    if status in (_CAPACITY_EXCEEDED, _FAILED_DEPENDENCY) or status >= 500:
        return Verdict("server_error", _server_reason(status, error), retryable=True)
    return Verdict("client_error", _client_reason(status, error), retryable=status == _CONFLICT)


def _with_quoted(error: ErrorBody) -> ErrorBody:
    """Return an error of words only, of no JSON, with what they quote all the same."""
    return error if error.source is not None or error.words else error_of(error.message)


def says_no_endpoint(message: str) -> bool:
    """Whether words say that there is nothing to ask at this address."""
    return bool(_NO_ENDPOINT.search(message))


def _of_vague_status(error: ErrorBody, status: int | None) -> Verdict | None:
    """Return what an error says of itself, louder than a status that says little; else None."""
    is_servers = status is not None and (status >= 500 or status == _FAILED_DEPENDENCY)
    if is_servers and is_busy(error):
        return Verdict("server_error", "overloaded", retryable=True)
    if is_throttling(error) and not _is_context(error):
        return Verdict("throttled", throttle_reason(error), retryable=True)
    if status in (400, None) and says_no_endpoint(error.message):
        return Verdict("client_error", "not_found")
    named = error.status
    if status is None or named is None or named == status:
        return None
    is_anothers = is_servers or named >= 500 or named in (402, _HTTP_TIMEOUT, _THROTTLED)
    return of_error(error, named) if is_anothers else None


def _of_words(error: ErrorBody) -> Verdict:
    """Return the verdict on an error without any status."""
    client = _worded_client_reason(error)
    if client:
        return Verdict("client_error", client)
    if is_busy(error):
        return Verdict("server_error", "overloaded", retryable=True)
    if is_limited(error):
        return Verdict("throttled", throttle_reason(error), retryable=True)
    for reason, codes, words in _SERVER_WORDS:
        if _matches(codes, error) or words.search(error.message):
            return Verdict("server_error", reason, retryable=True)
    return Verdict("server_error", "upstream", retryable=True)


def _server_reason(status: int, error: ErrorBody) -> str:
    return "overloaded" if is_busy(error) else _SERVER_REASONS.get(status, "internal")


def _client_reason(status: int, error: ErrorBody) -> str:
    if status == 403 and error.flagged:
        return "moderation"
    if status in (400, 403, 404, 413, 422):
        reason = _worded_client_reason(error)
        if reason and reason not in ("bad_request", "not_found"):
            return reason
    return _CLIENT_REASONS.get(status, "bad_request")


def _is_context(error: ErrorBody) -> bool:
    return _matches(_CONTEXT, error) or bool(_CONTEXT_MESSAGE.search(error.message))


def _worded_client_reason(error: ErrorBody) -> str:
    """Return the reason that codes and words of an error give; empty where they blame nobody."""
    if _matches(_MODERATION, error):
        return "moderation"
    if _is_context(error):
        return "context_length"
    if _matches(_MODEL, error) or _MODEL_MESSAGE.search(error.message):
        return "model_not_found"
    if _matches(_AUTH, error) or _AUTH_MESSAGE.search(error.message):
        return "auth"
    if _matches(_PERMISSION, error):
        return "permission"
    if _matches(_TOO_LARGE, error) or _TOO_LARGE_MESSAGE.search(error.message):
        return "too_large"
    if _matches(_NOT_FOUND, error) or says_no_endpoint(error.message):
        return "not_found"
    wrongly = _matches(_ASKED_WRONGLY, error) or _ASKED_WRONGLY_MESSAGE.search(error.message)
    return "bad_request" if wrongly else ""


def _matches(pattern: re.Pattern[str], error: ErrorBody) -> bool:
    return any(pattern.search(word) for word in error.words)
