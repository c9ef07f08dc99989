"""Bills and rates, as the providers really word them."""

from typing import Any

import pytest

from probes.answers.error_body import error_of
from probes.answers.outcome import of_error, of_status, of_stream_error
from probes.answers.refusal import reason_by_limits
from probes.events import Limit

RATE_ADVICE = (
    "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3."
    " Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more."
    " You can increase your rate limit by adding a payment method to your account at"
    " https://platform.openai.com/account/billing."
)
GROQ_ADVICE = (
    "Rate limit reached for model `x` on tokens per day (TPD): Limit 100000, Used 99000, Requested"
    " 2000. Please try again in 14m24s. Need more tokens? Upgrade to Dev Tier today at"
    " https://console.groq.com/settings/billing"
)
GOOGLE_ADVICE = "You exceeded your current quota, please check your plan and billing details."
XAI = (
    "Your team 16f has either used all available credits or reached its monthly spending limit."
    " To continue making API requests, please purchase more credits or raise your spending limit."
)
TRIAL = "You are using a Trial key, which is limited to {} API calls / {}. You can continue to use"
ARK = "Your account [1] has reached the set inference limit for the [x] model, and the model"

BILLS: list[tuple[str, int, Any]] = [
    ("openai", 429, {"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}),
    ("openai spend", 429, {"error": {"code": "project_spend_limit_exceeded"}}),
    ("openai inactive", 429, {"error": {"code": "billing_not_active"}}),
    ("perplexity", 401, {"error": {"type": "insufficient_quota", "code": 401}}),
    ("openrouter credits", 402, {"error": {"message": "Insufficient credits", "code": 402}}),
    (
        "openrouter key",
        403,
        {"error": {"message": "Key limit exceeded (total limit). Manage it", "code": 403}},
    ),
    ("deepseek", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}),
    ("xai 429", 429, {"code": "Some resource has been exhausted", "error": XAI}),
    ("xai 403", 403, {"code": "The caller does not have permission", "error": XAI}),
    (
        "together",
        429,
        {"error": {"message": "Credit limit exceeded, please navigate to", "type": "credit_limit"}},
    ),
    ("fireworks", 412, {"error": {"message": "Account x is suspended, possibly due to reaching"}}),
    ("fireworks 429", 429, {"error": "Account acme is suspended, see billing"}),
    ("cohere month", 429, {"message": TRIAL.format(1000, "month")}),
    (
        "hugging face",
        402,
        {"error": "You have exceeded your monthly included credits for Inference Providers."},
    ),
    ("hugging face 429", 429, {"error": "You have exceeded your monthly included credits"}),
    (
        "moonshot",
        429,
        {
            "error": {
                "message": "Your account org-1<ak-1> is suspended, please check your plan",
                "type": "exceeded_current_quota_error",
            }
        },
    ),
    ("zhipu", 429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}),
    ("zhipu by number", 429, {"error": {"code": "1113", "message": "x"}}),
    ("zhipu integer", 429, {"error": {"code": 1113, "message": "x"}}),
    ("zhipu messages", 429, {"type": "error", "error": {"type": "1113", "message": "x"}}),
    ("zhipu plan", 429, {"error": {"code": "1309", "message": "x"}}),
    (
        "siliconflow",
        403,
        {
            "code": 30011,
            "message": "Your paid balance is insufficient. Please top up",
            "data": None,
        },
    ),
    ("dashscope", 400, {"error": {"code": "Arrearage", "message": "Access denied, please make"}}),
    ("dashscope prepaid", 429, {"code": "PrepaidBillOverdue", "message": "overdue"}),
    ("dashscope unbought", 403, {"code": "AccessDenied.Unpurchased", "message": "x"}),
    (
        "dashscope free tier",
        403,
        {
            "code": "AllocationQuota.FreeTierOnly",
            "message": "The free tier of the model has been exhausted. If you wish to continue",
        },
    ),
    (
        "volcengine",
        403,
        {"error": {"code": "AccountOverdueError", "message": "account has an overdue balance"}},
    ),
    ("volcengine cap", 429, {"error": {"code": "SetLimitExceeded", "message": ARK}}),
    (
        "volcengine trial",
        429,
        {"error": {"code": "QuotaExceeded", "message": "has exhausted its free trial usage"}},
    ),
    ("anthropic 400", 400, {"error": {"message": "Your credit balance is too low to access"}}),
    (
        "anthropic cap",
        400,
        {"error": {"message": "You have reached your specified API usage limits. You will regain"}},
    ),
    ("anthropic 429", 429, {"error": {"details": {"error_code": "enforced_spend_limit_reached"}}}),
    (
        "litellm",
        429,
        {"error": {"type": "budget_exceeded", "message": "Budget has been exceeded!"}},
    ),
    (
        "new-api",
        403,
        {"error": {"code": "insufficient_user_quota", "message": "x", "type": "new_api_error"}},
    ),
    ("new-api token", 403, {"error": {"code": "pre_consume_token_quota_failed", "message": "x"}}),
    ("one-api", 403, {"error": {"message": "user quota is not enough", "type": "one_api_error"}}),
    ("one-api, chinese", 403, {"error": {"message": "用户额度不足", "type": "one_api_error"}}),
    ("a plan's month", 429, {"error": {"message": "You have exceeded the monthly usage quota."}}),
    ("vercel", 403, {"error": {"message": "AI Gateway requires a valid credit card on file"}}),
    ("vercel funds", 402, {"error": {"type": "insufficient_funds", "message": "x"}}),
    ("novita", 403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "not enough balance"}),
    ("azure management", 403, {"statusCode": 403, "message": "Out of call volume quota. Quota"}),
    ("nvidia", 402, {"title": "Payment Required", "detail": "Cloud credits expired"}),
]

