"""Settings written back: comments and order stay, nothing else changes, and never half a file."""

import os
import stat
import sys
from pathlib import Path

import pytest

from probes.config.file import load_config
from probes.config.saving import Change, SaveError, SettingsFile

TEXT = """\
# what on-call watches
[defaults]
interval = 5  # five

# the first one
[routes.alpha]
base_url = "https://h.example/v1"   # here
model = "m"
concurrency = 3  # why three

# the second
[routes.beta]
model = 'm'
base_url = "https://h.example/v1"

# its goals
[routes.beta.goals]
ttft_s = 0.8

[display]
theme = "llmtop" # dark

# out of order
[routes."with space"]
base_url = "https://h.example/v1"
model = "m"
# last of it
"""
HEAD = '[routes.a]\nbase_url="https://h"\nmodel="m"\n'
WISHES = {
    "alpha": {"concurrency": 6.0, "interval": 5.0, "max_tokens": 64.0},
    "beta": {"concurrency": 1.0, "interval": 2.5, "max_tokens": 128.0},
    "with space": {"concurrency": 2.0, "interval": 5.0, "max_tokens": 64.0},
}


def settings(tmp_path: Path, text: str = TEXT, mode: int = 0o600) -> Path:
    file = tmp_path / "routes.toml"
    file.write_bytes(text.encode())
    file.chmod(mode)
    return file


def opened(file: Path) -> SettingsFile:
    return SettingsFile(load_config(file, {}), {})


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def saved(file: Path, routes: dict[str, dict[str, float]], **display: str) -> tuple[Change, ...]:
    there = opened(file)
    changes = there.propose(routes, display)
    there.write(changes)
    return changes


def test_what_would_change_is_said(tmp_path: Path) -> None:
    changes = opened(settings(tmp_path)).propose(WISHES, {"theme": "llmtop-light", "window": "1m"})
    assert [change.words for change in changes] == [
        "routes.alpha: concurrency 3 → 6",
        "routes.beta: interval 5.0 → 2.5, in its own table",
        "routes.beta: max_tokens 64 → 128, in its own table",
        'routes."with space": concurrency 1 → 2, in its own table',
        'display: theme "llmtop" → "llmtop-light"',
    ]


def test_comments_and_order_stay(tmp_path: Path) -> None:
    file = settings(tmp_path)
    saved(file, WISHES, theme="llmtop-light", window="15m")
    expected = (
        TEXT.replace("concurrency = 3  # why", "concurrency = 6  # why")
        .replace(
            '"https://h.example/v1"\n\n# its',
            '"https://h.example/v1"\ninterval = 2.5\nmax_tokens = 128\n\n# its',
        )
        .replace('"llmtop" # dark', '"llmtop-light" # dark\nwindow = "15m"')
        .replace('model = "m"\n# last', 'model = "m"\nconcurrency = 2\n# last')
    )
    assert file.read_text() == expected


def test_what_was_written_is_read_as_it_was_wanted_and_nothing_more_changes(tmp_path: Path) -> None:
    file = settings(tmp_path)
    before = {route.name: route for route in load_config(file, {}).routes}
    saved(file, WISHES)
    there = opened(file)
    assert there.propose(WISHES, {}) == ()
    for route in load_config(file, {}).routes:
        for key, value in WISHES[route.name].items():
            assert getattr(route, key) == value
        assert route.goals == before[route.name].goals
        assert route.base_url == before[route.name].base_url


