"""A webhook is a URL that may be a secret: judged when the file is read, and never shown."""

from pathlib import Path

import pytest

from probes.config.errors import ConfigError
from probes.config.file import parse_config
from probes.config.urls import UrlError, read_url
from probes.config.webhooks import shown_webhook, webhook_url

ROUTE = '[routes.r]\nbase_url = "http://127.0.0.1:1"\nmodel = "m"\n'
SECRET = "T00/B00/a-secret-of-mine"
URL = f"https://hooks.example.com/{SECRET}"


def read(value: str, environ: dict[str, str] | None = None) -> str | None:
    text = f'{ROUTE}[alerts]\nwebhook = "{value}"\n'
    return parse_config(text, Path("routes.toml"), environ or {}).alerts.webhook


def complaint(value: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(value, environ)
    (line,) = caught.value.problems
    return line


def test_a_url_is_kept() -> None:
    assert read(URL) == URL
    assert read("HTTPS://Hooks.Example.com/a") == "https://hooks.example.com/a"
    assert read("http://127.0.0.1:8080/hook?x=1") == "http://127.0.0.1:8080/hook?x=1"
    assert read("http://localhost:8080") == "http://localhost:8080"


def test_a_variable_may_hold_it() -> None:
    assert read("env:HOOK", {"HOOK": URL}) == "env:HOOK"
    assert str(webhook_url("env:HOOK", {"HOOK": f" {URL}\n"})) == URL


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (f"hooks.example.com/{SECRET}", "has no https:// in front"),
        (f"http://hooks.example.com/{SECRET}", "over plain http to another machine"),
        (
            f"ftp://hooks.example.com/{SECRET}",
            "expected a URL such as https://alerts.example.com/hook",
        ),
        ("https://me:a-secret@hooks.example.com", "has a user or password in it"),
        (f"https://hooks.example.com/{SECRET} x", "has characters that no URL has"),
        (f"https://hooks.example.com/#{SECRET}", "has a #fragment"),
        ("", "has no https:// or http:// in front"),
    ],
)
def test_what_is_none_is_one_line_without_a_secret(value: str, words: str) -> None:
    line = complaint(value)
    assert line.startswith("routes.toml: alerts.webhook: ")
    assert words in line
    assert "a-secret" not in line
    held = complaint("env:HOOK", {"HOOK": value}) if value else complaint("env:HOOK")
    assert held.startswith("routes.toml: alerts.webhook: environment variable HOOK ")
    assert "a-secret" not in held


def test_a_url_pasted_for_a_variables_name_is_not_shown() -> None:
    line = complaint(f"env:{URL}")
    assert "(name not shown)" in line
    assert "a-secret" not in line


def test_a_wrong_type_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{ROUTE}[alerts]\nwebhook = 7\n", Path("routes.toml"), {})
    assert "expected a URL such as https://alerts.example.com/hook" in caught.value.problems[0]


def test_only_where_it_leads_is_shown() -> None:
    assert shown_webhook(read_url(f"{URL}?token=x")) == "https://hooks.example.com"


def test_a_variable_that_is_gone_later_is_told() -> None:
    with pytest.raises(UrlError, match="is not set"):
        webhook_url("env:HOOK", {})
