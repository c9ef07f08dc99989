"""Headers as the providers really send them, and the limits that they tell of.

Each limit is (limit, remaining, reset in s) by its name, `scope:kind/window`; it is read at
2026-11-23T10:33:20Z.
"""

Told = dict[str, tuple[float | None, float | None, float | None]]
IN_A_MINUTE = "2026-11-23T10:34:20Z"

PROVIDERS: list[tuple[str, dict[str, str], Told]] = [
    (
        "openai",
        {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6m0s",
            "x-ratelimit-limit-project-tokens": "90000",
            "x-ratelimit-limit-tokens_usage_based": "40000",
        },
        {
            "requests": (500, 499, 0.12),
            "tokens": (None, 0, 360),
            "project:tokens": (90_000, None, None),
            "usage_based:tokens": (40_000, None, None),
        },
    ),
    (
        "azure and github models",
        {
            "x-ratelimit-key": "gpt-4.1-mini",
            "x-ratelimit-limit-requests": "1000",
            "x-ratelimit-remaining-requests": "999",
            "x-ratelimit-renewalperiod-requests": "60",
            "x-ratelimit-reset-requests": "3",
            "x-ratelimit-abusepenalty-active": "False",
        },
        {"requests/minute": (1000, 999, 3)},
    ),
    (
        "github models, throttled",
        {"x-ratelimit-type": "UserByModelByDay", "x-ratelimit-timeremaining": "5400"},
        {"requests/day": (None, 0, 5400)},
    ),
    (
        "groq",
        {
            "x-groq-region": "us-west-1",
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-limit-tokens": "18000",
        },
        {"requests/day": (14_400, None, 179.56), "tokens/minute": (18_000, None, None)},
    ),
    (
        "openrouter",
        {
            "x-ratelimit-limit": "50",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": "1795430060000",
        },
        {"requests": (50, 0, 60)},
    ),
    (
        "together",
        {
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "9",
            "x-ratelimit-reset": "1",
            "x-ratelimit-limit-dynamic": "25",
            "x-tokenlimit-limit": "30000",
            "x-tokenlimit-remaining": "29000",
        },
        {
            "requests": (10, 9, 1),
            "dynamic:requests": (25, None, None),
            "tokens": (30_000, 29_000, None),
        },
    ),
    (
        "fireworks",
        {
            "x-ratelimit-limit-tokens-prompt": "3600000",
            "x-ratelimit-remaining-tokens-generated": "7",
            "x-ratelimit-limit-tokens-cache-adjusted-prompt": "900000",
            "x-ratelimit-over-limit": "yes",
        },
        {
            "input_tokens": (3_600_000, None, None),
            "output_tokens": (None, 7, None),
            "uncached_tokens": (900_000, None, None),
        },
    ),
    (
        "anthropic",
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-input-tokens-remaining": "100",
            "anthropic-ratelimit-input-tokens-reset": IN_A_MINUTE,
            "anthropic-priority-input-tokens-remaining": "5",
            "anthropic-fast-output-tokens-limit": "8",
            "anthropic-ratelimit-unified-5h-reset": "1795430060",
            "anthropic-organization-id": "00000000",
        },
        {
            "requests": (50, 49, None),
            "input_tokens": (None, 100, 60),
            "priority:input_tokens": (None, 5, None),
            "fast:output_tokens": (8, None, None),
        },
    ),
    (
        "litellm, with limits of its own",
        {
            "x-litellm-key-rpm-limit": "100",
            "x-litellm-key-tpm-limit": "None",
            "x-ratelimit-api_key-remaining-requests": "99",
            "x-ratelimit-model_per_key-limit-tokens": "4000",
            "x-ratelimit-api_key-limit-max_parallel_requests": "4",
            "x-ratelimit-remaining-tokens": "3990",
            "llm_provider-x-ratelimit-remaining-tokens": "29000",
        },
        {
            "key:requests/minute": (100, None, None),
            "api_key:requests": (None, 99, None),
            "model_per_key:tokens": (4000, None, None),
            "api_key:concurrency": (4, None, None),
            "tokens": (None, 3990, None),
            "upstream:tokens": (None, 29_000, None),
        },
    ),
    (
        "litellm, which only hands on",
        {
            "x-ratelimit-remaining-tokens": "29000",
            "llm_provider-x-ratelimit-remaining-tokens": "29000",
            "llm_provider-anthropic-ratelimit-requests-limit": "50",
        },
        {"tokens": (None, 29_000, None), "upstream:requests": (50, None, None)},
    ),
    (
        "mistral",
        {
            "x-ratelimit-limit-req-minute": "720",
            "x-ratelimit-remaining-req-minute": "717",
            "x-ratelimit-remaining-req-10-second": "5",
            "x-ratelimit-limit-tokens-month": "4000000000",
            "x-ratelimit-tokens-query-cost": "52",
        },
        {
            "requests/minute": (720, 717, None),
            "requests/10s": (None, 5, None),
            "tokens/month": (4e9, None, None),
        },
    ),
    (
        "mistral, older",
        {
            "ratelimitbysize-limit": "500000",
            "ratelimitbysize-remaining": "499000",
            "ratelimitbysize-reset": "41",
            "ratelimitbysize-query-cost": "52",
            "x-ratelimitbysize-remaining-month": "9000",
        },
        {"tokens": (500_000, 499_000, 41), "tokens/month": (None, 9000, None)},
    ),
    (
        "cohere, trial key",
        {
            "x-endpoint-monthly-call-limit": "1000",
            "x-trial-endpoint-call-limit": "20",
            "x-trial-endpoint-call-remaining": "19",
        },
        {"requests/month": (1000, None, None), "requests/minute": (20, 19, None)},
    ),
    (
        "cerebras",
        {
            "x-ratelimit-limit-requests-day": "14400",
            "x-ratelimit-remaining-requests-day": "14399",
            "x-ratelimit-reset-requests-day": "33011.382867813110",
            "x-ratelimit-remaining-tokens-minute": "0",
            "x-ratelimit-reset-tokens-minute": "11.38",
            "x-ratelimit-limit-tokens-hour": "1000000",
        },
        {
            "requests/day": (14_400, 14_399, 33_011.382867813110),
            "tokens/minute": (None, 0, 11.38),
            "tokens/hour": (1e6, None, None),
        },
    ),
    (
        "sambanova",
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1795430060",
            "x-ratelimit-limit-requests-day": "12000",
        },
        {"requests": (60, 59, 60), "requests/day": (12_000, None, None)},
    ),
    (
        "digitalocean",
        {
            "x-ratelimit-remaining-tokens-per-day": "7",
            "x-ratelimit-reset-tokens-per-day": "1795430060",
            "x-ratelimit-limit-tokens-per-minute": "9",
        },
        {"tokens/day": (None, 7, 60), "tokens/minute": (9, None, None)},
    ),
    (
        "kong",
        {
            "x-ratelimit-limit-minute": "60",
            "x-ratelimit-remaining-minute": "59",
            "ratelimit-limit": "60",
            "ratelimit-remaining": "59",
            "ratelimit-reset": "41",
            "x-ai-ratelimit-remaining-300-llama2": "12",
            "x-ai-ratelimit-limit-minute-openai": "100000",
            "x-ai-ratelimit-retry-after-300-llama2": "9",
        },
        {
            "requests/minute": (60, 59, None),
            "requests": (60, 59, 41),
            "llama2:tokens/5min": (None, 12, None),
            "openai:tokens/minute": (100_000, None, None),
        },
    ),
    (
        "envoy",
        {
            "x-ratelimit-limit": '10, 10;w=60;name="one", 1000;w=3600',
            "x-ratelimit-remaining": "9",
            "x-ratelimit-reset": "41",
        },
        {"requests/minute": (10, 9, 41)},
    ),
    (
        "parts named before",
        {"x-ratelimit-day-limit": "100", "x-ratelimit-day-remaining": "7"},
        {"requests/day": (100, 7, None)},
    ),
    (
        "rates by their letters",
        {"x-ratelimit-limit-rpm": "10", "x-ratelimit-remaining-tpd": "9"},
        {"requests/minute": (10, None, None), "tokens/day": (None, 9, None)},
    ),
    (
        "ietf, three headers and a policy",
        {
            "ratelimit-limit": "100",
            "ratelimit-remaining": "50",
            "ratelimit-reset": "50",
            "ratelimit-policy": "100;w=60, 1000;w=3600",
        },
        {"requests/minute": (100, 50, 50)},
    ),
    (
        "ietf, one dictionary",
        {"ratelimit": "limit=100, remaining=50, reset=5", "ratelimit-policy": "100;w=60"},
        {"requests/minute": (100, 50, 5)},
    ),
    (
        "ietf, named policies",
        {
            "ratelimit": '"burst";r=50;t=30, "tokens-daily";r=7000',
            "ratelimit-policy": '"burst";q=100;w=60, "tokens-daily";q=9000;w=86400',
        },
        {
            "burst:requests/minute": (100, 50, 30),
            "tokens-daily:tokens/day": (9000, 7000, None),
        },
    ),
    (
        "ietf, concurrency",
        {
            "ratelimit": '"default";r=3',
            "ratelimit-policy": '"default";q=8;qu="concurrent-requests"',
        },
        {"concurrency": (8, 3, None)},
    ),
    (
        "hugging face",
        {
            "ratelimit": '"api";r=499;t=289',
            "ratelimit-policy": '"fixed window";"api";q=500;w=300',
        },
        {"requests/5min": (500, 499, 289)},
    ),
    ("deepinfra", {"server": "cloudflare", "x-robots-tag": "none"}, {}),
]
