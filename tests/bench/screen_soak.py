"""Does the screen stay small? `python tests/bench/soak.py --screen [--minutes 60]`.

Two cockpits run on pseudo-terminals, and each is used all the time: every key of the table that
does not end or suspend it, the help, the palette and the filter opened and closed, windows dragged.

- *real*: cockpit and engine as installed, against a server that answers well, cuts, resets, stalls,
  refuses and talks nonsense. Eight routes send ten probes a second each, fifty times the default.
- *fast*: a made-up engine (`soak_engine.py`) whose time goes twenty times as fast as the clock, so
  that an hour is twenty of the board, whose windows are full after three minutes.

Each minute it prints the resident memory of all; at the end the ratio of the last reading to that
after five minutes (`--base`), and ends with status 1 where one is above 1.10. The board of the real
one fills its windows by the clock: eight busy routes bring it 18 MB within the first hour, and no
more after it, as `flat.py` shows. So its cockpit is judged from minute 65 on, and only told before.
A shorter form: `--minutes 10`. Linux only. `nice -n 10` leaves the machine to others: it takes
about a core.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import soak
from screen import COCKPIT, FIRST_PAINTED, Terminal

from tui.keys import KEYS

ROUTES = 8
MOST_GROWN = 1.10
MOST_MB = 120.0
"""Of a cockpit and its engine together."""
KEY_EVERY_S = 0.3
START_WITHIN_S = 30.0
FILLING = "real cockpit"
FULL_AFTER = 65.0
"""Minutes after which a board that lives by the clock has its longest window full."""
SPEED = 20
ENDING = ("quit", "suspend")
PAIRED = {  # what is pressed after it, so that no walk of the knobs ends the traffic
    "more": "fewer",
    "double": "halve",
    "sooner": "later",
    "shorter": "longer",
    "pause": "pause",
    "panic": "panic",
    "freeze": "freeze",
    "preview": "preview",
    "private": "private",
    "only_hurt": "only_hurt",
}
TYPED = ("help", "palette", "filter", "command", "mark", "sort_menu")
"""What is typed behind these goes elsewhere: they have rows of their own."""
WRITTEN = {
    "escape": "\x1b",
    "enter": "\r",
    "space": " ",
    "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~",
    "ctrl+p": "\x10",
    "question_mark": "?",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "colon": ":",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "asterisk": "*",
    "underscore": "_",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
}
"""What a terminal sends for the keys that are named."""
SIZES = ((160, 50), (80, 24), (120, 40), (200, 60), (40, 12), (100, 30))

SETTINGS = """
[routes.route-{number}]
base_url = "{url}"
model = "m"
concurrency = 2
interval = 0.2
max_tokens = 16
[routes.route-{number}.timeouts]
connect = 2
first_token = 0.5
stall = 0.5
total = 2
"""


def strokes(chance: random.Random) -> Iterator[Sequence[str]]:
    """Yield what is typed in a row, for ever, each kind as often as the others."""
    written = {key.id: _written(key.keys) for key in KEYS if key.id not in ENDING}
    rows: list[Sequence[str]] = [
        (written[key], written[PAIRED[key]]) if key in PAIRED else (written[key],)
        for key in written
        if key not in (*PAIRED.values(), *TYPED) or PAIRED.get(key) == key
    ]
    rows += [
        ("?", "j", "j", "\x1b[6~", "\x1b"),
        ("\x10", "c", "o", "n", "\x1b"),
        (":", *"window 15m", "\r"),
        (":", *"conc 3", "\r", "u"),
        ("m", *"a note", "\r"),
        ("S", "j", "\x1b"),
        ("g", "\r", "4", "j", "\r", "J", "K", "G", "\x1b", "h", "o", "o", "T", "0", "0", "\x1b"),
        ("/", "r", "o", str(chance.randrange(ROUTES)), "\r", "\x1b"),
    ]
    while True:
        chance.shuffle(rows)
        yield from rows


def _written(keys: str) -> str:
    first = keys.split(",")[0]
    return WRITTEN.get(first, first)


class Used:
    """A cockpit in use, and what it and its engine weigh."""

    def __init__(self, name: str, argv: list[str], chance: random.Random) -> None:
        self.name = name
        self.terminal = Terminal(argv, SIZES[0])
        self.pressed = 0
        if self.terminal.wait_for(FIRST_PAINTED, START_WITHIN_S) is None:
            raise SystemExit(f"the {name} cockpit does not draw")
        self._strokes = strokes(chance)
        self._row: list[str] = []
        self._sizes = itertools.cycle(SIZES)

    def use(self) -> None:
        """Press the next key; now and then drag the window through all sizes."""
        if not self._row:
            self._row = list(next(self._strokes))
        self.terminal.press(self._row.pop(0))
        self.pressed += 1
        if self.pressed % 100 == 0:
            for _ in range(len(SIZES)):
                self.terminal.resize(*next(self._sizes))
                time.sleep(0.02)

    def weights(self) -> dict[str, float]:
        """Return the resident memory of cockpit and engine, in MB."""
        pid = self.terminal.process.pid
        if self.terminal.process.poll() is not None:
            tail = bytes(self.terminal.seen[-2000:]).decode(errors="replace")
            raise SystemExit(f"the {self.name} cockpit has ended by itself:\n{tail}")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        engines = [int(child) for child in children if is_engine(int(child))]
        return {
            f"{self.name} cockpit": rss_mb(pid),
            f"{self.name} engine": sum(map(rss_mb, engines)),
        }


def is_engine(pid: int) -> bool:
    """Tell whether a process is an engine, a real one or a made-up one."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"probes" in words or any(word.endswith(b"soak_engine.py") for word in words)


