"""Why a server refuses a request that is well asked: money, or a rate, and then which.

Providers word both alike, and some answer 429 for both. The rule, on one sentence at a time of what
is said, without its links (every 429 of OpenAI and Google links to a billing page):

1. A *thing* that is bought (`_MONEY`: credit, balance, spending limit, payment, …) in a *state*
   that ends it (`_STATE`: exhausted, required, too low, …) is a bill, whatever the horizon.
2. An *allowance* (`_ALLOWANCE`: usage limit, free tier, …) in such a state is a bill too, unless it
   is one of a minute or less.
3. What may be either (`_EITHER`: quota, limit, requests, …) in such a state goes by its *horizon*:
   of an hour and more, up to a billing cycle, it is a bill (`_LONG`, or a reset an hour away), of a
   minute or a second a rate.
4. A sentence that names a rate ("rate limit", "requests per", TPD) is about a rate, be it one of a
   day; of a week, a month or a cycle it is a bill. Only rule 1 outweighs the name.
5. Words that say the upstream is full, or "try again later", outrank a billing *code*, not rules 1
   to 3. Then codes count (`_BILLING`), Zhipu's numbers, and Google's quota ids of a day and more.

What stays ambiguous: "quota exceeded" by itself is a rate, as Google says it of one; an allowance
of some hours ("5-hour usage limit") is a bill, as no retry can wait for it.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from probes.answers.error_body import ErrorBody
from probes.answers.limits.fields import words_of_type
from probes.answers.limits.resets import reset_in_words_s
from probes.events import Limit

BUSY: Final = re.compile(
    r"overload|busy|(?<!your )capacity|autoscal|high (traffic|demand|load)|queue[ _]?(is )?full"
    r"|queue_?exceeded|pending requests|request queue|queue budget|saturat"
    r"|no (healthy )?deployments? available|not ?ready"
    r"|访问量过大|请求量过大|排队|负载|繁忙|拥挤|算力不足",
    re.IGNORECASE,
)
_LATER: Final = re.compile(
    r"(try|retry)( it| again)? (later|shortly|soon)|temporarily|稍[后候]|过一会",
    re.IGNORECASE,
)

_LINKS: Final = re.compile(r"(https?://|www\.)\S+|\b[\w-]+(\.[\w-]+)+/\S*")
_SENTENCES: Final = re.compile(r"(?<=[.!?;])[\s)\]\"']+|[。！？；\n·]+")
_LONGEST: Final = 2000
"""Of a message that is looked through: why is said first, and the patterns cost with the length."""
_MOST_SENTENCES: Final = 20

_MONEY: Final = (
    r"spend(ing)?( (limit|cap|budget))?\b|\bcredits?\b|(?<![-\w])(?<!load )balance\b|\bfunds\b"
    r"|(?<!queue )(?<!thinking )(?<!reasoning )(?<!token )(?<!time )(?<!retry )\bbudget\b"
    r"|\bpayments?\b|\binvoices?\b|\bsubscription\b(?! (key|id))|billing ((hard )?limit|account)"
    r"|extra usage|resource (pack|package)|call volume|\bpaid (plan|tier|account)|\bwallet\b"
    r"|余额|欠费|(?<!限)额度|资源包|套餐|账单|充值|残高|クレジット|잔액|크레딧"
    r"|\bsaldo\b|\bcr[eé]dit(o|os|s)\b|\bsolde\b|\bguthaben\b"
)
_ALLOWANCE: Final = (
    r"\busage (limit|quota|cap|allowance)s?\b|\ballowance\b|api usage limits"
    r"|\bfree[ -](tier|trial|quota|usage|allocat\w+|allowance|plan)\b|\btrial\b|premium requests?"
    r"|使用上限|用量|免费|试用|利用上限|無料枠"
)
_EITHER: Final = (
    r"\bquotas?\b|\blimits?\b|\bcap\b|\ballocation\b|\brequests?\b|\btokens\b|\bcapacity\b"
    r"|\bcalls?\b|\busage\b|\bplan\b|\bmessages\b|限额|配额|上限|次数"
    r"|\bl[ií]mites?\b|\bcuotas?\b|\bcotas?\b|\bkontingent\b|\blimit[es]?\b"
)
_STATE: Final = (
    r"exceed\w*|deplet\w+|used (up|all)|\bused\b|exhaust\w*|\breached\b|\bhit\b|insufficient"
    r"|not enough|\brequire[sd]?\b|\bout of\b|r[au]n out|too low|negative|expired|\bended\b|overdue"
    r"|past due|unpaid|inactive|suspended|\bspent\b|consumed|no (more|remaining)|\blacks?\b|afford"
    r"|do(es)?(n'?t| not) have|\bhas no\b|have no|add more|draws? from|declined|crossed"
    r"|\bover (the|your)"
    r"|limited to|less than"
    r"|不足|用尽|用完|用光|耗尽|超出|超过|超限|达到|已达|不够|欠费|到期|过期|失败|超え|達しました|초과|부족"
    r"|agotad|esgotad|excedid|insuficiente|superad|insuffisant|épuisé|dépassé|aufgebraucht"
    r"|überschritten|erschöpft"
)
_GAP: Final = (
    r"(?:(?!\b(?:add (?!more)|adding|increas|upgrad|purchas|buy|check|visit|unlock|rate[ -]?limit))"
    r"[^;!?]){0,70}?"
)
"""What may stand between a thing and its state: no advice, which names things in no state."""


def _in_state(thing: str) -> re.Pattern[str]:
    """Return the pattern of a thing near its state, in either order."""
    return re.compile(
        rf"(?:{thing}){_GAP}(?:{_STATE})|(?:{_STATE}){_GAP}(?:{thing})", re.IGNORECASE
    )


_MONEY_GONE: Final = _in_state(_MONEY)
_ALLOWANCE_GONE: Final = _in_state(_ALLOWANCE)
_EITHER_GONE: Final = _in_state(_EITHER)
_ARREARS: Final = re.compile(
    r"account[^.]{0,80} is suspended|key limit exceeded|inactive subscription"
    r"|insufficient[ _]quota|quota is not enough|\bno (credits?|balance|funds|quota)\b"
    r"|purchase more credits to|need to add (more )?(credits?|funds)"
    r"|billing[^.]{0,20}\b(not enabled|disabled|to be enabled|not active)"
    r"|欠费|余额不足|额度不足",
    re.IGNORECASE,
)
"""Sentences that are bills as they stand."""
_LONG: Final = re.compile(
    r"\bcycle\b|\bmonth(ly)?\b|\bweek(ly)?\b|\bda(y|ily)\b|\byear(ly)?\b|\btoday('s)?\b"
    r"|\bsession (usage|limit|quota|allowance|cap)\b"
    r"|\b[0-9]{1,4}[ -]?(hours?|hrs?|h)\b|\bhour(ly)?\b|\btomorrow\b|\bmidnight\b"
    r"|\bresets? (at )?[0-9]{1,2}(:[0-9]{2})?\s?[ap]m\b"
    r"|\b(billing|this|current) period\b|\bmensu?al\b|\bsemanal\b|\bdi[aá]ri[oa]\b|\bmensuel"
    r"|\bquotidien|\bmonatlich|\btäglich"
    r"|小时|時間|[每当今本][天日周月]|[天日周月](使用|调用|用量|限|额|配|度|内)|[0-9一两三七]\s?[天周]"
    r"|个月|包月|周期",
    re.IGNORECASE,
)
_LONGER: Final = re.compile(
    r"\bcycle\b|\bmonth(ly)?\b|\bweek(ly)?\b|\byear(ly)?\b"
    r"|[每当本][周月]|[周月](使用|调用|用量|限|额|配|度|内)|个月|包月|周期",
    re.IGNORECASE,
)
_SHORT: Final = re.compile(
    r"(per|a|each)[ -]?(minute|min|second|sec)\b|/ ?(min(ute)?|s(ec(ond)?)?)\b|\b[0-9]* ?minutes?\b"
    r"|(?<![a-z])[rtq]p[sm](?![a-z])|每?分钟|每秒",
    re.IGNORECASE,
)
_RATE_NAMED: Final = re.compile(
    r"rate[ _-]?limit|(?<![a-z])[io]?[rt]p[smhd](?![a-z])|(requests?|tokens?) ?(per|/) ?"
    r"|too many (requests|tokens)|throttl|concurren|\bqps\b|限流|速率|频率|并发",
    re.IGNORECASE,
)
_AN_HOUR_S: Final = 3600.0
"""From here on a horizon is too far for a retry, and what is spent is an allowance."""

_BILLING: Final = re.compile(
    r"insufficient(user|token|account)?(quota|balance|credit|fund)|(no|low)balance"
    r"|notenough(balance|credit|fund|quota)|(balance|quota|credits?)notenough"
    r"|credit(balance|s?exhausted|s?required|limit)|spend(ing)?limit"
    r"|budget(limit)?(has)?(been)?exceeded"
    r"|(organization|project|account|monthly|key)usagelimit|usagelimit(reached|exceeded)"
    r"|(daily|weekly|monthly)(?!.*rate)\w{0,20}(quota|limit|usage|allowance)"
    r"|billing|paymentrequired|exceededcurrentquota|outofcredits?|accountsuspended"
    r"|tokenquotafailed|arrear|overdue|^setlimitexceeded|allocationquotafreetieronly"
    r"|notpurchased|unpurchased"
    r"|accountquotaexceeded|freequota"
    r"|(plan|subscription|trial)(has)?(expired|ended|required|inactive)"
)
_BILLING_NUMBERS: Final = frozenset(
    {"1113", "1304", "1308", "1309", "1310", "1311", "30001", "30011", "3036", "4006"}
)
"""Zhipu: no balance, a day's, five hours', a plan's end, a week's allowance, a
model that the plan lacks; SiliconFlow: no balance;
Cloudflare: a day's neurons."""
_RATE_NUMBERS: Final = {
    "1302": "concurrency",
    "1303": "requests",
    "1305": "",
    "1312": "",
    "1313": "",
    "1015": "requests",
    "336501": "requests",
    "336502": "tokens",
}
"""Zhipu's, of which 1305 and 1312 may mean that the model is full; Cloudflare's; Baidu's."""
_RATE_MESSAGE: Final = re.compile(
    r"(?<!free )allocated quota exceeded|error-code#(token|rate)-limit", re.IGNORECASE
)
"""DashScope says `insufficient_quota` of its tokens per minute."""
_THROTTLE: Final = re.compile(
    r"ratelimit|requestlimit|toomanyrequests|throttl|slowdown|resourceexhausted|ratelimited"
    r"|toomanytokens|quotaexceeded|quotaexhausted|limitrequests|limittokens|concurrencylimit"
    r"|[rt]p[mds]limit|requestbursttoofast|burstrate"
)
_THROTTLE_MESSAGE: Final = re.compile(
    r"\A\W*rate[ -]?limits?\W*\Z"
    r"|rate[ -]?limit(ed|s?\b[^.;]{0,60}\b(exceed|reach|hit))|(exceed|reach|hit|trigger|due to)\w*"
    r"[^.;]{0,60}\brate[ -]?limit|(?<!total )request limit (reached|exceeded)"
    r"|too many (concurrent |simultaneous )?"
    r"(requests|connections|streams)|throttl(ed|ing)|ThrottlingException|rate exceeded|slow down"
    r"|requests? too (quickly|fast|frequently|often)|too many tokens[^.]{0,20}(wait|per )"
    r"|(concurren\w+|quota)[^.;]{0,60}\b(exceed|exhaust|reach|limit)"
    r"|(exceed|exhaust|reach)\w*[^.;]{0,60}\b(quota|concurren)|resource (has been )?exhausted"
    r"|(high|reduce) concurren|限流|速率限制|频率过高|请求过于频繁|请求过多"
    r"|请求数(限制|超)|最多请求\s?[0-9]|已被限制|并发数?(过高|超|达|限)",
    re.IGNORECASE,
)

