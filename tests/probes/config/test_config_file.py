"""routes.toml: read strictly, merged, every mistake told at once and none with a secret."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from probes.config import Budget, Config, Dialect, Display, Goals, Price, Recording, Route, Timeouts
from probes.config.errors import ConfigError
from probes.config.file import (
    load_config,
    locate_config,
    override_route,
    single_route_config,
)

DIALECTS = " or ".join(f'"{name}"' for name in (*get_args(Dialect), "auto"))
SECRET = "hunter2-very-secret-value"
MINIMAL = '[routes.one]\nbase_url = "https://h.example/v1"\nmodel = "m"\n'


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Config]:
    def load_text(text: str, **environ: str) -> Config:
        file = tmp_path / "routes.toml"
        file.write_text(text)
        file.chmod(0o600)
        return load_config(file, environ)

    return load_text


@pytest.fixture
def complaints(load: Callable[..., Config]) -> Callable[..., tuple[str, ...]]:
    def complaints_of(text: str, **environ: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        assert SECRET not in str(caught.value)
        assert SECRET not in repr(caught.value)
        return caught.value.problems

    return complaints_of


def test_ten_mistakes_are_reported_together(complaints) -> None:
    assert complaints(f"""
        [defaults]
        intervall = 3
        [routes.busy]
        base_url = "ftp://h.example/v1"
        model = 7
        interval = -3
        dialect = "morse"
        api_key_env = "NOT_SET"
        prompt = "a"
        prompt_tokens = 100
        headers = {{ Authorization = "Bearer {SECRET}" }}
        [routes.busy.goals]
        success = 99
        [routes.lost]
        [budgets]
        [display]
        refresh_hz = 100
    """) == (
        "routes.toml: budgets: unknown key, did you mean budget?",
        "routes.toml: defaults.intervall: unknown key, did you mean interval?",
        "routes.toml: routes.busy.base_url: got ftp://h.example/v1, "
        "expected a URL such as https://api.example.com/v1",
        "routes.toml: routes.busy.model: got 7, expected the model's name",
        "routes.toml: routes.busy.interval: got -3, expected a number of seconds from 0 to 86,400",
        f'routes.toml: routes.busy.dialect: got "morse", expected {DIALECTS}',
        "routes.toml: routes.busy.goals.success: got 99, expected a share from 0 to 1",
        "routes.toml: routes.busy.prompt_tokens: stands beside prompt, expected one of them",
        "routes.toml: routes.busy.api_key_env: environment variable NOT_SET is not set",
        "routes.toml: routes.busy.headers.Authorization: "
        'expected "env:NAME": a key never stands in the file',
        "routes.toml: routes.lost.base_url: is missing, "
        "expected a URL such as https://api.example.com/v1",
        "routes.toml: routes.lost.model: is missing, expected the model's name",
        "routes.toml: display.refresh_hz: got 100, expected a rate from 0.5 to 30 a second",
    )


def test_a_minimal_file_has_every_default_of_the_design(load) -> None:
    config = load(MINIMAL)
    assert config.routes == (
        Route(
            name="one",
            base_url="https://h.example/v1",
            model="m",
            dialect="chat",
            max_tokens=64,
            cap_field="auto",
            cache="warm",
            connection="reuse",
            concurrency=1,
            interval=5.0,
            timeouts=Timeouts(connect=10.0, first_token=60.0, stall=30.0, total=300.0),
            stall_after=1.0,
            retries=2,
            goals=Goals(ttft_s=1.0, e2e_s=None, success=0.99),
        ),
    )
    assert config.routes[0].e2e_goal_s == 3.0
    assert config.budget == Budget(tokens_per_hour=2_000_000, route_tokens_per_hour=500_000)
    assert config.recording == Recording(enabled=True, max_mb=256.0, max_days=7.0, text=False)
    assert config.display == Display(refresh_hz=10.0, window="1m")
    assert config.source.endswith("routes.toml")


def test_defaults_merge_key_by_key_into_goals_and_timeouts(load) -> None:
    config = load("""
        [defaults]
        base_url = "https://h.example/v1/"
        interval = 9
        tags = ["all"]
        goals = { ttft_s = 0.5, success = 0.9 }
        timeouts = { stall = 4 }
        [routes.one]
        model = "a"
        [routes.two]
        model = "b"
        interval = 0
        tags = ["own"]
        [routes.two.goals]
        ttft_s = 2
        [routes.two.price]
        input = 0.1
        output = 0.2
    """)
    one, two = config.routes
    assert (one.base_url, one.interval, one.tags) == ("https://h.example/v1", 9.0, ("all",))
    assert one.goals == Goals(ttft_s=0.5, success=0.9)
    assert (two.interval, two.tags) == (0.0, ("own",))
    assert two.goals == Goals(ttft_s=2.0, success=0.9)
    assert two.timeouts == Timeouts(stall=4.0)
    assert two.price == Price(input=0.1, output=0.2, cached_input=None)


def test_a_route_replaces_the_prompt_and_key_of_the_defaults(load, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("a long prompt")
    config = load(
        """
        [defaults]
        base_url = "https://h.example"
        model = "m"
        prompt = "from defaults"
        api_key_env = "KEY"
        [routes.plain]
        [routes.file]
        prompt_file = "long.txt"
        [routes.generated]
        prompt_tokens = 250
        [routes.command]
        api_key_cmd = ["pass", "show", "k"]
        """,
        KEY=SECRET,
    )
    plain, file, generated, command = config.routes
    assert plain.prompt == "from defaults"
    assert file.prompt == "a long prompt"
    assert len(generated.prompt) == 1000
    assert (command.api_key_env, command.api_key_cmd) == (None, ("pass", "show", "k"))
    assert SECRET not in repr(config)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("base_url = 'https://u:hunter2-very-secret-value@h'", "has a user or password in it"),
        ("base_url = 'http://h.example/v1?key=hunter2-very-secret-value#x'", "has a #fragment"),
        ("base_url = 'x://h/?key=hunter2-very-secret-value'", "got x://h/?key=***, expected"),
        ("base_url = 'hunter2-very-secret-value'", "expected a URL"),
        ("base_url = 'https://h.example/v1/chat/completions'", "leave it out"),
        ("base_url = 'https://h:99999'", "cannot be read as a URL"),
        ("base_url = 'https://h h'", "characters that no URL has"),
        ("base_url = 'http://h.example'\napi_key_env = 'KEY'", "over plain http"),
        ("base_url = 'http://127.0.0.1.h.example'\nheaders = {x-a = 'env:KEY'}", "over plain http"),
        ("api_key_env = 'hunter2-very-secret-value'", "variable (name not shown) is not set"),
        ("api_key_env = 'MULTILINE'", "characters that no header can carry"),
        ("api_key_env = 'KEY'\napi_key_cmd = ['x']", "stands beside api_key_env"),
        ("api_key_env = 'KEY'\nheaders = {API-Key = 'env:KEY'}", "beside a key in headers"),
        ("api_key_cmd = 'echo hunter2-very-secret-value'", "expected a command as a list"),
        ("api_key_cmd = []", "expected a command as a list"),
        ("api_key = 'hunter2-very-secret-value'", "unknown key, did you mean api_key_"),
        ("headers = {X-Api-Key = 'hunter2-very-secret-value'}", "a key never stands in the file"),
        ("headers = {'x y' = 'a'}", "is no header name"),
        ('headers = {x = "a\\r\\nEvil: hunter2-very-secret-value"}', "visible ASCII"),
        ("headers = {x-a = 'env:GONE'}", "environment variable GONE is not set"),
        ("headers = {X-A = 'a', x-a = 'b'}", "stands here twice"),
        ("headers = {Accept-Encoding = 'gzip'}", "is set by llmtop itself"),
        ("extra_body = {max_tokens = 9}", "use the route's max_tokens"),
        ("extra_body = {a = nan}", "that JSON can hold"),
        ("extra_body = {a = [1979-05-27]}", "that JSON can hold"),
        ("interval = inf", "got Infinity, expected a number of seconds from 0 to 86,400"),
        ("interval = true", "got true, expected"),
        ("concurrency = 2.0", "got 2.0, expected a whole number"),
        ("concurrency = 0", "got 0, expected a whole number from 1"),
        ("timeouts = 3", "got 3, expected a table"),
        ("timeouts = {total = 0}", "timeouts.total: got 0, expected a number of seconds above 0"),
        ("goals = {tokens_per_s = 0}", "got 0, expected a number of tokens per second above 0"),
        ("goals = {tokens_per_s = inf}", "expected a number of tokens per second above 0"),
        ("evidence = 'no'", 'evidence: got "no", expected true or false'),
        ("price = {input = 1}", "price.output: is missing"),
        ("prompt_file = 'gone.txt'", "gone.txt: No such file or directory"),
        ("prompt = ' '", "expected a text that is not empty"),
        ("cache = 'hot'", 'got "hot", expected "warm" or "bust"'),
    ],
)
def test_an_impossible_value_is_one_line(complaints, line: str, complaint: str) -> None:
    base = "" if "base_url" in line else "base_url = 'https://h.example'\n"
    text = f"[routes.r]\nmodel = 'm'\n{base}{line}\n"
    problems = complaints(text, KEY=SECRET, MULTILINE=f"{SECRET}\nx")
    assert len(problems) == 1
    assert problems[0].startswith("routes.toml: routes.r.")
    assert complaint in problems[0]


def test_probing_more_often_and_writing_speed_are_set_for_all_routes_or_for_one(load) -> None:
    one, two = load("""
        [defaults]
        base_url = "https://h.example/v1"
        model = "m"
        evidence = false
        goals = { tokens_per_s = 20 }
        [routes.one]
        [routes.two]
        evidence = true
        goals = { ttft_s = 2 }
    """).routes
    assert (one.evidence, one.goals) == (False, Goals(tokens_per_s=20.0))
    assert (two.evidence, two.goals) == (True, Goals(ttft_s=2.0, tokens_per_s=20.0))
    (usual,) = load(MINIMAL).routes
    assert (usual.evidence, usual.goals.tokens_per_s) == (True, None)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1", "[::1]:8000", "a.localhost"])
def test_a_key_may_go_over_plain_http_to_this_machine(load, host: str) -> None:
    route = f"[routes.r]\nbase_url = 'http://{host}/v1'\nmodel = 'm'\napi_key_env = 'KEY'\n"
    assert load(route, KEY=SECRET).routes[0].api_key_env == "KEY"


def test_a_key_goes_over_plain_http_where_insecure_says_so(load) -> None:
    route = "[routes.r]\nbase_url = 'http://lan/v1'\nmodel = 'm'\napi_key_env = 'KEY'\n"
    assert load(route + "insecure = true", KEY=SECRET).routes[0].insecure


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a = 1\nb = = 3", "routes.toml: line 2, column 5: Invalid value"),
        ("a = 1\nb = [1", "routes.toml: line 2, column 7: Unclosed array"),
    ],
)
def test_a_syntax_error_has_line_and_column(complaints, text: str, complaint: str) -> None:
    assert complaints(text) == (complaint,)


@pytest.mark.parametrize("text", ["# nothing yet", "[routes]", "routes = 3"])
def test_a_file_without_routes_is_a_mistake(complaints, text: str) -> None:
    assert complaints(text) == (
        "routes.toml: routes: no route, expected at least one table [routes.NAME]",
    )


def test_odd_keys_are_quoted_and_escaped(complaints) -> None:
    (problem,) = complaints(MINIMAL + '"a\\u001b[31m" = 1')
    assert problem == 'routes.toml: routes.one."a\\u001b[31m": unknown key'


def test_a_route_name_with_control_characters_is_refused(complaints) -> None:
    (problem,) = complaints('[routes."a\\u009b"]\nbase_url = "https://h"\nmodel = "m"')
    assert "is no name" in problem


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(MINIMAL)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"others can write it .mode 0{mode:o}."):
        load_config(file, {})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load_config(tmp_path / "gone.toml", {})


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_bytes(b"a = 1\nb = '\xff'\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"routes\.toml: line 2: is not UTF-8"):
        load_config(file, {})


def test_the_argument_wins_over_the_variable_and_that_over_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path))
    monkeypatch.chdir(tmp_path)
    named = {"LLMTOP_CONFIG": "/named.toml"}
    assert locate_config(Path("/argument.toml"), named) == Path("/argument.toml")
    assert locate_config(None, named) == Path("/named.toml")
    assert locate_config(None, {}) is None
    (tmp_path / "routes.toml").write_text(MINIMAL)
    assert locate_config(None, {}) == tmp_path / "routes.toml"


def test_none_is_read_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.toml").write_text(MINIMAL)
    assert locate_config(None, {}) is None


def test_one_route_needs_no_file() -> None:
    config = single_route_config("https://h.example/v1", "org/m", environ={})
    assert config == Config(
        routes=(Route(name="org/m", base_url="https://h.example/v1", model="org/m"),)
    )


def test_mistakes_of_the_command_line_name_the_option() -> None:
    with pytest.raises(ConfigError) as caught:
        single_route_config("gopher://h", "", environ={}, api_key_env="GONE")
    assert caught.value.problems == (
        "--base-url: got gopher://h, expected a URL such as https://api.example.com/v1",
        '--model: got "", expected the model\'s name',
        "--api-key-env: environment variable GONE is not set",
    )


def test_options_replace_values_of_a_route() -> None:
    route = single_route_config("https://h", "m", environ={}).routes[0]
    changed = override_route(route, {"max_tokens": 9, "timeouts": {"stall": 2.5}})
    assert changed.max_tokens == 9
    assert changed.timeouts == Timeouts(stall=2.5)
    with pytest.raises(ConfigError) as caught:
        override_route(route, {"retries": -1, "timeouts": {"first_token": 0.0}})
    assert caught.value.problems == (
        "--retries: got -1, expected a whole number from 0 to 10",
        "--first-token-timeout: got 0.0, expected a number of seconds above 0, at most a day",
    )


@pytest.mark.parametrize("key", ["concurrency", "interval", "max_tokens", "retries"])
def test_a_number_too_large_for_any_range_is_one_line(complaints, key: str) -> None:
    (problem,) = complaints(f"{MINIMAL}{key} = 1{'0' * 400}")
    assert problem.startswith(f"routes.toml: routes.one.{key}: got 1000")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("1" * 5_000, "routes.toml: a number in it has more digits than can be read"),
        ("[" * 20_000, "routes.toml: its tables or lists are nested too deep to be read"),
        ("{a=" * 20_000, "routes.toml: its tables or lists are nested too deep to be read"),
    ],
)
def test_what_the_reader_of_toml_gives_up_on_is_one_line(
    complaints, value: str, complaint: str
) -> None:
    assert complaints(f"{MINIMAL}tags = {value}") == (complaint,)


def test_keys_of_the_cockpit_are_read_as_lists(load) -> None:
    keys = MINIMAL + '[keys]\nmore = "plus"\nundo = ["u", "ctrl+u"]\npanic = ""\nmark = []\n'
    assert load(keys).keys == {
        "more": ("plus",),
        "undo": ("u", "ctrl+u"),
        "panic": (),
        "mark": (),
    }


def test_what_is_no_key_is_one_line_each(complaints) -> None:
    expected = 'expected a key such as "plus", a list of them, or "" for none'
    assert complaints(MINIMAL + '[keys]\nmore = 5\nundo = ["u", 1]\nmark = {}\n') == (
        f"routes.toml: keys.more: got 5, {expected}",
        f"routes.toml: keys.undo: got a list, {expected}",
        f"routes.toml: keys.mark: got a table, {expected}",
    )
    assert complaints(f'keys = "vim"\n{MINIMAL}') == (
        'routes.toml: keys: got "vim", expected a table',
    )


OPEN = MINIMAL + 'pace = "poisson"\n'


def test_an_open_pace_has_a_rate(load: Callable[..., Config]) -> None:
    (route,) = load(OPEN + "rate = 2.5\n").routes
    assert (route.pace, route.rate, route.is_open) == ("poisson", 2.5, True)
    (route,) = load(MINIMAL).routes
    assert (route.pace, route.rate, route.is_open) == ("interval", None, False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (OPEN, 'routes.one.rate: is missing, expected with pace = "poisson"'),
        (
            MINIMAL + "rate = 2\n",
            'routes.one.rate: stands beside pace = "interval", expected "constant" or "poisson"',
        ),
        (
            OPEN + "rate = 0\n",
            "routes.one.rate: got 0, expected a number of probes a second from 0.001 to 1,000",
        ),
        (
            MINIMAL + 'pace = "random"\n',
            'routes.one.pace: got "random", expected "interval" or "constant" or "poisson"',
        ),
    ],
)
def test_a_rate_without_its_pace_and_a_pace_without_its_rate_are_refused(
    complaints: Callable[..., tuple[str, ...]], text: str, complaint: str
) -> None:
    assert complaints(text) == (f"routes.toml: {complaint}",)


def test_a_route_that_goes_back_to_an_interval_leaves_the_rate_of_the_defaults(
    load: Callable[..., Config],
) -> None:
    defaults = '[defaults]\npace = "constant"\nrate = 3\n'
    (route,) = load(defaults + MINIMAL).routes
    assert (route.pace, route.rate) == ("constant", 3.0)
    (route,) = load(defaults + MINIMAL + 'pace = "interval"\n').routes
    assert (route.pace, route.rate) == ("interval", None)
