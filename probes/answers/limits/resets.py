"""When a limit is back, as it is said in words: "will reset at …", "try again in 4h 13m".

Waits in words are shown and never obeyed, as no official client obeys them. A moment without a zone
is UTC, in Chinese words it is China's (UTC+8: Zhipu's "将在 2026-11-30 07:41:44 重置").
"""

import re
from typing import Final

from probes.kit.clock import NS_PER_S
from probes.kit.durations import duration_s, moment_s_of

_LONGEST: Final = 2000
"""Of a message that is looked through: when a limit is back is said at its beginning."""
_AGAIN: Final = (
    r"(?:resets?|resetting|refresh(?:es|ed)?|renew(?:s|ed)?|replenish(?:es|ed)?|regain access"
    r"|restored|resumes?|available again|(?:try|retry|again)(?: your request)?)"
)
_AMOUNT: Final = (
    r"[0-9]{1,12}(?:\.[0-9]{0,12})?\s?(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h"
    r"|hrs?|hours?"
    r"|d|days?|w|weeks?)(?![a-z])"
)
_DURATION: Final = re.compile(
    rf"{_AGAIN}[\w\s]{{0,12}}?\b(?:in|after|within)[\s:]{{1,3}}(?:about |approximately |~)?"
    rf"(?P<after>(?:{_AMOUNT}(?:[\s,]|and){{0,6}}){{1,6}})"
    r"|(?:[0-9]{1,6} ?(?:秒|分钟|小时|天)){1,4}(?=后(?:重试|再试|重置|恢复))",
    re.IGNORECASE,
)
_DATED: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|\s(?:at )?)?"
    r"(?:[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?"
)
_MOMENT: Final = re.compile(
    rf"{_AGAIN}[^.0-9]{{0,20}}?(?P<moment>{_DATED}\s?(?:Z\b|UTC|GMT|[+-][0-9]{{2}}:?[0-9]{{2}})?)"
    rf"|(?:将在|将于|会在|在|于)\s?(?P<chinese>{_DATED})\s?(?:后)?(?:重置|恢复|刷新)",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    rf"{_AGAIN}[^.0-9]{{0,12}}?(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])\s?(?:UTC"
    rf"|GMT)\b(?![+-])",
    re.IGNORECASE,
)
_ZONED: Final = re.compile(r"(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})\Z", re.IGNORECASE)
_CHINA_S: Final = 8 * 3600.0
"""How far China's clocks are ahead of UTC."""
_A_DAY_S: Final = 86_400.0


def reset_in_words_s(text: str) -> float | None:
    """Return the seconds after which something is said to be back; None where no time is told.

    >>> reset_in_words_s("Your quota will reset after 8h44m7s."), reset_in_words_s("soon")
    (31447.0, None)
    """
    found = _DURATION.search(text[:_LONGEST])
    if found is None:
        return None
    return duration_s((found["after"] or found[0]).strip(" ,"))


def reset_s_of(text: str, wall_ns: int, zone_s: float = 0.0) -> float | None:
    """Return the seconds from `wall_ns` until what is said to be back then; 0 if it has passed.

    `zone_s` is how far the clock of a moment without a zone is ahead of UTC.
    """
    lasting_s = reset_in_words_s(text)
    if lasting_s is not None:
        return lasting_s
    now_s = wall_ns / NS_PER_S
    found = _MOMENT.search(text[:_LONGEST])
    if found is not None:
        moment = re.sub(r"\s+at\s+", " ", (found["moment"] or found["chinese"]).strip())
        moment_s = moment_s_of(moment)
        if moment_s is not None:
            here_s = 0.0 if _ZONED.search(moment) else zone_s
            here_s = _CHINA_S if found["chinese"] else here_s
            return max(0.0, moment_s - here_s - now_s)
    clock = _CLOCK.search(text[:_LONGEST])
    if clock is None:
        return None
    at_s = int(clock["hour"]) * 3600.0 + int(clock["minute"]) * 60.0
    return (at_s - now_s % _A_DAY_S) % _A_DAY_S
