"""The `hello` lines without which what follows in a recording cannot be read.

Rule 1: a `hello` tells the schema and the routes. Without a place it tells of all, and the last one
is enough; of several places each has one of its own, and all of them are needed.
Rule 2: a part of a recording, and whoever begins to read in the middle, begins with these lines, in
the order in which their places came first.
"""

from typing import Final

import msgspec

HELLO_PREFIX: Final = b'{"type":"hello"'


class _HelloLine(msgspec.Struct, tag_field="type", tag="hello"):
    """What of a `hello` tells which one it takes the place of."""

    place: str = ""


_decode: Final = msgspec.json.Decoder(_HelloLine).decode


def hellos_after(hellos: bytes, lines: bytes) -> bytes:
    """Return the `hello` lines that are needed after some lines, given those before them."""
    if HELLO_PREFIX not in lines:
        return hellos
    known = {_place_of(line): line for line in hellos.splitlines(keepends=True)}
    for line in lines.split(b"\n"):
        if line.startswith(HELLO_PREFIX):
            place = _place_of(line)
            if not place:
                known.clear()  # it speaks of all
            known.pop("", None)
            known[place] = line + b"\n"
    return b"".join(known.values())


def hellos_before(hellos: bytes, lines: bytes) -> bytes:
    """Return those of the `hello` lines known by then that are to stand before some lines where a
    part begins with these: all but what their first line says anew."""
    first = lines[: lines.find(b"\n") + 1]
    if not first.startswith(HELLO_PREFIX):
        return hellos
    place = _place_of(first)
    return b"".join(
        line for line in hellos.splitlines(keepends=True) if place and _place_of(line) != place
    )


def _place_of(line: bytes) -> str:
    """Return the place of a `hello`; of one that cannot be read, as of one without."""
    try:
        return _decode(line).place
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
