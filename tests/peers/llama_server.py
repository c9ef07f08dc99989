"""`python llama_server.py MODEL.gguf [TOKENS]`: llama.cpp's own HTTP server, a process of its own.

It has so many tokens of context a slot.

It prints one JSON line, `{"base_url": …}`, and serves until its standard input ends.
"""

import json
import os
import sys
from typing import Final

from xllamacpp import CommonParams, Server

SLOTS: Final = 2
SLOT_TOKENS: Final = 512


def main(model: str, slot_tokens: int = SLOT_TOKENS) -> None:
    """Serve the model on a free port of the loopback."""
    server = Server(_params(model, slot_tokens))
    announcement = {"base_url": f"{server.listening_address}/v1"}
    sys.stdout.write(json.dumps(announcement) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    # The server's destructor may wait for open streams: nobody reads them any more.
    os._exit(0)


def _params(model: str, slot_tokens: int) -> CommonParams:
    params = CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = SLOTS * slot_tokens
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 16
    params.warmup = False
    return params


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
