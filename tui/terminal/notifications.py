"""What calls a person who looks at another window: the bell, and a notification.

Rule 1: what is said is made harmless and cut: a terminal obeys what stands in it, and a desktop
shows it to whoever passes.
Rule 2: one notification, in the way that the terminal is known to have (`capabilities.py`); those
that know none pass it over. tmux hands it on where `allow-passthrough` is set, and the bell anyhow.
"""

from typing import Final

from probes.kit.sanitise import neutralise
from tui.terminal.capabilities import NotifiesBy

BELL: Final = "\a"
_MOST: Final = 200
"""Characters: a desktop shows no more."""
_TITLE: Final = "llmtop"


def notification(text: str, by: NotifiesBy, *, in_tmux: bool) -> str:
    """Return what has a terminal show a notification; empty where it has none."""
    # A semicolon parts the fields of OSC 777.
    said = neutralise(text, _MOST).replace(";", ",")
    if by == "":
        return ""
    told = f"777;notify;{_TITLE};{said}" if by == "osc777" else f"9;{_TITLE}: {said}"
    sequence = f"\x1b]{told}\x1b\\"
    if not in_tmux:
        return sequence
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"
