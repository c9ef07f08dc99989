"""The embedded provider's truth mode: tokens at an exact beat, and a log of when each was sent.

A judge of clients, made to be exact and cheap rather than realistic. One thread and one loop of its
own drive all sockets; the bodies are encoded before they are due; every body is one `send()` on a
schedule that does not drift, with its stamp taken just before the call. It shares no code with the
transport it judges.
"""

from truth.log import MetronomePage, MetronomeRecord, Spread
from truth.schedule import Pace
from truth.server import Metronome, listen

__all__ = ["Metronome", "MetronomePage", "MetronomeRecord", "Pace", "Spread", "listen"]