_RATE_GONE: Final = re.compile(
    r"limited to [^.;]{0,40}(/|per) ?(second|minute|hour|day)|"
    r"((?<![a-z])[io]?[rt]p[smhd](?![a-z])|(requests?|tokens?) ?(per|/) ?"
    r"(second|sec|minute|min|hour|day)|每分钟|每秒|频率|速率|并发)[^.;。]{0,60}"
    r"(exceed|exhaust|\breached|\bhit\b|超|达到|过高|限制)"
    r"|(exceed|exhaust|\breached|\bhit\b|超|达到)[^.;。]{0,60}"
    r"((?<![a-z])[io]?[rt]p[smhd](?![a-z])|(requests?|tokens?) ?(per|/) ?(second|sec|minute|min"
    r"|hour|day)"
    r"|每分钟|每秒|频率|速率|并发)",
    re.IGNORECASE,
)
"""A rate in a state that ends it, be it of a day."""
_LIMIT_GONE: Final = re.compile(
    r"\b(limit|quota)s?\b[^.;]{0,40}\b(exceeded|reached|hit|exhausted)"
    r"|\b(exceeded|reached|hit|exhausted)[^.;]{0,40}\b(limit|quota)\b",
    re.IGNORECASE,
)

_CONCURRENCY: Final = re.compile(
    r"concurren|simultaneous|in-?flight|parallel[ _]requests?|并发", re.IGNORECASE
)
_TOKENS: Final = re.compile(
    r"(?<![a-z])[io]?tp[smhd](?![a-z])|tokens?[ -](per|rate|limit|quota)|limit type: tokens"
    r"|too many tokens|number of (\w{1,20} ){0,2}tokens"
    r"|allocated quota exceeded|error-code#token-limit",
    re.IGNORECASE,
)
_REQUESTS: Final = re.compile(
    r"(?<![a-z])[rq]p[smhd](?![a-z])|(requests?|calls?)[ -](per|rate)|limit type: requests"
    r"|number of requests|api calls ?/|requests? limit"
    r"|userby(model)?by|free-models-per-|请求(数|频率)|调用频率|请求过于频繁",
    re.IGNORECASE,
)
_ANY_OF_THEM: Final = "tpm / rpm"
"""LiteLLM's older limiter names all three whichever was hit."""
_CODES: Final = (
    ("concurrency", re.compile(r"concurren|inflight|parallelrequest")),
    ("tokens", re.compile(r"^tokens$|tp[mdh](rate)?limit|tp[mdh]exceeded|tokenquota|tokenlimit")),
    ("requests", re.compile(r"^requests$|rp[smdh](rate)?limit|rp[smdh]exceeded|requestquota")),
    ("requests", re.compile(r"limitrequests|ratequota|requestbursttoofast|burstrate")),
    ("tokens", re.compile(r"^throttlingallocationquota$|toomanytokens|limittokens")),
)
_FAMILIES: Final = ("concurrency", "tokens", "requests")