RATES: list[tuple[str, Any, str]] = [
    ("openai", {"error": {"message": RATE_ADVICE, "code": "rate_limit_exceeded"}}, ".requests"),
    ("openai tokens", {"error": {"type": "tokens", "code": "rate_limit_exceeded"}}, ".tokens"),
    (
        "azure",
        {"error": {"code": "429", "message": "have exceeded token rate limit of"}},
        ".tokens",
    ),
    ("azure calls", {"error": {"code": "429", "message": "exceeded call rate limit"}}, ".requests"),
    (
        "azure management",
        {"statusCode": 429, "message": "Token limit is exceeded. Try again in 32 seconds."},
        ".tokens",
    ),
    (
        "github",
        {"error": {"message": "Rate limit of 5 per 0s exceeded for UserConcurrentRequests."}},
        ".concurrency",
    ),
    (
        "github day",
        {"error": {"message": "Rate limit of 50 per 86400s exceeded for UserByModelByDay."}},
        ".requests",
    ),
    ("groq", {"error": {"message": GROQ_ADVICE, "code": "rate_limit_exceeded"}}, ".tokens"),
    (
        "openrouter",
        {"error": {"message": "Rate limit exceeded: free-models-per-min. ", "code": 429}},
        ".requests",
    ),
    (
        "openrouter day",
        {"error": {"message": "free-models-per-day. Add 10 credits to unlock 1000", "code": 429}},
        ".requests",
    ),
    ("google", [{"error": {"status": "RESOURCE_EXHAUSTED", "message": GOOGLE_ADVICE}}], ""),
    (
        "vertex",
        {"error": {"status": "RESOURCE_EXHAUSTED", "message": "Resource exhausted. Please try"}},
        "",
    ),
    ("cohere minute", {"message": TRIAL.format(20, "minute")}, ".requests"),
    (
        "mistral",
        {"object": "error", "message": "Requests rate limit exceeded", "code": "1300"},
        ".requests",
    ),
    (
        "moonshot",
        {"error": {"message": "organization max RPM: 3", "type": "rate_limit_reached_error"}},
        ".requests",
    ),
    (
        "moonshot concurrency",
        {"error": {"message": "request reached organization max concurrency: 1"}},
        ".concurrency",
    ),
    (
        "zhipu",
        {"error": {"code": "1302", "message": "您当前使用该API的并发数过高"}},
        ".concurrency",
    ),
    (
        "zhipu rate",
        {"error": {"code": "1305", "message": "The API has triggered a rate limit"}},
        "",
    ),
    ("dashscope", {"code": "Throttling.RateQuota", "message": "Requests rate"}, ".requests"),
    (
        "dashscope tokens",
        {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded, please"},
        ".tokens",
    ),
    (
        "dashscope tokens, compatible",
        {"error": {"code": "insufficient_quota", "message": "Allocated quota exceeded, please"}},
        ".tokens",
    ),
    (
        "dashscope tokens, by its page",
        {
            "error": {
                "code": "insufficient_quota",
                "message": f"{GOOGLE_ADVICE} https://help.aliyun.com/error-code#token-limit",
            }
        },
        ".tokens",
    ),
    (
        "volcengine",
        {"error": {"code": "RateLimitExceeded.EndpointRPMExceeded", "message": "x"}},
        ".requests",
    ),
    (
        "volcengine tokens",
        {"error": {"code": "ModelAccountTpmRateLimitExceeded", "message": "x"}},
        ".tokens",
    ),
    ("volcengine batch", {"error": {"code": "InflightBatchsizeExceeded"}}, ".concurrency"),
    ("cerebras", {"code": "request_quota_exceeded", "message": "limit exceeded"}, ".requests"),
    ("cerebras tokens", {"code": "token_quota_exceeded", "message": "exceeded"}, ".tokens"),
    (
        "litellm",
        {"error": {"message": "Rate limit exceeded for api_key: x. Limit type: tokens. Current"}},
        ".tokens",
    ),
    (
        "litellm parallel",
        {"error": {"message": "Limit type: max_parallel_requests. Current limit: 1"}},
        ".concurrency",
    ),
    (
        "litellm, older",
        {"error": {"message": "Max parallel request limit reached Crossed TPM / RPM / Max Par"}},
        "",
    ),
    (
        "anthropic",
        {
            "error": {
                "message": "This request would exceed the rate limit of 50,000 input tokens per"
            }
        },
        ".tokens",
    ),
    (
        "anthropic concurrency",
        {"error": {"message": "Number of concurrent connections has exceeded your rate limit"}},
        ".concurrency",
    ),
    (
        "anthropic requests",
        {"error": {"message": "Number of requests has exceeded your per-minute rate limit"}},
        ".requests",
    ),
    ("bedrock", {"message": "Too many tokens, please wait before trying again."}, ".tokens"),
    (
        "siliconflow",
        {"message": "Request was rejected due to rate limiting. Details: TPM limit reached."},
        ".tokens",
    ),
    ("cloudflare", {"success": False, "error": [{"code": 2003, "message": "Rate limited"}]}, ""),
]
BUSY: list[tuple[str, Any]] = [
    ("deepinfra", {"error": {"message": "Model busy, retry later"}}),
    ("moonshot", {"error": {"type": "engine_overloaded_error", "message": "please try again"}}),
    ("volcengine", {"error": {"code": "ServerOverloaded", "message": "x"}}),
    ("mistral", {"message": "Service tier capacity exceeded for this model.", "code": "3505"}),
    ("cerebras", {"message": "We're experiencing high traffic right now!", "code": "x"}),
    ("cerebras code", {"message": "x", "code": "queue_exceeded"}),
    ("deepinfra scaling", {"error": {"message": "autoscaling, retry in a bit"}}),
    ("zhipu", {"error": {"code": "1305", "message": "该模型当前访问量过大，请您稍后再试"}}),
    ("chutes", {"detail": "Infrastructure is at maximum capacity, try again later"}),
]


BILLING_CODES = (
    *("not_enough_balance", "credit_balance_exhausted", "credits_required", "credit_limit"),
    *("budget_exceeded", "organization_usage_limit", "usage_limit_reached", "payment_required"),
    *("exceeded_current_quota_error", "out_of_credits", "account_suspended", "spend_limit"),
    *("AllocationQuota.FreeTierOnly", "CommodityNotPurchased", "billing_error"),
)
BILLING_WORDS = (
    "You have hit your spend limit",
    "Credit limit exceeded, please navigate to the settings",
    "Insufficient credits",
    "not enough credits left",
    "Your paid balance is insufficient",
    "Your team has used all available credits",
    "billing hard limit has been reached",
    "Budget has been exceeded! Current cost: 2",
    "Inactive subscription or usage limit reached",
    "your account has an overdue balance",
    "The free tier of the model has been exhausted",
    "余额不足或无可用资源包,请充值。",
    "账户已欠费",
)
FAMILIES = (
    ("Too many simultaneous requests", "concurrency"),
    ("too many in-flight requests", "concurrency"),
    ("Number of request tokens has exceeded your limit", "tokens"),
    ("Limit type: requests. Current limit: 1", "requests"),
    ("Request limit exceeded", "requests"),
    ("Rate limit on tokens per min (TPM) reached; requests per min are limited, too", "tokens"),
    ("Rate limit on requests per min (RPM) reached; tokens per min are limited, too", "requests"),
)


@pytest.mark.parametrize("code", BILLING_CODES)
def test_a_code_alone_tells_a_bill(code: str) -> None:
    assert of_status(429, error_of({"error": {"code": code, "message": "x"}})).reason == "quota"


@pytest.mark.parametrize("words", BILLING_WORDS)
def test_words_alone_tell_a_bill(words: str) -> None:
    assert of_status(429, error_of({"error": {"message": words}})).reason == "quota"


@pytest.mark.parametrize(("words", "family"), FAMILIES)
def test_words_alone_tell_which_rate(words: str, family: str) -> None:
    verdict = of_status(429, error_of({"error": {"message": words}}))
    assert verdict.reason == f"rate_limit.{family}"


@pytest.mark.parametrize(
    ("status", "body"), [row[1:] for row in BILLS], ids=[row[0] for row in BILLS]
)
def test_a_bill_is_money_whatever_its_status_and_never_retried(status: int, body: Any) -> None:
    verdict = of_status(status, error_of(body))
    assert (verdict.outcome, verdict.reason, verdict.retryable) == ("client_error", "quota", False)


@pytest.mark.parametrize(
    ("body", "family"), [row[1:] for row in RATES], ids=[row[0] for row in RATES]
)
def test_a_rate_is_no_bill_and_tells_which_one_it_is(body: Any, family: str) -> None:
    verdict = of_status(429, error_of(body))
    assert (verdict.outcome, verdict.retryable) == ("throttled", True)
    assert verdict.reason == f"rate_limit{family}"


@pytest.mark.parametrize("body", [row[1] for row in BUSY], ids=[row[0] for row in BUSY])
def test_a_model_that_is_busy_is_overloaded(body: Any) -> None:
    verdict = of_status(429, error_of(body))
    assert (verdict.outcome, verdict.reason) == ("throttled", "overloaded")


def test_a_code_that_means_money_elsewhere_is_money_in_a_stream_too() -> None:
    error = error_of({"error": {"code": 1113, "message": "x"}})
    assert of_stream_error(error).reason == "quota"


@pytest.mark.parametrize(
    ("reason", "limits", "expected"),
    [
        ("rate_limit", [Limit(kind="requests", remaining=0)], "rate_limit.requests"),
        (
            "rate_limit",
            [Limit(kind="input_tokens", remaining=0), Limit(kind="output_tokens", remaining=0)],
            "rate_limit.tokens",
        ),
        (
            "rate_limit",
            [Limit(kind="concurrency", remaining=0), Limit(kind="requests", remaining=7)],
            "rate_limit.concurrency",
        ),
        (
            "rate_limit",
            [Limit(kind="requests", remaining=0), Limit(kind="tokens", remaining=0)],
            "rate_limit",
        ),
        ("rate_limit", [Limit(kind="requests"), Limit(kind="images", remaining=0)], "rate_limit"),
        ("overloaded", [Limit(kind="requests", remaining=0)], "overloaded"),
        ("quota", [Limit(kind="requests", remaining=0)], "quota"),
    ],
)
def test_the_limit_with_nothing_left_names_the_rate(
    reason: str, limits: list[Limit], expected: str
) -> None:
    assert reason_by_limits(reason, limits) == expected


SPENT = (
    "Your monthly spend limit of $50 has been reached.",
    "You have exceeded your daily spending limit",
    "Your account balance is negative. Please recharge.",
    "Monthly token quota exhausted",
    "Weekly quota exceeded",
    "You have used up your free credits",
    "Daily token allocation depleted",
    "Credits depleted",
    "quota exceeded: 0 requests remaining this month",
    "You've run out of credits",
    "You ran out of tokens for this billing period",
    "Your plan's usage for this period has been exhausted",
    "You've reached your session limit. Resets 3pm (UTC)",
    "5-hour limit reached ∙ resets 3pm",
    "You have hit your ChatGPT usage limit (plus plan). Try again in ~153 min.",
    "Your subscription has expired",
    "Payment required to continue",
    "Payment method required",
    "Billing is not enabled for this project",
    "This API method requires billing to be enabled. Please enable billing on project #1",
    "You have reached the maximum number of requests allowed per month on your plan",
    "Trial quota exhausted. Upgrade to continue.",
    "Free tier limit reached for today",
    "Exceeded monthly credit allocation",
    "今日免费额度已用完",
    "账户余额不足，请充值后重试",
    "您的账户已欠费",
    "本月配额已用尽",
    "已达到每周使用上限",
    "您的套餐余量已用完",
    "今日调用次数已达上限",
    "Organization has exceeded its monthly usage",
    "Hourly quota exceeded",
    "You have exceeded the limit of 50 messages every 3 hours",
    "Key budget exceeded: spend 10.2 > max 10",
    "ExceededTokenBudget: Current spend for token: 0.1; Max Budget for Token: 0.05",
    "Crossed spend within budget_duration",
    "No credits left",
    "Your credit card was declined",
    "Workspace monthly limit of $100.00 reached",
    "You have no remaining quota for the current billing cycle.",
    "usage cap reached",
    "Usage quota exceeded. Your quota resets on 2026-12-01.",
    "Your quota of 1000000 tokens per month has been exceeded",
    "usage limits exceeded for this API key",
)
"""Parts of a bill in many words: thing, state, horizon."""
SLOWED = (
    "当前请求过多，请稍后再试",
    "请求频率超出限制，请稍后再试",
    "每分钟请求数超过限制",
    "模型当前负载过高，请稍后重试",
    "Rate limit exceeded: 60 requests per minute",
    "Quota exceeded for requests per minute",
    "Tokens per minute quota exceeded",
    "Usage limit per minute exceeded",
    "You are sending requests too quickly. See https://x.ai/billing for quota",
    "Too many requests. Add credits at https://openrouter.ai/credits to increase limits",
    "Rate limit reached. Upgrade your plan for a higher monthly quota.",
    "Rate limit reached for your plan. To increase, add a payment method.",
    "This model is currently overloaded with other requests.",
    "Concurrency limit exceeded for account, please retry later",
    "Your team has exceeded its rate limit of 10 requests per second",
    "API rate limit exceeded for ip 1.2.3.4",
    "Request quota exceeded, retry in 30 seconds",
    "insufficient capacity",
    "tokens per day limit exceeded",
    "The engine is currently overloaded, please try again later",
    "Sorry, you have been rate-limited. Please wait a moment before trying again.",
    "insufficient resources, please try again later",
)
"""Parts of a rate, some with advice that names money."""


@pytest.mark.parametrize("status", [403, 429, 500, None])
@pytest.mark.parametrize("words", SPENT)
def test_a_thing_in_its_last_state_is_a_bill(words: str, status: int | None) -> None:
    verdict = of_error(error_of({"error": {"message": words}}), status)
    assert (verdict.outcome, verdict.reason) == ("client_error", "quota")


@pytest.mark.parametrize("words", SLOWED)
def test_a_rate_stays_one_whatever_it_advises(words: str) -> None:
    assert of_status(429, error_of({"error": {"message": words}})).outcome == "throttled"


@pytest.mark.parametrize(
    "words",
    [
        "Server is at capacity, please try again later",
        "All channels are saturated, retry later",
        "当前分组上游负载已饱和，请稍后再试",
    ],
)
@pytest.mark.parametrize("code", ["insufficient_quota", "billing_error"])
def test_words_that_the_upstream_is_full_outrank_a_billing_code(words: str, code: str) -> None:
    verdict = of_status(429, error_of({"error": {"message": words, "code": code}}))
    assert (verdict.outcome, verdict.reason) == ("throttled", "overloaded")


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("quota exceeded", "throttled"),
        ("monthly quota exceeded", "client_error"),
        ("quota per minute exceeded", "throttled"),
        ("quota exceeded, it resets in 5h", "client_error"),
        ("quota exceeded, it resets in 50s", "throttled"),
        ("quota exceeded, it resets in 59m59s", "throttled"),
        ("quota exceeded, it resets in 60m", "client_error"),
        ("rate limit of your plan exceeded: 50 requests per day", "throttled"),
        ("weekly rate limit exceeded", "client_error"),
        ("rate limit exceeded: no credits left", "client_error"),
    ],
)
def test_the_horizon_decides_where_the_thing_may_be_either(words: str, outcome: str) -> None:
    assert of_status(429, error_of({"error": {"message": words}})).outcome == outcome


