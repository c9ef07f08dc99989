"""Bot checks before the API, by their headers and by what their makers leave in the page."""

import pytest

from probes.answers.bot_check import is_bot_check

PAGES = (
    "<html><head><title>Just a moment...</title></head></html>",
    "<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title></html>",
    '<html><script src="/cdn-cgi/challenge-platform/h/b/orchestrate/jsch/v1"></script></html>',
    "<HTML><TITLE>Access Denied</TITLE><H1>Access Denied</H1>Reference #18.2d00</HTML>",
    "<html><H2>The request could not be satisfied.</H2><HR>Request blocked.</html>",
    "<html><script>window.awsWafCookieDomainList=[]</script></html>",
    "<html><script>var dd={'host':'geo.captcha-delivery.com'}</script></html>",
    '<html><iframe src="/_Incapsula_Resource?x">Incapsula incident ID: 1-2</iframe></html>',
    '<html><div id="px-captcha"></div></html>',
    "<html>The requested URL was rejected. Please consult with your administrator.<br>"
    "Your support ID is: 1</html>",
    "<html><title>Vercel Security Checkpoint</title></html>",
    "<html><title>Making sure you&#39;re not a bot!</title></html>",
    "<html>Our systems have detected unusual traffic from your computer network.</html>",
    "error code: 1010",
    '{"type":"https://cloudflare.com/x","title":"Error 1020: Access denied","status":403,'
    '"error_code":1020,"cloudflare_error":true}',
    '{"__type":"ForbiddenException","message":"Request not allowed due to WAF block."}',
)
HEADERS = (
    {"cf-mitigated": "challenge"},
    {"x-amzn-waf-action": "captcha"},
    {"x-vercel-mitigated": "deny"},
    {"x-dd-b": "1"},
)
NONE_OF_THEM = (
    "",
    "error code: 1015",
    "error code: 502",
    "<html><title>502 Bad Gateway</title><hr><center>cloudflare</center></html>",
    "<html><title>403 Forbidden</title><h1>403 Forbidden</h1><center>nginx</center></html>",
    '{"error_code":1015,"title":"Error 1015: You are being rate limited","type":"cloudflare"}',
    '{"error":{"message":"just a moment..., the model is loading"}}',
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_a_bot_check_is_known(page: str) -> None:
    assert is_bot_check({}, page.encode())


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_a_header_says_it_for_certain(headers: dict[str, str]) -> None:
    assert is_bot_check(headers, b"")


@pytest.mark.parametrize("page", NONE_OF_THEM)
def test_what_the_api_or_its_edge_says_is_none(page: str) -> None:
    assert not is_bot_check({"server": "cloudflare", "cf-ray": "8c1-FRA"}, page.encode())
