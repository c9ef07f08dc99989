"""Programs of other people that tests start: where one is, or why the test cannot run."""

import os
import shutil
from typing import Final

import pytest

_PLACES: Final = os.pathsep.join(
    (os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin")
)
"""Debian has servers where a user's PATH does not look."""


def program(name: str, package: str) -> str:
    """Return the path of a program.

    Where it is missing the test is skipped; it fails where LLMTOP_SERVERS_NEEDED says that all are
    there, as CI does where it could install them.
    """
    path = shutil.which(name, path=_PLACES)
    if path is None:
        missing = f"{name} is missing: apt-get install --no-install-recommends {package}"
        if os.environ.get("LLMTOP_SERVERS_NEEDED"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path
