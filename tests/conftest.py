"""Shared by all tests."""

from typing import Any

import pytest

from probes import digest
from probes.sketch import BACKEND, SKETCHES


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which Textual needs."""
    return "asyncio"


@pytest.fixture(params=sorted(SKETCHES), scope="module")
def package(request: pytest.FixtureRequest) -> Any:
    """Let long digests be held by one package, then by the other where it is installed."""
    name: str = request.param
    if name == "fastdigest" != BACKEND:
        pytest.skip("fastdigest is not installed: the extra `fast` brings it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "new_sketch", SKETCHES[name])
        yield name
