"""`llmtop init`: the file it writes loads, holds no key, and says what is built in."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probes.answers.right_answer import Expectation
from probes.config import Price
from probes.config.file import load_config, parse_config
from probes.discovery.loopback import LocalServer
from tui.cli import main
from tui.commands.init import PROVIDERS, config_text, found_prices, write_config

KEYS = {provider.variable: f"secret-of-{provider.name}" for provider in PROVIDERS}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the real settings and keys, and from this machine's servers."""
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    for variable in (*KEYS, "LLMTOP_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("tui.commands.init.found_servers", tuple)
    monkeypatch.setattr("tui.commands.init.found_prices", lambda _environ: {})


def test_what_init_comments_out_is_what_is_built_in() -> None:
    text = config_text({})
    lines = text.split("[routes.local]")[0]
    as_set = re.sub(r"^# (\w+ = )", r"\1", lines, flags=re.MULTILINE)
    assert len(re.findall(r"^\w+ = ", as_set, re.MULTILINE)) == 14
    path = Path("routes.toml")
    built_in = parse_config(text, path, {})
    uncommented = parse_config(text.replace(lines, as_set), path, {})
    (route,), (set_route,) = built_in.routes, uncommented.routes
    assert set_route.goals.e2e_s == route.e2e_goal_s
    assert uncommented.budget.usd_per_hour == 1.0  # an example: nothing is built in
    goals = replace(set_route.goals, e2e_s=None)
    assert replace(set_route, goals=goals) == route
    assert replace(uncommented.budget, usd_per_hour=None) == built_in.budget


def test_init_offers_a_canary_that_can_be_uncommented() -> None:
    text = config_text({}).replace("#   prompt =", "prompt =").replace("#   expect =", "expect =")
    (route,) = parse_config(text, Path("routes.toml"), {}).routes
    assert route.expect.contains == ("harbour",)
    assert route.prompt.endswith("the one word: harbour")
    assert Expectation(route.expect).judge(" Harbour.\n").finding == "right"


@pytest.mark.parametrize("found", [(), ("OPENAI_API_KEY",), tuple(KEYS)])
def test_what_init_writes_loads_and_holds_no_key(tmp_path: Path, found: tuple[str, ...]) -> None:
    environ = {variable: KEYS[variable] for variable in found}
    text = config_text(environ)
    assert "secret-of" not in text
    file = tmp_path / "new" / "routes.toml"
    write_config(file, text)
    assert file.stat().st_mode & 0o777 == 0o600
    routes = load_config(file, environ).routes
    assert tuple(route.api_key_env for route in routes) == (found or (None,))


def test_init_names_the_dialect_where_it_is_not_the_usual_one(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    write_config(file, config_text(KEYS))
    told = {route.name: route.dialect for route in load_config(file, KEYS).routes}
    assert told.pop("anthropic") == "messages"
    assert set(told.values()) == {"chat"}


def test_init_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["init"]) == 0
    file = tmp_path / "config" / "routes.toml"
    assert str(file) in capsys.readouterr().out
    file.write_text("mine")
    monkeypatch.setattr("tui.commands.init.found_servers", lambda: pytest.fail("it was asked"))
    assert main(["init"]) == 2
    assert "is there already and is never overwritten" in capsys.readouterr().err
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs limits of POSIX")
def test_init_leaves_nothing_where_the_disk_takes_nothing(tmp_path: Path) -> None:
    import resource

    file = tmp_path / "routes.toml"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_config(file, "text")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not file.exists()


def test_init_prints_where_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEYS["GROQ_API_KEY"])
    assert main(["init", "--stdout"]) == 0
    told = capsys.readouterr().out
    assert "[routes.groq]" in told
    assert "[routes.openai]" not in told
    assert not (tmp_path / "config").exists()


OLLAMA = LocalServer(
    "Ollama", 11434, "http://127.0.0.1:11434", "ollama", ("embed-it", 'say "hi" \\o/ #', "日本")
)
VLLMS = tuple(
    LocalServer("vLLM", port, f"http://127.0.0.1:{port}/v1", "chat", ("m",))
    for port in (8000, 8080)
)
EMPTY = LocalServer("LM Studio", 1234, "http://127.0.0.1:1234/v1", "chat", ())


