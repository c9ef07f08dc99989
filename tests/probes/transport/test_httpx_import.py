"""An engine starts often, and while somebody waits: what it imports is what it needs."""

import subprocess
import sys

import httpx


def test_an_engine_imports_no_command_line_of_httpx_and_no_pool() -> None:
    program = "import sys, probes.engine.engine; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported = set(run.stdout.split())
    assert "httpx" in imported
    assert not imported & {"rich", "pygments", "click", "httpcore", "h2", "textual"}


def test_httpx_without_its_command_line_is_whole() -> None:
    assert httpx.Client().get is not None
    assert callable(httpx.main)
