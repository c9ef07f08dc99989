"""Whose word a file is: each step of the way to it is judged, and the fault is named."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from far_side import authority_file

from probes.config.errors import ConfigError
from probes.config.file import load_config, parse_config
from probes.kit import trust
from probes.kit.trust import (
    UntrustedError,
    judge_executable,
    judge_open,
    read_trusted,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs owners and modes")

MINIMAL = '[routes.one]\nbase_url = "https://h.example/v1"\nmodel = "m"\n'
SOMEBODY = 12_345
as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that can be believed, two folders down."""
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    for part in (folder, folder.parent):
        part.chmod(0o755)
    made = folder / "routes.toml"
    made.write_text(MINIMAL)
    made.chmod(0o600)
    return made


def complaint(path: Path) -> str:
    with pytest.raises(UntrustedError) as caught:
        read_trusted(path, 10_000)
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644, 0o755])
def test_what_only_its_owner_can_write_is_believed(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_trusted(file, 10_000) == MINIMAL.encode()
    judge_executable(file)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_can_write_is_not(file: Path, mode: int) -> None:
    file.chmod(mode)
    told = complaint(file)
    assert told == f"others can write it (mode {mode:04o}); run: chmod go-w {file}"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("depth", [0, 1])
def test_nor_one_in_a_folder_that_others_can_write(file: Path, mode: int, depth: int) -> None:
    folder = file.parents[depth]
    folder.chmod(mode)
    told = complaint(file)
    assert f"others can write the folder {folder} (mode {mode:04o})" in told
    assert told.endswith(f"run: chmod go-w {folder}")


def test_the_sticky_bit_leaves_entries_to_their_owners(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert read_trusted(file, 10_000)


@as_root
def test_an_entry_of_somebody_else_in_a_sticky_folder_is_theirs(file: Path) -> None:
    outer = file.parents[1]
    outer.chmod(0o1777)
    os.chown(file.parent, SOMEBODY, -1)
    assert f"{file.parent} belongs to user {SOMEBODY}" in complaint(file)


@as_root
def test_a_file_of_somebody_else_is_theirs(file: Path) -> None:
    os.chown(file, SOMEBODY, -1)
    told = complaint(file)
    assert told.startswith(f"it belongs to user {SOMEBODY}, expected you or root; run: chown ")
    assert told.endswith(str(file))


@as_root
def test_so_is_one_in_a_folder_of_somebody_else(file: Path) -> None:
    os.chown(file.parents[1], SOMEBODY, -1)
    assert f"the folder {file.parents[1]} belongs to user {SOMEBODY}" in complaint(file)


def linked_file(file: Path, base: Path) -> Path:
    link = base / "link.toml"
    link.symlink_to(file)
    return link


def linked_folder(file: Path, base: Path) -> Path:
    link = base / "folder"
    link.symlink_to(file.parent)
    return link / file.name


def link_to_a_link(file: Path, base: Path) -> Path:
    middle = base / "middle"
    middle.symlink_to(os.path.relpath(file.parent, base))
    last = base / "last"
    last.symlink_to("middle/../inner/routes.toml")
    return last


@pytest.mark.parametrize("make", [linked_file, linked_folder, link_to_a_link])
def test_links_are_followed_and_judged_at_every_step(
    file: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    base = tmp_path / "links"
    base.mkdir()
    base.chmod(0o755)
    path = make(file, base)
    assert read_trusted(path, 10_000) == MINIMAL.encode()
    base.chmod(0o777)
    assert f"the folder {base}" in complaint(path)
    base.chmod(0o755)
    file.parent.chmod(0o777)
    assert f"the folder {file.parent}" in complaint(path)


@as_root
def test_a_link_of_somebody_else_in_a_sticky_folder_is_not_followed(
    file: Path, tmp_path: Path
) -> None:
    base = tmp_path / "shared"
    base.mkdir()
    base.chmod(0o1777)
    link = linked_file(file, base)
    os.lchown(link, SOMEBODY, -1)
    assert f"{link} belongs to user {SOMEBODY}" in complaint(link)


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UntrustedError, match="40 symbolic links"):
        judge_executable(tmp_path / "a")


def test_a_file_that_was_replaced_meanwhile_is_not_believed(file: Path) -> None:
    opened = os.open(file, os.O_RDONLY)
    try:
        file.unlink()
        file.write_text("other")
        with pytest.raises(UntrustedError, match="replaced while it was opened"):
            judge_open(opened, file)
    finally:
        os.close(opened)


def test_a_pipe_that_we_were_given_is_believed(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, MINIMAL.encode())
    os.close(write_end)
    try:
        (route,) = load_config(Path(f"/dev/fd/{read_end}"), {}).routes
        assert route.name == "one"
    finally:
        os.close(read_end)


def test_a_file_that_we_were_given_is_judged_by_itself(file: Path) -> None:
    file.chmod(0o666)
    with file.open("rb") as opened, pytest.raises(ConfigError, match="others can write it"):
        load_config(Path(f"/dev/fd/{opened.fileno()}"), {})


def test_a_namespace_without_root_does_not_know_whose_the_root_folder_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_is_ours", lambda uid: uid == -1)
    with pytest.raises(UntrustedError, match="the folder / belongs to user"):
        judge_executable(file)
    monkeypatch.setattr(trust, "_overflow_uid", lambda: file.stat().st_uid)
    with pytest.raises(UntrustedError) as caught:  # whoever wrote a file, it was not root
        judge_executable(file)
    assert "the folder / " not in str(caught.value)


def test_what_a_config_names_is_judged_too(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("say something")
    authority = Path(authority_file(trustme.CA(), tmp_path))
    text = MINIMAL + 'prompt_file = "prompt.txt"\ntls = { ca_file = "authority.pem" }\n'
    for named in (prompt, authority):
        named.chmod(0o600)
    assert parse_config(text, tmp_path / "routes.toml", {})
    for named, key in ((prompt, "prompt_file"), (authority, "tls.ca_file")):
        named.chmod(0o666)
        with pytest.raises(ConfigError) as caught:
            parse_config(text, tmp_path / "routes.toml", {})
        (line,) = caught.value.problems
        assert line.startswith(f"routes.toml: routes.one.{key}: ")
        assert f"chmod go-w {named}" in line
        named.chmod(0o600)


@pytest.mark.parametrize("key", ["prompt_file", "ca_file", "client_cert"])
def test_a_pipe_where_a_file_is_named_is_not_waited_for(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    line = f'{key} = "pipe"' if key == "prompt_file" else f'tls = {{ {key} = "pipe" }}'
    with pytest.raises(ConfigError, match="is a named pipe, expected a regular file"):
        parse_config(MINIMAL + line, tmp_path / "routes.toml", {})


def test_a_pipe_as_a_config_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "routes.toml")
    with pytest.raises(ConfigError, match="is a named pipe, expected a regular file"):
        load_config(tmp_path / "routes.toml", {})


def test_what_lies_where_nobody_can_write_is_not_judged_by_its_mode(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.parent.chmod(0o777)
    file.chmod(0o666)

    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _path: ReadOnly())
    assert read_trusted(file, 10_000)
