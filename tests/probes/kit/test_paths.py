"""From settings to paths, and the folders of llmtop, in whatever home there is."""

import pwd
from pathlib import Path

import pytest

from probes.config.file import ConfigError, default_config_path, locate_config, parse_config
from probes.kit.paths import (
    NOWHERE,
    PathError,
    config_folder,
    home_folder,
    path_of,
    state_complaint,
    state_folder,
)
from probes.money.ledger import default_ledger_path
from probes.store.recording import default_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and no variable that leads elsewhere."""
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "LLMTOP_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user: no HOME, and no entry in the system's list of users."""

    def unknown(_user: object) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("~", "HOME"),
        ("~/a/b", "HOME/a/b"),
        ("~root", "ROOT"),
        ("~root/x", "ROOT/x"),
        ("a~/b", "a~/b"),
        ("./~/b", "~/b"),
        ("/a/~", "/a/~"),
        ("rel", "rel"),
    ],
)
def test_a_tilde_is_a_home_folder_and_only_where_it_comes_first(
    home: Path, text: str, found: str
) -> None:
    root = pwd.getpwnam("root").pw_dir
    assert str(path_of(text)) == found.replace("HOME", str(home)).replace("ROOT", root)


def test_a_relative_path_of_a_file_begins_at_its_folder(home: Path) -> None:
    assert path_of("ca.pem", Path("/etc/llmtop")) == Path("/etc/llmtop/ca.pem")
    assert path_of("~/ca.pem", Path("/etc/llmtop")) == home / "ca.pem"
    assert path_of("/ca.pem", Path("/etc/llmtop")) == Path("/ca.pem")


@pytest.mark.parametrize("value", ["", "relative", None])
def test_a_home_that_is_no_absolute_path_is_not_believed(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    entry = pwd.getpwnam("root")
    fields = list(entry)
    fields[5] = str(home)
    monkeypatch.setattr("pwd.getpwuid", lambda _user: pwd.struct_passwd(fields))
    if value is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", value)
    assert home_folder() == path_of("~") == home
    for folder in (state_folder(), config_folder()):
        assert folder.is_absolute()
        assert value is None or folder.is_relative_to(home)


@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("value", ["relative", "", "~/state"])
def test_a_variable_that_is_no_absolute_path_is_ignored(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    usual = (state_folder(), config_folder())
    monkeypatch.setenv(variable, value)
    assert (state_folder(), config_folder()) == usual


@pytest.mark.usefixtures("nobody")
def test_without_a_home_it_is_said_and_nothing_is_put_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("~/x", "~somebody/x"):
        with pytest.raises(PathError):
            path_of(text)
    assert state_folder() == NOWHERE
    assert "no home folder is known: HOME is not set" in (state_complaint() or "")
    for path in (default_folder(), default_ledger_path().parent):
        with pytest.raises(NotADirectoryError):
            path.mkdir(parents=True)
    assert locate_config(None, {}) is None
    with pytest.raises(ConfigError, match="no home folder is known: HOME is not set; name them"):
        default_config_path()
    with pytest.raises(ConfigError, match="LLMTOP_CONFIG: no home folder is known"):
        locate_config(None, {"LLMTOP_CONFIG": "~/routes.toml"})
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_not_there_is_not_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home / "none"))
    assert state_folder() == NOWHERE
    assert f"the home folder {home / 'none'} is not there" in (state_complaint() or "")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert state_complaint() is None
    assert state_folder() == home / "state" / "llmtop"


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("prompt_file", 'prompt_file = "~/p"'),
        ("unix_socket", 'unix_socket = "~/s"'),
        ("tls.ca_file", 'tls = { ca_file = "~/ca.pem" }'),
        ("tls.client_cert", 'tls = { client_cert = "~/c.pem" }'),
    ],
)
def test_every_path_of_the_settings_knows_the_tilde(key: str, text: str) -> None:
    settings = f"[routes.r]\nbase_url = 'https://h/v1'\nmodel = 'm'\n{text}\n"
    with pytest.raises(ConfigError) as told:
        parse_config(settings, Path("/etc/routes.toml"), {})
    assert told.value.problems == (
        f"routes.toml: routes.r.{key}: no home folder is known: HOME is not set",
    )


def test_a_current_folder_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(PathError, match="the current folder is gone"):
        path_of("ca.pem", Path())
