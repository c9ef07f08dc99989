"""A network and a file system of a process's own, without tools: Linux, root.

Rule 1. A namespace is entered once, by a process that was started for it, before it has threads:
        the children it starts later are in it, and the machine outside notices nothing.
Rule 2. No `ip`, no `mount`: a clean machine has neither, and three ioctls do all that is wanted.
Rule 3. Whoever cannot have a namespace is told why, in words that a skipped test can show.
"""

import argparse
import ctypes
import fcntl
import functools
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

Need: TypeAlias = Literal["network", "mounts", "tun", "realtime"]
"""`realtime`: precedence over other processes, which a busy machine is made with."""

TUN: Final = Path("/dev/net/tun")
_TESTS: Final = Path(__file__).parents[1]

# <linux/sched.h>, <sys/mount.h>, <linux/sockios.h>, <net/if.h>, <linux/if_tun.h>
_CLONE_NEWNS: Final = 0x0002_0000
_CLONE_NEWNET: Final = 0x4000_0000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x4_0000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFADDR: Final = 0x8916
_SIOCSIFNETMASK: Final = 0x891C
_IFF_UP: Final = 0x1
_TUNSETIFF: Final = 0x4004_54CA
_IFF_TUN: Final = 0x1
_IFF_NO_PI: Final = 0x1000
_TRY_S: Final = 20.0


def enter(*, network: bool = False, mounts: bool = False) -> None:
    """Put this process into namespaces of its own; the network's has its loopback up.

    Raises:
        OSError: the kernel, or who runs this, does not allow it.
    """
    flags = _CLONE_NEWNET * network | _CLONE_NEWNS * mounts
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(flags), "unshare")
    if mounts:
        # Else what is mounted here would appear outside, where systemd shares all mounts.
        _check(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount /")
    if network:
        lift("lo")


def instead_of(path: str, ours: Path) -> None:
    """Let everybody in this file system find `ours` at an existing path.

    Raises:
        OSError: there is no such file, or it may not be done.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(os.fsencode(ours), os.fsencode(path), None, _MS_BIND, None)
    _check(done, f"mount {path}")


def lift(interface: str) -> None:
    """Bring an interface up.

    Raises:
        OSError: there is none, or it may not be done.
    """
    name = interface.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        found = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16s24x", name))
        (flags,) = struct.unpack_from("H", found, 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | _IFF_UP))


def open_tun(interface: str, address: str, netmask: str = "255.255.255.0") -> int:
    """Make a TUN device that is up and has an address; return its descriptor, not blocking.

    Each read gives one IP packet, each write takes one; the device goes when it is closed.

    Raises:
        OSError: there is no /dev/net/tun, or it may not be done.
    """
    name = interface.encode()
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name, _IFF_TUN | _IFF_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, netmask)):
                place = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(any_socket, request, struct.pack("16s16s8x", name, place))
        lift(interface)
    except OSError:
        os.close(device)
        raise
    return device


@functools.cache
def missing(*needs: Need) -> str:
    """Return why this machine does not give what is needed; empty where it does.

    It is tried in a process of its own: whether root is allowed it in some container depends on
    more than can be looked up.
    """
    if sys.platform != "linux":
        return "namespaces are Linux's"
    if os.geteuid():
        return "needs root"
    if "tun" in needs and not TUN.exists():
        return f"there is no {TUN}"
    command = [sys.executable, "-P", "-m", "wires.namespaces", *needs]
    environ = {**os.environ, "PYTHONPATH": str(_TESTS)}
    tried = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_TRY_S)
    if tried.returncode == 0:
        return ""
    return (tried.stderr.strip() or f"trying it ends with {tried.returncode}").splitlines()[-1]


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _try() -> str | None:
    parser = argparse.ArgumentParser(description="whether this machine gives what is needed")
    parser.add_argument("needs", nargs="*", choices=get_args(Need))
    needs = parser.parse_args().needs
    try:
        enter(network="network" in needs or "tun" in needs, mounts="mounts" in needs)
        if "tun" in needs:
            os.close(open_tun("try0", "10.98.0.1"))
        if "realtime" in needs:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError as error:
        return f"not on this machine: {error}"
    return None


if __name__ == "__main__":
    sys.exit(_try())
