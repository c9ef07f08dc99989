"""Keys that can never be right, and those that only look odd."""

from pathlib import Path

import pytest

from probes.config import Config, Route
from probes.config.errors import ConfigError
from probes.config.file import parse_config
from probes.config.keys import header_complaint, key_complaint
from probes.config.secrets import resolve_headers

NEVER_KEYS = {
    '"sk-abcdefgh12345678"': "has quotes around the key",
    "'sk-abcdefgh12345678'": "has quotes around the key",
    '"sk-abcdefgh12345678': "has quotes around the key",
    "sk-abcdefgh12345678\u201d": "has quotes around the key",
    " 'sk-abcdefgh12345678' \r\n": "has quotes around the key",
    "Bearer sk-abcdefgh12345678": "begins with a scheme such as Bearer",
    "bearer  sk-abcdefgh12345678": "begins with a scheme such as Bearer",
    "Bearer Bearer sk-abcdefgh12345678": "begins with a scheme such as Bearer",
    "Authorization: Bearer sk-abcdefgh": "begins with the name of a header",
    "x-api-key: sk-abcdefgh12345678": "begins with the name of a header",
    "OPENAI_API_KEY=sk-abcdefgh12345678": "begins with NAME=",
    "export OPENAI_API_KEY=sk-abcdefgh1234": "begins with NAME=",
    "": "is empty",
    " \t\r\n": "is empty",
    "sk-abc def": "has a blank inside the key",
    "sk-abc\tdef": "has a blank inside the key",
    "sk-abc\nsk-def": "no header can carry: more than one line",
    "sk-abc\r\nsk-def": "no header can carry: more than one line",
    "sk-abc\u00a0def": "no header can carry: a letter or sign beyond ASCII",
    "sk-ab\u200bcdef": "no header can carry: a letter or sign beyond ASCII",
    "sk-аbcdef": "no header can carry: a letter or sign beyond ASCII",
    "sk-abc\x00def": "no header can carry: a control character",
    "sk-...": "shortened for display",
    "sk-abcd...wxyz": "shortened for display",
    "sk-proj\u2026": "shortened for display",
    "...": "shortened for display",
    "<KEY>": "placeholder in angle brackets",
    "<your api key>": "placeholder in angle brackets",
    "sk-<insert>": "placeholder in angle brackets",
    "${OPENAI_API_KEY}": "variable that nobody filled in",
    "$OPENAI_API_KEY": "variable that nobody filled in",
    "$(cat /run/secrets/key)": "variable that nobody filled in",
    "%OPENAI_API_KEY%": "variable that nobody filled in",
    "{{ api_key }}": "template that nobody filled in",
    "{api_key}": "template that nobody filled in",
    "your-key": "placeholder of an example",
    "your_api_key": "placeholder of an example",
    "YOUR-OPENAI-API-KEY-HERE": "placeholder of an example",
    "sk-your-key-here": "placeholder of an example",
    "insert-your-token": "placeholder of an example",
    "api-key-here": "placeholder of an example",
    "changeme": "placeholder of an example",
    "CHANGE_ME": "placeholder of an example",
    "replace-with-your-own": "placeholder of an example",
    "sk-xxxxxxxxxxxx": "masked key",
    "xxxx": "masked key",
    "sk-proj-********": "masked key",
    "••••••••": "masked key",
    "[secret]": "masked key",
    "[REDACTED]": "masked key",
    "NAME": "its own name",
}  # fmt: skip


@pytest.mark.parametrize("key", NEVER_KEYS)
def test_a_key_that_can_never_be_right_is_told_without_its_value(key: str) -> None:
    complaint = key_complaint(key, "NAME")
    assert complaint is not None
    assert NEVER_KEYS[key] in complaint
    assert len(key.strip()) < 12 or key.strip() not in complaint
    settings = "[routes.r]\nbase_url = 'https://h/v1'\nmodel = 'm'\napi_key_env = 'NAME'\n"
    with pytest.raises(ConfigError) as told:
        parse_config(settings, Path("routes.toml"), {"NAME": key})
    assert told.value.problems == (
        f"routes.toml: routes.r.api_key_env: environment variable NAME {complaint}",
    )


@pytest.mark.parametrize(
    "key",
    [
        "sk-abcdefgh12345678\n",
        "  sk-abcdefgh12345678\r\n",
        "EMPTY",
        "none",
        "dummy",
        "ollama",
        "lm-studio",
        "sk-no-key-required",
        "sk-1234",
        "token-abc123",
        "my-secret-key",
        "gsk_xxYyZz0123",
        "QUJDREVGRw==",
        "abc=",
        "AIzaSyA-1234_5678",
        "sk-or-v1-0123456789abcdef",
        "key.with.dots",
        "yourself",
        "bearer",
        "xx",
    ],
)
def test_a_key_that_may_be_right_is_let_through(key: str) -> None:
    assert key_complaint(key, "NAME") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Bearer Bearer sk-abcdefgh12345678", "has its scheme twice"),
        ('"Bearer sk-abcdefgh12345678"', "has quotes around the value"),
        ("Authorization: Bearer sk-abcdefgh", "begins with the name of the header"),
        ("Bearer ${KEY}", "variable that nobody filled in"),
        ("Bearer sk-...", "shortened for display"),
        ("Bearer sk-\u00e4", "no header can carry"),
        ("", "is empty"),
        ("Bearer sk-abcdefgh12345678", None),
        ("Basic dXNlcjpwYXNz", None),
        ("sk-abcdefgh12345678", None),
        ("session=abc; other=def", None),
    ],
)
def test_a_whole_header_has_its_scheme_once(value: str, words: str | None) -> None:
    complaint = header_complaint(value, "NAME")
    assert (complaint is None) if words is None else (words in (complaint or ""))
    settings = (
        "[routes.r]\nbase_url = 'https://h/v1'\nmodel = 'm'\n"
        "headers = { Authorization = 'env:NAME' }\n"
    )
    if words is not None:
        with pytest.raises(ConfigError, match="environment variable NAME"):
            parse_config(settings, Path("routes.toml"), {"NAME": value})
    else:
        assert parse_config(settings, Path("routes.toml"), {"NAME": value}).routes


def test_a_header_that_carries_no_key_may_be_in_quotes() -> None:
    settings = (
        "[routes.r]\nbase_url = 'https://h/v1'\nmodel = 'm'\nheaders = { x-tag = 'env:NAME' }\n"
    )
    assert parse_config(settings, Path("routes.toml"), {"NAME": '"tag"'}).routes


@pytest.mark.parametrize("printed", ['"sk-abcdefgh12345678"\n', "Bearer sk-abcdefgh\n", "sk-...\n"])
def test_what_a_command_prints_is_judged_too(printed: str) -> None:
    route = Route(name="r", base_url="https://h", model="m", api_key_cmd=("pass",))
    with pytest.raises(ConfigError) as told:
        resolve_headers(Config(routes=(route,)), {}, lambda _argv: printed)
    (problem,) = told.value.problems
    assert problem.startswith("command line: routes.r.api_key_cmd: gave what ")
    assert printed.strip() not in problem
