"""A resolver of the tests' own: every name is this machine's, until it fails, dawdles or lies.

`getaddrinfo` asks whom /etc/resolv.conf names, at port 53, and no setting of a process changes
that. So this server listens on port 53 of a network namespace, and `use` lets the processes of a
mount namespace find it in their /etc/resolv.conf: the C library, its time-outs and its second tries
are the real ones.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from wires.namespaces import instead_of
from wires.spans import Span, at

ADDRESS: Final = "127.0.0.1"
NOBODY: Final = "127.66.66.66"
"""Answered by a resolver that lies: an address of this machine at which nobody listens."""

Answer: TypeAlias = Literal["right", "no_such_name", "server_failure", "silence", "wrong_address"]

_PORT: Final = 53
_A: Final = 1
_IN: Final = 1
_CODES: Final = {"no_such_name": 3, "server_failure": 2}
_ANSWERED: Final = 0x8180
"""A standard answer, with recursion wanted and there to be had."""
_HEADER: Final = struct.Struct("!6H")


class Names(Span, frozen=True, kw_only=True):
    """How names are answered for a while."""

    answer: Answer = "right"
    delay_s: float = 0.0


def use(folder: Path) -> None:
    """Let this process and its children ask this resolver and nobody else.

    It must be in a mount namespace of its own; `folder` takes two small files.

    Raises:
        OSError: it may not be done.
    """
    for path, text in (
        ("/etc/resolv.conf", f"nameserver {ADDRESS}\n"),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
    ):
        ours = folder / Path(path).name
        ours.write_text(text)
        instead_of(path, ours)


class Resolver(asyncio.DatagramProtocol):
    """Answers on port 53 of the running loop, as a schedule has it; an async context manager."""

    def __init__(self, schedule: Sequence[Names], elapsed_s: Callable[[], float]) -> None:
        """Prepare; `elapsed_s` tells where in the schedule we are."""
        self._schedule = tuple(schedule)
        self._elapsed_s = elapsed_s
        self._transport: asyncio.DatagramTransport | None = None
        self.asked: list[str] = []
        """Names, each as often as it was asked for."""

    async def __aenter__(self) -> "Resolver":
        """Listen.

        Raises:
            OSError: the port cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (ADDRESS, _PORT))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Be gone."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question, now or later or never."""
        names = at(self._schedule, self._elapsed_s()) or Names(from_s=0.0, to_s=0.0)
        name, answer = answer_to(data, names.answer)
        self.asked.append(name)
        if answer:
            asyncio.get_running_loop().call_later(names.delay_s, self._send, answer, addr)

    def _send(self, answer: bytes, to: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, to)


def answer_to(question: bytes, answer: Answer) -> tuple[str, bytes]:
    """Return the name that a DNS message asks for, and the message that answers it (RFC 1035)."""
    number, _flags, _questions, *_ = _HEADER.unpack_from(question)
    labels, position = [], _HEADER.size
    while length := question[position]:
        labels.append(question[position + 1 : position + 1 + length].decode("latin-1"))
        position += 1 + length
    kind, _class = struct.unpack_from("!HH", question, position + 1)
    asked = question[_HEADER.size : position + 5]
    name = ".".join(labels)
    if answer == "silence":
        return name, b""
    code = _CODES.get(answer, 0)
    # There is no IPv6 here; saying so at once, and not "no such name", is what servers do.
    records = b""
    if not code and kind == _A:
        address = NOBODY if answer == "wrong_address" else ADDRESS
        # 0xC00C points to the name in the question; nobody may keep the answer (TTL 0).
        records = struct.pack("!HHHIH", 0xC00C, _A, _IN, 0, 4) + socket.inet_aton(address)
    header = _HEADER.pack(number, _ANSWERED | code, 1, bool(records), 0, 0)
    return name, header + asked + records