@pytest.mark.parametrize(
    ("quotas", "outcome"),
    [
        (("GenerateRequestsPerDayPerProjectPerModel-FreeTier",), "client_error"),
        (("GenerateRequestsPerMinutePerProjectPerModel",), "throttled"),
        (("GenerateRequestsPerDay", "GenerateRequestsPerMinute"), "throttled"),
    ],
)
def test_googles_quotas_are_a_bill_where_all_are_of_a_day(
    quotas: tuple[str, ...], outcome: str
) -> None:
    details = [{"violations": [{"quotaId": quota} for quota in quotas]}]
    body = {"error": {"status": "RESOURCE_EXHAUSTED", "message": "x", "details": details}}
    assert of_status(429, error_of([body])).outcome == outcome


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Your session token has expired"),
        (401, "Access denied due to missing subscription key. A subscription key is required."),
        (400, "max_tokens 超过上限, 请查看日志"),
        (400, "`max_tokens` must be greater than `thinking.budget_tokens`"),
        (400, "The thinking budget exceeds the limit of 24576"),
        (400, "Input tokens exceed the configured limit of 272000 tokens"),
        (400, "This model's maximum context length is 8192 tokens, you requested 9000 tokens"),
        (404, "The model `x` was retired this month, see https://x.ai/billing"),
        (413, "Request body exceeds the limit of 20 MB"),
        (403, "Your plan has no access to this model"),
        (500, "load balancer has no remaining backends"),
        (503, "Service unavailable for scheduled maintenance today"),
    ],
)
def test_what_is_neither_a_bill_nor_a_rate_is_not_made_one(status: int, words: str) -> None:
    verdict = of_status(status, error_of({"error": {"message": words}}))
    assert verdict.reason != "quota"
    assert verdict.outcome != "throttled"