def rss_mb(pid: int) -> float:
    """Return a process's resident memory in MB; 0 where it has gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def bad_server(seed: int) -> Iterator[str]:
    """Serve on loopback, now well and now badly; gives the URL."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=soak.serve, args=(theirs, seed), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        server.kill()
        server.join()


@contextlib.contextmanager
def real(seed: int) -> Iterator[Used]:
    """Run the real cockpit on the real engine."""
    with bad_server(seed) as url, tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "routes.toml"
        routes = "".join(SETTINGS.format(number=number, url=url) for number in range(ROUTES))
        budget = "[budget]\ntokens_per_hour = 1000000000\nroute_tokens_per_hour = 1000000000\n"
        settings.write_text(budget + routes)
        settings.chmod(0o600)
        argv = [sys.executable, "-m", "tui.cli", "--config", str(settings), "--no-record"]
        os.environ["XDG_STATE_HOME"] = folder  # the ledger of this soak is nobody else's
        used = Used("real", argv, random.Random(seed))
        try:
            yield used
        finally:
            used.terminal.close()


@contextlib.contextmanager
def fast(seed: int) -> Iterator[Used]:
    """Run the real cockpit on an engine whose time flies."""
    argv = [sys.executable, str(COCKPIT), "soak", "10", str(SPEED)]
    used = Used("fast", argv, random.Random(seed + 1))
    try:
        yield used
    finally:
        used.terminal.close()


def run(cockpits: list[Used], minutes: float, base: float) -> dict[str, float]:
    """Use the cockpits and print what they weigh; return the ratios at the end."""
    names = [name for used in cockpits for name in used.weights()]
    heads = ("minute", "keys", *(f"{name} MB" for name in names))
    say(f"| {' | '.join(heads)} |")
    say("|---" * len(heads) + "|")
    began_s, shown, basis = time.monotonic(), 0, dict[str, float]()
    judged = [name for name in names if name != FILLING or minutes > FULL_AFTER]
    latest: dict[str, float] = {}
    while (passed := (time.monotonic() - began_s) / 60) < minutes:
        for used in cockpits:
            used.use()
        time.sleep(KEY_EVERY_S)
        if int(passed) > shown or not latest or (passed >= base and not basis):
            shown = int(passed)
            latest = weigh(cockpits)
            if passed >= base and not basis:
                basis = dict(latest)
            if passed < FULL_AFTER < passed + 1 and FILLING in names:
                basis[FILLING] = latest[FILLING]
            figures = (f"{passed:.1f}", str(sum(used.pressed for used in cockpits)))
            say(f"| {' | '.join((*figures, *(f'{latest[name]:.1f}' for name in names)))} |")
    latest = weigh(cockpits)
    say("")
    for name in names:
        then, now = basis.get(name, 0.0), latest[name]
        note = "" if name in judged else " (not judged: its windows are filling)"
        since = FULL_AFTER if name == FILLING and name in judged else base
        say(f"{name}: {then:.1f} MB at {since:g} min, {now:.1f} at the end: {now / then:.3f}{note}")
    for used in cockpits:
        both = sum(weight for name, weight in latest.items() if name.startswith(used.name))
        say(f"{used.name}, cockpit and engine: {both:.0f} MB, of {MOST_MB:.0f} at most")
    return {name: latest[name] / basis[name] for name in judged}


def weigh(cockpits: list[Used]) -> dict[str, float]:
    """Return what everything weighs."""
    return {name: weight for used in cockpits for name, weight in used.weights().items()}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Soak, and judge."""
    kinds: dict[str, Callable[[int], contextlib.AbstractContextManager[Used]]] = {
        "real": real,
        "fast": fast,
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--base", type=float, default=5.0, help="minutes; default: 5")
    parser.add_argument("--only", choices=kinds)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    chosen = [options.only] if options.only else list(kinds)
    with contextlib.ExitStack() as stack:
        cockpits = [stack.enter_context(kinds[kind](options.seed)) for kind in chosen]
        ratios = run(cockpits, options.minutes, min(options.base, options.minutes / 2))
    sys.exit(max(ratios.values()) > MOST_GROWN)


if __name__ == "__main__":
    main()
