"""Runs `llmtop` in a network of its own in which another machine answers, and tells what it heard.

Started by `test_clear_text.py` in namespaces of its own, where 10.11.12.13 is an address that is
not loopback and `localhost` leads there; ADDRESS names another. Arguments: a folder, in whose
settings PORT becomes that of the server, then `llmtop`'s; prints JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from counting_server import Behaviour, CountingServer
from running import LLMTOP

ADDRESS = os.environ.get("ADDRESS", "10.11.12.13")


def main() -> None:
    with CountingServer(Behaviour(answer_tokens=3), host=ADDRESS) as server:
        words = [word.replace("PORT", str(server.port)) for word in sys.argv[2:]]
        for path in Path(sys.argv[1]).glob("*.toml"):
            path.write_text(path.read_text().replace("PORT", str(server.port)))
        ended = subprocess.run(
            [*LLMTOP, *words], capture_output=True, text=True, timeout=30, env=os.environ
        )
        told = {
            "status": ended.returncode,
            "said": ended.stdout + ended.stderr,
            "requests": len(server.requests),
            "heard": [request.headers.get("authorization", "") for request in server.requests],
        }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