def test_it_can_be_saved_again_and_again(tmp_path: Path) -> None:
    file = settings(tmp_path)
    there = opened(file)
    for value in (7.0, 8.0, 3.0):
        changes = there.propose({"alpha": {"concurrency": value}}, {})
        there.write(changes)
    assert file.read_text() == TEXT


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[routes]\na = {base_url="https://h", model="m"}\n', "concurrency = 6"),
        ('routes.a.base_url = "https://h"\nroutes.a.model = "m"\n', "routes.a.concurrency = 6"),
        (
            f"{HEAD.replace('routes.a', 'defaults')}[routes.a.goals]\nttft_s = 1\n",
            "concurrency = 6",
        ),
        (HEAD.rstrip("\n"), "\nconcurrency = 6"),
        (HEAD.replace("\n", "\r\n") + "\r\n# x\r\n", "\r\nconcurrency = 6\r\n"),
        (f"\ufeff{HEAD}", "\nconcurrency = 6\n"),
        (HEAD.replace("\n", "\n  "), "\n  concurrency = 6\n"),
    ],
    ids=["inline", "dotted", "only goals", "no last newline", "CRLF", "with a mark", "indented"],
)
def test_however_a_file_is_written_it_is_changed_in_place(
    tmp_path: Path, text: str, line: str
) -> None:
    file = settings(tmp_path, text)
    saved(file, {"a": {"concurrency": 6.0}})
    assert load_config(file, {}).routes[0].concurrency == 6
    made = file.read_bytes().decode()
    assert line in made
    assert made.startswith("\ufeff") == text.startswith("\ufeff")
    assert [word for word in text.replace("}", " ").split() if word not in made] == []


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = settings(tmp_path)
    there = opened(file)
    changes = there.propose(WISHES, {})
    other = TEXT.replace("why three", "because")
    file.write_text(other)
    for attempt in (lambda: there.write(changes), lambda: there.propose(WISHES, {})):
        with pytest.raises(SaveError, match=r"^routes\.toml: has changed on disk since"):
            attempt()
    assert file.read_text() == other
    assert names(tmp_path) == ["routes.toml"]


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    file = settings(tmp_path)
    there = opened(file)
    file.unlink()
    with pytest.raises(SaveError, match="is no file"):
        there.propose(WISHES, {})


@pytest.mark.skipif(sys.platform == "win32", reason="has no such modes and links")
def test_a_link_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    folder = tmp_path / "dotfiles"
    folder.mkdir()
    target = settings(folder, mode=0o640)
    link = tmp_path / "routes.toml"
    link.symlink_to(target)
    saved(link, WISHES)
    assert link.is_symlink()
    assert load_config(target, {}).routes[0].concurrency == 6
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert names(folder) == ["routes.toml"]


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden to root"
)
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = settings(tmp_path)
    there = opened(file)
    changes = there.propose(WISHES, {})
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SaveError, match="cannot be written: Permission denied"):
            there.write(changes)
    finally:
        tmp_path.chmod(0o700)
    assert file.read_text() == TEXT


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings(tmp_path)
    there = opened(file)
    changes = there.propose(WISHES, {})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match="cannot be written: No space left on device"):
        there.write(changes)
    assert file.read_text() == TEXT
    assert names(tmp_path) == ["routes.toml"]


def test_what_does_not_come_back_as_it_was_wanted_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings(tmp_path)
    there = opened(file)
    changes = there.propose({"alpha": {"concurrency": 6.0}}, {})
    broken = TEXT.replace("concurrency = 3", "concurrency = 6").replace("0.8", "0.9")
    monkeypatch.setattr("probes.config.saving._candidates", lambda *_: iter((broken, "[")))
    with pytest.raises(SaveError, match=r"by hand: routes\.alpha: concurrency 3 → 6$"):
        there.write(changes)
    assert file.read_text() == TEXT


def test_a_turned_rate_is_written_where_it_stands(tmp_path: Path) -> None:
    file = settings(tmp_path, HEAD + 'pace = "poisson"\nrate = 2 # two\n')
    saving = opened(file)
    changes = saving.propose({"a": {"rate": 3.0, "interval": 5.0}}, {})
    assert [change.words for change in changes] == ["routes.a: rate 2.0 → 3.0"]
    saving.write(changes)
    assert file.read_text() == HEAD + 'pace = "poisson"\nrate = 3 # two\n'


def test_a_concurrency_that_finds_itself_is_saved_as_auto_and_back(tmp_path: Path) -> None:
    path = settings(tmp_path)
    there = opened(path)
    (change,) = there.propose({"alpha": {"concurrency": "auto"}}, {})
    assert change.words.endswith('→ "auto"') or '→ "auto",' in change.words
    there.write((change,))
    assert 'concurrency = "auto"' in path.read_text()
    assert opened(path).propose({"alpha": {"concurrency": "auto"}}, {}) == ()
    (back,) = opened(path).propose({"alpha": {"concurrency": 6.0}}, {})
    opened(path).write((back,))
    assert "concurrency = 6" in path.read_text()
