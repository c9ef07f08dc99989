"""Weeks of a route that nobody has probed, for the picture of them: no story can last so long.

By day and hour it is busier when people work; at one date its prompts became longer; and three
times it wrote slowly for a while.
"""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from probes.history.database import HistoryFile
from probes.history.packed import pack
from probes.history.records import (
    COUNTS,
    SLOT_S,
    PastIncident,
    RouteIdentity,
    SlotKey,
    SlotRow,
    Told,
)
from probes.stats.centroids import point

DAY_S: Final = 86_400
_A_SLOT: Final = 24
"""Probes of ten minutes."""
_GREW_DAYS_AGO: Final = 17
_BEFORE: Final = ((49.3, 40.0), (20.6, 95.0), (3.2, 35.0))
"""Incidents: days ago, and how many minutes they took."""


def fill(
    path: Path, route: RouteIdentity, now_s: float, *, days: int, every_s: int = SLOT_S
) -> None:
    """Write so many days of a route up to now, a slot each `every_s`."""
    chance = random.Random(route.name)  # noqa: S311 - a picture
    incidents = [
        PastIncident(
            id=f"{route.name}-{number}",
            cause="provider_slow_decode",
            names=(route.name,),
            scope="",
            routes=(route.full_name,),
            since_s=now_s - ago * DAY_S,
            ended_s=now_s - ago * DAY_S + minutes * 60,
        )
        for number, (ago, minutes) in enumerate(_BEFORE)
        if ago < days
    ]
    spans = [(one.since_s, one.ended_s or now_s) for one in incidents]
    slots: dict[SlotKey, SlotRow] = {}
    first, last = round(now_s - days * DAY_S) // SLOT_S, round(now_s) // SLOT_S
    for slot in range(first, last, every_s // SLOT_S):
        at_s = slot * SLOT_S
        is_slow = any(begin <= at_s < end for begin, end in spans)
        key = SlotKey("weeks", route, "64/2k", slot)
        slots[key] = _row(chance, at_s, now_s, is_slow=is_slow)
    with HistoryFile(path, writes=True) as file:
        file.write(Told(slots, tuple(incidents)))


def _row(chance: random.Random, at_s: float, now_s: float, *, is_slow: bool) -> SlotRow:
    hour, weekday = at_s / 3600 % 24, int(at_s // DAY_S + 3) % 7
    busy = math.exp(-(((hour - 14) / 4) ** 2)) * (1.0 if weekday < 5 else 0.3)
    probes = round(_A_SLOT * (0.4 + busy))
    throttled = sum(chance.random() < 0.06 * busy for _ in range(probes))
    failed = sum(chance.random() < 0.004 for _ in range(probes))
    ttft = [chance.lognormvariate(math.log(0.22 + 0.16 * busy), 0.25) for _ in range(probes)]
    per_token = [
        (0.07 if is_slow else 0.017) * chance.lognormvariate(0, 0.1) for _ in range(probes)
    ]
    e2e = [first + 48 * token for first, token in zip(ttft, per_token, strict=True)]
    prompt = 812 if now_s - at_s > _GREW_DAYS_AGO * DAY_S else 1_940
    tokens = sum(round(prompt * chance.uniform(0.9, 1.1)) for _ in range(probes))
    counts = dict.fromkeys(COUNTS, 0)
    counts |= {
        "probes": probes,
        "probes_ok": probes - failed,
        "attempts": probes + throttled,
        "retries": throttled,
        "ok": probes - failed,
        "throttled": throttled,
        "server_error": failed,
        "input_tokens": tokens,
        "input_counted": probes,
        "output_tokens": 48 * probes,
        "output_counted": probes,
        "cached_tokens": round(0.3 * tokens),
    }
    digests = tuple(map(_packed, (ttft, e2e, per_token)))
    return SlotRow(tuple(counts.values()), tokens * 0.23e-6 + probes * 48 * 0.4e-6, digests)


def _packed(samples: Sequence[float]) -> bytes:
    return pack(point(sample) for sample in sorted(samples))