def test_init_writes_a_route_for_each_server_that_has_a_model() -> None:
    text = config_text({}, (OLLAMA, *VLLMS, EMPTY))
    routes = parse_config(text, Path("routes.toml"), {}).routes
    assert [(route.name, route.base_url, route.model, route.dialect) for route in routes] == [
        ("ollama", "http://127.0.0.1:11434", 'say "hi" \\o/ #', "ollama"),
        ("vllm-8000", "http://127.0.0.1:8000/v1", "m", "chat"),
        ("vllm-8080", "http://127.0.0.1:8080/v1", "m", "chat"),
    ]
    assert all(route.api_key_env is None for route in routes)
    both = config_text(KEYS, (OLLAMA,))
    names = [route.name for route in parse_config(both, Path("routes.toml"), KEYS).routes]
    assert names == ["ollama", *(provider.name for provider in PROVIDERS)]
    assert config_text({}, (EMPTY,)) == config_text({})


def test_init_writes_what_a_provider_s_list_says_of_its_price(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    price = Price(input=0.02, output=0.05)
    monkeypatch.setenv("DEEPINFRA_API_KEY", KEYS["DEEPINFRA_API_KEY"])
    monkeypatch.setenv("GROQ_API_KEY", KEYS["GROQ_API_KEY"])
    monkeypatch.setattr("tui.commands.init.found_prices", lambda _environ: {"deepinfra": price})
    assert main(["init", "--stdout"]) == 0
    deepinfra, groq = capsys.readouterr().out.split("[routes.deepinfra]")[1].split("[routes.groq]")
    assert "list says: 0.02 USD in, 0.05 USD out, per million tokens" in deepinfra
    assert "# price = { input = 0.02, output = 0.05 }\n" in deepinfra
    assert "list says" not in groq
    uncommented = config_text(KEYS, (), {"deepinfra": price}).replace("# price = ", "price = ")
    routes = parse_config(uncommented, Path("routes.toml"), KEYS).routes
    assert next(route for route in routes if route.name == "deepinfra").price == price


def test_init_asks_no_list_without_a_provider_that_tells_prices_to_anybody() -> None:
    public = [provider.name for provider in PROVIDERS if provider.tells_prices]
    assert public == ["deepinfra", "openrouter"]
    assert found_prices({"GROQ_API_KEY": KEYS["GROQ_API_KEY"]}) == {}


@given(
    names=st.lists(
        st.text(min_size=1, max_size=30).filter(lambda name: name.strip() and name.isprintable()),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_a_server_calls_its_models_the_file_loads(names: list[str]) -> None:
    server = LocalServer("SGLang", 30000, "http://[::1]:30000/v1", "chat", tuple(names))
    (route,) = parse_config(config_text({}, (server,)), Path("routes.toml"), {}).routes
    assert (route.model, route.base_url) == (server.model, "http://[::1]:30000/v1")


def test_init_tells_what_it_found_and_asks_nobody_where_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    many = LocalServer("vLLM", 8000, "http://127.0.0.1:8000/v1", "chat", tuple("abcdefg"))
    monkeypatch.setattr("tui.commands.init.found_servers", lambda: (many, EMPTY))
    assert main(["init"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "found vLLM at http://127.0.0.1:8000/v1: a, b, c, d, e and 2 more"
    assert lines[1] == "found LM Studio at http://127.0.0.1:1234/v1: it has no model yet"
    assert lines[2].endswith("with routes for vLLM")
    monkeypatch.setattr("tui.commands.init.found_servers", lambda: pytest.fail("it was asked"))
    assert main(["init", "--stdout", "--no-scan"]) == 0
    assert "[routes.local]" in capsys.readouterr().out


def test_init_offers_a_long_profile_of_each_route_that_can_be_uncommented() -> None:
    text = config_text(KEYS)
    as_set = re.sub(
        r"^# (\[routes\.\S+-long\]\n)((?:# .*\n)+?# interval = \d+\n)",
        lambda found: found[1] + re.sub(r"^# ", "", found[2], flags=re.MULTILINE),
        text,
        flags=re.MULTILINE,
    )
    routes = {route.name: route for route in parse_config(as_set, Path("routes.toml"), KEYS).routes}
    assert len(routes) == 2 * len(PROVIDERS)
    for provider in PROVIDERS:
        short, long = routes[provider.name], routes[f"{provider.name}-long"]
        assert (long.model, long.base_url, long.dialect) == (
            short.model,
            short.base_url,
            short.dialect,
        )
        assert long.api_key_env == provider.variable
        assert (short.workload, long.workload) == (None, "long")
        an_hour = 3_600 / long.interval * (long.input_tokens + long.max_tokens)
        assert an_hour == pytest.approx(250_000, rel=0.05)
