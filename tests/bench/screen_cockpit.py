"""The cockpit under measurement, run by `screen.py` in a pty: `screen_cockpit.py KIND HZ N [R]`.

KIND is `llmtop`, the real app on the real session and host, whose engine is `screen_engine.py` with
N streams on R routes; `soak`, the same with `soak_engine.py`, whose time is N times as fast; or
`empty`, an app of Textual's without any widget, whose timer does nothing. The socket numbered by
SCREEN_CONTROL is asked, a byte each time, and answers with a JSON line of what was used since.
"""

import json
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen

from probes.config import Budget, Config, Display, Route
from probes.money.ledger import Ledger
from probes.run.session import Session
from probes.sources.child_process import launch_process
from tui.commands.start import run_app
from tui.screens.live import LiveScreen

CONTROL = int(os.environ["SCREEN_CONTROL"])
ROUTES = 8


class Gauge:
    """Counts this process's CPU time, its frames and the bytes it gave to the terminal.

    A frame is a pull or a repaint of Textual's that wrote something.
    """

    def __init__(self) -> None:
        self.frames_ms: list[float] = []
        self.frames_cpu_ms: list[float] = []
        self.frames_bytes: list[int] = []
        self._bytes = 0
        self._cpu_s = time.process_time()
        self._wall_s = time.monotonic()

    def attach(self) -> None:
        """Put the gauge round the pull, the repaint and the driver's write."""
        self._time(LiveScreen, "pull")
        self._time(Screen, "_on_timer_update")
        write = LinuxDriver.write

        def measured_write(driver: LinuxDriver, data: str) -> None:
            self._bytes += len(data.encode())
            write(driver, data)

        LinuxDriver.write = measured_write

    def _time(self, owner: type[object], name: str) -> None:
        work = getattr(owner, name)

        def measured(screen: object) -> None:
            before, begun, used = self._bytes, time.perf_counter(), time.thread_time()
            work(screen)
            if self._bytes > before:
                self.frames_ms.append((time.perf_counter() - begun) * 1000)
                self.frames_cpu_ms.append((time.thread_time() - used) * 1000)
                self.frames_bytes.append(self._bytes - before)

        setattr(owner, name, measured)

    def answer(self) -> None:
        """Tell, each time a byte comes, what was used since the last."""
        while os.read(CONTROL, 1):
            cpu_s, wall_s = time.process_time(), time.monotonic()
            told = {
                "cpu": (cpu_s - self._cpu_s) / (wall_s - self._wall_s),
                "frames_ms": self.frames_ms,
                "frames_cpu_ms": self.frames_cpu_ms,
                "frames_bytes": self.frames_bytes,
                "reference_ms": reference_ms(),
                "rss_kb": int(Path("/proc/self/statm").read_text().split()[1]) * 4,
            }
            self._cpu_s, self._wall_s = time.process_time(), time.monotonic()
            self.frames_ms, self.frames_cpu_ms, self.frames_bytes = [], [], []
            os.write(CONTROL, json.dumps(told).encode() + b"\n")


def reference_ms() -> float:
    """Return the CPU time of a million additions: what the machine's core is worth just now."""
    begun, total = time.thread_time(), 0
    for number in range(1_000_000):
        total += number
    return (time.thread_time() - begun) * 1000


class EmptyApp(App[None]):
    """What Textual costs by itself."""

    def __init__(self, refresh_hz: float) -> None:
        super().__init__()
        self._interval = 1 / refresh_hz

    def on_mount(self) -> None:
        self.set_interval(self._interval, lambda: None)


def llmtop(refresh_hz: float, engine_file: str, argument: int, count: int = ROUTES) -> None:
    """Run the real app on an engine of ours, which gets one argument."""
    routes = tuple(
        Route(
            name=f"route-{number}",
            base_url="http://127.0.0.1:9/v1",
            model=f"model-{number}",
            concurrency=max(1, argument // count) if engine_file == "screen_engine.py" else 1,
            interval=0.0,
            max_tokens=200,
        )
        for number in range(count)
    )
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    config = Config(routes=routes, budget=plenty, display=Display(refresh_hz=refresh_hz))
    engine = [sys.executable, str(Path(__file__).with_name(engine_file)), str(argument)]
    session = Session(
        config,
        {},
        recorder=None,
        ledger=Ledger(None),
        launch=partial(launch_process, argv=engine),
    )
    run_app(session, config)


def main() -> None:
    """Run one kind of app until the terminal ends it."""
    kind, refresh_hz, argument = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    if kind == "soak":  # without the gauge, which keeps what it measures until it is asked
        llmtop(refresh_hz, "soak_engine.py", argument)
        return
    gauge = Gauge()
    gauge.attach()
    threading.Thread(target=gauge.answer, daemon=True).start()
    if kind == "empty":
        EmptyApp(refresh_hz).run()
    else:
        llmtop(refresh_hz, "screen_engine.py", argument, *map(int, sys.argv[4:]))


if __name__ == "__main__":
    main()
