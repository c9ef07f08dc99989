"""What stands where on the bus: subjects, buckets, headers. The one place that knows.

Rule 1: one message is one batch of a place's durable events, as JSON lines, in the order of its
stream. One an event would cost a fifth of a core at 4,000 events a second.
Rule 2: a place's events are numbered from 1 within each life of its agent. A message says whose
they are and which number its first has, so that a reader drops what it has and counts what is
missing, however long the agent was away: the server's own window of duplicates is two minutes.
Rule 3: a message stands for itself. It says how far its stamps are from Unix time, and who comes in
the middle finds the routes in the bucket of places.
"""

from typing import Final

VERSION: Final = "v1"
STREAM: Final = "llmtop_events"
"""All places' events: one stream, with limits by age and size."""

EVENTS_OF_ALL: Final = f"llmtop.{VERSION}.*.events"
PLACES_BUCKET: Final = "llmtop_places"
"""Key-value: place → who probes there now (`Presence`). An entry that is not renewed vanishes."""
HELLOS_BUCKET: Final = "llmtop_hellos"
"""Key-value: place → the hello of its newest engine, for who comes late."""
WANTED_BUCKET: Final = "llmtop_wanted"
"""Key-value: place → what is wanted of it: knobs and pauses, for an agent that starts again."""
BUDGETS_BUCKET: Final = "llmtop_budgets"
"""Key-value: what all places may spend, and what each has in its hands."""
PAGERS_BUCKET: Final = "llmtop_pagers"
"""Key-value: who calls people, what they were told, and what is muted (`probes.bus.pager`)."""

RUN_HEADER: Final = "llmtop-run"
"""Of which life of the place's agent the events are: an id that later lives are greater than."""
FIRST_HEADER: Final = "llmtop-first"
"""Number of the message's first event in that life."""
OFFSET_HEADER: Final = "llmtop-offset-ns"
"""What is to be added to its stamps to have Unix time, in ns."""

BATCH_S: Final = 0.5
"""An event waits for others for so long at most: a second is all that a screen may be late."""
BATCH_BYTES: Final = 256 << 10
"""A message has no more than that, but for a single event that has: the server's own limit is
1 MB."""


ALL_PLACES: Final = "ALL"
"""In the place of a place: whoever watches all of them. No place can have that name."""
MUTED_KEY: Final = "muted"
"""Of the bucket of pagers: which routes call nobody, and until when."""


def caller_key(scope: str) -> str:
    """Return the key of who calls people for a place, or for `ALL_PLACES`."""
    return f"caller.{scope}"


def told_key(place: str) -> str:
    """Return the key of what people were told of a place's routes that is not over."""
    return f"told.{place}"


COCKPIT_INBOX: Final = "_INBOX.cockpit"
"""What the answers to who watches are sent below. Whoever may read another's answers knows what he
knows, and who may write them speaks in the stead of who was asked: so each agent has its own, and a
server can keep others out."""


def inbox_of(place: str) -> str:
    """Return what the answers to a place's agent are sent below."""
    return f"_INBOX.agent.{place}"


def events_of(place: str) -> str:
    """Return the subject of a place's events."""
    return f"llmtop.{VERSION}.{place}.events"


def commands_of(place: str) -> str:
    """Return the subject on which a place's agent answers commands."""
    return f"llmtop.{VERSION}.{place}.commands"
