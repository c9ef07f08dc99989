"""A history of some weeks for the tests of what shows it: two routes, a prompt that grew, and an
incident that came three times."""

import random
from pathlib import Path

from board_streams import route_info
from history_streams import DAY_S, NOON_S, Run

from probes.history.database import HistoryFile
from probes.history.fold import HistoryFold

DAYS = 30
NAMES = ("chat", "漢字-route")
ENDS_S = NOON_S + DAYS * DAY_S


def filled(path: Path, days: int = DAYS, *, place: str = "") -> None:
    """Write it."""
    chance = random.Random(4)
    names = [f"{name}@{place}" if place else name for name in NAMES]
    with HistoryFile(path, writes=True, wall_ns=lambda: ENDS_S * 1_000_000_000) as file:
        for day in range(days):
            if day in (11, 12):
                continue  # nobody probed
            routes = [route_info(name, place=place) for name in names]
            run = Run(*routes, began_s=NOON_S + day * DAY_S, life=f"life-{day}", place=place)
            for hour in range(0, 22, 3):
                busy = 1.6 if hour in (3, 6) else 1.0
                for number in range(8):
                    for place_of, name in enumerate(names):
                        ttft_s = busy * (1 + place_of) * chance.lognormvariate(-1, 0.3)
                        run.probe(
                            hour * 3600 + number * 20 + 10,
                            route=name,
                            ttft_s=ttft_s,
                            e2e_s=ttft_s + 0.8,
                            input_tokens=812 if day < 17 or place_of else 1940,
                            outcome="throttled" if number == 0 and hour == 3 else "ok",
                        )
            if day in (3, 14, 21):
                run.diagnosis(9_000, "named", 8_900, routes=(names[0],), text="slow")
                run.diagnosis(11_300, "cleared", 8_900, routes=(names[0],))
            fold = HistoryFold()
            for event in sorted(run.events, key=lambda event: event.at_ns):
                fold.fold(event)
            file.write(fold.told())