def is_billing(error: ErrorBody) -> bool:
    """Whether an error is about money, or about an allowance that no retry can wait for."""
    message = error.message[:_LONGEST]
    reset_s = reset_in_words_s(message)
    is_far = reset_s is not None and reset_s >= _AN_HOUR_S
    sentences = [one for one in _SENTENCES.split(_LINKS.sub(" ", message)) if one.strip()]
    if any(_is_bill(one, is_far) for one in sentences[:_MOST_SENTENCES]):
        return True
    if _RATE_MESSAGE.search(message) or is_busy(error) or _LATER.search(message):
        return False
    return (
        any(_BILLING.search(word) for word in error.words)
        or not _BILLING_NUMBERS.isdisjoint(error.numbers)
        or _are_long(error.quotas)
    )


def _is_bill(sentence: str, is_far: bool) -> bool:
    """Whether a sentence tells a bill, by the rules 1 to 4; `is_far` of a reset an hour away."""
    if _ARREARS.search(sentence) or _MONEY_GONE.search(sentence):
        return True
    if _RATE_NAMED.search(sentence):
        return bool(_LONGER.search(sentence) and _EITHER_GONE.search(sentence))
    if _SHORT.search(sentence):
        return False
    if _ALLOWANCE_GONE.search(sentence):
        return True
    return bool((is_far or _LONG.search(sentence)) and _EITHER_GONE.search(sentence))


