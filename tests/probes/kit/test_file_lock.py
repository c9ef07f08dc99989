"""A lock that one alone has, and that its end frees."""

import sys
from pathlib import Path

import pytest

from probes.kit.file_lock import FileBusyError, alone

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no flock")


def test_one_alone_is_at_it_and_the_next_one_when_that_has_ended(tmp_path: Path) -> None:
    lock = tmp_path / "ledger.lock"
    with alone(lock, 0.0):
        assert lock.stat().st_mode & 0o777 == 0o600
        with pytest.raises(FileBusyError, match="mended by another run"), alone(lock, 0.0):
            pytest.fail("two were at it")
    with alone(lock, 0.0):
        pass


def test_what_fails_meanwhile_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "ledger.lock"
    with pytest.raises(KeyError), alone(lock, 0.0):
        raise KeyError
    with alone(lock, 0.0):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    lock = tmp_path / "ledger.lock"
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="ymbolic"), alone(lock, 0.0):
        pytest.fail("it was opened")
    assert not (tmp_path / "elsewhere").exists()
