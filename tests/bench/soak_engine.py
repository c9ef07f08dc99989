"""An engine that probes nothing and whose time flies: run by `screen_soak.py` as a process.

Its one argument is how many times as fast as the clock its own time goes. Each 100 ms it writes so
many slots of `flat.py`'s made-up traffic, in which some probes are throttled and some fail.
Commands that change anything are read and ignored.
"""

import os
import sys
import threading
import time

import msgspec
from flat import Traffic
from screen_engine import configured, greeting, obey, write

from probes.events import Event, Hello

SLOT_S = 0.1
PROBES_PER_S = 1.0
"""Of each route, in its own time: five times the default."""


def main(speed: int) -> None:
    """Serve until told to stop."""
    configure = configured()
    hello, routes = greeting(configure)
    traffic = Traffic(len(routes), PROBES_PER_S, names=[route.name for route in routes])
    threading.Thread(target=obey, args=([],), daemon=True).start()
    write([hello_at(hello, 0)])
    due_s = time.monotonic()
    slots = traffic.slots()
    while True:
        events: list[Event] = []
        for _ in range(speed):
            events += next(slots)
        write(events)
        due_s += SLOT_S
        time.sleep(max(0.0, due_s - time.monotonic()))


def hello_at(hello: Hello, at_ns: int) -> Hello:
    """Return the greeting with another stamp: made-up time begins at 0."""
    return msgspec.structs.replace(hello, at_ns=at_ns, wall_ns=0)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except BrokenPipeError:
        os._exit(0)  # the cockpit has gone
