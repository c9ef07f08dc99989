"""Whether an answer is a bot check that stands before the API: it never reached the API.

A header says so for certain. A page says so by the marks that its maker leaves in every one:
Cloudflare, Akamai, AWS WAF and CloudFront, DataDome, Imperva, HUMAN, F5, Sucuri, Vercel, Azure
Front Door, Anubis and Google. Looked at is what refuses, and a
page in an answer's place.
"""

import re
from collections.abc import Mapping
from typing import Final

BOT_CHECK: Final = "a bot check stands before the API"
_LONGEST: Final = 64 * 1024
"""The marks stand in the first lines of a page; below them are its scripts."""
_HEADERS: Final = (
    ("cf-mitigated", re.compile(r"challenge|block", re.IGNORECASE)),
    ("x-amzn-waf-action", re.compile(r"challenge|captcha|block", re.IGNORECASE)),
    ("x-vercel-mitigated", re.compile(r"challenge|deny", re.IGNORECASE)),
    ("x-dd-b", re.compile(r".")),
    ("x-datadome", re.compile(r"protected|block", re.IGNORECASE)),
    ("x-sucuri-block", re.compile(r".")),
)
_PAGE: Final = re.compile(
    rb"<title>\s*(just a moment|attention required!|ddos-guard|client challenge"
    rb"|please wait\.\.\. \|)"
    rb"|/cdn-cgi/(challenge-platform|styles/challenges|l/chk_)|__cf_chl_|cf-chl-|_cf_chl_opt"
    rb"|cloudflare[^<]{0,40}</title>[\s\S]{0,20000}sorry, you have been blocked"
    rb"|sorry, you have been blocked|data-translate=\"block_headline\""
    rb"|access denied</(title|h1)>[\s\S]{0,2000}(reference(\s|&#32;)*(#|&#35;)"
    rb"|errors\.edgesuite\.net)"
    rb"|request could not be satisfied[\s\S]{0,600}request blocked|awswafcookiedomainlist|awswaf"
    rb"|not allowed due to waf block"
    rb"|captcha-delivery\.com|_incapsula_resource|incapsula incident id|px-captcha|_pxappid"
    rb"|sucuri website firewall|vercel security checkpoint"
    rb"|the request is blocked\.?[\s\S]{0,400}azure"
    rb"|azure waf|making sure you(&#39;|'|\xe2\x80\x99)re not a bot|unusual traffic from your"
    rb"|requested url was rejected\. please consult with your administrator|checking your browser"
    rb"|verify(ing)? (that )?you are (a )?human|enable javascript and cookies to continue",
    re.IGNORECASE,
)
_CLOUDFLARE_CODES: Final = frozenset(
    {"1005", "1006", "1007", "1008", "1009", "1010", "1012", "1013", "1020"}
)
"""Its bans: by address, country, browser signature and rule. 1015, a rate, is none of them."""
_CLOUDFLARE: Final = re.compile(
    rb"\A\s*error code: (?P<plain>1[0-9]{3})\b"
    rb"|\"error_code\"\s*:\s*(?P<json>1[0-9]{3})\b[\s\S]*cloudflare"
    rb"|cloudflare[\s\S]*\"error_code\"\s*:\s*(?P<late>1[0-9]{3})\b"
    rb"|<title>[^<]{0,80}\| Cloudflare[\s\S]*error(\s|<[^>]{0,60}>){0,4}(?P<page>10[0-9]{2})\b",
    re.IGNORECASE,
)


def is_bot_check(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the headers (names in lower case) or the body are those of a bot check."""
    if any(pattern.search(headers.get(name, "")) for name, pattern in _HEADERS):
        return True
    start = bytes(body[:_LONGEST])
    if start.lstrip().startswith(b"<") and _PAGE.search(start):
        return True
    if b"WAF block" in start:
        return True
    found = _CLOUDFLARE.search(start[:8192])
    codes = found.groupdict().values() if found else ()
    return any(code is not None and code.decode() in _CLOUDFLARE_CODES for code in codes)
