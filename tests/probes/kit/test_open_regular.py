"""Files that a user names: what is no file never makes us wait."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.kit.open_regular import (
    NotRegularError,
    TooLargeError,
    open_given,
    open_regular,
    read_open,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


KINDS = [
    pytest.param(a_pipe, "a named pipe", id="pipe"),
    pytest.param(a_folder, "a directory", id="folder"),
    pytest.param(a_socket, "a socket", id="socket"),
    pytest.param(a_link_to_a_device, "a device", id="device"),
]


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT | os.O_TRUNC])
@pytest.mark.parametrize(("make", "what"), KINDS)
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], what: str, flags: int
) -> None:
    path = tmp_path / "it"
    make(path)
    with pytest.raises(NotRegularError) as caught:
        open_regular(path, flags)
    assert caught.value.strerror == f"is {what}, expected a regular file"


def test_a_file_is_read_whole_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    for most, read in ((10, b"x" * 10), (9, None)):
        descriptor = open_regular(path)
        try:
            if read is not None:
                assert read_open(descriptor, path, most) == read
                continue
            with pytest.raises(TooLargeError, match="is larger than 9 bytes"):
                read_open(descriptor, path, most)
        finally:
            os.close(descriptor)


def test_a_file_is_made_and_emptied_as_the_flags_say(tmp_path: Path) -> None:
    path = tmp_path / "file"
    made = open_regular(path, os.O_WRONLY | os.O_CREAT)
    os.write(made, b"words")
    os.close(made)
    assert path.stat().st_mode & 0o777 == 0o600
    os.close(open_regular(path, os.O_WRONLY | os.O_TRUNC))
    assert path.read_bytes() == b""


def test_a_descriptor_blocks_again_and_is_not_inherited(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    descriptor = open_regular(path)
    assert os.get_blocking(descriptor)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_a_refusal_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(NotRegularError):
            open_regular(path)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_pipe_that_was_given_is_read_to_its_end() -> None:
    read_end, write_end = os.pipe()
    path = Path(f"/dev/fd/{read_end}")
    opened = open_given(path)
    writer = threading.Thread(
        target=lambda: (os.write(write_end, b"one"), os.write(write_end, b" two"))
    )
    writer.start()
    writer.join()
    os.close(write_end)
    try:
        assert read_open(opened, path, 100) == b"one two"
    finally:
        os.close(opened)
        os.close(read_end)


def test_a_given_pipe_that_never_ends_is_given_up() -> None:
    read_end, write_end = os.pipe()
    path = Path(f"/dev/fd/{read_end}")
    opened = open_given(path)
    try:
        with pytest.raises(TimeoutError, match=r"did not end within 0\.05 s"):
            read_open(opened, path, 100, seconds=0.05)
    finally:
        for descriptor in (opened, read_end, write_end):
            os.close(descriptor)


def test_a_terminal_is_not_read_for_settings() -> None:
    ours, theirs = os.openpty()
    try:
        with pytest.raises(NotRegularError, match="is a terminal, expected a regular file"):
            open_given(Path(f"/dev/fd/{theirs}"))
    finally:
        os.close(ours)
        os.close(theirs)
