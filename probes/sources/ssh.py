"""An engine on another machine: `llmtop engine` at the end of ssh, and what ssh says when it fails.

Rule 1: ssh is the whole way. Who may come in, by which key, through which proxy and port is said in
ssh's own settings; we ask for no terminal, no question, no forwarding, and never become the master
of a shared connection, which would outlive us.
Rule 2: no shell of this machine sees the command line, and `--` ends ssh's options; that host and
command are harmless to the shell there is for `probes.config.places` to see to.
Rule 3: a way that is cut is tried again for as long as somebody wants; what would fail in the same
way each time is not: a person has to mend it, and is told what.
Rule 4: nothing of this machine's environment is in what we send, and ssh itself has no key of it.
"""

import os
import re
from functools import partial
from typing import Final

from anyio.abc import TaskGroup

from probes import __version__
from probes.config.places import OWN_COMMAND, GivenPlace
from probes.events.foreign import decode_foreign
from probes.kit.child_environment import child_environment
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.sources.supervised import Child, EngineEnd, EngineWay, Explain, Launch

ALIVE_EVERY_S: Final = 5
ALIVE_MISSED: Final = 3
"""So many questions without an answer and the way is cut: after 15 to 20 s, before an engine that
says nothing is killed for its silence."""
CONNECT_S: Final = 10
LIMITS_THERE: Final = HostLimits(stop_grace_s=3.0, bytes_per_s=8e6, hello_within_s=60.0)
"""An engine ends within half a second of being told; the rest is the way there and back. One that
has as much to do as a core can writes 4,000 events a second of 1 KB. Key commands there are run
before it says hello, each for 10 s at most."""
_OPTIONS: Final = (
    "BatchMode=yes",
    f"ConnectTimeout={CONNECT_S}",
    f"ServerAliveInterval={ALIVE_EVERY_S}",
    f"ServerAliveCountMax={ALIVE_MISSED}",
    # A connection of the user's that is there already is used: it may have taken a second factor.
    "ControlMaster=no",
    # Those of the user's settings are for his logins: two of us would want the same ports.
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
)

_SSH_FAILED: Final = "exit status 255"
"""ssh itself failed, or what it ran was killed by a signal: it says something in the first case."""
_NOT_FOUND: Final = "exit status 127"
_NOT_RUN: Final = "exit status 126"
_REFUSED: Final = "exit status 2"
_FINAL: Final = (
    (
        re.compile("IDENTIFICATION HAS CHANGED"),
        "the host key of {host} has CHANGED: somebody may sit between; ask ssh {host}",
    ),
    (
        re.compile("Host key verification failed"),
        "the host key of {host} is not known here: log in once by hand, ssh {host}",
    ),
    (
        re.compile(r"Permission denied[^\n.]*|Too many authentication failures"),
        "{host} does not let us in: {found}; a key is needed that asks nothing: one in the agent, "
        "or without a passphrase",
    ),
    (
        re.compile(r"Bad (?:owner or permissions|configuration option)[^\n]*|terminating, [^\n]*"),
        "ssh does not like its settings: {found}",
    ),
)
"""What ssh says of what a person has to mend, the most telling first, and what is said of it."""
_PREFIX: Final = "llmtop: "


def ssh_way(place: GivenPlace) -> EngineWay:
    """Return how the engine of a place is reached."""
    return EngineWay(ssh_launch(place), ssh_explain(place), LIMITS_THERE, decode_foreign)


def ssh_argv(place: GivenPlace) -> list[str]:
    """Return the command line that starts the engine of a place."""
    options = [word for option in _OPTIONS for word in ("-o", option)]
    return ["ssh", "-T", *options, "--", place.host, place.command, "engine"]


def ssh_launch(place: GivenPlace) -> Launch:
    """Return what starts an engine at a place."""

    async def launch(tasks: TaskGroup) -> Child:
        # ssh itself has need of the environment: its agent, its home. What the user's own settings
        # name (SendEnv, a ProxyCommand) gets the rest, and no key of this machine.
        environment = child_environment(os.environ)
        return await launch_process(tasks, argv=ssh_argv(place), environment=environment)

    return launch


def ssh_explain(place: GivenPlace) -> Explain:
    """Return what tells how the engine of a place ended, and whether to start it again."""
    return partial(_explained, place)


def _explained(place: GivenPlace, how: str, words: str) -> EngineEnd:
    if how == _SSH_FAILED:
        return _explained_by_ssh(place.host, words)
    if how.startswith("cannot start"):
        final = f"ssh cannot be run on this machine ({how})"
    elif how == _NOT_FOUND:
        final = _no_llmtop(place)
    elif how == _NOT_RUN:
        final = f"{place.host}: {place.command} cannot be run there"
    elif how == _REFUSED:
        final = f"{place.host}: {_refusal(words) or how}"
    else:
        return EngineEnd(f"the engine at {place.host} ended: {how}")
    return EngineEnd(final, "never")


def _explained_by_ssh(host: str, words: str) -> EngineEnd:
    for pattern, told in _FINAL:
        if found := pattern.search(words):
            return EngineEnd(told.format(host=host, found=found[0]), "never")
    last = words.rpartition("\n")[2].removesuffix(".")
    if not last:
        # Killed there by a signal; or by who killed sshd, which says nothing either.
        return EngineEnd(f"the engine at {host} was killed, or the way to it was cut")
    return EngineEnd(f"no way to {host}: {last}", "always")


def _no_llmtop(place: GivenPlace) -> str:
    if place.command != OWN_COMMAND:
        return f"{place.host}: there is no {place.command} there"
    return (
        f"{place.host}: there is no llmtop on the PATH that a command over ssh has there; "
        f"install it, or name it: --place {place.name}=ssh:{place.host}:/path/to/llmtop"
    )


def _refusal(words: str) -> str:
    """Return why an engine did not begin, in its own words: the first reason, and how many more."""
    lines = [line.removeprefix(_PREFIX) for line in words.splitlines() if line.startswith(_PREFIX)]
    if not lines:
        return words.rpartition("\n")[2]
    if "invalid choice: 'engine'" in lines[0]:
        return f"llmtop there is too old to be an engine for this one; install {__version__} there"
    more = len(lines) - 1
    return lines[0] + (f" (and {more} more)" if more else "")