def _are_long(quotas: Sequence[str]) -> bool:
    """Whether all quotas that Google says are violated are of a day or more."""
    return bool(quotas) and all(words_of_type(one).window in ("day", "month") for one in quotas)


def is_busy(error: ErrorBody) -> bool:
    """Whether a code or a word says that the server is full, whoever asks."""
    return any(BUSY.search(words) for words in (*error.words, error.message))


def is_throttling(error: ErrorBody) -> bool:
    """Whether codes, numbers or words say that a rate was exceeded, whatever the status."""
    return (
        any(_THROTTLE.search(word) for word in error.words)
        or any(number in _RATE_NUMBERS for number in error.numbers)
        or bool(_THROTTLE_MESSAGE.search(error.message))
        or bool(_RATE_GONE.search(error.message))
    )


def is_limited(error: ErrorBody) -> bool:
    """Whether words say that some limit was reached; of what is not told, so it goes last."""
    return bool(_LIMIT_GONE.search(error.message))


def throttle_reason(error: ErrorBody) -> str:
    """Return which limit was hit, as far as the body tells."""
    for family, pattern in _CODES:
        if any(pattern.search(word) for word in error.words):
            return f"rate_limit.{family}"
    numbered = (_RATE_NUMBERS[number] for number in error.numbers if number in _RATE_NUMBERS)
    family = _family_in(error.message) or next(numbered, "")
    if family:
        return f"rate_limit.{family}"
    return "overloaded" if is_busy(error) else "rate_limit"


