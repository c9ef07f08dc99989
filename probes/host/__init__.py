"""The engine in a process of its own: started, listened to, started again; or several of them."""

from probes.host.engine_host import (
    EngineHost,
    InProcessHost,
    Prepare,
    Receive,
)
from probes.host.group import EngineGroup

__all__ = [
    "EngineGroup",
    "EngineHost",
    "InProcessHost",
    "Prepare",
    "Receive",
]
