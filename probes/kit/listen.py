"""Where a server of ours listens: an address of this machine and a port.

Rule: without an address it is loopback. What others can reach has to be said.
"""

import ipaddress
import re
from typing import Final, NamedTuple

LOOPBACK: Final = "127.0.0.1"
EXPECTED: Final = "a port, :PORT or ADDRESS:PORT such as 127.0.0.1:9464"
_FORM: Final = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]*):)?(?P<port>[0-9]{1,5})")
_HIGHEST_PORT: Final = 65_535


class ListenAddress(NamedTuple):
    """An address and a port to listen at."""

    host: str
    """An IP address without brackets."""
    port: int
    """0 for a free one."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is one of IPv6."""
        return ":" in self.host

    def __str__(self) -> str:
        """Return it as a URL has it."""
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def listen_address(text: str) -> ListenAddress:
    """Return the address that a text such as `9464` or `0.0.0.0:9464` names.

    `localhost` is 127.0.0.1; any other name is refused: which of its addresses would be meant?

    Raises:
        ValueError: it is none; the text says what was expected.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise ValueError(f"got {text}, expected {EXPECTED}")
    host = (found["host"] or "").strip("[]")
    if host in ("", "localhost"):
        host = LOOPBACK
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"got {text}, expected {EXPECTED}: no name but localhost") from None
    return ListenAddress(address.compressed, int(found["port"]))
