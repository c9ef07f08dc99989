"""Shared by all tests."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which Textual needs."""
    return "asyncio"