def reason_by_limits(reason: str, limits: Sequence[Limit]) -> str:
    """Return a reason that only says `rate_limit` with the one family that has nothing left."""
    if reason != "rate_limit":
        return reason
    used_up = set(_families(limit.kind for limit in limits if limit.remaining == 0))
    return f"rate_limit.{used_up.pop()}" if len(used_up) == 1 else reason


def limits_by_reason(limits: Sequence[Limit], reason: str) -> tuple[Limit, ...]:
    """Return the limits; of one whose reset only was told, the reason says what it limits."""
    family = reason.removeprefix("rate_limit.")
    if family not in _FAMILIES:
        return tuple(limits)
    return tuple(
        msgspec.structs.replace(limit, kind=family)
        if limit.kind == "usage" and limit.limit is None
        else limit
        for limit in limits
    )


def _family_in(message: str) -> str:
    if _ANY_OF_THEM in message.lower():
        return ""
    if _CONCURRENCY.search(message):
        return "concurrency"
    tokens, requests = _TOKENS.search(message), _REQUESTS.search(message)
    if tokens and requests:
        return "tokens" if tokens.start() < requests.start() else "requests"
    return "tokens" if tokens else "requests" if requests else ""


def _families(kinds: Iterable[str]) -> Iterable[str]:
    for kind in kinds:
        yield from (family for family in _FAMILIES if family in kind)
