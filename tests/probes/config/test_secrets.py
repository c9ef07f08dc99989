"""Keys reach the headers and nothing else."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from urllib.parse import quote

import pytest

from probes.config import Config, Route
from probes.config.errors import ConfigError
from probes.config.key_command import run_key_command
from probes.config.scrubbing import Scrubber
from probes.config.secrets import query_secrets, resolve_headers, secret_values
from probes.config.urls import mask_url

KEY = "sk-live/abc+DEF=0123456789"


def config_of(**values: object) -> Config:
    return Config(routes=(Route(name="r", base_url="https://h", model="m", **values),))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_key_becomes_a_bearer_token_and_env_headers_are_filled_in() -> None:
    config = config_of(api_key_env="KEY", headers={"X-Team": "search", "X-Gate": "env:GATE"})
    assert resolve_headers(config, {"KEY": f" {KEY}\n", "GATE": "gate-pass"}) == {
        "r": {"X-Team": "search", "X-Gate": "gate-pass", "Authorization": f"Bearer {KEY}"}
    }


def test_a_command_is_run_once_for_all_its_routes() -> None:
    calls: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> str:
        calls.append(argv)
        return f"{KEY}\n"

    route = config_of(api_key_cmd=("pass", "show", "k")).routes[0]
    other = config_of(api_key_cmd=("pass", "show", "k")).routes[0]
    config = Config(routes=(route, Route(**{**as_values(other), "name": "s"})))
    headers = resolve_headers(config, {}, run)
    assert headers["r"] == headers["s"] == {"Authorization": f"Bearer {KEY}"}
    assert calls == [("pass", "show", "k")]


def as_values(route: Route) -> dict[str, object]:
    return {name: getattr(route, name) for name in route.__struct_fields__}


def test_a_failed_command_is_told_without_its_arguments() -> None:
    def run(_: Sequence[str]) -> str:
        raise ValueError("did not end within 10 s")

    with pytest.raises(ConfigError) as caught:
        resolve_headers(config_of(api_key_cmd=("echo", KEY)), {}, run)
    assert caught.value.problems == ("command line: routes.r.api_key_cmd: did not end within 10 s",)


@pytest.mark.parametrize("printed", ["", " \n", "two\nlines", "bell\a", "k\u00e9y"])
def test_what_no_header_can_carry_is_refused_unseen(printed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_headers(config_of(api_key_cmd=("x",)), {}, lambda _: printed)
    assert "gave" in str(caught.value)
    assert not printed.strip() or printed not in str(caught.value)


def test_a_command_that_prints_more_than_its_key_is_told_so() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_headers(config_of(api_key_cmd=("x",)), {}, lambda _: f"{KEY}\nlogin: me\n")
    assert caught.value.problems == (
        "command line: routes.r.api_key_cmd: gave 2 lines, expected the key alone",
    )


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_ctrl_c_ends_a_command_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen.__init__

    def interrupted(process: subprocess.Popen[bytes], *arguments: object, **named: object) -> None:
        begin(process, *arguments, **named)
        started.append(process)
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    monkeypatch.setattr(subprocess.Popen, "__init__", interrupted)
    threads = set(threading.enumerate())
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_key_command(python("import time; time.sleep(60)"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert started[0].returncode == -signal.SIGKILL
    assert set(threading.enumerate()) <= threads


def test_a_command_gets_no_shell_and_no_stdin() -> None:
    code = "import sys; print(sys.argv[1] + repr(sys.stdin.read()))"
    assert run_key_command([*python(code), "$HOME;"]) == "$HOME;''\n"


def test_a_command_that_hangs_is_killed_with_its_children() -> None:
    # Real time: the limit is enforced on a real process, whose child holds the pipe.
    code = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    )
    with pytest.raises(ValueError, match=r"did not end within 0\.3 s"):
        run_key_command(python(code), seconds=0.3)


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("print('x' * 5000)", "printed more than 4,096 bytes"),
        ("while True: print('x' * 5000)", "printed more than 4,096 bytes"),
        (f"print('{KEY}'); raise SystemExit(3)", "ended with status 3"),
    ],
)
def test_a_command_that_misbehaves_is_refused(code: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        run_key_command(python(code))
    assert KEY not in str(caught.value)


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="cannot be started: No such file"):
        run_key_command(["/nonexistent/key-helper"])


def test_every_header_that_may_hold_a_key_counts_as_secret() -> None:
    headers = {
        "a": {"Authorization": f"Bearer {KEY}", "X-Title": "my monitor"},
        "b": {"X-Gate": "gate-pass-1", "anthropic-version": "2023-06-01"},
    }
    assert secret_values(headers) == {KEY, "gate-pass-1"}


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
        KEY.replace("/", "\\/"),
    ],
)
def test_every_form_of_a_secret_is_scrubbed(form: str) -> None:
    scrubber = Scrubber(frozenset({KEY}))
    assert scrubber.scrub(f"bad key {form}, twice {form}") == "bad key [secret], twice [secret]"


def test_a_secret_that_json_escapes_is_scrubbed() -> None:
    secret = 'quote"back\\slash'
    scrubber = Scrubber(frozenset({secret}))
    assert scrubber.scrub(json.dumps({"error": secret})) == '{"error": "[secret]"}'


def test_a_secret_within_another_leaves_no_remainder() -> None:
    scrubber = Scrubber(frozenset({"abcdefgh", "abcdefgh-and-more"}))
    assert scrubber.scrub("key=abcdefgh-and-more") == "key=[secret]"


def test_other_text_and_short_secrets_are_left_alone() -> None:
    assert Scrubber(frozenset({"short", KEY})).scrub("a short answer") == "a short answer"
    assert Scrubber(frozenset()).scrub("plain") == "plain"


def test_a_scrubber_does_not_show_what_it_hides() -> None:
    assert KEY not in repr(Scrubber(frozenset({KEY})))


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://h/v1", "https://h/v1"),
        ("https://user:pass@h:8/v1#frag", "https://***@h:8/v1"),
        ("https://h/v1?api-version=1&key=abc&bare", "https://h/v1?api-version=***&key=***&***"),
        ("https://[oops", "[unreadable URL]"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize(
    ("text", "held"),
    [("no", 0), ("the key is sk-ab", 5), ("s", 1), ("", 0), ("sk-abx", 0)],
)
def test_the_beginning_of_a_secret_is_held_back(text: str, held: int) -> None:
    scrubber = Scrubber(frozenset({"sk-abcdefgh"}))
    assert scrubber.split(text) == (text[: len(text) - held], text[len(text) - held :])


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("Bearer sk-abcdefgh", "sk-abcdefgh"),
        ("bearer Bearer sk-abcdefgh", "sk-abcdefgh"),
        ("Basic dTpwYXNzd29ydA==", "dTpwYXNzd29ydA=="),
        ("a pass phrase of four words", "a pass phrase of four words"),
    ],
)
def test_all_of_a_header_is_secret_but_its_scheme(value: str, secret: str) -> None:
    assert secret_values({"a": {"X-Gate": value}}) == {secret}


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        ("", set()),
        ("?key=AIzaSy-gate-pass", {"AIzaSy-gate-pass"}),
        ("?api-version=2024-10-21&Code=a%2Fb%3D", {"a%2Fb%3D", "a/b="}),
        ("?bare-token-1", {"bare-token-1"}),
        ("?key=#fragment", set()),
    ],
)
def test_values_of_a_query_are_secret_but_for_public_names(query: str, secrets: set[str]) -> None:
    route = Route(name="r", base_url=f"https://h/v1{query}", model="m")
    assert query_secrets([route]) == secrets
