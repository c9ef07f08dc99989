"""The engine in a process of its own: started, listened to, started again."""

from probes.host.engine_host import (
    EngineHost,
    InProcessHost,
    Prepare,
    Receive,
)

__all__ = [
    "EngineHost",
    "InProcessHost",
    "Prepare",
    "Receive",
]
