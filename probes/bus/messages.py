"""What is said on the bus beside events: who probes where, who calls people and what they were
told, the newest hello, and replies.

Rule 1: a reader of another version reads what it knows: a new field has a default.
Rule 2: whatever is none of these raises one error, whoever wrote it and however deep it nests.
"""

from typing import Final, TypeVar

import msgspec

from probes.kit.process_identity import RunIdentity

_Record = TypeVar("_Record")

LONGEST_COMMAND: Final = 64 << 10
"""Bytes of a command that an agent reads; the longest that makes sense has some hundred."""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Who probes at a place: the value of `PLACES_BUCKET`, as JSON. It is written anew every few
    seconds; an entry that is not renewed vanishes."""

    run: str
    """This life of the place's agent, as in the header of its messages."""
    host: str
    """Name of the machine; for people, as are the next four."""
    pid: int
    since_ns: int
    """Unix ns of the server's clock at which it took the place."""
    version: str = ""
    """Of llmtop."""
    routes: int = 0
    """How many it probes."""
    process: RunIdentity | None = None
    """Which process of which boot: another on the same machine knows by it whether it lives."""
    unsent: int = 0
    """Events that wait to be sent; while it is more than some hundred the place is catching up."""


class KeptHello(msgspec.Struct, frozen=True, kw_only=True):
    """The newest hello of a place: the value of `HELLOS_BUCKET`, as JSON."""

    run: str
    number: int
    """Of the event in that life: the hello stands in the stream under that number."""
    offset_ns: int
    """What moves its stamps, and those of its engine, to Unix time."""
    hello: msgspec.Raw
    """The event as its engine said it: one JSON object."""


class CommandReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent answers to a command, as JSON; `{}` is "done"."""

    refusal: str = ""
    """Why it was not done, in a line for a person; empty where it was."""


class PagerHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls people for a place, or for all: a value of `PAGERS_BUCKET`, as JSON. It is written
    anew every few seconds; who does not renew it calls nobody any more."""

    host: str
    """Name of the machine; for people, as are the next two."""
    pid: int
    since_ns: int = 0
    """Unix ns of the server's clock at which it took it; 0 right then."""
    process: RunIdentity | None = None
    """Which process of which boot: another on the same machine knows by it whether it lives."""


class ToldAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that people were told of, as far as it is of one place."""

    run: str
    id: str
    """Both together are the alert's name: who ends it ends it by that."""
    routes: tuple[str, ...]
    """Those of the place, all that were told."""
    places: tuple[str, ...]
    """All that it hits; the alert is over where none of them has it any more."""
    severity: int
    """How bad it was: what is worse on the same routes is told beside it."""
    since_ns: int
    """Onset, Unix ns."""
    stands_ns: int
    """When who calls knew last that it fires, Unix ns of its clock."""


class ToldAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """What people were told of a place and is not over, oldest first."""

    alerts: tuple[ToldAlert, ...] = ()


class MutedRoutes(msgspec.Struct, frozen=True, kw_only=True):
    """What people do about alerts in one cockpit, for all who call."""

    until_ns: dict[str, int] = {}
    """Route that calls nobody → until when, Unix ns of who muted it."""
    seen_ns: dict[str, int] = {}
    """Route → when somebody acknowledged an alert of it, Unix ns of who did."""


def encode(
    record: Presence | KeptHello | CommandReply | PagerHolder | ToldAlerts | MutedRoutes,
) -> bytes:
    """Return a record as JSON."""
    return msgspec.json.encode(record)


def decode_presence(data: bytes) -> Presence:
    """Return who probes at a place. Raises msgspec.DecodeError."""
    return _decoded(data, Presence)


def decode_hello(data: bytes) -> KeptHello:
    """Return the newest hello of a place. Raises msgspec.DecodeError."""
    return _decoded(data, KeptHello)


def decode_holder(data: bytes) -> PagerHolder:
    """Return who calls people. Raises msgspec.DecodeError."""
    return _decoded(data, PagerHolder)


def decode_told(data: bytes) -> ToldAlerts:
    """Return what people were told. Raises msgspec.DecodeError."""
    return _decoded(data, ToldAlerts)


def decode_muted(data: bytes) -> MutedRoutes:
    """Return what is muted. Raises msgspec.DecodeError."""
    return _decoded(data, MutedRoutes)


def decode_reply(data: bytes) -> CommandReply:
    """Return what an agent answered. Raises msgspec.DecodeError."""
    return _decoded(data, CommandReply)


def _decoded(data: bytes, kind: type[_Record]) -> _Record:
    """Return a record of a kind that is JSON on the bus. Raises msgspec.DecodeError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"it is none of ours: {type(error).__name__}") from None
