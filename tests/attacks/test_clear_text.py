"""A key never goes over plain http to another machine: not by a spelling, not by a resolver."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import home_of, running

HERE = Path(__file__).parent
KEY = "sk-hush-hush-0123456789"
NETWORK = """
set -e
ip link set lo up
ip addr add 10.11.12.13/32 dev lo
printf '10.11.12.13 localhost other.example\\n' > "$1/hosts"
mount --bind "$1/hosts" /etc/hosts
shift
exec "$@"
"""


def _may_unshare() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    tried = ["unshare", "-rnm", "ip", "link", "set", "lo", "up"]
    return subprocess.run(tried, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _may_unshare(), reason="needs a network namespace")


def in_another_network(folder: Path, *words: str) -> dict[str, Any]:
    argv = ["unshare", "-rnm", "sh", "-c", NETWORK, "network", str(folder)]
    argv += [sys.executable, str(HERE / "other_machine.py"), str(folder), *words]
    with running(argv, home_of(folder, KEY=KEY)) as process:
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    told: dict[str, Any] = json.loads(printed)
    return told


def once(folder: Path, url: str, **settings: str) -> dict[str, Any]:
    lines = [f'base_url = "{url}"', 'model = "m"', 'api_key_env = "KEY"', "retries = 0"]
    lines += [f"{key} = {value}" for key, value in settings.items()]
    config = folder / "routes.toml"
    config.write_text("[routes.r]\n" + "\n".join(lines) + "\n")
    config.chmod(0o600)
    return in_another_network(folder, "once", "--config", str(config))


@pytest.mark.parametrize(
    "url",
    ["http://10.11.12.13:PORT/v1", "HTTP://10.11.12.13:PORT/v1", "hTTp://Other.Example:PORT/v1"],
)
def test_a_url_that_names_another_machine_is_refused(tmp_path: Path, url: str) -> None:
    told = once(tmp_path, url)
    assert (told["status"], told["requests"]) == (2, 0), told
    assert "would send a key over plain http to another machine" in told["said"]


@pytest.mark.parametrize("http2", ["false", "true"])
def test_localhost_that_leads_to_another_machine_is_refused_at_the_socket(
    tmp_path: Path, http2: str
) -> None:
    told = once(tmp_path, "http://localhost:PORT/v1", http2=http2)
    assert (told["status"], told["requests"]) == (1, 0), told
    assert "clear_text" in told["said"]
    assert "the key would go over plain http to 10.11.12.13" in told["said"]


def test_insecure_sends_it_as_documented(tmp_path: Path) -> None:
    told = once(tmp_path, "http://localhost:PORT/v1", insecure="true")
    assert (told["status"], told["requests"]) == (0, 1), told
    assert told["heard"] == [f"Bearer {KEY}"]
