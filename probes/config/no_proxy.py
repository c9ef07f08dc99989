"""NO_PROXY: which hosts are reached without a proxy. There is no standard: this is what is meant.

Entries stand apart by commas or blanks, in any case, and may be
Rule 1. `*`: every host;
Rule 2. a name: that host and all below it, with or without `.` or `*.` before it, as curl has it;
Rule 3. an address, in brackets or not, however it is spelt, or a network such as `10.0.0.0/8`;
Rule 4. any of these with `:PORT`, which then counts for that port alone;
Rule 5. a URL, of which host and port count;
Rule 6. a pattern with `*` elsewhere, such as `10.1.*`, for the whole host.
What is none of these matches nothing.
"""

import ipaddress
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_APART: Final = re.compile(r"[,\s]+")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://")
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\](/\d+)?(?::(\d{1,5}))?")


def is_bypassed(host: str, port: int, value: str) -> bool:
    """Whether `value`, that of NO_PROXY, names a host, which is a name or an address."""
    host = host.lower().rstrip(".")
    address = _address(host)
    return any(
        (named_port is None or named_port == port) and _is_named(host, address, entry)
        for entry, named_port in _entries(value)
    )


def _entries(value: str) -> Iterator[tuple[str, int | None]]:
    """Give the hosts of a value, each with the port that it is for, if it is for one."""
    for text in _APART.split(value.lower()):
        entry = text.strip("\"'")
        scheme = _SCHEME.match(entry)
        if scheme:
            entry = entry[scheme.end() :].split("/", 1)[0].rpartition("@")[2]
        host, port = _parted(entry)
        if host and (port is None or port.isdecimal()):
            yield host, None if port is None else int(port)


def _parted(entry: str) -> tuple[str, str | None]:
    """Return host, without brackets, and port of an entry; IPv6 without brackets has no port."""
    found = _BRACKETED.fullmatch(entry)
    if found is not None:
        return found[1] + (found[2] or ""), found[3]
    host, colon, port = entry.partition(":")
    return (entry, None) if not colon or ":" in port else (host, port)


def _is_named(host: str, address: _Address | None, entry: str) -> bool:
    if entry == "*":
        return True
    if address is not None:
        return _covers(entry, address) or ("*" in entry and fnmatchcase(host, entry))
    name = entry.removeprefix("*").strip(".")
    if "*" in name or (entry.startswith("*") and not entry.startswith("*.")):
        return fnmatchcase(host, entry.rstrip("."))
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _covers(entry: str, address: _Address) -> bool:
    try:
        return address in ipaddress.ip_network(
            entry.replace("[", "").replace("]", ""), strict=False
        )
    except ValueError:
        return False


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
